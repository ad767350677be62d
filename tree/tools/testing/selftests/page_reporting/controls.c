// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: the files in /sys/kernel/mm/page_reporting
 *
 * While the delay is an hour nothing is reported but what report_now has reported.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

#define NOBODY		65534

/* A part of what is available: enough to be seen, and no pressure */
#define PART		8

static const struct file {
	const char *path;
	mode_t mode;
} files[] = {
	{ ENABLED, 0644 },
	{ CONTROLS "order", 0644 },
	{ CONTROLS "delay_ms", 0644 },
	{ DEVICE, 0444 },
	{ CAPACITY, 0444 },
	{ CONTROLS "busy_ms", 0444 },
	{ UNREPORTED, 0444 },
	{ REPORT_NOW, 0200 },
	{ FORGET, 0200 },
};

static bool is(const char *what, int err, int wanted)
{
	if (err == wanted)
		return true;
	ksft_print_msg("%s gives '%s', not '%s'\n", what, strerror(err), strerror(wanted));
	return false;
}

/*
 * Who may do what
 */

static unsigned int count_files(void)
{
	struct dirent *entry;
	unsigned int count = 0;
	DIR *dir = opendir(CONTROLS);

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

static int modes(void)
{
	unsigned int i, count = count_files();
	bool good = count == ARRAY_SIZE(files);
	struct stat st = {};

	if (!good)
		ksft_print_msg("there are %u files, not %zu\n", count, ARRAY_SIZE(files));
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		if (!stat(files[i].path, &st) && st.st_mode == (S_IFREG | files[i].mode) &&
		    !st.st_uid && !st.st_gid)
			continue;
		ksft_print_msg("%s has mode %o and owner %u.%u, not %o and 0.0\n", files[i].path,
			       st.st_mode, st.st_uid, st.st_gid, S_IFREG | files[i].mode);
		good = false;
	}
	return good ? KSFT_PASS : KSFT_FAIL;
}

/* As somebody to whom the bits of @readers and @writers apply */
static bool kept(mode_t readers, mode_t writers)
{
	bool good = true;
	unsigned int i;
	char text[256];

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		const char *path = files[i].path;
		mode_t mode = files[i].mode;

		if (!is(path, get(path, text, sizeof(text)), mode & readers ? 0 : EACCES) ||
		    (!(mode & writers) && !is(path, put(path, "1"), EACCES)))
			good = false;
	}
	return good;
}

static int as_user(void *arg)
{
	uid_t user = *(uid_t *)arg;

	if (setgid(user) || setuid(user)) {
		ksft_print_msg("setuid: %s\n", strerror(errno));
		return KSFT_FAIL;
	}
	return kept(0004, 0002) ? KSFT_PASS : KSFT_FAIL;
}

static int nobody_refused(void)
{
	uid_t user = NOBODY;

	return ended(start(as_user, &user));
}

static int root_refused(void)
{
	return kept(0400, 0200) ? KSFT_PASS : KSFT_FAIL;
}

/*
 * What is taken, and what is read then
 */

static int enabled_values(void)
{
	static const char * const on[] = { "1", "y", "Y", "t", "T", "on", "oN", "ON", "1\n" };
	static const char * const off[] = { "0", "n", "N", "f", "F", "off", "oF", "OFF", "0\n" };
	static const char * const bad[] = { "2", "-1", "x", " ", "\n", "o", "op", " 1" };
	bool good = true;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(on); i++) {
		good &= takes(ENABLED, off[i], 0);
		good &= takes(ENABLED, on[i], 1);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		good &= refuses(ENABLED, bad[i], EINVAL, 1);
	good &= takes(ENABLED, "0", 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		good &= refuses(ENABLED, bad[i], EINVAL, 0);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/* What one of the two takes is read in both. */
static bool both_take(const char *control, const char *parameter, long value)
{
	return takes_number(control, value + 1) && has_value(parameter, value + 1) &&
		takes_number(parameter, value) && has_value(control, value);
}

static int order_values(void)
{
	const char *control = CONTROLS "order";
	bool good = true;
	unsigned int i;

	for (i = 0; i < max_order; i++)
		good &= both_take(control, ORDER, i);
	good &= takes(control, "0x3", 3) && takes(control, "2\n", 2);
	good &= refuses_number(control, max_order + 1, 2) && refuses_all(control, 2);
	good &= has_value(ORDER, 2);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int delay_values(void)
{
	const char *control = CONTROLS "delay_ms";
	bool good = both_take(control, DELAY, HOUR - 1);

	good &= both_take(control, DELAY, 0) && both_take(control, DELAY, 100);
	good &= takes(control, "0x10", 16) && takes(control, "17\n", 17);
	good &= refuses_all(control, 17);
	good &= has_value(DELAY, 17);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int now_values(void)
{
	static const char * const good_ones[] = { "1", "y", "on", "true", "1\n" };
	static const char * const bad[] = {
		"0", "n", "off", "0\n", "2", "-1", "x", " ", "\n", "o", " 1",
	};
	bool good = report_all();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good_ones); i++) {
		int err = put(REPORT_NOW, good_ones[i]);

		/* It may be too late for something that is freed meanwhile. */
		good &= err == EAGAIN || is(good_ones[i], err, 0);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		good &= is(bad[i], put(REPORT_NOW, bad[i]), EINVAL);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * What there is when there is no device
 */

static bool has_text(const char *path, const char *wanted)
{
	char text[64];
	int err = get(path, text, sizeof(text));

	if (!err && !strcmp(text, wanted))
		return true;
	ksft_print_msg("%s reads '%s' (%s), not '%s'\n", path, text, strerror(err), wanted);
	return false;
}

/* All else works, and is kept for the next device. */
static bool good_without_device(void)
{
	return has_text(DEVICE, "none") && has_value(CAPACITY, 0) &&
		is("report_now", report_now(), ENODEV) && !set_order(1) &&
		takes(ENABLED, "1", 1) && is("report_now", report_now(), ENODEV) &&
		takes(ENABLED, "0", 0) && unreported(0) != ~0UL;
}

static int no_device(void)
{
	long capacity = get_number(CAPACITY);
	bool good;
	int err = unbind_device();

	if (err == ENOENT || err == ENODEV) {
		ksft_print_msg("device '%s' has not the driver virtio_balloon\n", device);
		return KSFT_SKIP;
	}
	good = is("unbind", err, 0) && good_without_device();
	good &= is("bind", bind_device(), 0);
	good &= has_text(DEVICE, device) && has_value(CAPACITY, capacity) && capacity > 0;
	/* Still stopped, and at the order that was set. */
	good &= has_value(ENABLED, 0) && has_value(ORDER, 1);
	good &= is("report_now", report_now(), ENODEV) && !enable(true) && report_all();
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * To stop and to resume
 */

static struct pieces pieces;

/* Takes memory in blocks if possible, instead of what was taken before. */
static bool take_anew(unsigned int order)
{
	if (pieces.memory)
		munmap(pieces.memory, pieces.count * pieces.size);
	return take_pieces(&pieces, available(PART), order);
}

/* Nothing else is free, then, that was not reported. */
static bool take_and_report(unsigned int order)
{
	if (set_delay(HOUR) || !take_anew(order))
		return false;
	fill_pieces(&pieces, 0, 1, 1);
	return report_all();
}

/* Pages of every piece with this step */
static long pages_of(size_t step)
{
	return pieces.count / step * (pieces.size / page_size);
}

static long grown(enum counter counter, const struct counters *before)
{
	struct counters c;

	count_now(&c);
	return c.of[counter] - before->of[counter];
}

/* No pass runs, and no batch is counted. */
static bool at_rest(const struct counters *before)
{
	long pages = grown(PAGES, before), passes = grown(PASSES, before);
	long batches = grown(BATCHES, before);

	if (!pages && !passes && !batches)
		return true;
	ksft_print_msg("while stopped %ld pages are reported in %ld batches and %ld passes\n",
		       pages, batches, passes);
	return false;
}

/* What was reported stays counted, what is freed is reported when it goes on. */
static int stopped(void)
{
	struct counters before, after;
	long freed;
	bool good;

	if (!take_and_report(default_order) || set_delay(10))
		return KSFT_FAIL;
	freed = pages_of(1);
	good = !enable(false) && is("report_now", report_now(), ENODEV);
	count_now(&before);
	free_pieces(&pieces, 0, 1);
	sleep(1);
	good &= at_rest(&before);
	count_now(&after);
	ksft_print_msg("%ld pages are flagged before, %ld after, while %ld are freed\n",
		       before.of[REPORTED], after.of[REPORTED], freed);
	if (!before.of[REPORTED] ||
	    after.of[REPORTED] < before.of[REPORTED] * MOST / 100) {
		ksft_print_msg("%ld or more are wanted\n", before.of[REPORTED] * MOST / 100);
		good = false;
	}
	good &= !enable(true) && wait_counted(PAGES, before.of[PAGES] + freed * MOST / 100);
	return good ? KSFT_PASS : KSFT_FAIL;
}

#define STOPS		12

/* A write of 0 returns when the batch is back: nothing is reported any more. */
static int stop_waits(void)
{
	double end = now() + LONG_ENOUGH / 2;
	struct counters first, before;
	bool good = !set_delay(0) && !set_order(0) && take_anew(0);
	unsigned int i;

	count_now(&first);
	for (i = 0; good && i < rounds(STOPS) && now() < end; i++) {
		fill_pieces(&pieces, 0, 1, i);
		free_pieces(&pieces, i & 1, 2);
		good = !enable(true);
		usleep(rand() % 20000);
		good = good && !enable(false);
		count_now(&before);
		usleep(20000);
		good = good && at_rest(&before);
	}
	ksft_print_msg("stopped %u times, %ld batches\n", i, grown(BATCHES, &first));
	return good && i > 1 && grown(BATCHES, &first) > 0 ? KSFT_PASS : KSFT_FAIL;
}

/*
 * All that is free, now
 */

/*
 * Frees every piece with this step. That has been reported when the write returns, and
 * nothing of it before. Single pages take some time, which is waited for.
 */
static bool now_reports_each(unsigned int order, size_t step)
{
	struct counters before;
	long early, pages;

	if (set_order(order) || !take_and_report(order))
		return false;
	count_now(&before);
	free_pieces(&pieces, 0, step);
	usleep(100000);
	early = grown(PAGES, &before);
	if (!report_all())
		return false;
	pages = grown(PAGES, &before);
	ksft_print_msg("%ld pages are freed, %ld are reported within the delay, %ld now\n",
		       pages_of(step), early, pages);
	if (!early && pages >= pages_of(step) * MOST / 100)
		return true;
	ksft_print_msg("0, and %ld or more are wanted\n", pages_of(step) * MOST / 100);
	return false;
}

static int now_reports(void)
{
	bool good = now_reports_each(default_order, 1);

	good &= now_reports_each(0, 2);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * Pages that are free in zones that no pass has gone over: they are smaller than a
 * batch. A zone that is not is told of, and what it has is not left out.
 */
static unsigned long left_out(const struct counters *before, unsigned int order)
{
	unsigned long pages = 0, batch = get_number(CAPACITY) << order;
	struct counters zones[ZONES];
	unsigned int i, count = zones_now(zones);

	for (i = 0; i < count; i++) {
		long free = zones[i].of[FREE];

		if (free <= 0 || zones[i].of[PASSES] != before[i].of[PASSES])
			continue;
		if ((unsigned long)free > 2 * batch)
			ksft_print_msg("zone %u has %ld free pages and no pass\n", i, free);
		else
			pages += free;
	}
	return pages;
}

/* Reports: others may free a block before the look, but hardly after each of them. */
#define LOOKS		5

/*
 * Pages that may be left after one of them: single ones come and go all the time, the
 * look takes some itself, and a CPU gives back at once what it keeps of them, which is
 * up to 63 (zone_batchsize() with pages of 4 KiB). After others it is more: of a block
 * that a page was taken from none is reported any longer.
 */
#define BATCHSIZE	63

static bool nothing_left(unsigned int order)
{
	unsigned long left, out, least = ~0UL;
	struct counters before[ZONES];
	unsigned int i;

	for (i = 0; i < LOOKS; i++) {
		zones_now(before);
		if (set_order(order) || !report_all())
			return false;
		left = unreported(order);
		out = left_out(before, order);
		if (left <= out)
			return true;
		if (left - out < least)
			least = left - out;
	}
	ksft_print_msg("order %u and above: %lu pages too many left by the best of %u reports\n",
		       order, least, LOOKS);
	return least <= BATCHSIZE;
}

static int now_leaves_nothing(void)
{
	long left;
	bool good;

	/* In small blocks that are not reported, until their order is. */
	if (!take_and_report(0))
		return KSFT_FAIL;
	free_pieces(&pieces, 0, 2);
	good = nothing_left(default_order);
	left = unreported(0);
	ksft_print_msg("%ld pages are left below the order\n", left);
	if (default_order && left < pages_of(4)) {
		ksft_print_msg("%ld or more are wanted\n", pages_of(4));
		good = false;
	}
	good &= nothing_left(default_order / 2) && nothing_left(0);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * A report that does not come to its end
 */

static sig_atomic_t signals;

static void count_signal(int sig)
{
	signals += sig == SIGALRM;
}

/* A signal in a millisecond, and then again in so many, if not 0 */
static void start_signals(long again, int flags)
{
	struct itimerval timer = { { 0, again * 1000 }, { 0, 1000 } };
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void stop_signals(void)
{
	struct itimerval timer = {};

	setitimer(ITIMER_REAL, &timer, NULL);
}

#define INTERRUPTS	20

/*
 * A report that is asked for while there are signals ends with @wanted. How long it
 * takes is up to the hypervisor: it is given as much to do as there is, thousands of
 * single pages, and one that is over before the first signal does not count.
 */
static bool signals_give(int wanted, long again, int flags, struct counters *before)
{
	bool good = !set_order(0) && take_and_report(0), hit = false;
	unsigned int i;
	int err = 0;

	for (i = 0; good && !hit && i < INTERRUPTS; i++) {
		fill_pieces(&pieces, 0, 1, i);
		good = report_all();
		free_pieces(&pieces, 0, 2);
		count_now(before);
		start_signals(again, flags);
		err = report_now();
		stop_signals();
		hit = signals && err == wanted;
	}
	ksft_print_msg("report %u of %ld pages ends after %d signals: %s\n", i, pages_of(2),
		       signals, strerror(err));
	return hit;
}

static int interrupted(void)
{
	struct counters before;

	/* It goes on by itself, with nobody who waits for it. */
	return signals_give(EINTR, 1, 0, &before) &&
		wait_counted(PAGES, before.of[PAGES] + pages_of(2) * MOST / 100) ?
		KSFT_PASS : KSFT_FAIL;
}

/* A program that has asked for that does not see it: the write is made again. */
static int restarted(void)
{
	struct counters before;

	return signals_give(0, 0, SA_RESTART, &before) &&
		grown(PAGES, &before) >= pages_of(2) * MOST / 100 ?
		KSFT_PASS : KSFT_FAIL;
}

/* All that was reported is reported again, and is flagged as before. */
static int forgets(void)
{
	struct counters before;
	long flagged;
	bool good;

	if (!report_all())
		return KSFT_FAIL;
	count_now(&before);
	flagged = before.of[REPORTED];
	good = is("forget", put(FORGET, "0"), EINVAL) &&
	       is("forget", put(FORGET, "1"), 0) && report_all();
	ksft_print_msg("%ld pages are flagged, %ld were reported again\n", flagged,
		       grown(PAGES, &before));
	return good && grown(PAGES, &before) >= flagged * MOST / 100 ? KSFT_PASS : KSFT_FAIL;
}

#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"

/* KiB. A zone that has so much above its min watermark cannot spare its largest blocks. */
#define STEP		4096

static long min_free = -1;

static void restore_min_free(void)
{
	if (min_free >= 0)
		put_number(MIN_FREE, min_free);
	min_free = -1;
}

/* The min watermark is raised to where a zone cannot spare what it is to report again. */
static int short_of_memory(void)
{
	long most = get_field("/proc/meminfo", "MemFree:"), held;
	struct counters before;
	bool good;
	int err = 0;

	min_free = get_number(MIN_FREE);
	on_exit_do(restore_min_free);
	if (min_free < 0 || !report_all())
		return KSFT_FAIL;
	count_now(&before);
	for (held = min_free; !err && held < most; held += STEP) {
		put_number(MIN_FREE, held);
		put(FORGET, "1");
		err = report_now();
	}
	restore_min_free();
	ksft_print_msg("with %ld of %ld KiB held back: %s, deferred %ld times\n",
		       held, most, strerror(err), grown(DEFERRED, &before));
	good = is("report_now", err, EAGAIN) && grown(DEFERRED, &before) > 0;
	return good && report_all() ? KSFT_PASS : KSFT_FAIL;
}

static const struct test tests[] = {
	{ "the files have their modes", modes },
	{ "others than root can read, and not write", nobody_refused },
	{ "root can neither write nor read what has no mode for it", root_refused },
	{ "enabled takes and refuses, and is read", enabled_values },
	{ "order is the parameter, takes and refuses", order_values },
	{ "delay_ms is the parameter, takes and refuses", delay_values },
	{ "report_now takes and refuses", now_values },
	{ "there is no device, and then one again", no_device },
	{ "nothing is reported while it is stopped, all that is freed when it goes on", stopped },
	{ "when it is stopped no batch is under way", stop_waits },
	{ "report_now has what was freed reported, without the delay", now_reports },
	{ "report_now leaves nothing", now_leaves_nothing },
	{ "report_now ends with a signal, the report goes on", interrupted },
	{ "report_now is made again after a signal", restarted },
	{ "what is forgotten is reported again", forgets },
	{ "report_now says when memory is short", short_of_memory },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
