// SPDX-License-Identifier: GPL-2.0
/*
 * parallel PROCESSES MIB ROUNDS TIMES: page_fault1 of will-it-scale in as many processes
 * at once: MIB of memory is mapped by each, each page written to, and unmapped. ROUNDS
 * of that are measured by the clock, TIMES over, from the first to begin to the last to
 * end.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../guest/workers.h"

static void fault(size_t size, size_t page, int rounds)
{
	volatile char *memory;
	size_t i;

	while (rounds--) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			_exit(1);
		for (i = 0; i < size; i += page)
			memory[i] = 1;
		munmap((void *)memory, size);
	}
	_exit(0);
}

/* Nanoseconds until all processes are done, or 0 if one of them has failed. */
static uint64_t together(int processes, size_t size, size_t page, int rounds)
{
	uint64_t begin = cpu_time(CLOCK_MONOTONIC);
	int i, status, right = 1;

	for (i = 0; i < processes; i++) {
		switch (fork()) {
		case -1:
			right = 0;
			break;
		case 0:
			fault(size, page, rounds);
		}
	}
	while (wait(&status) > 0)
		right &= !status;
	return right ? cpu_time(CLOCK_MONOTONIC) - begin : 0;
}

int main(int argc, char **argv)
{
	int processes = argc == 5 ? atoi(argv[1]) : 0, rounds = argc == 5 ? atoi(argv[3]) : 0, times;
	size_t size = (argc == 5 ? strtoul(argv[2], NULL, 10) : 0) << 20;
	size_t page = sysconf(_SC_PAGESIZE);
	uint64_t wall;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (processes < 1 || !size || rounds < 1) {
		printf("guest: usage: parallel PROCESSES MIB ROUNDS TIMES\n");
		return 2;
	}
	/* All that is free at the start is reported then. */
	sleep(10);
	for (times = atoi(argv[4]); times > 0; times--) {
		wall = together(processes, size, page, rounds);
		if (!wall)
			return 1;
		printf("guest: pages %zu wall %llu\n", size / page * rounds * processes,
		       (unsigned long long)wall);
	}
	return 0;
}
