// SPDX-License-Identifier: GPL-2.0
/*
 * rebind TIMES MIB: takes and frees MIB all the time in a process of its own,
 * while the balloon driver is unbound from its device and bound again TIMES
 * times, at moments that have nothing to do with each other.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "put.h"

#define DRIVER	"/sys/bus/virtio/drivers/virtio_balloon/"

/* The first device that the driver has. */
static int find_device(char *name, size_t size)
{
	DIR *dir = opendir(DRIVER);
	struct dirent *entry;
	int found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, "virtio", 6);
		if (found)
			snprintf(name, size, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void load(size_t size)
{
	volatile char *memory;
	size_t i;

	for (;;) {
		memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			_exit(1);
		for (i = 0; i < size; i += 4096)
			memory[i] = 1;
		munmap((void *)memory, size);
	}
}

int main(int argc, char **argv)
{
	int times = argc > 1 ? atoi(argv[1]) : 0, i, err, status;
	size_t mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	char name[256];
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (times <= 0 || !mib || !find_device(name, sizeof(name))) {
		printf("guest: usage: rebind TIMES MIB, with a balloon device\n");
		return 2;
	}

	pid = fork();
	if (!pid)
		load(mib << 20);

	srand(1);
	for (i = 1; i <= times; i++) {
		usleep(rand() % 300000);
		err = put(DRIVER "unbind", name);
		if (!err) {
			usleep(rand() % 50000);
			err = put(DRIVER "bind", name);
		}
		if (err) {
			printf("guest: not ok: round %d: %s\n", i, strerror(err));
			break;
		}
	}
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status)) {
		printf("guest: not ok: the load ended by itself\n");
		return 1;
	}
	printf("guest: rebound %d times\n", i - 1);
	return err ? 1 : 0;
}
