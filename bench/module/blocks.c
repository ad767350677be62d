// SPDX-License-Identifier: GPL-2.0
/*
 * Takes blocks of one order, with nobody looking at what is in them, and frees every
 * other of them when it is told to: free blocks that can not be merged, as many as one
 * wants. Their memory need not be there on the host.
 *
 *   insmod blocks.ko order=9 count=24000; echo 1 >/sys/module/blocks/parameters/free
 */
#define pr_fmt(fmt) "blocks: " fmt

#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

static unsigned int order;
module_param(order, uint, 0444);

static unsigned int count;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "of the blocks that are taken; half of them are freed");

static LIST_HEAD(blocks);

/* Lower halves of blocks of the next order. The upper halves stay: nothing is merged. */
static int free_blocks(const char *value, const struct kernel_param *param)
{
	struct page *page, *next;
	unsigned int freed = 0;

	list_for_each_entry_safe(page, next, &blocks, lru) {
		if (page_to_pfn(page) & (1UL << order))
			continue;
		list_del(&page->lru);
		__free_pages(page, order);
		freed++;
		cond_resched();
	}
	pr_info("freed %u\n", freed);
	return 0;
}

static const struct kernel_param_ops free_ops = { .set = free_blocks };
module_param_cb(free, &free_ops, NULL, 0200);

static int __init blocks_init(void)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order);

		if (!page) {
			pr_err("no memory for block %u\n", i);
			return -ENOMEM;
		}
		list_add_tail(&page->lru, &blocks);
		cond_resched();
	}
	return 0;
}
module_init(blocks_init);

MODULE_DESCRIPTION("Free blocks that are not merged, for the benchmark of page reporting");
MODULE_LICENSE("GPL");
