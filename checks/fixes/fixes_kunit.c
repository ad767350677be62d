// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducers: one test for each fault that a patch of 0-mainline-fixes fixes.
 *
 * The check `fixes` puts this file into mm/tests/ of the plain and of the fixed kernel.
 * Each test has a boot of its own, so that one that ends in a deadlock ends no other.
 *
 * Tests of the core register a device of their own. Tests of the driver give it a
 * virtio device that is a part of this file: its queues are real, and what reads them
 * is device_answer().
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/page-isolation.h>
#include <linux/page_reporting.h>
#include <linux/poison.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <trace/events/timer.h>

#include "../internal.h"
#include "../page_alloc.h"
#include "../page_reporting.h"

/* Long enough for what happens at all. */
#define LONG_MS		20000

/* Wait for a condition: whether it came. */
#define comes(condition, ms)						\
({									\
	int _left = (ms) / 5;						\
									\
	while (!(condition) && _left-- > 0)				\
		msleep(5);						\
	(condition);							\
})

/* A device of the core, with nothing behind it */

static struct {
	struct page_reporting_dev_info prdev;
	unsigned long blocks;
	/* Called in report() for each block. */
	void (*each)(struct page *page, unsigned int order);
} core;

static int core_report(struct page_reporting_dev_info *prdev,
		       struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i) {
		core.blocks++;
		if (core.each)
			core.each(sg_page(sg), get_order(sg->length));
	}
	return 0;
}

static bool core_idle(void)
{
	return !atomic_read(&core.prdev.state) &&
	       !delayed_work_pending(&core.prdev.work);
}

/* Reports all that is free and returns when that is done. */
static void core_register(struct kunit *test,
			  void (*each)(struct page *page, unsigned int order))
{
	memset(&core, 0, sizeof(core));
	core.prdev.report = core_report;
	core.prdev.order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	core.each = each;
	KUNIT_ASSERT_EQ(test, page_reporting_register(&core.prdev), 0);
	KUNIT_ASSERT_TRUE(test, comes(core_idle(), LONG_MS));
}

static void core_unregister(void *unused)
{
	page_reporting_unregister(&core.prdev);
}

/* 1. A pageblock that the kernel uses one half of is not made movable. */

static struct page *watched;
static bool watched_reported;

static void watch(struct page *page, unsigned int order)
{
	if (watched >= page && watched < page + (1UL << order))
		watched_reported = true;
}

/* With page_reporting_order=8, half a pageblock. */
static void migratetype(struct kunit *test)
{
	unsigned int half = pageblock_order - 1;
	struct page *page;

	KUNIT_ASSERT_EQ(test, page_reporting_order, half);
	page = alloc_pages(GFP_KERNEL, pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, get_pageblock_migratetype(page), MIGRATE_UNMOVABLE);
	/* The first half stays in use. */
	watched = page + (1UL << half);
	set_page_refcounted(watched);
	__free_pages(watched, half);

	core_register(test, watch);
	core_unregister(NULL);
	KUNIT_EXPECT_TRUE(test, watched_reported);
	KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(page), MIGRATE_UNMOVABLE);
	__free_pages(page, half);
}

/* 2. A pageblock that is isolated while its block is with the device stays isolated. */

static unsigned long isolated_pfn;

static void isolate_half(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page) + pageblock_nr_pages;

	if (isolated_pfn || order <= pageblock_order)
		return;
	/* What virtio-mem and CMA do: they want the second half only. */
	if (!start_isolate_page_range(pfn, pfn + pageblock_nr_pages,
				      PB_ISOLATE_MODE_OTHER))
		isolated_pfn = pfn;
}

static void isolation(struct kunit *test)
{
	unsigned long end;
	struct page *page;

	core_register(test, isolate_half);
	core_unregister(NULL);
	KUNIT_ASSERT_NE(test, isolated_pfn, 0);
	end = isolated_pfn + pageblock_nr_pages;
	page = pfn_to_page(isolated_pfn);
	KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(page), MIGRATE_ISOLATE);
	/* It is free, so that all of it is isolated now. */
	KUNIT_EXPECT_EQ(test, test_pages_isolated(isolated_pfn, end,
						  PB_ISOLATE_MODE_OTHER), 0);
	/* And the block on the other list ends before it. */
	page -= pageblock_nr_pages;
	KUNIT_EXPECT_FALSE(test, PageBuddy(page) && buddy_order(page) > pageblock_order);
	undo_isolate_page_range(isolated_pfn, end);
}

/*
 * 3. memory_failure() marks a page without zone->lock. While blocks are reported and
 * used in turns, that mark must stay.
 */

/* See hooks.patch. */
int page_flags_stretch;

static struct page *poisoned;
static bool poison_stop;
static unsigned long poison_back, poison_lost, poison_set;

/*
 * The first thing that memory_failure() does, and the last of unpoison_memory(). An
 * update that is lost is the one or the other.
 */
static int poisoner(void *unused)
{
	while (!READ_ONCE(poison_stop)) {
		if (TestSetPageHWPoison(poisoned))
			poison_back++;
		if (!TestClearPageHWPoison(poisoned))
			poison_lost++;
		if (!(++poison_set & 1023))
			cond_resched();
	}
	return 0;
}

static unsigned long poisoned_reports;

/* A block of two pageblocks, so that to isolate one of them splits it. */
static void pick_block(struct page *page, unsigned int order)
{
	if (!poisoned && order > pageblock_order)
		poisoned = page;
	poisoned_reports += page == poisoned;
}

static void hwpoison(struct kunit *test)
{
	struct task_struct *task;
	unsigned long end, pfn;

	core_register(test, pick_block);
	KUNIT_ASSERT_NOT_NULL(test, poisoned);
	pfn = page_to_pfn(poisoned);
	KUNIT_ASSERT_GT(test, num_online_cpus(), 1);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(0)), 0);
	task = kthread_run_on_cpu(poisoner, NULL, 1, "poisoner/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	end = jiffies + 3 * HZ;
	WRITE_ONCE(page_flags_stretch, 100000);
	while (time_before(jiffies, end) && !READ_ONCE(poison_lost)) {
		/* Takes the block off its list, and puts it back unflagged. */
		if (start_isolate_page_range(pfn, pfn + pageblock_nr_pages,
					     PB_ISOLATE_MODE_OTHER))
			continue;
		undo_isolate_page_range(pfn, pfn + pageblock_nr_pages);
		/* A pass without the wait for a worker */
		core.prdev.work.work.func(&core.prdev.work.work);
		cond_resched();
	}
	WRITE_ONCE(page_flags_stretch, 0);
	WRITE_ONCE(poison_stop, true);
	kthread_stop_put(task);
	core_unregister(NULL);
	kunit_info(test, "marked %lu times, reported %lu times; the mark was lost %lu times, and came back %lu times\n",
		   poison_set, poisoned_reports, poison_lost, poison_back);
	KUNIT_EXPECT_GT(test, poisoned_reports, 100);
	KUNIT_EXPECT_EQ(test, poison_lost, 0);
	KUNIT_EXPECT_EQ(test, poison_back, 0);
}

/*
 * 4. A BPF program frees a block by free_pages_nolock(), because it runs under a lock
 * that it does not know: here that of a timer base, from the tracepoint timer_start.
 */

static struct task_struct *nolock_task;
static struct page *nolock_page;
static unsigned int nolock_freed;

static void on_timer_start(void *data, struct timer_list *timer,
			   unsigned long bucket_expiry)
{
	struct page *page = nolock_page;

	if (current != nolock_task || !page)
		return;
	nolock_page = NULL;
	nolock_freed++;
	free_pages_nolock(page, pageblock_order - 1);
}

static void never(struct timer_list *timer)
{
}

static void nolock(struct kunit *test)
{
	static struct timer_list timer;
	struct page *page;

	core_register(test, NULL);
	page = alloc_pages(GFP_KERNEL, pageblock_order);
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* One half is free, so that the other one completes the block. */
	set_page_refcounted(page + pageblock_nr_pages / 2);
	__free_pages(page, pageblock_order - 1);
	page += pageblock_nr_pages / 2;
	KUNIT_ASSERT_TRUE(test, comes(core_idle(), LONG_MS));

	timer_setup(&timer, never, 0);
	nolock_task = current;
	nolock_page = page;
	KUNIT_ASSERT_EQ(test, register_trace_timer_start(on_timer_start, NULL), 0);
	mod_timer(&timer, jiffies + 1000 * HZ);
	unregister_trace_timer_start(on_timer_start, NULL);
	tracepoint_synchronize_unregister();
	timer_delete_sync(&timer);
	KUNIT_EXPECT_EQ(test, nolock_freed, 1);
	KUNIT_EXPECT_TRUE(test, comes(core_idle(), LONG_MS));
	core_unregister(NULL);
}

/*
 * 5. A free holds zone->lock. With DEBUG_OBJECTS, queueing work can mean to allocate
 * memory, for which that lock is needed.
 */

#define WORKS	1200

static void nothing(struct work_struct *work)
{
}

static void zone_lock(struct kunit *test)
{
	struct work_struct *works;
	struct page *page;
	unsigned int i;

	works = kunit_kcalloc(test, WORKS, sizeof(*works), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, works);
	core_register(test, NULL);
	for (i = 0; i < WORKS; i++) {
		/* One object less that is at hand. The first hundreds are. */
		INIT_WORK(&works[i], nothing);
		if (i < 600)
			continue;
		page = alloc_pages(GFP_KERNEL, pageblock_order);
		KUNIT_ASSERT_NOT_NULL(test, page);
		/* Nor is there a page without zone->lock. */
		drain_all_pages(NULL);
		__free_pages(page, pageblock_order);
		while (!core_idle())
			cond_resched();
	}
	core_unregister(NULL);
}

/* 6. The balloon driver and its virtio device */

#define FAKE_QUEUES	8

struct fake {
	struct virtio_device vdev;
	struct virtio_balloon_config config;
	struct device *root;
	u8 status;
	u64 features;
	struct virtqueue *vqs[FAKE_QUEUES];
	/* Queues that were deleted, and are kept to see who still uses them. */
	struct virtqueue *dead[2 * FAKE_QUEUES];
	unsigned int nr_dead;
	struct virtqueue *reporting;
	u16 answered;
	bool silent, fail_find_vqs;
	unsigned int ready_ms;
	unsigned int reports, early_reports, dead_kicks, resets;
	/* A block of the batch that is not answered */
	struct page *pending;
	bool free_before_reset;
	u32 poison_when_ready;
	struct completion released;
};

static struct fake fake;

static struct fake *to_fake(struct virtio_device *vdev)
{
	return container_of(vdev, struct fake, vdev);
}

static void fake_get(struct virtio_device *vdev, unsigned int offset, void *buf,
		     unsigned int len)
{
	memcpy(buf, (void *)&to_fake(vdev)->config + offset, len);
}

static void fake_set(struct virtio_device *vdev, unsigned int offset,
		     const void *buf, unsigned int len)
{
	memcpy((void *)&to_fake(vdev)->config + offset, buf, len);
}

static u8 fake_get_status(struct virtio_device *vdev)
{
	return to_fake(vdev)->status;
}

static void fake_set_status(struct virtio_device *vdev, u8 status)
{
	struct fake *f = to_fake(vdev);

	/* A hypervisor that takes its time */
	if (status & VIRTIO_CONFIG_S_DRIVER_OK) {
		msleep(f->ready_ms);
		f->poison_when_ready = le32_to_cpu(f->config.poison_val);
	}
	WRITE_ONCE(f->status, status);
}

/* The device forgets its configuration, as QEMU's does. */
static void fake_reset(struct virtio_device *vdev)
{
	struct fake *f = to_fake(vdev);

	f->resets++;
	if (f->pending && PageBuddy(f->pending))
		f->free_before_reset = true;
	f->pending = NULL;
	f->config.poison_val = 0;
	WRITE_ONCE(f->status, 0);
}

static u64 fake_get_features(struct virtio_device *vdev)
{
	return to_fake(vdev)->features;
}

static int fake_finalize_features(struct virtio_device *vdev)
{
	vring_transport_features(vdev);
	return 0;
}

static const char *fake_bus_name(struct virtio_device *vdev)
{
	return "fake";
}

/* The device acknowledges what is in the queue. */
static void device_answer(struct fake *f, struct virtqueue *vq)
{
	const struct vring *vring = virtqueue_get_vring(vq);
	u16 avail = le16_to_cpu((__force __le16)READ_ONCE(vring->avail->idx));

	while (f->answered != avail) {
		u16 slot = f->answered++ % vring->num;
		u16 head = le16_to_cpu((__force __le16)vring->avail->ring[slot]);

		vring->used->ring[slot].id = (__force __virtio32)cpu_to_le32(head);
		vring->used->ring[slot].len = 0;
		smp_store_release(&vring->used->idx,
				  (__force __virtio16)cpu_to_le16(f->answered));
	}
	f->pending = NULL;
	vring_interrupt(0, vq);
}

static bool fake_notify(struct virtqueue *vq)
{
	struct fake *f = to_fake(vq->vdev);
	const struct vring *vring = virtqueue_get_vring(vq);
	u16 head;

	if (vq != f->reporting) {
		f->dead_kicks++;
		f->answered = le16_to_cpu((__force __le16)vring->avail->idx) - 1;
		device_answer(f, vq);
		return true;
	}
	if (!(READ_ONCE(f->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		f->early_reports++;
	head = le16_to_cpu((__force __le16)vring->avail->ring[f->answered % vring->num]);
	f->pending = pfn_to_page(PHYS_PFN(le64_to_cpu((__force __le64)vring->desc[head].addr)));
	WRITE_ONCE(f->reports, f->reports + 1);
	if (!READ_ONCE(f->silent))
		device_answer(f, vq);
	return true;
}

static void fake_del_vqs(struct virtio_device *vdev)
{
	struct fake *f = to_fake(vdev);
	struct virtqueue *vq, *n;

	list_for_each_entry_safe(vq, n, &vdev->vqs, list) {
		if (f->nr_dead == ARRAY_SIZE(f->dead))
			break;
		list_del_init(&vq->list);
		f->dead[f->nr_dead++] = vq;
	}
	f->reporting = NULL;
}

static int fake_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
			 struct virtqueue *vqs[], struct virtqueue_info info[],
			 struct irq_affinity *desc)
{
	struct fake *f = to_fake(vdev);
	unsigned int i, index = 0;

	if (f->fail_find_vqs)
		return -ENOMEM;
	f->answered = 0;
	for (i = 0; i < nvqs; i++) {
		vqs[i] = NULL;
		if (!info[i].name)
			continue;
		vqs[i] = vring_create_virtqueue(index++, 64, PAGE_SIZE, vdev, true,
						false, false, fake_notify,
						info[i].callback, info[i].name);
		if (!vqs[i])
			return -ENOMEM;
		if (!strcmp(info[i].name, "reporting_vq"))
			f->reporting = vqs[i];
	}
	return 0;
}

static const struct virtio_config_ops fake_ops = {
	.get = fake_get,
	.set = fake_set,
	.get_status = fake_get_status,
	.set_status = fake_set_status,
	.reset = fake_reset,
	.find_vqs = fake_find_vqs,
	.del_vqs = fake_del_vqs,
	.get_features = fake_get_features,
	.finalize_features = fake_finalize_features,
	.bus_name = fake_bus_name,
};

static void fake_release(struct device *dev)
{
	complete(&fake.released);
}

static void fake_plug(struct kunit *test, u64 features)
{
	fake.features = features | BIT_ULL(VIRTIO_F_VERSION_1) |
			BIT_ULL(VIRTIO_BALLOON_F_REPORTING);
	init_completion(&fake.released);
	fake.root = root_device_register("fake-balloon");
	KUNIT_ASSERT_FALSE(test, IS_ERR(fake.root));
	fake.vdev.dev.parent = fake.root;
	fake.vdev.dev.release = fake_release;
	fake.vdev.config = &fake_ops;
	fake.vdev.id.device = VIRTIO_ID_BALLOON;
	fake.vdev.id.vendor = 1;
	KUNIT_ASSERT_EQ(test, register_virtio_device(&fake.vdev), 0);
	KUNIT_ASSERT_TRUE(test, fake.vdev.dev.driver);
	KUNIT_ASSERT_TRUE(test, virtio_has_feature(&fake.vdev, VIRTIO_BALLOON_F_REPORTING));
}

static void fake_unplug(void)
{
	unregister_virtio_device(&fake.vdev);
	wait_for_completion(&fake.released);
	while (fake.nr_dead)
		vring_del_virtqueue(fake.dead[--fake.nr_dead]);
	root_device_unregister(fake.root);
}

/* A free block is seen by the driver's worker, if it looks. */
static void make_work(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, MAX_PAGE_ORDER);
	msleep(1000);
}

static void sleep_and_wake(struct kunit *test, int expected)
{
	KUNIT_ASSERT_EQ(test, virtio_device_freeze(&fake.vdev), 0);
	KUNIT_ASSERT_EQ(test, virtio_device_restore(&fake.vdev), expected);
}

static void poison_val(struct kunit *test)
{
	u32 poison;

	memset(&poison, PAGE_POISON, sizeof(poison));
	fake_plug(test, BIT_ULL(VIRTIO_BALLOON_F_PAGE_POISON));
	KUNIT_ASSERT_TRUE(test, virtio_has_feature(&fake.vdev, VIRTIO_BALLOON_F_PAGE_POISON));
	KUNIT_ASSERT_EQ(test, fake.poison_when_ready, poison);
	sleep_and_wake(test, 0);
	/* Before DRIVER_OK, as the specification says */
	KUNIT_EXPECT_EQ(test, fake.poison_when_ready, poison);
	fake_unplug();
}

static void driver_ok(struct kunit *test)
{
	fake.ready_ms = 500;
	fake_plug(test, 0);
	KUNIT_EXPECT_TRUE(test, comes(READ_ONCE(fake.reports), LONG_MS));
	KUNIT_EXPECT_EQ(test, fake.early_reports, 0);
	fake_unplug();
}

static void failed_restore(struct kunit *test)
{
	fake_plug(test, 0);
	KUNIT_ASSERT_TRUE(test, comes(READ_ONCE(fake.reports), LONG_MS));
	msleep(500);
	fake.fail_find_vqs = true;
	sleep_and_wake(test, -ENOMEM);
	make_work(test);
	KUNIT_EXPECT_EQ(test, fake.dead_kicks, 0);
	fake_unplug();
}

/* Someone who waits for the driver to let go of the device */

static struct completion let_go;

static int do_remove(void *unused)
{
	unregister_virtio_device(&fake.vdev);
	complete(&let_go);
	return 0;
}

static int do_shutdown(void *unused)
{
	fake.vdev.dev.bus->shutdown(&fake.vdev.dev);
	complete(&let_go);
	return 0;
}

/* A device that has a batch and keeps it; break_it: as virtio_pci does if it is gone. */
static void stuck(struct kunit *test, int (*what)(void *), bool break_it,
		  unsigned int seconds)
{
	bool done;

	init_completion(&let_go);
	fake.silent = true;
	fake_plug(test, 0);
	KUNIT_ASSERT_TRUE(test, comes(READ_ONCE(fake.reports), LONG_MS));
	if (break_it)
		virtio_break_device(&fake.vdev);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(what, NULL, "let-go")));
	done = wait_for_completion_timeout(&let_go, seconds * HZ);
	KUNIT_EXPECT_TRUE(test, done);
	/* Before the reset the device may still write to what it was given. */
	KUNIT_EXPECT_FALSE(test, fake.free_before_reset);
}

static void remove_gone(struct kunit *test)
{
	stuck(test, do_remove, true, 5);
}

static void remove_silent(struct kunit *test)
{
	stuck(test, do_remove, false, 15);
}

static void shutdown_silent(struct kunit *test)
{
	stuck(test, do_shutdown, false, 15);
}

static struct kunit_case fixes_cases[] = {
	KUNIT_CASE(poison_val),
	KUNIT_CASE(hwpoison),
	KUNIT_CASE(isolation),
	KUNIT_CASE(migratetype),
	KUNIT_CASE(nolock),
	KUNIT_CASE(zone_lock),
	KUNIT_CASE(driver_ok),
	KUNIT_CASE(failed_restore),
	KUNIT_CASE(remove_gone),
	KUNIT_CASE(remove_silent),
	KUNIT_CASE(shutdown_silent),
	{}
};

static struct kunit_suite fixes_suite = {
	.name = "fixes",
	.test_cases = fixes_cases,
};
kunit_test_suite(fixes_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Reproducers of faults of free page reporting");
