// SPDX-License-Identifier: GPL-2.0
/*
 * offline BLOCKS RANGES MIB: two processes take, verify and free up to MIB all the
 * time, while others want memory that may be with the device just then: blocks
 * of memory are taken offline and put online again until BLOCKS times have
 * succeeded, and ranges are allocated from the CMA area until RANGES times have.
 * Then everything is freed, and what the allocator counts is compared.
 *
 * Blocks can be taken offline where there is movable memory (movablecore=), and
 * ranges be allocated where there are an area (cma=) and CONFIG_CMA_DEBUGFS.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "put.h"

#define BLOCKS	"/sys/devices/system/memory/memory"
#define CMA	"/sys/kernel/debug/cma/reserved/"
#define PAGE	4096
#define LOADS	2

/* More tries than this for each success, and something keeps the memory. */
#define TRIES	50

/* The file's text, which is short; none if it cannot be read. */
static char *get(const char *path)
{
	static char text[256];
	ssize_t length = -1;
	int fd = open(path, O_RDONLY);

	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = 0;
	return text;
}

/* Takes, verifies and frees memory, of another size each time. Never ends well. */
static void load(unsigned int seed, size_t mib)
{
	uint64_t *word, key = seed;
	size_t i, words;

	srand(seed);
	for (;;) {
		words = (1 + rand() % mib) * ((1 << 20) / sizeof(*word));
		word = mmap(NULL, words * sizeof(*word), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (word == MAP_FAILED)
			_exit(1);
		key += 0x9e3779b97f4a7c15u;
		for (i = 0; i < words; i++)
			word[i] = key ^ i;
		for (i = 0; i < words; i++) {
			if (*(volatile uint64_t *)&word[i] == (key ^ i))
				continue;
			printf("guest: page %zu holds %llx\n", i * sizeof(*word) / PAGE,
			       (unsigned long long)word[i]);
			_exit(1);
		}
		munmap(word, words * sizeof(*word));
	}
}

/*
 * One block of memory after another, offline and online again. It may be busy,
 * as pages of it may be pinned for a moment, or have a hole, which is invalid. To
 * go online must always succeed.
 */
static int offline(int wanted)
{
	int done = 0, tries = 0, first, err;
	char path[256];
	glob_t blocks;
	size_t i;

	if (glob(BLOCKS "[0-9]*", 0, NULL, &blocks))
		blocks.gl_pathc = 0;
	while (done < wanted && tries < TRIES * wanted) {
		tries++;
		first = 1;
		for (i = 0; i < blocks.gl_pathc && done < wanted; i++) {
			snprintf(path, sizeof(path), "%s/valid_zones", blocks.gl_pathv[i]);
			if (!strstr(get(path), "Movable"))
				continue;
			if (first) {
				first = 0;
				continue;
			}
			snprintf(path, sizeof(path), "%s/state", blocks.gl_pathv[i]);
			err = put(path, "offline");
			if (err == EBUSY || err == EAGAIN || err == EINVAL)
				continue;
			if (!err) {
				usleep(rand() % 20000);
				err = put(path, "online_movable");
			}
			if (err) {
				printf("guest: not ok: %s: %s\n", path, strerror(err));
				return 1;
			}
			done++;
		}
	}
	printf("guest: offline %d times of %d, %d rounds\n", done, wanted, tries);
	return done != wanted;
}

/*
 * Ranges of a pageblock and of other sizes, so that they end within a block that
 * is free, or with the device, as a whole. Freed one by one.
 */
static int contig(int wanted)
{
	static const char * const pages[] = { "512", "1536", "300", "1024", "700" };
	int done = 0, tries = 0, err;
	const char *size;

	while (done < wanted && tries++ < TRIES * wanted) {
		size = pages[rand() % (sizeof(pages) / sizeof(pages[0]))];
		err = put(CMA "alloc", size);
		if (!err)
			done++;
		else if (err != ENOMEM)
			break;
		/* Three of four times: others start behind what is there. */
		if (err || rand() % 4)
			err = put(CMA "free", size);
		if (err) {
			printf("guest: not ok: cma: %s\n", strerror(err));
			return 1;
		}
	}
	put(CMA "free", "1000000");
	if (wanted && strcmp(get(CMA "used"), "0\n")) {
		printf("guest: not ok: cma: not all was freed\n");
		return 1;
	}
	printf("guest: allocated %d ranges of %d, %d tries\n", done, wanted, tries);
	return done != wanted;
}

static pid_t start(void (*work)(unsigned int, size_t), unsigned int seed, size_t arg)
{
	pid_t pid = fork();

	if (!pid) {
		srand(seed);
		work(seed, arg);
	}
	return pid;
}

/* What there is of free memory, as told by those who count it. */
struct counts {
	long free;	/* NR_FREE_PAGES */
	long cma;	/* NR_FREE_CMA_PAGES */
	long areas;	/* the blocks of each order, as counted */
	long lists;	/* the blocks on the lists */
	long lists_cma;
	long isolated;
};

/* Numbers of blocks, one for each order, as pages. */
static long blocks_to_pages(char *text)
{
	long pages = 0;
	int order = 0;
	char *word;

	for (word = strtok(text, " \n"); word; word = strtok(NULL, " \n"))
		pages += atol(word) << order++;
	return pages;
}

static void count(struct counts *c)
{
	char line[1024], type[32];
	FILE *file;
	int at;
	long n;

	memset(c, 0, sizeof(*c));
	/* What processors have counted by themselves is added up first. */
	put("/proc/sys/vm/stat_refresh", "1");

	file = fopen("/proc/zoneinfo", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " pages free %ld", &n) == 1)
			c->free += n;
		if (sscanf(line, " nr_free_cma %ld", &n) == 1)
			c->cma += n;
	}
	if (file)
		fclose(file);

	file = fopen("/proc/buddyinfo", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*d, zone %*s %n", &at) == 0)
			c->areas += blocks_to_pages(line + at);
	}
	if (file)
		fclose(file);

	file = fopen("/proc/pagetypeinfo", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*d, zone %*[^,], type %31s %n", type, &at) != 1)
			continue;
		n = blocks_to_pages(line + at);
		if (!strcmp(type, "Isolate"))
			c->isolated += n;
		else
			c->lists += n;
		if (!strcmp(type, "CMA"))
			c->lists_cma += n;
	}
	if (file)
		fclose(file);
}

/*
 * The counts agree exactly when nobody allocates while they are read, so they get
 * a few tries: what is lost for good stays lost.
 */
static int sane(void)
{
	struct counts c;
	int i;

	for (i = 0; i < 100; i++) {
		count(&c);
		if (c.free && c.free == c.areas && c.free == c.lists &&
		    c.cma == c.lists_cma && !c.isolated)
			break;
		usleep(50000);
	}
	printf("guest: free %ld, by order %ld, on lists %ld; CMA %ld, on lists %ld; isolated %ld\n",
	       c.free, c.areas, c.lists, c.cma, c.lists_cma, c.isolated);
	return i < 100;
}

static int ended(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status);
}

static void offline_work(unsigned int seed, size_t wanted)
{
	(void)seed;
	_exit(offline(wanted));
}

static void contig_work(unsigned int seed, size_t wanted)
{
	(void)seed;
	_exit(contig(wanted));
}

int main(int argc, char **argv)
{
	int i, status, failed = 0;
	pid_t loads[LOADS], blocks, ranges;
	struct counts before, after;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4) {
		printf("guest: usage: offline BLOCKS RANGES MIB\n");
		return 2;
	}
	/* Not there in every kernel; RANGES fails then. */
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	count(&before);

	for (i = 0; i < LOADS; i++)
		loads[i] = start(load, i + 1, atoi(argv[3]) / LOADS);
	blocks = start(offline_work, 1, atoi(argv[1]));
	ranges = start(contig_work, 2, atoi(argv[2]));
	failed += !ended(blocks);
	failed += !ended(ranges);

	for (i = 0; i < LOADS; i++) {
		if (loads[i] > 0)
			kill(loads[i], SIGKILL);
		if (loads[i] < 0 || waitpid(loads[i], &status, 0) != loads[i] || !WIFSIGNALED(status)) {
			printf("guest: not ok: a load ended by itself\n");
			failed++;
		}
	}
	/* The last pass puts its blocks back. */
	sleep(2);
	if (!sane()) {
		printf("guest: not ok: the counts differ\n");
		failed++;
	}
	count(&after);
	printf("guest: %ld pages less are free than before, %ld of CMA\n",
	       before.free - after.free, before.cma - after.cma);
	return !!failed;
}
