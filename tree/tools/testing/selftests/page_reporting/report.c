// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: what is free is reported, what was reported can be used
 *
 * The tests at the default order come first: small blocks that were reported keep
 * their flag when the order becomes larger.
 */
#include <sys/mman.h>
#include <time.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

#define ROUNDS		3

/* A third of what is free: enough to be seen, and no pressure */
#define PART		3

/* Long enough to be told from what happens at once, and for two waits in it */
#define DELAY_MS	5000

/* How long memory is free in turns, and turns that are enough to learn them */
#define TURN_MS		1000
#define TURNS		4

/* A pass that is not over reports something in this time. */
#define QUIET_MS	1000

/* All that is free gets reported, without anybody freeing anything. */
static int free_reported(void)
{
	struct look look;

	if (set_delay(10) || !wait_reported())
		return KSFT_FAIL;
	look_now(&look);
	ksft_print_msg("%lu of %lu free pages are reported\n", look.reported, look.free);
	return KSFT_PASS;
}

/* In use it does not count as reported, freed it does. */
static int freed_reported(void)
{
	size_t bytes = available(PART), pages = bytes / page_size;
	struct look before, used, freed;
	void *memory = take(bytes);

	if (!memory || set_delay(10) || !wait_reported())
		return KSFT_FAIL;
	look_again(&before);
	fill(memory, bytes, 1);
	look_again(&used);
	munmap(memory, bytes);
	if (!wait_reported())
		return KSFT_FAIL;
	look_again(&freed);

	ksft_print_msg("%zu pages: reported %lu before, %lu when used, %lu when freed, %lu anew\n",
		       pages, before.reported, used.reported, freed.reported, freed.fresh);
	/* Half: some may come from blocks that are too small to be reported. */
	if (used.reported + pages / 2 > before.reported) {
		ksft_print_msg("%lu or fewer are wanted when used\n",
			       before.reported - pages / 2);
		return KSFT_FAIL;
	}
	if (freed.fresh < pages / 2) {
		ksft_print_msg("%zu or more are wanted anew\n", pages / 2);
		return KSFT_FAIL;
	}
	return KSFT_PASS;
}

/*
 * Every other piece is freed, reported, and used again. The content of what is
 * beside it does not change, and its own does not once it is in use.
 */
static bool content_stays(unsigned int order)
{
	struct pieces p;
	unsigned int i;
	bool good = true;

	if (set_delay(0) || set_order(order) || !take_pieces(&p, available(PART), order))
		return false;
	fill_pieces(&p, 0, 1, 0);
	for (i = 1; good && i <= rounds(ROUNDS); i++) {
		free_pieces(&p, 1, 2);
		good = wait_reported() && intact_pieces(&p, 0, 2, 0);
		fill_pieces(&p, 1, 2, i * p.count);
		good &= intact_pieces(&p, 0, 2, 0) && intact_pieces(&p, 1, 2, i * p.count);
	}
	free_pieces(&p, 0, 1);
	return good && wait_reported();
}

static int blocks_used_again(void)
{
	return content_stays(default_order) ? KSFT_PASS : KSFT_FAIL;
}

static int pages_used_again(void)
{
	return content_stays(0) ? KSFT_PASS : KSFT_FAIL;
}

/* Single pages that are free are not reported at a larger order. */
static int small_not_reported(void)
{
	struct look before, after;
	struct pieces p;
	bool good;

	if (!default_order) {
		ksft_print_msg("the order is 0: no block is smaller\n");
		return KSFT_SKIP;
	}
	if (set_delay(0) || !wait_reported() || !take_pieces(&p, available(PART), 0))
		return KSFT_FAIL;
	look_now(&before);
	fill_pieces(&p, 0, 1, 0);
	free_pieces(&p, 1, 2);
	good = wait_reported();
	look_now(&after);
	free_pieces(&p, 0, 1);
	good &= wait_reported();

	ksft_print_msg("%zu single pages free: %lu reported in small blocks before, %lu after\n",
		       p.count / 2, before.small, after.small);
	if (after.small > before.small) {
		ksft_print_msg("no more than before are wanted\n");
		return KSFT_FAIL;
	}
	return good ? KSFT_PASS : KSFT_FAIL;
}

static long ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Looks until the pass that runs is over: nothing is reported any more. */
static void wait_quiet(void)
{
	struct look look;

	look_again(&look);
	do {
		usleep(QUIET_MS * 1000);
		look_again(&look);
	} while (look.fresh);
}

/* What stays free is reported before the delay is over. */
static int delay_kept(void)
{
	size_t bytes = available(PART), pages = bytes / page_size, fresh = 0;
	void *memory = take(bytes);
	struct look look;
	long begin, ms;

	if (!memory)
		return KSFT_FAIL;
	fill(memory, bytes, 1);
	if (set_delay(0) || !wait_reported() || set_delay(DELAY_MS))
		return KSFT_FAIL;
	/* A pass that was requested before may come, and is the last such one. */
	wait_quiet();
	munmap(memory, bytes);
	begin = ms_now();
	do {
		usleep(100000);
		look_again(&look);
		fresh += look.fresh;
		ms = ms_now() - begin;
	} while (fresh < pages / 2 && ms < LONG_ENOUGH * 1000);

	ksft_print_msg("%zu of %zu pages reported %ld ms after they were freed\n",
		       fresh, pages, ms);
	/* A look takes time as well. */
	if (ms > DELAY_MS + 1000 || fresh < pages / 2) {
		ksft_print_msg("%d ms at most are wanted, and %zu pages\n", DELAY_MS, pages / 2);
		return KSFT_FAIL;
	}
	return KSFT_PASS;
}

/* What is used in turns is kept, after some of them. */
static int turns_kept(void)
{
	size_t bytes = available(PART), pages = bytes / page_size, fresh = 0;
	struct look look;
	void *memory;
	int turn;

	if (set_delay(0) || !wait_reported() || set_delay(DELAY_MS))
		return KSFT_FAIL;
	for (turn = 0; turn < 2 * TURNS; turn++) {
		memory = take(bytes);
		if (!memory)
			return KSFT_FAIL;
		fill(memory, bytes, turn);
		look_again(&look);
		munmap(memory, bytes);
		usleep(TURN_MS * 1000);
		look_again(&look);
		if (turn >= TURNS)
			fresh += look.fresh;
	}

	ksft_print_msg("%zu pages reported in %d turns that used %zu each\n", fresh, TURNS,
		       pages);
	return fresh < pages ? KSFT_PASS : KSFT_FAIL;
}

/* The order becomes smaller: what was too small is reported, without a free. */
static int order_change_reports(void)
{
	struct look look;
	bool good;

	if (set_delay(0) || !wait_reported() || set_order(0))
		return KSFT_FAIL;
	good = wait_reported();
	look_now(&look);
	ksft_print_msg("%lu of %lu free pages are reported at order 0\n", look.reported, look.free);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static const struct test tests[] = {
	{ "what is free is reported", free_reported },
	{ "what is freed is reported, what is in use is not", freed_reported },
	{ "blocks smaller than the order are not reported", small_not_reported },
	{ "what is freed is reported before the delay is over", delay_kept },
	{ "what is used in turns is not reported", turns_kept },
	{ "reported blocks are used again, and what is in use stays as it is", blocks_used_again },
	{ "a smaller order has smaller blocks reported", order_change_reports },
	{ "reported pages are used again, and what is in use stays as it is", pages_used_again },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
