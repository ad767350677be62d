# SPDX-License-Identifier: GPL-2.0
"""Under User-mode Linux a C project is built in the host's files: footprint and wall-clock cost."""

import os
import re
import subprocess

from common import (COLOURS, HERE, PARAMETER, UML, Failure, Sampler, Table, line, read, save, say, select,
                    side_by_side, table, turns, uml, value)

TITLE = "A real job under User-mode Linux: a part of the kernel is built in the host's files"
CONFIG = UML
MEM, JOBS, IDLE = 1536, 2, 6
TARGETS = ("init/",)
STEPS = ("build", "clean", "drop")
ORDERS, DEFAULT = range(11), 4
FLAVOURS = ("off", "upstream", "ours")
REPEATS, QUICK_REPEATS = 2, 1


def prepare():
    made = subprocess.run([os.path.join(HERE, "image"), "--folder"], stdout=subprocess.PIPE, text=True, check=False)
    if made.returncode:
        raise Failure("the Debian root for the job could not be made")
    prepare.folder = made.stdout.strip()


def one(flavour, order):
    append = () if flavour == "off" else (f"{PARAMETER}order={order}",)
    machine = uml("uml-job", flavour, MEM, ("/job", prepare.folder, str(JOBS), str(IDLE), "+".join(TARGETS)),
                  append=append)
    with machine, Sampler(machine) as sampler:
        machine.wait_for("exit 0", 600)
    machine.no_splats()
    begins = {step: machine.when(f"begin {step} ") for step in STEPS}
    took = next((re.match(r"guest: took build wall (\d+)", text) for _, text in machine.lines
                 if text.startswith("guest: took build ")), None)
    if not took or None in begins.values():
        raise Failure("the job did not say what it did:\n" + machine.tail())
    series = [(when - begins["build"], mib) for when, mib in sampler.samples if when >= begins["build"]]
    held = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in zip(series, series[1:])) / 60
    ends = [begins[step] - begins["build"] for step in STEPS[1:]] + [series[-1][0]]
    left = {f"left_{step}_mib": [mib for when, mib in series if when <= end][-1]
            for step, end in zip(STEPS, ends)}
    return {"build_s": int(took[1]) / 1e9, "held_mib_min": held, **left}, series


def measure(quick):
    repeats = QUICK_REPEATS if quick else REPEATS
    keys = [(repeat, flavour, DEFAULT) for repeat, flavour in turns(repeats, FLAVOURS)]
    if not quick:
        keys += [(1, flavour, order) for order in ORDERS if order != DEFAULT for flavour in FLAVOURS[1:]]
    with Table("uml-job", "flavour", "order", "repeat", "build_s", "held_mib_min",
               *(f"left_{step}_mib" for step in STEPS)) as figures, \
            Table("uml-job-samples", "flavour", "order", "repeat", "s", "mib") as samples:
        for repeat, flavour, order in keys:
            row, series = one(flavour, order)
            say(f"uml-job: order {order}, {flavour} ({repeat}): build {row['build_s']:.1f} s, "
                f"{row['held_mib_min']:.0f} MiB minutes, {row['left_drop_mib']:.0f} MiB at last")
            figures.add(flavour=flavour, order=order, repeat=repeat, **row)
            for when, mib in series:
                samples.add(flavour=flavour, order=order, repeat=repeat, s=when, mib=mib)


def plot(folder, rows):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot
    samples = read("uml-job-samples")
    figure, (curves, orders) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for flavour in FLAVOURS:
        mine = [row for row in samples if (row["flavour"], row["order"], row["repeat"]) == (flavour, DEFAULT, 1)]
        curves.plot([row["s"] for row in mine], [row["mib"] for row in mine], color=COLOURS[flavour], label=flavour)
    curves.set(xlabel="seconds from the begin of the build", ylabel="MiB of the memory file", ylim=(0, None),
               title=f"Order {DEFAULT}")
    for flavour in FLAVOURS[1:]:
        mine = sorted((row for row in rows if row["flavour"] == flavour and row["repeat"] == 1),
                      key=lambda row: row["order"])
        orders.plot([row["order"] for row in mine], [row["held_mib_min"] for row in mine], "o-",
                    color=COLOURS[flavour], label=flavour)
    orders.set(xlabel="order", ylabel="MiB minutes on the host", title="Footprint by order", ylim=(0, None))
    save(figure, os.path.join(folder, "uml-job.png"))


def report(folder):
    rows = read("uml-job")
    plot(folder, rows)
    lines = [line(what, digits, {f: select(rows, column, flavour=f, order=DEFAULT) for f in FLAVOURS},
                  f"UML, job: {what}")
             for what, column, digits in (
                 ("build, s", "build_s", 2), ("footprint, MiB minutes", "held_mib_min", 1),
                 *((f"MiB on the host after {step}", f"left_{step}_mib", 0) for step in STEPS))]
    text = (f"`make -j{JOBS} {' '.join(TARGETS)}` of Linux (tinyconfig) in a guest of {MEM} MiB whose root is a "
            f"folder of the host (hostfs); each step is followed by {IDLE} s in which nothing happens. Order "
            f"{DEFAULT}, that of the device:\n\n" + side_by_side(FLAVOURS, lines))
    lines = []
    for order in sorted({row["order"] for row in rows}):
        of = {f: {column: select(rows, column, flavour=f, order=order) for column in
                  ("build_s", "held_mib_min", "left_drop_mib")} for f in FLAVOURS[1:]}
        lines.append([f"{order:.0f}", *(value(of[f][column], digits) for column, digits in
                                        (("held_mib_min", 1), ("build_s", 2), ("left_drop_mib", 0))
                                        for f in FLAVOURS[1:])])
    heads = [f"{what}, {f}" for what in ("MiB minutes", "build, s", "MiB at last") for f in FLAVOURS[1:]]
    return (text + "\nBy order:\n\n" + table(["order", *heads], lines)
            + "\n![The memory file over time, and the footprint by order](uml-job.png)\n")
