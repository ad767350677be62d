// SPDX-License-Identifier: GPL-2.0
/*
 * params ORDER DELAY: page reporting's parameters read as ORDER and DELAY, take
 * what they should, and refuse the rest with EINVAL and no change.
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

static void reads(const char *name, const char *wanted)
{
	char path[128], value[64] = "";
	int fd;

	file_of(path, sizeof(path), name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, value, sizeof(value) - 1) < 0)
		snprintf(value, sizeof(value), "error %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	value[strcspn(value, "\n")] = 0;
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

static void refuses(const char *name, const char *value, const char *stays)
{
	int err = put(name, value);

	if (err != EINVAL) {
		printf("guest: not ok: %s: '%s' gives %s\n", name, value, strerror(err));
		failed++;
	}
	reads(name, stays);
}

int main(int argc, char **argv)
{
	static const char * const bad[] = {
		"-1", "-2", "11x", "x", "\n", " ", "1 2", "1.5", "4294967295",
		"4294967296", "18446744073709551616", "99999999999999999999999",
	};
	char value[16];
	size_t i;
	int order;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3) {
		printf("guest: usage: params ORDER DELAY\n");
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
	refuses("order", "11", "3");
	takes("delay_ms", "0", "0");
	takes("delay_ms", "3600000", "3600000");
	takes("delay_ms", "100", "100");
	refuses("delay_ms", "3600001", "100");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refuses("order", bad[i], "3");
		refuses("delay_ms", bad[i], "100");
	}
	takes("order", argv[1], argv[1]);
	takes("delay_ms", argv[2], argv[2]);
	printf("guest: %s\n", failed ? "not ok" : "ok");
	return !!failed;
}
