// SPDX-License-Identifier: GPL-2.0
/*
 * debug MIB ROUNDS TIMES: takes and frees MIB in ROUNDS (the program take), then
 * unbinds and binds the balloon driver TIMES times under load (the program
 * rebind). Meanwhile another process looks at all free memory, and has it
 * compacted, again and again. Then it says whether lockdep was at work all the
 * time: after its first complaint it is silent for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		printf("guest: not ok: %s failed\n", argv[0]);
		return -1;
	}
	return 0;
}

/* Reads all of a file, for what the kernel does to write it. */
static void read_all(const char *path)
{
	char buffer[1 << 16];
	int fd = open(path, O_RDONLY);

	while (fd >= 0 && read(fd, buffer, sizeof(buffer)) > 0)
		;
	if (fd >= 0)
		close(fd);
}

/* All that goes over the free lists, or over all pages, besides a pass. */
static void look(void)
{
	/* The last is only there with page_owner=on. */
	static const char * const files[] = {
		"/proc/buddyinfo", "/proc/pagetypeinfo", "/proc/zoneinfo",
		"/proc/sys/vm/stat_refresh", "/proc/kpageflags",
		"/sys/kernel/debug/page_owner",
	};
	size_t i;
	int fd;

	for (;;) {
		for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
			read_all(files[i]);
		fd = open("/proc/sys/vm/compact_memory", O_WRONLY);
		if (fd < 0 || write(fd, "1", 1) != 1)
			_exit(1);
		close(fd);
		usleep(100000);
	}
}

/* Is lockdep still there? Without it there is no such file, which is a no. */
static int lockdep_works(void)
{
	FILE *stats = fopen("/proc/lockdep_stats", "r");
	int works = 0;
	char line[256];

	while (stats && fgets(line, sizeof(line), stats))
		if (sscanf(line, " debug_locks: %d", &works) == 1)
			break;
	if (stats)
		fclose(stats);
	return works;
}

int main(int argc, char **argv)
{
	int failed, status;
	pid_t looker;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4) {
		printf("guest: usage: debug MIB ROUNDS TIMES\n");
		return 2;
	}
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL))
		printf("guest: cannot mount debugfs: %s\n", strerror(errno));

	looker = fork();
	if (!looker)
		look();

	failed = run((char *[]){ "/take", argv[1], "1", argv[2], "1", NULL }) ||
		 run((char *[]){ "/rebind", argv[3], argv[1], NULL });

	if (looker > 0)
		kill(looker, SIGKILL);
	if (looker < 0 || waitpid(looker, &status, 0) != looker || !WIFSIGNALED(status)) {
		printf("guest: not ok: nobody looked at the free lists\n");
		failed = 1;
	}
	if (!lockdep_works()) {
		printf("guest: not ok: lockdep is off\n");
		failed = 1;
	}
	return !!failed;
}
