# SPDX-License-Identifier: GPL-2.0
"""Under User-mode Linux memory is taken, dropped and wanted again: at what price, in the host's time?"""

from itertools import pairwise

from churn import IRREGULAR
from common import UML, Failure, Sampler, Table, line, median, read, say, select, side_by_side, turns, uml

TITLE = "Churn under User-mode Linux: what it costs to touch memory again"
CONFIG = UML
FLAVOURS = ("off", "upstream", "ours")
WARM, CYCLES = 3, 8
# Not more than 256 MiB: User-mode Linux has a mapping of the host for each piece of a
# program's memory that is not contiguous, of which a process may have 65530 by default.
CASES = ((256, "1000", 2), (256, "5000", 1), (256, "irregular", 1))
QUICK_CASES = ((256, "1000", 1),)
MEM = {256: 1024}
# A report and a fault that come between two samples are not told apart.
EVERY = 0.02


class Fine(Sampler):
    every = EVERY


def one(flavour, mib, idle):
    """Of each cycle: MiB that went back to the host, and ms to have the memory again."""
    idles = [str(ms) for ms in IRREGULAR] if idle == "irregular" else [idle]
    rounds = WARM + max(CYCLES, len(idles))
    machine = uml("uml-churn", flavour, MEM[mib], ("/cycle", str(mib), "0", str(rounds), *idles))
    with machine, Fine(machine) as sampler:
        machine.wait_for("exit 0", 60 + rounds * 8)
    machine.no_splats()
    says = {word: [when for when, text in machine.lines if text.startswith(f"guest: {word}")]
            for word in ("round", "taken")}
    if len(says["taken"]) != rounds:
        raise Failure("the guest did not say when it had its memory:\n" + machine.tail())
    begin, end = says["round"][WARM], says["round"][-1]
    count = rounds - WARM - 1
    fell = sum(max(0, before - after) for (when, before), (_, after) in pairwise(sampler.samples)
               if begin <= when <= end)
    touch = [taken - start for start, taken in zip(says["round"], says["taken"])][WARM:]
    return {"reported_mib": fell / count, "take_ms": 1000 * median(touch)}


def measure(quick):
    with Table("uml-churn", "flavour", "mib", "idle_ms", "repeat", "reported_mib", "take_ms") as figures:
        for mib, idle, repeats in QUICK_CASES if quick else CASES:
            for repeat, flavour in turns(repeats, FLAVOURS):
                row = one(flavour, mib, idle)
                say(f"uml-churn: {mib} MiB, idle {idle} ms, {flavour} ({repeat}): "
                    f"{row['reported_mib']:.0f} MiB given back in each cycle, {row['take_ms']:.0f} ms to take them")
                figures.add(flavour=flavour, mib=mib, idle_ms=idle, repeat=repeat, **row)


def report(_folder):
    rows = read("uml-churn")
    text = ""
    for column, what, digits in (("reported_mib", "MiB given back to the host in each cycle, in vain", 0),
                                 ("take_ms", "ms to take the memory again", 0)):
        lines = []
        for mib, idle in dict.fromkeys((row["mib"], row["idle_ms"]) for row in rows):
            name = idle if isinstance(idle, str) else f"{idle / 1000:g} s"
            lines.append(line(f"{mib:.0f} MiB, idle {name}", digits,
                              {f: select(rows, column, flavour=f, mib=mib, idle_ms=idle) for f in FLAVOURS},
                              f"UML, churn of {mib:.0f} MiB, idle {name}: {what}"))
        text += f"{what}:\n\n" + side_by_side(FLAVOURS, lines) + "\n"
    return ("As the row churn, but in the host's time; off is ours with `uml_page_reporting=off`. The kernel "
            f"faults in all pages at once (MAP_POPULATE). {WARM} cycles do not count.\n\n" + text)
