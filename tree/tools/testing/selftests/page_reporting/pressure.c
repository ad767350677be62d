// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: when memory is short
 *
 * A batch that is with the device is missing while others want memory.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

#define KILLED		(128 + SIGKILL)

/* What the loads take meanwhile, and what is left to the kernel */
#define LOAD		(32 * MIB)
#define SPARE		(32 * MIB)

#define EATERS		2

/* Whoever has to be killed, it should be this process and not the test. */
static void be_killed_first(void)
{
	if (put("/proc/self/oom_score_adj", "1000"))
		_exit(KSFT_FAIL);
}

/* Takes all at once, as far as it is there, and has it verified. */
static int eat(void *arg)
{
	size_t bytes = *(size_t *)arg;
	void *memory;

	be_killed_first();
	memory = take(bytes);
	if (!memory)
		return KSFT_FAIL;
	fill(memory, bytes, getpid());
	return intact(memory, bytes, getpid()) ? KSFT_PASS : KSFT_FAIL;
}

static size_t eaten;

/* Next to all memory is used. There is enough for all, so nobody is killed. */
static bool use_nearly_all(unsigned int i)
{
	pid_t pids[EATERS];
	unsigned int n;
	bool good = true;

	for (n = 0; n < EATERS; n++)
		pids[n] = start(eat, &eaten);
	for (n = 0; n < EATERS; n++) {
		int status = ended(pids[n]);

		if (status) {
			ksft_print_msg("turn %u: one that takes %zu MiB ended with %d, not 0\n",
				       i + 1, eaten / MIB, status);
			good = false;
		}
	}
	return good;
}

static int pressure(void)
{
	size_t spare = LOAD + SPARE;

	if (available(1) < 4 * spare) {
		ksft_print_msg("%zu MiB are available, not %zu\n",
			       available(1) / MIB, 4 * spare / MIB);
		return KSFT_SKIP;
	}
	eaten = (available(1) - spare) / EATERS / page_size * page_size;
	return stress(LOAD, 2, use_nearly_all);
}

/*
 * Takes more and more, in small pages: when a process is killed, its last thousands
 * of pages are freed after the OOM killer has ceased to wait for it. If they are
 * huge, that is all that it had, and another process is killed.
 */
static int eat_all(void *arg)
{
	size_t bytes = *(size_t *)arg;
	void *memory;

	be_killed_first();
	while ((memory = take(bytes))) {
		madvise(memory, bytes, MADV_NOHUGEPAGE);
		fill(memory, bytes, 1);
	}
	return KSFT_FAIL;
}

static bool out_of_memory(unsigned int i)
{
	long kills = get_field("/proc/vmstat", "oom_kill"), more;
	size_t bytes = 4 * MIB;
	int status = ended(start(eat_all, &bytes));

	more = get_field("/proc/vmstat", "oom_kill") - kills;
	ksft_print_msg("turn %u: ended with %d, %ld killed\n", i + 1, status, more);
	if (status == KILLED && more == 1)
		return true;
	ksft_print_msg("%d and 1 are wanted\n", KILLED);
	return false;
}

/* The loads are not killed, and find what they wrote. */
static int oom(void)
{
	return stress(LOAD, 2, out_of_memory);
}

/*
 * A control group with a limit
 */

#define CGROUP_ROOT	"/sys/fs/cgroup"
#define LIMIT		(64 * MIB)

static char group[256], own_mount[64];

static void leave_group(void)
{
	if (*group)
		rmdir(group);
	if (*own_mount) {
		umount(own_mount);
		rmdir(own_mount);
	}
	*group = *own_mount = 0;
}

/* The unified hierarchy, mounted for the test if it is not where it is by custom */
static const char *find_cgroups(void)
{
	if (!access(CGROUP_ROOT "/cgroup.controllers", R_OK))
		return CGROUP_ROOT;
	snprintf(own_mount, sizeof(own_mount), "/tmp/page_reporting.XXXXXX");
	if (!mkdtemp(own_mount) || mount("cgroup2", own_mount, "cgroup2", 0, NULL)) {
		ksft_print_msg("no cgroup2: %s\n", strerror(errno));
		rmdir(own_mount);
		*own_mount = 0;
		return NULL;
	}
	return own_mount;
}

static const char *in_group(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return path;
}

/* KSFT_PASS if there is a group with the limit, which leave_group() removes */
static int make_group(void)
{
	char controllers[256], path[300];
	const char *root = find_cgroups();

	on_exit_do(leave_group);
	if (!root)
		return KSFT_SKIP;
	snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	get(path, controllers, sizeof(controllers));
	if (!strstr(controllers, "memory")) {
		ksft_print_msg("cgroup2 has not the controller memory: '%s'\n", controllers);
		return KSFT_SKIP;
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	snprintf(group, sizeof(group), "%s/page_reporting_test", root);
	if (put(path, "+memory") || mkdir(group, 0755) ||
	    put_number(in_group("memory.max"), LIMIT)) {
		ksft_print_msg("no control group with a limit at %s: %s\n", group, strerror(errno));
		return KSFT_FAIL;
	}
	return KSFT_PASS;
}

/* In the group: what fits in it, then what does not */
static int eat_in_group(void *arg)
{
	if (put(in_group("cgroup.procs"), "0"))
		return KSFT_FAIL;
	return eat(arg);
}

static bool reach_limit(unsigned int i)
{
	size_t fits = LIMIT / 4 * 3, too_much = LIMIT * 2;
	long kills = get_field(in_group("memory.events"), "oom_kill"), more;
	int status, killed;

	status = ended(start(eat_in_group, &fits));
	killed = ended(start(eat_in_group, &too_much));
	more = get_field(in_group("memory.events"), "oom_kill") - kills;
	ksft_print_msg("turn %u: within the limit ended with %d, beyond it with %d, %ld killed\n",
		       i + 1, status, killed, more);
	if (!status && killed == KILLED && more == 1)
		return true;
	ksft_print_msg("0, %d and 1 are wanted\n", KILLED);
	return false;
}

static int cgroup_limit(void)
{
	int result = make_group();

	if (result == KSFT_PASS)
		result = stress(LOAD, 4, reach_limit);
	leave_group();
	return result;
}

static const struct test tests[] = {
	{ "next to all memory is used, and nobody is killed", pressure },
	{ "out of memory, the process that takes it is killed", oom },
	{ "a control group stays within its limit", cgroup_limit },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
