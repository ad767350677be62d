// SPDX-License-Identifier: GPL-2.0
/*
 * The first program of the guest. It mounts what programs expect, runs what
 * run=PROGRAM,ARGUMENT,... on the kernel's command line asks for, says how that
 * ended, and waits for the host to end the machine: what the guest leaves free
 * is looked at from there.
 *
 * beside=PROGRAM,ARGUMENT,... is started before that and runs beside it; what it
 * says goes to the second serial port, or to port=FILE.
 *
 * The kernel puts run=, beside= and port= into the environment. It would pass arguments
 * after "--" too, but drops them when it does not like another parameter.
 *
 * Lines for the host start with "guest: ".
 */
#include <errno.h>
#include <fcntl.h>
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

/* The bench's program for cycles has most: one for each. */
#define MOST_ARGUMENTS	64

/*
 * The words of PROGRAM,ARGUMENT,...: how many, or 0 if they are too many. @words is what
 * they are parts of.
 */
static int split(char *words, char **argv)
{
	int argc = 0;

	for (words = strtok(words, ","); words; words = strtok(NULL, ",")) {
		if (argc == MOST_ARGUMENTS) {
			printf("guest: more than %d words are asked for\n", MOST_ARGUMENTS);
			return 0;
		}
		argv[argc++] = words;
	}
	return argc;
}

static void start_beside(char *words)
{
	char *argv[MOST_ARGUMENTS + 1] = { NULL }, *name = getenv("port");
	int port;

	if (!words || !split(words, argv) || fork())
		return;
	mkdir("/dev", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	if (!name)
		name = "/dev/ttyS1";
	port = open(name, O_WRONLY | O_NOCTTY);
	if (port < 0) {
		printf("guest: no second port %s: %s\n", name, strerror(errno));
		_exit(127);
	}
	dup2(port, 1);
	execv(argv[0], argv);
	printf("guest: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int main(void)
{
	char *run = getenv("run"), *argv[MOST_ARGUMENTS + 1] = { NULL };
	int status;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_or_say("proc", "/proc");
	mount_or_say("sysfs", "/sys");
	mount_or_say("tmpfs", "/tmp");

	printf("guest: ready\n");
	start_beside(getenv("beside"));
	if (!run || !split(run, argv)) {
		printf("guest: nothing to run\n");
		goto wait;
	}

	pid = fork();
	if (!pid) {
		execv(argv[0], argv);
		printf("guest: cannot run %s: %s\n", argv[0], strerror(errno));
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
