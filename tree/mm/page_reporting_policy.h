/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free page reporting: which free memory is worth a report.
 *
 * See the comment at the top of mm/page_reporting_policy.c.
 */
#ifndef _MM_PAGE_REPORTING_POLICY_H
#define _MM_PAGE_REPORTING_POLICY_H

#include <linux/types.h>

/* The price of a refault, as the ticks that the same memory could be held for */
#define PAGE_REPORTING_PRICE	32

/* Windows that are scored side by side, and the bands that each is scored in */
#define PAGE_REPORTING_WINDOWS	8
#define PAGE_REPORTING_BANDS	16

/**
 * struct page_reporting_band - what each window would have cost in a band of memory
 * @cost: what each window would have cost, in page ticks, when there was evidence last
 * @open: what each would have cost since then
 * @evidence: pages that were refaulted, or held for the price, since @cost was halved
 * @largest: the most of them in a tick, of the last two such spans
 * @largest_since: the most of them in a tick since @cost was halved
 */
struct page_reporting_band {
	u64 cost[PAGE_REPORTING_WINDOWS];
	u64 open[PAGE_REPORTING_WINDOWS];
	unsigned long evidence;
	unsigned long largest;
	unsigned long largest_since;
};

/**
 * struct page_reporting_policy - what is known of a guest's free memory
 * @memory: pages of the guest, which the bands divide
 * @tick: number of ticks so far
 * @least: the least number of free pages in each of the last ticks, a ring
 * @free: number of free pages at the end of the last tick
 * @reported: how many of them each window would have reported
 * @goal: how many of them are to be reported
 * @debt: what @goal has cost beyond its bound, in 1/256 page ticks, and in advance
 *	what is to be paid if all of @goal is refaulted
 * @careful: the debt is too high: do as the mixture of all windows does
 * @longest: the longest window that the limit allows
 * @bands: what each window would have cost
 */
struct page_reporting_policy {
	unsigned long memory;
	unsigned long tick;
	unsigned long least[PAGE_REPORTING_PRICE];
	unsigned long free;
	unsigned long reported[PAGE_REPORTING_WINDOWS];
	unsigned long goal;
	s64 debt;
	bool careful;
	unsigned int longest;
	struct page_reporting_band bands[PAGE_REPORTING_BANDS];
};

void page_reporting_policy_init(struct page_reporting_policy *policy,
				unsigned long memory);
unsigned long page_reporting_policy_tick(struct page_reporting_policy *policy,
					 unsigned long free, unsigned long least,
					 unsigned int limit);
void page_reporting_policy_shift(struct page_reporting_policy *policy, long pages);
unsigned long page_reporting_policy_unsettled(struct page_reporting_policy *policy);

#endif /* _MM_PAGE_REPORTING_POLICY_H */
