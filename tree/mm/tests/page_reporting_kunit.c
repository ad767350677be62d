// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of free page reporting: a fake device, the real page allocator.
 *
 * Included by mm/page_reporting.c, to see what is static there. Passes are not
 * waited for but started with flush_delayed_work(), so a test takes no longer
 * than its work.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/vmstat.h>

/*
 * Large enough that nothing else in an idle kernel frees such blocks, and small
 * enough that there are many of them.
 */
#define TEST_ORDER	6

/* As many blocks of that order as make 1 GiB, which is what kunit.py boots. */
#define TEST_BLOCKS	4096UL

/* A block that the device was told of. */
struct seen_block {
	unsigned long pfn;
	unsigned int order;
};

/**
 * struct fake_device - a device that looks at what it is told
 * @prdev: what is registered
 * @test: the test that it belongs to
 * @seen: the blocks of all batches. Allocated beforehand: to allocate in the
 *	middle of a pass would split blocks that it has reported
 * @calls: number of batches
 * @blocks: number of blocks in them
 * @largest: number of blocks in the largest batch
 * @fail_at: number of the batch that fails, from 1; 0 for none
 * @buddy: half of a block, to be freed during a report, or NULL
 * @isolated: first pfn of a pageblock that was isolated during a report, or 0
 * @in_report: called from each report, or NULL
 * @reporting: is a report under way
 * @started: completed by the first report
 */
struct fake_device {
	struct page_reporting_dev_info prdev;
	struct kunit *test;
	struct seen_block *seen;
	unsigned int calls;
	unsigned long blocks;
	unsigned int largest;
	unsigned int fail_at;
	struct page *buddy;
	unsigned long isolated;
	void (*in_report)(struct fake_device *fake);
	bool reporting;
	struct completion started;
};

/* What a walk over all free lists finds. */
struct free_walk {
	unsigned long large;
	unsigned long reported;
	unsigned long stray;
	unsigned long wrong_zones;
};

/* The order of the block that was reported at this pfn, or -1. */
static int fake_saw(struct fake_device *fake, unsigned long pfn)
{
	unsigned long i;

	for (i = 0; i < min(fake->blocks, TEST_BLOCKS); i++) {
		if (fake->seen[i].pfn == pfn)
			return fake->seen[i].order;
	}

	return -1;
}

static void fake_check_entry(struct fake_device *fake, struct scatterlist *sg,
			     bool last)
{
	struct kunit *test = fake->test;
	struct page *page = sg_page(sg);
	unsigned long pfn = page_to_pfn(page);
	unsigned int order = get_order(sg->length);

	KUNIT_EXPECT_EQ(test, sg->offset, 0);
	KUNIT_EXPECT_EQ(test, sg->length, PAGE_SIZE << order);
	KUNIT_EXPECT_GE(test, order, page_reporting_order);
	KUNIT_EXPECT_TRUE(test, IS_ALIGNED(pfn, 1UL << order));
	KUNIT_EXPECT_FALSE(test, PageBuddy(page));
	KUNIT_EXPECT_FALSE(test, PageReported(page));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
	KUNIT_EXPECT_EQ(test, (bool)sg_is_last(sg), last);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, pfn), -1);

	if (fake->blocks < TEST_BLOCKS)
		fake->seen[fake->blocks] = (struct seen_block){ pfn, order };
	fake->blocks++;
}

static int fake_report(struct page_reporting_dev_info *prdev,
		       struct scatterlist *sgl, unsigned int nents)
{
	struct fake_device *fake = container_of(prdev, struct fake_device, prdev);
	struct kunit *test = fake->test;
	struct scatterlist *sg;
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, fake->reporting);
	fake->reporting = true;

	KUNIT_EXPECT_GT(test, nents, 0);
	KUNIT_EXPECT_LE(test, nents, prdev->capacity);
	for_each_sg(sgl, sg, nents, i) {
		KUNIT_EXPECT_PTR_EQ(test, page_zone(sg_page(sg)),
				    page_zone(sg_page(sgl)));
		fake_check_entry(fake, sg, i == nents - 1);
	}
	fake->calls++;
	fake->largest = max(fake->largest, nents);
	complete(&fake->started);
	if (fake->in_report)
		fake->in_report(fake);

	fake->reporting = false;

	return fake->calls == fake->fail_at ? -EIO : 0;
}

static void fake_reset(struct fake_device *fake)
{
	fake->calls = 0;
	fake->blocks = 0;
	fake->largest = 0;
	fake->fail_at = 0;
	fake->in_report = NULL;
	reinit_completion(&fake->started);
}

/* Run a pass now, and no other. */
static void run_pass(struct fake_device *fake)
{
	page_reporting_request(&fake->prdev);
	flush_delayed_work(&fake->prdev.work);
}

/* Run the passes that were requested, until there is nothing more to report. */
static void finish_passes(struct fake_device *fake)
{
	int most = 8;

	while (delayed_work_pending(&fake->prdev.work) && most--)
		flush_delayed_work(&fake->prdev.work);
	KUNIT_EXPECT_GE(fake->test, most, 0);
}

static void run_passes(struct fake_device *fake)
{
	page_reporting_request(&fake->prdev);
	finish_passes(fake);
}

static void walk_zone(struct zone *zone, struct free_walk *walk, bool forget)
{
	unsigned long free = 0;
	unsigned int order;
	struct page *page;
	int mt;

	spin_lock_irq(&zone->lock);
	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		unsigned long blocks = 0;

		for (mt = 0; mt < MIGRATE_TYPES; mt++) {
			list_for_each_entry(page, &zone->free_area[order].free_list[mt],
					    buddy_list) {
				blocks++;
				if (forget)
					ClearPageReported(page);
				if (order < page_reporting_order)
					walk->stray += PageReported(page);
				else
					walk->reported += PageReported(page);
			}
		}
		if (blocks != zone->free_area[order].nr_free)
			walk->wrong_zones++;
		if (order >= page_reporting_order)
			walk->large += blocks;
		free += blocks << order;
	}
	if (free != zone_page_state_snapshot(zone, NR_FREE_PAGES))
		walk->wrong_zones++;
	spin_unlock_irq(&zone->lock);
}

static struct free_walk walk_free_lists(bool forget)
{
	struct free_walk walk = {};
	struct zone *zone;

	for_each_populated_zone(zone)
		walk_zone(zone, &walk, forget);

	return walk;
}

/* Whatever a test did: no block was lost, none was counted twice. */
static void expect_lists_right(struct kunit *test)
{
	struct free_walk walk = walk_free_lists(false);

	KUNIT_EXPECT_EQ(test, walk.wrong_zones, 0);
	KUNIT_EXPECT_EQ(test, walk.stray, 0);
}

/* Each test begins with a device that is registered, and nothing reported. */
static int page_reporting_test_init(struct kunit *test)
{
	struct fake_device *fake;
	int err;

	fake = kunit_kzalloc(test, sizeof(*fake), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake);
	fake->seen = kunit_kcalloc(test, TEST_BLOCKS, sizeof(*fake->seen), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->seen);
	init_completion(&fake->started);
	fake->test = test;
	fake->prdev.report = fake_report;
	fake->prdev.order = TEST_ORDER;
	test->priv = fake;

	err = page_reporting_register(&fake->prdev);
	if (err == -EBUSY)
		kunit_skip(test, "a real device is registered");
	KUNIT_ASSERT_EQ(test, err, 0);

	return 0;
}

static void page_reporting_test_exit(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	if (!fake)
		return;
	page_reporting_unregister(&fake->prdev);
	expect_lists_right(test);
}

static void register_second_device_busy(struct kunit *test)
{
	struct page_reporting_dev_info other = { .report = fake_report };
	struct fake_device *fake = test->priv;

	KUNIT_EXPECT_EQ(test, page_reporting_register(&other), -EBUSY);
	KUNIT_EXPECT_EQ(test, page_reporting_register(&fake->prdev), -EBUSY);

	/* To unregister one that is not registered leaves the other alone. */
	page_reporting_unregister(&other);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(page_reporting_dev),
			    &fake->prdev);
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
}

static void register_finds_order(struct kunit *test)
{
	static const struct {
		unsigned int param, driver, order;
	} cases[] = {
		{ PAGE_REPORTING_ORDER_UNSET, 3, 3 },
		{ PAGE_REPORTING_ORDER_UNSET, MAX_PAGE_ORDER, MAX_PAGE_ORDER },
		{ PAGE_REPORTING_ORDER_UNSET, PAGE_REPORTING_ORDER_0, 0 },
		{ 0, 3, 0 },
		{ 5, PAGE_REPORTING_ORDER_0, 5 },
		{ MAX_PAGE_ORDER, 0, MAX_PAGE_ORDER },
		/* Last: the next device does not get what others have set. */
		{ PAGE_REPORTING_ORDER_UNSET, 0, UINT_MAX },
		{ PAGE_REPORTING_ORDER_UNSET, MAX_PAGE_ORDER + 1, UINT_MAX },
	};
	struct fake_device *fake = test->priv;
	unsigned int kept = page_reporting_order_param;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int order = cases[i].order;

		page_reporting_unregister(&fake->prdev);
		fake->prdev.order = cases[i].driver;
		page_reporting_order_param = cases[i].param;
		KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
		if (order == UINT_MAX)
			order = pageblock_order;
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_order, order,
				    "case %d", i);
	}
	page_reporting_order_param = kept;
}

static void param_order_refuses(struct kunit *test)
{
	static const char * const bad[] = { "-1", "x", "", " ", "1 2", "4294967296" };
	unsigned int kept = page_reporting_order_param;
	char beyond[12];
	int i;

	KUNIT_EXPECT_EQ(test, page_reporting_order_set("4\n", NULL), 0);
	snprintf(beyond, sizeof(beyond), "%d", MAX_PAGE_ORDER + 1);
	KUNIT_EXPECT_EQ(test, page_reporting_order_set(beyond, NULL), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_order_set(bad[i], NULL),
				    -EINVAL, "'%s'", bad[i]);
	KUNIT_EXPECT_EQ(test, page_reporting_order, 4);
	page_reporting_order_param = kept;
}

static void param_order_requests_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned int kept = page_reporting_order_param;

	run_passes(fake);
	cancel_delayed_work_sync(&fake->prdev.work);
	atomic_set(&fake->prdev.state, PAGE_REPORTING_IDLE);
	KUNIT_EXPECT_EQ(test, page_reporting_order_set("2", NULL), 0);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));
	page_reporting_order_param = kept;
}

static void param_delay_refuses(struct kunit *test)
{
	unsigned int kept = page_reporting_delay_ms;

	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("0", NULL), 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("3600000", NULL), 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("3600001", NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("-1", NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("99999999999", NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_ms, 3600000);
	page_reporting_delay_ms = kept;
}

static void pass_reports_all_once(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct free_walk walk;

	run_passes(fake);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_GT(test, fake->blocks, PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_EQ(test, fake->largest, PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_EQ(test, walk.reported, fake->blocks);

	/* There is nothing to say a second time. */
	fake_reset(fake);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
}

/* A pass leaves half of a long list to the next one. */
static void pass_leaves_half(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct free_walk walk;

	run_pass(fake);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_GT(test, walk.large, 2 * PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_LT(test, walk.reported, walk.large);
	KUNIT_EXPECT_GE(test, walk.reported, walk.large / 2);

	flush_delayed_work(&fake->prdev.work);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_EQ(test, walk.reported, walk.large);
	KUNIT_EXPECT_EQ(test, walk.reported, fake->blocks);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&fake->prdev.work));
}

static void pass_reports_what_came_back(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;

	run_passes(fake);
	fake_reset(fake);

	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_FALSE(test, PageReported(page));
	__free_pages(page, MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_FALSE(test, PageReported(page));

	run_passes(fake);
	KUNIT_EXPECT_EQ(test, fake->blocks, 1);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, PageReported(page));
}

/* What one device was told another one does not know. */
static void new_device_is_told_all(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	run_passes(fake);
	page_reporting_unregister(&fake->prdev);
	KUNIT_EXPECT_GT(test, walk_free_lists(false).reported, 0);

	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);
	fake_reset(fake);
	run_passes(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
}

static void all_is_new_after_hibernation(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	run_passes(fake);
	fake_reset(fake);
	page_reporting_pm_event(NULL, PM_POST_SUSPEND, NULL);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&fake->prdev.work));
	KUNIT_EXPECT_GT(test, walk_free_lists(false).reported, 0);

	page_reporting_pm_event(NULL, PM_POST_HIBERNATION, NULL);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));
	finish_passes(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
}

static void split_and_merge_forget(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned int order = TEST_ORDER;
	struct page *page, *rest;

	/* A block that is split: what stays free of it is not reported. */
	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, MAX_PAGE_ORDER);
	rest = page + (1 << order);
	__free_pages(rest, 0);
	KUNIT_EXPECT_FALSE(test, PageReported(rest));
	for (int i = 1; i < 1 << order; i++)
		__free_pages(rest + i, 0);
	drain_all_pages(NULL);
	KUNIT_EXPECT_TRUE(test, PageBuddy(rest));
	run_passes(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(rest));

	/* Its buddy is freed and merges with it: neither is reported as such. */
	for (int i = 0; i < 1 << order; i++)
		__free_pages(page + i, 0);
	drain_all_pages(NULL);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_EQ(test, buddy_order(page), order + 1);
	KUNIT_EXPECT_FALSE(test, PageReported(page));
	KUNIT_EXPECT_FALSE(test, PageReported(rest));

	for (int i = 2 << order; i < 1 << MAX_PAGE_ORDER; i++)
		__free_pages(page + i, 0);
	drain_all_pages(NULL);
}

static void free_buddy_in_report(struct fake_device *fake)
{
	if (!fake->buddy)
		return;
	__free_pages(fake->buddy, MAX_PAGE_ORDER - 1);
	fake->buddy = NULL;
	drain_all_pages(NULL);
}

/* A block's buddy is freed while the block is with the device. */
static void merge_at_putback_unflagged(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;

	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* Each half is freed on its own. */
	fake->buddy = page + (1 << (MAX_PAGE_ORDER - 1));
	set_page_refcounted(fake->buddy);
	run_passes(fake);
	fake_reset(fake);
	__free_pages(page, MAX_PAGE_ORDER - 1);
	drain_all_pages(NULL);

	fake->in_report = free_buddy_in_report;
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)),
			MAX_PAGE_ORDER - 1);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_EQ(test, buddy_order(page), MAX_PAGE_ORDER);
	KUNIT_EXPECT_FALSE(test, PageReported(page));

	/* The free has requested the pass that reports the whole. */
	fake_reset(fake);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, PageReported(page));
}

/* Of all pageblocks of one of the largest blocks. */
static void set_migratetype(struct page *page, int mt)
{
	unsigned long i;

	for (i = 0; i < MAX_ORDER_NR_PAGES; i += pageblock_nr_pages)
		set_pageblock_migratetype(page + i, mt);
}

/* What a pageblock may be used for is none of reporting's business. */
static void pass_keeps_migratetype(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;
	int mt;

	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	mt = get_pageblock_migratetype(page);
	set_migratetype(page, MIGRATE_RECLAIMABLE);
	__free_pages(page, MAX_PAGE_ORDER);

	run_passes(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(page));
	KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(page),
			MIGRATE_RECLAIMABLE);
	expect_lists_right(test);

	/* As it was: it is the one block of its type, so this takes it. */
	page = alloc_pages(GFP_KERNEL | __GFP_RECLAIMABLE, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	set_migratetype(page, mt);
	__free_pages(page, MAX_PAGE_ORDER);
}

static void capacity_bounds_batch(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	static const unsigned int capacities[][2] = {
		{ 1, 1 }, { 3, 3 }, { PAGE_REPORTING_CAPACITY, PAGE_REPORTING_CAPACITY },
		{ 0, PAGE_REPORTING_CAPACITY },
		{ PAGE_REPORTING_CAPACITY + 1, PAGE_REPORTING_CAPACITY },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		page_reporting_unregister(&fake->prdev);
		fake->prdev.capacity = capacities[i][0];
		KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
		fake_reset(fake);
		run_passes(fake);
		KUNIT_EXPECT_EQ(test, fake->largest, capacities[i][1]);
		KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
	}
}

/* The largest blocks of the zone that has most of them. */
static struct zone *find_large_list(int *mt)
{
	struct zone *zone, *found = NULL;
	size_t blocks, most = 0;
	int type;

	for_each_populated_zone(zone) {
		for (type = 0; type < MIGRATE_TYPES; type++) {
			blocks = list_count_nodes(&zone->free_area[MAX_PAGE_ORDER].free_list[type]);
			if (blocks > most) {
				most = blocks;
				found = zone;
				*mt = type;
			}
		}
	}

	return most > 2 ? found : NULL;
}

/* The next batch does not look again at what is reported. */
static void full_batch_rotates_list(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct scatterlist sgl[1];
	struct page_reporting_pass pass = {
		.prdev = &fake->prdev, .sgl = sgl, .capacity = 1, .todo = 2,
	};
	struct page *page, *next, *first;
	struct list_head *list;
	struct zone *zone;
	bool full;
	int mt;

	zone = find_large_list(&mt);
	KUNIT_ASSERT_NOT_NULL(test, zone);
	list = &zone->free_area[MAX_PAGE_ORDER].free_list[mt];
	sg_init_table(sgl, 1);

	/* All but the last two blocks are reported. */
	spin_lock_irq(&zone->lock);
	list_for_each_entry(page, list, buddy_list)
		SetPageReported(page);
	next = list_last_entry(list, struct page, buddy_list);
	page = list_prev_entry(next, buddy_list);
	ClearPageReported(page);
	ClearPageReported(next);
	full = page_reporting_fill(&pass, zone, MAX_PAGE_ORDER, mt);
	first = list_first_entry(list, struct page, buddy_list);
	page_reporting_putback(&pass, zone, false);
	spin_unlock_irq(&zone->lock);

	KUNIT_EXPECT_TRUE(test, full);
	KUNIT_EXPECT_PTR_EQ(test, sg_page(sgl), page);
	KUNIT_EXPECT_PTR_EQ(test, first, next);
}

static void error_ends_pass_unflagged(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long all;

	run_passes(fake);
	all = fake->blocks;
	walk_free_lists(true);
	fake_reset(fake);

	/* The second batch fails: the first one stays reported. */
	fake->fail_at = 2;
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake->calls, 2);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported,
			PAGE_REPORTING_CAPACITY);
	expect_lists_right(test);

	/* Another pass comes by itself, and has the rest to report. */
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));
	fake_reset(fake);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);
	KUNIT_EXPECT_EQ(test, fake->blocks, all - PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, all);
}

static void error_doubles_delay(struct kunit *test)
{
	unsigned long base = msecs_to_jiffies(page_reporting_delay_ms);
	unsigned int kept = page_reporting_delay_ms;
	struct fake_device *fake = test->priv;
	unsigned int i;

	for (i = 1; i <= PAGE_REPORTING_BACKOFF_MAX + 2; i++) {
		fake_reset(fake);
		fake->fail_at = 1;
		run_pass(fake);
		KUNIT_EXPECT_EQ(test, fake->calls, 1);
		KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev),
				base << min(i, PAGE_REPORTING_BACKOFF_MAX));
	}

	/* A delay of nothing grows as well, and one of an hour does not. */
	page_reporting_delay_ms = 0;
	KUNIT_EXPECT_GT(test, page_reporting_delay(&fake->prdev), 0);
	page_reporting_delay_ms = PAGE_REPORTING_DELAY_MAX;
	KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev),
			msecs_to_jiffies(PAGE_REPORTING_DELAY_MAX));
	page_reporting_delay_ms = kept;

	fake_reset(fake);
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev), base);
}

static void request_from_report(struct fake_device *fake)
{
	page_reporting_notify();
}

static void request_during_pass_not_lost(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	fake->in_report = request_from_report;
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));

	/* The passes end when nothing is requested any more. */
	fake_reset(fake);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&fake->prdev.work));
}

/* Isolate the second pageblock of the last block that was reported. */
static void isolate_half_in_report(struct fake_device *fake)
{
	unsigned long pfn = fake->seen[fake->blocks - 1].pfn + pageblock_nr_pages;

	if (fake->isolated || fake->seen[fake->blocks - 1].order <= pageblock_order)
		return;
	if (!start_isolate_page_range(pfn, pfn + pageblock_nr_pages,
				      MIGRATE_MOVABLE, 0, GFP_KERNEL))
		fake->isolated = pfn;
}

/* Each pageblock goes back to the list of its own. */
static void half_isolated_in_report(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page, *half;

	if (!IS_ENABLED(CONFIG_MEMORY_ISOLATION) || pageblock_order >= MAX_PAGE_ORDER)
		kunit_skip(test, "no block has two pageblocks, or none can be isolated");
	fake->in_report = isolate_half_in_report;
	run_pass(fake);
	KUNIT_ASSERT_NE(test, fake->isolated, 0);

	half = pfn_to_page(fake->isolated);
	page = half - pageblock_nr_pages;
	KUNIT_EXPECT_TRUE(test, is_migrate_isolate_page(half));
	KUNIT_EXPECT_TRUE(test, PageBuddy(half));
	KUNIT_EXPECT_EQ(test, buddy_order(half), pageblock_order);
	KUNIT_EXPECT_FALSE(test, PageReported(half));
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_EQ(test, buddy_order(page), pageblock_order);
	KUNIT_EXPECT_FALSE(test, PageReported(page));

	/* The one that is isolated is left alone, the other one is free. */
	fake_reset(fake);
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(half)), -1);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), pageblock_order);
	undo_isolate_page_range(fake->isolated, fake->isolated + pageblock_nr_pages,
				MIGRATE_MOVABLE);
}

static void free_requests_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;

	page = alloc_pages(GFP_KERNEL, TEST_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);

	__free_pages(page, TEST_ORDER);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));
}

static void short_zone_left_alone(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES];
	struct zone *zone;

	for_each_populated_zone(zone) {
		kept[zone_idx(zone)] = zone->_watermark[WMARK_LOW];
		zone->_watermark[WMARK_LOW] = zone_managed_pages(zone);
	}
	run_pass(fake);
	for_each_populated_zone(zone)
		zone->_watermark[WMARK_LOW] = kept[zone_idx(zone)];
	KUNIT_EXPECT_EQ(test, fake->calls, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);

	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 0);
}

/* Isolation fails in the middle of a list: what is in the batch gets out. */
static void isolation_stops_at_min_watermark(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES];
	struct zone *zone;

	for_each_populated_zone(zone) {
		kept[zone_idx(zone)] = zone->_watermark[WMARK_MIN];
		zone->_watermark[WMARK_MIN] =
			zone_page_state_snapshot(zone, NR_FREE_PAGES) -
			(4 << MAX_PAGE_ORDER);
	}
	run_pass(fake);
	for_each_populated_zone(zone)
		zone->_watermark[WMARK_MIN] = kept[zone_idx(zone)];
	KUNIT_EXPECT_GT(test, fake->calls, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
	expect_lists_right(test);
}

static void sleep_in_report(struct fake_device *fake)
{
	msleep(20);
}

static void unregister_waits_for_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned int calls;

	fake->in_report = sleep_in_report;
	page_reporting_request(&fake->prdev);
	mod_delayed_work(system_freezable_wq, &fake->prdev.work, 0);
	wait_for_completion(&fake->started);

	page_reporting_unregister(&fake->prdev);
	calls = fake->calls;
	/* The first batch, and one that may have begun just then. */
	KUNIT_EXPECT_LE(test, calls, 2);
	KUNIT_EXPECT_FALSE(test, fake->reporting);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&fake->prdev.work));
	expect_lists_right(test);

	/* Neither a free nor time brings a report. */
	page_reporting_notify();
	msleep(50);
	KUNIT_EXPECT_EQ(test, fake->calls, calls);
}

static struct kunit_case page_reporting_test_cases[] = {
	KUNIT_CASE(register_second_device_busy),
	KUNIT_CASE(register_finds_order),
	KUNIT_CASE(param_order_refuses),
	KUNIT_CASE(param_order_requests_pass),
	KUNIT_CASE(param_delay_refuses),
	KUNIT_CASE(pass_reports_all_once),
	KUNIT_CASE(pass_leaves_half),
	KUNIT_CASE(pass_reports_what_came_back),
	KUNIT_CASE(new_device_is_told_all),
	KUNIT_CASE(all_is_new_after_hibernation),
	KUNIT_CASE(split_and_merge_forget),
	KUNIT_CASE(merge_at_putback_unflagged),
	KUNIT_CASE(pass_keeps_migratetype),
	KUNIT_CASE(capacity_bounds_batch),
	KUNIT_CASE(full_batch_rotates_list),
	KUNIT_CASE(error_ends_pass_unflagged),
	KUNIT_CASE(error_doubles_delay),
	KUNIT_CASE(request_during_pass_not_lost),
	KUNIT_CASE(half_isolated_in_report),
	KUNIT_CASE(free_requests_pass),
	KUNIT_CASE(short_zone_left_alone),
	KUNIT_CASE(isolation_stops_at_min_watermark),
	KUNIT_CASE(unregister_waits_for_pass),
	{}
};

static struct kunit_suite page_reporting_test_suite = {
	.name = "page_reporting",
	.init = page_reporting_test_init,
	.exit = page_reporting_test_exit,
	.test_cases = page_reporting_test_cases,
};

kunit_test_suite(page_reporting_test_suite);
