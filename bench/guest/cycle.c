// SPDX-License-Identifier: GPL-2.0
/*
 * cycle MIB HOLD ROUNDS IDLE...: takes MIB of memory, holds it for HOLD ms, frees it
 * and is idle for IDLE ms; ROUNDS times, with one IDLE after the other if there are
 * several. It says when it begins and ends to free, and before that and after each
 * round what it and the kernel's workers took of the CPU until then. populate= in the
 * environment is for User-mode Linux: see guest/take.c.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "../../guest/workers.h"

static void pause_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

static void say_used(const char *when)
{
	printf("guest: %s %llu %llu\n", when, (unsigned long long)cpu_time(CLOCK_PROCESS_CPUTIME_ID),
	       (unsigned long long)workers());
}

int main(int argc, char **argv)
{
	size_t size = (argc > 4 ? strtoul(argv[1], NULL, 10) : 0) << 20, i;
	size_t page = sysconf(_SC_PAGESIZE);
	int rounds = argc > 4 ? atoi(argv[3]) : 0, idles = argc - 4, round;
	int at_once = getenv("populate") ? MAP_POPULATE : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!size || rounds < 1) {
		printf("guest: usage: cycle MIB HOLD ROUNDS IDLE...\n");
		return 2;
	}
	for (round = 1; round <= rounds; round++) {
		char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | at_once, -1, 0);

		if (memory == MAP_FAILED) {
			perror("guest: mmap");
			return 1;
		}
		printf("guest: round %d\n", round);
		for (i = 0; i < size; i += page)
			memory[i] = 1;
		printf("guest: taken\n");
		pause_ms(atoi(argv[2]));
		say_used("before");
		printf("guest: free\n");
		munmap(memory, size);
		printf("guest: freed\n");
		pause_ms(atoi(argv[4 + (round - 1) % idles]));
		say_used("used");
	}
	return 0;
}
