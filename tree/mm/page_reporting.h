/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Free page reporting: the page allocator's side.
 *
 * See Documentation/mm/free_page_reporting.rst.
 */
#ifndef _MM_PAGE_REPORTING_H
#define _MM_PAGE_REPORTING_H

#include <linux/jump_label.h>
#include <linux/mm_types.h>
#include <linux/mmzone.h>
#include <linux/page-flags.h>
#include <linux/vmstat.h>

void page_reporting_notify(struct zone *zone, unsigned long pages);

#ifdef CONFIG_PAGE_REPORTING
DECLARE_STATIC_KEY_FALSE(page_reporting_enabled);
extern unsigned int page_reporting_order;

/* Is it worth a report that a block of this order has become free? */
static inline bool page_reporting_wants(unsigned int order)
{
	return static_branch_unlikely(&page_reporting_enabled) &&
	       order >= READ_ONCE(page_reporting_order);
}

/*
 * The block that starts at this page leaves the free lists, be it to merge with
 * its buddy or to go offline. Before each __del_page_from_free_list(), with the
 * zone's lock held, or else the page allocator finds a bad page.
 *
 * Return: true if the block was reported.
 *
 * The counters are changed without a call: these are the allocator's paths, which
 * would have to keep their registers for it, for other blocks as well.
 */
static inline bool page_reporting_forget(struct page *page, struct zone *zone,
					 unsigned int order)
{
	if (!static_branch_unlikely(&page_reporting_enabled) ||
	    !PageReported(page))
		return false;

	ClearPageReported(page);
	zone->nr_reported[order]--;
	zone_page_state_add(-(1L << order), zone, NR_FREE_REPORTED);

	return true;
}

/*
 * The same, for an allocation: as a whole, or split for a part of it. All of the
 * block counts: what is left of it has to be reported again.
 */
static inline void page_reporting_reuse(struct page *page, struct zone *zone,
					unsigned int order)
{
	if (page_reporting_forget(page, zone, order))
		zone_page_state_add(1L << order, zone, PAGE_REPORTING_REUSED);
}
#else /* !CONFIG_PAGE_REPORTING */
static inline bool page_reporting_wants(unsigned int order)
{
	return false;
}

static inline bool page_reporting_forget(struct page *page, struct zone *zone,
					 unsigned int order)
{
	return false;
}

static inline void page_reporting_reuse(struct page *page, struct zone *zone,
					unsigned int order)
{
}
#endif /* CONFIG_PAGE_REPORTING */
#endif /* _MM_PAGE_REPORTING_H */
