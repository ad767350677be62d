# SPDX-License-Identifier: GPL-2.0
"""Memory is taken, dropped and wanted again: what was handed to the host in vain?"""

from common import CYCLE, FLAVOURS, WARM, cycles, line, measured, read, select, side_by_side, turns

TITLE = "Churn: memory that is wanted again soon"
CYCLES = 12
MIBS, QUICK_MIBS = (256, 1024), (256,)
IDLES = ("200", "1000", "5000", "irregular")
QUICK_IDLES = ("1000",)
# ms, of no pattern: as often short as long
IRREGULAR = (300, 4100, 900, 200, 2600, 6300, 500, 1700, 3300, 1100, 400, 5200, 800, 2100)
REPEATS, QUICK_REPEATS = 2, 1
MEM = {256: 1024, 1024: 2560}


def one(flavour, mib, idle, repeat):
    idles = IRREGULAR if idle == "irregular" else (idle,)
    return cycles("churn", flavour, MEM[mib], mib, idles, CYCLES, repeat)


def measure(quick):
    measured("churn", [(flavour, mib, idle, repeat) for mib in (QUICK_MIBS if quick else MIBS)
                       for idle in (QUICK_IDLES if quick else IDLES)
                       for repeat, flavour in turns(QUICK_REPEATS if quick else REPEATS)
                       # It reports nothing, and the large ones take long.
                       if (flavour, repeat) != ("without", 2)],
             ("flavour", "mib", "idle_ms", "repeat"), CYCLE, one,
             lambda key, row: f"{key['mib']} MiB, idle {key['idle_ms']} ms, {key['flavour']}: "
             f"{row['reported_mib']:.1f} MiB reported in each cycle")


def report(_folder):
    rows = read("churn")
    text = ""
    for column, short, what, digits in (
            ("reported_mib", "MiB discarded in vain in each cycle",
             "MiB discarded by the host in each cycle, all of it wanted again", 1),
            ("taken_back_mib", "MiB given again in each cycle",
             "MiB that the host had to give again in each cycle", 1),
            ("worker_minstr", "million instructions of the workers in each cycle",
             "Workers: million instructions in each cycle", 3),
            ("program_minstr", "million instructions of the program in each cycle",
             "The program: million instructions in each cycle", 2),
            ("host_cpu_s", None, "The host's CPU time in each cycle, s (this is the emulator's)", 2)):
        lines = []
        for mib, idle in dict.fromkeys((row["mib"], row["idle_ms"]) for row in rows):
            name = idle if isinstance(idle, str) else f"{idle / 1000:g} s"
            lines.append(line(f"{mib:.0f} MiB, idle {name}", digits,
                              {f: select(rows, column, flavour=f, mib=mib, idle_ms=idle)
                               for f in FLAVOURS},
                              short and f"churn of {mib:.0f} MiB, idle {name}: {short}"))
        text += f"{what}:\n\n" + side_by_side(FLAVOURS, lines) + "\n"
    return (f"Memory is taken, each page of it written to, freed, and taken again after a while: "
            f"{CYCLES} times, after {WARM} that do not count. What is reported of it was in vain.\n\n"
            + text)
