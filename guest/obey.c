// SPDX-License-Identifier: GPL-2.0
/*
 * obey MIB KEEP: does what the host says, a line of the console at a time, and
 * answers each with "guest: ok ..." or "guest: no: ..."; an empty one says nothing:
 *
 *   load             takes, fills, verifies and frees MIB in a process of its own, all
 *                    the time, until
 *   calm             ends it, and says whether all that it found was right
 *   free             how much memory is free, in MiB
 *   take MIB         takes and frees this once
 *   put FILE VALUE   writes to a file
 *   get FILE         reads the first line of one
 *   show FILE        prints all of one
 *   read FILE MIB    reads so much of one, for the page cache
 *   pin CPU          runs on this CPU from now on
 *   trace            makes /sys/kernel/tracing be there
 *   swap FILE        swaps to this device
 *   reboot           reboots at once, as reboot(2) does
 *
 * KEEP MiB are taken and filled at the start, and verified before each answer: they
 * live through whatever the host does to the machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "put.h"

#define PAGE	4096
#define WORDS	(PAGE / sizeof(uint64_t))

static size_t size, keep_size;
static uint64_t *keep;
static pid_t loader;

/* What page i is filled with in this round: no two pages alike, none zero. */
static uint64_t pattern(size_t i, uint64_t round)
{
	return (round << 32 | (i + 1)) * 0x9e3779b97f4a7c15u;
}

/* Its first and last word are written: new memory has to be zero between them. */
static void fill(volatile uint64_t *memory, size_t bytes, uint64_t round)
{
	size_t i;

	for (i = 0; i < bytes / PAGE; i++, memory += WORDS) {
		memory[0] = memory[WORDS - 1] = pattern(i, round);
		if (memory[1] || memory[WORDS / 2]) {
			printf("guest: page %zu holds something when new\n", i);
			_exit(1);
		}
	}
}

static int holds(volatile uint64_t *memory, size_t bytes, uint64_t round)
{
	uint64_t wanted;
	size_t i;

	for (i = 0; i < bytes / PAGE; i++, memory += WORDS) {
		wanted = pattern(i, round);
		if (memory[0] == wanted && memory[WORDS - 1] == wanted &&
		    !memory[1] && !memory[WORDS / 2])
			continue;
		printf("guest: page %zu holds %llx\n", i, (unsigned long long)memory[0]);
		return 0;
	}
	return 1;
}

static void *take(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* Takes, fills, verifies and frees once. */
static int use(size_t bytes, uint64_t round)
{
	void *memory = take(bytes);
	int right;

	if (!memory)
		return 0;
	fill(memory, bytes, round);
	right = holds(memory, bytes, round);
	munmap(memory, bytes);
	return right;
}

static void __attribute__((noreturn)) load(void)
{
	uint64_t round;

	for (round = 1;; round++)
		if (!use(size, round))
			_exit(1);
}

/*
 * The whole line is out before the kernel is asked for something that it will
 * write about itself: it does not wait for the terminal's turn.
 */
static void __attribute__((format(printf, 2, 3))) answer(int ok, const char *format, ...)
{
	char text[256];
	va_list args;

	if (!holds(keep, keep_size, 0))
		ok = 0;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tcdrain(1);
	printf("guest: %s %s\n", ok ? "ok" : "no:", text);
	tcdrain(1);
}

static void calm(void)
{
	int status;

	if (!loader || waitpid(loader, &status, WNOHANG)) {
		answer(0, loader ? "the load has ended by itself" : "there is no load");
	} else {
		kill(loader, SIGKILL);
		waitpid(loader, &status, 0);
		answer(1, "the load has ended as told");
	}
	loader = 0;
}

static void answer_put(const char *path, const char *value)
{
	int err = put(path, value);

	answer(!err, "put %s %s%s%s", path, value, err ? ": " : "", err ? strerror(err) : "");
}

static void get(const char *path)
{
	char text[200] = "";
	FILE *file = fopen(path, "r");

	if (file && !fgets(text, sizeof(text), file))
		text[0] = 0;
	text[strcspn(text, "\n")] = 0;
	answer(file != NULL, "%s", file ? text : strerror(errno));
	if (file)
		fclose(file);
}

static void show(const char *path)
{
	FILE *file = fopen(path, "r");
	char text[200];

	while (file && fgets(text, sizeof(text), file))
		printf("guest: | %s", text);
	answer(file != NULL, "show %s", path);
	if (file)
		fclose(file);
}

static void pin(unsigned int cpu)
{
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	err = sched_setaffinity(0, sizeof(set), &set);
	answer(!err, "pin %u%s%s", cpu, err ? ": " : "", err ? strerror(errno) : "");
}

static void read_some(const char *path, size_t mib)
{
	static char buffer[1 << 20];
	int fd = open(path, O_RDONLY);
	size_t done = 0;
	ssize_t got = 1;

	while (fd >= 0 && got > 0 && done < mib << 20) {
		got = read(fd, buffer, sizeof(buffer));
		if (got > 0)
			done += got;
	}
	/* It stays open: the cache of a disk goes when nobody has it open. */
	answer(done >= mib << 20, "read %zu MiB", done >> 20);
}

static void obey(char *line)
{
	char *word = strtok(line, " "), *first = strtok(NULL, " "), *rest = strtok(NULL, "");
	struct sysinfo info;

	/* The host has woken the machine. */
	if (!word)
		return;
	if (!strcmp(word, "load") && !loader) {
		loader = fork();
		if (!loader)
			load();
		answer(loader > 0, "load");
	} else if (!strcmp(word, "calm")) {
		calm();
	} else if (!strcmp(word, "free")) {
		sysinfo(&info);
		answer(1, "%lu", (unsigned long)(info.freeram * info.mem_unit >> 20));
	} else if (!strcmp(word, "take") && first) {
		answer(use(strtoul(first, NULL, 10) << 20, 0), "take %s", first);
	} else if (!strcmp(word, "trace")) {
		answer(!mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL), "trace");
	} else if (!strcmp(word, "pin") && first) {
		pin(strtoul(first, NULL, 10));
	} else if (!strcmp(word, "read") && first && rest) {
		read_some(first, strtoul(rest, NULL, 10));
	} else if (!strcmp(word, "put") && first && rest) {
		answer_put(first, rest);
	} else if (!strcmp(word, "get") && first) {
		get(first);
	} else if (!strcmp(word, "show") && first) {
		show(first);
	} else if (!strcmp(word, "swap") && first) {
		answer(!swapon(first, 0), "swap %s", first);
	} else if (!strcmp(word, "reboot")) {
		reboot(RB_AUTOBOOT);
		answer(0, "reboot: %s", strerror(errno));
	} else {
		answer(0, "not understood: %s", word);
	}
}

int main(int argc, char **argv)
{
	struct termios terminal;
	char line[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	size = argc > 1 ? strtoul(argv[1], NULL, 10) << 20 : 0;
	keep_size = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	if (!size || !keep_size) {
		printf("guest: usage: obey MIB KEEP\n");
		return 2;
	}
	/* What the host says is not to come back to it amid what it reads. */
	if (!tcgetattr(0, &terminal)) {
		terminal.c_lflag &= ~ECHO;
		tcsetattr(0, TCSANOW, &terminal);
	}
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	/* Not every kernel has it; who needs it will see. */
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	keep = take(keep_size);
	if (!keep) {
		printf("guest: cannot take %s MiB\n", argv[2]);
		return 1;
	}
	fill(keep, keep_size, 0);
	answer(1, "at your service");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\r\n")] = 0;
		obey(line);
	}
	return 0;
}
