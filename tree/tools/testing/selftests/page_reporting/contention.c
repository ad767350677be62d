// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: against others that want blocks of free memory
 *
 * A block that is with the device is on no free list. Who looks for one does not
 * find it, and who waits for a range to be free has to wait for the device.
 */
#include <errno.h>
#include <glob.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

/* What a test takes, and the loads meanwhile: one part of what is available */
#define PART		8
#define LOAD_PART	16

static struct pieces pieces;

static void drop_pieces(void)
{
	munmap(pieces.memory, pieces.count * pieces.size);
}

/* Used pages between free ones are moved together, with what they hold. */
static bool compact(unsigned int i)
{
	int err;
	bool good;

	fill_pieces(&pieces, 0, 1, i);
	free_pieces(&pieces, i & 1, 2);
	err = put("/proc/sys/vm/compact_memory", "1");
	if (err)
		ksft_print_msg("compact_memory: %s\n", strerror(err));
	good = !err && intact_pieces(&pieces, !(i & 1), 2, i);
	free_pieces(&pieces, 0, 1);
	return good;
}

static int compaction(void)
{
	long moved = get_field("/proc/vmstat", "pgmigrate_success");
	int result;

	if (access("/proc/sys/vm/compact_memory", W_OK)) {
		ksft_print_msg("CONFIG_COMPACTION is not set\n");
		return KSFT_SKIP;
	}
	if (!take_pieces(&pieces, available(PART), 0))
		return KSFT_FAIL;
	result = stress(available(LOAD_PART), 2, compact);
	drop_pieces();
	moved = get_field("/proc/vmstat", "pgmigrate_success") - moved;
	ksft_print_msg("%ld pages were moved\n", moved);
	return moved > 0 ? result : KSFT_FAIL;
}

#define THP		"/sys/kernel/mm/transparent_hugepage/"

/* Huge pages are used, and broken up by half of each being freed. */
static bool split(unsigned int i)
{
	size_t half = pieces.size / 2, n;

	fill_pieces(&pieces, 0, 1, i);
	if (!intact_pieces(&pieces, 0, 1, i))
		return false;
	for (n = 0; n < pieces.count; n++)
		madvise(pieces.memory + n * pieces.size + half, half, MADV_DONTNEED);
	for (n = 0; n < pieces.count; n++) {
		if (!intact(pieces.memory + n * pieces.size, half, n + i))
			return false;
	}
	free_pieces(&pieces, 0, 1);
	return true;
}

static int thp(void)
{
	long size = get_number(THP "hpage_pmd_size"), huge, splits;
	unsigned int order = 0;
	char enabled[64];
	int result;

	get(THP "enabled", enabled, sizeof(enabled));
	if (size < 0 || strstr(enabled, "[never]")) {
		ksft_print_msg("transparent huge pages are off: '%s'\n", enabled);
		return KSFT_SKIP;
	}
	while (page_size << order < (size_t)size)
		order++;
	huge = get_field("/proc/vmstat", "thp_fault_alloc");
	splits = get_field("/proc/vmstat", "thp_split_pmd");
	if (!take_pieces(&pieces, available(PART), order))
		return KSFT_FAIL;
	result = stress(available(LOAD_PART), 2, split);
	drop_pieces();
	huge = get_field("/proc/vmstat", "thp_fault_alloc") - huge;
	splits = get_field("/proc/vmstat", "thp_split_pmd") - splits;
	ksft_print_msg("%ld huge pages were used, %ld were split\n", huge, splits);
	return huge > 0 && splits > 0 ? result : KSFT_FAIL;
}

#define HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

static long huge_before = -1, huge_size, huge_had;

static void restore_huge(void)
{
	put_number(HUGE_PAGES, huge_before);
}

/* The pool grows by blocks that may be with the device, and shrinks again. */
static bool use_huge(unsigned int i)
{
	long wanted = available(PART) / huge_size, have;
	size_t bytes;
	bool good;
	void *memory;

	put_number(HUGE_PAGES, huge_before + wanted);
	have = get_number(HUGE_PAGES) - huge_before;
	if (have <= 0)
		return have == 0;
	huge_had += have;
	bytes = have * huge_size;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (memory == MAP_FAILED) {
		ksft_print_msg("%ld huge pages: %s\n", have, strerror(errno));
		return false;
	}
	fill(memory, bytes, i);
	good = intact(memory, bytes, i);
	munmap(memory, bytes);
	restore_huge();
	have = get_number(HUGE_PAGES);
	if (have != huge_before)
		ksft_print_msg("%ld huge pages, not %ld\n", have, huge_before);
	return good && have == huge_before;
}

static int hugetlb(void)
{
	int result;

	huge_before = get_number(HUGE_PAGES);
	huge_size = get_field("/proc/meminfo", "Hugepagesize:") * 1024;
	if (huge_before < 0 || huge_size < 0) {
		ksft_print_msg("CONFIG_HUGETLBFS is not set\n");
		return KSFT_SKIP;
	}
	on_exit_do(restore_huge);
	result = stress(available(LOAD_PART), 4, use_huge);
	ksft_print_msg("%ld huge pages were used\n", huge_had);
	return huge_had ? result : KSFT_FAIL;
}

/*
 * Blocks of memory go offline and online
 */

#define BLOCKS		"/sys/devices/system/memory/memory[0-9]*"

/* One that something keeps in use is busy each time: look at others, too. */
#define TRIES		50

static char offline_block[300];
static unsigned int blocks_done;

static void restore_block(void)
{
	if (*offline_block)
		put(offline_block, "online_movable");
	*offline_block = 0;
}

/* 1 if it was offline for a moment, 0 if it could not be, -1 if it stays so */
static int block_offline(const char *dir)
{
	int err;

	snprintf(offline_block, sizeof(offline_block), "%s/state", dir);
	err = put(offline_block, "offline");
	if (err) {
		*offline_block = 0;
		return 0;
	}
	usleep(10000);
	err = put(offline_block, "online_movable");
	if (err) {
		ksft_print_msg("%s: %s\n", offline_block, strerror(err));
		return -1;
	}
	*offline_block = 0;
	return 1;
}

static bool is_movable(const char *dir)
{
	char path[300], zones[64], state[64];

	snprintf(path, sizeof(path), "%s/valid_zones", dir);
	get(path, zones, sizeof(zones));
	snprintf(path, sizeof(path), "%s/state", dir);
	get(path, state, sizeof(state));
	return strstr(zones, "Movable") && !strcmp(state, "online");
}

/* Two blocks in each turn: the first ones that are not busy */
static bool offline_some(unsigned int i)
{
	unsigned int wanted = blocks_done + 2, tries, n;
	glob_t blocks;
	int done = 0;

	if (glob(BLOCKS, 0, NULL, &blocks))
		return false;
	for (tries = 0; tries < TRIES && blocks_done < wanted && done >= 0; tries++) {
		n = (i + tries) % blocks.gl_pathc;
		if (!is_movable(blocks.gl_pathv[n]))
			continue;
		done = block_offline(blocks.gl_pathv[n]);
		blocks_done += done > 0;
	}
	globfree(&blocks);
	return done >= 0;
}

static int memory_offline(void)
{
	unsigned int i, movable = 0;
	glob_t blocks;
	int result;

	if (glob(BLOCKS, 0, NULL, &blocks)) {
		ksft_print_msg("no blocks of memory: CONFIG_MEMORY_HOTPLUG is not set\n");
		return KSFT_SKIP;
	}
	for (i = 0; i < blocks.gl_pathc; i++)
		movable += is_movable(blocks.gl_pathv[i]);
	globfree(&blocks);
	/* The rest has to have room for what is moved out of one. */
	if (movable < 2) {
		ksft_print_msg("%u blocks of movable memory, not 2: boot with movablecore=\n",
			       movable);
		return KSFT_SKIP;
	}
	on_exit_do(restore_block);
	result = stress(available(LOAD_PART), 10, offline_some);
	ksft_print_msg("%u times a block was offline\n", blocks_done);
	return blocks_done ? result : KSFT_FAIL;
}

#define CPU		"/sys/devices/system/cpu/cpu1/online"

static void restore_cpu(void)
{
	put(CPU, "1");
}

/* Its pages go back to the free lists, and passes on it go elsewhere. */
static bool unplug_cpu(unsigned int i)
{
	int err = put(CPU, "0");

	usleep(100000);
	err = err ?: put(CPU, "1");
	if (err)
		ksft_print_msg("%s: %s\n", CPU, strerror(err));
	usleep(100000);
	return !err;
}

static int cpu_hotplug(void)
{
	if (access(CPU, W_OK)) {
		ksft_print_msg("no %s: one CPU, or CONFIG_HOTPLUG_CPU is not set\n", CPU);
		return KSFT_SKIP;
	}
	on_exit_do(restore_cpu);
	return stress(available(LOAD_PART), 10, unplug_cpu);
}

#define CHILDREN	24
#define COMMON		(16 * MIB)

static void *common;

/* Sees what its parent wrote, then writes to a copy, and ends. */
static int child(void *arg)
{
	unsigned long n = (unsigned long)arg, piece = COMMON / CHILDREN / page_size * page_size;
	void *mine = take(piece);

	if (!mine || !intact(common, COMMON, 1))
		return KSFT_FAIL;
	fill((char *)common + n * piece, piece, n);
	fill(mine, piece, n);
	return intact((char *)common + n * piece, piece, n) && intact(mine, piece, n) ?
		KSFT_PASS : KSFT_FAIL;
}

static bool fork_storm(unsigned int i)
{
	pid_t pids[CHILDREN];
	unsigned long n;
	int status = 0;

	for (n = 0; n < CHILDREN; n++)
		pids[n] = start(child, (void *)n);
	for (n = 0; n < CHILDREN; n++)
		status |= ended(pids[n]);
	if (status)
		ksft_print_msg("of %d processes, some ended with the bits of %d, not 0\n",
			       CHILDREN, status);
	return !status && intact(common, COMMON, 1);
}

static int forks(void)
{
	int result;

	common = take(COMMON);
	if (!common)
		return KSFT_FAIL;
	fill(common, COMMON, 1);
	result = stress(available(LOAD_PART), 6, fork_storm);
	munmap(common, COMMON);
	return result;
}

static const struct test tests[] = {
	{ "memory is compacted", compaction },
	{ "transparent huge pages are used and split", thp },
	{ "the pool of huge pages grows and shrinks", hugetlb },
	{ "blocks of memory go offline and online", memory_offline },
	{ "a CPU goes offline and online", cpu_hotplug },
	{ "many processes fork, write and exit", forks },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
