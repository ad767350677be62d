# SPDX-License-Identifier: GPL-2.0
"""In the guest: a table is made, written, read, joined, grouped and sorted, as an analyst does it."""

import os
import sys
import time

import numpy
import pandas

ROWS, PAUSE = int(sys.argv[1]), 6 if sys.argv[2:] == ["pauses"] else 0


def pause(text):
    if PAUSE:
        with open(os.environ["TRACE"], "a", encoding="ascii") as trace:
            trace.write(f"# phase: {text}\n")
    time.sleep(PAUSE)


def main():
    rng = numpy.random.default_rng(ROWS)
    people = pandas.DataFrame({"person": numpy.arange(ROWS // 20), "town": rng.integers(0, 500, ROWS // 20)})
    sales = pandas.DataFrame({"person": rng.integers(0, ROWS // 20, ROWS), "amount": rng.exponential(40, ROWS),
                              "item": rng.integers(0, 9000, ROWS).astype(str)})
    pause("made")
    sales.to_csv("/work/sales.csv" if PAUSE else "/tmp/sales.csv", index=False)
    del sales
    pause("written")
    sales = pandas.read_csv("/work/sales.csv" if PAUSE else "/tmp/sales.csv", dtype={"item": str})
    pause("read")
    joined = sales.merge(people, on="person")
    print(joined.groupby("town").amount.agg(["sum", "mean", "count"]).head())
    pause("joined")
    print(joined.sort_values(["item", "amount"]).head())
    del joined
    pause("sorted")
    matrix = rng.standard_normal((1500, 1500))
    for _ in range(3):
        matrix = numpy.linalg.qr(matrix @ matrix.T)[0]
    pause("decomposed")


main()
