// SPDX-License-Identifier: GPL-2.0
/*
 * gcc -O2 -Wall -Wextra -o build/holes bench/holes.c && build/holes [FOLDER]
 *
 * What it costs this host to take memory back from User-mode Linux, and to have it
 * again: a file without a name in FOLDER (/dev/shm) is touched, punched in blocks of
 * each order in no order of address, and touched again. For the message of
 * "um: give free memory back to the host".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096ul
#define PAGES	(1ul << 17)	/* 512 MiB: more than the caches of a processor hold */
#define ORDERS	11

static double us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static double touch(volatile char *memory)
{
	double start = us();
	size_t i;

	for (i = 0; i < PAGES; i++)
		memory[i * PAGE] = 1;
	return (us() - start) / PAGES;
}

static double punch(int fd, unsigned int order)
{
	size_t blocks = PAGES >> order, i, other, swap, *list = malloc(blocks * sizeof(*list));
	double start;

	for (i = 0; i < blocks; i++)
		list[i] = i;
	for (i = blocks - 1; i; i--) {
		other = rand() % (i + 1);
		swap = list[i];
		list[i] = list[other];
		list[other] = swap;
	}
	start = us();
	for (i = 0; i < blocks; i++) {
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      list[i] * (PAGE << order), PAGE << order)) {
			perror("holes: fallocate");
			exit(1);
		}
	}
	free(list);
	return (us() - start) / PAGES;
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "/dev/shm";
	unsigned int order;

	printf("us for each page: order, touched, punched, touched again\n");
	for (order = 0; order < ORDERS; order++) {
		int fd = open(folder, O_TMPFILE | O_RDWR, 0600);
		double first, hole, again;
		char *memory;

		if (fd < 0 || ftruncate(fd, PAGES * PAGE)) {
			perror("holes: no file there");
			return 1;
		}
		memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) {
			perror("holes: mmap");
			return 1;
		}
		first = touch(memory);
		hole = punch(fd, order);
		again = touch(memory);
		printf("%2u %5.2f %5.2f %5.2f\n", order, first, hole, again);
		munmap(memory, PAGES * PAGE);
		close(fd);
	}
	return 0;
}
