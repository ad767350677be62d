// SPDX-License-Identifier: GPL-2.0
/* Free page reporting: which free memory is worth a report. */

/**
 * DOC: policy
 *
 * The question
 * ------------
 *
 * Free memory that the hypervisor does not know of is held: others cannot use it.
 * Free memory that it knows of costs a fault in the hypervisor when the guest uses it
 * again: a refault. Holding a page costs 1 for each tick. A refault costs P, which is
 * PAGE_REPORTING_PRICE ticks. That is about page_reporting_delay_ms: a tick is the delay
 * divided by the price, rounded down to jiffies.
 *
 * Free memory comes and goes like a stack. The allocator prefers what is not reported
 * to what is, so the page that brings free memory above some level is used again when
 * free memory falls below that level. Each level has its intervals of being free, and
 * each interval is one decision: when to report? Who knows that an interval will last
 * for t pays min(t, P): hold it if it is short, report it at once if it is long.
 *
 * Nobody knows. A rule that waits for w before it reports, its window, pays t if t <= w,
 * and w + P otherwise. This is the ski rental problem. w = P never pays more than twice
 * the min(t, P), and no fixed window does better. A short window returns memory sooner,
 * and is right for memory that stays free. It pays up to P / w + 1 times too much for
 * memory that is used in turns.
 *
 * The rule
 * --------
 *
 * What repeats can be learnt. Several windows are scored side by side: it takes a few
 * words for each to know what it would have reported, and so what it would have cost.
 * Free memory is reported as the cheapest window would have it. So what stays free for
 * longer than the price goes after a short window, what is used again sooner is kept,
 * and nobody has to set anything. A guest does both at the same time: a process that
 * takes a little each second, and one that takes much each minute. The little moves
 * the top of free memory and the much all of it. So memory is divided in bands, by the
 * level, and each band has scores of its own.
 *
 * A refault is charged when it happens, as it is not known before. So of an interval
 * that is open short windows look better than they may turn out to be, and they are
 * right if it lasts. What was paid in it counts a part until it is over.
 *
 * The past counts less and less. Evidence is a page that was used, or that was free for
 * longer than any window. Scores are halved after PAGE_REPORTING_MEMORY times as much
 * evidence as came in one tick: it is turns that are counted, of whatever size. Where
 * nothing has happened yet the shortest window is the cheapest.
 *
 * The bound
 * ---------
 *
 * Patterns can change, and an adversary can change them on purpose. So there is a
 * mixture that does not look at the past. It reports of each window the share below.
 * Time is counted in ticks here, and an interval of n ticks is one that touches so many.
 * For any n the mixture pays at most
 *
 *	sum of share[i] / 32 * (n <= w[i] ? n : min(n, w[i] + 1) + P) <= 16/9 * min(n, P)
 *
 * where w[i] + 1 is there as memory can have come free early in a tick. This is near
 * e / (e - 1), the limit for any rule that does not look at the past. It holds for each
 * interval, in whatever order they come.
 *
 * What the rule has paid is compared with what the mixture has paid. What the rule has
 * reported and the mixture has not counts as if it was refaulted already. Once that
 * exceeds 9/8 of what the mixture has paid by the price of all memory, the mixture takes
 * over until half of that debt is paid back. While it decides the debt does not grow:
 * both pay the same for what both have reported, and the rest was paid in advance. The
 * comparison is made once a tick, and memory can be held for one tick before it. So for
 * any guest
 *
 *	cost <= 9/8 * 16/9 * sum of min(n, P) + (P + 1) * memory
 *	      = 2 * sum of min(n, P) + (P + 1) * memory
 *
 * Where it fails
 * --------------
 *
 * Levels are a model. Where the allocator uses reported blocks although others are
 * left, for want of the migratetype or of the zone, more is refaulted than is charged.
 * Zones are one stack here, and each has its own. What the host pays for a page held
 * depends on whether others want it, which no guest knows. Intervals that differ by
 * chance cannot be learnt: there the best fixed window is as good as the rule. The bound
 * is not kept where the limit is shorter than the price, as with a delay of less than 32
 * jiffies, nor across page_reporting_policy_shift().
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#include "page_reporting_policy.h"

/* In ticks. Of those above 4 each is about 3/2 of the one before it. */
static const unsigned char page_reporting_window[PAGE_REPORTING_WINDOWS] = {
	1, 2, 4, 6, 9, 14, 21, 31
};

/* Shares of the mixture, of 32. They minimize its worst case. */
#define PAGE_REPORTING_SHARES	32

static const unsigned char page_reporting_share[PAGE_REPORTING_WINDOWS] = {
	0, 1, 1, 2, 3, 4, 8, 13
};

/* Of what was paid in an interval that is not over one part of so many counts. */
#define PAGE_REPORTING_OPEN	4

/* Turns that count half as much as the last one */
#define PAGE_REPORTING_MEMORY	8

/* The debt is counted in these units of a page tick, to have 9/8 of a share whole. */
#define PAGE_REPORTING_UNITS	(8 * PAGE_REPORTING_SHARES)

/**
 * page_reporting_policy_init() - forget all that was learnt
 * @policy: the policy
 * @memory: pages that the guest has
 *
 * All that is free in the first tick counts as free for long: nobody saw it come free,
 * so its use says nothing about windows.
 */
void page_reporting_policy_init(struct page_reporting_policy *policy,
				unsigned long memory)
{
	unsigned int i;

	memset(policy, 0, sizeof(*policy));
	policy->memory = memory;
	for (i = 0; i < PAGE_REPORTING_PRICE; i++)
		policy->least[i] = memory;
}

/* Pages of a band below this level. The last band has no upper end. */
static unsigned long page_reporting_below(struct page_reporting_policy *policy,
					  unsigned int band, unsigned long level)
{
	unsigned long size = policy->memory / PAGE_REPORTING_BANDS + 1;
	unsigned long low = band * size;

	if (level <= low)
		return 0;

	return band == PAGE_REPORTING_BANDS - 1 ? level - low : min(level - low, size);
}

/* So many pages in a tick say which window is right. */
static void page_reporting_learn(struct page_reporting_band *band, unsigned long pages)
{
	unsigned int i;

	if (!pages)
		return;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++) {
		band->cost[i] += band->open[i];
		band->open[i] = 0;
	}
	band->largest = max(band->largest, pages);
	band->largest_since = max(band->largest_since, pages);
	band->evidence += pages;
	if (band->evidence / PAGE_REPORTING_MEMORY < band->largest)
		return;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++)
		band->cost[i] /= 2;
	band->largest = max(band->largest / 2, band->largest_since);
	band->largest_since = 0;
	band->evidence = 0;
}

static unsigned int page_reporting_cheapest(struct page_reporting_band *band)
{
	unsigned int i, best = 0;
	u64 least = U64_MAX;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++) {
		u64 cost = band->cost[i] + band->open[i] / PAGE_REPORTING_OPEN;

		if (cost < least) {
			least = cost;
			best = i;
		}
	}

	return best;
}

/*
 * What happened in a band in the last tick, and how much of it the cheapest window
 * would have reported now. @before and @after are what each window had reported
 * before and after @least was free. Adds what the mixture has paid to @mixed.
 */
static unsigned long page_reporting_score(struct page_reporting_policy *policy,
					  unsigned int nr, unsigned long least,
					  const unsigned long *before,
					  const unsigned long *after, u64 *mixed)
{
	const unsigned int last = PAGE_REPORTING_WINDOWS - 1;
	struct page_reporting_band *band = &policy->bands[nr];
	unsigned long free = page_reporting_below(policy, nr, policy->free);
	unsigned long left = page_reporting_below(policy, nr, least);
	unsigned long used = free - min(free, left), lasted;
	unsigned int i;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++) {
		unsigned long had = page_reporting_below(policy, nr, before[i]);
		unsigned long has = page_reporting_below(policy, nr, after[i]);
		u64 cost = free - had + (u64)PAGE_REPORTING_PRICE * (had - has);

		band->open[i] += cost;
		*mixed += cost * page_reporting_share[i];
	}

	lasted = page_reporting_below(policy, nr, policy->reported[last]) -
		 page_reporting_below(policy, nr, after[last]);
	page_reporting_learn(band, used + lasted);

	return page_reporting_below(policy, nr,
				    policy->reported[page_reporting_cheapest(band)]);
}

/*
 * Compare what was paid with what the mixture has paid, and do as it does if that is
 * too much. @had and @has are what was reported before and after @least was free, @goal
 * is what is to be.
 */
static unsigned long page_reporting_bound(struct page_reporting_policy *policy,
					  unsigned long had, unsigned long has,
					  unsigned long goal, u64 mixed)
{
	s64 limit = (s64)PAGE_REPORTING_UNITS * PAGE_REPORTING_PRICE * policy->memory;
	u64 paid = policy->free - had + (u64)PAGE_REPORTING_PRICE * (had - has);
	u64 mixture = 0, advance;
	unsigned int i;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++)
		mixture += (u64)policy->reported[i] * page_reporting_share[i];

	policy->debt += (s64)(paid * PAGE_REPORTING_UNITS) - (s64)(mixed * 9);
	/* What was saved long ago is no reason to pay too much now. */
	policy->debt = max(policy->debt, -limit);

	advance = (u64)goal * PAGE_REPORTING_SHARES;
	advance -= min(advance, mixture);
	advance *= 8 * PAGE_REPORTING_PRICE;
	policy->careful = policy->debt + (s64)advance > (policy->careful ? limit / 2 : limit);

	return policy->careful ? mixture / PAGE_REPORTING_SHARES : goal;
}

/**
 * page_reporting_policy_tick() - a tick is over: what is to be reported now?
 * @policy: the policy
 * @free: number of pages that are free, reported or not
 * @least: the least that were free since the last tick
 * @limit: ticks that no memory may be free and not reported for, at least 2; of
 *	%PAGE_REPORTING_PRICE or more the price takes care
 *
 * Context: Does not sleep. The caller serializes the calls.
 * Return: how many of the free pages are to be reported, counting those that are
 */
unsigned long page_reporting_policy_tick(struct page_reporting_policy *policy,
					 unsigned long free, unsigned long least,
					 unsigned int limit)
{
	unsigned long before[PAGE_REPORTING_WINDOWS], after[PAGE_REPORTING_WINDOWS];
	unsigned long lasting = ULONG_MAX, goal = 0, had, has, agreed;
	unsigned int i, age = 0;
	u64 mixed = 0;

	least = min(least, free);
	policy->least[policy->tick++ % PAGE_REPORTING_PRICE] = least;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++) {
		/* What was free in each tick of the window */
		for (; age < page_reporting_window[i]; age++) {
			unsigned long tick = policy->tick - 1 - age;

			lasting = min(lasting, policy->least[tick % PAGE_REPORTING_PRICE]);
		}
		before[i] = policy->reported[i];
		after[i] = min(before[i], least);
		policy->reported[i] = max(after[i], lasting);
	}

	/* Where all windows agree and nothing was used, there is nothing to learn. */
	agreed = after[PAGE_REPORTING_WINDOWS - 1];
	for (i = 0; i < PAGE_REPORTING_BANDS; i++) {
		if (page_reporting_below(policy, i, max(policy->free, free)) >
		    page_reporting_below(policy, i, agreed))
			goal += page_reporting_score(policy, i, least, before, after, &mixed);
		else
			goal += page_reporting_below(policy, i, agreed);
	}

	had = policy->goal;
	has = min(had, least);
	goal = max(has, page_reporting_bound(policy, had, has, max(goal, has), mixed));

	/* Longer windows have reported less. */
	for (i = 1; i < PAGE_REPORTING_WINDOWS && page_reporting_window[i] < limit; i++)
		;
	policy->longest = i - 1;
	policy->goal = max(goal, policy->reported[policy->longest]);
	policy->free = free;

	return policy->goal;
}

/**
 * page_reporting_policy_shift() - memory has come, or was taken out of use
 * @policy: the policy
 * @pages: so many pages have come, less than none if they have gone
 *
 * Neither is a use of memory: all levels move with it.
 *
 * Context: Does not sleep. The caller serializes the calls.
 */
void page_reporting_policy_shift(struct page_reporting_policy *policy, long pages)
{
	unsigned long gone = pages < 0 ? -pages : 0, come = pages < 0 ? 0 : pages;
	unsigned int i;

	for (i = 0; i < PAGE_REPORTING_WINDOWS; i++)
		policy->reported[i] += come - min(gone, policy->reported[i]);
	for (i = 0; i < PAGE_REPORTING_PRICE; i++)
		policy->least[i] += come - min(gone, policy->least[i]);
	policy->goal += come - min(gone, policy->goal);
	policy->free += come - min(gone, policy->free);
}

/**
 * page_reporting_policy_unsettled() - is it known of all that is free that it lasts?
 * @policy: the policy
 *
 * Return: number of free pages that not all windows within the limit would have reported
 */
unsigned long page_reporting_policy_unsettled(struct page_reporting_policy *policy)
{
	return policy->free - policy->reported[policy->longest];
}

#ifdef CONFIG_PAGE_REPORTING_KUNIT_TEST
#include "tests/page_reporting_policy_kunit.c"
#endif
