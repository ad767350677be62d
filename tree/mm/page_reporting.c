// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: tell a device which memory is free, so that a
 * hypervisor can put it to other use.
 *
 * See Documentation/mm/free_page_reporting.rst.
 */
#define pr_fmt(fmt) "page_reporting: " fmt

#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/page-isolation.h>
#include <linux/page_reporting.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>
#include <linux/time64.h>
#include <linux/timer.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

#include "internal.h"
#include "page_alloc.h"
#include "page_reporting.h"
#include "page_reporting_policy.h"

#define CREATE_TRACE_POINTS
#include <trace/events/page_reporting.h>

/*
 * The longest that memory is free and not reported, in ms, and so the price of a
 * refault: see mm/page_reporting_policy.c. To fault in a GiB takes a host a fifth of a
 * second of a processor in pages of 2 MiB, and half a second in pages of 4 KiB, without
 * what the exit from the guest takes. Hosts have some four GiB for each processor. So a
 * refault costs as much as to hold that memory for one second, or for more than two.
 */
static unsigned int page_reporting_delay_ms = 2 * MSEC_PER_SEC;

/*
 * States of a registered device, in &page_reporting_dev_info.state. They mean
 * nothing while reporting is stopped.
 *
 * IDLE:      No pass runs, and the work is not queued. Every block on the free lists
 *            that is large enough is reported, or is the rest of one that was split;
 *            or its zone could not spare it, and the work is queued to look again
 *            later. A request sets REQUESTED and queues the work, if need be for
 *            sooner than that.
 * REQUESTED: A block came to the free lists or is isolated no more, or the
 *            device was registered, and no pass has started since; or the last
 *            pass has failed, or has left something to the next that may be
 *            used again soon, or on a CPU's list, or does not know yet of all
 *            that is free whether it lasts. The work is queued, or the next tick
 *            is about to queue it, or a pass runs and queues it when it ends.
 *            Further requests change nothing. The worker sets ACTIVE when it
 *            starts a pass.
 * ACTIVE:    A pass runs and nothing was requested since it started. A request
 *            sets REQUESTED and leaves the work alone. The worker sets IDLE
 *            when the pass ends.
 *
 * Only a request leaves IDLE and only the worker leaves REQUESTED, so the work
 * is queued by exactly one of them, once for each pass. Who wants a report now
 * queues it as well, to have it run without the delay. If that meets with a pass
 * that starts, or with a kick that is on its way, there is one pass more, which
 * nothing was requested for.
 *
 * What holds at all times, and what would show that it does not:
 *
 * 1. A block that has come to a list which the running pass may be past, or
 *    while no pass runs, has made the state REQUESTED, and it stays that until a
 *    pass starts: no request is lost. The reason is at each store to the state.
 * 2. In IDLE the work is not queued, but for that one pass and for zones that were
 *    short of memory: a guest that frees nothing does nothing.
 * 3. There is one pass at a time. A workqueue does not run an item twice at a
 *    time, and the item is made new only after it was cancelled.
 * 4. Blocks in the batch are of one zone, on no list, and go back before the
 *    pass leaves the zone, however that comes about. Asserted by
 *    page_reporting_lists().
 * 5. A flag is on the first page of a block that is on a free list as it was
 *    reported, and nowhere else. Set and cleared under the zone->lock of the
 *    list, and counted with it. Asserted by the allocator, which takes a page
 *    with a flag of that kind for a bad one.
 * 6. After page_reporting_wait_for() has returned, and so after
 *    page_reporting_unregister(), report() is not called, and the work is not
 *    queued until page_reporting_start().
 * 7. Who has asked for a report now is served by a pass that starts after that,
 *    and takes all that is free: see page_reporting_tickets.
 *
 * Tests in mm/tests/page_reporting_kunit.c: free_requests_pass (1),
 * request_during_pass_not_lost (1, 2), split_and_merge_forget and
 * merge_at_putback_unflagged (5), unregister_waits_for_pass and
 * stop_waits_for_batch (6), now_is_served_by_next_pass (7). The fake device looks
 * for 3 in each of them, and a walk over all lists for 4 and 5 and what is counted
 * of them after each.
 */
enum page_reporting_state {
	PAGE_REPORTING_IDLE,
	PAGE_REPORTING_REQUESTED,
	PAGE_REPORTING_ACTIVE,
};

/*
 * A pass ends after that time, with the batch that is under way then, and goes on in the
 * next one at once. Who waits for the work to end waits for no more than that: a suspend,
 * since the workqueue freezes; and the next look, which is due after a tick.
 */
#define PAGE_REPORTING_TIME	(HZ / 20)

/* A batch takes milliseconds. A device that has had it for so long is worth a message. */
#define PAGE_REPORTING_SLOW	(5 * HZ)

/*
 * Blocks that are looked at in one go under zone->lock. As many as that take some
 * ten microseconds.
 */
#define PAGE_REPORTING_BLOCKS	256

/**
 * struct page_reporting_pass - one pass over all zones
 * @prdev: the device that is told
 * @sgl: table of @capacity entries
 * @capacity: the most blocks in a batch
 * @nents: number of blocks in @sgl: isolated and not put back yet
 * @pages: number of pages in them
 * @order: order of the smallest blocks that are reported
 * @until: jiffies after which the pass ends
 * @late: it has ended for that
 * @flushed: the device had a batch of it
 * @todo: number of pages of the current zone that are still to be reported
 * @look: number of blocks of the current list that are still to be looked at
 * @first: first page of the block of it that was looked at first, or NULL
 * @spare: number of pages that the zone had above its min watermark when the batch
 *	was begun
 * @forgotten: page_reporting_forgotten when the device was given the batch
 * @due: the batch is to be handed over: no further block fits
 * @full: report all that is free, no matter for how long
 * @more: unreported blocks are left to the next pass
 * @short_zones: a zone has blocks that it cannot spare
 * @zone_pages: number of pages of the current zone that were reported
 * @zone_batches: number of its batches that were handed to the device
 * @rest: blocks of it are left to the next pass
 * @deferred: a block was not taken as the zone would have been short of memory
 */
struct page_reporting_pass {
	struct page_reporting_dev_info *prdev;
	struct scatterlist *sgl;
	unsigned int capacity;
	unsigned int nents;
	unsigned long pages;
	unsigned int order;
	unsigned long until;
	bool late;
	bool flushed;
	unsigned long todo;
	unsigned long look;
	struct page *first;
	unsigned long spare;
	int forgotten;
	bool due;
	bool full;
	bool more;
	bool short_zones;
	unsigned long zone_pages;
	unsigned int zone_batches;
	bool rest;
	bool deferred;
};

/*
 * Never disabled once a device was there: flags that were set have to be
 * cleared when their blocks leave the free lists, with or without a device.
 */
DEFINE_STATIC_KEY_FALSE(page_reporting_enabled);

/*
 * Order of the smallest blocks that are reported. Set when a device registers;
 * a driver or the parameter may change it while it is registered. The free path
 * reads it without a lock: a free that still goes by the old value requests a
 * pass too much, or one too few that the next free requests.
 */
unsigned int page_reporting_order = PAGE_REPORTING_ORDER_UNSPECIFIED;
EXPORT_SYMBOL_GPL(page_reporting_order);

/* The order that the parameter asks for, whatever drivers say */
static unsigned int page_reporting_order_param = PAGE_REPORTING_ORDER_UNSPECIFIED;

/*
 * Serializes register, unregister, stop and resume. Held while a device is waited for: who
 * only looks at something, or sets a parameter, does without.
 */
static DEFINE_MUTEX(page_reporting_mutex);

/* Both under page_reporting_mutex: the registered device, and is it to be told? */
static struct page_reporting_dev_info *page_reporting_registered;
static bool page_reporting_wanted = true;

/*
 * Protects the order and its parameter, and with the mutex the registered device: under
 * either of them it stays registered.
 */
static DEFINE_SPINLOCK(page_reporting_lock);

/*
 * The device that is told: the registered one, or NULL while reporting is stopped.
 * Written under page_reporting_mutex, read under RCU by the free path.
 */
static struct page_reporting_dev_info __rcu *page_reporting_dev;

static struct page_reporting_dev_info *page_reporting_active(void)
{
	return rcu_dereference_protected(page_reporting_dev,
					 lockdep_is_held(&page_reporting_mutex));
}

/* Drivers that do not know of the name leave it NULL. */
static const char *page_reporting_name(struct page_reporting_dev_info *prdev)
{
	return prdev->name ?: "unnamed";
}

/*
 * Who wants all that is free to be reported now draws a ticket and waits until a
 * pass has served it. A pass serves the tickets that were drawn when it starts, and
 * is a full one if there are any; if it fails they are served all the same, and
 * page_reporting_result says how it ended. When reporting stops, all are. Tickets
 * are compared like jiffies. Written by the worker, and when that was cancelled.
 */
static atomic_t page_reporting_tickets = ATOMIC_INIT(0);
static int page_reporting_served;
static int page_reporting_result;

/*
 * Pages that were to be reported when the worker began to serve tickets. When as many were,
 * it ends with the time of the pass, and is not kept up by what comes free meanwhile. Its own.
 */
static unsigned long page_reporting_left;

/* Number of times that all was forgotten: what a device has then is not remembered. */
static atomic_t page_reporting_forgotten = ATOMIC_INIT(0);

/* Pages that the device has, and has it had them for long? Written by the worker. */
static unsigned long page_reporting_out;
static bool page_reporting_silent;

/* Number of batches that came back. Written by the worker. */
static unsigned long page_reporting_batches;
static DECLARE_WAIT_QUEUE_HEAD(page_reporting_wait);

/* Is there someone whose ticket was not served yet? */
static bool page_reporting_is_awaited(void)
{
	return atomic_read(&page_reporting_tickets) != READ_ONCE(page_reporting_served);
}

static void page_reporting_serve(int tickets, int result)
{
	if (tickets == page_reporting_served)
		return;

	WRITE_ONCE(page_reporting_result, result);
	/* Pairs with the acquire in page_reporting_is_served(). */
	smp_store_release(&page_reporting_served, tickets);
	wake_up_all(&page_reporting_wait);
}

/*
 * The delay doubles with each pass that fails, up to 64 times: about two
 * minutes by default. A device that is busy or gone for good is not worth more,
 * and one that is back gets what is free without waiting for a free.
 */
#define PAGE_REPORTING_BACKOFF_MAX	6

/* A delay of nothing cannot double: this is what it starts from then. */
#define PAGE_REPORTING_BACKOFF_MS	(MSEC_PER_SEC / 10)

/*
 * A zone that is short of memory is looked at again after the delay, which doubles up to
 * 8 times. Whoever frees a large block asks for a pass before that, or who changes a
 * watermark, but small ones may do.
 */
#define PAGE_REPORTING_DEFER_MAX	3

/* And an hour is where it ends. A delay that is set to more than that stays. */
#define PAGE_REPORTING_BACKOFF_END	(3600 * MSEC_PER_SEC)

/* What the policy counts in. A pass that has left something requests the next. */
static unsigned long page_reporting_tick(void)
{
	unsigned long delay = READ_ONCE(page_reporting_delay_ms);

	return max(msecs_to_jiffies(delay) / PAGE_REPORTING_PRICE, 1UL);
}

/* The delay, doubled so often */
static unsigned long page_reporting_backoff(unsigned int doubled)
{
	unsigned long delay = READ_ONCE(page_reporting_delay_ms);

	if (delay > PAGE_REPORTING_BACKOFF_END)
		return msecs_to_jiffies(delay);

	delay = max(delay, PAGE_REPORTING_BACKOFF_MS) << doubled;

	return msecs_to_jiffies(min(delay, PAGE_REPORTING_BACKOFF_END));
}

/*
 * Called by whoever queues the work: the worker, which is the one to change the
 * number of failures, or a request that has found the device idle. It was not
 * made idle before the number was 0 again, but report_now may have had the next
 * pass begin since.
 */
static unsigned long page_reporting_delay(struct page_reporting_dev_info *prdev)
{
	unsigned int failures = READ_ONCE(prdev->failures);

	/* Nobody who waits for a report is to wait for more than that. */
	if (page_reporting_is_awaited())
		return 0;

	return failures ? page_reporting_backoff(min(failures, PAGE_REPORTING_BACKOFF_MAX)) :
			  page_reporting_tick();
}

/*
 * Freezable: drivers take their queues down on suspend, when no report may be under way.
 * Unbound: a pass does not keep the CPU busy that has freed memory, nor one that was set
 * aside for something else.
 */
static struct workqueue_struct *page_reporting_wq;

/*
 * An idle device may have its work queued to look again at zones that were short of
 * memory, which is later than this.
 */
static void page_reporting_queue(struct page_reporting_dev_info *prdev, unsigned long delay)
{
	mod_delayed_work(page_reporting_wq, &prdev->work, delay);
}

static void page_reporting_kick(struct irq_work *kick)
{
	struct page_reporting_dev_info *prdev =
		container_of(kick, struct page_reporting_dev_info, kick);

	page_reporting_queue(prdev, page_reporting_delay(prdev));
}

/* Return: true if the device was idle, so that the caller has to queue the work. */
static bool page_reporting_requested(struct page_reporting_dev_info *prdev,
				     const char *reason)
{
	int was;

	/* Most requests find one made already: spare them the bus lock. */
	if (atomic_read(&prdev->state) == PAGE_REPORTING_REQUESTED)
		return false;

	was = atomic_xchg(&prdev->state, PAGE_REPORTING_REQUESTED);
	if (was != PAGE_REPORTING_REQUESTED)
		trace_page_reporting_request(reason);

	return was == PAGE_REPORTING_IDLE;
}

static void page_reporting_request(struct page_reporting_dev_info *prdev,
				   const char *reason)
{
	if (page_reporting_requested(prdev, reason))
		page_reporting_queue(prdev, page_reporting_delay(prdev));
}

/* For those who do not keep the device from being unregistered. */
static void page_reporting_request_active(const char *reason)
{
	struct page_reporting_dev_info *prdev;

	rcu_read_lock();
	prdev = rcu_dereference(page_reporting_dev);
	if (prdev)
		page_reporting_request(prdev, reason);
	rcu_read_unlock();
}

/* A CPU's list is long, or was when lists were last looked at: look again when that is due. */
static bool page_reporting_long_lists;

void __page_reporting_look_at_list(void)
{
	WRITE_ONCE(page_reporting_long_lists, true);
	page_reporting_request_active("list");
}

void __page_reporting_marks_changed(void)
{
	page_reporting_request_active("watermark");
}

/*
 * Free pages that are not reported, in blocks of any order. Less than none if CPUs
 * have not added yet what they have counted.
 */
static long page_reporting_free(struct zone *zone)
{
	return atomic_long_read(&zone->vm_stat[NR_FREE_PAGES]) -
	       atomic_long_read(&zone->vm_stat[NR_FREE_REPORTED]);
}

/*
 * A block that page_reporting_wants(), of so many pages, has come to the free lists
 * that are reported. Called after that, under the same zone->lock, interrupts
 * disabled.
 *
 * Free memory is least just before some is freed. To look at it then finds the least
 * since the last tick, and costs allocations nothing.
 */
void page_reporting_notify(struct zone *zone, unsigned long pages)
{
	long least = page_reporting_free(zone) - (long)pages;
	struct page_reporting_zone *seen = zone->reporting;
	struct page_reporting_dev_info *prdev;

	if (seen && least < (long)seen->least)
		seen->least = max(least, 0L);

	rcu_read_lock();
	prdev = rcu_dereference(page_reporting_dev);
	/*
	 * To queue the work is to arm a timer, whose locks are held elsewhere
	 * while memory is allocated, and which with DEBUG_OBJECTS allocates some
	 * itself. Leave that to the next tick.
	 */
	if (prdev && page_reporting_requested(prdev, "free"))
		irq_work_queue(&prdev->kick);
	rcu_read_unlock();
}

/*
 * What is counted is kept per CPU by the zone's other counters: the allocator's
 * paths get no lock and no shared cacheline for it. The number of blocks of each
 * order changes with their nr_free, under the same lock.
 */
static void page_reporting_count(struct zone *zone, enum zone_stat_item item,
				 long delta)
{
	lockdep_assert_held(&zone->lock);

	__mod_zone_page_state(zone, item, delta);
}

static void page_reporting_flag(struct page *page, struct zone *zone,
				unsigned int order)
{
	SetPageReported(page);
	zone->nr_reported[order]++;
	page_reporting_count(zone, NR_FREE_REPORTED, 1L << order);
}

void __page_reporting_forget(struct page *page, struct zone *zone,
			     unsigned int order)
{
	ClearPageReported(page);
	zone->nr_reported[order]--;
	page_reporting_count(zone, NR_FREE_REPORTED, -(1L << order));
}

/* All of the block counts: what is left of it has to be reported again. */
void __page_reporting_reuse(struct page *page, struct zone *zone,
			    unsigned int order)
{
	__page_reporting_forget(page, zone, order);
	page_reporting_count(zone, PAGE_REPORTING_REUSED, 1L << order);
}

/* Free blocks of this order that are not reported */
static unsigned long page_reporting_blocks(struct zone *zone, unsigned int order)
{
	lockdep_assert_held(&zone->lock);

	return zone->free_area[order].nr_free - zone->nr_reported[order];
}

/* Pages in blocks of this order and above that are to be reported */
static unsigned long page_reporting_unreported(struct zone *zone,
					       unsigned int order)
{
	unsigned long pages = 0;

	lockdep_assert_held(&zone->lock);

	for (; order < NR_PAGE_ORDERS; order++)
		pages += page_reporting_blocks(zone, order) << order;

	return pages;
}

/*
 * Pages that can be reported if @least of the @free ones that are not reported are not
 * needed. Those in smaller blocks are some of them, and cannot.
 */
static unsigned long page_reporting_spare(struct zone *zone, unsigned int order,
					  unsigned long free, unsigned long least)
{
	unsigned long unreported = page_reporting_unreported(zone, order);
	unsigned long small = free - min(free, unreported);

	return min(least - min(least, small), unreported);
}

/*
 * A block is taken to be reported: it does not count as free and not reported, and it is
 * as if it never had.
 */
static void page_reporting_take(struct page_reporting_pass *pass,
				struct zone *zone, unsigned long pages)
{
	struct page_reporting_zone *seen = zone->reporting;

	pass->pages += pages;
	WRITE_ONCE(page_reporting_out, pass->pages);
	pass->todo -= min(pass->todo, pages);
	seen->least -= min(seen->least, pages);
	seen->lasting -= min(seen->lasting, pages);
}

/*
 * A block is taken if half of it at least is still to be reported: on average no more
 * is than should be, and nothing is left in the end.
 */
static bool page_reporting_enough(struct page_reporting_pass *pass,
				  unsigned int order)
{
	return 2 * pass->todo < 1UL << order;
}

/*
 * A batch takes an eighth at most of what a zone has above its min watermark: those who
 * allocate meanwhile hardly see that it is gone. A single block may be as large as half of
 * that, so that all is reported but the min watermark and two blocks.
 */
#define PAGE_REPORTING_SPARE	8

/* Return: true if the zone can spare a block of this order until the device has done. */
static bool page_reporting_spares(struct page_reporting_pass *pass,
				  struct zone *zone, unsigned int order)
{
	unsigned long free, min, block = 1UL << order;

	if (pass->nents)
		return PAGE_REPORTING_SPARE * (pass->pages + block) <= pass->spare;

	free = zone_page_state(zone, NR_FREE_PAGES);
	min = min_wmark_pages(zone);
	pass->spare = free - min(free, min);

	return 2 * block <= pass->spare;
}

/*
 * Move unreported blocks from a free list to the batch.
 *
 * Return: true if the list may hold more, and the batch is full or the lock was held
 * for long enough.
 */
static bool page_reporting_fill(struct page_reporting_pass *pass,
				struct zone *zone, unsigned int order, int mt)
{
	struct list_head *list = &zone->free_area[order].free_list[mt];
	unsigned int looks = PAGE_REPORTING_BLOCKS;
	struct page *page, *next;

	lockdep_assert_held(&zone->lock);

	list_for_each_entry_safe(page, next, list, buddy_list) {
		bool more = pass->look && page_reporting_blocks(zone, order) &&
			    !page_reporting_enough(pass, order);
		bool reported = PageReported(page);

		/* Reported, and on this list since: all of it was looked at. */
		if (page == pass->first && reported)
			return false;
		pass->due = pass->nents == pass->capacity ||
			    (more && !reported && pass->nents &&
			     !page_reporting_spares(pass, zone, order));
		if (!more || !looks-- || pass->due) {
			/* It goes on here, and what is reported is allocated last. */
			list_rotate_to_front(&page->buddy_list, list);
			pass->rest |= pass->full && !more && page_reporting_blocks(zone, order);
			return more;
		}
		if (!pass->first)
			pass->first = page;
		pass->look--;
		if (reported)
			continue;
		/*
		 * The zone has too little for this block, and for the next one of the
		 * list. To stop leaves none behind: what is in the batch goes out with
		 * the blocks of the next list, or when the zone is done. The device has
		 * not failed before, or the pass would have ended with the batch put
		 * back. Isolation fails by itself at the min watermark, which the
		 * allocator knows better.
		 */
		if (!page_reporting_spares(pass, zone, order) ||
		    !__isolate_free_page_keep_mt(page, order)) {
			pass->deferred = true;
			return false;
		}

		sg_set_page(&pass->sgl[pass->nents], page, PAGE_SIZE << order, 0);
		pass->nents++;
		page_reporting_take(pass, zone, 1UL << order);
	}

	return false;
}

/* Put the batch back on the free lists, flagged and counted if it was reported. */
static void page_reporting_putback(struct page_reporting_pass *pass,
				   struct zone *zone, bool reported)
{
	unsigned int i;

	lockdep_assert_held(&zone->lock);

	for (i = 0; i < pass->nents; i++) {
		struct page *page = sg_page(&pass->sgl[i]);
		unsigned int order = get_order(pass->sgl[i].length);

		__putback_isolated_page(page, order);
		/*
		 * A buddy that was freed in the meantime is not reported: if
		 * the two have merged, the larger block is not either.
		 */
		if (reported && PageBuddy(page) && buddy_order(page) == order &&
		    pass->forgotten == atomic_read(&page_reporting_forgotten))
			page_reporting_flag(page, zone, order);
	}
	page_reporting_count(zone, PAGE_REPORTING_BATCHES, 1);
	if (reported) {
		page_reporting_count(zone, PAGE_REPORTING_PAGES, pass->pages);
	} else {
		page_reporting_count(zone, PAGE_REPORTING_ERRORS, 1);
		zone->reporting->least += pass->pages;
		zone->reporting->lasting += pass->pages;
	}
	pass->nents = 0;
	pass->pages = 0;
}

/* The time for an event that is to say how long something took, else 0. */
static u64 page_reporting_clock(bool enabled)
{
	return enabled ? ktime_get_ns() : 0;
}

/*
 * Something has happened to the zone, of which nothing is isolated. The counters of a zone
 * that has no memory left are freed, which a zone->lock does not keep off.
 */
static void page_reporting_event(struct zone *zone, enum zone_stat_item item)
{
	get_online_mems();
	mod_zone_page_state(zone, item, 1);
	put_online_mems();
}

/*
 * What was used while the device had other blocks is not to be reported after all. It has
 * none now: who takes memory offline waits for those, and this may wait for the offlining,
 * as the per-cpu counters of a zone that has no memory left are freed.
 */
static void page_reporting_look_again(struct page_reporting_pass *pass, struct zone *zone)
{
	unsigned long free, reported, spare;

	if (pass->full)
		return;

	get_online_mems();
	/* CPUs go on counting: what they free meanwhile requests a pass. */
	free = data_race(zone_page_state_snapshot(zone, NR_FREE_PAGES));
	/* And what they use is not there to be taken. */
	reported = data_race(zone_page_state_snapshot(zone, NR_FREE_REPORTED));
	put_online_mems();

	spin_lock_irq(&zone->lock);
	spare = page_reporting_spare(zone, pass->order, free - min(free, reported),
				     zone->reporting->least);
	spin_unlock_irq(&zone->lock);
	if (spare < pass->todo) {
		pass->todo = spare;
		pass->rest = true;
	}
}

/* Return: 0, -ENODEV if the device is to be told no more, or -ETIME if the time is over. */
static int page_reporting_goes_on(struct page_reporting_pass *pass)
{
	/* Not every device sleeps until it is done. */
	cond_resched();

	/* Whoever unregisters the device waits for this batch, not for more. */
	if (rcu_access_pointer(page_reporting_dev) != pass->prdev)
		return -ENODEV;

	/* Not before it has reported something, or it might never. */
	pass->late = pass->flushed && time_after(jiffies, pass->until);

	return pass->late ? -ETIME : 0;
}

/* How long the device has had the batch that is with it, in ms, or 0 */
static unsigned int page_reporting_busy_ms(struct page_reporting_dev_info *prdev)
{
	unsigned long since = READ_ONCE(prdev->since);

	return since ? jiffies_to_msecs(jiffies - since) : 0;
}

/* Armed as long as a device has a batch. Said once for each device, as it may go on like that. */
static void page_reporting_slow(struct timer_list *timer)
{
	struct page_reporting_dev_info *prdev =
		container_of(timer, struct page_reporting_dev_info, watch);
	unsigned int ms = page_reporting_busy_ms(prdev);

	if (!ms)
		return;
	WRITE_ONCE(page_reporting_silent, true);
	if (prdev->slow)
		return;

	prdev->slow = true;
	pr_warn("%s has not answered for %u ms, and keeps %lu KiB of free memory\n",
		page_reporting_name(prdev), ms,
		READ_ONCE(page_reporting_out) << (PAGE_SHIFT - 10));
}

/* Hand the batch to the device and take it back. */
static int page_reporting_flush(struct page_reporting_pass *pass,
				struct zone *zone)
{
	u64 start = page_reporting_clock(trace_page_reporting_batch_enabled());
	int err;

	pass->forgotten = atomic_read(&page_reporting_forgotten);
	/* 0 stands for none. */
	WRITE_ONCE(pass->prdev->since, (jiffies - 1) | 1);
	mod_timer(&pass->prdev->watch, jiffies + PAGE_REPORTING_SLOW);
	sg_mark_end(&pass->sgl[pass->nents - 1]);
	err = pass->prdev->report(pass->prdev, pass->sgl, pass->nents);
	WRITE_ONCE(pass->prdev->since, 0);
	timer_delete(&pass->prdev->watch);
	WRITE_ONCE(page_reporting_silent, false);
	sg_unmark_end(&pass->sgl[pass->nents - 1]);

	if (start)
		trace_page_reporting_batch(zone, pass->nents, pass->pages, err,
					   ktime_get_ns() - start);
	pass->zone_batches++;
	pass->late = false;
	pass->flushed = true;
	if (!err) {
		pass->zone_pages += pass->pages;
		page_reporting_left -= min(page_reporting_left, pass->pages);
	}

	spin_lock_irq(&zone->lock);
	page_reporting_putback(pass, zone, !err);
	spin_unlock_irq(&zone->lock);
	WRITE_ONCE(page_reporting_out, 0);
	WRITE_ONCE(page_reporting_batches, page_reporting_batches + 1);
	/* Pairs with the barrier in wait_event(): see page_reporting_oom(). */
	if (wq_has_sleeper(&page_reporting_wait))
		wake_up_all(&page_reporting_wait);
	page_reporting_look_again(pass, zone);

	return err ?: page_reporting_goes_on(pass);
}

static int page_reporting_list(struct page_reporting_pass *pass,
			       struct zone *zone, unsigned int order, int mt)
{
	int err = 0;

	spin_lock_irq(&zone->lock);
	/*
	 * Blocks that come to the list from now on do not count, which bounds
	 * the pass, however fast they come.
	 */
	pass->look = zone->free_area[order].nr_free;
	pass->first = NULL;
	while (!err && page_reporting_fill(pass, zone, order, mt)) {
		spin_unlock_irq(&zone->lock);
		err = pass->due ? page_reporting_flush(pass, zone) :
				  page_reporting_goes_on(pass);
		spin_lock_irq(&zone->lock);
	}
	spin_unlock_irq(&zone->lock);

	return err;
}

static int page_reporting_lists(struct page_reporting_pass *pass,
				struct zone *zone)
{
	int mt, order, err = 0;

	/* From large to small: the small ones that are left are allocated first. */
	for (order = MAX_PAGE_ORDER; order >= (int)pass->order; order--) {
		for (mt = 0; mt < MIGRATE_TYPES && !err; mt++) {
			/* Isolated for an owner to be, free in name only. */
			if (!is_migrate_isolate(mt))
				err = page_reporting_list(pass, zone, order, mt);
		}
	}

	/*
	 * Blocks of several lists share a batch. Those of two zones do not. If the time is
	 * over, or the device is to be told no more, this says so again.
	 */
	if (pass->nents)
		err = page_reporting_flush(pass, zone);
	WARN_ON_ONCE(pass->nents);

	return err;
}

static const char *page_reporting_end(struct page_reporting_pass *pass, int err)
{
	if (err == -ENODEV)
		return "stopped";
	if (err == -ETIME)
		return "time";
	if (err)
		return "error";
	if (pass->deferred)
		return "memory";

	return pass->rest ? "rest" : "done";
}

static int page_reporting_zone(struct page_reporting_pass *pass,
			       struct zone *zone)
{
	u64 start = page_reporting_clock(trace_page_reporting_pass_end_enabled());
	unsigned long unreported;
	int err = 0;

	pass->zone_pages = 0;
	pass->zone_batches = 0;
	pass->rest = false;
	pass->deferred = false;

	/* There was no memory for it, or its memory has come since the look. */
	if (!zone->reporting) {
		pass->deferred = true;
		goto out;
	}
	spin_lock_irq(&zone->lock);
	unreported = page_reporting_unreported(zone, pass->order);
	spin_unlock_irq(&zone->lock);
	/* What comes free meanwhile is not to take the place of what was. */
	pass->todo = pass->full ? ULONG_MAX : zone->reporting->todo;
	zone->reporting->todo = 0;
	/* Other zones may have kept the device busy for long. */
	page_reporting_look_again(pass, zone);
	/* Of isolated blocks, too: look again until there are none. */
	pass->rest = pass->todo < unreported &&
		     2 * (unreported - pass->todo) >= 1UL << pass->order;
	trace_page_reporting_pass_begin(zone, pass->order, unreported,
					min(pass->todo, unreported));
	page_reporting_event(zone, PAGE_REPORTING_PASSES);
	if (pass->todo)
		err = page_reporting_lists(pass, zone);
	/* It goes on with the next pass, which makes no look if it comes before that is due. */
	if (pass->late && !pass->full)
		zone->reporting->todo = pass->todo;
	/* Who is short of memory frees some, which requests a pass. */
	pass->more |= pass->rest && !pass->deferred;
	if (start)
		trace_page_reporting_pass_end(zone, pass->zone_pages,
					      pass->zone_batches,
					      page_reporting_end(pass, err),
					      ktime_get_ns() - start);
out:
	pass->short_zones |= pass->deferred;
	if (pass->deferred)
		page_reporting_event(zone, PAGE_REPORTING_DEFERRED);

	return err;
}

/*
 * What is known of the use of memory, of all zones together: a guest takes its memory
 * from whichever has some. What was learnt outlives the device. The worker's.
 */
static struct page_reporting_policy page_reporting_policy;

/* Pages that the machine had at the last tick, free or not, and those in a balloon */
static unsigned long page_reporting_memory;
static unsigned long page_reporting_balloon;

/*
 * What lasts is looked for anew after so many ticks: of memory that has come free in
 * two zones, the one is used again that has been so lately.
 */
#define PAGE_REPORTING_LASTING	(PAGE_REPORTING_PRICE / 4)

/* Jiffies of the last look. The worker's. */
static unsigned long page_reporting_looked;

/*
 * Is a look due? A pass that goes on with what another one had no time for, or that has
 * been asked for in between, makes none: the policy counts in ticks.
 */
static bool page_reporting_look_is_due(void)
{
	unsigned long due = page_reporting_looked + page_reporting_tick();

	return !time_in_range_open(jiffies, page_reporting_looked, due);
}

/**
 * struct page_reporting_look - what a look finds in all zones, without small blocks
 * @free: pages that are free, reported or not
 * @least: the least that were free since the last tick
 * @reported: pages that are reported
 *
 * Small blocks are used first, and large ones are split for more: their pages come and
 * go all the time.
 */
struct page_reporting_look {
	unsigned long free;
	unsigned long least;
	unsigned long reported;
};

static void page_reporting_look_zone(struct page_reporting_look *look, struct zone *zone,
				     unsigned int order)
{
	struct page_reporting_zone *seen = zone->reporting;
	unsigned long free, reported, least;

	/* With what CPUs have not added yet, or as much would never be reported. */
	free = data_race(zone_page_state_snapshot(zone, NR_FREE_PAGES));
	/* They go on counting: what is freed between this and the lock requests a pass. */
	reported = data_race(zone_page_state_snapshot(zone, NR_FREE_REPORTED));
	free -= min(free, reported);

	spin_lock_irq(&zone->lock);
	least = min(seen->least, free);
	if (page_reporting_policy.tick % PAGE_REPORTING_LASTING)
		seen->lasting = min(seen->lasting, least);
	else
		seen->lasting = least;
	seen->least = free;
	seen->spare = page_reporting_spare(zone, order, free, least);
	seen->todo = page_reporting_spare(zone, order, free, seen->lasting);
	look->free += page_reporting_unreported(zone, order) + reported;
	spin_unlock_irq(&zone->lock);

	look->least += seen->spare + reported;
	look->reported += reported;
}

/*
 * Pages that have come since the last tick, less those that have gone. A balloon takes
 * its pages out of what the machine has, too, but for one that gives them back when
 * memory is short: both move by the same number then.
 */
static long page_reporting_come(void)
{
	unsigned long balloon = global_node_page_state(NR_BALLOON_PAGES);
	long deflated = page_reporting_balloon - balloon;
	unsigned long memory = totalram_pages();
	long come = memory - page_reporting_memory;

	page_reporting_memory = memory;
	page_reporting_balloon = balloon;

	if (come > 0 && deflated > 0)
		return max(come, deflated);
	if (come < 0 && deflated < 0)
		return min(come, deflated);

	return come + deflated;
}

/*
 * A tick is over. Ask the policy how much is to be reported, and take it from where
 * memory has been free for longest.
 */
static void page_reporting_look(unsigned int order)
{
	struct page_reporting_policy *policy = &page_reporting_policy;
	struct page_reporting_look look = {};
	long come = page_reporting_come();
	unsigned long had, goal, todo, limit;
	struct zone *zone;
	bool used;

	/* The per-cpu counters of a zone that has no memory left are freed. */
	get_online_mems();
	for_each_populated_zone(zone) {
		if (zone->reporting)
			page_reporting_look_zone(&look, zone, order);
	}
	put_online_mems();

	/* What goes offline was taken from free memory before. */
	come = max(come, -(long)(policy->free - min(policy->free, look.free)));
	if (come) {
		page_reporting_policy_shift(policy, come);
		/* It was least before that. */
		look.least += max(come, 0L);
	}
	policy->memory = max(policy->memory, page_reporting_memory);

	limit = msecs_to_jiffies(READ_ONCE(page_reporting_delay_ms)) / page_reporting_tick();
	used = policy->free > look.least;
	had = min(policy->goal, look.least);
	goal = page_reporting_policy_tick(policy, look.free, look.least, max(limit, 2UL));
	todo = goal - min(goal, look.reported);
	/*
	 * Small reported blocks are used before large ones that are not. Another one in
	 * their place would be used next: wait until nothing is used, but not for ever.
	 */
	if (used && policy->tick % PAGE_REPORTING_PRICE)
		todo = min(todo, goal - had);

	for_each_populated_zone(zone) {
		struct page_reporting_zone *seen = zone->reporting;

		if (!seen)
			continue;
		seen->todo = min(seen->todo, todo);
		todo -= seen->todo;
	}
	for_each_populated_zone(zone) {
		struct page_reporting_zone *seen = zone->reporting;
		unsigned long more;

		if (!seen)
			continue;
		more = min(seen->spare - seen->todo, todo);
		seen->todo += more;
		todo -= more;
	}
	page_reporting_looked = jiffies;
}

/* Little is not worth more ticks to learn from: less than a block, or a thousandth. */
static bool page_reporting_settled(unsigned int order)
{
	unsigned long little = max(1UL << order, page_reporting_policy.memory / 1024);

	return page_reporting_policy_unsettled(&page_reporting_policy) < little;
}

/* Of each zone that has none yet. It stays: the zone may be populated again. */
static void page_reporting_alloc_zones(void)
{
	struct page_reporting_zone *seen;
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (zone->reporting)
			continue;
		seen = kzalloc_node(sizeof(*seen), GFP_KERNEL, zone_to_nid(zone));
		if (!seen)
			continue;
		/* All that is free was, as far as anybody knows. */
		seen->least = LONG_MAX;
		seen->lasting = LONG_MAX;
		spin_lock_irq(&zone->lock);
		zone->reporting = seen;
		spin_unlock_irq(&zone->lock);
	}
}

/* Go over all zones once. Stops at the first error of the device. */
static int page_reporting_all_zones(struct page_reporting_pass *pass)
{
	int err = page_reporting_goes_on(pass);
	struct zone *zone;

	for_each_populated_zone(zone) {
		if (!err)
			err = page_reporting_zone(pass, zone);
	}

	return err;
}

/* Pages that are to be reported to those who want all that is free reported now */
static unsigned long page_reporting_all(unsigned int order)
{
	unsigned long pages = 0;
	struct zone *zone;

	for_each_populated_zone(zone) {
		spin_lock_irq(&zone->lock);
		pages += page_reporting_unreported(zone, order);
		spin_unlock_irq(&zone->lock);
	}

	return pages;
}

/* Without memory for the table, nothing can be reported. */
static void page_reporting_defer_all(void)
{
	struct zone *zone;

	for_each_populated_zone(zone)
		page_reporting_event(zone, PAGE_REPORTING_DEFERRED);
}

/*
 * Pages that are taken from a CPU's list in one go, with interrupts disabled. A batch
 * of the list, 63 as a rule, would be the longest time of all that reporting takes.
 */
#define PAGE_REPORTING_DRAIN	32

/*
 * Ticks between two looks at the lists: a CPU may leave them alone for as long. Not less than
 * a tenth of a second, however short the delay is.
 */
#define PAGE_REPORTING_DRAIN_TICKS	(PAGE_REPORTING_PRICE / 8)
#define PAGE_REPORTING_DRAIN_LEAST	(HZ / 10)

/* Jiffies of the last look at them. The worker's. */
static unsigned long page_reporting_drained;

/* Pages of zones of this type that a CPU has allocated */
static unsigned long page_reporting_allocated(struct zone *zone, int cpu)
{
	return READ_ONCE(per_cpu(vm_event_states, cpu).event[PGALLOC_NORMAL - ZONE_NORMAL +
							     zone_idx(zone)]);
}

/*
 * Of the pages that were on a CPU's lists when it was last looked at, it has used
 * no more than it has allocated since. The rest has been there all the time, and
 * goes to the free lists, from the cold end. A batch stays: that is what the next
 * allocation would take back at once.
 *
 * Return: true if more than that is left, which may be idle at the next look.
 */
static bool page_reporting_drain_cpu(struct zone *zone, int cpu)
{
	struct per_cpu_zonestat *seen = per_cpu_ptr(zone->per_cpu_zonestats, cpu);
	struct per_cpu_pages *pcp = per_cpu_ptr(zone->per_cpu_pageset, cpu);
	unsigned long allocated = page_reporting_allocated(zone, cpu);
	unsigned long used = allocated - seen->reporting_allocated;
	/* Read without the list's lock: what comes and goes meanwhile is not idle. */
	int batch = READ_ONCE(pcp->batch), count = data_race(READ_ONCE(pcp->count));
	/* A CPU that was offline counts anew. */
	int kept = used < seen->reporting_count ? seen->reporting_count - used : 0;
	int idle = min(kept, count) - batch;
	int left = count - idle;

	/*
	 * What made the lists so long is over: when it comes again they are to grow anew.
	 * A huge page on them counts for all of it; and the CPU may use them meanwhile.
	 */
	for (; idle > 0 && count > left; idle -= PAGE_REPORTING_DRAIN) {
		count = shrink_pcp_pages(zone, pcp, min(idle, PAGE_REPORTING_DRAIN));
		cond_resched();
	}

	seen->reporting_count = count;
	seen->reporting_allocated = allocated;

	return count > 2 * batch;
}

/*
 * Free memory on per-cpu lists is out of reach of a pass, and nothing takes it from
 * there as long as nothing is freed or wanted.
 */
static bool page_reporting_drain(void)
{
	unsigned long due = page_reporting_drained +
			    max(PAGE_REPORTING_DRAIN_TICKS * page_reporting_tick(),
				(unsigned long)PAGE_REPORTING_DRAIN_LEAST);
	struct zone *zone;
	bool more = false;
	int cpu;

	if (time_in_range_open(jiffies, page_reporting_drained, due))
		return READ_ONCE(page_reporting_long_lists);

	page_reporting_drained = jiffies;
	WRITE_ONCE(page_reporting_long_lists, false);
	/* The lists of a zone that has no memory left are freed. */
	get_online_mems();
	for_each_populated_zone(zone) {
		for_each_online_cpu(cpu) {
			bool isolated;

			rcu_read_lock();
			isolated = cpu_is_isolated(cpu);
			rcu_read_unlock();
			/* Not to be disturbed: its lists are its own. */
			if (!isolated)
				more |= page_reporting_drain_cpu(zone, cpu);
		}
	}
	put_online_mems();
	if (more)
		WRITE_ONCE(page_reporting_long_lists, true);

	return READ_ONCE(page_reporting_long_lists);
}

static void page_reporting_process(struct work_struct *work)
{
	struct page_reporting_pass pass = {
		.prdev = container_of(to_delayed_work(work),
				      struct page_reporting_dev_info, work),
	};
	atomic_t *state = &pass.prdev->state;
	int err = -ENOMEM, tickets;
	bool again, idle, late = false;
	unsigned int deferred;

	WRITE_ONCE(pass.prdev->busy, true);
	pass.capacity = pass.prdev->capacity;

	/* Requests that this makes are for the pass that is about to start. */
	again = page_reporting_drain();

	/*
	 * A plain store loses no request. State is REQUESTED here, or IDLE until
	 * a request comes if this is a pass too many, and only the worker leaves
	 * REQUESTED, so it overwrites nothing else. A request that came
	 * before it was made under zone->lock, after its block was on the list.
	 * The pass has yet to take that lock, so it will see the block. A request
	 * that comes after it makes the state REQUESTED again. There is no second
	 * pass that could have ended meanwhile, and unregister leaves the state
	 * alone.
	 */
	atomic_set(state, PAGE_REPORTING_ACTIVE);
	/*
	 * A change of the order is not made under zone->lock: see its setter. Nor
	 * is a ticket drawn under it: either it is seen here, or who has drawn it
	 * sees that the pass has started, and requests another one. And who has hidden
	 * the device either sees it busy, or that is seen before it is given anything.
	 */
	smp_mb();
	tickets = atomic_read(&page_reporting_tickets);
	pass.full = tickets != page_reporting_served;

	pass.order = READ_ONCE(page_reporting_order);
	pass.sgl = kmalloc_array(pass.capacity, sizeof(*pass.sgl), GFP_KERNEL);
	if (pass.sgl) {
		sg_init_table(pass.sgl, pass.capacity);
		page_reporting_alloc_zones();
		/* Those who want a report now say nothing about what is needed. */
		if (!pass.full && page_reporting_look_is_due())
			page_reporting_look(pass.order);
		if (pass.full && !page_reporting_left)
			page_reporting_left = page_reporting_all(pass.order);
		pass.until = jiffies + PAGE_REPORTING_TIME;
		err = page_reporting_all_zones(&pass);
		/* The device may be gone when this returns. */
		timer_delete_sync(&pass.prdev->watch);
		WRITE_ONCE(page_reporting_silent, false);
		/* A device may fail with that, too. */
		if (pass.late && err == -ETIME) {
			err = 0;
			late = !pass.full || page_reporting_all(pass.order);
			pass.more |= late;
		}
		again |= !page_reporting_settled(pass.order);
	} else {
		page_reporting_defer_all();
	}
	kfree(pass.sgl);
	/* What may be used again soon, or the device has not taken, is for the next. */
	WRITE_ONCE(pass.prdev->failures, err ? pass.prdev->failures + 1 : 0);
	deferred = min(pass.prdev->deferred, PAGE_REPORTING_DEFER_MAX);
	pass.prdev->deferred = pass.short_zones ? deferred + 1 : 0;
	if (err || pass.more || again)
		page_reporting_request(pass.prdev, err ? "error" : "rest");
	/* More has come to a list than was on it, and may have taken its place. */
	if (!late || !pass.full || !page_reporting_left) {
		page_reporting_left = 0;
		page_reporting_serve(tickets, err ?: pass.short_zones || pass.more ?
				     -EAGAIN : 0);
	}

	/*
	 * Idle only if nothing was requested since the store above. Otherwise
	 * the state stays REQUESTED and the work is ours to queue. A pass goes on
	 * into the next one without the delay only if it had no time for more.
	 */
	rcu_read_lock();
	idle = atomic_cmpxchg(state, PAGE_REPORTING_ACTIVE, PAGE_REPORTING_IDLE) ==
	       PAGE_REPORTING_ACTIVE;
	/* Whoever has hidden the device since waits for this, and then cancels the work. */
	if (rcu_access_pointer(page_reporting_dev) == pass.prdev) {
		if (!idle)
			page_reporting_queue(pass.prdev,
					     late ? 0 : page_reporting_delay(pass.prdev));
		else if (pass.short_zones)
			/* Does nothing if a request has queued it meanwhile. */
			queue_delayed_work(page_reporting_wq, &pass.prdev->work,
					   page_reporting_backoff(deferred));
	} else {
		page_reporting_serve(atomic_read(&page_reporting_tickets), -ENODEV);
	}
	/* Nothing is with the device, nor will be: who has hidden it need not wait. */
	WRITE_ONCE(pass.prdev->busy, false);
	rcu_read_unlock();
	wake_up_all(&page_reporting_wait);
}

/*
 * Each block goes to the tail as it is done, and the list ends as it was before.
 * It is enough to do as many as there are of all types. Blocks that come to the
 * list meanwhile may leave as many others out of it, which keep their flag until
 * they have been in use: memory that the hypervisor gets back a little later.
 */
static void page_reporting_forget_list(struct zone *zone, unsigned int order,
				       int mt)
{
	struct list_head *list = &zone->free_area[order].free_list[mt];
	unsigned long todo;

	spin_lock_irq(&zone->lock);
	todo = zone->free_area[order].nr_free;
	while (todo-- && !list_empty(list)) {
		page_reporting_forget(list_first_entry(list, struct page, buddy_list),
				      zone, order);
		list_rotate_left(list);
		if (todo % PAGE_REPORTING_BLOCKS)
			continue;
		spin_unlock_irq(&zone->lock);
		cond_resched();
		spin_lock_irq(&zone->lock);
	}
	spin_unlock_irq(&zone->lock);
}

/*
 * Clear all flags: what they say was said to another device, or to another
 * hypervisor process. Blocks of any order may have one, since the reporting order
 * can have changed.
 */
static void page_reporting_forget_all(void)
{
	struct zone *zone;
	unsigned int order, mt;

	/* Before the lists are walked: what comes back after that finds it, under their lock. */
	atomic_inc(&page_reporting_forgotten);
	for_each_populated_zone(zone) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			for (mt = 0; mt < MIGRATE_TYPES; mt++)
				page_reporting_forget_list(zone, order, mt);
		}
		/* None of it was used. */
		spin_lock_irq(&zone->lock);
		if (zone->reporting) {
			zone->reporting->least = LONG_MAX;
			zone->reporting->lasting = LONG_MAX;
		}
		spin_unlock_irq(&zone->lock);
	}
}

static int page_reporting_order_set(const char *val,
				    const struct kernel_param *kp)
{
	unsigned int order;
	int err;

	err = kstrtouint(val, 0, &order);
	if (err)
		return err;
	if (order > MAX_PAGE_ORDER)
		return -EINVAL;

	/* All built-in parameters of the kernel wait for this one: it waits for nobody. */
	spin_lock(&page_reporting_lock);
	page_reporting_order_param = order;
	WRITE_ONCE(page_reporting_order, order);
	spin_unlock(&page_reporting_lock);
	/*
	 * Pairs with the one in page_reporting_process(): either the pass that
	 * starts sees the order, or the request sees that it has started.
	 */
	smp_mb();
	/* Blocks that were too small may be large enough now. */
	page_reporting_request_active("order");

	return 0;
}

static const struct kernel_param_ops page_reporting_order_ops = {
	.set = page_reporting_order_set,
	/* As a signed number, so that no order at all reads as -1 */
	.get = param_get_int,
};

module_param_cb(page_reporting_order, &page_reporting_order_ops,
		&page_reporting_order, 0644);
MODULE_PARM_DESC(page_reporting_order,
		 "Order of the smallest free blocks that are reported");

static int page_reporting_delay_set(const char *val,
				    const struct kernel_param *kp)
{
	unsigned int delay;
	int err;

	err = kstrtouint(val, 0, &delay);
	if (err)
		return err;

	WRITE_ONCE(page_reporting_delay_ms, delay);

	return 0;
}

static const struct kernel_param_ops page_reporting_delay_ops = {
	.set = page_reporting_delay_set,
	.get = param_get_uint,
};

module_param_cb(page_reporting_delay_ms, &page_reporting_delay_ops,
		&page_reporting_delay_ms, 0644);
MODULE_PARM_DESC(page_reporting_delay_ms,
		 "Milliseconds after which free memory is reported at the latest");

/* What the parameter asks for, else what the device does, else a pageblock */
static unsigned int page_reporting_resolve_order(unsigned int order)
{
	if (page_reporting_order_param != PAGE_REPORTING_ORDER_UNSPECIFIED)
		return page_reporting_order_param;
	if (order <= MAX_PAGE_ORDER)
		return order;

	return pageblock_order;
}

/* Tell the registered device, from now on, of what is free. */
static void page_reporting_start(const char *reason)
{
	struct page_reporting_dev_info *prdev = page_reporting_registered;

	lockdep_assert_held(&page_reporting_mutex);

	prdev->failures = 0;
	prdev->deferred = 0;
	/* Who found no device has left a ticket that nobody waits for. */
	page_reporting_left = 0;
	page_reporting_serve(atomic_read(&page_reporting_tickets), -ENODEV);
	/* Nobody else can see it: not published yet, or waited for since. */
	atomic_set(&prdev->state, PAGE_REPORTING_IDLE);
	/*
	 * In this order: a block that is freed before the device is seen by the
	 * free path is on its list before the first pass looks.
	 */
	rcu_assign_pointer(page_reporting_dev, prdev);
	page_reporting_request(prdev, reason);
}

static void page_reporting_set_registered(struct page_reporting_dev_info *prdev)
{
	spin_lock(&page_reporting_lock);
	page_reporting_registered = prdev;
	spin_unlock(&page_reporting_lock);
}

/*
 * Tell it no more, from the next batch on. One may still be with it, and its pass not have
 * ended. Flags stay as they are.
 */
static void page_reporting_hide(void)
{
	struct page_reporting_dev_info *prdev = page_reporting_active();

	if (!prdev)
		return;

	rcu_assign_pointer(page_reporting_dev, NULL);
	/* From here on, nobody makes a request, nor does the worker queue itself ... */
	synchronize_rcu();
	/* ... and nothing is about to queue it ... */
	irq_work_sync(&prdev->kick);
	/* ... so that it is not queued any more. */
	cancel_delayed_work(&prdev->work);
}

/* Wait for the batch that is with a device that is told no more. */
static void page_reporting_wait_for(struct page_reporting_dev_info *prdev)
{
	cancel_delayed_work_sync(&prdev->work);
	/* Who draws a ticket from here on finds no device. */
	page_reporting_serve(atomic_read(&page_reporting_tickets), -ENODEV);
}

/**
 * page_reporting_register() - start to report free pages to a device
 * @prdev: the device, with @report, @name, @order and @capacity filled in
 *
 * What is free already is reported with the next tick; or when reporting is enabled,
 * if it is not.
 * @prdev must stay in place until it is unregistered.
 *
 * Context: Process context. May sleep.
 * Return: 0, -EBUSY if a device is registered already, or -ENOMEM.
 */
int page_reporting_register(struct page_reporting_dev_info *prdev)
{
	unsigned int order;
	int err = -EBUSY;

	/* A block's size has to fit the length of a scatterlist entry. */
	BUILD_BUG_ON(MAX_PAGE_ORDER + PAGE_SHIFT >=
		     BITS_PER_BYTE * sizeof_field(struct scatterlist, length));

	mutex_lock(&page_reporting_mutex);
	if (page_reporting_registered)
		goto unlock;

	err = -ENOMEM;
	if (!page_reporting_wq)
		page_reporting_wq = alloc_workqueue("page_reporting",
						    WQ_UNBOUND | WQ_FREEZABLE, 1);
	if (!page_reporting_wq)
		goto unlock;

	if (!prdev->capacity || prdev->capacity > PAGE_REPORTING_CAPACITY)
		prdev->capacity = PAGE_REPORTING_CAPACITY;
	INIT_DELAYED_WORK(&prdev->work, page_reporting_process);
	timer_setup(&prdev->watch, page_reporting_slow, 0);
	prdev->slow = false;
	prdev->since = 0;
	/*
	 * Lazy: with the next tick. An interrupt of its own is lost if it is
	 * pending when the image of a hibernation is made: interrupts are
	 * disabled then, and the per-cpu lists are drained.
	 */
	prdev->kick = IRQ_WORK_INIT_LAZY(page_reporting_kick);
	spin_lock(&page_reporting_lock);
	order = page_reporting_resolve_order(prdev->order);
	WRITE_ONCE(page_reporting_order, order);
	spin_unlock(&page_reporting_lock);
	if (!page_reporting_memory) {
		page_reporting_memory = totalram_pages();
		page_reporting_balloon = global_node_page_state(NR_BALLOON_PAGES);
		page_reporting_policy_init(&page_reporting_policy, page_reporting_memory);
	}
	if (static_key_enabled(&page_reporting_enabled))
		page_reporting_forget_all();
	else
		static_branch_enable(&page_reporting_enabled);

	trace_page_reporting_register(page_reporting_name(prdev), order,
				      prdev->capacity);
	page_reporting_set_registered(prdev);
	if (page_reporting_wanted)
		page_reporting_start("register");

	pr_info("reporting free blocks of order %u and above to %s\n", order,
		page_reporting_name(prdev));
	err = 0;
unlock:
	mutex_unlock(&page_reporting_mutex);
	return err;
}
EXPORT_SYMBOL_GPL(page_reporting_register);

/**
 * page_reporting_unregister() - stop to report free pages to a device
 * @prdev: the device; nothing is done if it is not the one registered
 *
 * Waits for the batch that is with the device, if there is one. On return
 * @prdev->report() does not run, will not be called again, and no block is with
 * the device.
 *
 * Blocks that were reported keep their flag until the next device registers,
 * which is told of them again.
 *
 * Context: Process context, but not from @prdev->report(). Sleeps.
 */
void page_reporting_unregister(struct page_reporting_dev_info *prdev)
{
	mutex_lock(&page_reporting_mutex);
	if (page_reporting_registered == prdev) {
		page_reporting_hide();
		page_reporting_wait_for(prdev);
		page_reporting_set_registered(NULL);
		trace_page_reporting_unregister(page_reporting_name(prdev));
	}
	mutex_unlock(&page_reporting_mutex);
}
EXPORT_SYMBOL_GPL(page_reporting_unregister);

/*
 * What was said may have been said to another hypervisor process, or of memory that the host
 * has filled since. It is said again then. If it still holds that is for nothing: that is
 * rare, and cheap for memory that the hypervisor has already.
 */
static void page_reporting_anew(const char *reason)
{
	if (!static_key_enabled(&page_reporting_enabled))
		return;

	page_reporting_forget_all();
	page_reporting_request_active(reason);
}

/*
 * A machine that was restored from an image of its memory: in any case a kernel has run in its
 * free memory that loaded the image. When the attempt has failed nothing has changed.
 */
static int page_reporting_pm_event(struct notifier_block *nb,
				   unsigned long event, void *unused)
{
	if (event != PM_POST_HIBERNATION)
		return NOTIFY_DONE;

	page_reporting_anew("hibernation");

	return NOTIFY_OK;
}

static void page_reporting_forked(struct work_struct *work)
{
	page_reporting_anew("vmfork");
}

static DECLARE_WORK(page_reporting_fork_work, page_reporting_forked);

/*
 * A machine that was cloned, or restored from a snapshot by its hypervisor, which says so: on
 * some machines in an interrupt, where lists are too long to be walked.
 */
static int page_reporting_vm_fork(struct notifier_block *nb, unsigned long event, void *unused)
{
	schedule_work(&page_reporting_fork_work);

	return NOTIFY_OK;
}

static struct notifier_block page_reporting_vm_fork_nb = {
	.notifier_call = page_reporting_vm_fork,
};

/*
 * No process is killed for memory that comes back by itself: it is free when the device has
 * answered. One that does not is not waited for again and again. Called with oom_lock held:
 * all others that are out of memory wait for the same.
 */
static int page_reporting_oom(struct notifier_block *nb, unsigned long unused, void *freed)
{
	unsigned long batches = READ_ONCE(page_reporting_batches);
	unsigned long out = READ_ONCE(page_reporting_out);

	if (out && !READ_ONCE(page_reporting_silent) &&
	    wait_event_timeout(page_reporting_wait,
			       batches != READ_ONCE(page_reporting_batches) ||
			       !READ_ONCE(page_reporting_out), PAGE_REPORTING_SLOW))
		*(unsigned long *)freed += out;

	return NOTIFY_OK;
}

static struct notifier_block page_reporting_oom_nb = {
	.notifier_call = page_reporting_oom,
};

#ifdef CONFIG_SYSFS
/*
 * Those whose pass has reported nothing for so long are told so, and the pass goes on. A
 * hypervisor takes some milliseconds for a batch of 64 MiB.
 */
#define PAGE_REPORTING_NOW_TIMEOUT	(60 * HZ)

/* Have a pass start as soon as it can. Return: 0, or a negative error code. */
static int page_reporting_hurry(void)
{
	struct page_reporting_dev_info *prdev;

	rcu_read_lock();
	prdev = rcu_dereference(page_reporting_dev);
	if (prdev) {
		/*
		 * Whether or not another request has queued it, or is about to:
		 * that would be with the delay.
		 */
		page_reporting_requested(prdev, "now");
		page_reporting_queue(prdev, 0);
	}
	rcu_read_unlock();

	return prdev ? 0 : -ENODEV;
}

static bool page_reporting_is_served(int ticket)
{
	/* Pairs with the release in page_reporting_serve(): the result is there. */
	return smp_load_acquire(&page_reporting_served) - ticket >= 0;
}

/*
 * Report all that is free now, and wait until that is done. It is a pass of the
 * worker, which goes on when the wait is over before it.
 */
static int page_reporting_now(void)
{
	unsigned long batches;
	int ticket, err;
	long left;

	/* Free, but on no free list: per-cpu lists are the last that have it. */
	drain_all_pages(NULL);

	/* Fully ordered: the state is looked at, and changed, after that. */
	ticket = atomic_inc_return(&page_reporting_tickets);
	err = page_reporting_hurry();
	if (err)
		return err;

	do {
		batches = READ_ONCE(page_reporting_batches);
		left = wait_event_interruptible_timeout(page_reporting_wait,
							page_reporting_is_served(ticket),
							PAGE_REPORTING_NOW_TIMEOUT);
	} while (!left && batches != READ_ONCE(page_reporting_batches));
	if (left <= 0)
		return left ?: -ETIMEDOUT;

	return READ_ONCE(page_reporting_result);
}

static ssize_t report_now_store(struct kobject *kobj, struct kobj_attribute *attr,
				const char *buf, size_t len)
{
	bool now;

	if (kstrtobool(buf, &now) || !now)
		return -EINVAL;

	return page_reporting_now() ?: len;
}

static struct kobj_attribute report_now_attr = __ATTR_WO(report_now);

/* For agents that know of a clone, a migration or a snapshot which nobody else tells of. */
static ssize_t forget_store(struct kobject *kobj, struct kobj_attribute *attr,
			    const char *buf, size_t len)
{
	bool forget;

	if (kstrtobool(buf, &forget) || !forget)
		return -EINVAL;

	page_reporting_anew("forget");

	return len;
}

static struct kobj_attribute forget_attr = __ATTR_WO(forget);

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(page_reporting_wanted));
}

/* For someone who may have enough of waiting. Return: 0 or -ERESTARTSYS. */
static int page_reporting_wait_for_interruptible(struct page_reporting_dev_info *prdev)
{
	if (wait_event_interruptible(page_reporting_wait, !READ_ONCE(prdev->busy)))
		return -ERESTARTSYS;
	page_reporting_wait_for(prdev);

	return 0;
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t len)
{
	struct page_reporting_dev_info *prdev;
	bool wanted;
	int err = 0;

	if (kstrtobool(buf, &wanted))
		return -EINVAL;

	if (mutex_lock_interruptible(&page_reporting_mutex))
		return -ERESTARTSYS;
	prdev = page_reporting_registered;
	if (!wanted)
		WRITE_ONCE(page_reporting_wanted, false);
	if (prdev && !wanted)
		page_reporting_hide();
	/* Whoever stopped it before may not have waited. */
	if (prdev && !page_reporting_active())
		err = page_reporting_wait_for_interruptible(prdev);
	/* Who is interrupted before it could be resumed has not resumed it. */
	if (!err)
		WRITE_ONCE(page_reporting_wanted, wanted);
	if (prdev && wanted && !err && !page_reporting_active())
		page_reporting_start("enable");
	mutex_unlock(&page_reporting_mutex);

	return err ?: len;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);

/* What the parameters say and take, where administrators look for it. */
static ssize_t order_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%d\n", (int)READ_ONCE(page_reporting_order));
}

static ssize_t order_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t len)
{
	return page_reporting_order_set(buf, NULL) ?: len;
}

static struct kobj_attribute order_attr = __ATTR_RW(order);

static ssize_t delay_ms_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(page_reporting_delay_ms));
}

static ssize_t delay_ms_store(struct kobject *kobj, struct kobj_attribute *attr,
			      const char *buf, size_t len)
{
	return page_reporting_delay_set(buf, NULL) ?: len;
}

static struct kobj_attribute delay_ms_attr = __ATTR_RW(delay_ms);

static ssize_t device_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	struct page_reporting_dev_info *prdev;
	ssize_t len;

	spin_lock(&page_reporting_lock);
	prdev = page_reporting_registered;
	len = sysfs_emit(buf, "%s\n", prdev ? page_reporting_name(prdev) : "none");
	spin_unlock(&page_reporting_lock);

	return len;
}

static struct kobj_attribute device_attr = __ATTR_RO(device);

static ssize_t capacity_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	struct page_reporting_dev_info *prdev;
	ssize_t len;

	spin_lock(&page_reporting_lock);
	prdev = page_reporting_registered;
	len = sysfs_emit(buf, "%u\n", prdev ? prdev->capacity : 0);
	spin_unlock(&page_reporting_lock);

	return len;
}

static struct kobj_attribute capacity_attr = __ATTR_RO(capacity);

static ssize_t busy_ms_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	struct page_reporting_dev_info *prdev;
	ssize_t len;

	spin_lock(&page_reporting_lock);
	prdev = page_reporting_registered;
	len = sysfs_emit(buf, "%u\n", prdev ? page_reporting_busy_ms(prdev) : 0);
	spin_unlock(&page_reporting_lock);

	return len;
}

static struct kobj_attribute busy_ms_attr = __ATTR_RO(busy_ms);

/* Of each order, whether it is reported or not: how small would help? */
static ssize_t unreported_show(struct kobject *kobj, struct kobj_attribute *attr,
			       char *buf)
{
	unsigned long blocks[NR_PAGE_ORDERS] = {};
	unsigned int order;
	struct zone *zone;
	int len = 0;

	for_each_populated_zone(zone) {
		spin_lock_irq(&zone->lock);
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			blocks[order] += page_reporting_blocks(zone, order);
		spin_unlock_irq(&zone->lock);
	}

	for (order = 0; order < NR_PAGE_ORDERS; order++)
		len += sysfs_emit_at(buf, len, "%lu%c", blocks[order],
				     order == MAX_PAGE_ORDER ? '\n' : ' ');

	return len;
}

static struct kobj_attribute unreported_attr = __ATTR_RO(unreported);

static struct attribute *page_reporting_attrs[] = {
	&enabled_attr.attr,
	&order_attr.attr,
	&delay_ms_attr.attr,
	&device_attr.attr,
	&capacity_attr.attr,
	&busy_ms_attr.attr,
	&unreported_attr.attr,
	&report_now_attr.attr,
	&forget_attr.attr,
	NULL
};

static const struct attribute_group page_reporting_group = {
	.name = "page_reporting",
	.attrs = page_reporting_attrs,
};

/* Under /sys/kernel/mm. See Documentation/ABI/testing/sysfs-kernel-mm-page_reporting. */
static void __init page_reporting_sysfs_init(void)
{
	int err = sysfs_create_group(mm_kobj, &page_reporting_group);

	if (err)
		pr_err("no files in sysfs: error %d\n", err);
}
#else /* !CONFIG_SYSFS */
static inline void page_reporting_sysfs_init(void)
{
}
#endif /* CONFIG_SYSFS */

static int __init page_reporting_init(void)
{
	int err;

	pm_notifier(page_reporting_pm_event, 0);
	err = register_random_vmfork_notifier(&page_reporting_vm_fork_nb);
	if (err)
		pr_warn("a clone of this machine is not noticed: error %d\n", err);
	register_oom_notifier(&page_reporting_oom_nb);
	page_reporting_sysfs_init();

	return 0;
}
subsys_initcall(page_reporting_init);

#ifdef CONFIG_PAGE_REPORTING_KUNIT_TEST
#include "tests/page_reporting_kunit.c"
#endif
