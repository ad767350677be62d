# SPDX-License-Identifier: GPL-2.0
"""Many CPUs fault and free at once: do they get into each other's way more than before?"""

import re

from common import FLAVOURS, Failure, Table, Trace, guest, line, read, say, select, side_by_side, turns

TITLE = "page_fault1 on eight virtual CPUs at once"
MEM, CPUS, MIB = 1024, 8, 32
ROUNDS, QUICK_ROUNDS = 24, 6
TIMES, REPEATS, QUICK_REPEATS = 3, 4, 1
# QEMU runs the processors side by side, and one of them may meet a breakpoint, by which the kernel
# patches its code, when it has been taken away: that ends a guest of any kernel while it boots.
# Seen once, with upstream's.
BOOTS, BREAKPOINT = 3, "Oops: int3: 0000"
# By the clock of a host that has fewer processors: what is not farther apart than this is alike.
LEVEL = 0.02


def ended(flavour, rounds, boots=BOOTS):
    """The guest, when its program has ended."""
    machine = guest("smp", flavour, MEM, ("/parallel", str(CPUS), str(MIB), str(rounds), str(TIMES)),
                    append=("transparent_hugepage=never",))
    for option, text in (("-smp", str(CPUS)), ("-accel", "tcg,thread=multi")):
        machine.command[machine.command.index(option) + 1] = text
    try:
        with machine:
            machine.wait_for("exit", 900)
    except Failure:
        if boots == 1 or not any(BREAKPOINT in text for _, text in machine.lines):
            raise
        say(f"smp: {flavour}: the guest has met a breakpoint that was not there any more; it is booted again")
        return ended(flavour, rounds, boots - 1)
    return machine


def one(flavour, rounds):
    """Thousand pages a second, in each of the times."""
    machine = ended(flavour, rounds)
    if machine.when("exit 0") is None:
        raise Failure(f"{flavour}: the program failed:\n" + machine.tail())
    machine.no_splats()
    if bool(Trace(machine).discards) != (flavour != "without"):
        raise Failure(f"{flavour}: what was reported is not what should be")
    found = [re.match(r"guest: pages (\d+) wall (\d+)", text) for _, text in machine.lines]
    rates = [int(match[1]) / int(match[2]) * 1e6 for match in found if match]
    if len(rates) != TIMES:
        raise Failure(f"the guest has measured {len(rates)} times, not {TIMES}:\n" + machine.tail())
    return rates


def measure(quick):
    with Table("smp", "flavour", "repeat", "time", "rate") as figures:
        for repeat, flavour in turns(QUICK_REPEATS if quick else REPEATS):
            rates = one(flavour, QUICK_ROUNDS if quick else ROUNDS)
            say(f"smp: {flavour}: " + ", ".join(f"{rate:.1f}" for rate in rates)
                + " thousand pages a second")
            for time, rate in enumerate(rates, 1):
                figures.add(flavour=flavour, repeat=repeat, time=time, rate=float(rate))


def report(_folder):
    rows = read("smp")
    return (f"{CPUS} processes in a guest with as many CPUs (TCG, a thread for each) map {MIB} MiB each, write "
            "to all 4 KiB pages and unmap them, while memory is reported: in time of the host.\n\n"
            + side_by_side(FLAVOURS, [line(
                "thousand pages a second", 1,
                {flavour: select(rows, "rate", flavour=flavour) for flavour in FLAVOURS},
                "page_fault1 in eight processes on eight CPUs: thousand pages a second",
                level=LEVEL, more_is_better=True)]))
