# SPDX-License-Identifier: GPL-2.0
"""Faults to put into the implementation, one at a time.

Each is (what is wrong, file, the code as it is, the code with the fault). The
suite page_reporting has to fail with each of them.
"""

CORE = "mm/page_reporting.c"

FAULTS = (
    ("the flag stays when a block leaves its free list", "mm/page_reporting.h",
     "\t\tClearPageReported(page);", "\t\t;"),
    ("the last entry is not marked as the end", CORE,
     "\tsg_mark_end(&pass->sgl[pass->nents - 1]);\n", ""),
    ("a batch is one block short", CORE,
     "pass->nents == pass->capacity)", "pass->nents == pass->capacity - 1)"),
    ("a batch that failed is flagged", CORE,
     "page_reporting_putback(pass, zone, !err)", "page_reporting_putback(pass, zone, true)"),
    ("a request during a pass is dropped", CORE,
     "\t    PAGE_REPORTING_ACTIVE)\n\t\tpage_reporting_queue(pass.prdev);", "\t    PAGE_REPORTING_ACTIVE)\n\t\t;"),
    ("what is reported is reported again", CORE,
     "\t\tif (PageReported(page))\n\t\t\tcontinue;\n", ""),
    ("a pass that failed requests no other one", CORE,
     "\tif (err || pass.more)", "\tif (pass.more)"),
    ("what a pass leaves to the next one is not asked for", CORE,
     "\tif (err || pass.more)", "\tif (err)"),
    ("a pass takes the whole of a list", CORE,
     "#define PAGE_REPORTING_SHARE\t2", "#define PAGE_REPORTING_SHARE\t1"),
    ("a full batch does not rotate the list", CORE,
     "\t\t\tlist_rotate_to_front(&page->buddy_list, list);\n", ""),
    ("reported pageblocks become movable", CORE,
     "__isolate_free_page_keep_mt(page, order)", "__isolate_free_page(page, order)"),
    ("a new device is not told what the last one was", CORE,
     "\tif (static_key_enabled(&page_reporting_enabled))\n\t\tpage_reporting_forget_all();\n\telse\n", ""),
    ("nothing is new after hibernation", CORE,
     "event != PM_POST_HIBERNATION", "event != PM_POST_RESTORE"),
    ("a pass goes on when its device is unregistered", CORE,
     "\tif (!err && rcu_access_pointer(page_reporting_dev) != pass->prdev)\n\t\terr = -ENODEV;\n", ""),
    ("the delay does not grow with errors", CORE,
     "min(prdev->failures, PAGE_REPORTING_BACKOFF_MAX)", "0"),
    ("a block that merged as it went back is flagged", CORE,
     "if (reported && PageBuddy(page) && buddy_order(page) == order)", "if (reported)"),
    ("the last batch of a zone is not handed over", CORE,
     "\tif (pass->nents)\n\t\terr = page_reporting_flush(pass, zone);", ""),
    ("the smallest order is left out", CORE,
     "\tfor (; order < NR_PAGE_ORDERS; order++) {", "\tfor (order++; order < NR_PAGE_ORDERS; order++) {"),
    ("unregister does not wait for a pass", CORE,
     "\t\tcancel_delayed_work_sync(&prdev->work);", "\t\tcancel_delayed_work(&prdev->work);"),
    ("a second device is let in", CORE,
     "\tif (page_reporting_registered())\n\t\tgoto unlock;", ""),
    ("the first device's order stays for the next", CORE,
     "\torder = page_reporting_resolve_order(prdev->order);",
     "\torder = page_reporting_order != PAGE_REPORTING_ORDER_UNSET ?\n"
     "\t\tpage_reporting_order : page_reporting_resolve_order(prdev->order);"),
    ("a free requests no pass", "mm/page_alloc.c",
     "\tif (page_reporting_wants(order) && !(fpi_flags & FPI_NO_REPORT))\n\t\tpage_reporting_notify();\n", ""),
    ("a zone that is short of memory is not spared", CORE,
     "\tif (page_reporting_zone_short(pass, zone, order))\n\t\treturn 0;\n", ""),
    ("an order beyond the largest is taken", CORE,
     "order > MAX_PAGE_ORDER)\n\t\treturn -EINVAL;", "false)\n\t\treturn -EINVAL;"),
)
