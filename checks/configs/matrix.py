#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Rows of configuration symbols in which each two values that can meet do meet.

matrix.py             a row in each line: SYMBOL=value SYMBOL=value ...
matrix.py --forbidden what is left out: the pairs that Kconfig does not allow
matrix.py --count     how many pairs the rows cover
"""

import itertools
import sys

SYMBOLS = {
    "PAGE_REPORTING": "yn",
    "PAGE_REPORTING_KUNIT_TEST": "yn",
    "VIRTIO_BALLOON": "ymn",
    "HYPERV_BALLOON": "ymn",
    "CMA": "yn",
    "MEMORY_HOTPLUG": "yn",
    "COMPACTION": "yn",
    "SHUFFLE_PAGE_ALLOCATOR": "yn",
    "NUMA": "yn",
    "SMP": "yn",
}

# What Kconfig does not allow. The check asks Kconfig whether that is so.
FORBIDDEN = {frozenset(pair) for pair in (
    # The drivers select it, and its tests need it.
    (("PAGE_REPORTING", "n"), ("VIRTIO_BALLOON", "y")),
    (("PAGE_REPORTING", "n"), ("VIRTIO_BALLOON", "m")),
    (("PAGE_REPORTING", "n"), ("HYPERV_BALLOON", "y")),
    (("PAGE_REPORTING", "n"), ("HYPERV_BALLOON", "m")),
    (("PAGE_REPORTING", "n"), ("PAGE_REPORTING_KUNIT_TEST", "y")),
    # One processor is one node.
    (("NUMA", "y"), ("SMP", "n")),
)}


def pairs(row):
    """Each two values of a row."""
    return {frozenset(pair) for pair in itertools.combinations(row, 2)}


def all_rows():
    """All that Kconfig allows."""
    for values in itertools.product(*SYMBOLS.values()):
        row = tuple(zip(SYMBOLS, values))
        if not pairs(row) & FORBIDDEN:
            yield row


def covering():
    """Few rows with all pairs: always the row next that has the most new ones."""
    rows = {row: pairs(row) for row in all_rows()}
    left = set().union(*rows.values())
    total, chosen = len(left), []
    while left:
        best = max(rows, key=lambda row: len(rows[row] & left))
        chosen.append(best)
        left -= rows[best]
    return chosen, total


def words(row):
    return " ".join(f"{symbol}={value}" for symbol, value in row)


def main():
    chosen, total = covering()
    match sys.argv[1:]:
        case []:
            for row in chosen:
                print(words(row))
        case ["--forbidden"]:
            for pair in sorted(words(sorted(pair)) for pair in FORBIDDEN):
                print(pair)
        case ["--count"]:
            print(total)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
