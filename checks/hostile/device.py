# SPDX-License-Identifier: GPL-2.0
"""A balloon device for User-mode Linux that does to the guest what it is told to.

It is the back end of the vhost-user protocol: the guest connects to a socket, hands
over its memory as a file, and says where in it the queues are. The device takes what
the guest reports, looks whether it is well-formed, and answers: at once, late, wrongly
or never. A guest must live with all of that.

It also finds out whether the guest keeps its side: it fills what was reported with one
pattern when it takes it and sees that this is still there when it answers (nobody has
used the memory meanwhile), and leaves another pattern, by which it knows a block that
is reported again though nobody has used it.
"""

import mmap
import os
import select
import socket
import struct
import threading
import time

PAGE = 4096
VERSION_1 = 1 << 32
PROTOCOL_FEATURES = 1 << 30     # of vhost-user: there are the features below
PAGE_POISON = 1 << 4
REPORTING = 1 << 5
# Of vhost-user: a channel for requests of the device, a configuration space, and kicks
# and interrupts as messages. So the end of a connection is the end of all there is.
SLAVE_REQUESTS, CONFIG, IN_BAND = 1 << 5, 1 << 9, 1 << 14

# num_pages, actual, free_page_hint_cmd_id, poison_val: the balloon stays empty
CONFIG_SPACE = struct.pack("<4I", 0, 0, 0, 0)

VRING_DESC = struct.Struct("<QIHH")
NEXT, WRITE = 1, 2
HEADER = struct.Struct("<III")
FLAGS, REPLY = 1, 4             # version 1 of the protocol

# What is in a block that is with the device, and what in one that it has given back
HELD, GIVEN = b"\xe5", b"\xd7"
# What the kernel fills its free pages with (PAGE_POISON of include/linux/poison.h)
POISON = b"\xaa"


class Fault(Exception):
    """The guest has broken a rule of the protocol."""


class Memory:
    """The guest's memory, by the guest's addresses."""

    def __init__(self):
        self.regions = []

    def add(self, fd, address, size, offset):
        file = mmap.mmap(fd, size + offset)
        os.close(fd)
        self.regions.append((address, size, offset, file))

    def find(self, address, length):
        """The file that holds a range, and where in it."""
        for start, size, offset, file in self.regions:
            if start <= address and address + length <= start + size:
                return file, offset + address - start
        raise Fault(f"{length} bytes at {address:#x} are not in the guest's memory")

    def read(self, address, length):
        file, where = self.find(address, length)
        return file[where:where + length]

    def write(self, address, data):
        file, where = self.find(address, len(data))
        file[where:where + len(data)] = data

    def unpack(self, form, address):
        return struct.unpack(form, self.read(address, struct.calcsize(form)))

    def holds(self, address, length, byte):
        """Is a range filled with this byte? The first page mostly says no."""
        first = min(length, PAGE)
        return (self.read(address, first) == byte * first and
                (first == length or self.read(address, length) == byte * length))


class Queue:
    """A split virtqueue."""

    def __init__(self, memory, index):
        self.memory = memory
        self.index = index
        self.enabled = False
        self.size = self.desc = self.avail = self.used = 0
        self.taken = self.answered = 0

    def chain(self, head):
        """The (address, length) of a buffer that the device may write to."""
        ranges, flags = [], NEXT
        while flags & NEXT:
            if head >= self.size or len(ranges) == self.size:
                raise Fault(f"descriptor {head} of queue {self.index} is out of range or in a ring")
            address, length, flags, head = VRING_DESC.unpack(
                self.memory.read(self.desc + head * VRING_DESC.size, VRING_DESC.size))
            if flags & ~(NEXT | WRITE) or not flags & WRITE:
                raise Fault(f"a reported range has descriptor flags {flags:#x}")
            ranges.append((address, length))
        return ranges

    def take(self):
        """The next buffer as its head and ranges, or None."""
        if not self.enabled or not self.size:
            return None
        # The guest takes buffers back when it has reset the device, which User-mode Linux
        # does not tell the device: then there are fewer than were taken already.
        if not 0 < (self.memory.unpack("<H", self.avail + 2)[0] - self.taken) & 0xffff <= self.size:
            return None
        head, = self.memory.unpack("<H", self.avail + 4 + self.taken % self.size * 2)
        self.taken = (self.taken + 1) & 0xffff
        return head, self.chain(head)

    def answer(self, head):
        """Give a buffer back. Its entry is there before the index that tells of it."""
        entry = struct.pack("<II", head, 0)
        self.memory.write(self.used + 4 + self.answered % self.size * 8, entry)
        self.answered = (self.answered + 1) & 0xffff
        self.memory.write(self.used + 2, struct.pack("<H", self.answered))


class Batch:
    """What was reported with one buffer. Times are those of time.monotonic()."""

    def __init__(self, queue, head, ranges):
        self.queue, self.head, self.ranges = queue, head, ranges
        self.taken, self.answered = time.monotonic(), None
        self.bytes = sum(length for _, length in ranges)
        self.seconds = self.wrong_id = None     # see choose of the device


class Device(threading.Thread):
    """The device, as a thread.

    path       the socket that the guest connects to
    order      no reported range may be smaller than that
    features   offered beside VERSION_1 and REPORTING
    seconds    how late it answers; None: never. May be changed at any time.
    wrong_id   answers with this in place of the buffer's own number
    fill       fills what is reported, as the module's text says
    choose     called with each batch: returns how late it is answered, and the wrong
               number or None, in place of the two above
    keep       keeps all batches and what was reported twice, and not just their bytes

    What it has not answered when its queues are disabled it lets alone.
    """

    def __init__(self, path, order, features=0, seconds=0, wrong_id=None, fill=True,
                 choose=None, keep=True):
        super().__init__(daemon=True)
        self.order, self.seconds, self.wrong_id, self.fill = order, seconds, wrong_id, fill
        self.choose, self.keep = choose, keep
        self.bytes_reported = self.bytes_answered = 0
        self.offered = features | VERSION_1 | REPORTING | PROTOCOL_FEATURES
        self.features = 0
        self.faults = []        # what the guest has done wrong
        self.batches = []       # all that were reported
        self.pending = []       # those that are not answered
        self.again = []         # (when, address, length) of what was reported twice
        self.memory, self.queues, self.requests = Memory(), {}, None
        self.connection = None
        self.gone = False
        self._wake, self._woken = os.pipe()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self.start()

    # For the check

    def reported(self):
        return self.bytes_reported

    def answered(self):
        return self.bytes_answered

    def set_seconds(self, seconds):
        self.seconds = seconds
        self._poke()

    def vanish(self, all_of_it=True):
        """End the connection, or only the part of it by which the device speaks."""
        self.gone = "all" if all_of_it else "requests"
        self._poke()

    def _poke(self):
        os.write(self._woken, b".")

    # The thread

    def run(self):
        try:
            self.connection, _ = self._listener.accept()
            while self._step():
                pass
        except (OSError, Fault, struct.error, ValueError) as problem:
            # A machine that ends, or that we have left, ends the connection any way.
            if not self.gone and not isinstance(problem, ConnectionError):
                self.faults.append(f"{type(problem).__name__}: {problem}")
        finally:
            self._hang_up()

    def _step(self):
        due = [self._due(batch) for batch in self.pending if self._due(batch) is not None]
        wait = max(0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([self.connection, self._wake], [], [], wait)
        if self._wake in ready:
            os.read(self._wake, 64)
        if self.gone == "all":
            return False
        if self.gone:
            self._close_requests()
        if self.connection in ready and not self._message():
            return False
        self._answer_due()
        return True

    def _hang_up(self):
        self._close_requests()
        self._listener.close()
        if self.connection:
            self.connection.close()

    def _close_requests(self):
        if self.requests is not None:
            os.close(self.requests)
            self.requests = None

    # Reports

    def _due(self, batch):
        """When to answer it. A queue that is disabled is let alone: the guest may
        have given up what is in it, and use its memory for something else."""
        seconds = batch.seconds if self.choose else self.seconds
        if seconds is None or self.gone or not batch.queue.enabled:
            return None
        return batch.taken + seconds

    def _take_all(self, queue):
        if queue.index != self._reporting_queue():
            return
        buffer = queue.take()
        while buffer:
            batch = Batch(queue, *buffer)
            for address, length in batch.ranges:
                self._check(address, length)
                self._hold(address, length)
            if self.choose:
                batch.seconds, batch.wrong_id = self.choose(batch)
            self.bytes_reported += batch.bytes
            if self.keep:
                self.batches.append(batch)
            self.pending.append(batch)
            buffer = queue.take()

    @staticmethod
    def _reporting_queue():
        """Behind those to inflate and deflate: no others are offered."""
        return 2

    def _check(self, address, length):
        size = PAGE << self.order
        if length < size or length & (length - 1) or address % length:
            self.faults.append(f"a range of {length} bytes at {address:#x} is reported "
                               f"at order {self.order}")
        self.memory.find(address, length)
        for batch in self.pending:
            for other, size in batch.ranges:
                if address < other + size and other < address + length:
                    self.faults.append(f"{address:#x} is reported while the device has it")

    def _hold(self, address, length):
        if self.features & PAGE_POISON and not self.memory.holds(address, length, POISON):
            self.faults.append(f"{length} bytes at {address:#x} are reported, and do not hold "
                               "the poison that was agreed on")
        if not self.fill:
            return
        if self.keep and self.memory.holds(address, length, GIVEN):
            self.again.append((time.monotonic(), address, length))
        self.memory.write(address, HELD * length)

    def _give(self, address, length):
        if not self.memory.holds(address, length, HELD):
            self.faults.append(f"{length} bytes at {address:#x} were used "
                               "while the device had them")
        self.memory.write(address, GIVEN * length)

    def _answer_due(self):
        for batch in list(self.pending):
            due = self._due(batch)
            if due is not None and due <= time.monotonic():
                self._answer(batch)

    def _answer(self, batch):
        if self.fill:
            for address, length in batch.ranges:
                self._give(address, length)
        batch.answered = time.monotonic()
        self.bytes_answered += batch.bytes
        self.pending.remove(batch)
        wrong = batch.wrong_id if self.choose else self.wrong_id
        batch.queue.answer(batch.head if wrong is None else wrong)
        self._interrupt(batch.queue)

    def _interrupt(self, queue):
        if self.requests is not None:
            os.write(self.requests, HEADER.pack(4, FLAGS, 8) + struct.pack("<II", queue.index, 0))

    # Messages of the guest: numbers and forms are those of the protocol

    def _read(self, length):
        data = b""
        while len(data) < length:
            more = self.connection.recv(length - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def _message(self):
        header, fds, _, _ = socket.recv_fds(self.connection, HEADER.size, 8)
        if not header:
            return False
        header += self._read(HEADER.size - len(header))
        request, _, size = HEADER.unpack(header)
        handler = self.HANDLERS.get(request)
        if not handler:
            raise Fault(f"a message of unknown kind {request}")
        handler(self, request, self._read(size), fds)
        return True

    def _reply(self, request, data):
        self.connection.sendall(HEADER.pack(request, FLAGS | REPLY, len(data)) + data)

    def _queue(self, index):
        return self.queues.setdefault(index, Queue(self.memory, index))

    def _nothing(self, request, data, fds):
        pass

    def _get_features(self, request, data, fds):
        self._reply(request, struct.pack("<Q", self.offered))

    def _set_features(self, request, data, fds):
        self.features, = struct.unpack("<Q", data)

    def _get_protocol_features(self, request, data, fds):
        self._reply(request, struct.pack("<Q", SLAVE_REQUESTS | CONFIG | IN_BAND))

    def _set_requests(self, request, data, fds):
        self.requests, = fds

    def _set_memory(self, request, data, fds):
        # The driver has been bound again: it is the same memory.
        self.memory.regions.clear()
        for i, fd in enumerate(fds):
            address, size, _, offset = struct.unpack_from("<4Q", data, 8 + i * 32)
            self.memory.add(fd, address, size, offset)

    def _set_size(self, request, data, fds):
        index, size = struct.unpack("<II", data)
        self._queue(index).size = size

    def _set_base(self, request, data, fds):
        """A queue begins. What was in one of that number before will not be answered."""
        index, base = struct.unpack("<II", data)
        queue = self._queue(index)
        queue.taken = queue.answered = base
        self.pending = [batch for batch in self.pending if batch.queue is not queue]

    def _set_addresses(self, request, data, fds):
        index, _, desc, used, avail, _ = struct.unpack("<IIQQQQ", data)
        queue = self._queue(index)
        queue.desc, queue.used, queue.avail = desc, used, avail

    def _enable(self, request, data, fds):
        index, on = struct.unpack("<II", data)
        self._queue(index).enabled = bool(on)
        self._take_all(self._queue(index))

    def _kick(self, request, data, fds):
        self._take_all(self._queue(struct.unpack("<II", data)[0]))

    def _get_config(self, request, data, fds):
        offset, size, flags = struct.unpack_from("<III", data)
        space = CONFIG_SPACE[offset:offset + size].ljust(size, b"\0")
        self._reply(request, struct.pack("<III", offset, size, flags) + space)

    HANDLERS = {
        1: _get_features, 2: _set_features, 3: _nothing, 5: _set_memory, 8: _set_size,
        9: _set_addresses, 10: _set_base, 15: _get_protocol_features, 16: _nothing,
        18: _enable, 21: _set_requests, 24: _get_config, 25: _nothing, 35: _kick,
    }
