# SPDX-License-Identifier: GPL-2.0
"""As many guests as a host's cgroup carries, each of which takes and frees memory in turn."""

import contextlib
import time

from common import PARAMETER, Cgroup, Failure, Table, guest, line, read, say, select, side_by_side, turns

TITLE = "Overcommit: guests of 1 GiB in 2 GiB of the host"
LIMIT, MEM = 2048, 1024
# In its turn a guest takes this, writes to each page, verifies them and frees them.
TAKE = 512
# A guest has its next turn when all others had theirs.
PAUSES, QUICK_PAUSES = (1.0, 3.0), (1.0,)
MOST, QUICK_MOST = 10, 6
# With long pauses it takes long.
REPEATS, QUICK_REPEATS = {1.0: 2, 3.0: 1}, 1
# What is used in turns is held back for three delays: ours, and with half of the usual delay
SOONER, SOONER_MS = "ours, delay 1 s", 1000
FLAVOURS = ("off", "upstream", "ours", SOONER)


def turn(machine):
    """The guest takes and frees: seconds, or None if the host's kernel has killed it."""
    start = time.monotonic()
    try:
        machine.ask(f"take {TAKE}", 120)
    except Failure:
        if machine.running():
            raise
        return None
    return time.monotonic() - start


def prepare():
    # Better at once than after an hour
    with Cgroup(LIMIT):
        pass


def one(flavour, pause, most):
    append = ()
    if flavour == SOONER:
        flavour, append = "ours", (f"{PARAMETER}delay_ms={SOONER_MS}",)
    with Cgroup(LIMIT) as group, contextlib.ExitStack() as stack:
        guests, times, peak = [], [], 0
        while len(guests) < most:
            machine = guest(f"overcommit-{len(guests)}", flavour, MEM, ("/obey", "16", "16"),
                            append=append)
            group.takes(machine)
            stack.enter_context(machine)
            try:
                machine.wait_for("ok", 60)
            except Failure:
                if machine.running():
                    raise
            guests.append(machine)
            for other in guests:
                took = turn(other) if other.running() else None
                if took is None or not all(each.running() for each in guests):
                    kills = group.kills()
                    if not kills:
                        raise Failure("a guest ended, and the host's kernel has not killed it:\n"
                                      + other.tail())
                    return {"carried": len(guests) - 1, "kills": kills, "turn_s": sum(times) / len(times)
                            if times else 0.0, "peak_mib": peak}
                times.append(took)
                peak = max(peak, group.mib())
                time.sleep(pause)
        for machine in guests:
            machine.no_splats()
        return {"carried": len(guests), "kills": group.kills(), "turn_s": sum(times) / len(times),
                "peak_mib": peak}


def measure(quick):
    most = QUICK_MOST if quick else MOST
    with Table("overcommit", "flavour", "pause_s", "repeat", "most", "carried", "kills", "turn_s",
               "peak_mib") as figures:
        for pause in QUICK_PAUSES if quick else PAUSES:
            repeats = QUICK_REPEATS if quick else REPEATS[pause]
            for repeat, flavour in turns(repeats, FLAVOURS):
                row = one(flavour, pause, most)
                say(f"overcommit: {pause} s between turns, {flavour} ({repeat} of {repeats}): "
                    f"{row['carried']} guests")
                figures.add(flavour=flavour, pause_s=pause, repeat=repeat, most=most, **row)


def report(_folder):
    rows = read("overcommit")
    lines = []
    for pause in dict.fromkeys(row["pause_s"] for row in rows):
        for what, column, digits in (("guests carried", "carried", 0), ("s for a turn", "turn_s", 2),
                                     ("MiB of the cgroup at most", "peak_mib", 0),
                                     ("kills at the next guest", "kills", 0)):
            lines.append(line(f"{pause:g} s between turns: {what}", digits,
                              {f: select(rows, column, flavour=f, pause_s=pause) for f in FLAVOURS},
                              f"overcommit, {pause:g} s between turns: {what}"
                              if column in ("carried", "turn_s") else None,
                              more_is_better=column == "carried"))
    return (f"A cgroup with {LIMIT} MiB gets one guest of {MEM} MiB after the other. With each, all "
            f"have a turn: {TAKE} MiB are taken, written to, verified and freed. It ends when the "
            f"host's kernel kills one of them, or with {rows[0]['most']:.0f}; nothing is swapped.\n\n"
            + side_by_side(FLAVOURS, lines))
