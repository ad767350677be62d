// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for what is worth a report: mm/page_reporting_policy.c, which includes this
 * file. There is no page allocator in them, only amounts.
 */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/slab.h>

/* Pages of the guest, and what is used in turns: one band and a half */
#define TEST_MEMORY	BIT(18)
#define TEST_USED	(3UL << 13)

/* Ticks that are replayed */
#define TEST_TICKS	4096

/**
 * struct replay - a guest's free memory, what a policy does, and the least it can cost
 * @policy: what is tested
 * @test: the test that it belongs to
 * @free: number of free pages
 * @lowest: the least that were free since the last tick
 * @reported: how many of them are
 * @cost: what was paid, in page ticks
 * @tick: number of ticks so far
 * @depth: intervals that free memory consists of
 * @since: when each of them began
 * @pages: the pages of each
 * @least: what one who knows the future has paid, in page ticks
 */
struct replay {
	struct page_reporting_policy policy;
	struct kunit *test;
	unsigned long free;
	unsigned long lowest;
	unsigned long reported;
	u64 cost;
	unsigned long tick;
	unsigned long depth;
	unsigned long since[2 * TEST_TICKS];
	unsigned long pages[2 * TEST_TICKS];
	u64 least;
};

/* What one who knows the future pays for so many pages of an interval */
static u64 replay_price(struct replay *replay, unsigned long nr, unsigned long pages)
{
	unsigned long ticks = replay->tick - replay->since[nr];

	return (u64)pages * min_t(unsigned long, ticks, PAGE_REPORTING_PRICE);
}

static void replay_use(struct replay *replay, unsigned long pages)
{
	unsigned long left = replay->free - pages;

	if (replay->reported > left) {
		replay->cost += (u64)(replay->reported - left) * PAGE_REPORTING_PRICE;
		replay->reported = left;
	}
	replay->free = left;
	replay->lowest = min(replay->lowest, left);

	while (pages && replay->depth) {
		unsigned long top = replay->depth - 1;
		unsigned long part = min(pages, replay->pages[top]);

		replay->least += replay_price(replay, top, part);
		replay->pages[top] -= part;
		pages -= part;
		if (!replay->pages[top])
			replay->depth--;
	}
}

/* Before a tick it is for all of that tick that the memory is free and not reported. */
static void replay_free(struct replay *replay, unsigned long pages)
{
	replay->free += pages;
	replay->since[replay->depth] = replay->tick;
	replay->pages[replay->depth++] = pages;
}

/* So many pages are used in the tick and free again, and then so many others are. */
static void replay_tick(struct replay *replay, unsigned long turn, unsigned long pages)
{
	replay->tick++;
	replay->cost += replay->free - replay->reported;
	replay_use(replay, max(turn, pages));
	if (turn > pages)
		replay_free(replay, turn - pages);
	replay->reported = page_reporting_policy_tick(&replay->policy, replay->free,
						      replay->lowest, PAGE_REPORTING_PRICE);
	replay->lowest = replay->free;
	KUNIT_EXPECT_LE(replay->test, replay->reported, replay->free);
}

static void replay_ticks(struct replay *replay, unsigned int ticks)
{
	while (ticks--)
		replay_tick(replay, 0, 0);
}

/* Half of the guest's memory is free, and known to last. */
static struct replay *replay_start(struct kunit *test)
{
	struct replay *replay = kunit_kzalloc(test, sizeof(*replay), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, replay);
	replay->test = test;
	replay_free(replay, TEST_MEMORY / 2);
	replay->lowest = replay->free;
	page_reporting_policy_init(&replay->policy, TEST_MEMORY);
	replay_ticks(replay, PAGE_REPORTING_PRICE);
	KUNIT_EXPECT_EQ(test, replay->reported, replay->free);
	KUNIT_EXPECT_EQ(test, page_reporting_policy_unsettled(&replay->policy), 0);
	replay->cost = 0;

	return replay;
}

/* Pays the mixture more than 16/9 of the least for any interval? In 1/64 ticks. */
static void mixture_pays_no_more_than_it_says(struct kunit *test)
{
	unsigned int price = 64 * PAGE_REPORTING_PRICE, t, i, shares = 0;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++)
		shares += page_reporting_share[i];
	KUNIT_EXPECT_EQ(test, shares, PAGE_REPORTING_SHARES);

	for (t = 1; t <= 2 * price; t++) {
		unsigned int cost = 0;

		for (i = 0; i < PAGE_REPORTING_WINDOWS; i++) {
			unsigned int window = 64 * page_reporting_window[i];
			unsigned int pays = t <= window ? t : min(t, window + 64) + price;

			cost += page_reporting_share[i] * pays;
		}
		KUNIT_EXPECT_LE(test, 9 * cost, 16 * PAGE_REPORTING_SHARES * min(t, price));
	}
}

/* Windows grow, the longest one ends before the price, and its ticks are all kept. */
static void windows_grow(struct kunit *test)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, page_reporting_window[0], 1);
	for (i = 1; i < PAGE_REPORTING_WINDOWS; i++)
		KUNIT_EXPECT_GT(test, page_reporting_window[i], page_reporting_window[i - 1]);
	KUNIT_EXPECT_LT(test, page_reporting_window[i - 1], PAGE_REPORTING_PRICE);
}

/* What comes free and lasts goes after the shortest window, all of it. */
static void what_lasts_goes_at_once(struct kunit *test)
{
	struct replay *replay = replay_start(test);

	replay_tick(replay, 0, TEST_USED);
	replay_ticks(replay, 10);
	replay_free(replay, TEST_USED);
	replay_tick(replay, 0, 0);
	KUNIT_EXPECT_EQ(test, replay->free - replay->reported, TEST_USED);
	replay_tick(replay, 0, 0);
	KUNIT_EXPECT_EQ(test, replay->free - replay->reported, 0);
}

/* Turns of each length: kept if they are shorter than the price, else reported soon. */
static void turns_are_learnt(struct kunit *test)
{
	unsigned int length;

	for (length = 2; length < 3 * PAGE_REPORTING_PRICE; length++) {
		struct replay *replay = replay_start(test);
		unsigned int turn;

		for (turn = 0; turn < 4; turn++) {
			replay_tick(replay, TEST_USED, 0);
			replay_ticks(replay, length - 1);
		}
		replay->cost = 0;
		replay->least = 0;
		for (; turn < 24; turn++) {
			replay_tick(replay, TEST_USED, 0);
			replay_ticks(replay, length - 1);
		}
		KUNIT_EXPECT_LE_MSG(test, 5 * replay->cost, 6 * replay->least,
				    "turns of %u ticks\n", length);
		if (length < page_reporting_window[PAGE_REPORTING_WINDOWS - 1])
			KUNIT_EXPECT_LE_MSG(test, replay->cost,
					    24ULL * length * TEST_USED,
					    "turns of %u ticks\n", length);
		kunit_kfree(test, replay);
	}
}

/* However long it was so, what is over is forgotten after some turns. */
static void what_is_over_is_forgotten(struct kunit *test)
{
	struct replay *replay = replay_start(test);
	unsigned int turn;

	for (turn = 0; turn < 100; turn++) {
		replay_ticks(replay, 7);
		replay_tick(replay, TEST_USED, 0);
	}
	replay_ticks(replay, 7);
	KUNIT_EXPECT_EQ(test, replay->free - replay->reported, TEST_USED);
	for (turn = 0; turn < 24; turn++) {
		replay_ticks(replay, PAGE_REPORTING_PRICE);
		replay_tick(replay, TEST_USED, 0);
	}
	replay_ticks(replay, 3);
	KUNIT_EXPECT_EQ(test, replay->free, replay->reported);
}

/* A process that comes each second, and a large one each minute: each has its window. */
static void bands_have_windows_of_their_own(struct kunit *test)
{
	const unsigned long small = TEST_MEMORY / 64, large = TEST_MEMORY / 4;
	struct replay *replay = replay_start(test);
	unsigned int i;

	for (i = 0; i < 64; i++) {
		replay_ticks(replay, 7);
		replay_tick(replay, i % 16 == 15 ? large : small, 0);
	}
	/* The small one is kept, the large one is reported but for that. */
	replay_ticks(replay, 7);
	KUNIT_EXPECT_LE(test, small, replay->free - replay->reported);
	KUNIT_EXPECT_LE(test, replay->free - replay->reported,
			small + 2 * TEST_MEMORY / PAGE_REPORTING_BANDS);
	replay_ticks(replay, PAGE_REPORTING_PRICE);
	KUNIT_EXPECT_EQ(test, replay->free, replay->reported);
}

/* Whatever was learnt, nothing is kept for longer than the limit says. */
static void limit_is_kept(struct kunit *test)
{
	unsigned int limit, i;

	for (limit = 2; limit <= PAGE_REPORTING_PRICE; limit++) {
		struct replay *replay = replay_start(test);

		/* Long enough for the longest window to be the cheapest */
		for (i = 0; i < 16; i++) {
			replay_tick(replay, TEST_USED, 0);
			replay_ticks(replay, PAGE_REPORTING_PRICE - 4);
		}
		replay_tick(replay, TEST_USED, 0);
		for (i = 1; i < limit; i++)
			replay->reported = page_reporting_policy_tick(&replay->policy,
								      replay->free,
								      replay->free, limit);
		KUNIT_EXPECT_EQ_MSG(test, replay->reported, replay->free, "limit %u\n", limit);
		kunit_kfree(test, replay);
	}
}

/* Memory that comes or goes is no use of memory, and is nothing to be learnt from. */
static void what_comes_and_goes_is_no_use(struct kunit *test)
{
	struct replay *replay = replay_start(test);
	struct page_reporting_band *bands;
	unsigned int i;

	bands = kunit_kmalloc(test, sizeof(replay->policy.bands), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bands);
	memcpy(bands, replay->policy.bands, sizeof(replay->policy.bands));
	for (i = 0; i < 16; i++) {
		long pages = i % 2 ? TEST_USED : -(long)TEST_USED;

		page_reporting_policy_shift(&replay->policy, pages);
		replay->free += pages;
		replay->lowest += pages;
		replay->reported += pages;
		replay_ticks(replay, i % 5 + 1);
		KUNIT_EXPECT_EQ(test, replay->free, replay->reported);
	}
	KUNIT_EXPECT_MEMEQ(test, bands, replay->policy.bands, sizeof(replay->policy.bands));
}

/* All at most what the bound says, for as long as it goes on. */
static void expect_within_bound(struct replay *replay)
{
	u64 least = replay->least;
	unsigned long i;

	/* As if all that is free was used now */
	for (i = 0; i < replay->depth; i++)
		least += replay_price(replay, i, replay->pages[i]);
	/* The debt is looked at once a tick. */
	KUNIT_EXPECT_LE(replay->test, replay->cost,
			2 * least + (PAGE_REPORTING_PRICE + 1ULL) * TEST_MEMORY);
}

/* Use all of it as soon as it was reported: no rule can know. */
static void spite_is_bounded(struct kunit *test)
{
	struct replay *replay = replay_start(test);
	bool careful = false;

	replay_tick(replay, TEST_MEMORY / 2, 0);
	while (replay->tick < TEST_TICKS - 1) {
		bool all = replay->reported == replay->free;

		replay_tick(replay, all ? TEST_MEMORY / 2 : 0, 0);
		careful |= replay->policy.careful;
		expect_within_bound(replay);
	}
	/* Else this would not have been about the bound. */
	KUNIT_EXPECT_TRUE(test, careful);
}

static void run_by_chance(struct kunit *test, u32 seed)
{
	struct replay *replay = replay_start(test);
	struct rnd_state rnd;

	prandom_seed_state(&rnd, seed);
	while (replay->tick < TEST_TICKS - 1) {
		u32 random = prandom_u32_state(&rnd);
		unsigned long some = replay->free >> (random >> 8 & 7);

		/* As soon as most of it was reported, more often than not */
		if (random & 1 && replay->reported > replay->free / 2)
			some = replay->free;
		else if (random & 14)
			some = 0;
		if (random & 64 && replay->free < TEST_MEMORY) {
			replay_free(replay, TEST_MEMORY - replay->free);
			some = 0;
		}
		if (random & 16)
			replay_tick(replay, some, 0);
		else
			replay_tick(replay, 0, some);
		expect_within_bound(replay);
	}
	kunit_kfree(test, replay);
}

/* Anything at all happens, from seeds of which the first is printed. */
static void chance_is_bounded(struct kunit *test)
{
	u32 seed = get_random_u32(), i;

	kunit_info(test, "seeds from %u\n", seed);
	for (i = 0; i < 32; i++)
		run_by_chance(test, seed + i);
}

static struct kunit_case page_reporting_policy_cases[] = {
	KUNIT_CASE(mixture_pays_no_more_than_it_says),
	KUNIT_CASE(windows_grow),
	KUNIT_CASE(what_lasts_goes_at_once),
	KUNIT_CASE(turns_are_learnt),
	KUNIT_CASE(what_is_over_is_forgotten),
	KUNIT_CASE(bands_have_windows_of_their_own),
	KUNIT_CASE(limit_is_kept),
	KUNIT_CASE(what_comes_and_goes_is_no_use),
	KUNIT_CASE(spite_is_bounded),
	KUNIT_CASE(chance_is_bounded),
	{}
};

static struct kunit_suite page_reporting_policy_suite = {
	.name = "page_reporting_policy",
	.test_cases = page_reporting_policy_cases,
};

kunit_test_suite(page_reporting_policy_suite);
