// SPDX-License-Identifier: GPL-2.0
/*
 * fragment MIB: what passes over the free lists cost in a guest whose memory is in
 * pieces. It takes MIB in single pages and frees every third of them, chosen at
 * random, then the next third, and so on; after each third it waits until all
 * passes are done and says how much CPU time the kernel's workers took for them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "workers.h"

#define PAGE	4096
#define THIRDS	3
#define WAIT	6	/* seconds, in which the passes must be done */

/* Each page that is freed on its own is a hole between two mappings. */
static int allow_holes(void)
{
	FILE *most = fopen("/proc/sys/vm/max_map_count", "w");

	return most && fputs("10000000", most) > 0 && !fclose(most);
}

int main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 0) << 20, i;
	uint64_t before;
	char *memory;
	int third;

	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!size || memory == MAP_FAILED || !allow_holes()) {
		printf("guest: usage: fragment MIB\n");
		return 2;
	}
	for (i = 0; i < size; i += PAGE)
		memory[i] = 1;
	sleep(WAIT);

	for (third = 0; third < THIRDS; third++) {
		before = workers();
		srand(1);
		for (i = 0; i < size; i += PAGE) {
			if (rand() / 7 % THIRDS == third)
				munmap(memory + i, PAGE);
		}
		sleep(WAIT);
		printf("guest: third %d: %llu ns of workers\n", third + 1,
		       (unsigned long long)(workers() - before));
	}
	return 0;
}
