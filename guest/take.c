// SPDX-License-Identifier: GPL-2.0
/*
 * take MIB [SECONDS [ROUNDS [IDLE]]]: takes memory as any program does, fills it,
 * holds it for SECONDS (2), sees that it still holds what was written, and frees
 * it; ROUNDS times (1) with IDLE seconds between. With populate= in the environment
 * it has the kernel fault in all pages at once: under User-mode Linux, a fault of a
 * program takes a hundred times as long as the page.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What page number i is filled with: no two pages alike, none zero. */
static uint64_t pattern(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u;
}

/* Takes @size bytes, holds them, and frees them. 0, or -1 if that failed. */
static int take(size_t size, size_t page, unsigned int seconds)
{
	int at_once = getenv("populate") ? MAP_POPULATE : 0;
	volatile uint64_t *word;
	char *memory;
	size_t i;

	printf("guest: take %zu MiB\n", size >> 20);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | at_once, -1, 0);
	if (memory == MAP_FAILED) {
		printf("guest: cannot take %zu MiB: %s\n", size >> 20, strerror(errno));
		return -1;
	}
	/*
	 * To write a word of each page is enough to have it, and volatile keeps
	 * the compiler from leaving it out. The rest of it is zero: anything
	 * else has come from somewhere.
	 */
	for (i = 0; i < size / page; i++) {
		word = (volatile uint64_t *)(memory + i * page);
		*word = pattern(i);
		if (word[1]) {
			printf("guest: page %zu holds %llx when new\n", i, (unsigned long long)word[1]);
			return -1;
		}
	}
	printf("guest: taken\n");
	sleep(seconds);

	for (i = 0; i < size / page; i++) {
		word = (volatile uint64_t *)(memory + i * page);
		if (*word != pattern(i)) {
			printf("guest: page %zu holds %llx\n", i, (unsigned long long)*word);
			return -1;
		}
	}
	munmap(memory, size);
	printf("guest: freed\n");
	return 0;
}

int main(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	unsigned int seconds = argc > 2 ? atoi(argv[2]) : 2;
	int rounds = argc > 3 ? atoi(argv[3]) : 1;
	unsigned int idle = argc > 4 ? atoi(argv[4]) : 0;
	int round;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!mib) {
		printf("guest: usage: take MIB [SECONDS [ROUNDS [IDLE]]]\n");
		return 2;
	}
	for (round = 1; round <= rounds; round++) {
		if (round > 1)
			sleep(idle);
		printf("guest: round %d\n", round);
		if (take(mib << 20, sysconf(_SC_PAGESIZE), seconds))
			return 1;
	}
	return 0;
}
