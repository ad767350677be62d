# SPDX-License-Identifier: GPL-2.0
"""Guests under User-mode Linux free 80 % of themselves at once: when is it on the host?"""

import os
import time

from common import (COLOURS, UML, Failure, Sampler, Table, judge, line, median, read, save, say, select,
                    side_by_side, turns, uml, value)

TITLE = "Time to return under User-mode Linux: 80 % of a guest is freed at once"
CONFIG = UML
SHARE, HOLD = 0.8, 1000
SIZES, QUICK_SIZES = (1024, 4096, 8192), (1024,)
REPEATS, QUICK_REPEATS = 2, 1
FLAVOURS = ("upstream", "ours")
PARTS = (50, 90, 99)
# Seconds: then it is over, whatever is not back by then. For so long nothing has come
# back before, three passes and more of either.
PATIENCE, SETTLED = 60, 8


def one(flavour, mib):
    take = int(mib * SHARE)
    machine = uml("uml-return", flavour, mib, ("/cycle", str(take), str(HOLD), "1", str(2 * PATIENCE * 1000)))
    with machine, Sampler(machine) as sampler:
        machine.wait_for("taken", 60 + mib / 100)
        freed = machine.wait_for("freed", 60)
        least, fell = machine.rss(), machine.now()
        while machine.now() < min(fell + SETTLED, freed + PATIENCE):
            time.sleep(0.05)
            if not machine.running():
                raise Failure(f"{flavour}, {mib} MiB: the guest ended:\n" + machine.tail(5))
            now = machine.rss()
            if now < least - 1:
                least, fell = now, machine.now()
    machine.no_splats()
    peak = max(rss for when, rss in sampler.samples)
    since = [(when - freed, rss) for when, rss in sampler.samples if when >= freed]
    row = {f"t{part}_s": next((t for t, rss in since if rss <= peak - part / 100 * take), float(PATIENCE))
           for part in PARTS}
    row.update(freed_mib=take, peak_mib=peak, left_mib=since[-1][1])
    return row, since


def measure(quick):
    with Table("uml-return", "flavour", "mib", "repeat", "freed_mib", "peak_mib", "left_mib",
               *(f"t{part}_s" for part in PARTS)) as figures, \
            Table("uml-return-samples", "flavour", "mib", "repeat", "s", "mib_of_file") as samples:
        for mib in QUICK_SIZES if quick else SIZES:
            for repeat, flavour in turns(QUICK_REPEATS if quick else REPEATS, FLAVOURS):
                row, since = one(flavour, mib)
                say(f"uml-return: {mib} MiB, {flavour} ({repeat}): 90 % after {row['t90_s']:.1f} s, "
                    f"{row['left_mib']:.0f} MiB left")
                figures.add(flavour=flavour, mib=mib, repeat=repeat, **row)
                for when, rss in since:
                    samples.add(flavour=flavour, mib=mib, repeat=repeat, s=when, mib_of_file=rss)


def plot(folder):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    samples = read("uml-return-samples")
    sizes = sorted({row["mib"] for row in samples})
    figure, panels = pyplot.subplots(1, len(sizes), figsize=(4 * len(sizes), 3.8), squeeze=False)
    for panel, size in zip(panels[0], sizes):
        for flavour in FLAVOURS:
            for repeat in sorted({row["repeat"] for row in samples}):
                mine = [row for row in samples if (row["flavour"], row["mib"], row["repeat"]) ==
                        (flavour, size, repeat)]
                panel.plot([row["s"] for row in mine], [row["mib_of_file"] / 1024 for row in mine],
                           color=COLOURS[flavour], label=flavour if repeat == 1 else None)
        panel.set(xlabel="seconds after the free", ylabel="GiB of the memory file", ylim=(0, None),
                  title=f"{size / 1024:.0f} GiB guest")
    save(figure, os.path.join(folder, "uml-return.png"))


def seconds(what, by):
    """A line: not all come back."""
    cells = {flavour: "never" if median(values) >= PATIENCE else value(values, 1)
             for flavour, values in by.items()}
    judge(what, by["ours"], by["upstream"])
    return [what, *cells.values(), "–" if "never" in cells.values() else
            f"{median(by['ours']) / median(by['upstream']):.2f}"]


def report(folder):
    rows = read("uml-return")
    plot(folder)
    lines = []
    for mib in sorted({row["mib"] for row in rows}):
        size = f"{mib / 1024:.0f} GiB under UML"

        def by(column):
            return {f: select(rows, column, flavour=f, mib=mib) for f in FLAVOURS}
        lines += [seconds(f"{size}: {part} % back, s", by(f"t{part}_s")) for part in PARTS]
        lines.append(line(f"{size}: left in the end, MiB", 0, by("left_mib"), f"{size}: left in the end, MiB"))
    return ("Upstream's core with the same device on top. The host's time, from the end of munmap() on, and "
            f"the blocks of the file that is the guest's memory; {PATIENCE:.0f} s stand for never.\n\n"
            + side_by_side(FLAVOURS, lines)
            + "\n![GiB of the guest's memory file after the free, by the guest's size](uml-return.png)\n")
