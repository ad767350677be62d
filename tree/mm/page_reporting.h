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

void page_reporting_notify(struct zone *zone, unsigned long pages);
void __page_reporting_look_at_list(void);
void __page_reporting_marks_changed(void);
void __page_reporting_forget(struct page *page, struct zone *zone,
			     unsigned int order);
void __page_reporting_reuse(struct page *page, struct zone *zone,
			    unsigned int order);

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
 * A CPU's list is looked at once in a while. Pages that come to it request no pass, and a low
 * watermark that is high lets it hold a good part of memory: enough for a block, and more than
 * the CPU is left with, is worth one.
 */
static inline void page_reporting_look_at_list(int count, int batch)
{
	if (static_branch_unlikely(&page_reporting_enabled) &&
	    count > 2 * batch && count >> READ_ONCE(page_reporting_order))
		__page_reporting_look_at_list();
}

/* A zone that could spare nothing may have some now. */
static inline void page_reporting_marks_changed(void)
{
	if (static_branch_unlikely(&page_reporting_enabled))
		__page_reporting_marks_changed();
}

/*
 * The block that starts at this page leaves the free lists, be it to merge with
 * its buddy or to go offline. Before each __del_page_from_free_list(), with the
 * zone's lock held, or else the page allocator finds a bad page.
 */
static inline void page_reporting_forget(struct page *page, struct zone *zone,
					 unsigned int order)
{
	if (static_branch_unlikely(&page_reporting_enabled) &&
	    PageReported(page))
		__page_reporting_forget(page, zone, order);
}

/* The same, for an allocation: as a whole, or split for a part of it. */
static inline void page_reporting_reuse(struct page *page, struct zone *zone,
					unsigned int order)
{
	if (static_branch_unlikely(&page_reporting_enabled) &&
	    PageReported(page))
		__page_reporting_reuse(page, zone, order);
}
#else /* !CONFIG_PAGE_REPORTING */
static inline bool page_reporting_wants(unsigned int order)
{
	return false;
}

static inline void page_reporting_look_at_list(int count, int batch)
{
}

static inline void page_reporting_marks_changed(void)
{
}

static inline void page_reporting_forget(struct page *page, struct zone *zone,
					 unsigned int order)
{
}

static inline void page_reporting_reuse(struct page *page, struct zone *zone,
					unsigned int order)
{
}
#endif /* CONFIG_PAGE_REPORTING */
#endif /* _MM_PAGE_REPORTING_H */
