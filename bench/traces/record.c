// SPDX-License-Identifier: GPL-2.0
/*
 * record [-i MS] [-t SECONDS] [-c COMMENT]... OUT COMMAND...: runs COMMAND, and until
 * SECONDS after its end (10) looks every MS milliseconds (50) how much memory is free,
 * and how much of that lies in blocks of 2 MiB and more. OUT gets a line
 *
 *	ms free_MiB large_MiB
 *
 * at first, at last, and whenever one of the two is 1 MiB or more away from what the
 * last line said. A line with # is a comment: what was recorded, a phase that COMMAND
 * begins (it may append to OUT, whose name it has as $TRACE), or that a sample was late.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LARGE_ORDER	9	/* 2 MiB of pages of 4 KiB */
#define LATE		100	/* ms, from which on it is said */
#define LINE		4096

struct sample {
	long long ms;
	unsigned long long free, large;	/* bytes */
};

struct trace {
	int fd;
	long long start;
	struct sample last;
};

static pid_t child;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list arguments;

	fputs("record: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	if (child > 0)
		kill(child, SIGTERM);
	exit(1);
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

static void sleep_until(long long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

/* One write() is one line, whoever else appends to the file. */
static void __attribute__((format(printf, 2, 3))) put(struct trace *trace, const char *format, ...)
{
	char line[LINE];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length < 0 || length >= (int)sizeof(line) - 1)
		die("a line is too long");
	line[length++] = '\n';
	if (write(trace->fd, line, length) != length)
		die("cannot write: %s", strerror(errno));
}

static FILE *open_file(const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file)
		die("%s: %s", path, strerror(errno));
	return file;
}

static unsigned long long free_bytes(void)
{
	FILE *file = open_file("/proc/vmstat");
	char line[LINE];
	unsigned long long pages;

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "nr_free_pages %llu", &pages) == 1) {
			fclose(file);
			return pages * sysconf(_SC_PAGESIZE);
		}
	die("/proc/vmstat has no nr_free_pages");
}

/* The bytes in the large blocks of one zone, whose line goes on with these numbers. */
static unsigned long long large_of(const char *numbers)
{
	unsigned long long pages = 0, count;
	int order, read;

	for (order = 0; sscanf(numbers, " %llu%n", &count, &read) == 1; order++) {
		if (order >= LARGE_ORDER)
			pages += count << order;
		numbers += read;
	}
	if (order <= LARGE_ORDER)
		die("/proc/buddyinfo has %d orders, and blocks of order %d are counted", order, LARGE_ORDER);
	return pages * sysconf(_SC_PAGESIZE);
}

static unsigned long long large_bytes(void)
{
	FILE *file = open_file("/proc/buddyinfo");
	char line[LINE];
	unsigned long long sum = 0;
	int zones = 0, at;

	while (fgets(line, sizeof(line), file)) {
		at = 0;
		sscanf(line, "Node %*d, zone %*s%n", &at);
		if (!at)
			die("/proc/buddyinfo has a line that is none: %s", line);
		sum += large_of(line + at);
		zones++;
	}
	fclose(file);
	if (!zones)
		die("/proc/buddyinfo is empty");
	return sum;
}

static struct sample take(struct trace *trace)
{
	struct sample sample = { .free = free_bytes(), .large = large_bytes() };

	sample.ms = now() - trace->start;
	return sample;
}

static int differs(unsigned long long a, unsigned long long b)
{
	return (a > b ? a - b : b - a) >> 20 != 0;
}

static void put_sample(struct trace *trace, struct sample sample)
{
	put(trace, "%lld %llu %llu", sample.ms, sample.free >> 20, sample.large >> 20);
	trace->last = sample;
}

static void header(struct trace *trace, char **command, int interval, int tail)
{
	char line[LINE - 64] = "";
	struct utsname name;

	for (; *command; command++) {
		if (strlen(line) + strlen(*command) + 2 > sizeof(line))
			die("the command is too long");
		strcat(strcat(line, " "), *command);
	}
	if (uname(&name))
		die("uname: %s", strerror(errno));
	put(trace, "# kernel: %s %s, %lld MiB of memory, %ld processors", name.sysname, name.release,
	    (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) >> 20, sysconf(_SC_NPROCESSORS_ONLN));
	put(trace, "# command:%s", line);
	put(trace, "# every %d ms, and %d s after its end: ms free_MiB large_MiB", interval, tail);
}

static void run(char **command)
{
	child = fork();
	if (child < 0)
		die("fork: %s", strerror(errno));
	if (!child) {
		execvp(*command, command);
		fprintf(stderr, "record: %s: %s\n", *command, strerror(errno));
		_exit(127);
	}
}

/* The command's status, when it has ended and the tail is over */
static int watch(struct trace *trace, int interval, int tail)
{
	long long due = now(), end = 0;
	struct sample sample;
	int status = 0;

	do {
		due += interval;
		sleep_until(due);
		sample = take(trace);
		if (sample.ms + trace->start - due > LATE) {
			put(trace, "# late by %lld ms", sample.ms + trace->start - due);
			due = sample.ms + trace->start;
		}
		if (differs(sample.free, trace->last.free) || differs(sample.large, trace->last.large))
			put_sample(trace, sample);
		if (!end && waitpid(child, &status, WNOHANG) == child) {
			child = 0;
			put(trace, "# phase: ended with status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
			end = sample.ms + tail * 1000LL;
		}
	} while (!end || sample.ms < end);
	if (sample.ms != trace->last.ms)
		put_sample(trace, sample);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int count, char **arguments)
{
	static const char usage[] = "usage: record [-i MS] [-t SECONDS] [-c COMMENT]... OUT COMMAND...";
	const char *comments[64];
	int option, interval = 50, tail = 10, said = 0, i;
	struct trace trace;

	while ((option = getopt(count, arguments, "+i:t:c:")) != -1) {
		if (option == 'i')
			interval = atoi(optarg);
		else if (option == 't')
			tail = atoi(optarg);
		else if (option == 'c' && said < 64)
			comments[said++] = optarg;
		else
			die("%s", usage);
	}
	if (count - optind < 2 || interval < 1 || tail < 0)
		die("%s", usage);
	arguments += optind;
	trace.fd = open(arguments[0], O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (trace.fd < 0 || setenv("TRACE", arguments[0], 1))
		die("%s: %s", arguments[0], strerror(errno));
	for (i = 0; i < said; i++)
		put(&trace, "# %s", comments[i]);
	header(&trace, arguments + 1, interval, tail);
	trace.start = now();
	put_sample(&trace, take(&trace));
	run(arguments + 1);
	return watch(&trace, interval, tail);
}
