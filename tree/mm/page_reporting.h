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
#include <linux/page-flags.h>

void page_reporting_notify(void);

#ifdef CONFIG_PAGE_REPORTING
DECLARE_STATIC_KEY_FALSE(page_reporting_enabled);
extern unsigned int page_reporting_order;

/* Is it worth a report that a block of this order has become free? */
static inline bool page_reporting_wants(unsigned int order)
{
	return static_branch_unlikely(&page_reporting_enabled) &&
	       order >= READ_ONCE(page_reporting_order);
}

/* The block that starts at this page leaves the free lists. */
static inline void page_reporting_forget(struct page *page)
{
	if (static_branch_unlikely(&page_reporting_enabled) &&
	    PageReported(page))
		ClearPageReported(page);
}
#else /* !CONFIG_PAGE_REPORTING */
static inline bool page_reporting_wants(unsigned int order)
{
	return false;
}

static inline void page_reporting_forget(struct page *page)
{
}
#endif /* CONFIG_PAGE_REPORTING */
#endif /* _MM_PAGE_REPORTING_H */
