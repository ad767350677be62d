// SPDX-License-Identifier: GPL-2.0
/*
 * The first program of the guest. It mounts what programs expect, runs what the
 * kernel command line asks for after "--", says how that ended, and waits for
 * the host to end the machine: what the guest leaves free is looked at from
 * there.
 *
 * Lines for the host start with "guest: ".
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void mount_or_say(const char *type, const char *where)
{
	mkdir(where, 0755);
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		printf("guest: cannot mount %s: %s\n", where, strerror(errno));
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_or_say("proc", "/proc");
	mount_or_say("sysfs", "/sys");
	mount_or_say("tmpfs", "/tmp");

	printf("guest: ready\n");
	if (argc < 2) {
		printf("guest: nothing to run\n");
		goto wait;
	}

	pid = fork();
	if (!pid) {
		execv(argv[1], argv + 1);
		printf("guest: cannot run %s: %s\n", argv[1], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("guest: cannot fork: %s\n", strerror(errno));
	else if (WIFEXITED(status))
		printf("guest: exit %d\n", WEXITSTATUS(status));
	else
		printf("guest: killed by signal %d\n", WTERMSIG(status));
wait:
	for (;;)
		pause();
}
