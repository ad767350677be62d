// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of free page reporting share.
 *
 * A block on a free list that was reported has PG_reported on its first page, which
 * is PG_uptodate under another name. So /proc/kpageflags shows KPF_UPTODATE for
 * it, besides KPF_BUDDY for all its pages. It does not show where a block ends,
 * but two blocks that could be one are one: free pages side by side make blocks as
 * large as their alignment allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

unsigned int max_order, pageblock_order, default_order;
size_t page_size;
char device[64];

static long default_delay = -1, default_enabled = -1;
static pid_t test_pid;
static void (*undo_more)(void);

/* Writes @value in one go, as these files want it. Returns 0, or an errno. */
int put(const char *path, const char *value)
{
	ssize_t length = strlen(value);
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0 || write(fd, value, length) != length)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err;
}

int put_number(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld\n", value);
	return put(path, text);
}

/* The first line of a file. Returns 0, or an errno. */
int get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY), err = 0;
	ssize_t length = -1;

	if (fd >= 0)
		length = read(fd, text, size - 1);
	if (length < 0)
		err = errno;
	text[length < 0 ? 0 : length] = 0;
	text[strcspn(text, "\n")] = 0;
	if (fd >= 0)
		close(fd);
	return err;
}

/* The number in a file, or -1, which none of the files here reads as. */
long get_number(const char *path)
{
	char text[64], *end;
	long value;

	if (get(path, text, sizeof(text)))
		return -1;
	value = strtol(text, &end, 10);
	return end == text || *end ? -1 : value;
}

/* The number after @name in a file with a name and a number on each line, or -1. */
long get_field(const char *path, const char *name)
{
	char line[256], word[64];
	FILE *file = fopen(path, "r");
	long value, found = -1;

	while (file && found < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %ld", word, &value) == 2 && !strcmp(word, name))
			found = value;
	}
	if (file)
		fclose(file);
	return found;
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * All is as it was found. A pass that was to come after a long delay comes now: it
 * would keep the delay that it was requested with.
 */
static void settle(void)
{
	char name[64];

	get(DEVICE, name, sizeof(name));
	if (strcmp(name, device))
		bind_device();
	put_number(ORDER, default_order);
	put_number(DELAY, default_delay);
	put_number(ENABLED, 1);
	put(REPORT_NOW, "1");
}

/* Whatever has become of the test. */
static void restore(void)
{
	if (getpid() != test_pid)
		return;
	if (undo_more)
		undo_more();
	settle();
	put_number(ENABLED, default_enabled);
}

static void on_signal(int sig)
{
	restore();
	_exit(128 + sig);
}

/* What else has to be undone when the test ends. */
void on_exit_do(void (*undo)(void))
{
	undo_more = undo;
}

int set_order(unsigned int order)
{
	int err = put_number(ORDER, order);

	if (err)
		ksft_print_msg("order %u is refused: %s\n", order, strerror(err));
	return err;
}

int set_delay(unsigned int ms)
{
	int err = put_number(DELAY, ms);

	if (err)
		ksft_print_msg("a delay of %u ms is refused: %s\n", ms, strerror(err));
	return err;
}

int enable(bool on)
{
	int err = put_number(ENABLED, on);

	if (err)
		ksft_print_msg("enabled refuses %d: %s\n", on, strerror(err));
	return err;
}

/* All that is free is reported without a delay. Returns 0, or an errno. */
int report_now(void)
{
	return put(REPORT_NOW, "1");
}

/* The same where it has to succeed, if a zone is not short of memory all the time. */
bool report_all(void)
{
	double end = now() + LONG_ENOUGH;
	int err;

	while ((err = report_now()) == EAGAIN && now() < end)
		usleep(100000);
	if (err)
		ksft_print_msg("report_now: %s\n", strerror(err));
	return !err;
}

#define DRIVER		"/sys/bus/virtio/drivers/virtio_balloon/"

int unbind_device(void)
{
	return put(DRIVER "unbind", device);
}

int bind_device(void)
{
	return put(DRIVER "bind", device);
}

/*
 * What a file with a number takes and refuses
 */

bool has_value(const char *path, long wanted)
{
	long value = get_number(path);

	if (value == wanted)
		return true;
	ksft_print_msg("%s reads %ld, not %ld\n", path, value, wanted);
	return false;
}

bool takes(const char *path, const char *text, long value)
{
	int err = put(path, text);

	if (err)
		ksft_print_msg("%s refuses '%s': %s\n", path, text, strerror(err));
	return !err && has_value(path, value);
}

bool refuses(const char *path, const char *text, int wanted, long stays)
{
	int err = put(path, text);

	if (err != wanted)
		ksft_print_msg("%s: '%s' gives '%s', not '%s'\n", path, text,
			       strerror(err), strerror(wanted));
	return err == wanted && has_value(path, stays);
}

bool takes_number(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return takes(path, text, value);
}

bool refuses_number(const char *path, long value, long stays)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return refuses(path, text, EINVAL, stays);
}

/* What neither an order nor a delay can be. */
bool refuses_all(const char *path, long stays)
{
	static const char * const refused[] = {
		"-1", "-2", "x", "1x", "1 2", "1.5", " ", "\n",
	};
	static const char * const large[] = {
		"4294967296", "18446744073709551615", "18446744073709551616",
		"99999999999999999999999",
	};
	bool good = true;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		good &= refuses(path, refused[i], EINVAL, stays);
	for (i = 0; i < ARRAY_SIZE(large); i++)
		good &= refuses(path, large[i], ERANGE, stays);
	return good;
}

/* PAGE_REPORTING_ROUNDS makes everything last as many times longer. */
unsigned int rounds(unsigned int count)
{
	const char *times = getenv("PAGE_REPORTING_ROUNDS");
	int n = times ? atoi(times) : 1;

	return n > 1 ? count * n : count;
}

/* The largest order: /proc/buddyinfo has a number for each. */
static unsigned int find_max_order(void)
{
	unsigned int orders = 0;
	char line[512], *word;

	if (get("/proc/buddyinfo", line, sizeof(line)))
		return 0;
	word = strstr(line, "zone");
	for (word = strtok(word, " "); word; word = strtok(NULL, " "))
		orders++;
	/* "zone", its name, and the numbers from order 0 */
	return orders > 3 ? orders - 3 : 0;
}

static unsigned int find_pageblock_order(void)
{
	unsigned int order = 0;
	char line[256];
	FILE *file = fopen("/proc/pagetypeinfo", "r");

	while (file && !order && fgets(line, sizeof(line), file))
		sscanf(line, "Page block order: %u", &order);
	if (file)
		fclose(file);
	return order;
}

/* Are there a device, and all that it takes to see what is reported to it? */
static void require(void)
{
	long order;

	if (geteuid())
		ksft_exit_skip("not root\n");
	if (access(ORDER, W_OK))
		ksft_exit_skip("no %s: CONFIG_PAGE_REPORTING is not set\n", ORDER);
	order = get_number(ORDER);
	if (order < 0)
		ksft_exit_skip("no device takes reports: the order is not set\n");
	if (get(DEVICE, device, sizeof(device)) || !strcmp(device, "none"))
		ksft_exit_skip("no device takes reports: there is none\n");
	if (access("/proc/kpageflags", R_OK))
		ksft_exit_skip("no /proc/kpageflags: CONFIG_PROC_PAGE_MONITOR is not set\n");
	default_order = order;
	default_delay = get_number(DELAY);
	default_enabled = get_number(ENABLED);
	max_order = find_max_order();
	pageblock_order = find_pageblock_order();
	page_size = sysconf(_SC_PAGESIZE);
	if (!max_order || max_order >= ORDERS || !pageblock_order || default_delay < 0 ||
	    default_enabled < 0)
		ksft_exit_fail_msg("not understood: orders %u and %u, delay %ld, enabled %ld\n",
				   max_order, pageblock_order, default_delay, default_enabled);
}

void run_tests(const struct test *tests, unsigned int count)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	unsigned int i;

	ksft_print_header();
	require();
	test_pid = getpid();
	atexit(restore);
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], on_signal);

	put_number(ENABLED, 1);
	ksft_set_plan(count);
	for (i = 0; i < count; i++) {
		double begin = now();
		int result = tests[i].run();

		ksft_print_msg("took %.0f s\n", now() - begin);
		ksft_test_result_report(result, "%s\n", tests[i].name);
		settle();
	}
	ksft_finished();
}

/*
 * Looks at the free lists
 */

static bool is_free(uint64_t flags)
{
	return flags & (1ULL << KPF_BUDDY);
}

static bool is_reported(uint64_t flags)
{
	return is_free(flags) && flags & (1ULL << KPF_UPTODATE);
}

/*
 * The order of the block that starts at flags[i], if @run free pages start there.
 * Pageblocks of different types may be free side by side and not be one block.
 */
static unsigned int block_order(const uint64_t *flags, size_t i, size_t run)
{
	unsigned int order = 0;
	size_t block = 1UL << pageblock_order, at;

	while (order < max_order && !(i & (1UL << order)) && run >= 2UL << order)
		order++;
	for (at = block; at < 1UL << order; at += block) {
		if (is_reported(flags[i + at]))
			return pageblock_order;
	}
	return order;
}

/* Counts a block. @seen has a byte for each of its pages: was it reported? */
static void count_block(struct look *look, const uint64_t *flags, size_t pages,
			size_t least, unsigned char *seen)
{
	bool reported = is_reported(flags[0]);
	size_t i;

	if (pages >= least) {
		look->free += pages;
		look->reported += reported ? pages : 0;
	} else if (reported) {
		look->small += pages;
	}
	for (i = 1; i < pages; i++)
		look->stray += is_reported(flags[i]);
	for (i = 0; seen && i < pages; i++) {
		look->fresh += reported && !seen[i];
		seen[i] = reported;
	}
}

/* Counts the @count pages of which these are the flags, a largest block. */
static void count_chunk(struct look *look, const uint64_t *flags, size_t count,
			size_t least, unsigned char *seen)
{
	size_t i, run, pages;

	for (i = 0; i < count; i += pages) {
		pages = 1;
		if (!is_free(flags[i])) {
			if (seen)
				seen[i] = 0;
			continue;
		}
		for (run = 1; i + run < count && is_free(flags[i + run]); run++)
			;
		pages = 1UL << block_order(flags, i, run);
		count_block(look, flags + i, pages, least, seen ? seen + i : NULL);
	}
}

static void look_at(struct look *look, bool again)
{
	static unsigned char *seen;
	static size_t room;
	size_t chunk = 1UL << max_order, least = 1UL << get_number(ORDER), done = 0;
	static uint64_t *flags;
	ssize_t length;
	int fd;

	memset(look, 0, sizeof(*look));
	flags = flags ?: malloc(chunk * sizeof(*flags));
	fd = open("/proc/kpageflags", O_RDONLY);
	if (!flags || fd < 0)
		ksft_exit_fail_perror("/proc/kpageflags");
	while ((length = read(fd, flags, chunk * sizeof(*flags))) > 0) {
		size_t count = length / sizeof(*flags);

		if (again && done + chunk > room) {
			seen = realloc(seen, done + chunk);
			if (!seen)
				ksft_exit_fail_perror("realloc");
			/* What was not looked at counts as reported. */
			memset(seen + room, 1, done + chunk - room);
			room = done + chunk;
		}
		count_chunk(look, flags, count, least, again ? seen + done : NULL);
		done += count;
	}
	close(fd);
}

void look_now(struct look *look)
{
	look_at(look, false);
}

/* Also says what was reported since the last look of this kind, if there was one. */
void look_again(struct look *look)
{
	look_at(look, true);
}

/*
 * Waits until most of what is free in blocks of the reporting order or above is
 * reported, and no flag is where it does not belong. Flags move while one looks, so
 * the two need not be seen in one look at once.
 */
bool wait_reported(void)
{
	double end = now() + LONG_ENOUGH;
	struct look look;

	for (;;) {
		look_now(&look);
		if (look.free && look.reported * 100 >= look.free * MOST && !look.stray)
			return true;
		if (now() > end)
			break;
		usleep(100000);
	}
	ksft_print_msg("after %d s, %lu of %lu free pages are reported, %d %% or more are wanted\n",
		       LONG_ENOUGH, look.reported, look.free, MOST);
	ksft_print_msg("and %lu flags where none should be, 0 are wanted\n", look.stray);
	return false;
}

/*
 * What the kernel counts
 */

const char * const counter_names[COUNTERS] = {
	"nr_free_pages", "nr_free_reported", "page_reporting_pages",
	"page_reporting_reused", "page_reporting_passes", "page_reporting_batches",
	"page_reporting_errors", "page_reporting_deferred",
};

static void read_counter(struct counters *c, const char *line)
{
	char word[64];
	long value;
	int i;

	if (sscanf(line, "%63s %ld", word, &value) != 2)
		return;
	for (i = 0; i < COUNTERS; i++) {
		if (!strcmp(word, counter_names[i]))
			c->of[i] = value;
	}
}

/*
 * Those of each zone in /proc/zoneinfo, which begins with a line "Node", or those of
 * a file that has no such line. Returns how many there are.
 */
unsigned int read_counters(const char *path, struct counters *c, unsigned int room)
{
	FILE *file = fopen(path, "r");
	unsigned int zones = 0;
	char line[256];

	memset(c, -1, room * sizeof(*c));
	while (file && fgets(line, sizeof(line), file)) {
		zones += !strncmp(line, "Node", 4);
		if (zones > room)
			ksft_exit_fail_msg("%s has more than %u zones\n", path, room);
		read_counter(zones ? c + zones - 1 : c, line);
	}
	if (file)
		fclose(file);
	return zones ?: 1;
}

/* Of the whole machine, with what processors have counted for themselves */
void count_now(struct counters *c)
{
	put("/proc/sys/vm/stat_refresh", "1");
	read_counters("/proc/vmstat", c, 1);
}

/* The same of each zone, for ZONES of them. Returns how many there are. */
unsigned int zones_now(struct counters *zones)
{
	put("/proc/sys/vm/stat_refresh", "1");
	return read_counters("/proc/zoneinfo", zones, ZONES);
}

bool wait_counted(enum counter counter, long least)
{
	double end = now() + LONG_ENOUGH;
	struct counters c;

	for (;;) {
		count_now(&c);
		if (c.of[counter] >= least)
			return true;
		if (now() > end)
			break;
		usleep(100000);
	}
	ksft_print_msg("after %d s, %s is %ld, not %ld or more\n", LONG_ENOUGH,
		       counter_names[counter], c.of[counter], least);
	return false;
}

/* Looks until nobody takes or frees memory between two looks. */
#define SETTLES		100

/*
 * Is @check() true at a time when the counters do not change? Others use memory, so
 * more than one look may be needed. In the last one @check() tells what is wrong.
 */
bool settled(bool (*check)(const struct counters *c, bool tell))
{
	struct counters before, after;
	unsigned int i, still = 0;

	for (i = 1; i <= SETTLES; i++) {
		bool good;

		count_now(&before);
		good = check(&before, i == SETTLES);
		count_now(&after);
		if (!memcmp(&before, &after, sizeof(before))) {
			if (good)
				return true;
			still++;
		}
		usleep(20000);
	}
	ksft_print_msg("in %d looks, in %u of which nothing changed\n", SETTLES, still);
	return false;
}

/* Blocks of each order that are free and not reported */
bool read_unreported(unsigned long *blocks)
{
	unsigned int orders = 0;
	char line[512], *word;

	get(UNREPORTED, line, sizeof(line));
	for (word = strtok(line, " "); word && orders < ORDERS; word = strtok(NULL, " "))
		blocks[orders++] = strtoul(word, NULL, 10);
	if (orders == max_order + 1)
		return true;
	ksft_print_msg("unreported has %u numbers, not %u\n", orders, max_order + 1);
	return false;
}

/* Pages in those of @order and above */
unsigned long unreported(unsigned int order)
{
	unsigned long blocks[ORDERS], pages = 0;

	if (!read_unreported(blocks))
		return ~0UL;
	for (; order <= max_order; order++)
		pages += blocks[order] << order;
	return pages;
}

/*
 * Memory and what it holds
 */

/* One part of @parts of what can be had, in bytes */
size_t available(unsigned int parts)
{
	return get_field("/proc/meminfo", "MemAvailable:") * 1024 / parts / MIB * MIB;
}

void *take(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory != MAP_FAILED)
		return memory;
	ksft_print_msg("no %zu bytes: %s\n", bytes, strerror(errno));
	return NULL;
}

/* Words of a cache line: the first one stands for all, as what is lost is pages. */
#define LINE	(64 / sizeof(unsigned long))

static unsigned long pattern(size_t i, unsigned long key)
{
	return (i + 1) * 0x9e3779b9UL ^ key;
}

void fill(void *memory, size_t bytes, unsigned long key)
{
	unsigned long *word = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i += LINE)
		word[i] = pattern(i, key);
	/* It is to be read from there again. */
	asm volatile("" : : : "memory");
}

/* Is that what was filled in? Says what is not. */
bool intact(const void *memory, size_t bytes, unsigned long key)
{
	const unsigned long *word = memory;
	size_t i;

	for (i = 0; i < bytes / sizeof(*word); i += LINE) {
		unsigned long value = word[i];

		if (value == pattern(i, key))
			continue;
		ksft_print_msg("offset %zu of %zu holds %lx, not %lx\n",
			       i * sizeof(*word), bytes, value, pattern(i, key));
		return false;
	}
	return true;
}

bool take_pieces(struct pieces *p, size_t bytes, unsigned int order)
{
	p->size = page_size << order;
	p->count = bytes / p->size;
	p->memory = take((p->count + 1) * p->size);
	if (!p->memory)
		return false;
	/* In blocks if possible, or in pages that are freed one by one */
	p->memory += -(unsigned long)p->memory % p->size;
	madvise(p->memory, p->count * p->size, order ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return true;
}

void fill_pieces(const struct pieces *p, size_t first, size_t step, unsigned long key)
{
	size_t i;

	for (i = first; i < p->count; i += step)
		fill(p->memory + i * p->size, p->size, key + i);
}

bool intact_pieces(const struct pieces *p, size_t first, size_t step, unsigned long key)
{
	size_t i;

	for (i = first; i < p->count; i += step) {
		if (!intact(p->memory + i * p->size, p->size, key + i)) {
			ksft_print_msg("in piece %zu of %zu\n", i, p->count);
			return false;
		}
	}
	return true;
}

void free_pieces(const struct pieces *p, size_t first, size_t step)
{
	size_t i;

	for (i = first; i < p->count; i += step)
		madvise(p->memory + i * p->size, p->size, MADV_DONTNEED);
}

/*
 * Processes
 */

/* Has a process of its own do this, which ends with the test. */
pid_t start(int (*work)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_DFL);
	_exit(work(arg));
}

/* How it ended: what work() returned, or 128 and the signal. */
int ended(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		ksft_exit_fail_perror("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Ends a process that does not end by itself. Returns false if it did. */
bool stop(pid_t pid, const char *who)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) == 0) {
		kill(pid, SIGKILL);
		ended(pid);
		return true;
	}
	ksft_print_msg("%s ended by itself, %s %d\n", who,
		       WIFEXITED(status) ? "exit" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return false;
}

/*
 * Stress: reporting runs nearly all the time, processes take, verify and free
 * memory, one looks at what is reported, and the test does what it is about.
 */

#define LOADS	2

/* Written by the processes, read by the test */
static struct progress {
	unsigned long turns[LOADS];	/* times that memory was filled and verified */
	unsigned long fresh;		/* pages that were seen to become reported */
} *progress;

static pid_t loads[LOADS], watcher;
static size_t load_bytes;
static unsigned long free_before;

/* Another size each time, of huge pages if there are any, and of small ones. */
static int load(void *arg)
{
	unsigned long *turns = arg, key = getpid();
	size_t bytes;
	void *memory;

	srand(key);
	for (;;) {
		bytes = (1 + rand() % (load_bytes / page_size)) * page_size;
		memory = take(bytes);
		if (!memory)
			return KSFT_FAIL;
		madvise(memory, bytes, key & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		fill(memory, bytes, ++key);
		if (!intact(memory, bytes, key))
			return KSFT_FAIL;
		munmap(memory, bytes);
		++*turns;
	}
}

static int watch(void *arg)
{
	struct progress *p = arg;
	struct look look;

	do {
		look_again(&look);
		p->fresh += look.fresh;
	} while (!usleep(300000));
	return KSFT_FAIL;
}

static unsigned long free_pages(void)
{
	/* What processors keep for themselves is not seen as free: add it up. */
	put("/proc/sys/vm/stat_refresh", "1");
	return get_field("/proc/meminfo", "MemFree:") * 1024 / page_size;
}

/* @bytes is the most that the loads take together. */
static bool start_loads(size_t bytes)
{
	unsigned int i;

	if (!progress) {
		progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (progress == MAP_FAILED)
			ksft_exit_fail_perror("mmap");
	}
	memset(progress, 0, sizeof(*progress));
	if (set_delay(0) || set_order(default_order) || !wait_reported())
		return false;
	free_before = free_pages();
	load_bytes = bytes / LOADS;
	for (i = 0; i < LOADS; i++)
		loads[i] = start(load, &progress->turns[i]);
	watcher = start(watch, progress);
	return true;
}

/* Did the loads get on, and was memory reported meanwhile? */
static bool stop_loads(void)
{
	double end = now() + LONG_ENOUGH;
	bool good = true;
	unsigned int i;

	/* The test may have been quick. */
	while (now() < end && !(progress->turns[0] && progress->turns[1] && progress->fresh))
		usleep(100000);
	good &= stop(watcher, "the watcher");
	for (i = 0; i < LOADS; i++)
		good &= stop(loads[i], "a load");
	ksft_print_msg("%lu and %lu turns of the loads, %lu pages seen to become reported\n",
		       progress->turns[0], progress->turns[1], progress->fresh);
	if (progress->turns[0] && progress->turns[1] && progress->fresh)
		return good;
	ksft_print_msg("more than 0 of each are wanted\n");
	return false;
}

/*
 * Is what was free before free again? Not what caches and debug options keep:
 * KASAN, one part in 32 of the memory.
 */
static bool none_lost(void)
{
	unsigned long least = free_before - free_before / 16, left;
	double end = now() + LONG_ENOUGH;

	while ((left = free_pages()) < least) {
		if (now() > end) {
			ksft_print_msg("%lu pages are free, not %lu or more of the %lu before\n",
				       left, least, free_before);
			return false;
		}
		usleep(100000);
	}
	return true;
}

/*
 * Calls @turn() @count times, with loads that take up to @bytes. In every other
 * turn single pages are reported, too.
 */
int stress(size_t bytes, unsigned int count, bool (*turn)(unsigned int i))
{
	bool good = start_loads(bytes);
	unsigned int i;

	if (!good)
		return KSFT_FAIL;
	for (i = 0; good && i < rounds(count); i++) {
		set_order(i & 1 ? 0 : default_order);
		good = turn(i);
		if (!good)
			ksft_print_msg("in turn %u of %u\n", i + 1, rounds(count));
	}
	good &= stop_loads();
	good &= !set_order(default_order) && wait_reported() && none_lost();
	return good ? KSFT_PASS : KSFT_FAIL;
}
