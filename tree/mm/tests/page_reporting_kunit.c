// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of free page reporting: a fake device, the real page allocator.
 *
 * Included by mm/page_reporting.c, to see what is static there. Passes are not
 * waited for but started with flush_delayed_work(), so a test takes no longer
 * than its work.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/tracepoint.h>
#include <linux/vmstat.h>

/*
 * Large enough that nothing else in an idle kernel frees such blocks, and small
 * enough that there are many of them.
 */
#define TEST_ORDER	6

/* The delay of the kernel that is tested: page_reporting_test_init() */
static unsigned int test_delay_ms;

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
 *	middle of a pass would split blocks that it has reported. NULL if a
 *	block may come to be reported twice
 * @calls: number of batches
 * @blocks: number of blocks in them
 * @order: order of the last one
 * @pages: number of pages in those that did not fail
 * @largest: number of blocks in the largest batch
 * @shorts: number of batches with less than the device can take
 * @most_pages: number of pages in the batch that has most of them
 * @fail_at: number of the batch that fails, from 1; 0 for none
 * @error: how it fails
 * @buddy: half of a block, to be freed during a report, or NULL
 * @isolated: first pfn of a pageblock that was isolated during a report, or 0
 * @in_report: called from each report, or NULL
 * @random: what random steps know of the memory, or NULL
 * @reporting: is a report under way
 * @started: completed by the first report
 */
struct fake_device {
	struct page_reporting_dev_info prdev;
	struct kunit *test;
	struct seen_block *seen;
	unsigned int calls;
	unsigned long blocks;
	unsigned int order;
	unsigned long pages;
	unsigned int largest;
	unsigned int shorts;
	unsigned long most_pages;
	unsigned int fail_at;
	int error;
	struct page *buddy;
	unsigned long isolated;
	void (*in_report)(struct fake_device *fake);
	struct random_run *random;
	bool reporting;
	struct completion started;
};

/* What a walk over all free lists finds. */
struct free_walk {
	unsigned long large;
	unsigned long largest;
	unsigned long reported;
	unsigned long stray;
	unsigned long wrong_zones;
};

/* The order of the block that was reported at this pfn, or -1. */
static int fake_saw(struct fake_device *fake, unsigned long pfn)
{
	unsigned long i;

	if (!fake->seen)
		return -1;
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

	if (fake->seen && fake->blocks < TEST_BLOCKS)
		fake->seen[fake->blocks] = (struct seen_block){ pfn, order };
	fake->blocks++;
	fake->order = order;
}

static int fake_report(struct page_reporting_dev_info *prdev,
		       struct scatterlist *sgl, unsigned int nents)
{
	struct fake_device *fake = container_of(prdev, struct fake_device, prdev);
	struct kunit *test = fake->test;
	unsigned long pages = 0;
	struct scatterlist *sg;
	unsigned int i;

	KUNIT_EXPECT_FALSE(test, fake->reporting);
	fake->reporting = true;

	/* A device may sleep: no zone->lock is held. */
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	might_sleep();

	KUNIT_EXPECT_GT(test, nents, 0);
	KUNIT_EXPECT_LE(test, nents, prdev->capacity);
	for_each_sg(sgl, sg, nents, i) {
		KUNIT_EXPECT_PTR_EQ(test, page_zone(sg_page(sg)),
				    page_zone(sg_page(sgl)));
		fake_check_entry(fake, sg, i == nents - 1);
		pages += sg->length >> PAGE_SHIFT;
	}
	/* Only the last batch of a zone is short. */
	if (nents < prdev->capacity)
		fake->shorts++;
	fake->calls++;
	fake->largest = max(fake->largest, nents);
	fake->most_pages = max(fake->most_pages, pages);
	complete(&fake->started);
	if (fake->in_report)
		fake->in_report(fake);

	fake->reporting = false;
	if (fake->calls == fake->fail_at)
		return fake->error;
	fake->pages += pages;

	return 0;
}

static void fake_reset(struct fake_device *fake)
{
	fake->calls = 0;
	fake->blocks = 0;
	fake->pages = 0;
	fake->largest = 0;
	fake->shorts = 0;
	fake->most_pages = 0;
	fake->fail_at = 0;
	fake->error = -EIO;
	fake->in_report = NULL;
	reinit_completion(&fake->started);
}

/*
 * Is the work queued, or about to be? The free path leaves that to the next tick,
 * which does not come sooner for being waited for.
 */
static bool fake_pending(struct fake_device *fake)
{
	local_irq_disable();
	irq_work_run();
	local_irq_enable();
	irq_work_sync(&fake->prdev.kick);

	return delayed_work_pending(&fake->prdev.work);
}

/* As if a tick were over, and the lists of CPUs were to be looked at again */
static void let_tick(void)
{
	page_reporting_looked = jiffies + 1;
	page_reporting_drained = jiffies + 1;
}

/* As if all that is free had been free for long: the next pass takes it. */
static void let_age(struct fake_device *fake)
{
	struct zone *zone;
	int i;

	page_reporting_alloc_zones();
	for_each_populated_zone(zone) {
		KUNIT_ASSERT_NOT_NULL(fake->test, zone->reporting);
		spin_lock_irq(&zone->lock);
		zone->reporting->least = zone_managed_pages(zone);
		zone->reporting->lasting = zone_managed_pages(zone);
		spin_unlock_irq(&zone->lock);
	}
	for (i = 0; i < PAGE_REPORTING_PRICE; i++)
		page_reporting_policy.least[i] = page_reporting_policy.memory;
	let_tick();
}

/* Run the pass that was requested as if a tick were over, and no other. */
static void run_tick(struct fake_device *fake)
{
	let_tick();
	flush_delayed_work(&fake->prdev.work);
}

/* Run a pass now, and no other, over what has been free for long. */
static void run_look(struct fake_device *fake)
{
	if (!fake_pending(fake))
		page_reporting_request(&fake->prdev, "test");
	run_tick(fake);
}

/* The same, over all that is free. */
static void run_pass(struct fake_device *fake)
{
	let_age(fake);
	run_look(fake);
}

/* Run the passes that were requested, until there is nothing more to report. */
static void finish_passes(struct fake_device *fake)
{
	int most = 8;

	/* One that runs is not pending, and may be about to request the next. */
	flush_work(&fake->prdev.work.work);
	while (fake_pending(fake) && most--) {
		let_age(fake);
		run_tick(fake);
	}
	KUNIT_EXPECT_GE(fake->test, most, 0);
}

static void run_passes(struct fake_device *fake)
{
	if (!fake_pending(fake))
		page_reporting_request(&fake->prdev, "test");
	finish_passes(fake);
}

static void walk_zone(struct zone *zone, struct free_walk *walk, bool forget)
{
	unsigned long free = 0, free_cma = 0, free_reported = 0;
	unsigned int order;
	struct page *page;
	int mt;

	spin_lock_irq(&zone->lock);
	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		unsigned long blocks = 0, reported = 0;

		for (mt = 0; mt < MIGRATE_TYPES; mt++) {
			list_for_each_entry(page, &zone->free_area[order].free_list[mt],
					    buddy_list) {
				blocks++;
				if (!is_migrate_isolate(mt))
					free += 1UL << order;
				if (is_migrate_cma(mt))
					free_cma += 1UL << order;
				if (forget)
					page_reporting_forget(page, zone, order);
				reported += PageReported(page);
			}
		}
		if (blocks != zone->free_area[order].nr_free ||
		    reported != zone->nr_reported[order])
			walk->wrong_zones++;
		free_reported += reported << order;
		if (order < page_reporting_order)
			walk->stray += reported;
		else
			walk->reported += reported;
		if (order >= page_reporting_order)
			walk->large += blocks;
		if (order == MAX_PAGE_ORDER)
			walk->largest += blocks;
	}
	if (free != zone_page_state_snapshot(zone, NR_FREE_PAGES) ||
	    free_cma != zone_page_state_snapshot(zone, NR_FREE_CMA_PAGES) ||
	    free_reported != zone_page_state_snapshot(zone, NR_FREE_REPORTED))
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

/* What a counter says of all zones, with what is still kept per CPU. */
static unsigned long counted(enum zone_stat_item item)
{
	unsigned long sum = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		sum += zone_page_state_snapshot(zone, item);

	return sum;
}

/* Whatever a test did: no block was lost, none was counted twice. */
static void expect_lists_right(struct kunit *test)
{
	struct free_walk walk = walk_free_lists(false);

	KUNIT_EXPECT_EQ(test, walk.wrong_zones, 0);
	KUNIT_EXPECT_EQ(test, walk.stray, 0);
}

static int isolate_range(unsigned long start, unsigned long end)
{
	return start_isolate_page_range(start, end, PB_ISOLATE_MODE_OTHER);
}

static void unisolate_range(unsigned long start, unsigned long end)
{
	undo_isolate_page_range(start, end);
}

/* One of the largest blocks, in pieces that are freed one by one. */
static struct page *alloc_in_pieces(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (i = 1 << TEST_ORDER; i < MAX_ORDER_NR_PAGES; i += 1 << TEST_ORDER)
		set_page_refcounted(page + i);

	return page;
}

/* Every other piece, from this one on: they do not merge before all are free. */
static void free_pieces(struct page *page, int first)
{
	int i;

	for (i = first << TEST_ORDER; i < MAX_ORDER_NR_PAGES; i += 2 << TEST_ORDER)
		__free_pages(page + i, TEST_ORDER);
}

/* Blocks of this order, and the same between them that is kept: see below. */
#define SPARE_ORDER	3

static struct page *spare_pages;

/*
 * The device that was registered when the tests began. It takes its turn again
 * after them, so that it must not go away meanwhile.
 */
static struct page_reporting_dev_info *real_device;

/*
 * The rest of the kernel may need a few pages while a test runs. Have small
 * blocks for it, which cannot merge, so that it need not split one that the test
 * counts, nor free what makes one.
 */
static int page_reporting_suite_init(struct kunit_suite *suite)
{
	unsigned long i;

	spare_pages = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	if (!spare_pages)
		return -ENOMEM;
	for (i = 0; i < MAX_ORDER_NR_PAGES; i += pageblock_nr_pages)
		set_pageblock_migratetype(spare_pages + i, MIGRATE_UNMOVABLE);
	split_page(spare_pages, MAX_PAGE_ORDER);
	for (i = 0; i < MAX_ORDER_NR_PAGES; i++) {
		if (i & (1 << SPARE_ORDER))
			__free_page(spare_pages + i);
	}
	drain_all_pages(NULL);

	mutex_lock(&page_reporting_mutex);
	real_device = page_reporting_registered;
	mutex_unlock(&page_reporting_mutex);
	if (real_device)
		page_reporting_unregister(real_device);

	return 0;
}

static void page_reporting_suite_exit(struct kunit_suite *suite)
{
	unsigned long i;

	for (i = 0; spare_pages && i < MAX_ORDER_NR_PAGES; i++) {
		if (!(i & (1 << SPARE_ORDER)))
			__free_page(spare_pages + i);
	}
	if (real_device && page_reporting_register(real_device))
		pr_err("%s is not told of free memory any more\n",
		       page_reporting_name(real_device));
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
	fake->error = -EIO;
	fake->prdev.report = fake_report;
	fake->prdev.order = TEST_ORDER;
	test->priv = fake;
	page_reporting_policy_init(&page_reporting_policy, totalram_pages());
	/* Tests count passes: none is to come that they do not wait for. */
	test_delay_ms = page_reporting_delay_ms;
	page_reporting_delay_ms = UINT_MAX;

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
	page_reporting_wanted = true;
	page_reporting_delay_ms = test_delay_ms;
	/* The guest has learnt nothing from fake devices. */
	page_reporting_policy_init(&page_reporting_policy, totalram_pages());
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
		{ PAGE_REPORTING_ORDER_UNSPECIFIED, 3, 3 },
		{ PAGE_REPORTING_ORDER_UNSPECIFIED, MAX_PAGE_ORDER, MAX_PAGE_ORDER },
		{ PAGE_REPORTING_ORDER_UNSPECIFIED, 0, 0 },
		{ 0, 3, 0 },
		{ 5, 0, 5 },
		{ MAX_PAGE_ORDER, PAGE_REPORTING_ORDER_UNSPECIFIED, MAX_PAGE_ORDER },
		/* Last: the next device does not get what others have set. */
		{ PAGE_REPORTING_ORDER_UNSPECIFIED, PAGE_REPORTING_ORDER_UNSPECIFIED, UINT_MAX },
		{ PAGE_REPORTING_ORDER_UNSPECIFIED, MAX_PAGE_ORDER + 1, UINT_MAX },
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
	/* 4294967295 is how "no order" is stored: nobody can ask for that. */
	static const char * const bad[] = {
		"-1", "4294967295",
		"x", "", " ", "\n", " 4", "4 ", "1 2", "1,2", "4x", "0x", "1.5", "9\n\n",
	};
	static const char * const large[] = { "4294967296", "18446744073709551616" };
	unsigned int kept = page_reporting_order_param;
	char beyond[12];
	int i;

	KUNIT_EXPECT_EQ(test, page_reporting_order_set("4\n", NULL), 0);
	for (i = MAX_PAGE_ORDER + 1; i <= 4 * MAX_PAGE_ORDER; i++) {
		snprintf(beyond, sizeof(beyond), "%d", i);
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_order_set(beyond, NULL),
				    -EINVAL, "'%s'", beyond);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_order_set(bad[i], NULL),
				    -EINVAL, "'%s'", bad[i]);
	for (i = 0; i < ARRAY_SIZE(large); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_order_set(large[i], NULL),
				    -ERANGE, "'%s'", large[i]);
	KUNIT_EXPECT_EQ(test, page_reporting_order, 4);
	KUNIT_EXPECT_EQ(test, page_reporting_order_param, 4);
	page_reporting_order_param = kept;
}

/* Each order that there is, and the form in which it is read. */
static void param_order_takes(struct kunit *test)
{
	static const char * const formats[] = { "%d", "%d\n", "+%d", "0x%x", "0%o" };
	const struct kernel_param kp = { .arg = &page_reporting_order };
	unsigned int kept = page_reporting_order_param;
	int i, j, read;
	char *text;

	text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	for (i = 0; i <= MAX_PAGE_ORDER; i++) {
		for (j = 0; j < ARRAY_SIZE(formats); j++) {
			snprintf(text, PAGE_SIZE, formats[j], i);
			KUNIT_EXPECT_EQ_MSG(test, page_reporting_order_set(text, NULL),
					    0, "'%s'", text);
			KUNIT_EXPECT_EQ(test, page_reporting_order, i);
			KUNIT_EXPECT_EQ(test, page_reporting_order_param, i);
		}
		page_reporting_order_ops.get(text, &kp);
		KUNIT_EXPECT_EQ(test, kstrtoint(text, 10, &read), 0);
		KUNIT_EXPECT_EQ(test, read, i);
	}

	page_reporting_order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	page_reporting_order_ops.get(text, &kp);
	KUNIT_EXPECT_STREQ(test, text, "-1\n");
	page_reporting_order = TEST_ORDER;
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
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	page_reporting_order_param = kept;
}

static void param_delay_refuses(struct kunit *test)
{
	static const char * const bad[] = {
		"-1", "x", "", " ", "\n", " 10", "10 ", "1 2", "1.5", "10ms", "2s", "0x",
	};
	static const char * const large[] = { "4294967296", "18446744073709551616" };
	unsigned int kept = page_reporting_delay_ms;
	int i;

	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("3600000\n", NULL), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_delay_set(bad[i], NULL),
				    -EINVAL, "'%s'", bad[i]);
	for (i = 0; i < ARRAY_SIZE(large); i++)
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_delay_set(large[i], NULL),
				    -ERANGE, "'%s'", large[i]);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_ms, 3600000);
	page_reporting_delay_ms = kept;
}

/* Any number, as nothing depends on an upper limit. */
static void param_delay_takes(struct kunit *test)
{
	unsigned int kept = page_reporting_delay_ms;

	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("0", NULL), 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_ms, 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_set("4294967295\n", NULL), 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_ms, UINT_MAX);
	page_reporting_delay_ms = kept;
}

/* All zones have so many free pages above their min watermark. */
static void raise_min_watermarks(unsigned long *kept, unsigned long spare)
{
	struct zone *zone;

	for_each_populated_zone(zone) {
		unsigned long free = zone_page_state_snapshot(zone, NR_FREE_PAGES);

		kept[zone_idx(zone)] = zone->_watermark[WMARK_MIN];
		zone->_watermark[WMARK_MIN] = free - min(free, spare);
	}
}

static void restore_min_watermarks(unsigned long *kept)
{
	struct zone *zone;

	for_each_populated_zone(zone)
		zone->_watermark[WMARK_MIN] = kept[zone_idx(zone)];
}

static void outlast_pass(struct fake_device *fake)
{
	msleep(jiffies_to_msecs(PAGE_REPORTING_TIME) + 30);
}

static void sleep_in_report(struct fake_device *fake)
{
	msleep(20);
}

#ifdef CONFIG_SYSFS
/* What a file says. */
static const char *shown(struct kunit *test, struct kobj_attribute *attr)
{
	char *page = kunit_kzalloc(test, 2 * PAGE_SIZE, GFP_KERNEL);
	char *buf = PTR_ALIGN(page, PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, attr->show(mm_kobj, attr, buf), strlen(buf));

	return buf;
}

static ssize_t stored(struct kobj_attribute *attr, const char *text)
{
	return attr->store(mm_kobj, attr, text, strlen(text));
}

/* They are other names for the parameters. */
static void files_are_parameters(struct kunit *test)
{
	const struct kernel_param order = { .arg = &page_reporting_order };
	const struct kernel_param delay = { .arg = &page_reporting_delay_ms };
	unsigned int kept_order = page_reporting_order_param;
	unsigned int kept_delay = page_reporting_delay_ms;
	char *text;

	text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	KUNIT_EXPECT_EQ(test, stored(&order_attr, "3\n"), 2);
	page_reporting_order_ops.get(text, &order);
	KUNIT_EXPECT_STREQ(test, text, "3\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &order_attr), "3\n");
	KUNIT_EXPECT_EQ(test, stored(&order_attr, "99"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stored(&order_attr, ""), -EINVAL);
	KUNIT_EXPECT_EQ(test, page_reporting_order, 3);

	KUNIT_EXPECT_EQ(test, stored(&delay_ms_attr, "1500"), 4);
	page_reporting_delay_ops.get(text, &delay);
	KUNIT_EXPECT_STREQ(test, text, "1500\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &delay_ms_attr), "1500\n");
	KUNIT_EXPECT_EQ(test, stored(&delay_ms_attr, "-1"), -EINVAL);
	KUNIT_EXPECT_EQ(test, page_reporting_delay_ms, 1500);

	page_reporting_order = PAGE_REPORTING_ORDER_UNSPECIFIED;
	KUNIT_EXPECT_STREQ(test, shown(test, &order_attr), "-1\n");
	page_reporting_order = TEST_ORDER;
	page_reporting_order_param = kept_order;
	page_reporting_delay_ms = kept_delay;
}

static void files_name_device(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	KUNIT_EXPECT_STREQ(test, shown(test, &device_attr), "unnamed\n");
	page_reporting_unregister(&fake->prdev);
	KUNIT_EXPECT_STREQ(test, shown(test, &device_attr), "none\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &capacity_attr), "0\n");

	fake->prdev.name = "fake";
	fake->prdev.capacity = 7;
	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
	KUNIT_EXPECT_STREQ(test, shown(test, &device_attr), "fake\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &capacity_attr), "7\n");
}

static void file_stops_and_resumes(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;

	run_passes(fake);
	fake_reset(fake);
	KUNIT_EXPECT_STREQ(test, shown(test, &enabled_attr), "1\n");
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "2"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "0\n"), 2);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, ""), -EINVAL);
	KUNIT_EXPECT_STREQ(test, shown(test, &enabled_attr), "0\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &device_attr), "unnamed\n");

	/* What was reported still is; nothing is said of what is freed. */
	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, MAX_PAGE_ORDER);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	KUNIT_EXPECT_GT(test, walk_free_lists(false).reported, 0);
	KUNIT_EXPECT_EQ(test, page_reporting_order_set("6", NULL), 0);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	expect_lists_right(test);

	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	/* To resume what runs changes nothing. */
	fake->prdev.failures = 1;
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	KUNIT_EXPECT_EQ(test, fake->prdev.failures, 1);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, fake->blocks, 1);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), MAX_PAGE_ORDER);
	page_reporting_order_param = PAGE_REPORTING_ORDER_UNSPECIFIED;
}

/* A device can come and go while reporting is stopped. */
static void stopped_device_comes_and_goes(struct kunit *test)
{
	struct page_reporting_dev_info other = { .report = fake_report };
	struct fake_device *fake = test->priv;

	run_passes(fake);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "0"), 1);
	KUNIT_EXPECT_EQ(test, page_reporting_register(&other), -EBUSY);
	page_reporting_unregister(&fake->prdev);
	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	/* All is new to it, whenever it is told. */
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);

	fake_reset(fake);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	finish_passes(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
}

/* As for unregister: no report is under way when it has returned. */
static void stop_waits_for_batch(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	fake->in_report = sleep_in_report;
	let_age(fake);
	page_reporting_request(&fake->prdev, "test");
	mod_delayed_work(page_reporting_wq, &fake->prdev.work, 0);
	wait_for_completion(&fake->started);

	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "0"), 1);
	KUNIT_EXPECT_LE(test, fake->calls, 2);
	KUNIT_EXPECT_FALSE(test, fake->reporting);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
}

/* Have the device keep the first batch until that. */
static DECLARE_COMPLETION(answer);

static void keep_batch(struct fake_device *fake)
{
	wait_for_completion(&answer);
	complete_all(&answer);
}

static void start_pass_kept(struct fake_device *fake)
{
	reinit_completion(&answer);
	fake->in_report = keep_batch;
	let_age(fake);
	page_reporting_request(&fake->prdev, "test");
	mod_delayed_work(page_reporting_wq, &fake->prdev.work, 0);
	wait_for_completion(&fake->started);
}

static struct completion stopping, stopped;

static int stop_and_be_interrupted(void *result)
{
	allow_signal(SIGINT);
	complete(&stopping);
	*(ssize_t *)result = stored(&enabled_attr, "0");
	complete(&stopped);

	return 0;
}

/*
 * As long as a device keeps a batch: who stops reporting can be interrupted, and nobody else
 * waits, neither for the device nor for the one who stops it.
 */
static void nobody_waits_for_device(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct task_struct *task;
	ssize_t result = 0;

	init_completion(&stopping);
	init_completion(&stopped);
	start_pass_kept(fake);
	task = kthread_run(stop_and_be_interrupted, &result, "kunit_stop");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wait_for_completion(&stopping);
	msleep(50);

	KUNIT_EXPECT_FALSE(test, completion_done(&stopped));
	KUNIT_EXPECT_TRUE(test, mutex_is_locked(&page_reporting_mutex));
	KUNIT_EXPECT_EQ(test, page_reporting_order_set("7", NULL), 0);
	KUNIT_EXPECT_STREQ(test, shown(test, &device_attr), "unnamed\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &capacity_attr), "32\n");
	KUNIT_EXPECT_STREQ(test, shown(test, &enabled_attr), "0\n");
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -ENODEV);
	page_reporting_pm_event(NULL, PM_POST_HIBERNATION, NULL);

	send_sig(SIGINT, task, 0);
	KUNIT_EXPECT_GT(test, wait_for_completion_timeout(&stopped, 10 * HZ), 0);
	KUNIT_EXPECT_EQ(test, result, -ERESTARTSYS);
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, fake->calls, 1);
	KUNIT_EXPECT_TRUE(test, fake->prdev.busy);

	/* It goes on only when the device has answered, with no batch meanwhile. */
	complete_all(&answer);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	KUNIT_EXPECT_EQ(test, fake->calls, 1);
	fake_reset(fake);
	fake->seen = NULL;
	finish_passes(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 0);
	page_reporting_order_param = PAGE_REPORTING_ORDER_UNSPECIFIED;
	page_reporting_order = TEST_ORDER;
	expect_lists_right(test);
}

/* Nor is what a device had at that time: it may have been told before. */
static void forget_during_batch(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	fake->seen = NULL;
	start_pass_kept(fake);
	KUNIT_EXPECT_EQ(test, stored(&forget_attr, "1"), 1);
	fake->fail_at = 2;
	complete_all(&answer);
	flush_delayed_work(&fake->prdev.work);
	KUNIT_EXPECT_EQ(test, fake->calls, 2);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);

	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, walk_free_lists(false).large);
	expect_lists_right(test);
}

static void answer_soon(struct work_struct *work)
{
	msleep(100);
	complete_all(&answer);
}

static DECLARE_WORK(answer_work, answer_soon);

/* What a device has comes back: no process is killed before it does. */
static void oom_waits_for_batch(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long freed = 0, start;

	page_reporting_oom(NULL, 0, &freed);
	KUNIT_EXPECT_EQ(test, freed, 0);

	start_pass_kept(fake);
	schedule_work(&answer_work);
	page_reporting_oom(NULL, 0, &freed);
	KUNIT_EXPECT_GE(test, freed, 16 << TEST_ORDER);
	KUNIT_EXPECT_LE(test, freed, fake->most_pages);
	KUNIT_EXPECT_TRUE(test, completion_done(&answer));
	finish_passes(fake);

	/* But not for one that is known not to answer. */
	walk_free_lists(true);
	fake_reset(fake);
	fake->seen = NULL;
	start_pass_kept(fake);
	fake->prdev.since = (jiffies - PAGE_REPORTING_SLOW) | 1;
	page_reporting_slow(&fake->prdev.watch);
	start = jiffies;
	freed = 0;
	page_reporting_oom(NULL, 0, &freed);
	KUNIT_EXPECT_EQ(test, freed, 0);
	KUNIT_EXPECT_LT(test, jiffies - start, HZ);
	complete_all(&answer);
	finish_passes(fake);
	KUNIT_EXPECT_FALSE(test, page_reporting_silent);
	expect_lists_right(test);
}

/* It is seen how long a device keeps a batch, and said once. */
static void slow_device_is_named(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long due;

	KUNIT_EXPECT_STREQ(test, shown(test, &busy_ms_attr), "0\n");
	start_pass_kept(fake);
	/* A pass is watched, */
	KUNIT_EXPECT_TRUE(test, timer_pending(&fake->prdev.watch));
	due = fake->prdev.watch.expires - jiffies;
	KUNIT_EXPECT_LE(test, due, PAGE_REPORTING_SLOW);
	KUNIT_EXPECT_GT(test, due, PAGE_REPORTING_SLOW / 2);
	/* and as if that much time had gone by, it is said; */
	fake->prdev.since = (jiffies - PAGE_REPORTING_SLOW) | 1;
	KUNIT_EXPECT_GE(test, page_reporting_busy_ms(&fake->prdev), 4900);
	KUNIT_EXPECT_STRNEQ(test, shown(test, &busy_ms_attr), "0\n");
	KUNIT_EXPECT_FALSE(test, fake->prdev.slow);
	mod_timer(&fake->prdev.watch, jiffies);
	msleep(50);
	KUNIT_EXPECT_TRUE(test, fake->prdev.slow);

	complete_all(&answer);
	finish_passes(fake);
	KUNIT_EXPECT_STREQ(test, shown(test, &busy_ms_attr), "0\n");
	/* and a device that has answered, or has nothing, is not watched. */
	KUNIT_EXPECT_FALSE(test, timer_pending(&fake->prdev.watch));
	fake->prdev.slow = false;
	page_reporting_slow(&fake->prdev.watch);
	KUNIT_EXPECT_FALSE(test, fake->prdev.slow);
	page_reporting_unregister(&fake->prdev);
	KUNIT_EXPECT_STREQ(test, shown(test, &busy_ms_attr), "0\n");
}

/* What was reported is reported again, once for each time that is asked for. */
static void file_forgets(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long reported;
	int i;

	KUNIT_EXPECT_EQ(test, stored(&forget_attr, "0"), -EINVAL);
	KUNIT_EXPECT_EQ(test, stored(&forget_attr, "x"), -EINVAL);
	run_passes(fake);
	reported = walk_free_lists(false).reported;
	for (i = 0; i < 2; i++) {
		fake_reset(fake);
		if (i) {
			page_reporting_vm_fork(NULL, 0, NULL);
			flush_work(&page_reporting_fork_work);
		} else {
			KUNIT_EXPECT_EQ(test, stored(&forget_attr, "1\n"), 2);
		}
		KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);
		/* By itself, and at once: none of it was used. */
		KUNIT_EXPECT_TRUE(test, fake_pending(fake));
		run_tick(fake);
		run_tick(fake);
		KUNIT_EXPECT_GE(test, fake->blocks, reported - 1);
		finish_passes(fake);
	}

	/* With no device there is nothing to do. */
	page_reporting_unregister(&fake->prdev);
	KUNIT_EXPECT_EQ(test, stored(&forget_attr, "1"), 1);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);
}

/* All in one pass, and without the delay. */
static void now_reports_all(struct kunit *test)
{
	unsigned int kept = page_reporting_delay_ms;
	struct fake_device *fake = test->priv;
	struct free_walk walk;
	unsigned long tick;

	page_reporting_delay_ms = UINT_MAX;
	page_reporting_request(&fake->prdev, "test");
	tick = page_reporting_policy.tick;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1\n"), 2);
	page_reporting_delay_ms = kept;
	walk = walk_free_lists(false);
	KUNIT_EXPECT_GT(test, walk.large, 2 * PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_EQ(test, walk.reported, walk.large);
	KUNIT_EXPECT_EQ(test, walk.reported, fake->blocks);
	/* It says nothing about what is needed. */
	KUNIT_EXPECT_EQ(test, page_reporting_policy.tick, tick);

	/* The device was idle, and has been told all. */
	run_tick(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state), PAGE_REPORTING_IDLE);
	fake_reset(fake);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "y"), 1);
	KUNIT_EXPECT_EQ(test, fake->calls, 0);
}

/* However slow the device: what has been asked for is done, in as many passes as it takes. */
static void now_takes_its_time(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct free_walk walk;

	fake->in_report = outlast_pass;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), 1);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_EQ(test, walk.reported, walk.large);
	KUNIT_EXPECT_GT(test, fake->calls, 3);
	KUNIT_EXPECT_EQ(test, page_reporting_left, 0);
}

/* As if all memory was used and freed meanwhile. Not for ever, or a test may not end. */
static void use_all_in_pass(struct fake_device *fake)
{
	outlast_pass(fake);
	if (fake->calls < 40)
		page_reporting_forget_all();
}

/* Nor is it kept up for ever by memory that comes free all the time. */
static void now_ends_though_more_comes(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long all = page_reporting_all(TEST_ORDER);

	fake->seen = NULL;
	fake->in_report = use_all_in_pass;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -EAGAIN);
	fake->in_report = NULL;
	KUNIT_EXPECT_GE(test, fake->pages, all / 2);
	KUNIT_EXPECT_LE(test, fake->pages, all + 2 * fake->most_pages);
}

static void now_refuses(struct kunit *test)
{
	static const char * const bad[] = { "0", "n", "2", "", "\n", "-1", " 1" };
	struct fake_device *fake = test->priv;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, stored(&report_now_attr, bad[i]), -EINVAL,
				    "'%s'", bad[i]);
	KUNIT_EXPECT_EQ(test, fake->calls, 0);

	fake->seen = NULL;
	fake->fail_at = 2;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -EIO);
	KUNIT_EXPECT_EQ(test, fake->calls, 2);
	/* It has failed, so the delay is a longer one now. That is no reason to wait. */
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), 1);
	KUNIT_EXPECT_EQ(test, fake->prdev.failures, 0);

	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "0"), 1);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -ENODEV);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	page_reporting_unregister(&fake->prdev);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -ENODEV);
}

static void now_says_that_memory_is_short(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES];

	raise_min_watermarks(kept, 0);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -EAGAIN);
	restore_min_watermarks(kept);
	KUNIT_EXPECT_EQ(test, fake->calls, 0);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), 1);
	KUNIT_EXPECT_GT(test, fake->calls, 0);
}

/* More than other lists have of that order: a pass may look at as many more. */
static struct page *come_in_report[8];

/* When the pass has come to their list, and is not done with it. */
static void free_pieces_in_report(struct fake_device *fake)
{
	int i;

	if (fake->order != TEST_ORDER)
		return;
	for (i = 0; i < ARRAY_SIZE(come_in_report); i++)
		free_pieces(come_in_report[i], 0);
	fake->in_report = NULL;
}

/* What comes to a list may be taken instead of what was on it when asked. */
static void now_says_that_more_has_come(struct kunit *test)
{
	struct page *pages[6];
	struct fake_device *fake = test->priv;
	int i;

	/* More than a batch of them, so that the list is not done after one. */
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = alloc_in_pieces(test);
	for (i = 0; i < ARRAY_SIZE(come_in_report); i++)
		come_in_report[i] = alloc_in_pieces(test);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_pieces(pages[i], 0);

	fake->in_report = free_pieces_in_report;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -EAGAIN);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), 1);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported,
			walk_free_lists(false).large);

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_pieces(pages[i], 1);
	for (i = 0; i < ARRAY_SIZE(come_in_report); i++)
		free_pieces(come_in_report[i], 1);
}

/* Somebody else who writes to report_now, and what that returned */
struct now_work {
	struct work_struct work;
	struct page *page;
	ssize_t result;
};

static void write_now(struct work_struct *work)
{
	struct now_work *now = container_of(work, struct now_work, work);

	now->result = stored(&report_now_attr, "1");
}

static struct now_work *now_work;

/* When the pass is past it, a block is freed, and is to be reported now. */
static void write_now_in_report(struct fake_device *fake)
{
	int tickets = atomic_read(&page_reporting_tickets);

	if (fake->calls != 3)
		return;
	__free_pages(now_work->page, TEST_ORDER);
	schedule_work(&now_work->work);
	while (atomic_read(&page_reporting_tickets) == tickets ||
	       !fake_pending(fake))
		usleep_range(1000, 2000);
}

static void now_is_served_by_next_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct now_work now = {
		.page = alloc_pages(GFP_KERNEL, TEST_ORDER),
	};
	int served = page_reporting_served;

	KUNIT_ASSERT_NOT_NULL(test, now.page);
	INIT_WORK_ONSTACK(&now.work, write_now);
	now_work = &now;
	fake->seen = NULL;
	fake->in_report = write_now_in_report;
	run_pass(fake);
	flush_work(&now.work);
	destroy_work_on_stack(&now.work);

	KUNIT_EXPECT_GT(test, fake->calls, 3);
	KUNIT_EXPECT_EQ(test, now.result, 1);
	KUNIT_EXPECT_EQ(test, page_reporting_served, served + 1);
	KUNIT_EXPECT_EQ(test, page_reporting_served,
			atomic_read(&page_reporting_tickets));
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported,
			walk_free_lists(false).large);
}

static void stop_in_report(struct fake_device *fake)
{
	if (fake->calls == 1)
		schedule_work(&now_work->work);
	msleep(20);
}

static void write_zero(struct work_struct *work)
{
	struct now_work *now = container_of(work, struct now_work, work);

	now->result = stored(&enabled_attr, "0");
}

/* A wait ends with the reporting, or with a signal; the pass does not with that. */
static void now_does_not_wait_for_ever(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct now_work stop = {};
	int ticket;

	INIT_WORK_ONSTACK(&stop.work, write_zero);
	now_work = &stop;
	fake->seen = NULL;
	fake->in_report = stop_in_report;
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -ENODEV);
	flush_work(&stop.work);
	destroy_work_on_stack(&stop.work);
	KUNIT_EXPECT_EQ(test, stop.result, 1);
	KUNIT_EXPECT_LE(test, fake->calls, 2);

	/* Someone whose pass was about to start, and does not any more */
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	ticket = atomic_inc_return(&page_reporting_tickets);
	KUNIT_EXPECT_FALSE(test, page_reporting_is_served(ticket));
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "0"), 1);
	KUNIT_EXPECT_TRUE(test, page_reporting_is_served(ticket));
	KUNIT_EXPECT_EQ(test, page_reporting_result, -ENODEV);

	fake_reset(fake);
	KUNIT_EXPECT_EQ(test, stored(&enabled_attr, "1"), 1);
	fake->in_report = sleep_in_report;
	set_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), -ERESTARTSYS);
	clear_thread_flag(TIF_SIGPENDING);
	fake->in_report = NULL;
	/* Its pass may still run, and queues the next one when it ends. */
	run_tick(fake);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported,
			walk_free_lists(false).large);
}

/* Of the orders that are reported nothing is left, of the others everything. */
static void file_counts_unreported(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long blocks, below = 0;
	unsigned int order, numbers = 0;
	const char *text;
	char *number, *line;
	struct zone *zone;

	run_passes(fake);
	text = shown(test, &unreported_attr);
	line = kunit_kstrdup(test, text, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, line);
	while ((number = strsep(&line, " "))) {
		order = numbers++;
		KUNIT_ASSERT_EQ(test, 0, kstrtoul(number, 10, &blocks));
		if (order >= TEST_ORDER)
			KUNIT_EXPECT_EQ_MSG(test, blocks, 0, "order %u", order);
		else
			below += blocks << order;
	}
	KUNIT_EXPECT_EQ(test, numbers, NR_PAGE_ORDERS);
	for_each_populated_zone(zone) {
		spin_lock_irq(&zone->lock);
		blocks = page_reporting_unreported(zone, TEST_ORDER);
		spin_unlock_irq(&zone->lock);
		KUNIT_EXPECT_EQ(test, blocks, 0);
	}
	KUNIT_EXPECT_GT(test, below, 0);
}
#endif /* CONFIG_SYSFS */

static void pass_reports_all_once(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct free_walk walk;
	struct page *page;
	int tries = 8;

	run_passes(fake);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_GT(test, fake->blocks, PAGE_REPORTING_CAPACITY);
	/* A batch, or as much of one as 1 GiB can spare */
	KUNIT_EXPECT_GE(test, fake->largest, 24);
	KUNIT_EXPECT_LE(test, fake->largest, PAGE_REPORTING_CAPACITY);
	/* One that has merged since, with what was on a CPU's list, is reported again. */
	KUNIT_EXPECT_LE(test, walk.reported, fake->blocks);

	/* There is nothing to say a second time. */
	fake_reset(fake);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);

	/* What a pass puts back requests no other. What is freed meanwhile may. */
	do {
		page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, page);
		__free_pages(page, MAX_PAGE_ORDER);
		run_pass(fake);
	} while (fake_pending(fake) && --tries);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_GT(test, tries, 0);
}

/* A few blocks of the largest order, of which nothing is on per-cpu lists */
#define USED_BLOCKS	8

static void use_blocks(struct kunit *test, struct page **pages)
{
	unsigned int i;

	for (i = 0; i < USED_BLOCKS; i++) {
		pages[i] = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
}

static void free_blocks(struct page **pages)
{
	unsigned int i;

	for (i = 0; i < USED_BLOCKS; i++)
		__free_pages(pages[i], MAX_PAGE_ORDER);
}

/* They become free, and all else that is free is reported. */
static void start_with_blocks(struct kunit *test, struct page **pages)
{
	use_blocks(test, pages);
	run_passes(test->priv);
	free_blocks(pages);
}

/* Others may use a few pages, and so a block, while it is tested. */
#define USED_PAGES	((USED_BLOCKS - 2) << MAX_PAGE_ORDER)

/* What was in use a moment ago is not reported, and only that. */
static void pass_leaves_what_was_used(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	struct free_walk walk;
	int i;

	start_with_blocks(test, pages);

	for (i = 0; i < 4; i++) {
		fake_reset(fake);
		KUNIT_EXPECT_TRUE(test, fake_pending(fake));
		run_look(fake);
		KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);
		/* What is free now is as much as before. */
		use_blocks(test, pages);
		free_blocks(pages);
	}
	/* They were in use in the tick that ends here. */
	run_look(fake);
	KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);

	/* Nobody has to free anything for this one. */
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	run_look(fake);
	KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
	finish_passes(fake);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_EQ(test, walk.reported, walk.large);
}

static void run_looks(struct fake_device *fake, unsigned int looks)
{
	fake_reset(fake);
	while (looks--)
		run_look(fake);
}

/* The one that finds them free, and that at the end of the shortest window */
#define FIRST_LOOKS	2

/* When all is reported passes go on until it is known that it lasts, and no longer. */
static void passes_end_when_all_lasts(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	unsigned int more = 0;

	start_with_blocks(test, pages);
	run_looks(fake, FIRST_LOOKS);
	KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
	for (; fake_pending(fake) && more < 4 * PAGE_REPORTING_PRICE; more++)
		run_tick(fake);
	KUNIT_EXPECT_GE(test, more, PAGE_REPORTING_PRICE - 2 * FIRST_LOOKS);
	/* Others may have freed some meanwhile. */
	KUNIT_EXPECT_LT(test, more, 4 * PAGE_REPORTING_PRICE);
}

/* What is used in turns is kept when that was seen, and reported when it is not used. */
static void pass_keeps_what_is_used_in_turns(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	int turn;

	start_with_blocks(test, pages);
	for (turn = 0; turn < 3; turn++) {
		run_looks(fake, FIRST_LOOKS);
		if (!turn)
			KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
		use_blocks(test, pages);
		free_blocks(pages);
	}
	run_looks(fake, FIRST_LOOKS);
	KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));

	/* Nothing is kept for longer than it is worth. */
	run_looks(fake, PAGE_REPORTING_PRICE - FIRST_LOOKS);
	KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
	finish_passes(fake);
}

/* Each time that they are free lasts for so many looks. */
static void use_in_turns(struct kunit *test, struct page **pages, unsigned int looks,
			 unsigned int turns)
{
	while (turns--) {
		run_looks(test->priv, looks);
		use_blocks(test, pages);
		free_blocks(pages);
	}
}

/* What was used in turns, and now stays free for long each time, is reported sooner. */
static void pass_reports_sooner_what_lasts(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];

	start_with_blocks(test, pages);
	use_in_turns(test, pages, 8, 3);
	run_looks(fake, 8);
	KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);
	use_in_turns(test, pages, PAGE_REPORTING_PRICE + 2, 16);
	run_looks(fake, 4);
	KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
	finish_passes(fake);
}

/* Another device is told all with the first tick, whatever was learnt. */
static void new_device_does_not_wait(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	struct free_walk walk;

	/* Of merges with what comes from per-cpu lists meanwhile */
	fake->seen = NULL;
	start_with_blocks(test, pages);
	use_in_turns(test, pages, 8, 4);
	run_looks(fake, PAGE_REPORTING_PRICE + 1);

	page_reporting_unregister(&fake->prdev);
	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_EQ(test, walk.reported, 0);
	run_looks(fake, 2);
	walk = walk_free_lists(false);
	KUNIT_EXPECT_LE(test, walk.large - walk.reported, USED_BLOCKS);
	finish_passes(fake);
}

/* What a balloon says twice counts once; what is plugged beside it counts, too. */
static void come_and_gone_count_once(struct kunit *test)
{
	static const struct {
		long memory, balloon, come;
	} cases[] = {
		{ 0, 0, 0 }, { 512, 0, 512 }, { -512, 0, -512 },
		/* A balloon that deflates and inflates, managed and not */
		{ 0, -512, 512 }, { 0, 512, -512 }, { 512, -512, 512 }, { -512, 512, -512 },
		/* Memory is plugged while a balloon takes some. */
		{ 1024, 512, 512 },
	};
	unsigned long memory, balloon;
	unsigned int i;

	page_reporting_come();
	memory = page_reporting_memory;
	balloon = page_reporting_balloon;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		page_reporting_memory = memory - cases[i].memory;
		page_reporting_balloon = balloon - cases[i].balloon;
		KUNIT_EXPECT_EQ_MSG(test, page_reporting_come(), cases[i].come, "case %u\n", i);
	}
}

static unsigned long reused_pages(void)
{
	struct zone *zone;
	unsigned long pages = 0;

	for_each_populated_zone(zone)
		pages += zone_page_state_snapshot(zone, PAGE_REPORTING_REUSED);

	return pages;
}

/* While memory is used no block is reported in the place of one that was reported. */
static void used_block_is_not_replaced(struct kunit *test)
{
	const unsigned long half = MAX_ORDER_NR_PAGES / 2;
	struct page *pages[USED_BLOCKS], *block, *used, *large;
	struct fake_device *fake = test->priv;
	unsigned long before;

	/* What is reported in its place may have been reported before. */
	fake->seen = NULL;
	block = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, block);
	set_page_refcounted(block + half);
	__free_pages(block + half, MAX_PAGE_ORDER - 1);
	/* Half a block is reported. Larger ones are not: they are used in turns. */
	start_with_blocks(test, pages);
	use_in_turns(test, pages, 8, 3);
	run_looks(fake, 4);
	KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);

	before = reused_pages();
	used = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER - 1);
	KUNIT_ASSERT_NOT_NULL(test, used);
	KUNIT_EXPECT_GE(test, reused_pages() - before, half);
	run_looks(fake, 1);
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);
	large = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, large);
	run_looks(fake, 1);
	KUNIT_EXPECT_EQ(test, fake->blocks, 0);

	/* Nobody has to free anything for it to be done then. */
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	run_looks(fake, 1);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);

	__free_pages(large, MAX_PAGE_ORDER);
	__free_pages(used, MAX_PAGE_ORDER - 1);
	__free_pages(block, MAX_PAGE_ORDER - 1);
	finish_passes(fake);
}

/* Use some of what the batch is followed by, and have it back. */
static void use_in_report(struct fake_device *fake)
{
	struct page *pages[USED_BLOCKS];

	fake->in_report = NULL;
	use_blocks(fake->test, pages);
	free_blocks(pages);
}

/* A pass does not report what was used since it began. */
static void pass_looks_again(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	unsigned long more;

	/* One that was reported is used with them. */
	fake->seen = NULL;
	/* One block for each batch: the first one is with the device when they are used. */
	fake->prdev.capacity = 1;
	start_with_blocks(test, pages);
	run_looks(fake, FIRST_LOOKS - 1);
	fake->in_report = use_in_report;
	run_look(fake);
	more = fake->pages;
	KUNIT_EXPECT_LE(test, more, 3 << MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	finish_passes(fake);
	KUNIT_EXPECT_GE(test, fake->pages, more + USED_PAGES - (1 << MAX_PAGE_ORDER));
}

/* Nothing waits for more to come: nobody would look again. */
static void single_page_is_reported(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page = alloc_pages(GFP_KERNEL, 2);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, 2);
	fake->seen = NULL;
	page_reporting_order = 0;
	drain_all_pages(NULL);
	run_passes(fake);

	__free_page(page + 1);
	drain_all_pages(NULL);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page + 1));
	for (i = 0; i < 64 && fake_pending(fake); i++)
		run_tick(fake);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	KUNIT_EXPECT_TRUE(test, PageReported(page + 1));

	/* Flags of smaller blocks go when another device comes. */
	page_reporting_unregister(&fake->prdev);
	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
	__free_page(page);
	__free_page(page + 2);
	__free_page(page + 3);
}

/* Some memory is used and freed all the time, and what is free is as much as ever. */
static void pass_reports_as_much_as_stays(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[2][USED_BLOCKS];
	int i;

	use_blocks(test, pages[0]);
	use_blocks(test, pages[1]);
	run_passes(fake);

	/* One half of them is in use at all times, and the other is free. */
	free_blocks(pages[0]);
	for (i = 0; i < FIRST_LOOKS; i++) {
		fake_reset(fake);
		run_look(fake);
		free_blocks(pages[(i + 1) % 2]);
		use_blocks(test, pages[i % 2]);
	}
	KUNIT_EXPECT_GE(test, fake->pages, USED_PAGES);
	KUNIT_EXPECT_LT(test, fake->pages, (USED_BLOCKS + 2) << MAX_PAGE_ORDER);
	free_blocks(pages[(i + 1) % 2]);
	finish_passes(fake);
}

/* Single pages that all CPUs keep for themselves */
static long cpu_pages(void)
{
	struct zone *zone;
	long pages = 0;
	int cpu;

	for_each_populated_zone(zone) {
		for_each_online_cpu(cpu)
			pages += per_cpu_ptr(zone->per_cpu_pageset, cpu)->count;
	}

	return pages;
}

/* More than what stays on a list */
#define CPU_PAGES	384

/* Make a CPU free some itself when it has many more than those, and not before. */
static void make_lists_long(void)
{
	struct per_cpu_pages *pcp;
	struct zone *zone;
	int cpu;

	for_each_populated_zone(zone) {
		for_each_possible_cpu(cpu) {
			pcp = per_cpu_ptr(zone->per_cpu_pageset, cpu);
			pcp->high_min = max(pcp->high_min, 4 * CPU_PAGES);
			pcp->high_max = max(pcp->high_max, pcp->high_min);
			pcp->high = max(pcp->high, pcp->high_min);
		}
	}
}

static void alloc_singles(struct kunit *test, struct page **pages)
{
	unsigned int i;

	for (i = 0; i < CPU_PAGES; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pages[i]);
	}
}

static void free_singles(struct page **pages)
{
	unsigned int i;

	for (i = 0; i < CPU_PAGES; i++)
		__free_page(pages[i]);
}

/*
 * Pages that come to a CPU's list stay there when a pass sees them for the first time.
 * Others may drain it, as compaction does.
 */
static bool lists_are_filled(struct kunit *test, struct page **pages)
{
	int tries = 8;

	do {
		alloc_singles(test, pages);
		run_passes(test->priv);
		free_singles(pages);
		run_pass(test->priv);
	} while (cpu_pages() < CPU_PAGES && --tries);

	return tries;
}

/* Pages on a CPU's list are reported if they stay there, and only then. */
static void idle_cpu_list_is_drained(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page **pages = kunit_kcalloc(test, CPU_PAGES, sizeof(*pages), GFP_KERNEL);
	long used;

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "without SMP there are no per-cpu lists");
	KUNIT_ASSERT_NOT_NULL(test, pages);
	/* What merges with a page from such a list is reported again. */
	fake->seen = NULL;
	make_lists_long();
	KUNIT_ASSERT_TRUE(test, lists_are_filled(test, pages));

	/* Used since they were seen: they stay. */
	alloc_singles(test, pages);
	free_singles(pages);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	let_tick();
	run_tick(fake);
	used = cpu_pages();
	KUNIT_EXPECT_GE(test, used, CPU_PAGES);

	/* Not used any more. Nobody has to free anything for that. */
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	let_tick();
	run_tick(fake);
	KUNIT_EXPECT_LT(test, cpu_pages(), used - CPU_PAGES / 2);
	finish_passes(fake);
}

/* What comes to a CPU's list requests nothing, however long that is: vmstat sees it. */
static void long_cpu_list_is_noticed(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page **pages = kunit_kcalloc(test, CPU_PAGES, sizeof(*pages), GFP_KERNEL);
	struct per_cpu_pages *pcp;
	long listed;

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "without SMP there are no per-cpu lists");
	KUNIT_ASSERT_NOT_NULL(test, pages);
	fake->seen = NULL;
	make_lists_long();
	alloc_singles(test, pages);
	pcp = raw_cpu_ptr(page_zone(pages[0])->per_cpu_pageset);
	drain_all_pages(NULL);
	finish_passes(fake);
	/* A short list is the CPU's own affair, ... */
	decay_pcp_high(page_zone(pages[0]), pcp);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	free_singles(pages);
	listed = cpu_pages();
	KUNIT_EXPECT_GE(test, listed, CPU_PAGES);
	/* ... a long one is looked at, and goes if it is not used. */
	decay_pcp_high(page_zone(pages[0]), pcp);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	let_tick();
	run_tick(fake);
	let_tick();
	run_tick(fake);
	KUNIT_EXPECT_LT(test, cpu_pages(), listed - CPU_PAGES / 2);
	finish_passes(fake);
}

/* As if all CPUs had allocated so many pages more before they were looked at */
static void shift_allocated(unsigned long pages)
{
	struct zone *zone;
	int cpu;

	for_each_populated_zone(zone) {
		for_each_possible_cpu(cpu)
			per_cpu_ptr(zone->per_cpu_zonestats, cpu)->reporting_allocated += pages;
	}
}

/* Nor if a CPU was not looked at for days, or counts anew as it was offline. */
static void busy_cpu_list_is_kept(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page **pages = kunit_kcalloc(test, CPU_PAGES, sizeof(*pages), GFP_KERNEL);

	if (!IS_ENABLED(CONFIG_SMP))
		kunit_skip(test, "without SMP there are no per-cpu lists");
	KUNIT_ASSERT_NOT_NULL(test, pages);
	fake->seen = NULL;
	make_lists_long();
	KUNIT_ASSERT_TRUE(test, lists_are_filled(test, pages));

	shift_allocated(-(3UL << 30));
	run_pass(fake);
	KUNIT_EXPECT_GE(test, cpu_pages(), CPU_PAGES);
	shift_allocated(3UL << 30);
	run_pass(fake);
	KUNIT_EXPECT_GE(test, cpu_pages(), CPU_PAGES);
	finish_passes(fake);
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
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), MAX_PAGE_ORDER);
	/* And little else: a CPU's list that is drained may make a block, too. */
	KUNIT_EXPECT_LT(test, fake->pages, 2 << MAX_PAGE_ORDER);
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
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	KUNIT_EXPECT_GT(test, walk_free_lists(false).reported, 0);

	page_reporting_pm_event(NULL, PM_POST_HIBERNATION, NULL);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, 0);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	finish_passes(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
}

/* A block loses its flag as it leaves the free list, in one piece ... */
static void allocation_clears_flag(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct free_walk before, after;
	unsigned int order;
	struct page *page;

	run_passes(fake);
	before = walk_free_lists(false);
	KUNIT_EXPECT_EQ(test, before.reported, before.large);
	for (order = MAX_PAGE_ORDER; order >= TEST_ORDER; order--) {
		page = alloc_pages(GFP_KERNEL, order);
		KUNIT_ASSERT_NOT_NULL(test, page);
		for (int i = 0; i < 1 << order; i++)
			KUNIT_EXPECT_FALSE(test, PageReported(page + i));
		__free_pages(page, order);
	}

	/* Two of each order at most: THPs are taken in pairs. */
	after = walk_free_lists(false);
	KUNIT_EXPECT_LT(test, after.reported, before.reported);
	KUNIT_EXPECT_GE(test, after.reported + 2 * (NR_PAGE_ORDERS - TEST_ORDER),
			before.reported);
}

/* ... or split: the device knows of the whole, not of its parts. */
static void split_clears_flag(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long largest, reused, reported;
	struct page *page, *rest, *next;
	unsigned int order;
	LIST_HEAD(pages);

	run_passes(fake);
	reused = counted(PAGE_REPORTING_REUSED);
	reported = counted(NR_FREE_REPORTED);
	/* When what there is of smaller blocks is used up, a large one is split. */
	do {
		largest = walk_free_lists(false).largest;
		page = alloc_pages(GFP_KERNEL, TEST_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, page);
		list_add(&page->lru, &pages);
	} while (walk_free_lists(false).largest == largest);

	for (order = TEST_ORDER; order < MAX_PAGE_ORDER; order++) {
		rest = pfn_to_page(ALIGN_DOWN(page_to_pfn(page), 1UL << order) ^
				   (1UL << order));
		KUNIT_EXPECT_TRUE(test, PageBuddy(rest));
		KUNIT_EXPECT_EQ(test, buddy_order(rest), order);
		KUNIT_EXPECT_FALSE(test, PageReported(rest));
	}
	/* As many pages of reported blocks as are not reported any more */
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_REUSED) - reused,
			reported - counted(NR_FREE_REPORTED));

	list_for_each_entry_safe(page, next, &pages, lru)
		__free_pages(page, TEST_ORDER);
}

/* Batches, what is in them, and those that fail */
static void counters_follow_batches(struct kunit *test)
{
	unsigned long batches = counted(PAGE_REPORTING_BATCHES);
	unsigned long errors = counted(PAGE_REPORTING_ERRORS);
	unsigned long pages = counted(PAGE_REPORTING_PAGES);
	struct fake_device *fake = test->priv;

	/* What has failed is reported again. */
	fake->seen = NULL;
	fake->fail_at = 2;
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake->calls, 2);
	run_passes(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 2);

	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_BATCHES) - batches, fake->calls);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_ERRORS) - errors, 1);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_PAGES) - pages, fake->pages);
	/* Nothing was used since. */
	KUNIT_EXPECT_EQ(test, counted(NR_FREE_REPORTED), fake->pages);
}

/* An allocation uses again what is reported. A merge does not. */
static void counter_of_use(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long reported, reused;
	struct page *page, *buddy;

	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	buddy = page + (1 << (MAX_PAGE_ORDER - 1));
	set_page_refcounted(buddy);
	__free_pages(buddy, MAX_PAGE_ORDER - 1);
	drain_all_pages(NULL);
	run_passes(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(buddy));
	reused = counted(PAGE_REPORTING_REUSED);
	reported = counted(NR_FREE_REPORTED);

	__free_pages(page, MAX_PAGE_ORDER - 1);
	drain_all_pages(NULL);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_REUSED), reused);
	KUNIT_EXPECT_EQ(test, reported - counted(NR_FREE_REPORTED),
			1UL << (MAX_PAGE_ORDER - 1));

	run_passes(fake);
	reported = counted(NR_FREE_REPORTED);
	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_REUSED) - reused,
			1UL << MAX_PAGE_ORDER);
	KUNIT_EXPECT_EQ(test, reported - counted(NR_FREE_REPORTED),
			1UL << MAX_PAGE_ORDER);
	__free_pages(page, MAX_PAGE_ORDER);
}

/* What the events of a test said, all of a kind together. */
struct seen_events {
	unsigned int requests;
	unsigned int batches;
	unsigned int errors;
	unsigned long pages;
	unsigned int begins;
	unsigned long unreported;
	unsigned long surplus;
	unsigned int ends;
	unsigned int ends_in_error;
	unsigned int ends_with_rest;
	unsigned long end_pages;
	unsigned int end_batches;
};

static void probe_request(void *data, const char *reason)
{
	struct seen_events *seen = data;

	seen->requests++;
}

static void probe_begin(void *data, struct zone *zone, unsigned int order,
			unsigned long unreported, unsigned long surplus)
{
	struct seen_events *seen = data;

	seen->begins++;
	seen->unreported += unreported;
	seen->surplus += surplus;
}

static void probe_batch(void *data, struct zone *zone, unsigned int blocks,
			unsigned long pages, int err, u64 ns)
{
	struct seen_events *seen = data;

	seen->batches++;
	if (err)
		seen->errors++;
	else
		seen->pages += pages;
}

static void probe_end(void *data, struct zone *zone, unsigned long pages,
		      unsigned int batches, const char *reason, u64 ns)
{
	struct seen_events *seen = data;

	seen->ends++;
	seen->ends_in_error += !strcmp(reason, "error");
	seen->ends_with_rest += !strcmp(reason, "rest");
	seen->end_pages += pages;
	seen->end_batches += batches;
}

static int probe_events(struct seen_events *seen)
{
	return register_trace_page_reporting_request(probe_request, seen) ?:
	       register_trace_page_reporting_pass_begin(probe_begin, seen) ?:
	       register_trace_page_reporting_batch(probe_batch, seen) ?:
	       register_trace_page_reporting_pass_end(probe_end, seen);
}

static void unprobe_events(void *seen)
{
	unregister_trace_page_reporting_pass_end(probe_end, seen);
	unregister_trace_page_reporting_batch(probe_batch, seen);
	unregister_trace_page_reporting_pass_begin(probe_begin, seen);
	unregister_trace_page_reporting_request(probe_request, seen);
	tracepoint_synchronize_unregister();
}

static void events_say_what_was_done(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct seen_events *seen;
	struct free_walk walk;
	struct page *page;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "the kernel has no tracepoints");
	seen = kunit_kzalloc(test, sizeof(*seen), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, seen);
	KUNIT_ASSERT_EQ(test, 0, probe_events(seen));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unprobe_events, seen));

	/* One pass that fails, in its last zone, and has requested another one */
	walk = walk_free_lists(false);
	fake->seen = NULL;
	fake->fail_at = 2;
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, seen->requests, 1);
	KUNIT_EXPECT_EQ(test, seen->batches, 2);
	KUNIT_EXPECT_EQ(test, seen->errors, 1);
	KUNIT_EXPECT_EQ(test, seen->ends_in_error, 1);
	KUNIT_EXPECT_GE(test, seen->unreported, walk.large << TEST_ORDER);
	KUNIT_EXPECT_EQ(test, seen->surplus, seen->unreported);

	/* Until there is nothing more to say; a block that was in use has to wait */
	run_passes(fake);
	page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	run_passes(fake);
	__free_pages(page, MAX_PAGE_ORDER);
	run_look(fake);
	KUNIT_EXPECT_LT(test, seen->surplus, seen->unreported);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, seen->batches, fake->calls);
	KUNIT_EXPECT_EQ(test, seen->pages, fake->pages);
	KUNIT_EXPECT_EQ(test, seen->end_batches, seen->batches);
	KUNIT_EXPECT_EQ(test, seen->end_pages, seen->pages);
	KUNIT_EXPECT_EQ(test, seen->begins, seen->ends);
	KUNIT_EXPECT_GT(test, seen->ends_with_rest, 0);
	KUNIT_EXPECT_GT(test, seen->requests, 1);
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

/* A free block of the largest order, of the migratetype @mt. */
static struct page *free_largest_as(struct kunit *test, int mt)
{
	struct page *page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);

	KUNIT_ASSERT_NOT_NULL(test, page);
	set_migratetype(page, mt);
	__free_pages(page, MAX_PAGE_ORDER);

	return page;
}

static int isolate_block(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	return isolate_range(pfn, pfn + MAX_ORDER_NR_PAGES);
}

static void undo_isolate_block(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	unisolate_range(pfn, pfn + MAX_ORDER_NR_PAGES);
}

/* Blocks that are isolated do not count as free, and those that are reported as reported. */
static void isolated_blocks_hide_no_other(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *pages[USED_BLOCKS];
	int i;

	if (!IS_ENABLED(CONFIG_MEMORY_ISOLATION))
		kunit_skip(test, "pageblocks cannot be isolated");
	/* A block of two pageblocks is split, and reported again in the end. */
	fake->seen = NULL;
	use_blocks(test, pages);
	for (i = 1; i < USED_BLOCKS; i++)
		__free_pages(pages[i], MAX_PAGE_ORDER);
	run_passes(fake);
	for (i = 1; i < USED_BLOCKS; i++)
		KUNIT_EXPECT_EQ(test, isolate_block(pages[i]), 0);

	/* As long as this one is not reported, somebody looks. */
	__free_pages(pages[0], MAX_PAGE_ORDER);
	for (i = 0; i < 2 * FIRST_LOOKS; i++)
		run_look(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(pages[0]) || fake_pending(fake));
	for (i = 1; i < USED_BLOCKS; i++)
		undo_isolate_block(pages[i]);
	finish_passes(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(pages[0]));
}

/* What is isolated is about to be offline, or somebody's. */
static void isolated_list_left_alone(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long pfn, end;
	struct page *page;

	if (!IS_ENABLED(CONFIG_MEMORY_ISOLATION))
		kunit_skip(test, "pageblocks cannot be isolated");
	page = free_largest_as(test, MIGRATE_MOVABLE);
	pfn = page_to_pfn(page);
	end = pfn + MAX_ORDER_NR_PAGES;
	KUNIT_ASSERT_EQ(test, isolate_range(pfn, end), 0);

	run_pass(fake);
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	for (; pfn < end; pfn += pageblock_nr_pages) {
		KUNIT_EXPECT_EQ(test, fake_saw(fake, pfn), -1);
		KUNIT_EXPECT_FALSE(test, PageReported(pfn_to_page(pfn)));
	}
	expect_lists_right(test);

	/* A pass that is short of memory, as one may be now, does not look again ... */
	fake_reset(fake);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	cancel_delayed_work_sync(&fake->prdev.work);
	atomic_set(&fake->prdev.state, PAGE_REPORTING_IDLE);
	/* ... but the block was not taken after all, which is reason enough for a pass. */
	unisolate_range(page_to_pfn(page), end);
	finish_passes(fake);
	KUNIT_EXPECT_TRUE(test, PageReported(page));
}

#ifdef CONFIG_CMA
/* What an area of CMA does not use is free like any other memory. */
static void cma_list_is_reported(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long pfn, end;
	struct page *page;

	page = free_largest_as(test, MIGRATE_CMA);
	pfn = page_to_pfn(page);
	end = pfn + MAX_ORDER_NR_PAGES;
	expect_lists_right(test);

	run_passes(fake);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, pfn), MAX_PAGE_ORDER);
	KUNIT_EXPECT_TRUE(test, PageReported(page));
	KUNIT_EXPECT_TRUE(test, is_migrate_cma_page(page));
	expect_lists_right(test);

	/* An owner that wants it gets it, without a flag. */
	KUNIT_ASSERT_EQ(test, 0, alloc_contig_range(pfn, end, ACR_FLAGS_CMA, GFP_KERNEL));
	KUNIT_EXPECT_FALSE(test, PageReported(page));
	set_migratetype(page, MIGRATE_MOVABLE);
	free_contig_range(pfn, MAX_ORDER_NR_PAGES);
	drain_all_pages(NULL);
}
#else
static void cma_list_is_reported(struct kunit *test)
{
	kunit_skip(test, "the kernel has no CMA");
}
#endif

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

#ifdef CONFIG_SYSFS
/* One list is long and the next is not. What is left for last is reported as well. */
static void now_reports_all_lists(struct kunit *test)
{
	struct page *page = free_largest_as(test, MIGRATE_RECLAIMABLE);

	KUNIT_EXPECT_EQ(test, stored(&report_now_attr, "1"), 1);
	KUNIT_EXPECT_TRUE(test, PageReported(page));

	page = alloc_pages(GFP_KERNEL | __GFP_RECLAIMABLE, MAX_PAGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	set_migratetype(page, MIGRATE_MOVABLE);
	__free_pages(page, MAX_PAGE_ORDER);
}
#endif

static void capacity_bounds_batch(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	static const unsigned int capacities[][2] = {
		{ 1, 1 }, { 3, 3 }, { 16, 16 },
		{ PAGE_REPORTING_CAPACITY, PAGE_REPORTING_CAPACITY },
		{ 0, PAGE_REPORTING_CAPACITY },
		{ PAGE_REPORTING_CAPACITY + 1, PAGE_REPORTING_CAPACITY },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		page_reporting_unregister(&fake->prdev);
		fake->prdev.capacity = capacities[i][0];
		KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);
		fake_reset(fake);
		KUNIT_EXPECT_EQ(test, fake->prdev.capacity, capacities[i][1]);
		run_pass(fake);
		/* Of more than that, 1 GiB cannot spare as many. */
		if (capacities[i][1] <= 16)
			KUNIT_EXPECT_LE(test, fake->shorts, MAX_NR_ZONES);
		finish_passes(fake);
		KUNIT_EXPECT_LE(test, fake->largest, capacities[i][1]);
		KUNIT_EXPECT_GE(test, fake->largest, min(capacities[i][1], 24U));
		/* Some may be in use by now, on another CPU. */
		KUNIT_EXPECT_LE(test, walk_free_lists(false).reported, fake->blocks);
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
		.prdev = &fake->prdev, .sgl = sgl, .capacity = 1,
		.todo = 2 << MAX_PAGE_ORDER, .look = ULONG_MAX, .until = jiffies + HZ,
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
		page_reporting_flag(page, zone, MAX_PAGE_ORDER);
	next = list_last_entry(list, struct page, buddy_list);
	page = list_prev_entry(next, buddy_list);
	page_reporting_forget(page, zone, MAX_PAGE_ORDER);
	page_reporting_forget(next, zone, MAX_PAGE_ORDER);
	full = page_reporting_fill(&pass, zone, MAX_PAGE_ORDER, mt);
	first = list_first_entry(list, struct page, buddy_list);
	page_reporting_putback(&pass, zone, false);
	spin_unlock_irq(&zone->lock);

	KUNIT_EXPECT_TRUE(test, full);
	KUNIT_EXPECT_PTR_EQ(test, sg_page(sgl), page);
	KUNIT_EXPECT_PTR_EQ(test, first, next);
}

/* Interrupts are off for some blocks, however many are reported already. */
static void walk_gives_lock_up(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct scatterlist sgl[2];
	struct page_reporting_pass pass = {
		.prdev = &fake->prdev, .sgl = sgl, .capacity = 2,
		.todo = 2 << MAX_PAGE_ORDER, .look = ULONG_MAX, .until = jiffies + HZ,
	};
	struct page *pages[36], *page, *next;
	unsigned long walked = 0;
	struct list_head *list;
	struct zone *zone;
	int i, mt;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = alloc_in_pieces(test);
	zone = page_zone(pages[0]);
	mt = get_pageblock_migratetype(pages[0]);
	list = &zone->free_area[TEST_ORDER].free_list[mt];
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_pieces(pages[i], 0);
	run_passes(fake);
	sg_init_table(sgl, ARRAY_SIZE(sgl));

	/* All but the last one are reported. */
	spin_lock_irq(&zone->lock);
	page = list_last_entry(list, struct page, buddy_list);
	page_reporting_forget(page, zone, TEST_ORDER);
	next = list_first_entry(list, struct page, buddy_list);
	while (walked < PAGE_REPORTING_BLOCKS && next != page) {
		next = list_next_entry(next, buddy_list);
		walked++;
	}
	KUNIT_EXPECT_EQ(test, walked, PAGE_REPORTING_BLOCKS);
	KUNIT_EXPECT_TRUE(test, page_reporting_fill(&pass, zone, TEST_ORDER, mt));
	KUNIT_EXPECT_EQ(test, pass.nents, 0);
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(list, struct page, buddy_list), next);
	/* And then goes on there, as long as something is left. */
	KUNIT_EXPECT_FALSE(test, page_reporting_fill(&pass, zone, TEST_ORDER, mt));
	KUNIT_EXPECT_EQ(test, pass.nents, 1);
	KUNIT_EXPECT_PTR_EQ(test, sg_page(sgl), page);
	page_reporting_putback(&pass, zone, true);
	spin_unlock_irq(&zone->lock);

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		free_pieces(pages[i], 1);
}

/* The end is marked for the device only: the next batch may be longer. */
static void short_batch_leaves_no_end(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct scatterlist sgl[4];
	struct page_reporting_pass pass = {
		.prdev = &fake->prdev, .sgl = sgl, .capacity = 4,
		.todo = 2 << MAX_PAGE_ORDER, .look = ULONG_MAX, .until = jiffies + HZ,
	};
	struct zone *zone;
	bool full;
	int i, mt;

	zone = find_large_list(&mt);
	KUNIT_ASSERT_NOT_NULL(test, zone);
	sg_init_table(sgl, ARRAY_SIZE(sgl));

	spin_lock_irq(&zone->lock);
	full = page_reporting_fill(&pass, zone, MAX_PAGE_ORDER, mt);
	spin_unlock_irq(&zone->lock);
	KUNIT_EXPECT_FALSE(test, full);
	KUNIT_ASSERT_EQ(test, pass.nents, 2);
	KUNIT_EXPECT_EQ(test, page_reporting_flush(&pass, zone), 0);
	KUNIT_EXPECT_EQ(test, fake->calls, 1);
	KUNIT_EXPECT_EQ(test, pass.nents, 0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_FALSE(test, sg_is_last(&sgl[i]));
}

static void error_ends_pass_unflagged(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long all, large, first;

	run_passes(fake);
	all = fake->blocks;
	large = walk_free_lists(true).large;
	fake_reset(fake);

	/* The second batch fails: the first one stays reported. */
	fake->fail_at = 2;
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake->calls, 2);
	first = walk_free_lists(false).reported;
	KUNIT_EXPECT_GE(test, first, 24);
	KUNIT_EXPECT_LE(test, first, PAGE_REPORTING_CAPACITY);
	KUNIT_EXPECT_GT(test, fake->blocks, first);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).large, large);
	expect_lists_right(test);

	/* Another pass comes by itself, and has the rest to report. */
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	fake_reset(fake);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);
	KUNIT_EXPECT_EQ(test, fake->blocks, all - first);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, all);
}

/* Whatever the device says that went wrong: it is no reason of the pass's own. */
static void error_is_that_of_device(struct kunit *test)
{
	static const int errors[] = { -ETIME, -ENODEV, -EAGAIN, -ENOMEM };
	struct fake_device *fake = test->priv;
	int i;

	fake->seen = NULL;
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		fake_reset(fake);
		fake->fail_at = 1;
		fake->error = errors[i];
		run_pass(fake);
		KUNIT_EXPECT_EQ(test, fake->calls, 1);
		KUNIT_EXPECT_EQ(test, fake->prdev.failures, i + 1);
	}
}

static void error_doubles_delay(struct kunit *test)
{
	unsigned long base = msecs_to_jiffies(test_delay_ms);
	struct fake_device *fake = test->priv;
	unsigned int i;

	page_reporting_delay_ms = test_delay_ms;
	for (i = 1; i <= PAGE_REPORTING_BACKOFF_MAX + 2; i++) {
		fake_reset(fake);
		fake->fail_at = 1;
		run_pass(fake);
		KUNIT_EXPECT_EQ(test, fake->calls, 1);
		KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev),
				base << min(i, PAGE_REPORTING_BACKOFF_MAX));
	}

	/* A delay of nothing grows as well, and one of an hour or more does not. */
	page_reporting_delay_ms = 0;
	KUNIT_EXPECT_GT(test, page_reporting_delay(&fake->prdev), 0);
	page_reporting_delay_ms = PAGE_REPORTING_BACKOFF_END;
	KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev),
			msecs_to_jiffies(PAGE_REPORTING_BACKOFF_END));
	page_reporting_delay_ms = UINT_MAX;
	KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev),
			msecs_to_jiffies(UINT_MAX));
	page_reporting_delay_ms = test_delay_ms;

	fake_reset(fake);
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->blocks, 0);
	KUNIT_EXPECT_EQ(test, page_reporting_delay(&fake->prdev), page_reporting_tick());
}

static void request_from_report(struct fake_device *fake)
{
	page_reporting_notify(page_zone(ZERO_PAGE(0)), 0);
}

static void request_during_pass_not_lost(struct kunit *test)
{
	struct fake_device *fake = test->priv;

	fake->in_report = request_from_report;
	run_pass(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));

	/* The passes end when nothing is requested any more. */
	fake_reset(fake);
	finish_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
}

/* Isolate the second pageblock of the last block that was reported. */
static void isolate_half_in_report(struct fake_device *fake)
{
	unsigned long pfn = fake->seen[fake->blocks - 1].pfn + pageblock_nr_pages;

	if (fake->isolated || fake->seen[fake->blocks - 1].order <= pageblock_order)
		return;
	if (!isolate_range(pfn, pfn + pageblock_nr_pages))
		fake->isolated = pfn;
}

/* Each pageblock goes back to the list of its own. */
static void half_isolated_in_report(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page, *half;
	int i;

	if (!IS_ENABLED(CONFIG_MEMORY_ISOLATION) || pageblock_order >= MAX_PAGE_ORDER)
		kunit_skip(test, "no block has two pageblocks, or none can be isolated");
	fake->in_report = isolate_half_in_report;
	/* Of smaller blocks, this pass would go on with the half that is free. */
	page_reporting_order = MAX_PAGE_ORDER;
	run_pass(fake);
	page_reporting_order = TEST_ORDER;
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
	for (i = 0; i < FIRST_LOOKS; i++)
		run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(half)), -1);
	KUNIT_EXPECT_EQ(test, fake_saw(fake, page_to_pfn(page)), pageblock_order);
	unisolate_range(fake->isolated, fake->isolated + pageblock_nr_pages);
}

static void free_requests_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct page *page;
	bool queued;

	page = alloc_pages(GFP_KERNEL, TEST_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	run_passes(fake);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);

	/* Not while zone->lock is held, for which interrupts are disabled. */
	local_irq_disable();
	__free_pages(page, TEST_ORDER);
	queued = delayed_work_pending(&fake->prdev.work);
	local_irq_enable();
	KUNIT_EXPECT_FALSE(test, queued);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
}

/* A block that is free as large as it was, since its buddy is not. */
static void free_of_exact_order_requests_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned int order = TEST_ORDER;
	struct page *page;
	int tries = 8;

	page = alloc_pages(GFP_KERNEL, order + 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	/* Blocks of one order less, that order, and less again. */
	set_page_refcounted(page + (1 << (order - 1)));
	set_page_refcounted(page + (1 << order));
	/* What others have left on the lists of CPUs may merge: not below. */
	do {
		run_passes(fake);
		drain_all_pages(NULL);
	} while (atomic_read(&fake->prdev.state) != PAGE_REPORTING_IDLE && --tries);
	KUNIT_EXPECT_GT(test, tries, 0);

	__free_pages(page, order - 1);
	drain_all_pages(NULL);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_EQ(test, buddy_order(page), order - 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_IDLE);

	/* Merged with that, it is large enough. */
	__free_pages(page + (1 << (order - 1)), order - 1);
	drain_all_pages(NULL);
	KUNIT_EXPECT_TRUE(test, PageBuddy(page));
	KUNIT_EXPECT_EQ(test, buddy_order(page), order);
	KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state),
			PAGE_REPORTING_REQUESTED);

	__free_pages(page + (1 << order), order);
}

/*
 * A zone that has nothing above its min watermark keeps what it has, and is looked at
 * again without a free: ever later, as long as it stays so.
 */
static void short_zone_is_looked_at_again(struct kunit *test)
{
	unsigned long deferred = counted(PAGE_REPORTING_DEFERRED);
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES], due;
	unsigned int kept_delay = page_reporting_delay_ms;
	struct page *page;
	int i;

	page_reporting_delay_ms = 2000;
	raise_min_watermarks(kept, 0);
	for (i = 0; i < 5; i++) {
		unsigned long delay = msecs_to_jiffies(2000 << min(i, 3));

		run_pass(fake);
		KUNIT_EXPECT_EQ(test, fake->calls, 0);
		KUNIT_EXPECT_GE(test, counted(PAGE_REPORTING_DEFERRED), deferred + i + 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&fake->prdev.state), PAGE_REPORTING_IDLE);
		KUNIT_EXPECT_TRUE(test, delayed_work_pending(&fake->prdev.work));
		due = fake->prdev.work.timer.expires - jiffies;
		KUNIT_EXPECT_LE(test, due, delay);
		KUNIT_EXPECT_GT(test, 2 * due, delay);
	}

	/* Who changes a watermark does not wait for that, ... */
	page_reporting_marks_changed();
	KUNIT_EXPECT_LE(test, fake->prdev.work.timer.expires - jiffies, page_reporting_tick());
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake->calls, 0);

	/* ... nor who frees a large block. */
	page = alloc_pages(GFP_KERNEL | __GFP_MEMALLOC, TEST_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, page);
	__free_pages(page, TEST_ORDER);
	KUNIT_EXPECT_TRUE(test, fake_pending(fake));
	due = fake->prdev.work.timer.expires - jiffies;
	KUNIT_EXPECT_LE(test, due, page_reporting_tick());
	restore_min_watermarks(kept);
	page_reporting_delay_ms = kept_delay;

	finish_passes(fake);
	KUNIT_EXPECT_GT(test, fake->calls, 0);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, walk_free_lists(false).large);

	/* Then there is nothing that could not be spared. */
	deferred = counted(PAGE_REPORTING_DEFERRED);
	raise_min_watermarks(kept, 0);
	run_pass(fake);
	restore_min_watermarks(kept);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_DEFERRED), deferred);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
}

/* However large blocks are: a batch is what the zone can spare. */
static void batch_is_what_zone_can_spare(struct kunit *test)
{
	unsigned long deferred = counted(PAGE_REPORTING_DEFERRED);
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES];

	/* One more page than that may be counted at a time, but no more blocks fit. */
	raise_min_watermarks(kept, (24 << MAX_PAGE_ORDER) + 2 * TEST_BLOCKS);
	run_pass(fake);
	restore_min_watermarks(kept);
	KUNIT_EXPECT_GT(test, fake->calls, 0);
	KUNIT_EXPECT_LE(test, fake->most_pages,
			((24 << MAX_PAGE_ORDER) + 4 * TEST_BLOCKS) / PAGE_REPORTING_SPARE);
	KUNIT_EXPECT_GE(test, fake->most_pages, 2 << MAX_PAGE_ORDER);
	/* As long as it is with the device only: all of it can be. */
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_DEFERRED), deferred);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, walk_free_lists(false).large);
	expect_lists_right(test);
}

/* With little, one block at a time; with less than two of them, none of that size. */
static void last_block_is_kept(struct kunit *test)
{
	unsigned long deferred = counted(PAGE_REPORTING_DEFERRED);
	struct fake_device *fake = test->priv;
	unsigned long kept[MAX_NR_ZONES];

	raise_min_watermarks(kept, 3 << MAX_PAGE_ORDER);
	run_pass(fake);
	KUNIT_EXPECT_EQ(test, fake->most_pages, 1 << MAX_PAGE_ORDER);
	KUNIT_EXPECT_EQ(test, counted(PAGE_REPORTING_DEFERRED), deferred);
	restore_min_watermarks(kept);

	walk_free_lists(true);
	fake_reset(fake);
	/* One of them would not take it below the mark. */
	raise_min_watermarks(kept, 3 << (MAX_PAGE_ORDER - 1));
	run_pass(fake);
	restore_min_watermarks(kept);
	KUNIT_EXPECT_LT(test, fake->most_pages, 1 << MAX_PAGE_ORDER);
	KUNIT_EXPECT_GT(test, counted(PAGE_REPORTING_DEFERRED), deferred);
	KUNIT_EXPECT_EQ(test, walk_free_lists(false).reported, fake->blocks);
	expect_lists_right(test);
}

static void unregister_waits_for_pass(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned int calls;

	fake->in_report = sleep_in_report;
	let_age(fake);
	page_reporting_request(&fake->prdev, "test");
	mod_delayed_work(page_reporting_wq, &fake->prdev.work, 0);
	wait_for_completion(&fake->started);

	page_reporting_unregister(&fake->prdev);
	calls = fake->calls;
	/* The first batch, and one that may have begun just then. */
	KUNIT_EXPECT_LE(test, calls, 2);
	KUNIT_EXPECT_FALSE(test, fake->reporting);
	KUNIT_EXPECT_FALSE(test, fake_pending(fake));
	expect_lists_right(test);

	/* Neither a free nor time brings a report. */
	page_reporting_notify(page_zone(ZERO_PAGE(0)), 0);
	msleep(50);
	KUNIT_EXPECT_EQ(test, fake->calls, calls);
}

/* A pass ends after one batch of a slow device, and goes on at once: it is no tick. */
static void pass_ends_with_its_time(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	unsigned long reported, tick;
	unsigned int calls, kept = page_reporting_delay_ms;

	page_reporting_delay_ms = 3600 * MSEC_PER_SEC;
	fake->in_report = outlast_pass;
	run_pass(fake);
	tick = page_reporting_policy.tick;
	/* The next one may have begun. */
	KUNIT_EXPECT_LE(test, fake->calls, 2);

	/* Nobody has to do anything for that. */
	fake->in_report = NULL;
	reported = walk_free_lists(false).large;
	for (calls = 0; calls < 100 && walk_free_lists(false).reported < reported; calls++)
		msleep(20);
	KUNIT_EXPECT_GE(test, walk_free_lists(false).reported, reported - 1);
	KUNIT_EXPECT_EQ(test, page_reporting_policy.tick, tick);
	page_reporting_delay_ms = kept;
	expect_lists_right(test);
}

/*
 * Random steps: what no test has thought of. The seed is printed. A run with the
 * same seed takes the same steps, as far as the same blocks are free:
 * page_reporting.kunit_seed= on the kernel's command line.
 */
static unsigned int random_seed;
module_param_named(kunit_seed, random_seed, uint, 0);
MODULE_PARM_DESC(kunit_seed, "Seed of the test with random steps; 0 for any");

/* A few seconds under UML. A kernel that is slower than that can take fewer. */
static unsigned int random_steps = 1000 * 1000;
module_param_named(kunit_steps, random_steps, uint, 0);
MODULE_PARM_DESC(kunit_steps, "Number of random steps");

/*
 * Blocks that are held at a time, half of them on average: 190 MiB with 4K
 * pages. Of the 1 GiB that kunit.py boots enough stays free that no zone is
 * short of memory.
 */
#define RANDOM_BLOCKS	512

/* All free lists are looked at each time that this many steps were taken. */
#define RANDOM_WALK	4096

/*
 * Pages that others may have come to use meanwhile: less than is missing when
 * blocks are lost that are in a batch, with thousands of them. KASAN keeps what
 * was freed of slabs, the scatterlists of passes too, up to 1/32 of memory.
 */
static unsigned long random_slack(void)
{
	unsigned long slack = 4UL << MAX_PAGE_ORDER;

	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		slack += totalram_pages() / 32;

	return slack;
}

/* A block that the test has allocated; @page is NULL if it has not. */
struct held_block {
	struct page *page;
	unsigned int order;
	bool compound;
};

/**
 * struct random_run - what random steps know of the memory
 * @fake: the device
 * @rnd: where the steps come from
 * @blocks: what is held
 * @held: a bit for each page frame that is held
 * @lent: a bit for each page frame that is with the device
 * @frames: number of bits in each of them
 * @writes: may the device write to what it is told of?
 * @in_report: number that says what to do in the next report, or 0
 * @allocs: how often a block was allocated
 * @frees: how often one was freed
 * @splits: how often one was split
 * @passes: how many passes have run
 * @failed: how many of them have failed
 * @reported: number of blocks that the device was told of
 * @batches: number of batches
 * @errors: number of those that failed
 * @pages: number of pages in the others
 * @zones: how often all blocks of a zone were found to be reported
 */
struct random_run {
	struct fake_device *fake;
	struct rnd_state rnd;
	struct held_block blocks[RANDOM_BLOCKS];
	unsigned long *held;
	unsigned long *lent;
	unsigned long frames;
	bool writes;
	u32 in_report;
	unsigned long allocs;
	unsigned long frees;
	unsigned long splits;
	unsigned long passes;
	unsigned long failed;
	unsigned long reported;
	unsigned long batches;
	unsigned long errors;
	unsigned long pages;
	unsigned long zones;
};

static bool any_set(const unsigned long *map, unsigned long pfn, unsigned int order)
{
	unsigned long end = pfn + (1UL << order);

	return find_next_bit(map, end, pfn) < end;
}

/*
 * A device can write to free pages, and a hypervisor does: they read as zero
 * afterwards. Here that is known to everybody but to what looks at free pages.
 */
static bool device_may_write(void)
{
	return !want_init_on_free() && !page_poisoning_enabled_static() &&
	       !debug_pagealloc_enabled() && !IS_ENABLED(CONFIG_KASAN_HW_TAGS);
}

/* KASAN watches over free pages, too, but not over what a device does to them. */
static noinline __no_sanitize_address void write_word(struct page *page, u32 word)
{
	u32 *addr = kmap_local_page(page);

	*addr = word;
	kunmap_local(addr);
}

static noinline __no_sanitize_address u32 read_word(struct page *page)
{
	u32 *addr = kmap_local_page(page);
	u32 word = *addr;

	kunmap_local(addr);

	return word;
}

/* What is in the first and the last page of a block that is held, or lent. */
static u32 word_of(struct page *page, bool held)
{
	return (page_to_pfn(page) << 1) | held;
}

static void mark_block(struct page *page, unsigned int order, bool held)
{
	struct page *last = page + (1 << order) - 1;

	write_word(page, word_of(page, held));
	write_word(last, word_of(last, held));
}

static void expect_marked(struct random_run *run, struct page *page,
			  unsigned int order, bool held)
{
	struct page *last = page + (1 << order) - 1;
	struct kunit *test = run->fake->test;

	KUNIT_EXPECT_EQ(test, read_word(page), word_of(page, held));
	KUNIT_EXPECT_EQ(test, read_word(last), word_of(last, held));
}

/* Small blocks more often than large ones, of all kinds. Never waits. */
static void random_alloc(struct random_run *run, struct held_block *block, u32 how)
{
	static const gfp_t gfps[] = {
		0, __GFP_MOVABLE | __GFP_HIGHMEM, __GFP_RECLAIMABLE, GFP_DMA,
	};
	struct kunit *test = run->fake->test;
	gfp_t gfp = gfps[how % ARRAY_SIZE(gfps)] | __GFP_NOWARN;
	unsigned long pfn;

	how /= ARRAY_SIZE(gfps);
	block->compound = how % 4 == 0;
	if (block->compound)
		gfp |= __GFP_COMP;
	how /= 4;
	block->order = min(how % NR_PAGE_ORDERS, how / NR_PAGE_ORDERS % NR_PAGE_ORDERS);
	block->page = alloc_pages(gfp, block->order);
	if (!block->page)
		return;

	run->allocs++;
	pfn = page_to_pfn(block->page);
	KUNIT_EXPECT_FALSE(test, any_set(run->held, pfn, block->order));
	KUNIT_EXPECT_FALSE(test, any_set(run->lent, pfn, block->order));
	bitmap_set(run->held, pfn, 1U << block->order);
	mark_block(block->page, block->order, true);
}

static void random_free(struct random_run *run, struct held_block *block)
{
	run->frees++;
	expect_marked(run, block->page, block->order, true);
	bitmap_clear(run->held, page_to_pfn(block->page), 1U << block->order);
	__free_pages(block->page, block->order);
	block->page = NULL;
}

static void random_use(struct random_run *run, u32 which, u32 how)
{
	struct held_block *block = &run->blocks[which % RANDOM_BLOCKS];

	if (block->page)
		random_free(run, block);
	else
		random_alloc(run, block, how);
}

/* Two halves, each of which is freed on its own. */
static void random_split(struct random_run *run, u32 which, u32 how)
{
	struct held_block *block = &run->blocks[which % RANDOM_BLOCKS];
	struct held_block *half = &run->blocks[how % RANDOM_BLOCKS];

	if (!block->page || block->compound || !block->order || half->page)
		return;

	run->splits++;
	block->order--;
	*half = *block;
	half->page += 1 << half->order;
	set_page_refcounted(half->page);
	mark_block(block->page, block->order, true);
	mark_block(half->page, half->order, true);
}

/* What others allocate and free while the device has its batch */
static void random_in_report(struct fake_device *fake)
{
	struct random_run *run = fake->random;
	u32 how = run->in_report;

	for (run->in_report = 0; how; how >>= 4)
		random_use(run, how, how * 31);
}

static int random_report(struct page_reporting_dev_info *prdev,
			 struct scatterlist *sgl, unsigned int nents)
{
	struct fake_device *fake = container_of(prdev, struct fake_device, prdev);
	struct random_run *run = fake->random;
	struct scatterlist *sg;
	unsigned long pages;
	unsigned int i;
	int err;

	for_each_sg(sgl, sg, nents, i) {
		unsigned long pfn = page_to_pfn(sg_page(sg));
		unsigned int order = get_order(sg->length);

		KUNIT_EXPECT_FALSE(fake->test, any_set(run->held, pfn, order));
		KUNIT_EXPECT_FALSE(fake->test, any_set(run->lent, pfn, order));
		bitmap_set(run->lent, pfn, 1U << order);
		if (run->writes)
			mark_block(sg_page(sg), order, false);
	}
	run->reported += nents;

	pages = fake->pages;
	err = fake_report(prdev, sgl, nents);
	run->pages += fake->pages - pages;
	run->batches++;
	run->errors += !!err;

	for_each_sg(sgl, sg, nents, i) {
		unsigned int order = get_order(sg->length);

		if (run->writes)
			expect_marked(run, sg_page(sg), order, false);
		bitmap_clear(run->lent, page_to_pfn(sg_page(sg)), 1U << order);
	}

	return err;
}

/* Every other pass is disturbed, and every fourth fails if it is long enough. */
static void random_pass(struct random_run *run, u32 how, u32 in_report)
{
	struct fake_device *fake = run->fake;

	fake_reset(fake);
	if (how % 2)
		run->in_report = in_report;
	fake->in_report = random_in_report;
	if (how / 2 % 4 == 0)
		fake->fail_at = 1 + how / 8 % 3;
	if (how / 32 % 2)
		run_pass(fake);
	else
		run_look(fake);

	/* If there was nothing to report: what is held afterwards is the same. */
	random_in_report(fake);
	run->passes++;
	if (fake->prdev.failures)
		run->failed++;
}

static void random_order(struct random_run *run, u32 how, u32 unused)
{
	char order[12];

	snprintf(order, sizeof(order), "%lu", (unsigned long)how % NR_PAGE_ORDERS);
	KUNIT_EXPECT_EQ(run->fake->test, page_reporting_order_set(order, NULL), 0);
}

static void random_drain(struct random_run *run, u32 unused, u32 unused2)
{
	drain_all_pages(NULL);
}

/* Everything is new to the device, as after hibernation. */
static void random_forget(struct random_run *run, u32 unused, u32 unused2)
{
	page_reporting_pm_event(NULL, PM_POST_HIBERNATION, NULL);
}

#ifdef CONFIG_SYSFS
/* All is reported, unless the device fails or the zone is short of memory. */
static void random_now(struct random_run *run, u32 how, u32 unused)
{
	struct fake_device *fake = run->fake;
	ssize_t result;

	fake_reset(fake);
	if (how % 4 == 0)
		fake->fail_at = 1 + how / 4 % 3;
	result = stored(&report_now_attr, "1");
	if (result != 1 && result != -EAGAIN)
		KUNIT_EXPECT_EQ(fake->test, result, fake->fail_at ? -EIO : 1);
	run_tick(fake);
}

static void random_stop(struct random_run *run, u32 how, u32 unused)
{
	KUNIT_EXPECT_EQ(run->fake->test, stored(&enabled_attr, "0"), 1);
	for (; how; how >>= 4)
		random_use(run, how, how * 31);
	KUNIT_EXPECT_EQ(run->fake->test, stored(&enabled_attr, "1"), 1);
}
#endif

/* Another device, of another order and capacity */
static void random_register(struct random_run *run, u32 how, u32 capacity)
{
	struct page_reporting_dev_info *prdev = &run->fake->prdev;

	page_reporting_unregister(prdev);
	page_reporting_order_param = PAGE_REPORTING_ORDER_UNSPECIFIED;
	prdev->order = how % (NR_PAGE_ORDERS + 1);
	prdev->capacity = capacity % (PAGE_REPORTING_CAPACITY + 2);
	KUNIT_EXPECT_EQ(run->fake->test, page_reporting_register(prdev), 0);
}

/* Out of 8192 steps; the rest allocate and free. Each says why so many. */
static const struct {
	unsigned int weight;
	void (*step)(struct random_run *run, u32 how, u32 how_too);
} random_kinds[] = {
	/* Few, so that there is always something in between to be reported */
	{ 800, random_pass },
	/* As many as make all orders common */
	{ 800, random_split },
	/* What waits in lists for each CPU is not free yet, which is a case, too */
	{ 40, random_drain },
	/* Each makes the next passes long, and others see nothing new then */
	{ 8, random_order },
	{ 4, random_forget },
#ifdef CONFIG_SYSFS
	/* A full pass each, after which there is little to report */
	{ 4, random_now },
	/* Waits for RCU */
	{ 1, random_stop },
#endif
	/* Logs a line, and waits for RCU */
	{ 1, random_register },
};

/* The same numbers are drawn whatever a step does: the next one is the same. */
static void random_step(struct random_run *run)
{
	u32 kind = prandom_u32_state(&run->rnd) % 8192;
	u32 how = prandom_u32_state(&run->rnd);
	u32 how_too = prandom_u32_state(&run->rnd);
	int i;

	for (i = 0; i < ARRAY_SIZE(random_kinds); i++) {
		if (kind < random_kinds[i].weight) {
			random_kinds[i].step(run, how, how_too);
			return;
		}
		kind -= random_kinds[i].weight;
	}
	random_use(run, how, how_too);
}

/* Blocks that the last passes should have reported. */
static unsigned long count_unreported(struct zone *zone)
{
	unsigned int order, mt;
	unsigned long blocks = 0;
	struct page *page;

	spin_lock_irq(&zone->lock);
	for (order = page_reporting_order; order < NR_PAGE_ORDERS; order++) {
		for (mt = 0; mt < MIGRATE_TYPES; mt++) {
			list_for_each_entry(page, &zone->free_area[order].free_list[mt],
					    buddy_list)
				blocks += !is_migrate_isolate(mt) && !PageReported(page);
		}
	}
	spin_unlock_irq(&zone->lock);

	return blocks;
}

/* Of the zones that can spare each block. */
static unsigned long count_all_unreported(struct random_run *run)
{
	unsigned long mark, blocks, all = 0;
	struct zone *zone;

	for_each_populated_zone(zone) {
		mark = min_wmark_pages(zone) + (4 << MAX_PAGE_ORDER);
		if (!zone_watermark_ok(zone, 0, mark, 0, ALLOC_CMA))
			continue;
		blocks = count_unreported(zone);
		run->zones += !blocks;
		all += blocks;
	}

	return all;
}

/*
 * Whatever was done: passes come to an end, all is reported then, and no block
 * is lost or counted twice. Others may free a block in between: try again then.
 */
static void random_settle(struct random_run *run)
{
	struct fake_device *fake = run->fake;
	unsigned long unreported;
	int i, tries = 8;

	do {
		fake_reset(fake);
		if (!fake_pending(fake))
			page_reporting_request(&fake->prdev, "test");
		/* What has come free just now takes some passes. */
		for (i = 0; i < BITS_PER_LONG && fake_pending(fake); i++)
			run_tick(fake);
		unreported = count_all_unreported(run);
	} while ((unreported || i == BITS_PER_LONG) && --tries);

	KUNIT_EXPECT_EQ(fake->test, unreported, 0);
	KUNIT_EXPECT_LT(fake->test, i, BITS_PER_LONG);
	KUNIT_EXPECT_EQ(fake->test, walk_free_lists(false).wrong_zones, 0);
	KUNIT_EXPECT_TRUE(fake->test, bitmap_empty(run->lent, run->frames));
	cond_resched();
}

KUNIT_DEFINE_ACTION_WRAPPER(free_map, kvfree, const void *);

static unsigned long *random_map(struct kunit *test, unsigned long frames)
{
	unsigned long *map = kvcalloc(BITS_TO_LONGS(frames), sizeof(*map), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, map);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_map, map), 0);

	return map;
}

/* What is counted of the device, but for what was so before. */
static void random_count(struct random_run *run, int sign)
{
	run->batches += sign * counted(PAGE_REPORTING_BATCHES);
	run->errors += sign * counted(PAGE_REPORTING_ERRORS);
	run->pages += sign * counted(PAGE_REPORTING_PAGES);
}

static struct random_run *random_start(struct kunit *test)
{
	struct fake_device *fake = test->priv;
	struct random_run *run;
	struct zone *zone;

	run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, run);
	for_each_populated_zone(zone)
		run->frames = max(run->frames, zone_end_pfn(zone));
	run->held = random_map(test, run->frames);
	run->lent = random_map(test, run->frames);
	run->writes = device_may_write();
	run->fake = fake;

	while (!random_seed)
		random_seed = get_random_u32();
	prandom_seed_state(&run->rnd, random_seed);
	kunit_info(test, "%u steps, page_reporting.kunit_seed=%u\n", random_steps,
		   random_seed);

	page_reporting_unregister(&fake->prdev);
	fake->random = run;
	fake->seen = NULL;
	fake->prdev.report = random_report;
	random_count(run, 1);
	KUNIT_ASSERT_EQ(test, page_reporting_register(&fake->prdev), 0);

	return run;
}

/* All is freed and settled, and the device is as the other tests have it. */
static void random_end(struct random_run *run)
{
	struct fake_device *fake = run->fake;
	int i;

	for (i = 0; i < RANDOM_BLOCKS; i++) {
		if (run->blocks[i].page)
			random_free(run, &run->blocks[i]);
	}
	drain_all_pages(NULL);
	random_settle(run);
	KUNIT_EXPECT_TRUE(fake->test, bitmap_empty(run->held, run->frames));

	/* Flags of smaller blocks go with the device that asked for them. */
	random_register(run, TEST_ORDER, 0);
	random_count(run, -1);
	KUNIT_EXPECT_EQ(fake->test, run->batches, 0);
	KUNIT_EXPECT_EQ(fake->test, run->errors, 0);
	KUNIT_EXPECT_EQ(fake->test, run->pages, 0);
	kunit_info(fake->test,
		   "%lu allocations, %lu frees, %lu splits, %lu passes of which %lu failed, %lu blocks reported%s, %lu times all of a zone\n",
		   run->allocs, run->frees, run->splits, run->passes, run->failed,
		   run->reported, run->writes ? " and overwritten" : "", run->zones);
}

static void random_steps_keep_lists_right(struct kunit *test)
{
	unsigned int order = page_reporting_order_param;
	unsigned int delay = page_reporting_delay_ms;
	struct random_run *run;
	unsigned long free, step;

	/* No pass but those that are steps. */
	page_reporting_delay_ms = UINT_MAX;
	run = random_start(test);
	drain_all_pages(NULL);
	free = global_zone_page_state(NR_FREE_PAGES);

	for (step = 1; step <= random_steps; step++) {
		random_step(run);
		if (step % RANDOM_WALK == 0)
			random_settle(run);
		if (READ_ONCE(test->status) == KUNIT_FAILURE) {
			kunit_err(test, "step %lu, page_reporting.kunit_seed=%u\n",
				  step, random_seed);
			break;
		}
	}

	random_end(run);
	KUNIT_EXPECT_GE(test, global_zone_page_state(NR_FREE_PAGES) + random_slack(), free);
	KUNIT_EXPECT_GT(test, run->zones, 0);
	page_reporting_order_param = order;
	page_reporting_delay_ms = delay;
}

static struct kunit_case page_reporting_test_cases[] = {
	KUNIT_CASE(register_second_device_busy),
	KUNIT_CASE(register_finds_order),
	KUNIT_CASE(param_order_refuses),
	KUNIT_CASE(param_order_takes),
	KUNIT_CASE(param_order_requests_pass),
	KUNIT_CASE(param_delay_refuses),
	KUNIT_CASE(param_delay_takes),
#ifdef CONFIG_SYSFS
	KUNIT_CASE(files_are_parameters),
	KUNIT_CASE(files_name_device),
	KUNIT_CASE(file_counts_unreported),
	KUNIT_CASE(file_stops_and_resumes),
	KUNIT_CASE(stopped_device_comes_and_goes),
	KUNIT_CASE(stop_waits_for_batch),
	KUNIT_CASE(oom_waits_for_batch),
	KUNIT_CASE(file_forgets),
	KUNIT_CASE(forget_during_batch),
	KUNIT_CASE(nobody_waits_for_device),
	KUNIT_CASE(slow_device_is_named),
	KUNIT_CASE(now_reports_all),
	KUNIT_CASE(now_refuses),
	KUNIT_CASE(now_takes_its_time),
	KUNIT_CASE(now_ends_though_more_comes),
	KUNIT_CASE(now_says_that_memory_is_short),
	KUNIT_CASE(now_says_that_more_has_come),
	KUNIT_CASE(now_is_served_by_next_pass),
	KUNIT_CASE(now_does_not_wait_for_ever),
#endif
	KUNIT_CASE(pass_reports_all_once),
	KUNIT_CASE(pass_leaves_what_was_used),
	KUNIT_CASE(passes_end_when_all_lasts),
	KUNIT_CASE(pass_keeps_what_is_used_in_turns),
	KUNIT_CASE(pass_reports_sooner_what_lasts),
	KUNIT_CASE(new_device_does_not_wait),
	KUNIT_CASE(come_and_gone_count_once),
	KUNIT_CASE(used_block_is_not_replaced),
	KUNIT_CASE(pass_looks_again),
	KUNIT_CASE(single_page_is_reported),
	KUNIT_CASE(pass_reports_as_much_as_stays),
	KUNIT_CASE(idle_cpu_list_is_drained),
	KUNIT_CASE(long_cpu_list_is_noticed),
	KUNIT_CASE(busy_cpu_list_is_kept),
	KUNIT_CASE(pass_reports_what_came_back),
	KUNIT_CASE(new_device_is_told_all),
	KUNIT_CASE(all_is_new_after_hibernation),
	KUNIT_CASE(allocation_clears_flag),
	KUNIT_CASE(split_clears_flag),
	KUNIT_CASE(counters_follow_batches),
	KUNIT_CASE(counter_of_use),
	KUNIT_CASE(events_say_what_was_done),
	KUNIT_CASE(split_and_merge_forget),
	KUNIT_CASE(merge_at_putback_unflagged),
	KUNIT_CASE(isolated_list_left_alone),
	KUNIT_CASE(isolated_blocks_hide_no_other),
	KUNIT_CASE(cma_list_is_reported),
	KUNIT_CASE(pass_keeps_migratetype),
#ifdef CONFIG_SYSFS
	KUNIT_CASE(now_reports_all_lists),
#endif
	KUNIT_CASE(capacity_bounds_batch),
	KUNIT_CASE(full_batch_rotates_list),
	KUNIT_CASE(walk_gives_lock_up),
	KUNIT_CASE(short_batch_leaves_no_end),
	KUNIT_CASE(error_ends_pass_unflagged),
	KUNIT_CASE(error_is_that_of_device),
	KUNIT_CASE(error_doubles_delay),
	KUNIT_CASE(request_during_pass_not_lost),
	KUNIT_CASE(half_isolated_in_report),
	KUNIT_CASE(free_requests_pass),
	KUNIT_CASE(free_of_exact_order_requests_pass),
	KUNIT_CASE(short_zone_is_looked_at_again),
	KUNIT_CASE(batch_is_what_zone_can_spare),
	KUNIT_CASE(last_block_is_kept),
	KUNIT_CASE(unregister_waits_for_pass),
	KUNIT_CASE(pass_ends_with_its_time),
	KUNIT_CASE_SLOW(random_steps_keep_lists_right),
	{}
};

static struct kunit_suite page_reporting_test_suite = {
	.name = "page_reporting",
	.suite_init = page_reporting_suite_init,
	.suite_exit = page_reporting_suite_exit,
	.init = page_reporting_test_init,
	.exit = page_reporting_test_exit,
	.test_cases = page_reporting_test_cases,
};

kunit_test_suite(page_reporting_test_suite);
