// SPDX-License-Identifier: GPL-2.0
/*
 * Allocates and frees blocks in a loop, in the task that says so: what this costs is
 * what the task takes of the CPU for it.
 *
 *   insmod loops.ko; cd /sys/module/loops/parameters
 *   echo 9 >order; echo 64 >batch; echo 100 >run
 */
#define pr_fmt(fmt) "loops: " fmt

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>

#define MOST_BLOCKS	2048

static unsigned int order;
module_param(order, uint, 0644);

static unsigned int batch = 1;
module_param(batch, uint, 0644);
MODULE_PARM_DESC(batch, "how many blocks are allocated before the first is freed");

static struct page *blocks[MOST_BLOCKS];

static int run(const char *value, const struct kernel_param *param)
{
	unsigned int times, i, count;
	int err = kstrtouint(value, 0, &times);

	if (err || batch > MOST_BLOCKS)
		return err ?: -EINVAL;
	while (times--) {
		for (count = 0; count < batch; count++) {
			blocks[count] = alloc_pages(GFP_KERNEL | __GFP_NOWARN | __GFP_NORETRY, order);
			if (!blocks[count])
				break;
		}
		for (i = 0; i < count; i++)
			__free_pages(blocks[i], order);
		if (count < batch)
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

static const struct kernel_param_ops run_ops = { .set = run };
module_param_cb(run, &run_ops, NULL, 0200);

static int __init loops_init(void)
{
	return 0;
}
module_init(loops_init);

MODULE_DESCRIPTION("Allocate and free loops, for the benchmark of page reporting");
MODULE_LICENSE("GPL");
