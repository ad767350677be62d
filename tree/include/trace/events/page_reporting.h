/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each event and each of its fields says is in
 * Documentation/admin-guide/mm/page_reporting.rst. Programs read them: fields may
 * be added, but not changed.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM page_reporting

#if !defined(_TRACE_PAGE_REPORTING_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PAGE_REPORTING_H

#include <linux/mmzone.h>
#include <linux/page_reporting.h>
#include <linux/tracepoint.h>
#include <trace/events/mmflags.h>

TRACE_EVENT(page_reporting_request,

	TP_PROTO(const char *reason),

	TP_ARGS(reason),

	TP_STRUCT__entry(
		__string(reason, reason)
	),

	TP_fast_assign(
		__assign_str(reason);
	),

	TP_printk("reason=%s", __get_str(reason))
);

TRACE_EVENT(page_reporting_pass_begin,

	TP_PROTO(struct zone *zone, unsigned int order, unsigned long unreported,
		 unsigned long surplus),

	TP_ARGS(zone, order, unreported, surplus),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(int, zid)
		__field(unsigned int, order)
		__field(unsigned long, free)
		__field(unsigned long, unreported)
		__field(unsigned long, surplus)
	),

	TP_fast_assign(
		__entry->nid = zone_to_nid(zone);
		__entry->zid = zone_idx(zone);
		__entry->order = order;
		__entry->free = zone_page_state(zone, NR_FREE_PAGES);
		__entry->unreported = unreported;
		__entry->surplus = surplus;
	),

	TP_printk("node=%d zone=%s order=%u free=%lu unreported=%lu surplus=%lu",
		  __entry->nid, __print_symbolic(__entry->zid, ZONE_TYPE),
		  __entry->order, __entry->free, __entry->unreported,
		  __entry->surplus)
);

TRACE_EVENT(page_reporting_pass_end,

	TP_PROTO(struct zone *zone, unsigned long pages, unsigned int batches,
		 const char *reason, u64 ns),

	TP_ARGS(zone, pages, batches, reason, ns),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(int, zid)
		__field(unsigned long, pages)
		__field(unsigned int, batches)
		__field(u64, ns)
		__string(reason, reason)
	),

	TP_fast_assign(
		__entry->nid = zone_to_nid(zone);
		__entry->zid = zone_idx(zone);
		__entry->pages = pages;
		__entry->batches = batches;
		__entry->ns = ns;
		__assign_str(reason);
	),

	TP_printk("node=%d zone=%s pages=%lu batches=%u ns=%llu reason=%s",
		  __entry->nid, __print_symbolic(__entry->zid, ZONE_TYPE),
		  __entry->pages, __entry->batches, __entry->ns, __get_str(reason))
);

TRACE_EVENT(page_reporting_batch,

	TP_PROTO(struct zone *zone, unsigned int blocks, unsigned long pages,
		 int err, u64 ns),

	TP_ARGS(zone, blocks, pages, err, ns),

	TP_STRUCT__entry(
		__field(int, nid)
		__field(int, zid)
		__field(unsigned int, blocks)
		__field(unsigned long, pages)
		__field(int, err)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->nid = zone_to_nid(zone);
		__entry->zid = zone_idx(zone);
		__entry->blocks = blocks;
		__entry->pages = pages;
		__entry->err = err;
		__entry->ns = ns;
	),

	TP_printk("node=%d zone=%s blocks=%u pages=%lu err=%d ns=%llu",
		  __entry->nid, __print_symbolic(__entry->zid, ZONE_TYPE),
		  __entry->blocks, __entry->pages, __entry->err, __entry->ns)
);

TRACE_EVENT(page_reporting_register,

	TP_PROTO(const char *name, unsigned int order, unsigned int capacity),

	TP_ARGS(name, order, capacity),

	TP_STRUCT__entry(
		__string(name, name)
		__field(unsigned int, order)
		__field(unsigned int, capacity)
	),

	TP_fast_assign(
		__assign_str(name);
		__entry->order = order;
		__entry->capacity = capacity;
	),

	TP_printk("device=%s order=%u capacity=%u", __get_str(name),
		  __entry->order, __entry->capacity)
);

TRACE_EVENT(page_reporting_unregister,

	TP_PROTO(const char *name),

	TP_ARGS(name),

	TP_STRUCT__entry(
		__string(name, name)
	),

	TP_fast_assign(
		__assign_str(name);
	),

	TP_printk("device=%s", __get_str(name))
);

#endif /* _TRACE_PAGE_REPORTING_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
