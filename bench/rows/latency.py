# SPDX-License-Identifier: GPL-2.0
"""The longest time with interrupts off, while memory is reported and nothing else goes on."""

import re

from common import (PARAMETER, Failure, Trace, guest, line, measured, modules, read, select,
                    side_by_side, turns)

TITLE = "Longest time with interrupts off while memory is reported"
CONFIG = "irqsoff"
FLAVOURS = ("off", "upstream", "ours")
# Order, MiB of the guest, and how many blocks it takes, of which it frees every other.
# Nobody writes to them, so that hardly any of that memory is there on the host.
CASES = {9: (49152, 22000), 0: (2048, 262144)}
# What the guest itself needs of the host
TOUCHED = 2048
REPEATS, QUICK_REPEATS = 2, 1
FIGURES = ("freed", "longest_us", "task", "where", "reported_mib")


def prepare():
    modules(CONFIG, "blocks")


def one(flavour, order, repeat):
    mib, count = CASES[order]
    module = f"/blocks-{'ours' if flavour == 'off' else flavour}.ko"
    machine = guest("latency", flavour, mib, ("/latency", module, str(order), str(count), str(repeat)),
                    append=(f"{PARAMETER}order={order}",), icount=True, config=CONFIG,
                    extra=("-object", f"memory-backend-ram,id=ram,size={mib}M,reserve=off",
                           "-machine", "memory-backend=ram"))
    machine.memory = TOUCHED
    with machine:
        machine.wait_for("exit", 900)
    if machine.when("exit 0") is None:
        raise Failure("the program failed:\n" + machine.tail())
    machine.no_splats()
    freed = [int(found[1]) for found in (re.search(r"blocks: freed (\d+)", line)
                                         for _, line in machine.lines) if found]
    said = [line.removeprefix("guest: | ") for _, line in machine.lines if line.startswith("guest: | ")]
    if not freed or not said or not said[0].strip().isdigit():
        raise Failure("the guest has freed nothing, or the tracer said nothing:\n" + machine.tail())
    where = next((re.sub(r"^#\s*=> (started|ended) at: ", "", line).strip() for line in said
                  if "=> started at:" in line), "?")
    return {"freed": freed[0], "longest_us": int(said[0]), "task": next((found[1] for found in
            (re.search(r"task: (\S+)-\d+ ", line) for line in said) if found), "?"),
            "where": where, "reported_mib": Trace(machine).mib()}


def measure(quick):
    measured("latency", [(flavour, order, repeat) for order in CASES
                         for repeat, flavour in turns(QUICK_REPEATS if quick else REPEATS, FLAVOURS)],
             ("flavour", "order", "repeat"), FIGURES, one,
             lambda key, row: f"order {key['order']}, {row['freed']} free blocks, {key['flavour']}: "
             f"{row['longest_us']} thousand instructions, {row['task']} in {row['where']}")


def report(_folder):
    rows = read("latency")
    lines = []
    for order in dict.fromkeys(row["order"] for row in rows):
        blocks = select(rows, "freed", flavour="ours", order=order)[0]
        lines.append(line(f"order {order:.0f}, {blocks:.0f} free blocks", 0,
                          {f: select(rows, "longest_us", flavour=f, order=order) for f in FLAVOURS},
                          f"longest time with interrupts off, order {order:.0f}, thousand instructions"))
    places = sorted({(row["order"], row["flavour"], row["task"], row["where"]) for row in rows})
    return ("Thousand instructions, by the irqsoff tracer, which counts its own work too; off has "
            "to show the rest of the kernel:\n\n"
            + side_by_side(FLAVOURS, lines) + "\nWhere: "
            + "; ".join(f"order {order:.0f}, {f}: {task} in `{where}`" for order, f, task, where in places)
            + ".\n")
