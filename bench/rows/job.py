# SPDX-License-Identifier: GPL-2.0
"""A Debian root builds a C project, cleans it, drops its caches: what stays on the host?"""

import os
import re
import subprocess

from common import (COLOURS, HERE, PARAMETER, Cgroup, Failure, Table, Trace, guest, line, ratio, read, save, say,
                    select, side_by_side, table, together, value)

TITLE = "A real job: a part of the kernel is built, cleaned, and the caches are dropped"
MEM, JOBS, IDLE = 1536, 8, 30
TARGETS = ("init/",)
# From one tick to the next; the first comes when all files have been read.
PATIENCE = 600
STEPS = ("build", "clean", "drop")
# 9 is what they take when nobody says anything else.
ORDERS, QUICK_ORDERS, DEFAULT = range(11), (9,), 9
REPEATS, QUICK_REPEATS = 2, 1
FLAVOURS = ("without", "upstream", "ours")
FIGURES = ("held_gib_min", "resident_gib_min", "build_s", "build_ginstr", "worker_minstr", "reported_mib",
           "kicks")
# Of /proc/vmstat, from the guest's start to its end
EVENTS = {"pgfault": "page faults", "thp_fault_alloc": "huge pages faulted in",
          "thp_fault_fallback": "huge pages that there were not", "compact_stall": "stalls for compaction",
          "pgscan_direct": "pages scanned by direct reclaim"}
AFTER = ("resident_mib", "held_mib", "used4k_mib", "used2m_mib")


def watch(machine, group):
    """The host's memory of the guest at each tick of it: (its seconds, MiB of the RSS, MiB held).

    Of QEMU itself nothing counts: it keeps what it has translated, up to a GiB of this job.
    """
    resident = []
    last = machine.now()
    while machine.when("exit") is None and machine.now() < last + PATIENCE:
        try:
            machine.qmp_event("STOP", 1)
        except Failure:
            if not machine.running():
                break
            continue
        last = machine.now()
        resident.append((machine.ram(), group.unmapped_mib()))
        machine.qmp("cont")
    ticks = [int(found[1]) / 1000 for found in (re.match(r"guest: tick (\d+)$", line)
                                                for _, line in machine.lines) if found]
    # The last one may have been said only.
    if machine.when("exit 0") is None or len(ticks) - len(resident) not in (0, 1):
        raise Failure("the job failed:\n" + machine.tail())
    return [(tick, ram, ram + unmapped) for tick, (ram, unmapped) in zip(ticks, resident)]


def prepare():
    made = subprocess.run([os.path.join(HERE, "image")], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise Failure("the Debian root for the job could not be made")
    prepare.image = made.stdout.strip()


def one(_repeat, flavour, order):
    append = () if flavour == "without" else (f"{PARAMETER}order={order}",)
    # What QEMU has translated for one process is right for the next then.
    append += ("norandmaps",)
    machine = guest("job", flavour, MEM,
                    ("/job", "/dev/vda", str(JOBS), str(IDLE), "+".join(TARGETS)), icount=True,
                    append=append, qmp=True, extra=(
                        "-drive", f"file={prepare.image},format=raw,if=virtio,snapshot=on",
                        "-device", "pvpanic-pci", "-action", "panic=pause"))
    with Cgroup() as group:
        group.takes(machine)
        with machine:
            samples = watch(machine, group)
    machine.no_splats()
    said = {}
    for _, text in machine.lines:
        for word, pattern in (("begin", r"(\d+)"), ("end", r"(\d+)"), ("left", r"(\d+) (\d+)"),
                              ("took", r"wall (\d+) cpu (\d+) workers (\d+)")):
            match = re.match(f"guest: {word} (\\w+) {pattern}$", text)
            if match:
                said[word, match[1]] = tuple(map(int, match.groups()[1:]))
    begin = said["begin", "build"][0] / 1000
    end = samples[-1][0]
    samples = [sample for sample in samples if begin <= sample[0]]
    resident, held = (sum((b[0] - a[0]) * (a[column] + b[column]) / 2
                          for a, b in zip(samples, samples[1:])) / 1024 / 60 for column in (1, 2))
    last = {}
    for step in STEPS:
        begins = [said["begin", other][0] / 1000 for other in STEPS[STEPS.index(step) + 1:]]
        until = begins[0] if begins else end
        last[step] = [sample[1:] for sample in samples if sample[0] < until][-1]
    trace = Trace(machine)
    row = {"resident_gib_min": resident, "held_gib_min": held, "build_s": said["took", "build"][0] / 1e9,
           "build_ginstr": said["took", "build"][1] / 1e9,
           "worker_minstr": sum(said["took", step][2] for step in STEPS) / 1e6,
           "reported_mib": trace.mib(), "kicks": trace.kicked()}
    for _, text in machine.lines:
        event = re.match(r"guest: event (\w+) (\d+)$", text)
        if event:
            row[event[1]] = int(event[2])
    after = {step: dict(zip(AFTER, (*last[step], *said["left", step]))) for step in STEPS}
    return row, after, [(t - begin, *mib) for t, *mib in samples]


def measure(quick):
    repeats = QUICK_REPEATS if quick else REPEATS
    keys = [(1, flavour, order) for order in (QUICK_ORDERS if quick else ORDERS)
            for flavour in FLAVOURS if flavour != "without" or order == DEFAULT]
    keys += [(repeat, flavour, DEFAULT) for repeat in range(2, repeats + 1) for flavour in FLAVOURS]
    with Table("job", "flavour", "order", "repeat", *FIGURES, *EVENTS) as figures, \
            Table("job-after", "flavour", "order", "repeat", "step", *AFTER) as afters, \
            Table("job-samples", "flavour", "order", "repeat", "s", "resident_mib",
                  "held_mib") as samples:
        for (repeat, flavour, order), (row, after, series) in zip(
                keys, together([(one, *key) for key in keys])):
            say(f"job: order {order}, {flavour} ({repeat}): {row['held_gib_min']:.2f} GiB minutes, "
                f"{after['drop']['held_mib']:.0f} MiB at last, build {row['build_s']:.1f} s of the guest")
            key = {"flavour": flavour, "order": order, "repeat": repeat}
            figures.add(**key, **row)
            for step, left in after.items():
                afters.add(**key, step=step, **left)
            for when, resident, held in series:
                samples.add(**key, s=when, resident_mib=resident, held_mib=held)


def plot(folder, rows):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    samples = read("job-samples")
    after = read("job-after")
    figure, (curves, cost) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for flavour in FLAVOURS:
        line = [row for row in samples if row["flavour"] == flavour and row["order"] == DEFAULT
                and row["repeat"] == 1]
        curves.plot([row["s"] for row in line], [row["held_mib"] for row in line],
                    color=COLOURS[flavour], label=flavour)
    used = [(row["used4k_mib"], row["used2m_mib"]) for step in STEPS
            for row in after if row["flavour"] == "ours" and row["order"] == DEFAULT
            and row["repeat"] == 1 and row["step"] == step]
    curves.set(xlabel="seconds of the guest", ylabel="MiB of the guest on the host", ylim=(0, None),
               title=f"Order {DEFAULT}; used at the ends, in 4 KiB: "
                     + ", ".join(f"{small:.0f}" for small, _ in used) + " MiB")
    for flavour in ("upstream", "ours"):
        mine = sorted((row for row in rows if row["flavour"] == flavour and row["repeat"] == 1),
                      key=lambda row: row["order"])
        instructions = [row["worker_minstr"] for row in mine]
        for column, style, label in (("held_gib_min", "o-", flavour),
                                     ("resident_gib_min", ":", f"{flavour}, RSS only")):
            cost.plot(instructions, [row[column] for row in mine], style, color=COLOURS[flavour],
                      label=label)
        for row in mine:
            cost.annotate(f"{row['order']:.0f}", (row["worker_minstr"], row["held_gib_min"]),
                          textcoords="offset points", xytext=(4, 4), color=COLOURS[flavour], fontsize=8)
    cost.set(xlabel="million instructions of the workers", ylabel="GiB minutes on the host",
             title="Footprint against cost, order 0 to 10")
    # Room for the legend below the curves
    low, high = cost.get_ylim()
    cost.set_ylim(low - (high - low) / 4, high)
    save(figure, os.path.join(folder, "job.png"))


def report(folder):
    rows, after = read("job"), read("job-after")
    plot(folder, rows)
    lines = []

    def add(what, digits, raw, column, judged=True, **key):
        lines.append(line(what, digits, {f: select(raw, column, flavour=f, order=DEFAULT, **key)
                                         for f in FLAVOURS}, f"job: {what}" if judged else None))
    for what, column, digits in (
            ("footprint, GiB minutes", "held_gib_min", 2), ("build, s of the guest", "build_s", 2),
            ("build, billion instructions", "build_ginstr", 2),
            ("workers, million instructions", "worker_minstr", 2), ("MiB reported", "reported_mib", 0),
            ("kicks", "kicks", 0)):
        add(what, digits, rows, column)
    for column, what in EVENTS.items():
        add(what, 0, rows, column, False)
    for step in STEPS:
        for what, column in (("on the host", "held_mib"), ("of it in the RSS", "resident_mib"),
                             ("used in pages of 4 KiB", "used4k_mib"),
                             ("used in pages of 2 MiB", "used2m_mib")):
            add(f"after {step}: MiB {what}", 0, after, column, column == "held_mib", step=step)
    text = (f"`make -j{JOBS} {' '.join(TARGETS)}` of Linux (tinyconfig) in a guest of {MEM} MiB, each "
            f"step followed by {IDLE} s in which nothing happens. What is on the host is the RSS of the "
            "guest's memory, and what the host's kernel still holds of huge pages of which a part was given "
            f"back: that is no longer in the RSS, and nobody else's either. Order {DEFAULT}:\n\n"
            + side_by_side(FLAVOURS, lines))
    lines = []
    for order in sorted({row["order"] for row in rows}):
        def of(column, raw=rows, **key):
            return [select(raw, column, flavour=flavour, order=order, repeat=1, **key)
                    for flavour in ("upstream", "ours")]
        lines.append([f"{order:.0f}"])
        for upstream, ours, digits in (
                (*of("held_gib_min"), 2), (*of("resident_gib_min"), 2), (*of("worker_minstr"), 2),
                (*of("build_ginstr"), 2), (*of("held_mib", after, step="drop"), 0)):
            lines[-1] += [value(upstream, digits), value(ours, digits), ratio(ours, upstream)]
    return (text + "\nBy order:\n\n"
            + table(["order", *(head for what in ("GiB minutes", "RSS only", "workers, million",
                                                  "build, billion", "MiB at last")
                                for head in (what + ", upstream", "ours", "ratio"))], lines)
            + "\n![The host's memory of the guest over time, and footprint against cost by order]"
            "(job.png)\n")
