# SPDX-License-Identifier: GPL-2.0
"""What the allocator's paths cost: instructions of the guest, and bytes of code."""

import os
import re
import subprocess

from common import (CONFIG, FLAVOURS, KERNELS, LINUX, Failure, Table, Trace, guest, line, modules, ratio, read,
                    say, select, table, together)

TITLE = "Cost on the allocator's paths"
MEM, MIB = 1024, 128
KINDS = {"anon": "page_fault1", "file": "page_fault2"}
CASES = (("anon", "never"), ("file", "never"), ("anon", "always"), ("loops", "never"))
# How often: over before the pass that the first round requests, two seconds or as many
# billion instructions later; and so long that some passes are among them.
FEW = {("anon", "never"): 12, ("file", "never"): 9, ("anon", "always"): 30, ("loops", "never"): 4096}
MANY = {("anon", "never"): 40, ("file", "never"): 30, ("anon", "always"): 120,
        ("loops", "never"): 1 << 19}
DELAY = 2e9
# What reporting does meanwhile: whether the device has it, and how often the program loops
STATES = {"off": (False, FEW), "idle": (True, FEW), "reporting": (True, MANY)}
# Without it off and idle are the same, and reporting is the longer loop.
TURNS = tuple((state, flavour) for state in STATES for flavour in FLAVOURS
              if (state, flavour) != ("off", "without"))
QUICK_TURNS = (("idle", "without"), ("idle", "upstream"), ("idle", "ours"))
# Measured in one guest
TIMES, QUICK_TIMES = {True: 6, False: 3}, {True: 2, False: 1}
ORDERS = range(11)
# Of the loops: single pages, and what is reported
JUDGED = (0, 9)
# These figures hardly differ from one time to the next.
EXACT = 0.0005


def prepare():
    modules(CONFIG, "loops")


def boot(state, flavour, case, times):
    reporting, often = STATES[state]
    kind, thp = case
    program = (("/loops", f"/loops-{flavour}.ko", str(often[case]), str(times)) if kind == "loops" else
               ("/faults", kind, str(MIB), str(often[case]), str(times)))
    machine = guest("cost", flavour, MEM, program, icount=True,
                    append=("transparent_hugepage=" + thp,), reporting=reporting)
    with machine:
        machine.wait_for("exit", 1200)
    if machine.when("exit 0") is None:
        raise Failure(f"{flavour}, {state}: the program failed:\n" + machine.tail())
    machine.no_splats()
    reported = bool(Trace(machine).discards)
    if reported != (reporting and flavour != "without"):
        raise Failure(f"{flavour}, {state}: {'something' if reported else 'nothing'} was reported")
    return machine


def found(machine, count, pattern):
    matches = [re.match(pattern, line) for _, line in machine.lines]
    rows = [tuple(map(float, match.groups())) for match in matches if match]
    if len(rows) != count:
        raise Failure(f"the guest has measured {len(rows)} times, not {count}:\n" + machine.tail())
    return rows


def one(state, flavour, case, times):
    """Rows of (what, instructions for each page or block)."""
    few = STATES[state][1] is FEW
    times = times[few]
    machine = boot(state, flavour, case, times)
    for wall, in found(machine, times, r"guest: .*\bwall (\d+) workers"):
        # A pass is among what is measured, or not, as it should be.
        if few == (wall >= DELAY):
            raise Failure(f"{state}: {wall / 1e9:.1f} billion instructions are too "
                          + ("many" if few else "few"))
    if case[0] == "loops":
        return [(f"{what} {int(order)}", cost) for order, single, many in found(
                    machine, times * len(ORDERS), r"guest: order (\d+) one ([\d.]+) many ([\d.]+)")
                for what, cost in (("one", single), ("many", many))]
    return [(what, cost / pages) for pages, own, workers in found(
                machine, times, r"guest: pages (\d+) own (\d+) wall \d+ workers (\d+)")
            for what, cost in (("own", own), ("workers", workers))]


def sizes():
    """What the kernel's own bloat-o-meter says: (before, after) for each flavour to without."""
    meter = os.path.join(LINUX, "scripts", "bloat-o-meter")
    images = {f: os.path.join(KERNELS, f"{f}-{CONFIG}", "vmlinux") for f in FLAVOURS}
    for flavour in ("upstream", "ours"):
        said = subprocess.run([meter, images["without"], images[flavour]], capture_output=True,
                              text=True, check=True).stdout
        added = re.search(r"add/remove: (\d+)/(\d+) grow/shrink: (\d+)/(\d+) up/down: (\d+)/-?(\d+) ",
                          said)
        if not added:
            raise Failure("bloat-o-meter said nothing:\n" + said)
        symbols = {symbol: int(delta) for symbol, delta in
                   re.findall(r"^(\S+)\s+(?:\d+|-)\s+(?:\d+|-)\s+([-+]\d+)$", said, re.MULTILINE)}
        core = sum(delta for symbol, delta in symbols.items() if "page_reporting" in symbol
                   or symbol.startswith(("__free_one_page", "__putback_isolated_page")))
        yield flavour, *map(int, added.groups()), core


def measure(quick):
    with Table("size", "flavour", "added", "removed", "grown", "shrunk", "up", "down",
               "core") as figures:
        for flavour, added, removed, grown, shrunk, up, down, core in sizes():
            figures.add(flavour=flavour, added=added, removed=removed, grown=grown, shrunk=shrunk,
                        up=up, down=down, core=core)
    keys = [(state, flavour, case, QUICK_TIMES if quick else TIMES) for case in CASES
            for state, flavour in (QUICK_TURNS if quick else TURNS)]
    with Table("cost", "state", "flavour", "kind", "thp", "what", "instructions") as figures:
        for (state, flavour, case, _), rows in zip(keys, together([(one, *key) for key in keys])):
            kind, thp = case
            name = KINDS.get(kind, "alloc_pages and __free_pages")
            say(f"cost: {name}, huge pages {thp}, {flavour}, {state}: {rows[0][1]:.2f} instructions for a "
                + ("block of order 0" if kind == "loops" else "page"))
            for what, cost in rows:
                figures.add(state=state, flavour=flavour, kind=kind, thp=thp, what=what,
                            instructions=float(cost))


def side(rows, what, state, key, digits, judged, column="own"):
    """A line of one state: beside what it costs without page reporting."""
    def of(flavour):
        return select(rows, "instructions", flavour=flavour, what=column,
                      state="idle" if (state, flavour) == ("off", "without") else state, **key)
    by = {flavour: of(flavour) for flavour in FLAVOURS}
    return [*line(what, digits, by, judged, level=EXACT), ratio(by["ours"], by["without"], 5)]


def report(_folder):
    rows = read("cost")
    states = [state for state in STATES if any(row["state"] == state and row["flavour"] == "ours"
                                               for row in rows)]
    head = ["", *FLAVOURS, "ours / upstream", "ours / without"]
    lines = []
    for kind, thp in CASES[:3]:
        name = f"{KINDS[kind]}, {'2 MiB' if thp == 'always' else '4 KiB'} pages"
        for state in states:
            lines.append(side(rows, f"{name}: {state}", state, {"kind": kind, "thp": thp}, 2,
                              f"{name}, {state}: instructions for each 4 KiB"))
        if "reporting" in states:
            lines.append(side(rows, f"{name}: reporting, the workers", "reporting",
                              {"kind": kind, "thp": thp}, 2, None, "workers"))
    text = ("Off: the device does not offer it. Idle: all that is free has been reported, and no pass "
            "runs. Reporting: passes run all the time.\n\nInstructions of the program and the kernel "
            "for each 4 KiB that is mapped, written to and unmapped:\n\n" + table(head, lines) + "\n")
    for what, title in (("one", "each freed before the next is allocated"),
                        ("many", "many allocated before the first is freed")):
        for state in states:
            lines = [side(rows, f"order {order}", state, {"kind": "loops"}, 1, order in JUDGED and
                          f"alloc_pages() and __free_pages(), {what}, order {order}, {state}: "
                          "instructions for each block", f"{what} {order}") for order in ORDERS]
            text += (f"alloc_pages() and __free_pages(), {title}, {state}: instructions for each "
                     "block\n\n" + table(head, lines) + "\n")
    size = read("size")
    columns = ("added", "removed", "grown", "shrunk", "up", "down", "core")
    by = {row["flavour"]: row for row in size}
    text += ("The kernel's size to that of `without`, by bloat-o-meter; the core is page_reporting*, "
             "__free_one_page() and __putback_isolated_page():\n\n"
             + table(["", "functions and data added", "removed", "grown", "shrunk", "bytes more",
                      "bytes less", "of it the core"],
                     [[flavour, *(f"{row[key]:.0f}" for key in columns)] for flavour, row in by.items()]
                     + [["ours / upstream", *(ratio([by["ours"][key]], [by["upstream"][key]])
                                              for key in columns)]]))
    return text
