// SPDX-License-Identifier: GPL-2.0
/*
 * params ORDER DELAY: page reporting's parameters read as ORDER and DELAY, take
 * what they should, and refuse the rest with the right error and no change.
 *
 * params --list: what each of them says to many values, a line for each, to be
 * compared with another kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failed;

static void file_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "/sys/module/page_reporting/parameters/page_reporting_%s", name);
}

/* Writes a value; 0 or the error. */
static int put(const char *name, const char *value)
{
	char path[128];
	int fd, err = 0;

	file_of(path, sizeof(path), name);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		return errno;
	if (write(fd, value, strlen(value)) != (ssize_t)strlen(value))
		err = errno;
	close(fd);
	return err;
}

/* What a parameter reads as: a line, or the error. */
static void value_of(const char *name, char *value, size_t size)
{
	char path[128];
	ssize_t len = -1;
	int fd;

	file_of(path, sizeof(path), name);
	fd = open(path, O_RDONLY);
	if (fd >= 0)
		len = read(fd, value, size - 1);
	if (len < 0)
		snprintf(value, size, "error %s", strerror(errno));
	else
		value[len] = 0;
	if (fd >= 0)
		close(fd);
	value[strcspn(value, "\n")] = 0;
}

static void reads(const char *name, const char *wanted)
{
	char value[64];

	value_of(name, value, sizeof(value));
	if (strcmp(value, wanted)) {
		printf("guest: not ok: %s reads '%s', not '%s'\n", name, value, wanted);
		failed++;
	}
}

static void takes(const char *name, const char *value, const char *as)
{
	int err = put(name, value);

	if (err) {
		printf("guest: not ok: %s refuses '%s': %s\n", name, value, strerror(err));
		failed++;
	}
	reads(name, as);
}

static void refuses(const char *name, const char *value, int wanted, const char *stays)
{
	int err = put(name, value);

	if (err != wanted) {
		printf("guest: not ok: %s: '%s' gives %s\n", name, value, strerror(err));
		failed++;
	}
	reads(name, stays);
}

/* In the order in which they are tried. */
static const char * const bad[] = {
	"-1", "-2", "11x", "x", "\n", " ", "1 2", "1.5", "0x", "10ms",
};
static const char * const large[] = {
	"4294967296", "18446744073709551615", "18446744073709551616", "99999999999999999999999",
};
static const char * const others[] = {
	"0", "1", "9", "10", "11", "12", "0x3", "010", "+4", " 4", "4 ", "4\n", "4\n\n", "100",
	"3600000", "3600001", "2147483647", "2147483648", "4294967295", "5",
};

static void list_one(const char *name, const char *value)
{
	int err = put(name, value);
	char seen[64], shown[64];
	size_t i;

	value_of(name, seen, sizeof(seen));
	snprintf(shown, sizeof(shown), "%s", value);
	for (i = 0; shown[i]; i++) {
		if (shown[i] == '\n')
			shown[i] = '~';
	}
	printf("guest: contract %s '%s': %s, reads %s\n", name, shown,
	       err ? strerror(err) : "taken", seen);
}

static void list_all(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		list_one(name, others[i]);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		list_one(name, bad[i]);
	for (i = 0; i < sizeof(large) / sizeof(large[0]); i++)
		list_one(name, large[i]);
}

int main(int argc, char **argv)
{
	char value[16];
	size_t i;
	int order;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list_all("order");
		list_all("delay_ms");
		return 0;
	}
	if (argc != 3) {
		printf("guest: usage: params ORDER DELAY | --list\n");
		return 2;
	}
	reads("order", argv[1]);
	reads("delay_ms", argv[2]);

	/* MAX_PAGE_ORDER is 10 on x86. */
	for (order = 0; order <= 10; order++) {
		snprintf(value, sizeof(value), "%d\n", order);
		takes("order", value, strtok(strdup(value), "\n"));
	}
	takes("order", "0x3", "3");
	refuses("order", "11", EINVAL, "3");
	refuses("order", "4294967295", EINVAL, "3");
	takes("delay_ms", "0", "0");
	takes("delay_ms", "4294967295", "4294967295");
	takes("delay_ms", "100", "100");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuses("order", bad[i], EINVAL, "3");
		refuses("delay_ms", bad[i], EINVAL, "100");
	}
	for (i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		refuses("order", large[i], ERANGE, "3");
		refuses("delay_ms", large[i], ERANGE, "100");
	}
	takes("order", argv[1], argv[1]);
	takes("delay_ms", argv[2], argv[2]);
	printf("guest: %s\n", failed ? "not ok" : "ok");
	return !!failed;
}
