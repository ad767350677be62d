# SPDX-License-Identifier: GPL-2.0
"""What the rows of the benchmark share: guests of each flavour, samples, raw results.

A row is a module of bench/rows/ with
    TITLE              what it measures, in a line
    prepare()          what it needs besides the kernels, if anything
    measure(quick)     runs the guests and writes build/bench/*.csv
    report(folder)     makes its part of RESULTS.md of these, and its plots in folder
"""

import concurrent.futures
import csv
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bin"))
from machine import (BASE, BUILD, KERNELS, LINUX, MIB, NEWEST, SAMPLE, TOP, Failure,  # noqa: E402
                     Machine, Uml)

HERE = os.path.dirname(os.path.abspath(__file__))
RAW = os.path.join(BUILD, "bench")
INITRD = "bench.cpio"
FLAVOURS = ("without", "upstream", "ours")
# In the order of FLAVOURS: of one palette that is told apart without colours too.
COLOURS = {"without": "#888888", "off": "#888888", "upstream": "#d95f02", "ours": "#1b6ca8"}
PARAMETER = "page_reporting.page_reporting_"
# QEMU counts the guest's time in instructions, one for each ns. While it is idle its
# time goes on at once, so that neither the host's speed nor its load is in a figure.
ICOUNT = ("-icount", "shift=0,sleep=off")
DISCARD = re.compile(r"^\d+@(\d+\.\d+):ram_block_discard_range .*@(0x[0-9a-f]+) \+ (0x[0-9a-f]+): ")
NOTIFY = re.compile(r"^\d+@(\d+\.\d+):virtio_queue_notify vdev \S+ n (\d+) ")
# The balloon's queues to inflate, to deflate and for statistics come before the one for
# reports; a disk has but the first.
OTHER_QUEUES = 3
EVENTS = ("ram_block_discard_range", "virtio_queue_notify")


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def run(*words):
    """A program of ours, which says itself what is wrong."""
    if subprocess.run(words, check=False).returncode:
        raise Failure(f"{os.path.basename(words[0])} failed")


# The kernels: config/bench.config over config/guest.config, the same for each flavour.
# The rows that trace have others: what they measure is not to be compared with these.
CONFIG = "bench"
# Under User-mode Linux: the device is the series' own for all, so there is none without.
UML = "um-native"
BUILT = {CONFIG: FLAVOURS, "irqsoff": FLAVOURS[1:], UML: FLAVOURS[1:]}


def prepare(configs):
    """The kernels, and the guest's file system with the programs of bench/guest/."""
    for config in configs:
        how = ("--um", "--config", "native") if config == UML else ("--config", config, "bzImage", "modules")
        for flavour in BUILT[config]:
            run(os.path.join(TOP, "bin", "kernel"), flavour, *how)
    run(os.path.join(TOP, "bin", "initramfs"))
    root = os.path.join(RAW, "root")
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    for name in sorted(os.listdir(os.path.join(HERE, "guest"))):
        if name.endswith(".c"):
            run("gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-s",
                "-o", os.path.join(root, name[:-2]), os.path.join(HERE, "guest", name))


def modules(config, module):
    """A module of bench/module/, for each flavour, in the guest's file system: MODULE-FLAVOUR.ko."""
    for flavour in BUILT[config]:
        name = f"{flavour}-{config}"
        work = os.path.join(RAW, "module-" + name)
        shutil.copytree(os.path.join(HERE, "module"), work, dirs_exist_ok=True)
        with open(os.path.join(RAW, f"module-{name}.log"), "wb") as log:
            built = subprocess.run(
                ["bash", "-c", '. "$1/bin/lib.sh"; kmake -C "$2" M="$3" modules', "module", TOP,
                 os.path.join(KERNELS, name), work], stdout=log, stderr=log, check=False)
        if built.returncode:
            raise Failure(f"the module for {name} does not build; the log: build/bench/module-{name}.log")
        shutil.copy(os.path.join(work, module + ".ko"),
                    os.path.join(RAW, "root", f"{module}-{flavour}.ko"))


def pack():
    """What lies in build/bench/root, over the guest's own file system."""
    archive = subprocess.run(["bash", "-c", "find . | LC_ALL=C sort | "
                              "cpio -o -H newc -R 0:0 --reproducible --quiet"],
                             cwd=os.path.join(RAW, "root"), stdout=subprocess.PIPE, check=True).stdout
    with open(os.path.join(BUILD, INITRD), "wb") as whole:
        with open(os.path.join(BUILD, "initramfs.cpio"), "rb") as file:
            whole.write(file.read())
        whole.write(archive)


def turns(count, flavours=FLAVOURS):
    """A B C A B C: what changes on the host meanwhile changes for all alike."""
    for repeat in range(1, count + 1):
        for flavour in flavours:
            yield repeat, flavour


# One iteration of a string instruction is one that counts, and takes as long. Without the
# fast ones for bytes, a page is cleared with as many as it has words.
SLOW_STRINGS = "max,erms=off,fsrm=off"


# Which of the guests that run at once a thread has: their files have different names.
slot = threading.local()
running = []


def guest(name, flavour, mib, program, append=(), icount=False, reporting=True, config=CONFIG,
          extra=(), qmp=False):
    """A machine with this flavour's kernel: off is ours, with a device that does not offer it.

    name: of the files that it leaves in build/bench
    One processor: to count instructions QEMU takes no more, and of two that are emulated at
    once QEMU 7.2 may see an int3 of a patch that is over (config/bench.config).
    """
    os.makedirs(RAW, exist_ok=True)
    name = os.path.join(RAW, f"{name}.{getattr(slot, 'number', 0)}")
    if flavour == "off":
        flavour, reporting = "ours", False
    machine = Machine(memory=mib, program=program, kernel=f"{flavour}-{config}",
                      cpus=1, append=append, trace=name + ".trace", events=EVENTS,
                      log=name + ".console", initrd=INITRD, reporting=reporting, extra=extra, qmp=qmp)
    if icount:
        machine.command += ICOUNT
    machine.command[machine.command.index("-cpu") + 1] = SLOW_STRINGS
    running.append(machine)
    return machine


def uml(name, flavour, mib, program, append=()):
    """A machine under User-mode Linux, as guest(): at the host's speed, in its time."""
    os.makedirs(RAW, exist_ok=True)
    reporting = flavour != "off"
    return Uml(memory=mib, program=program, kernel=f"{flavour if reporting else 'ours'}-{UML}",
               reporting=reporting, append=("populate=1", *append), initrd=INITRD,
               log=os.path.join(RAW, name + ".console"))


def together(jobs, limit=None):
    """Runs the jobs, two of them or as many as there are processors at a time.

    For guests that count their time in instructions only: what else goes on is not in
    their figures. jobs: (function, arguments...); yields what each returns, in turn.
    """
    count = limit or os.cpu_count()
    numbers = iter(range(count))

    def one(function, *arguments):
        if not hasattr(slot, "number"):
            slot.number = next(numbers)
        return function(*arguments)

    pool = concurrent.futures.ThreadPoolExecutor(count)
    try:
        for future in [pool.submit(one, *job) for job in jobs]:
            yield future.result()
    except BaseException:
        # The guests first: a thread that waits for one would wait on.
        pool.shutdown(wait=False, cancel_futures=True)
        for machine in running:
            if machine.process and machine.process.poll() is None:
                machine.process.kill()
        raise
    finally:
        pool.shutdown()


class Trace:
    """QEMU's trace: the discarded ranges and the kicks, with the host's time of each."""

    def __init__(self, machine):
        self.discards, self.kicks = [], []
        with open(machine.trace, encoding="ascii", errors="replace") as lines:
            for line in lines:
                discard, notify = DISCARD.match(line), NOTIFY.match(line)
                if discard:
                    if not line.rstrip().endswith("ret: 0"):
                        raise Failure(f"a discard failed: {line}")
                    self.discards.append((float(discard[1]), int(discard[2], 16), int(discard[3], 16)))
                elif notify and int(notify[2]) >= OTHER_QUEUES:
                    self.kicks.append(float(notify[1]))

    def mib(self, begin=0.0, end=float("inf")):
        return sum(size for when, _, size in self.discards if begin <= when <= end) / MIB

    def kicked(self, begin=0.0, end=float("inf")):
        return sum(begin <= when <= end for when in self.kicks)


class Sampler(threading.Thread):
    """The host's memory of a machine, ten times a second: (seconds, MiB, MiB of its cgroup if any)."""

    every = SAMPLE

    def __init__(self, machine, group=None):
        super().__init__(daemon=True)
        self.machine, self.group = machine, group
        self.samples, self.ended = [], threading.Event()

    def run(self):
        while not self.ended.wait(self.every):
            rss = self.machine.rss()
            if rss is None:
                break
            self.sample(rss)

    def sample(self, rss):
        self.samples.append((self.machine.now(), rss, *([self.group.mib()] if self.group else [])))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.ended.set()
        self.join()


# Until a guest has settled, what was free at first is part of what is reported, and what
# the rest of the kernel does once after its start is part of what the workers take. After
# the first cycle it is idle for so many ms more: that is a moment of the host. Then all
# that is free has been reported, and it takes some cycles until each is as the next.
WARM = 5
SETTLE = 60000
# Guests that count their time in instructions do the same each time. Each repeat begins
# this much later, in ms, so that passes and ticks come at other times.
LATER = 370
# What cycles() says of each cycle
CYCLE = ("reported_mib", "taken_back_mib", "discards", "kicks", "worker_minstr", "program_minstr",
         "host_cpu_s")


def host_cpu(machine):
    """CPU time of QEMU until now, in seconds."""
    with open(f"/proc/{machine.process.pid}/stat", encoding="ascii") as stat:
        words = stat.read().rsplit(")", 1)[1].split()
    return sum(map(int, words[11:13])) / os.sysconf("SC_CLK_TCK")


def used(machine, when="used"):
    """What /cycle says that it and the workers took until then: ns, or instructions."""
    return [tuple(map(int, line.split()[2:4])) for _, line in machine.lines
            if line.startswith(f"guest: {when} ")]


def cycles(name, flavour, mem, mib, idles, count, repeat, append=()):
    """A guest takes, frees and is idle: CYCLE for each, after WARM more of them.

    idles: ms, one after the other
    """
    idles = [int(idles[i % len(idles)]) for i in range(WARM + count)]
    idles[0] += SETTLE + repeat * LATER
    machine = guest(name, flavour, mem, ("/cycle", str(mib), "0", str(WARM + count), *map(str, idles)),
                    append=append, icount=True)
    with machine:
        machine.wait_for(f"round {WARM + 1}", 300)
        begin, cpu, rss = time.time(), host_cpu(machine), machine.rss()
        machine.wait_for(f"round {WARM + count}", 900)
        end, cpu, rss = time.time(), host_cpu(machine) - cpu, machine.rss() - rss
        machine.wait_for("exit", 300)
    machine.no_splats()
    took = used(machine)
    if len(took) != WARM + count:
        raise Failure("the guest did not say what it used:\n" + machine.tail())
    # From the begin of one round to the begin of the last there is a round less.
    count -= 1
    own, workers = ((took[-2][i] - took[WARM - 1][i]) / count / 1e6 for i in (0, 1))
    trace = Trace(machine)
    reported = trace.mib(begin, end)
    return {"reported_mib": reported / count, "taken_back_mib": (reported + rss) / count,
            "kicks": trace.kicked(begin, end) / count,
            "discards": sum(begin <= t <= end for t, *_ in trace.discards) / count,
            "worker_minstr": workers, "program_minstr": own, "host_cpu_s": cpu / count}


class Cgroup:
    """A group of processes whose memory the host's kernel counts, and limits if told so."""

    numbers = itertools.count(1)

    def __init__(self, limit_mib=None):
        with open("/proc/self/cgroup", encoding="ascii") as lines:
            own = {controllers: path for _, controllers, path in
                   (line.rstrip("\n").split(":", 2) for line in lines)}
        old = next((names for names in own if "memory" in names.split(",")), None)
        base = "/sys/fs/cgroup/memory" if old else "/sys/fs/cgroup"
        self.usage, limit, self.events, self.stats = (
            ("memory.usage_in_bytes", "memory.limit_in_bytes", "memory.oom_control", ("rss", "cache"))
            if old else ("memory.current", "memory.max", "memory.events", ("anon", "file", "kernel")))
        self.kernel = "memory.kmem.usage_in_bytes" if old else None
        parent = base + own.get(old or "", "/").rstrip("/")
        while parent != base and not (os.path.isdir(parent) if old else self._hands_on(parent)):
            parent = os.path.dirname(parent)
        self.path = os.path.join(parent, f"page-reporting-bench-{os.getpid()}-{next(Cgroup.numbers)}")
        try:
            os.mkdir(self.path)
            self.mib()
            if limit_mib:
                self._set(limit, limit_mib * MIB)
                # A host that swaps would carry more, and slowly.
                for swap in ("memory.swap.max", "memory.swappiness"):
                    if os.path.exists(os.path.join(self.path, swap)):
                        self._set(swap, 0)
        except OSError as error:
            self.remove()
            raise Failure("the host's kernel can not count memory for this row: it needs root, and "
                          f"a cgroup with the memory controller ({error})") from error

    @staticmethod
    def _hands_on(path):
        """Whether groups in this one count memory: not in one that has processes itself, as a login's."""
        try:
            with open(os.path.join(path, "cgroup.subtree_control"), encoding="ascii") as file:
                return "memory" in file.read().split()
        except OSError:
            return False

    def takes(self, machine):
        """QEMU will be in this group from its start."""
        machine.command[:0] = ["sh", "-c", 'echo $$ >"$0" && exec "$@"',
                               os.path.join(self.path, "cgroup.procs")]

    def _set(self, name, number):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(str(number))

    def _number(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return int(file.read())

    def mib(self):
        return self._number(self.usage) / MIB

    def unmapped_mib(self):
        """What the group's processes have given back of huge pages, of which they use the rest.

        It is no longer in their RSS, and nobody else's until the host's kernel splits the page.
        """
        with open(os.path.join(self.path, "memory.stat"), encoding="ascii") as file:
            stats = {name: int(number) for name, number in (line.split() for line in file)}
        known = sum(stats[name] for name in self.stats) + (self._number(self.kernel) if self.kernel else 0)
        return max(0, self._number(self.usage) - known) / MIB

    def kills(self):
        """How often the host's kernel has killed a process of the group for memory."""
        with open(os.path.join(self.path, self.events), encoding="ascii") as file:
            return int(dict(line.split() for line in file)["oom_kill"])

    def remove(self):
        end = time.monotonic() + 10
        while os.path.isdir(self.path):
            try:
                os.rmdir(self.path)
            except OSError:
                # A process of it is still ending.
                if time.monotonic() > end:
                    return
                time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.remove()


def measured(name, keys, rows, columns, one, text):
    """Guests that count their time in instructions, one for each of the keys: build/bench/NAME.csv.

    keys     tuples of what is in the columns `rows` of the file
    columns  what one(*key) returns for a guest
    text     says it to the person who waits
    """
    with Table(name, *rows, *columns) as figures:
        for key, row in zip(keys, together([(one, *key) for key in keys])):
            key = dict(zip(rows, key))
            say(f"{name}: {text(key, row)}")
            figures.add(**key, **row)


class Table:
    """A file of raw results, build/bench/NAME.csv, written row by row."""

    def __init__(self, name, *columns):
        os.makedirs(RAW, exist_ok=True)
        self.columns = columns
        self.file = open(os.path.join(RAW, name + ".csv"), "w", encoding="ascii", newline="")
        self.writer = csv.writer(self.file, lineterminator="\n")
        self.writer.writerow(columns)

    def add(self, **values):
        missing = [column for column in self.columns if values.get(column) is None]
        if missing or len(values) != len(self.columns):
            raise Failure(f"a sample is missing: {', '.join(missing) or values}")
        self.writer.writerow([f"{value:.3f}" if isinstance(value, float) else value
                              for value in (values[column] for column in self.columns)])
        self.file.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.file.close()


def read(name):
    """The rows of build/bench/NAME.csv, with numbers as such."""
    path = os.path.join(RAW, name + ".csv")
    try:
        with open(path, encoding="ascii", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise Failure(f"{path} is missing; run: make bench") from error
    for row in rows:
        for key, value in row.items():
            if re.fullmatch(r"-?\d+(\.\d+)?", value):
                row[key] = float(value)
    return rows


def select(rows, column, **wanted):
    """The values of a column in the rows that have these values in others."""
    return [row[column] for row in rows
            if all(row[key] == value for key, value in wanted.items())]


# After a figure that was measured once: of how far others would be from it nothing is known.
ONCE = "¹"


def median(values):
    if not values:
        raise Failure("a sample is missing: measure it again")
    return statistics.median(values)


def value(values, digits=1):
    """Median, and how far the others are from it at most; without more, all are alike."""
    middle = median(values)
    # Of two whole numbers the middle may be none.
    if not digits and middle % 1 == 0.5 and all(v % 1 == 0 for v in values):
        digits = 1
    spread = max(abs(v - middle) for v in values)
    text = f"{middle:,.{digits}f}"
    if len(values) == 1:
        return text + ONCE
    return text if round(spread, digits) == 0 else f"{text} ± {spread:,.{digits}f}"


# What is not farther apart than this is alike.
LEVEL = 0.01
# What was compared: in words, ours, upstream's, and which of the two is clearly better.
compared = []


def judge(what, ours, theirs, digits=1, level=LEVEL, more_is_better=False):
    """Ours is compared with upstream's: one of the things that RESULTS.md says in words."""
    mine, other = median(ours), median(theirs)
    once = ONCE if len(ours) == len(theirs) == 1 else ""
    apart = max(ours) < min(theirs) or min(ours) > max(theirs)
    better = None
    if apart and abs(mine - other) > level * max(abs(mine), abs(other)):
        better = "ours" if (mine > other) == more_is_better else "upstream"
    compared.append((what, f"{mine:,.{digits}f}{once}", f"{other:,.{digits}f}{once}", better))


def ratio(ours, theirs, digits=2):
    mine, other = median(ours), median(theirs)
    return f"{mine / other:.{digits}f}" if other else "–"


def line(what, digits, by, judged=None, **how):
    """A line of side_by_side(). by: the values of each flavour; judged: in words, if it is."""
    if judged:
        judge(judged, by["ours"], by["upstream"], digits, **how)
    return [what, *(value(values, digits) for values in by.values()), ratio(by["ours"], by["upstream"])]


def side_by_side(flavours, lines):
    return table(["", *flavours, "ours / upstream"], lines)


def table(head, rows):
    """Markdown, with all but the first column to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "--:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def save(figure, path):
    """A plot in the manner of all of them."""
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
