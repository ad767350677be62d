// SPDX-License-Identifier: GPL-2.0
/*
 * latency MODULE ORDER COUNT TIME: the longest time with interrupts off while free blocks
 * are reported and the guest is idle otherwise. The module takes COUNT blocks and frees
 * every other of them. Then the kernel's tracer says what was longest in the time in
 * which passes run, and where.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "../../guest/put.h"
#include "module.h"
#include "settle.h"

#define TRACING	"/sys/kernel/tracing/"

static int show(const char *path, int lines)
{
	FILE *file = fopen(path, "r");
	char line[256];

	if (!file)
		return -1;
	while (lines-- && fgets(line, sizeof(line), file))
		printf("guest: | %s", line);
	return fclose(file);
}

int main(int argc, char **argv)
{
	char parameters[64];
	int err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 5) {
		printf("guest: usage: latency MODULE ORDER COUNT TIME\n");
		return 2;
	}
	if (mount("tracefs", TRACING, "tracefs", 0, NULL) && errno != EBUSY) {
		perror("guest: tracefs");
		return 1;
	}
	snprintf(parameters, sizeof(parameters), "order=%s count=%s", argv[2], argv[3]);
	err = load(argv[1], parameters);
	if (err) {
		printf("guest: %s: %s\n", argv[1], strerror(err));
		return 1;
	}
	settle(atoi(argv[4]));

	/* Freeing them is not what is looked at; the next pass is two seconds away. */
	if (put("/sys/module/blocks/parameters/free", "1") ||
	    put(TRACING "current_tracer", "irqsoff") || put(TRACING "tracing_max_latency", "0")) {
		perror("guest: irqsoff");
		return 1;
	}
	sleep(SETTLE);
	put(TRACING "tracing_on", "0");
	show(TRACING "tracing_max_latency", 1);
	show(TRACING "trace", 40);
	return 0;
}
