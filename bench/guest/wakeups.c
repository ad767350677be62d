// SPDX-License-Identifier: GPL-2.0
/*
 * wakeups SETTLE SECONDS MIB CONTROL: what the kernel's workers are woken for in an
 * idle guest. It traces the start of each work, is idle for SETTLE seconds, and then
 * for SECONDS, which are what is measured. After that it takes and frees MIB and waits
 * for CONTROL seconds: a worker that reports has to be in the trace then, else the
 * trace is no instrument. It says when each part began, in the clock of the trace
 * (CLOCK_MONOTONIC), how many entries the trace has and has lost, and each entry.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "../../guest/put.h"

#define TRACING	"/sys/kernel/tracing/"

static void say(const char *what)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("guest: %s %ld.%06ld\n", what, (long)now.tv_sec, now.tv_nsec / 1000);
}

static int instrument(void)
{
	if (mount("tracefs", TRACING, "tracefs", 0, NULL) && errno != EBUSY)
		return -1;
	return put(TRACING "trace_clock", "mono") ||
	       put(TRACING "events/workqueue/workqueue_execute_start/enable", "1") ||
	       put(TRACING "tracing_on", "1");
}

static int use(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	memset(memory, 1, size);
	return munmap(memory, size);
}

/* The header, which says how many entries there are, and the entries. */
static int show(void)
{
	FILE *file = fopen(TRACING "trace", "r");
	char line[256];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "entries") || strstr(line, "workqueue_execute_start"))
			printf("guest: | %s", line);
	return fclose(file);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5) {
		printf("guest: usage: wakeups SETTLE SECONDS MIB CONTROL\n");
		return 2;
	}
	if (instrument()) {
		printf("guest: cannot trace works: %s\n", strerror(errno));
		return 1;
	}
	sleep(atoi(argv[1]));
	say("idle");
	sleep(atoi(argv[2]));
	say("control");
	if (use(strtoul(argv[3], NULL, 10) << 20)) {
		perror("guest: mmap");
		return 1;
	}
	sleep(atoi(argv[4]));
	say("end");
	put(TRACING "tracing_on", "0");
	return show() != 0;
}
