// SPDX-License-Identifier: GPL-2.0
/*
 * race MIB ROUNDS TIMES: all that may go on at the same time as a pass, at the same
 * time: MIB are taken, verified and freed in ROUNDS (the program take), the balloon
 * driver is unbound and bound TIMES times under load (the program rebind), the
 * parameters are written and read, and others look at all free memory. Then it
 * says what KCSAN has counted.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "put.h"

#define PARAMETER	"/sys/module/page_reporting/parameters/page_reporting_"
#define KCSAN		"/sys/kernel/debug/kcsan"

/* How often each of those was done that go on until they are ended */
struct counts {
	volatile unsigned long written, read, looked;
};

static struct counts *counts;

static pid_t start(void (*work)(void))
{
	pid_t pid = fork();

	if (!pid)
		work();
	return pid;
}

static pid_t start_program(char **argv)
{
	pid_t pid = fork();

	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* So many writes of each come without a pause, and then a time without any. */
#define BURST	200

/* Order 0 makes passes long, and the largest has blocks come and go unreported. */
static void write_parameters(void)
{
	static const char * const orders[] = { "0", "9", "1", "10", "4" };
	static const char * const delays[] = { "0", "10", "1" };
	unsigned int i;

	srand(2);
	for (i = 0;; i++) {
		if (put(PARAMETER "order", orders[i % 5]) || put(PARAMETER "delay_ms", delays[i % 3]))
			_exit(1);
		counts->written += 2;
		if (i % BURST == 0)
			usleep(rand() % 100000);
	}
}

static int read_all(const char *path)
{
	char buffer[1 << 14];
	int fd = open(path, O_RDONLY), length = -1;

	while (fd >= 0 && (length = read(fd, buffer, sizeof(buffer))) > 0)
		;
	if (fd >= 0)
		close(fd);
	return length;
}

static void read_parameters(void)
{
	for (;;) {
		if (read_all(PARAMETER "order") || read_all(PARAMETER "delay_ms"))
			_exit(1);
		counts->read += 2;
	}
}

/* All that goes over the free lists besides a pass, and compaction takes from them. */
static void look(void)
{
	for (;;) {
		if (read_all("/proc/buddyinfo") || read_all("/proc/pagetypeinfo") ||
		    read_all("/proc/zoneinfo") || put("/proc/sys/vm/compact_memory", "1"))
			_exit(1);
		counts->looked++;
		usleep(200000);
	}
}

/* Has it ended well? Those that go on for ever are ended, and were there until then. */
static int ended(pid_t pid, int endless, const char *what)
{
	int status;

	if (pid > 0 && endless)
		kill(pid, SIGKILL);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && (endless ? WIFSIGNALED(status) : !status))
		return 1;
	printf("guest: not ok: what %s has failed\n", what);
	return 0;
}

static int say_counts(void)
{
	FILE *file = fopen(KCSAN, "r");
	char line[256];
	long count;

	printf("guest: parameters written %lu times, read %lu times, free lists read %lu times\n",
	       counts->written, counts->read, counts->looked);
	/* What is no number is a list of functions. */
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*[^:]: %ld", &count) == 1)
			printf("guest: kcsan %s", line);
	if (file)
		fclose(file);
	return file != NULL;
}

int main(int argc, char **argv)
{
	pid_t takes, binds, writes, reads, looks;
	int good;

	setvbuf(stdout, NULL, _IOLBF, 0);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (argc != 4 || counts == MAP_FAILED) {
		printf("guest: usage: race MIB ROUNDS TIMES\n");
		return 2;
	}
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	writes = start(write_parameters);
	reads = start(read_parameters);
	looks = start(look);
	takes = start_program((char *[]){ "/take", argv[1], "0", argv[2], NULL });
	binds = start_program((char *[]){ "/rebind", argv[3], argv[1], NULL });

	good = ended(takes, 0, "takes memory");
	good &= ended(binds, 0, "binds the driver");
	good &= ended(writes, 1, "writes parameters");
	good &= ended(reads, 1, "reads parameters");
	good &= ended(looks, 1, "looks at free memory");
	good &= say_counts();
	return !good;
}
