#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
# selftests [ARGUMENT...]: in the guest, runs what `make install` of the kselftests
# has left in /kselftest, by the script that comes with it. What that says goes to
# the second serial port, where the kernel's messages do not get between.

mkdir -p /usr/bin /usr/sbin /sbin
/bin/busybox --install -s
export PATH=/usr/bin:/bin:/usr/sbin:/sbin
mount -t devtmpfs devtmpfs /dev
ln -s /proc/self/fd/1 /dev/stdout

# The script calls coreutils' timeout(1) with an option that busybox's has not.
# What it wants is that the test stays in the foreground, as busybox leaves it.
rm /usr/bin/timeout
cat >/usr/bin/timeout <<-END
	#!/bin/sh
	[ "\$1" != --foreground ] || shift
	exec busybox timeout "\$@"
END
chmod +x /usr/bin/timeout

exec >/dev/ttyS1 2>&1
exec /kselftest/run_kselftest.sh "$@"
