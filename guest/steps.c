// SPDX-License-Identifier: GPL-2.0
/*
 * steps STEP...: does one thing after another, and says what came of each.
 *
 *   load:MIB                  a process of its own takes and frees memory from now
 *                             on, up to MIB, and sees that it holds what was written
 *   stop                      ends the load; how much it has verified
 *   until:GIB                 the steps since the load again, until it has verified so much
 *   sleep:MS
 *   free                      how much memory is free
 *   write:FILE:VALUE[:TIMES]  as a shell would do it; how it went and how long it took
 *   interrupt:FILE:VALUE:MS   the same by a process that is interrupted after that time
 *   exists:FILE
 *   get:FILE                  its first line
 *   off                       powers the machine off
 *
 * A write that fails, a file that is not there, are answers and not the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "put.h"

#define PAGE		4096
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))
#define CHUNKS		64

/* What the load and the program that has started it both see */
struct shared {
	volatile int end;
	volatile uint64_t verified;
};

struct chunk {
	volatile uint64_t *memory;
	size_t pages;
	uint64_t seed;
};

static struct shared *shared;
static pid_t load_pid;

static int fault(size_t page, uint64_t value, const char *when)
{
	printf("guest: page %zu holds %llx %s\n", page, (unsigned long long)value, when);
	return -1;
}

/* No two words of the machine are alike, so that a page in another's place shows. */
static uint64_t pattern(const struct chunk *chunk, size_t word)
{
	return (chunk->seed + word) * 0x9e3779b97f4a7c15u | 1;
}

/* Each word is read first: a new page that is not zero has come from somewhere. */
static int take(struct chunk *chunk, size_t pages, uint64_t seed)
{
	size_t i;

	chunk->pages = pages;
	chunk->seed = seed;
	/* All pages with one call: a page fault is slow under User-mode Linux. */
	chunk->memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (chunk->memory == MAP_FAILED) {
		printf("guest: cannot take %zu pages: %s\n", pages, strerror(errno));
		return -1;
	}
	for (i = 0; i < pages * PAGE_WORDS; i++) {
		if (chunk->memory[i])
			return fault(i / PAGE_WORDS, chunk->memory[i], "when new");
		chunk->memory[i] = pattern(chunk, i);
	}
	return 0;
}

static int give(struct chunk *chunk)
{
	size_t i;

	for (i = 0; i < chunk->pages * PAGE_WORDS; i++)
		if (chunk->memory[i] != pattern(chunk, i))
			return fault(i / PAGE_WORDS, chunk->memory[i], "in place of what was written");
	shared->verified += chunk->pages * PAGE;
	munmap((void *)chunk->memory, chunk->pages * PAGE);
	chunk->memory = NULL;
	return 0;
}

/* Chunks of all sizes come and go, so that free blocks of all orders do. */
static int load(size_t mib)
{
	static struct chunk chunks[CHUNKS];
	size_t most = (mib << 20) / PAGE / CHUNKS, i;
	uint64_t seed = 1;
	int err = 0;

	srand(1);
	while (!err && !shared->end) {
		i = rand() % CHUNKS;
		if (chunks[i].memory)
			err = give(&chunks[i]);
		else
			err = take(&chunks[i], 1 + rand() % most, seed);
		seed += most * PAGE_WORDS;
	}
	for (i = 0; !err && i < CHUNKS; i++)
		if (chunks[i].memory)
			err = give(&chunks[i]);
	return err;
}

static int start_load(const char *mib)
{
	shared->end = 0;
	load_pid = fork();
	if (!load_pid)
		_exit(load(strtoul(mib ? mib : "", NULL, 10)) ? 1 : 0);
	printf("guest: loading\n");
	return load_pid < 0;
}

static int stop_load(void)
{
	int status;

	shared->end = 1;
	if (waitpid(load_pid, &status, 0) != load_pid || status) {
		printf("guest: not ok: the load has failed\n");
		return 1;
	}
	printf("guest: verified %llu KiB\n", (unsigned long long)shared->verified >> 10);
	return 0;
}

/* What the load has done so far; is it less than that? */
static int goes_on(const char *gib)
{
	uint64_t verified = shared->verified;

	printf("guest: verified %llu KiB so far\n", (unsigned long long)verified >> 10);
	return verified >> 30 < strtoull(gib ? gib : "", NULL, 10);
}

static int say_free(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemFree: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	printf("guest: free %lu KiB\n", kib);
	return !kib;
}

static long now_ms(void)
{
	struct timespec now;

	/* Goes on while the machine is suspended. */
	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int say_write(const char *path, const char *value, const char *times)
{
	int left = times ? atoi(times) : 1, err = 0;
	long start = now_ms();

	if (!path || !value)
		return 1;
	printf("guest: write %s %s\n", path, value);
	while (left-- > 0 && !err)
		err = put(path, value);
	printf("guest: written %s %s: %s after %ld ms\n", path, value,
	       err ? strerror(err) : "ok", now_ms() - start);
	return 0;
}

/* A write that would take long, by somebody who has enough of it. */
static int say_interrupted(const char *path, const char *value, const char *ms)
{
	long start = now_ms();
	int status = 0;
	pid_t pid;

	if (!path || !value || !ms)
		return 1;
	pid = fork();
	if (!pid) {
		put(path, value);
		_exit(0);
	}
	usleep(atoi(ms) * 1000);
	kill(pid, SIGINT);
	if (waitpid(pid, &status, 0) != pid)
		return 1;
	printf("guest: interrupted %s %s: %s after %ld ms\n", path, value,
	       WIFSIGNALED(status) ? "ended" : "was done", now_ms() - start);
	return 0;
}

static int say_line(const char *path)
{
	char text[200] = "";
	FILE *file = fopen(path, "r");

	if (!file || !fgets(text, sizeof(text), file))
		return 1;
	fclose(file);
	printf("guest: %s: %s", path, text);
	return 0;
}

static int off(void)
{
	printf("guest: off\n");
	return reboot(RB_POWER_OFF) != 0;
}

static int step(char *words)
{
	char *what = strtok(words, ":"), *first = strtok(NULL, ":");

	if (!strcmp(what, "load"))
		return start_load(first);
	if (!strcmp(what, "stop"))
		return stop_load();
	if (!strcmp(what, "sleep"))
		return usleep(atoi(first ? first : "0") * 1000);
	if (!strcmp(what, "free"))
		return say_free();
	if (!strcmp(what, "exists"))
		return printf("guest: %s %s\n", first, access(first, F_OK) ? "is not there" : "is there") < 0;
	if (!strcmp(what, "get"))
		return say_line(first);
	if (!strcmp(what, "interrupt")) {
		char *value = strtok(NULL, ":");

		return say_interrupted(first, value, strtok(NULL, ":"));
	}
	if (!strcmp(what, "off"))
		return off();
	if (!strcmp(what, "write")) {
		char *value = strtok(NULL, ":");

		return say_write(first, value, strtok(NULL, ":"));
	}
	printf("guest: not ok: no such step: %s\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	int i, load = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "load", 4))
			load = i;
		if (!strncmp(argv[i], "until:", 6))
			i = goes_on(argv[i] + 6) ? load : i;
		/* strtok() cuts it up, and it may have to be done again. */
		else if (step(strdup(argv[i])))
			return 1;
	}
	printf("guest: steps done\n");
	return 0;
}
