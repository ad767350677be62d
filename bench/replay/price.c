// SPDX-License-Identifier: GPL-2.0
/*
 * What a refault costs a host: processor time to fault in a GiB of anonymous memory, in huge
 * pages and in small ones. A host that has so many GiB for each processor pays as much for
 * that as for holding the GiB for so many seconds: that is the price of page_reporting_delay_ms.
 *
 * gcc -O2 -o /tmp/price bench/replay/price.c && /tmp/price [GIB_FOR_EACH_PROCESSOR]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define GIB	(1UL << 30)

static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Seconds of a processor, the least of three times. */
static double fault(int advice)
{
	double least = 1e9;
	int i;

	for (i = 0; i < 3; i++) {
		unsigned long at;
		double begin;
		char *memory = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (memory == MAP_FAILED || madvise(memory, 2 * GIB, advice)) {
			perror("price");
			exit(1);
		}
		begin = cpu();
		/* From where huge pages can begin */
		for (at = -(unsigned long)memory % (2UL << 20); at < GIB; at += 4096)
			*(volatile char *)(memory + at) = 1;
		begin = cpu() - begin;
		munmap(memory, 2 * GIB);
		if (begin < least)
			least = begin;
	}

	return least;
}

int main(int argc, char **argv)
{
	double gib = argc > 1 ? atof(argv[1]) : 4, huge, small;

	if (gib <= 0) {
		fprintf(stderr, "price: how many GiB has the host for each processor?\n");
		return 1;
	}
	huge = fault(MADV_HUGEPAGE);
	small = fault(MADV_NOHUGEPAGE);
	printf("pages of 2 MiB: %.2f s of a processor for a GiB, or %.1f GiB s\n", huge, huge * gib);
	printf("pages of 4 KiB: %.2f s of a processor for a GiB, or %.1f GiB s\n", small, small * gib);
	return 0;
}
