// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: what is counted of it
 *
 * What is compared exactly is looked at while reporting is stopped, until nothing has
 * changed between two looks. Of what others do meanwhile, only that is left.
 */
#include <glob.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

#define NODES		"/sys/devices/system/node/node[0-9]*/vmstat"

#define PART		3
#define LOAD_PART	16

/* All that is free is reported, and nothing more. */
static bool report_and_stop(void)
{
	return !set_delay(HOUR) && report_all() && !enable(false);
}

/*
 * Where it stands
 */

static bool has_all(const struct counters *c, const char *where)
{
	int i;

	for (i = 0; i < COUNTERS; i++) {
		if (c->of[i] < 0) {
			ksft_print_msg("%s: %s is %ld\n", where, counter_names[i], c->of[i]);
			return false;
		}
	}
	return true;
}

/* Only zones that have memory have counters. */
static int all_there(void)
{
	unsigned int i, zones, found = 0;
	struct counters c[ZONES];
	bool good;

	count_now(c);
	good = has_all(c, "/proc/vmstat");
	zones = zones_now(c);
	for (i = 0; i < zones; i++) {
		if (c[i].of[FREE] < 0)
			continue;
		good &= has_all(&c[i], "/proc/zoneinfo");
		found++;
	}
	ksft_print_msg("%u zones with counters\n", found);
	return good && found ? KSFT_PASS : KSFT_FAIL;
}

static void add(struct counters *sum, const struct counters *c)
{
	int i;

	for (i = 0; i < COUNTERS; i++)
		sum->of[i] += c->of[i] > 0 ? c->of[i] : 0;
}

static bool same(const struct counters *c, const struct counters *sum, bool tell)
{
	int i;

	for (i = 0; i < COUNTERS; i++) {
		if (c->of[i] == sum->of[i])
			continue;
		if (tell)
			ksft_print_msg("%s is %ld, and the sum is %ld\n", counter_names[i],
				       c->of[i], sum->of[i]);
		return false;
	}
	return true;
}

static bool zones_add_up(const struct counters *c, bool tell)
{
	struct counters zones[ZONES], sum = {};
	unsigned int i, count = read_counters("/proc/zoneinfo", zones, ZONES);

	for (i = 0; i < count; i++)
		add(&sum, &zones[i]);
	return same(c, &sum, tell);
}

static bool nodes_add_up(const struct counters *c, bool tell)
{
	struct counters node, sum = {};
	glob_t nodes;
	size_t i;

	/* There are none without CONFIG_NUMA. */
	if (glob(NODES, 0, NULL, &nodes))
		return true;
	for (i = 0; i < nodes.gl_pathc; i++) {
		read_counters(nodes.gl_pathv[i], &node, 1);
		add(&sum, &node);
	}
	globfree(&nodes);
	return same(c, &sum, tell);
}

static int sums(void)
{
	bool good = report_and_stop() && settled(zones_add_up) && settled(nodes_add_up);

	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * What is flagged now
 */

static bool part_of_free(const struct counters *c, bool tell)
{
	struct counters zones[ZONES];
	unsigned int i, count = read_counters("/proc/zoneinfo", zones, ZONES);

	for (i = 0; i < count; i++) {
		if (zones[i].of[REPORTED] <= zones[i].of[FREE])
			continue;
		if (tell)
			ksft_print_msg("zone %u of %u: %ld pages are flagged, %ld are free\n", i,
				       count, zones[i].of[REPORTED], zones[i].of[FREE]);
		return false;
	}
	if (tell && !c->of[REPORTED])
		ksft_print_msg("no page is flagged\n");
	return c->of[REPORTED] > 0;
}

static bool as_flagged(const struct counters *c, bool tell)
{
	struct look look;
	long flagged;

	look_now(&look);
	flagged = look.reported + look.small;
	if (flagged == c->of[REPORTED] && !look.stray)
		return true;
	if (tell)
		ksft_print_msg("%ld pages are counted as flagged, %ld are, %lu flags are stray\n",
			       c->of[REPORTED], flagged, look.stray);
	return false;
}

/* Pages in all blocks of the free lists, reported or not */
static long listed(void)
{
	FILE *file = fopen("/proc/buddyinfo", "r");
	unsigned int order;
	char line[512], *word;
	long pages = 0;

	while (file && fgets(line, sizeof(line), file)) {
		word = strstr(line, "zone");
		strtok(word, " ");
		strtok(NULL, " ");
		for (order = 0; (word = strtok(NULL, "\n ")); order++)
			pages += atol(word) << order;
	}
	if (file)
		fclose(file);
	return pages;
}

static bool as_listed(const struct counters *c, bool tell)
{
	long flagged = listed() - (long)unreported(0);

	if (flagged == c->of[REPORTED])
		return true;
	if (tell)
		ksft_print_msg("%ld pages are counted as flagged, %ld are free and reported\n",
			       c->of[REPORTED], flagged);
	return false;
}

/* What was reported and is not flagged any more was used, or has lost its flag. */
static bool balanced(const struct counters *c, bool tell)
{
	if (c->of[REPORTED] + c->of[REUSED] <= c->of[PAGES])
		return true;
	if (tell)
		ksft_print_msg("%ld pages are flagged and %ld were used, only %ld were reported\n",
			       c->of[REPORTED], c->of[REUSED], c->of[PAGES]);
	return false;
}

static bool all_right(void)
{
	return settled(part_of_free) && settled(as_listed) && settled(as_flagged) &&
		settled(balanced);
}

/* Blocks of the usual size, then of all sizes, then some of them in use again. */
static int flagged_now(void)
{
	struct counters c;
	struct pieces p;
	bool good = report_and_stop() && all_right();

	good = good && !set_order(0) && !enable(true) && take_pieces(&p, available(PART), 0);
	if (!good)
		return KSFT_FAIL;
	fill_pieces(&p, 0, 1, 1);
	free_pieces(&p, 0, 2);
	good = report_and_stop() && all_right();
	fill_pieces(&p, 0, 4, 1);
	good = good && all_right();
	munmap(p.memory, p.count * p.size);
	good = good && all_right();
	count_now(&c);
	ksft_print_msg("%ld of %ld free pages are flagged\n", c.of[REPORTED], c.of[FREE]);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * What has happened
 */

static bool between(const char *what, long value, long least, long most)
{
	if (value >= least && value <= most)
		return true;
	ksft_print_msg("%s is %ld, not %ld to %ld\n", what, value, least, most);
	return false;
}

/*
 * Memory is used again: of what was flagged, that much is counted as used. It can be
 * more that has lost its flag, if some was freed beside it, but not less.
 */
static int reused(void)
{
	struct counters before, after;
	long pages, used, lost;
	struct pieces p;
	bool good;

	if (!report_and_stop() || !take_pieces(&p, available(PART), default_order))
		return KSFT_FAIL;
	pages = p.count * p.size / page_size;
	count_now(&before);
	fill_pieces(&p, 0, 1, 1);
	count_now(&after);
	used = after.of[REUSED] - before.of[REUSED];
	lost = before.of[REPORTED] - after.of[REPORTED];
	munmap(p.memory, p.count * p.size);

	ksft_print_msg("%ld pages are taken: %ld are counted as used, %ld less as flagged\n",
		       pages, used, lost);
	/* A block counts as a whole, if only a part of it is used. */
	good = between("of them used", used, pages * MOST / 100,
		       pages + pages / 10 + (8L << max_order));
	good &= between("less flagged", lost, used - (1L << max_order), used + pages / 10);
	good &= after.of[PAGES] == before.of[PAGES];
	return good ? KSFT_PASS : KSFT_FAIL;
}

/* A report of what was freed: in batches that are not larger than they may be. */
static int report_counted(void)
{
	long capacity = get_number(CAPACITY), freed, pages, batches, passes;
	struct counters before, after;
	struct pieces p;
	bool good;

	if (!report_and_stop() || !take_pieces(&p, available(PART), default_order))
		return KSFT_FAIL;
	fill_pieces(&p, 0, 1, 1);
	freed = p.count * p.size / page_size;
	munmap(p.memory, p.count * p.size);
	count_now(&before);
	good = !enable(true) && report_all() && !enable(false);
	count_now(&after);
	pages = after.of[PAGES] - before.of[PAGES];
	batches = after.of[BATCHES] - before.of[BATCHES];
	passes = after.of[PASSES] - before.of[PASSES];

	ksft_print_msg("%ld pages are freed, %ld reported in %ld batches and %ld passes\n",
		       freed, pages, batches, passes);
	good &= between("reported", pages, freed * MOST / 100, after.of[FREE]);
	good &= between("batches", batches, pages / (capacity << max_order),
			(pages >> default_order) + 1);
	/* One for each zone, or more if it had to be asked for again */
	good &= between("passes", passes, 1, ZONES);
	good &= between("errors", after.of[ERRORS] - before.of[ERRORS], 0, 0);
	return good ? KSFT_PASS : KSFT_FAIL;
}

#define SAMPLES		30

static struct counters last;

/* Under load, no event is taken back. */
static bool only_grow(unsigned int turn)
{
	struct counters c;
	unsigned int i;
	int n;

	for (i = 0; i < SAMPLES; i++) {
		count_now(&c);
		for (n = PAGES; n < COUNTERS; n++) {
			if (c.of[n] >= last.of[n])
				continue;
			ksft_print_msg("turn %u: %s is %ld, and was %ld\n", turn,
				       counter_names[n], c.of[n], last.of[n]);
			return false;
		}
		last = c;
		usleep(20000);
	}
	return true;
}

static int events_grow(void)
{
	struct counters first;
	int result, n;

	count_now(&first);
	last = first;
	result = stress(available(LOAD_PART), 4, only_grow);
	count_now(&last);
	for (n = PAGES; n <= BATCHES; n++) {
		ksft_print_msg("%s has grown by %ld\n", counter_names[n],
			       last.of[n] - first.of[n]);
		if (last.of[n] <= first.of[n])
			result = KSFT_FAIL;
	}
	if (last.of[ERRORS] != first.of[ERRORS])
		result = KSFT_FAIL;
	return !enable(false) && all_right() ? result : KSFT_FAIL;
}

static const struct test tests[] = {
	{ "each counter is there, in each zone", all_there },
	{ "the counters of the zones and of the nodes add up", sums },
	{ "what is flagged is what is counted", flagged_now },
	{ "what is used again is counted", reused },
	{ "what is reported is counted", report_counted },
	{ "events only grow", events_grow },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
