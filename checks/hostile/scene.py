# SPDX-License-Identifier: GPL-2.0
"""A guest under User-mode Linux together with a device of device.py."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "..", "bin")]
from device import Device  # noqa: E402
from machine import MIB, TOP, Failure, Uml, log_of  # noqa: E402

NAME = "page_reporting.page_reporting_"
DRIVER = "/sys/bus/virtio/drivers/virtio_balloon"
DEVICE = "/sys/bus/virtio/devices/virtio0"
UNBIND, BIND = f"write:{DRIVER}/unbind:virtio0", f"write:{DRIVER}/bind:virtio0"
MEM, LOAD = 256, 80     # MiB: beside the load there is room for a batch of large blocks
ORDER = 9               # that of a guest with huge pages; UML has none
# Seconds: when a task that waits is called hung, and how long one waits for it here.
# Whatever limit the driver has for its device has to be below the first.
HUNG, LIMIT = 12, 30
BOUND = 4 * MIB         # by how much free memory may differ with nothing lost
GIB = 1 << 30


class Balloon(Uml):
    """A guest whose balloon device is at a socket."""

    def _command(self, memory, program, kernel, reporting, device, append, *others):
        words = (f"uml_dir={os.path.dirname(device)}", f"virtio_uml.device={device}:5",
                 f"sysctl.kernel.hung_task_timeout_secs={HUNG}",
                 # Free pages in a CPU's own lists are not reported, and the load's could
                 # all be there.
                 "sysctl.vm.percpu_pagelist_high_fraction=1024", *append)
        return super()._command(memory, program, kernel, reporting, (), words, *others)


class Scene:
    """A guest and its device, from boot to power off."""

    def __init__(self, name, *steps, order=ORDER, delay=0, append=(), check="hostile", **behaviour):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="hostile-")
        path = os.path.join(self.folder, "balloon")
        self.device = Device(path, order, **behaviour)
        append = (f"{NAME}order={order}", f"{NAME}delay_ms={delay}", *append)
        self.guest = Balloon(memory=MEM, program=("/steps", *steps, "off"), kernel="ours-um",
                         device=path, append=append, log=log_of(f"{check}.{name}.console"))

    def __enter__(self):
        self.guest.__enter__()
        self.guest.wait_for("ready", 30)
        return self

    def __exit__(self, kind, value, trace):
        self.guest.__exit__()
        self.device.vanish()
        self.device.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait(self, text, seconds=LIMIT):
        """When the guest said this, which it must before it or its program ends."""
        end = self.guest.now() + seconds
        while self.guest.when(text) is None:
            over = not self.guest.running() or self.guest.when("exit") is not None
            if over:
                time.sleep(0.3)     # Its last lines may be on their way.
            if (over or self.guest.now() > end) and self.guest.when(text) is None:
                what = "ended, or its program, and" if over else f"within {seconds} s"
                raise Failure(f"the guest {what} did not say '{text}'" + self.seen())
            time.sleep(0.02)
        return self.guest.when(text)

    def end(self, expected=None):
        """The guest has done its steps and powers off, and nobody has a complaint."""
        self.wait("off")
        ended = time.monotonic() + LIMIT
        while self.guest.running():
            if time.monotonic() > ended:
                raise Failure(f"the guest did not power off within {LIMIT} s" + self.seen())
            time.sleep(0.02)
        self.clean(expected)

    def seen(self):
        """What the guest said last, and what is wrong with it, for a Failure."""
        lines = [line for _, line in list(self.guest.lines) if line.startswith("guest: ")][-3:]
        return "".join("\n        " + line for line in
                       lines + self.guest.splats()[:3] + self.device.faults[:3])

    def clean(self, expected=None):
        """Neither the kernel nor the device has a complaint that is not expected."""
        splats = [line for line in self.guest.splats() if not expected or not expected.search(line)]
        if splats:
            raise Failure("the guest's kernel complains: " + "; ".join(splats[:5]))
        if self.device.faults:
            raise Failure(f"{len(self.device.faults)} faults, the device says: " +
                          "; ".join(self.device.faults[:3]))

    def ended(self, action, result="ok"):
        """When a write, unbind for one, was begun and ended, as time.monotonic()."""
        file, value = action.split(":")[1:3]
        done = self.wait(f"written {file} {value}")
        line = next(line for _, line in self.guest.lines
                    if line.startswith(f"guest: written {file} {value}"))
        if f"{value}: {result} after" not in line:
            raise Failure(f"expected '{result}', but: {line}")
        begun = self.guest.when(f"write {file} {value}")
        return begun + self.guest.start, done + self.guest.start

    def verified(self):
        """GiB that the load has verified, which must be more than its memory once."""
        found = self.guest.number(r"verified (\d+) KiB") << 10
        if found < LOAD * MIB:
            raise Failure(f"the load has verified only {found / MIB:.0f} MiB")
        return found / GIB

    def free(self):
        """What was free at each look, in bytes."""
        return [int(line.split()[2]) << 10 for _, line in list(self.guest.lines)
                if line.startswith("guest: free ")]

    def pending(self):
        """Wait until a batch is with the device."""
        end = time.monotonic() + LIMIT
        while not self.device.pending:
            if time.monotonic() > end:
                raise Failure(f"nothing was reported within {LIMIT} s")
            time.sleep(0.01)
        return self.device.pending[0]

    def nothing_lost(self, batch):
        """The last look finds what was with the device at the one before."""
        before, after = self.free()[-2:]
        if after < before + batch.bytes - BOUND:
            raise Failure(f"{batch.bytes / MIB:.1f} MiB were with the device and "
                          f"{before / MIB:.1f} MiB free; now {after / MIB:.1f} MiB are: lost")


def build(check):
    """What a scene boots."""
    for command in (["kernel", "ours", "--um"], ["initramfs"]):
        program = os.path.join(TOP, "bin", command[0])
        if subprocess.run([program, *command[1:]], check=False).returncode:
            sys.exit(f"{check}: bin/{command[0]} failed")
