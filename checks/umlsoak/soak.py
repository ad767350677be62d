# SPDX-License-Identifier: GPL-2.0
"""Memory of all kinds is verified at native speed, while each free page is reported at once.

Two guests under User-mode Linux, one for each processor, run the program guest/soak.c.
Page reporting has order 0 and no delay, and the device of overwrite.patch: it overwrites
what is reported, sees that nobody uses it meanwhile, punches a hole where every second
block is, and leaves the others as they are. So it shows when memory is used that is with
the device, when the content of memory that is in use is lost, and when a program gets
memory that was not cleared.

soak.py [MINUTES [SEED]]
"""

import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bin"))
from machine import Failure, Stall, Uml, log_of, progress  # noqa: E402

# Faults that were put in for a try were found within half a minute: one batch of 256 goes
# back before it was reported, one new page of 4096 is not cleared, one block of 64 is given
# back once more when it is in use. What is rarer by far has half an hour to happen.
MINUTES = 30
# MiB of a guest, and of each of its three programs at most: with the copies of their
# children it is never out of memory, and most of it is free and reported.
MEM, EACH = 512, 128
STALL = 120             # seconds without progress: a pass or a step takes milliseconds
TELL = 60               # seconds between lines of progress
BOOT, LIMIT = 30, 60    # seconds to boot; to end the programs, which verify all once more
REST = 3                # seconds for the last passes, which are to report what is left
# GiB in a minute that each guest has to verify and to report, or the soak is none: a fifth
# of the least seen, on a slow host whose two processors had other work too.
LEAST = {"verified": 0.5, "reported": 0.1}
PAGES = 1 << 18         # of a GiB
NAME = "page_reporting.page_reporting_"


class Soaked(Uml):
    """A guest that verifies its memory."""

    def __init__(self, number, seed, seconds):
        super().__init__(memory=MEM, program=("/soak", str(seed), str(EACH), str(seconds)),
                         kernel="umlsoak", append=(f"{NAME}order=0", f"{NAME}delay_ms=0"),
                         log=log_of(f"umlsoak.{number}.console"))
        self.stall = Stall(STALL)

    def _figure(self, pattern):
        try:
            return self.number(pattern)
        except Failure:
            return 0        # It has not said one yet.

    def verified(self):
        """GiB so far"""
        return self._figure(r"verified (\d+) KiB") / (1 << 20)

    def reported(self):
        """GiB so far"""
        return self._figure(r"reported (\d+) pages") / PAGES

    def passes(self):
        return self._figure(r"reported \d+ pages in (\d+) passes")

    def look(self):
        """A Failure if something is wrong, or nothing happens any more."""
        self.no_splats()
        if not self.running() or self.when("exit") is not None and self.when("exit 0") is None:
            raise Failure("the guest or its program has failed:\n" + self.tail())
        self.stall.look(self.verified(), "; its last lines:\n" + self.tail())

    def ended(self):
        return self.when("exit 0") is not None


def soak(guests, seconds):
    end, told = time.monotonic() + seconds + BOOT + LIMIT, time.monotonic()
    while not all(guest.ended() for guest in guests):
        time.sleep(1)
        for guest in guests:
            if not guest.ended():
                guest.look()
        if time.monotonic() > end:
            raise Failure("the guest's programs do not end:\n" + guests[0].tail())
        if time.monotonic() > told + TELL:
            told += TELL
            progress(f"{(told - guests[0].start) / 60:.0f} of {seconds / 60:.0f} minutes: " + figures(guests))


def figures(guests):
    return (f"{sum(guest.verified() for guest in guests):.0f} GiB verified, "
            f"{sum(guest.reported() for guest in guests):.0f} GiB reported in "
            f"{sum(guest.passes() for guest in guests)} passes")


def main(minutes, seed):
    progress(f"seed {seed}, {minutes:g} minutes, two guests")
    seconds = round(minutes * 60)
    with contextlib.ExitStack() as stack:
        guests = [stack.enter_context(Soaked(i, seed + i, seconds)) for i in range(2)]
        soak(guests, seconds)
        time.sleep(REST)
        left = [guest.ram() for guest in guests]
        for guest in guests:
            guest.no_splats()
    for guest in guests:
        for what, gib in (("verified", guest.verified()), ("reported", guest.reported())):
            if gib < LEAST[what] * minutes:
                raise Failure(f"a guest has {what} only {gib:.1f} GiB in {minutes:g} minutes")
    return (f"{figures(guests)}, overwritten, all right after {minutes:g} minutes; the host had "
            f"{' and '.join(f'{mib:.0f}' for mib in left)} of {MEM} MiB at the end, with every "
            f"second block left there on purpose; seed {seed}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    words = sys.argv[1:]
    try:
        print(main(float(words[0]) if words else MINUTES, int(words[1]) if words[1:] else int(time.time())))
    except Failure as failure:
        sys.exit(f"umlsoak: {failure}")
