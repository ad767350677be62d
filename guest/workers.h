/* SPDX-License-Identifier: GPL-2.0 */
/* CPU time: with QEMU's -icount shift=0, a ns of it is an instruction. */
#ifndef WORKERS_H
#define WORKERS_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t cpu_time(clockid_t clock)
{
	struct timespec time;

	return clock_gettime(clock, &time) ? 0 : time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Of all the kernel's workers so far, in ns. */
static inline uint64_t workers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t sum = 0;

	while (proc && (entry = readdir(proc))) {
		char path[300], name[32] = "";
		clockid_t clock;
		FILE *comm;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (atoi(entry->d_name) <= 0 || !(comm = fopen(path, "r")))
			continue;
		if (fgets(name, sizeof(name), comm) && !strncmp(name, "kworker", 7) &&
		    !clock_getcpuclockid(atoi(entry->d_name), &clock))
			sum += cpu_time(clock);
		fclose(comm);
	}
	if (proc)
		closedir(proc);
	return sum;
}

#endif
