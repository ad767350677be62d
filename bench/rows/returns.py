# SPDX-License-Identifier: GPL-2.0
"""Guests free 80 % of themselves at once: when is it on the host?"""

import os
import time

from common import (COLOURS, SETTLE, Cgroup, Failure, Sampler, Table, Trace, guest, line, median, read, save, say,
                    select, side_by_side, together, turns, used)

TITLE = "Time to return: 80 % of a guest is freed at once"
SHARE, HOLD = 0.8, 1000
SIZES = (1024, 4096, 10240, 16384)
QUICK_SIZES = (1024,)
# Large guests take long, and differ less from one time to the next.
REPEATS, QUICK_REPEATS = {1024: 3, 4096: 2, 10240: 2, 16384: 2}, 1
# What upstream takes of a list is a sixteenth in each two seconds, at first.
PATIENCE = 120
FLAVOURS = ("upstream", "ours")
PARTS = (50, 90, 99)
# What is left is looked at so many seconds after 99 % are back.
LATER = (1, 10)
COUNTS = ("discarded_mib", "discards", "kicks", "worker_minstr")


def program(mib, hold=HOLD):
    return ("/cycle", str(int(mib * SHARE)), str(hold), "1", str(PATIENCE * 1000))


def timed(flavour, mib):
    """One guest in real time: when what it freed was back, and the samples since the free."""
    take = int(mib * SHARE)
    machine = guest("return", flavour, mib, program(mib))
    with Cgroup() as group:
        group.takes(machine)
        with machine, Sampler(machine, group) as sampler:
            machine.wait_for("taken", 60 + mib / 20)
            start = machine.wait_for("free", 60)
            peak = machine.rss()
            freed = machine.wait_for("freed", 60)
            while machine.rss() > peak - 0.99 * take:
                if machine.now() > freed + PATIENCE or not machine.running():
                    raise Failure(f"{flavour}, {mib} MiB: 99 % are not back after {PATIENCE} s:\n"
                                  + machine.tail(5))
                time.sleep(0.05)
            back = machine.now() - freed
            time.sleep(max(LATER))
    machine.no_splats()
    since = [(when - freed, rss, counted) for when, rss, counted in sampler.samples if when >= freed]
    row = {f"t{part}_s": next(t for t, rss, _ in since if rss <= peak - part / 100 * take)
           for part in PARTS}
    row.update(freed_mib=take, munmap_s=freed - start, peak_mib=peak)
    for later in LATER:
        until = [sample for sample in since if sample[0] <= back + later]
        row.update({f"left{later}_mib": min(rss for _, rss, _ in until),
                    f"cgroup{later}_mib": min(counted for *_, counted in until)})
    return row, since


def prepare():
    # Better at once than after an hour
    with Cgroup():
        pass


def counted(flavour, mib):
    """The same guest, with its time in instructions: what the passes after the free took.

    What was free at first has been reported then.
    """
    machine = guest("return-counts", flavour, mib, program(mib, SETTLE), icount=True)
    with machine:
        machine.wait_for("free", 120 + mib / 10)
        begin = time.time()
        machine.wait_for("exit 0", 600)
    machine.no_splats()
    trace = Trace(machine)
    row = {"discarded_mib": trace.mib(begin), "kicks": trace.kicked(begin),
           "discards": sum(t >= begin for t, *_ in trace.discards),
           "worker_minstr": (used(machine)[0][1] - used(machine, "before")[0][1]) / 1e6}
    if row["discarded_mib"] < 0.9 * int(mib * SHARE):
        raise Failure(f"{flavour}, {mib} MiB: {row['discarded_mib']:.0f} MiB were discarded")
    return row


def measure(quick):
    sizes = QUICK_SIZES if quick else SIZES
    with Table("return", "flavour", "mib", "repeat", "freed_mib", "munmap_s", "peak_mib",
               *(f"{what}{later}_mib" for later in LATER for what in ("left", "cgroup")),
               *(f"t{part}_s" for part in PARTS)) as figures, \
            Table("return-samples", "flavour", "mib", "repeat", "s", "rss_mib",
                  "cgroup_mib") as samples:
        for mib in sizes:
            repeats = QUICK_REPEATS if quick else REPEATS[mib]
            for repeat, flavour in turns(repeats, FLAVOURS):
                row, since = timed(flavour, mib)
                say(f"return: {mib} MiB, {flavour} ({repeat} of {repeats}): 90 % after "
                    f"{row['t90_s']:.1f} s, 99 % after {row['t99_s']:.1f} s")
                figures.add(flavour=flavour, mib=mib, repeat=repeat, **row)
                for when, rss, cgroup in since:
                    samples.add(flavour=flavour, mib=mib, repeat=repeat, s=when, rss_mib=rss,
                                cgroup_mib=cgroup)
    with Table("return-counts", "flavour", "mib", *COUNTS) as figures:
        for mib in sizes:
            rows = together([(counted, flavour, mib) for flavour in FLAVOURS],
                            1 if mib > 10000 else None)
            for flavour, row in zip(FLAVOURS, rows):
                say(f"return: {mib} MiB, {flavour}: {row['worker_minstr']:.1f} million instructions, "
                    f"{row['kicks']} kicks")
                figures.add(flavour=flavour, mib=mib, **row)


def plot(folder, rows):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    samples = read("return-samples")
    sizes = sorted({row["mib"] for row in rows})
    figure, (curves, scaling) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for flavour in FLAVOURS:
        mine = [row for row in samples if row["flavour"] == flavour and row["mib"] == sizes[-1]]
        for repeat in sorted({row["repeat"] for row in mine}):
            line = [row for row in mine if row["repeat"] == repeat]
            curves.plot([row["s"] for row in line], [row["rss_mib"] / 1024 for row in line],
                        color=COLOURS[flavour], linewidth=1.5,
                        label=flavour if repeat == 1 else None)
        for part, style in ((90, "o-"), (99, "s--")):
            scaling.plot([size / 1024 for size in sizes],
                         [median(select(rows, f"t{part}_s", flavour=flavour, mib=size))
                          for size in sizes], style, color=COLOURS[flavour],
                         label=f"{flavour}, {part} %")
    curves.set(xlabel="seconds after the free", ylabel="GiB of QEMU on the host", ylim=(0, None),
               title=f"A guest of {sizes[-1] / 1024:.0f} GiB frees 80 % of it")
    scaling.set(xlabel="GiB of the guest", ylabel="seconds until this is back", ylim=(0, None),
                title="How it grows with the guest")
    save(figure, os.path.join(folder, "return.png"))


def report(folder):
    rows, counts = read("return"), read("return-counts")
    plot(folder, rows)
    lines = []
    for mib in sorted({row["mib"] for row in rows}):
        size = f"{mib / 1024:.0f} GiB"
        for what, digits, raw, column in (
                *((f"{part} % back, s", 1, rows, f"t{part}_s") for part in PARTS),
                *((f"left {later} s after 99 %, MiB of {whose}", 0, rows, f"{what}{later}_mib")
                  for later in LATER for whose, what in (("QEMU", "left"), ("the cgroup", "cgroup"))),
                ("workers, million instructions", 2, counts, "worker_minstr"),
                ("kicks", 0, counts, "kicks")):
            lines.append(line(f"{size}: {what}", digits,
                              {f: select(raw, column, flavour=f, mib=mib) for f in FLAVOURS},
                              f"{size} guest frees 80 %: {what}"))
        lines.append(line(f"{size}: MiB for each kick", 1,
                          {f: [row["discarded_mib"] / row["kicks"] for row in counts
                               if row["flavour"] == f and row["mib"] == mib] for f in FLAVOURS}))
    return ("Seconds are the host's, from the end of munmap() on; the last three lines of each size "
            "are of a guest that counts its time in instructions.\n\n"
            + side_by_side(FLAVOURS, lines)
            + "\n![GiB of QEMU on the host after the free, and how long it takes by the guest's size]"
            "(return.png)\n")
