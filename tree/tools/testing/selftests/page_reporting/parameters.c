// SPDX-License-Identifier: GPL-2.0
/* Free page reporting: what its parameters take and refuse */
#include <errno.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

/* An hour, as Documentation/admin-guide/kernel-parameters.txt has it */
#define DELAY_MAX	3600000

/* Neither takes any of these. */
static const char * const refused[] = {
	"-1", "-2", "x", "1x", "1 2", "1.5", " ", "\n", "4294967295", "4294967296",
	"18446744073709551615", "18446744073709551616", "99999999999999999999999",
};

static bool has_value(const char *path, long wanted)
{
	long value = get_number(path);

	if (value == wanted)
		return true;
	ksft_print_msg("%s reads %ld, not %ld\n", path, value, wanted);
	return false;
}

static bool takes(const char *path, const char *text, long value)
{
	int err = put(path, text);

	if (err)
		ksft_print_msg("%s refuses '%s': %s\n", path, text, strerror(err));
	return !err && has_value(path, value);
}

static bool refuses(const char *path, const char *text, long stays)
{
	int err = put(path, text);

	if (err != EINVAL)
		ksft_print_msg("%s: '%s' gives '%s', not '%s'\n", path, text,
			       strerror(err), strerror(EINVAL));
	return err == EINVAL && has_value(path, stays);
}

static bool takes_number(const char *path, long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return takes(path, text, value);
}

static bool refuses_number(const char *path, long value, long stays)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	return refuses(path, text, stays);
}

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
	unsigned int i;

	good &= refuses_number(ORDER, max_order + 1, 1);
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		good &= refuses(ORDER, refused[i], 1);
	return good ? KSFT_PASS : KSFT_FAIL;
}

/*
 * A pass that is requested while the delay is an hour comes in an hour. So the
 * order is one at which none is requested, and nothing is left to be reported.
 */
static bool quiet(void)
{
	return !set_delay(0) && !set_order(max_order) && wait_reported();
}

static int delay_taken(void)
{
	bool good = quiet();

	good &= takes_number(DELAY, DELAY_MAX) && takes_number(DELAY, 0);
	good &= takes_number(DELAY, 1) && takes_number(DELAY, 100);
	good &= takes(DELAY, "0x10", 16) && takes(DELAY, "17\n", 17);
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int delay_refused(void)
{
	bool good = takes_number(DELAY, 100);
	unsigned int i;

	good &= refuses_number(DELAY, DELAY_MAX + 1, 100);
	for (i = 0; i < ARRAY_SIZE(refused); i++)
		good &= refuses(DELAY, refused[i], 100);
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
	{ "delays up to an hour are taken and read", delay_taken },
	{ "other delays are refused and change nothing", delay_refused },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
