// SPDX-License-Identifier: GPL-2.0
/*
 * loops MODULE BLOCKS TIMES: what it costs in the kernel to allocate and free a block of
 * each order: one at a time, and many before the first is freed; TIMES over. About so
 * many BLOCKS are used for each figure. It is idle for a while before each time, so that
 * all that is free is reported.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../guest/put.h"
#include "../../guest/workers.h"
#include "module.h"
#include "settle.h"

#define LOOPS	"/sys/module/loops/parameters/"
#define ORDERS	11
/* More than the per-cpu lists hold of single pages, and a fraction of a small guest. */
#define MOST	2048
#define PAGES	(32 << 10)

static int set(const char *name, unsigned int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), LOOPS "%s", name);
	snprintf(text, sizeof(text), "%u", value);
	return put(path, text);
}

/* ns for each block, or a negative error */
static double loop(unsigned int order, unsigned int batch, unsigned int blocks)
{
	unsigned int times = blocks / batch ?: 1;
	uint64_t start;
	int err;

	err = set("order", order) ?: set("batch", batch) ?: set("run", 1);
	start = cpu_time(CLOCK_PROCESS_CPUTIME_ID);
	err = err ?: set("run", times);
	return err ? -err : (double)(cpu_time(CLOCK_PROCESS_CPUTIME_ID) - start) / (times * batch);
}

static int measure(unsigned int blocks)
{
	uint64_t work = workers(), wall = cpu_time(CLOCK_MONOTONIC);
	unsigned int order;

	for (order = 0; order < ORDERS; order++) {
		unsigned int batch = PAGES >> order < MOST ? PAGES >> order : MOST;
		/* A large one takes longer: its pages are looked at one by one. */
		unsigned int some = blocks >> order / 2;
		double one = loop(order, 1, some), many = loop(order, batch, some);

		if (one < 0 || many < 0)
			return -1;
		printf("guest: order %u one %.3f many %.3f\n", order, one, many);
	}
	wall = cpu_time(CLOCK_MONOTONIC) - wall;
	printf("guest: wall %llu workers %llu\n", (unsigned long long)wall,
	       (unsigned long long)(workers() - work));
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int blocks = argc == 4 ? atoi(argv[2]) : 0, times;
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!blocks) {
		printf("guest: usage: loops MODULE BLOCKS TIMES\n");
		return 2;
	}
	err = load(argv[1], "");
	if (err) {
		printf("guest: %s: %s\n", argv[1], strerror(err));
		return 1;
	}
	for (times = atoi(argv[3]); times; times--) {
		settle(times);
		if (measure(blocks))
			return 1;
	}
	return 0;
}
