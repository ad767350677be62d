# SPDX-License-Identifier: GPL-2.0
"""The kselftests of page_reporting, built and run in a guest by the kernel's own means.

    build()                    once
    tap = run("ours-debug")    for each kernel; a Failure if a test did not pass
"""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "bin"))
from machine import BUILD, LINUX, MIB, TOP, Failure, Machine, discards, log_of  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(LINUX, "tools/testing/selftests")
INITRD = "selftests.cpio"
# What can be taken offline is movable, and nothing is without this.
APPEND = ("movablecore=256M", "sysctl.vm.oom_dump_tasks=0")
PLAIN = 900             # seconds for all programs in a kernel without debug options


def command(words, **more):
    """Run it; a Failure with its last lines if it fails."""
    ran = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False, **more)
    if ran.returncode:
        raise Failure(f"{' '.join(words[:4])}: exit {ran.returncode}:\n" + ran.stdout[-2000:])
    return ran.stdout


def read(path):
    """What a guest has written to its serial port."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().replace("\r", "")


def static(program):
    """The program's path, if it needs no library."""
    path = os.path.realpath(shutil.which(program) or "/nowhere")
    with open(path, "rb") as file:
        head = file.read(4096)
    if b"ld-linux" in head or b"ld.so" in head:
        raise Failure(f"{path} is not static (Debian: busybox-static)")
    return path


def build():
    """build/selftests.cpio: the guest's file system with the tests as they install."""
    command([os.path.join(TOP, "bin", "need"), "kernel", "guest", "check"])
    work, root = os.path.join(BUILD, "selftests"), os.path.join(BUILD, "selftests/root")
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(os.path.join(root, "bin"))
    said = command(["make", "-s", "-C", TESTS, "TARGETS=page_reporting", "O=" + work,
                    "KSFT_INSTALL_PATH=" + os.path.join(root, "kselftest"),
                    "USERCFLAGS=-Werror", "USERLDFLAGS=-static", "install"])
    listed = os.path.join(root, "kselftest", "kselftest-list.txt")
    if not os.path.exists(listed):
        raise Failure("the tests were not installed:\n" + said)
    shutil.copy(static("busybox"), os.path.join(root, "bin", "busybox"))
    shutil.copy(os.path.join(HERE, "guest.sh"), os.path.join(root, "selftests"))
    tests = command(["bash", "-c", "find . | LC_ALL=C sort | "
                     "cpio -o -H newc -R 0:0 --quiet > ../tests.cpio"], cwd=root)
    with open(os.path.join(BUILD, INITRD), "wb") as whole:
        # The kernel unpacks one archive after another.
        for part in ("initramfs.cpio", "selftests/tests.cpio"):
            with open(os.path.join(BUILD, part), "rb") as file:
                whole.write(file.read())
    return tests


class Tap:
    """What run_kselftest.sh said: each test of each program.

    passed   (program: test, what it said)
    skipped  program: test: why
    absent   program: why it did no test at all
    failed   program: test: why, and whatever else was not as planned
    """

    def __init__(self, text):
        self.passed, self.skipped, self.absent, self.failed = [], [], [], []
        self.program, self.programs, self.wanted = "?", 0, None
        self.planned = self.ran = 0
        self.said = []
        for line in text.splitlines():
            self._line(line)
        if self.programs != self.wanted:
            self.failed.append(f"{self.programs} programs ended of {self.wanted}: "
                               + "; ".join(self.said[-3:]))

    def _line(self, line):
        start = re.match(r"# selftests: page_reporting: (.*)", line)
        plan = re.match(r"(# )?1\.\.(\d+)", line)
        result = re.match(r"(# )?(not )?ok \d+ ?(.*)", line)
        if start:
            self.program, self.planned, self.ran, self.said = start[1], 0, 0, []
        elif plan and plan[1] and plan[2] != "0":
            self.planned = int(plan[2])
        elif plan and not plan[1]:
            self.wanted = int(plan[2])
        elif result and result[1]:
            self._test(result[2], result[3])
        elif result:
            self._program(result[2], result[3])
        elif not line.startswith("# TAP"):
            self.said.append(line.lstrip("# "))

    def _test(self, failed, name):
        """A test of a program. Its reasons came before it."""
        self.ran += 1
        said, self.said = "; ".join(self.said), []
        if failed:
            self.failed.append(f"{self.program}: {name}: {said}")
        elif name.startswith("# SKIP"):
            self.skipped.append(f"{self.program}: {name[7:]}: {said}")
        else:
            self.passed.append((f"{self.program}: {name}", said))

    def _program(self, failed, name):
        """The end of a program."""
        self.programs += 1
        said = "; ".join(self.said[-3:])
        if failed:
            self.failed.append(f"{name}: {said}")
        elif "# SKIP" in name:
            self.absent.append(f"{self.program}: {said}")
        elif self.ran != self.planned or not self.ran:
            self.failed.append(f"{self.program}: {self.ran} results of {self.planned} planned")


def boot(kernel, append=(), memory=1024, timeout=PLAIN, reporting=True, only=(), rounds=1,
         name="selftests"):
    """Boot this kernel and run the programs: the Tap, with .mib that was reported and .seconds.

    append   more of the kernel's command line, as KASAN_APPEND
    timeout  seconds for the boot, and for all tests; if more than PLAIN, for any one program
    only     these programs and no others
    rounds   how many times as long as usual
    name     of the files that are left in build/check/
    """
    trace, tap_file = log_of(name + ".trace"), log_of(name + ".tap")
    program = ["/selftests"]
    if timeout > PLAIN:
        # So long may each program take; theirs is the limit for a plain kernel.
        program += ["-o", str(timeout)]
    for test in only:
        program += ["-t", "page_reporting:" + test]
    if rounds > 1:
        append = (*append, f"PAGE_REPORTING_ROUNDS={rounds}")
    # The second port: the tests' words, with none of the kernel's between them
    extra = ("-chardev", f"file,id=tap,path={tap_file}", "-serial", "chardev:tap")
    os.makedirs(os.path.dirname(trace), exist_ok=True)
    machine = Machine(memory=memory, program=program, kernel=kernel, reporting=reporting,
                      trace=trace, append=(*APPEND, *append), log=log_of(name + ".console"),
                      extra=extra, initrd=INITRD)
    with machine:
        machine.wait_for("ready", timeout)
        try:
            machine.wait_for("exit 0", timeout)
        except Failure as failure:
            raise Failure(f"{kernel}: the tests did not end: {failure}\nand of the tests:\n    "
                          + "\n    ".join(read(tap_file).splitlines()[-8:])) from failure
        seconds = machine.now()
    machine.no_splats()
    tap = Tap(read(tap_file))
    tap.seconds = seconds
    tap.mib = sum(length for _, length in discards(trace)) / MIB
    return tap


def run(kernel="ours", skips=(), **how):
    """boot(), and a Failure if a test did not pass.

    skips    tests that may be skipped in this kernel, by a part of their name
    """
    tap = boot(kernel, **how)
    failed = tap.failed + tap.absent
    failed += [test for test in tap.skipped if not any(skip in test for skip in skips)]
    if failed:
        raise Failure(f"{kernel}: {len(failed)} tests or programs failed, or were skipped:\n    "
                      + "\n    ".join(failed))
    if tap.mib < how.get("memory", 1024):
        raise Failure(f"{kernel}: only {tap.mib:.0f} MiB were reported")
    return tap
