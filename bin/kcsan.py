# SPDX-License-Identifier: GPL-2.0
"""Reports of KCSAN on a guest's console, and which of them are about the series."""

import os
import re
import subprocess

# What is watched: the series, and what shares data with it. One access in so many is
# watched, so that with the whole kernel there were too few of these. mm/Makefile
# leaves the page allocator out, since many look at a page's flags while others change
# other bits of them; but it has hooks of the series.
WATCHED = ("page_reporting", "page_alloc", "page_isolation", "compaction", "memory_hotplug",
           "vmstat", "virtio_balloon", "virtio_ring", "params")
# Where the barriers are that the watched code counts on, if only by a call: KCSAN
# would take its accesses for reordered with them. The selftest wants them, too.
BARRIERS = ("spinlock", "mutex", "rwsem", "semaphore", "percpu-rwsem", "rtmutex_api",
            "completion", "wait", "workqueue", "tree", "update", "smp")
# What bin/kernel is asked for. All who boot ours-kcsan have to build it like this.
KERNEL = ("ours", "--config", "kcsan", "bzImage", "KCSAN_SANITIZE=n",
          *(f"KCSAN_SANITIZE_{name}.o=y" for name in WATCHED),
          *(f"KCSAN_INSTRUMENT_BARRIERS_{name}.o=y" for name in BARRIERS))

TITLE = "BUG: KCSAN: "
RULE = "=" * 60    # before and after each report
ACCESS = re.compile(r"\] (?:race at unknown origin, with )?(.+) to 0x[0-9a-f]+ of \d+ bytes by ")
FRAME = re.compile(r"^\[[^]]*\]\s+(?:\? )?([\w.]+)\+0x[0-9a-f]+/0x[0-9a-f]+")

# What all of is the series', or stands in the one driver that it changes
OBJECTS = ("mm/page_reporting.o", "drivers/virtio/virtio_balloon.o")
# What the series adds to mm/page_alloc.c, but for what is inline there: that reads
# what functions of the above have written, which their half of a report tells. They
# take blocks off the free lists and put them on with the allocator's own code.
FUNCTIONS = ("__isolate_free_page_keep_mt", "__putback_isolated_page")
ALLOCATOR = "mm/page_alloc.o"
# Lowers the limit of a per-cpu list under no lock, beside all who raise or lower it
# under that of the list: one of the two is lost, and the next makes up for it.
LOCKLESS = "decay_pcp_high"


def functions_of(kernel, name):
    """The functions that an object of this kernel has, as a stack names them."""
    said = subprocess.run(["nm", os.path.join(kernel, name)], capture_output=True,
                          text=True, check=True).stdout
    return {words[2] for words in map(str.split, said.splitlines())
            if len(words) == 3 and words[1] in "tT"}


class Code:
    """Whose code the functions of a kernel are. kernel: the directory it was built in."""

    def __init__(self, kernel):
        self.ours = set().union(*(functions_of(kernel, name) for name in OBJECTS))
        self.allocator = functions_of(kernel, ALLOCATOR)

    def concerns(self, race):
        """Is this race one of the series' making?

        It is if the series makes one of the accesses. It also is if the page
        allocator writes twice at a time, once on behalf of the series: which has
        then forgotten a lock, but where the other one is LOCKLESS. It reads without
        one in many places, and all else that the worker calls looks after itself.

        Where the series' FUNCTIONS of the allocator write, others may look by a
        marked access, as whoever finds a page by its number must: compound_head()
        reads what may be the list's pointer, of a page in any state, and compaction
        does so under no lock. A plain access of others is not excused.
        """
        tops = {stack[0] for _, stack in race.accesses if stack}
        callers = {function for _, stack in race.accesses for function in stack}
        inner = tops & set(FUNCTIONS)
        marked = any("marked" in kind for kind, stack in race.accesses
                     if stack and stack[0] not in FUNCTIONS)
        return (not tops or bool(tops & self.ours) or bool(inner) and not marked or
                all("write" in kind for kind, _ in race.accesses) and
                tops <= self.allocator and LOCKLESS not in tops and bool(callers & self.ours))


class Race:
    """A report: its title, and of each access what it was and its functions, innermost first."""

    def __init__(self, lines):
        self.title = lines[0][lines[0].index(TITLE):].strip()
        self.lines = lines
        self.accesses = []
        for line in lines[1:]:
            access, frame = ACCESS.search(line), FRAME.match(line)
            if access:
                self.accesses.append((access[1], []))
            elif frame and self.accesses:
                self.accesses[-1][1].append(frame[1])

    def text(self):
        return "\n".join(self.lines)


def races(lines):
    """All reports that are on this console, each with the number of its title's line."""
    starts = [i for i, line in enumerate(lines) if TITLE in line]
    for i, end in zip(starts, starts[1:] + [len(lines)]):
        rules = (j for j in range(i, end) if RULE in lines[j])
        yield i, Race(lines[i:next(rules, end)])
