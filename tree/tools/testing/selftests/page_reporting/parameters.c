// SPDX-License-Identifier: GPL-2.0
/* Free page reporting: what its parameters take and refuse */
#include "../kselftest.h"
#include "page_reporting_test.h"

static int order_taken(void)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i <= max_order; i++)
		good &= takes_number(ORDER, i);
	good &= takes(ORDER, "0x3", 3) && takes(ORDER, "2\n", 2);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int order_refused(void)
{
	bool good = takes_number(ORDER, 1);

	good &= refuses_number(ORDER, max_order + 1, 1) && refuses_all(ORDER, 1) &&
		refuses(ORDER, "4294967295", EINVAL, 1);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * A pass that is requested while the delay is long comes when that is over. So the
 * order is one at which none is requested, and nothing is left to be reported.
 */
static bool quiet(void)
{
	return !set_delay(0) && !set_order(max_order) && wait_reported();
}

static int delay_taken(void)
{
	bool good = quiet();

	good &= takes_number(DELAY, 0x7fffffff) && takes_number(DELAY, 0);
	good &= takes_number(DELAY, 1) && takes_number(DELAY, 100);
	good &= takes(DELAY, "0x10", 16) && takes(DELAY, "17\n", 17);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int delay_refused(void)
{
	bool good = takes_number(DELAY, 100);

	good &= refuses_all(DELAY, 100);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int order_sane(void)
{
	if (default_order <= max_order)
		return KSFT_PASS;
	ksft_print_msg("the order is %u, not %u or less\n", default_order, max_order);
	return KSFT_FAIL;
}

static const struct test tests[] = {
	{ "the order is that of a free block", order_sane },
	{ "each order is taken and read", order_taken },
	{ "other orders are refused and change nothing", order_refused },
	{ "each delay is taken and read", delay_taken },
	{ "what is no delay is refused and changes nothing", delay_refused },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
