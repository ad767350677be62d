# SPDX-License-Identifier: GPL-2.0
"""Little is taken out of large free blocks and freed again: how much is reported for it?"""

from common import CYCLE, PARAMETER, cycles, line, measured, read, select, side_by_side, turns

TITLE = "Redundant reports: little taken out of large free blocks, and freed again"
FLAVOURS = ("upstream", "ours")
MEM, CYCLES, IDLE = 1024, 12, 5000
MIBS, QUICK_MIBS = (1, 8, 64), (8,)
ORDERS, QUICK_ORDERS = (9, 0), (9,)
# When a pass comes makes a difference here.
REPEATS, QUICK_REPEATS = 4, 1


def one(flavour, order, mib, repeat):
    return cycles("redundant", flavour, MEM, mib, (IDLE,), CYCLES, repeat,
                  append=("transparent_hugepage=never", f"{PARAMETER}order={order}"))


def measure(quick):
    measured("redundant", [(flavour, order, mib, repeat) for order in (QUICK_ORDERS if quick else ORDERS)
                           for mib in (QUICK_MIBS if quick else MIBS)
                           for repeat, flavour in turns(QUICK_REPEATS if quick else REPEATS, FLAVOURS)],
             ("flavour", "order", "mib", "repeat"), CYCLE, one,
             lambda key, row: f"{key['mib']} MiB, order {key['order']}, {key['flavour']}: "
             f"{row['reported_mib'] / key['mib']:.2f} bytes reported for one that was freed")


def report(_folder):
    rows = read("redundant")
    lines = []
    for order in dict.fromkeys(row["order"] for row in rows):
        for mib in dict.fromkeys(row["mib"] for row in rows):
            lines.append(line(f"order {order:.0f}, {mib:.0f} MiB in single pages", 2,
                              {f: [reported / mib for reported in
                                   select(rows, "reported_mib", flavour=f, order=order, mib=mib)]
                               for f in FLAVOURS},
                              f"bytes reported for a byte newly freed, order {order:.0f}, {mib:.0f} MiB"))
    return (f"Bytes reported for a byte newly freed, idle {IDLE / 1000:g} s in each cycle:\n\n"
            + side_by_side(FLAVOURS, lines))
