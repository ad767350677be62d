# SPDX-License-Identifier: GPL-2.0
"""A virtual machine under QEMU or User-mode Linux, and what the host sees of it."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import kcsan

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def places():
    """Where this base has its things: only bin/lib.sh knows, and which base it is."""
    script = '. "$0/bin/lib.sh"; printf "%s\\0" "$BASE" "$NEWEST" "$BUILD" "$LINUX" "$KERNELS"'
    said = subprocess.run(["bash", "-c", script, TOP], capture_output=True, text=True, check=False)
    if said.returncode:
        sys.exit(said.stderr.strip())
    return said.stdout.split("\0")[:5]


BASE, NEWEST, BUILD, LINUX, KERNELS = places()
OF = "" if BASE == NEWEST else f" BASE={BASE}"    # what make has to be told
MIB = 1 << 20
PAGE = os.sysconf("SC_PAGESIZE")
PR_SET_PDEATHSIG = 1
SAMPLE = 0.1    # seconds between two looks at the host's memory
COMPLAINT = 30  # lines of a kernel's complaint that are worth to be read

# For a kernel with KASAN. identify_cpu() clears the features of the boot CPU, 5-level
# page tables among them, before it finds them again: an interrupt in between, which a
# slow machine has time for, takes its memory for outside of the shadow, and is reported.
KASAN_APPEND = ("no5lvl",)

# What there is to a machine of an architecture: QEMU's program, its Debian package, the
# machine, the processor, the console, the kernel's image and the guest's file system.
# The arm64 processor is not "max": its pointer authentication is slow to emulate.
ARCHES = {
    "x86": ("qemu-system-x86_64", "qemu-system-x86", "q35", "max", "ttyS0",
            "arch/x86/boot/bzImage", "initramfs.cpio"),
    "arm64": ("qemu-system-aarch64", "qemu-system-arm", "virt", "cortex-a57", "ttyAMA0",
              "arch/arm64/boot/Image", "initramfs-arm64.cpio"),
}


def progress(text):
    """From a check to the person who waits for it; the log gets it too."""
    print("==", text, flush=True)
    check = os.environ.get("CHECK")
    # Without bin/check, descriptor 3 may be anything that this process has opened.
    if not check:
        return
    try:
        os.write(3, f"    {check}: {text}\n".encode())
    except OSError:
        pass


class Failure(Exception):
    """What went wrong, in words for the person who ran the command."""


class Stall:
    """A figure that has to grow, from now on: a Failure if it does not for so many seconds."""

    def __init__(self, seconds):
        self.seconds, self.figure, self.moved = seconds, 0, time.monotonic()

    def look(self, figure, seen=""):
        if figure > self.figure:
            self.figure, self.moved = figure, time.monotonic()
        if time.monotonic() > self.moved + self.seconds:
            raise Failure(f"nothing was verified for {self.seconds} s" + seen)


def die_with_parent():
    """QEMU ends with the program that started it, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def patterns(name):
    """A file of guest/ with a pattern on each line, as one pattern."""
    with open(os.path.join(TOP, "guest", name), encoding="utf-8") as lines:
        stripped = [line.strip() for line in lines]
    return "|".join(p for p in stripped if p and not p.startswith("#"))


# Lines before a denied one that may excuse it: see guest/console.allow.
EXCUSE = 4


def faults(lines):
    """Those of these lines of a console that are a fault of the kernel."""
    deny = re.compile(patterns("console.deny"))
    allow = re.compile(f"({patterns('console.allow')})\\Z")
    return [line for i, line in enumerate(lines) if deny.search(line)
            and not allow.search("\n".join(lines[max(0, i - EXCUSE):i + 1]))]


def available_mib():
    """What the host can give without swapping, in MiB."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) // 1024
    return 0


def discards(trace):
    """What QEMU discarded, from its trace: (address, length) of each call."""
    with open(trace, encoding="ascii", errors="replace") as lines:
        calls = [re.search(r"@(0x[0-9a-f]+) \+ (0x[0-9a-f]+): .* ret: 0$", line)
                 for line in lines if "ram_block_discard_range" in line]
    if None in calls:
        raise Failure(f"{trace} has a line that is not understood, or a discard that failed")
    return [(int(call[1], 16), int(call[2], 16)) for call in calls]


class Monitor:
    """QEMU's monitor, QMP, on a pair of sockets: it needs no file and no waiting for one."""

    def __init__(self):
        self.socket, self.far = socket.socketpair()
        self.arguments = ("-chardev", f"socket,id=monitor,fd={self.far.fileno()}",
                          "-mon", "chardev=monitor,mode=control")
        self.rest = b""
        self.events = []

    def start(self):
        """QEMU has its end now; it greets, and wants to be told that this was read."""
        self.far.close()
        self._message(30)
        self.command("qmp_capabilities")

    def _message(self, timeout):
        """The next message. A Failure if there is none in time."""
        end = time.monotonic() + timeout
        while b"\n" not in self.rest:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except TimeoutError as late:
                raise Failure(f"QEMU's monitor said nothing within {timeout} s") from late
            except OSError:
                data = b""
            if not data:
                raise Failure("QEMU has closed its monitor")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, timeout=30, **arguments):
        """What it returns. "_" in the name of an argument stands for "-"."""
        words = {"execute": name,
                 "arguments": {key.replace("_", "-"): value for key, value in arguments.items()}}
        self.socket.sendall(json.dumps(words).encode())
        while True:
            message = self._message(timeout)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise Failure(f"QEMU refuses {name}: {message['error']['desc']}")
            elif "return" in message:
                return message["return"]

    def event(self, name, timeout, **data):
        """Wait for an event that says this, and drop those before it. Else a Failure."""
        end = time.monotonic() + timeout
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise Failure(f"QEMU has not sent {name} within {timeout} s")
            message = self._message(left)
            if "event" in message:
                self.events.append(message)


class Machine:
    """A guest: start it, read its console, look at its memory from the host.

    memory     MiB of the guest
    program    what init runs, with its arguments
    kernel     the NAME in build/kernel (or build/kernel-BASE) to boot
    reporting  the device's free-page-reporting property
    device     more properties of the device, "name=value"
    trace      a file for QEMU's trace, or None
    events     what is traced: without more, the discarded ranges
    extra      more arguments of QEMU, before the device's: drives, ports
    qmp        whether qmp() and qmp_event() are to be had
    reboot     whether a guest that reboots boots again; else QEMU ends then
    arch       one of ARCHES
    initrd     the guest's file system, in build/, if not the usual one
    """

    no_reboot = "-no-reboot"

    def __init__(self, memory=2048, program=(), kernel="ours", reporting=True,
                 device=(), append=(), cpus=2, trace=None, log=None,
                 events=("ram_block_discard_range",), extra=(), qmp=False, reboot=False,
                 arch="x86", initrd=None):
        self.memory = memory
        self.kernel = os.path.join(KERNELS, kernel)
        self.log = log
        self.lines = []
        self.program = program
        self.start = None
        self._new_line = threading.Condition()
        self.command = self._command(memory, program, kernel, reporting,
                                     device, append, cpus, extra, arch, initrd)
        self.trace = trace
        if trace:
            for event in events:
                self.command += ["-trace", event]
            self.command += ["-D", trace, "-msg", "timestamp=on"]
        if not reboot and self.no_reboot:
            self.command.append(self.no_reboot)
        self.monitor = Monitor() if qmp else None
        self.pass_fds = ()
        if self.monitor:
            self.command += self.monitor.arguments
            self.pass_fds = (self.monitor.far.fileno(),)
        self.environment = None
        self.process = None

    def _command(self, memory, program, kernel, reporting, device, append, cpus, extra, arch, initrd):
        program_name, package, kind, cpu, console, boot, programs = ARCHES[arch]
        qemu = shutil.which(program_name)
        if not qemu:
            raise Failure(f"{program_name} is missing (Debian: {package})")
        image = os.path.join(KERNELS, kernel, boot)
        initrd = os.path.join(BUILD, initrd or programs)
        for part in (image, initrd):
            if not os.path.exists(part):
                raise Failure(f"{part} is missing; run: make kernel FLAVOUR={kernel}{OF}")
        accel = (arch == "x86" and os.environ.get("ACCEL")) or "tcg"
        balloon = ["virtio-balloon-pci",
                   "free-page-reporting=" + ("on" if reporting else "off"), *device]
        # A suite that is built in has boots of its own: see kunit_suite().
        words = ["console=" + console, "panic=-1", "oops=panic", "kunit.enable=0", *append,
                 "run=" + ",".join(program)]
        return [
            qemu, "-nodefaults", "-no-user-config", "-display", "none",
            "-machine", kind, "-accel", accel,
            "-cpu", "host" if accel == "kvm" else cpu,
            "-smp", str(cpus), "-m", str(memory),
            "-kernel", image, "-initrd", initrd, "-append", " ".join(words),
            "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
            *extra, "-device", ",".join(balloon),
        ]

    def __enter__(self):
        # The guest and QEMU itself, and room for the host to go on working.
        need = self.memory + 512
        if available_mib() < need:
            raise Failure(f"the host has {available_mib()} MiB of memory available, "
                          f"a guest of {self.memory} MiB needs {need}; say MEM= and TAKE=")
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, preexec_fn=die_with_parent,
            start_new_session=True, env=self.environment, pass_fds=self.pass_fds)
        self.start = time.monotonic()
        threading.Thread(target=self._read, daemon=True).start()
        if self.monitor:
            try:
                self.monitor.start()
            except Failure as failure:
                self.__exit__()
                raise Failure(f"{failure}; its last lines:\n{self.tail()}") from failure
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _read(self):
        log = open(self.log, "w", encoding="utf-8") if self.log else None
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            with self._new_line:
                self.lines.append((self.now(), line))
                self._new_line.notify_all()
            if log:
                log.write(line + "\n")
                log.flush()
        with self._new_line:
            self._new_line.notify_all()
        if log:
            log.close()

    def qmp(self, name, **arguments):
        """A command to QEMU's monitor: what it returns. A Failure if QEMU refuses."""
        return self.monitor.command(name, **arguments)

    def qmp_event(self, name, timeout, **data):
        """Wait until QEMU's monitor sends this event, with this among its data."""
        return self.monitor.event(name, timeout, **data)

    def now(self):
        """Seconds since the machine was started."""
        return time.monotonic() - self.start

    def rss(self):
        """The host's memory of the machine in MiB, or None when it has ended."""
        try:
            with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
                pages = int(statm.read().split()[1])
        except (OSError, IndexError):
            return None
        return pages * PAGE / MIB or None

    def ram(self):
        """What of the guest's own memory is on the host, in MiB: rss() without QEMU itself.

        QEMU's own grows with what it emulates, and more than what it is to be compared with.
        """
        size = self.memory * MIB
        found = None
        with open(f"/proc/{self.process.pid}/smaps", encoding="ascii") as smaps:
            for line in smaps:
                area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-", line)
                if area:
                    found = int(area[2], 16) - int(area[1], 16) == size
                elif found and line.startswith("Rss:"):
                    return int(line.split()[1]) / 1024
        raise Failure(f"QEMU has no memory of {self.memory} MiB for its guest")

    def when(self, text, since=0):
        """When the guest said this, or None; what it said before line number since is left out."""
        wanted = "guest: " + text
        for moment, line in self.lines[since:]:
            if line.startswith(wanted):
                return moment
        return None

    def says(self, text):
        """Has this been on the console?"""
        return any(text in line for _, line in list(self.lines))

    def running(self):
        return self.process.poll() is None

    def wait_for(self, text, timeout, since=0):
        """Wait until the guest says this; when it did. A Failure if it does not."""
        end = time.monotonic() + timeout
        with self._new_line:
            while True:
                moment = self.when(text, since)
                if moment is not None:
                    return moment
                left = end - time.monotonic()
                if left <= 0 or not self.running():
                    break
                self._new_line.wait(min(left, 0.5))
        what = "did not say" if self.running() else "ended before it said"
        raise Failure(f"the guest {what} '{text}' within {timeout} s; "
                      "its last lines:\n" + self.tail())

    def tell(self, words):
        """Say this to the program on the console; the number of the line that may answer it."""
        since = len(self.lines)
        self.process.stdin.write(words.encode() + b"\n")
        self.process.stdin.flush()
        return since

    def answer(self, since, timeout):
        """What the program /obey answers. A Failure if it does not, or says no."""
        end = time.monotonic() + timeout
        with self._new_line:
            while True:
                for _, line in self.lines[since:]:
                    if line.startswith("guest: ok"):
                        return line.removeprefix("guest: ok").strip()
                    if line.startswith("guest: no:"):
                        raise Failure("the guest could not: " + line)
                left = end - time.monotonic()
                if left <= 0 or not self.running():
                    break
                self._new_line.wait(min(left, 0.5))
        raise Failure(f"the guest did not answer within {timeout} s; its last lines:\n"
                      + self.tail())

    def ask(self, words, timeout=30):
        """Have the program /obey do this: what it answers."""
        return self.answer(self.tell(words), timeout)

    def watch(self, until, each=None):
        """Samples (seconds, MiB) of the host's memory until until(samples) holds.

        A Failure if the machine ends, or its program does not do its work.
        """
        samples = []
        while not samples or not until(samples):
            rss = self.rss()
            if rss is None or not self.running():
                raise Failure("the guest ended early; its last lines:\n" + self.tail())
            if self.when("exit") is not None and self.when("exit 0") is None:
                raise Failure("the guest's program failed:\n" + self.tail(5))
            samples.append((self.now(), rss))
            if each:
                each(samples)
            time.sleep(SAMPLE)
        return samples

    def reports(self, within):
        """Wait until something more is reported than was until now."""
        def count():
            with open(self.trace, encoding="ascii", errors="replace") as lines:
                return sum("ram_block_discard_range" in line for line in lines)
        before, end = count(), self.now() + within
        while count() <= before:
            if self.now() > end or not self.running():
                raise Failure(f"nothing was reported for {within} s; the last lines:\n"
                              + self.tail())
            time.sleep(SAMPLE)

    def falls(self, bound, within):
        """Wait until at most bound MiB of the guest's memory are on the host: what it is then."""
        end = self.now() + within
        while self.running():
            left = self.ram()
            if left <= bound:
                return left
            if self.now() > end:
                raise Failure(f"{left:.0f} MiB of the guest's memory stay on the host after "
                              f"{within} s, not {bound} or less: what is freed is not reported"
                              + self._what_is_reported())
            time.sleep(SAMPLE)
        raise Failure("the guest ended early; its last lines:\n" + self.tail())

    def _what_is_reported(self):
        """What the guest itself says of it, if it can be asked: where a report got stuck."""
        if not self.program or self.program[0] != "/obey":
            return ""
        try:
            since = len(self.lines)
            unreported = self.ask("get /sys/kernel/mm/page_reporting/unreported")
            free = self.ask("free")
            self.ask("show /proc/vmstat")
        except Failure as failure:
            return f"; {failure}"
        counted = [line.split("| ")[1] for _, line in self.lines[since:] if "| page_reporting_" in line]
        return (f"; free are {free} MiB, unreported blocks of order 0 to 10: {unreported}; "
                + ", ".join(counted))

    def tail(self, count=15):
        """The last lines; before them the kernel's first complaint, if it is none of these."""
        lines = [line for _, line in list(self.lines)]
        complaints = faults(lines)
        first = lines.index(complaints[0]) if complaints else len(lines)
        shown, rest = lines[-count:], lines[:-count]
        if first < len(rest):
            shown = [*rest[first:first + COMPLAINT], "[...]", *shown]
        return "\n".join("    " + line for line in shown + self.processors())

    def processors(self):
        """Where the processors are, if QEMU can be asked: one that sleeps, or turns in a loop."""
        if not self.monitor or not self.running():
            return []
        try:
            state = self.qmp("human-monitor-command", command_line="info registers -a")
        except (Failure, OSError):
            return []
        return [line.strip() for line in state.splitlines() if re.match(r"CPU#|[RE]IP=", line)]

    def races(self):
        """KCSAN's reports: those that concern the series, and those of the rest of the kernel."""
        found = list(kcsan.races([line for _, line in list(self.lines)]))
        if not found:
            return {}, {}
        code = kcsan.Code(self.kernel)
        return ({i: race for i, race in found if code.concerns(race)},
                {i: race for i, race in found if not code.concerns(race)})

    def splats(self):
        """Console lines that are a fault of the kernel."""
        lines = [line for _, line in list(self.lines)]
        _, others = self.races()
        return faults(["" if i in others else line for i, line in enumerate(lines)])

    def no_splats(self):
        """A Failure if the kernel complained."""
        if self.splats():
            raise Failure("the guest's kernel complains: " + "; ".join(self.splats()[:5]))


class Uml(Machine):
    """A guest under User-mode Linux: its memory is a file of the host, its console is ours.

    The arguments are those of a Machine; one for QEMU alone has no effect. beside is a
    file descriptor that the guest has as its second console, /dev/tty1, or None.
    """

    no_reboot = "noreboot"

    def __init__(self, *arguments, beside=None, **named):
        # For its mconsole; gone with this object at the latest.
        self.temporary = tempfile.TemporaryDirectory(prefix="uml-")
        self.file = None
        named.setdefault("kernel", "ours-um")
        super().__init__(*arguments, **named)
        self.environment = dict(os.environ, TMPDIR=self._room())
        if beside is not None:
            self.command.append(f"con1=null,fd:{beside}")
            self.pass_fds = (beside,)

    def _room(self):
        """Where its memory is to be: a tmpfs, if that has room for it, or a disk."""
        for folder in (os.environ.get("TMPDIR"), "/dev/shm", BUILD):
            try:
                stat = os.statvfs(folder) if folder else None
            except OSError:
                continue
            if stat and stat.f_bavail * stat.f_frsize >= self.memory * MIB:
                return folder
        raise Failure(f"neither /dev/shm nor {BUILD} has room for {self.memory} MiB; "
                      "say MEM= and TAKE=, or TMPDIR=")

    def _command(self, memory, program, kernel, reporting, device, append, cpus, extra, arch, initrd):
        image = os.path.join(KERNELS, kernel, "linux")
        initrd = os.path.join(BUILD, initrd or "initramfs.cpio")
        for part in (image, initrd):
            if not os.path.exists(part):
                raise Failure(f"{part} is missing; run: make demo UML=1{OF}")
        words = ["panic=-1", "oops=panic", *append]
        if not reporting:
            words.append("uml_page_reporting=off")
        return [image, f"mem={memory}M", "con=null", "con0=null,fd:1", f"initrd={initrd}",
                f"uml_dir={self.temporary.name}", f"run={','.join(program)}", *words]

    def __exit__(self, *exc):
        """All of its processes: those of the guest's programs are the host's too."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.temporary.cleanup()

    def _find(self):
        """The file that is its memory: it has no name, and is as large as that at least."""
        folder = f"/proc/{self.process.pid}/fd"
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            try:
                if os.readlink(path).endswith("(deleted)") and os.stat(path).st_size >= self.memory * MIB:
                    return path
            except OSError:
                continue
        return None

    def rss(self):
        """The blocks of the file that is its memory in MiB, or None when it has ended."""
        try:
            self.file = self.file or self._find()
            # Before it has one, it takes next to nothing.
            return os.stat(self.file).st_blocks * 512 / MIB if self.file else 0.1
        except OSError:
            return None

    ram = rss

    def number(self, pattern):
        """The last number that the guest said in such a line."""
        for _, line in reversed(list(self.lines)):
            found = re.search("^guest: " + pattern, line)
            if found:
                return int(found[1])
        raise Failure(f"the guest did not say '{pattern}'")


def run_check(check, kernels=(("ours",),), initramfs=()):
    """A check on a guest: builds what it boots, prints the line that it returns.

    kernels: what bin/kernel is asked for, as its arguments; initramfs: those of bin/initramfs.
    """
    name = os.path.basename(os.path.dirname(os.path.abspath(sys.argv[0])))
    for command in (*(("kernel", *kernel) for kernel in kernels), ("initramfs", *initramfs)):
        if subprocess.run([os.path.join(TOP, "bin", command[0]), *command[1:]], check=False).returncode:
            sys.exit(f"{name}: bin/{command[0]} failed")
    # As Ctrl-C: what the guest had on the host is cleaned up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print(check())
    except Failure as failure:
        sys.exit(f"{name}: {failure}")


def kunit_suite(kernel, append=(), timeout=240, cpus=2):
    """All tests of both suites pass in this kernel, none is skipped: how many.

    They have the allocator for themselves, so the guest has no device that reports.
    """
    suites = {}
    for suite in ("page_reporting", "page_reporting_policy"):
        with open(os.path.join(TOP, f"tree/mm/tests/{suite}_kunit.c"), encoding="ascii") as source:
            suites[suite] = len(re.findall(r"\bKUNIT_CASE(?:_SLOW)?\(", source.read()))
    machine = Machine(memory=1024, program=("/take", "16", "0"), kernel=kernel, reporting=False,
                      append=("kunit.enable=1", *append), cpus=cpus, log=log_of(f"kunit.{kernel}.console"))
    with machine:
        machine.wait_for("exit 0", timeout)
    machine.no_splats()
    for suite, tests in suites.items():
        wanted = f"# {suite}: pass:{tests} fail:0 skip:0 total:{tests}"
        if not machine.says(wanted):
            failed = [line for _, line in machine.lines if "not ok" in line or "SKIP" in line]
            raise Failure(f"the kernel did not say '{wanted}': {'; '.join(failed[:5])}")
    tests = sum(suites.values())
    progress(f"{tests} tests of the suites {' and '.join(suites)} passed on {cpus} CPUs")
    return tests


def log_of(name):
    """Where a check leaves what it saw."""
    return os.path.join(BUILD, "check", name)
