// SPDX-License-Identifier: GPL-2.0
/*
 * take MIB [SECONDS]: takes memory as any program does, fills it, holds it for
 * SECONDS (2), sees that it still holds what was written, and frees it.
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

int main(int argc, char **argv)
{
	size_t page = sysconf(_SC_PAGESIZE), size, i;
	unsigned int seconds = argc > 2 ? atoi(argv[2]) : 2;
	volatile uint64_t *word;
	char *memory;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || atol(argv[1]) <= 0) {
		printf("guest: usage: take MIB [SECONDS]\n");
		return 2;
	}
	size = (size_t)atol(argv[1]) << 20;

	printf("guest: take %zu MiB\n", size >> 20);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		printf("guest: cannot take %zu MiB: %s\n", size >> 20, strerror(errno));
		return 1;
	}
	/* A word of each page is enough, and volatile keeps the compiler from leaving it out. */
	for (i = 0; i < size / page; i++) {
		word = (volatile uint64_t *)(memory + i * page);
		*word = pattern(i);
	}
	printf("guest: taken\n");
	sleep(seconds);

	for (i = 0; i < size / page; i++) {
		word = (volatile uint64_t *)(memory + i * page);
		if (*word != pattern(i)) {
			printf("guest: page %zu holds %llx\n", i, (unsigned long long)*word);
			return 1;
		}
	}
	munmap(memory, size);
	printf("guest: freed\n");
	return 0;
}
