// SPDX-License-Identifier: GPL-2.0
/*
 * faults anon|file MIB ROUNDS TIMES: what a page costs that is faulted in and freed, in
 * the manner of page_fault1 and page_fault2 of will-it-scale: MIB of memory, or a private
 * mapping of a file of that size, is mapped, each page written to, and unmapped. ROUNDS
 * of that are measured, TIMES over.
 *
 * It is idle for a while before each, so that all that is free is reported, and a few
 * rounds are over before the next pass.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../guest/workers.h"
#include "settle.h"

/* Maps @size bytes of file @fd, or of no file, writes to each page, and unmaps them. */
static int fault(size_t size, size_t page, int fd)
{
	int flags = MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0);
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	size_t i;

	if (memory == MAP_FAILED)
		return -1;
	for (i = 0; i < size; i += page)
		memory[i] = 1;
	return munmap(memory, size);
}

static int measure(size_t size, size_t page, int fd, int rounds)
{
	size_t pages = size / page * rounds;
	uint64_t cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t wall = cpu_time(CLOCK_MONOTONIC), work = workers();

	while (rounds--) {
		if (fault(size, page, fd))
			return -1;
	}
	work = workers() - work;
	wall = cpu_time(CLOCK_MONOTONIC) - wall;
	cpu = cpu_time(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	printf("guest: pages %zu own %llu wall %llu workers %llu\n", pages, (unsigned long long)cpu,
	       (unsigned long long)wall, (unsigned long long)work);
	return 0;
}

int main(int argc, char **argv)
{
	size_t size = (argc == 5 ? strtoul(argv[2], NULL, 10) : 0) << 20, i;
	int rounds = argc == 5 ? atoi(argv[3]) : 0, times, fd = -1, round;
	size_t page = sysconf(_SC_PAGESIZE);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!size || rounds < 1) {
		printf("guest: usage: faults anon|file MIB ROUNDS TIMES\n");
		return 2;
	}
	if (!strcmp(argv[1], "file")) {
		fd = memfd_create("faults", 0);
		/* Its own pages are there before. */
		for (i = 0; fd >= 0 && i < size; i += page) {
			if (pwrite(fd, "x", 1, i) != 1)
				fd = -1;
		}
		if (fd < 0) {
			perror("guest: file");
			return 1;
		}
	}
	/* Page tables and the per-cpu lists are warm then. */
	for (round = 0; round < 2; round++) {
		if (fault(size, page, fd)) {
			perror("guest: mmap");
			return 1;
		}
	}
	for (times = atoi(argv[4]); times; times--) {
		settle(times);
		if (measure(size, page, fd, rounds))
			return 1;
	}
	return 0;
}
