/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free page reporting: what a device needs to be told of free memory.
 *
 * See Documentation/mm/free_page_reporting.rst.
 */
#ifndef _LINUX_PAGE_REPORTING_H
#define _LINUX_PAGE_REPORTING_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/scatterlist.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

/*
 * The most blocks that are handed to a device at once. They are out of the
 * allocator's reach until the device is done, so it must not be many: 32 blocks
 * of 2 MiB are 64 MiB. It must not be few either, as each batch costs a round
 * trip to the hypervisor; and the virtqueues of the usual hypervisors have at
 * least 32 entries. A device that can take less than that says so.
 */
#define PAGE_REPORTING_CAPACITY		32

/* For &page_reporting_dev_info.order: the driver has no opinion */
#define PAGE_REPORTING_ORDER_UNSPECIFIED	-1

/**
 * struct page_reporting_dev_info - a device that free pages are reported to
 * @report: Tell the device that the @nents entries of @sg are free memory.
 *	Each entry is one block of pages: of at least the reporting order,
 *	aligned to its size, at offset 0, not mapped for DMA. All lie in one
 *	zone, and the last one is marked as the end of the list. No one else
 *	can reach the blocks until @report returns; it returns when the device
 *	does not touch them any more, and leaves @sg as it is. Their content
 *	may be lost. A negative error code says that the blocks were not
 *	reported. Called in process context without locks, may sleep, is never
 *	called twice at a time, must not call page_reporting_unregister().
 * @work: Private to the core. The pass over all zones.
 * @kick: Private to the core. Queues @work when the free path has requested a
 *	pass.
 * @state: Private to the core. See enum page_reporting_state.
 * @failures: Private to the core. Passes that have failed one after another.
 * @deferred: Private to the core. Passes one after another that have left blocks to a
 *	zone that was short of memory.
 * @busy: Private to the core. A pass runs.
 * @since: Private to the core. Jiffies since when the device has a batch, or 0.
 * @watch: Private to the core. Runs out when it has had one for long.
 * @slow: Private to the core. The log says so already.
 * @name: What the device is called in messages and statistics, or NULL.
 * @order: Order of the smallest blocks that are worth a report to the device.
 *	%PAGE_REPORTING_ORDER_UNSPECIFIED, and all else above %MAX_PAGE_ORDER,
 *	stands for pageblock_order. 0 is order 0: every free page. The kernel
 *	parameter page_reporting.page_reporting_order goes before it.
 * @capacity: The most blocks that @report can take at once. 0, or more than
 *	%PAGE_REPORTING_CAPACITY, stands for that.
 *
 * The driver fills in @report, @name, @order and @capacity before it registers
 * the device.
 */
struct page_reporting_dev_info {
	int (*report)(struct page_reporting_dev_info *prdev,
		      struct scatterlist *sg, unsigned int nents);
	struct delayed_work work;
	struct irq_work kick;
	atomic_t state;
	unsigned int failures;
	unsigned int deferred;
	bool busy;
	unsigned long since;
	struct timer_list watch;
	bool slow;
	const char *name;
	unsigned int order;
	unsigned int capacity;
};

int page_reporting_register(struct page_reporting_dev_info *prdev);
void page_reporting_unregister(struct page_reporting_dev_info *prdev);

#endif /* _LINUX_PAGE_REPORTING_H */
