// SPDX-License-Identifier: GPL-2.0
/*
 * Free memory goes back to the host: holes are punched into the file that is this
 * machine's memory, where page reporting says that it is free.
 *
 * See Documentation/virt/uml/user_mode_linux_howto_v2.rst.
 */
#define pr_fmt(fmt) "uml: " fmt

#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <init.h>
#include <mem_user.h>
#include <os.h>

static bool uml_reporting_off __initdata;

static int __init uml_reporting_setup(char *value, int *add)
{
	if (strcmp(value, "off"))
		os_warn("uml_page_reporting=%s: not 'off', so it stays on\n", value);
	else
		uml_reporting_off = true;
	*add = 0;

	return 0;
}

__uml_setup("uml_page_reporting=", uml_reporting_setup,
	    "uml_page_reporting=off\n"
	    "    Keep all memory that was ever used. By default, what is free for some\n"
	    "    seconds is given back to the host.\n\n"
	    );

/*
 * From here on these pages read as zero, through every mapping of the file, and
 * take none of the host's memory until they are touched again.
 */
static int uml_give_back(phys_addr_t phys, unsigned int len)
{
	unsigned long long offset;
	int fd = phys_mapping(phys, &offset);

	return os_falloc_punch(fd, offset, len);
}

/*
 * The host could do it when this machine came up. An error is one of the moment
 * then, and page reporting tries again after a while that grows to minutes.
 */
static int uml_report(struct page_reporting_dev_info *prdev,
		      struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	unsigned int i;
	int err;

	for_each_sg(sgl, sg, nents, i) {
		err = uml_give_back(sg_phys(sg), sg->length);
		if (err) {
			pr_warn_once("free memory was not given back: error %d\n", err);
			return err;
		}
		/* As long as the host takes for it, nothing else has run on this CPU. */
		cond_resched();
	}

	return 0;
}

/*
 * Order 4: a call to the host costs what it takes to clear a few pages, which is
 * little beside the clearing of 16, and larger holes save little more.
 */
static struct page_reporting_dev_info uml_reporting_device = {
	.name = "uml",
	.report = uml_report,
	.order = 4,
};

/* Try it, and look whether the page is gone: not every file system can do it. */
static int __init uml_try_give_back(void)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int err;

	if (!page)
		return -ENOMEM;

	memset(page_address(page), 0xff, PAGE_SIZE);
	err = uml_give_back(page_to_phys(page), PAGE_SIZE);
	if (!err && memchr_inv(page_address(page), 0, PAGE_SIZE))
		err = -EIO;
	__free_page(page);

	return err;
}

static int __init uml_reporting_init(void)
{
	int err;

	if (uml_reporting_off)
		return 0;
	/* Free pages have to read as poison then, and a hole does not. */
	if (page_poisoning_enabled_static()) {
		pr_info("free memory is poisoned, and is not given back to the host\n");
		return 0;
	}

	err = uml_try_give_back();
	if (err) {
		pr_warn("the host cannot take free memory back: error %d; "
			"it can if TMPDIR is on a tmpfs\n", err);
		return 0;
	}

	err = page_reporting_register(&uml_reporting_device);
	if (err == -EBUSY)
		pr_info("free memory is not given back here: another device does so\n");

	return err == -EBUSY ? 0 : err;
}

/* After all drivers: a balloon that was asked for comes first. */
late_initcall(uml_reporting_init);
