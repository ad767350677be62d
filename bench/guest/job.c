// SPDX-License-Identifier: GPL-2.0
/*
 * job DEVICE JOBS IDLE TARGETS: a Debian root on DEVICE builds a C project, /src there,
 * with make -j JOBS, cleans it, and drops its caches; after each step it is idle for
 * IDLE seconds. It says when each step begins and ends, what CPU time it took, and what
 * the guest uses of its memory then, in pages of 4 KiB and in those of 2 MiB. Ten times
 * a second it says what time it is, and stops until the host has looked at it: a guest
 * that counts its time in instructions is idle for a minute in a moment of the host.
 *
 * If DEVICE is a folder, it is one of the host of a User-mode Linux: it stays as it is,
 * what is built lies in a tmpfs over it, and nobody stops.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../guest/put.h"
#include "../../guest/workers.h"

#define ROOT		"/debian"
#define HUGE_ORDER	9	/* 2 MiB */
#define ORDERS		11
#define TICK		100000	/* us */
#define PVPANIC_PCI	0x1b360011	/* vendor and device, docs/specs/pvpanic.rst of QEMU */
#define PVPANIC_PANICKED	1
/* What make clean does, without the hundreds of processes that first ask what to do */
#define CLEAN		"find . -name '*.[oa]' -o -name '.*.cmd' -o -name '*.order' | xargs rm"

static unsigned long long ms(void)
{
	return cpu_time(CLOCK_MONOTONIC) / 1000000;
}

/*
 * The register of QEMU's pvpanic-pci: with -action panic=pause, whoever writes to it
 * goes on when the host says so.
 */
static volatile unsigned char *pvpanic(void)
{
	char path[64];
	FILE *list;
	unsigned int where, id;

	if (mount("sysfs", "/sys", "sysfs", 0, NULL) && errno != EBUSY)
		return NULL;
	list = fopen("/proc/bus/pci/devices", "r");
	while (list && fscanf(list, "%4x%8x%*[^\n]", &where, &id) == 2) {
		void *memory;
		int fd;

		if (id != PVPANIC_PCI)
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/0000:%02x:%02x.%x/resource0",
			 where >> 8, where >> 3 & 0x1f, where & 7);
		fd = open(path, O_RDWR | O_SYNC);
		memory = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		fclose(list);
		return memory == MAP_FAILED ? NULL : memory;
	}
	return NULL;
}

static void tick(volatile unsigned char *stop)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		printf("guest: tick %llu\n", ms());
		*stop = PVPANIC_PANICKED;
		usleep(TICK);
	}
}

/* What all zones have and is not free; of huge pages, those that are not wholly free. */
static int say_left(const char *step)
{
	FILE *zones = fopen("/proc/zoneinfo", "r"), *lists = fopen("/proc/buddyinfo", "r");
	unsigned long managed = 0, pages, free4k = 0, free2m = 0;
	char line[512];

	if (!zones || !lists)
		return -1;
	while (fgets(line, sizeof(line), zones)) {
		if (sscanf(line, " managed %lu", &pages) == 1)
			managed += pages;
	}
	while (fgets(line, sizeof(line), lists)) {
		unsigned int order, count;
		char *at = strstr(line, "zone");
		int used = 0;

		if (!at || sscanf(at, "zone %*s%n", &used) < 0 || !used)
			return -1;
		for (order = 0, at += used; order < ORDERS && sscanf(at, "%u%n", &count, &used) == 1;
		     order++, at += used) {
			free4k += (unsigned long)count << order;
			if (order >= HUGE_ORDER)
				free2m += (unsigned long)count << order;
		}
		if (order != ORDERS)
			return -1;
	}
	fclose(zones);
	fclose(lists);
	printf("guest: left %s %lu %lu\n", step, (managed - free4k) / 256, (managed - free2m) / 256);
	return 0;
}

/* What the allocator had to do for it all. */
static void say_events(void)
{
	static const char * const events[] = {
		"pgfault", "thp_fault_alloc", "thp_fault_fallback", "compact_stall", "pgscan_direct",
	};
	FILE *file = fopen("/proc/vmstat", "r");
	char name[64], value[32];

	while (file && fscanf(file, "%63s %31s", name, value) == 2) {
		for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
			if (!strcmp(name, events[i]))
				printf("guest: event %s %s\n", name, value);
		}
	}
	if (file)
		fclose(file);
}

static uint64_t children(void)
{
	struct rusage use;

	getrusage(RUSAGE_CHILDREN, &use);
	return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000ull + use.ru_utime.tv_usec +
	       use.ru_stime.tv_usec;
}

/* Runs @command in the Debian root, waits until its end and for @idle seconds more. */
static int step(const char *name, const char *command, unsigned int idle)
{
	uint64_t cpu = children(), work = workers(), start = cpu_time(CLOCK_MONOTONIC);
	int status;
	pid_t pid;

	printf("guest: begin %s %llu\n", name, ms());
	pid = fork();
	if (!pid) {
		if (chroot(ROOT) || chdir("/src"))
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		printf("guest: %s failed: %d\n", command, pid < 0 ? errno : status);
		return -1;
	}
	start = cpu_time(CLOCK_MONOTONIC) - start;
	cpu = children() - cpu;
	printf("guest: end %s %llu\n", name, ms());
	sleep(idle);
	printf("guest: took %s wall %llu cpu %llu workers %llu\n", name, (unsigned long long)start,
	       (unsigned long long)cpu * 1000, (unsigned long long)(workers() - work));
	return say_left(name);
}

static int mount_device(const char *device)
{
	return mount(device, ROOT, "ext4", MS_NOATIME, NULL);
}

static int mount_folder(const char *folder)
{
	if (mount("none", ROOT, "hostfs", MS_RDONLY, folder) || mount("none", ROOT "/tmp", "tmpfs", 0, NULL))
		return -1;
	mkdir(ROOT "/tmp/src", 0755);
	mkdir(ROOT "/tmp/work", 0755);
	return mount("none", ROOT "/src", "overlay", 0, "lowerdir=" ROOT "/src,upperdir="
		     ROOT "/tmp/src,workdir=" ROOT "/tmp/work");
}

static int is_folder(const char *path)
{
	/* The host's, which cannot be seen from here: only devices are in /dev. */
	return strncmp(path, "/dev/", 5);
}

int main(int argc, char **argv)
{
	volatile unsigned char *stop = pvpanic();
	char build[512];
	unsigned int idle;
	pid_t ticker;
	int failed;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5) {
		printf("guest: usage: job DEVICE JOBS IDLE TARGETS\n");
		return 2;
	}
	idle = atoi(argv[3]);
	mkdir(ROOT, 0755);
	mkdir("/dev", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) ||
	    (is_folder(argv[1]) ? mount_folder(argv[1]) : mount_device(argv[1])) ||
	    mount("/proc", ROOT "/proc", NULL, MS_BIND, NULL) ||
	    mount("/dev", ROOT "/dev", NULL, MS_BIND, NULL)) {
		perror("guest: mount");
		return 1;
	}
	setenv("PATH", "/usr/bin:/bin", 1);
	/* The targets come with + between them. */
	snprintf(build, sizeof(build), "make -s -j%s %s", argv[2], argv[4]);
	for (char *at = build; *at; at++) {
		if (*at == '+')
			*at = ' ';
	}
	/*
	 * As on a machine that has built before, all files are in the page cache. Nobody
	 * waits for a disk later: in that time a guest that counts its time in
	 * instructions has none to do, and its time goes on to the next timer.
	 */
	if (!is_folder(argv[1]) && step("start", "find / -xdev -type f -exec cat {} + >/dev/null", idle))
		return 1;
	if (!stop && !is_folder(argv[1])) {
		printf("guest: there is no pvpanic-pci\n");
		return 1;
	}
	ticker = stop ? fork() : -1;
	if (!ticker)
		tick(stop);
	failed = step("build", build, idle) ||
		 step("clean", CLEAN, idle);
	if (!failed) {
		sync();
		failed = put("/proc/sys/vm/drop_caches", "3") || step("drop", ":", idle);
	}
	if (ticker > 0) {
		kill(ticker, SIGKILL);
		waitpid(ticker, NULL, 0);
	}
	printf("guest: no more ticks\n");
	say_events();
	return failed;
}
