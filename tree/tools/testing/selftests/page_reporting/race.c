// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: all controls at the same time
 *
 * Processes write to each file and read them all, the driver is unbound and bound, and
 * memory is taken, verified and freed. What each write has to say for itself is known
 * from controls.c: here it is what is left when all have ended.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

/* Times that the device goes and comes. If that is slow, fewer in this time. */
#define BINDS		10
#define FEWEST		3
#define SECONDS		60

#define LOAD_PART	16

enum work { STOPPER, ORDERER, DELAYER, REPORTER, READER, WORKERS };

static const char * const names[WORKERS] = {
	"enabled", "order", "delay_ms", "report_now", "reads",
};

/* Written by the processes, read by the test */
static struct shared {
	unsigned long done[WORKERS];	/* times that it was as it has to be */
	unsigned long refused;		/* reports that there was no device for */
	unsigned long wrong;
} *shared;

static pid_t workers[WORKERS];

static void wrong(const char *path, const char *text, int err)
{
	shared->wrong++;
	ksft_print_msg("%s: '%s' (%s)\n", path, text, strerror(err));
}

static void write_one(enum work work, const char *path, long value)
{
	int err = put_number(path, value);
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	if (err)
		wrong(path, text, err);
	else
		shared->done[work]++;
}

/* Most of the time it is not stopped, and now and then not for as long as a pass takes. */
static void write_enabled(void)
{
	write_one(STOPPER, ENABLED, 0);
	usleep(rand() % 5000);
	write_one(STOPPER, ENABLED, 1);
	usleep(rand() % (rand() % 8 ? 50000 : 2000000));
}

static void write_order(void)
{
	write_one(ORDERER, CONTROLS "order", rand() % (max_order + 1));
	usleep(rand() % 20000);
}

static void write_delay(void)
{
	static const long delays[] = { 0, 1, 10, 1000, HOUR };

	write_one(DELAYER, CONTROLS "delay_ms", delays[rand() % ARRAY_SIZE(delays)]);
	usleep(rand() % 20000);
}

static void write_now(void)
{
	int err = report_now();

	if (!err || err == EAGAIN)
		shared->done[REPORTER]++;
	else if (err == ENODEV)
		shared->refused++;
	else
		wrong(REPORT_NOW, "1", err);
	usleep(rand() % 20000);
}

static void read_number(const char *path, long least, long most)
{
	long value = get_number(path);
	char text[32];

	snprintf(text, sizeof(text), "%ld", value);
	if (value < least || value > most)
		wrong(path, text, 0);
}

static void read_files(void)
{
	unsigned long blocks[ORDERS];
	char name[64];
	int err;

	read_number(ENABLED, 0, 1);
	read_number(CONTROLS "order", 0, max_order);
	read_number(CONTROLS "delay_ms", 0, HOUR);
	read_number(CAPACITY, 0, 1 << 20);
	err = get(DEVICE, name, sizeof(name));
	if (err || (strcmp(name, device) && strcmp(name, "none")))
		wrong(DEVICE, name, err);
	if (!read_unreported(blocks))
		wrong(UNREPORTED, "", 0);
	shared->done[READER]++;
}

static void (* const turns[WORKERS])(void) = {
	write_enabled, write_order, write_delay, write_now, read_files,
};

static int work(void *arg)
{
	void (* const *turn)(void) = arg;

	srand(getpid());
	while (shared)
		(*turn)();
	return KSFT_FAIL;
}

static double end;
static unsigned int binds;

static void start_work(void)
{
	unsigned int i;

	end = now() + rounds(SECONDS);
	for (i = 0; i < WORKERS; i++)
		workers[i] = start(work, (void *)&turns[i]);
}

/* All goes on as before, but for nobody who changes it. */
static bool stop_work(void)
{
	bool good = true;
	unsigned int i;

	for (i = 0; i < WORKERS; i++)
		good &= stop(workers[i], names[i]);
	return good && !enable(true) && !set_delay(0) && report_all();
}

/* How long it is there, and how long it is not, is in the same order as a pass. */
static bool rebind(void)
{
	int err;

	usleep(rand() % 600000);
	err = unbind_device();
	usleep(rand() % 200000);
	err = err ?: bind_device();
	binds += !err;
	if (err)
		ksft_print_msg("the device cannot be unbound or bound: %s\n", strerror(err));
	return !err;
}

static bool turn(unsigned int i)
{
	bool good = true;

	if (!i)
		start_work();
	if (now() < end)
		good = rebind();
	if (!good || i == rounds(BINDS) - 1) {
		/* A pass of a slow machine may not have got to its end yet. */
		while (good && !shared->done[REPORTER] && now() < end)
			usleep(10000);
		good &= stop_work();
	}
	return good && !shared->wrong;
}

static bool happened(void)
{
	bool good = binds >= FEWEST;
	unsigned int i;

	for (i = 0; i < WORKERS; i++) {
		ksft_print_msg("%s: %lu times\n", names[i], shared->done[i]);
		good &= shared->done[i] > 0;
	}
	ksft_print_msg("%u binds, %lu times there was no device for a report, %lu errors\n",
		       binds, shared->refused, shared->wrong);
	if (good && shared->refused)
		return true;
	ksft_print_msg("%d or more binds are wanted, and more than 0 of the rest\n", FEWEST);
	return false;
}

/* What was reported and is not any more was used, or has lost its flag. */
static bool agree(const struct counters *c, bool tell)
{
	struct look look;

	look_now(&look);
	if (c->of[REPORTED] == (long)(look.reported + look.small) && !look.stray &&
	    c->of[REPORTED] + c->of[REUSED] <= c->of[PAGES])
		return true;
	if (tell)
		ksft_print_msg("%ld pages are counted as flagged, %lu are, %lu flags are stray\n",
			       c->of[REPORTED], look.reported + look.small, look.stray);
	return false;
}

static int all_at_once(void)
{
	long capacity = get_number(CAPACITY);
	struct counters before, after;
	int result;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	if (access("/sys/bus/virtio/drivers/virtio_balloon/unbind", W_OK)) {
		ksft_print_msg("device '%s' has not the driver virtio_balloon\n", device);
		return KSFT_SKIP;
	}
	count_now(&before);
	result = stress(available(LOAD_PART), BINDS, turn);
	count_now(&after);
	ksft_print_msg("%ld pages in %ld passes\n", after.of[PAGES] - before.of[PAGES],
		       after.of[PASSES] - before.of[PASSES]);
	if (!happened() || !has_value(CAPACITY, capacity) || !report_all() ||
	    after.of[PASSES] <= before.of[PASSES] || after.of[PAGES] <= before.of[PAGES] ||
	    after.of[ERRORS] != before.of[ERRORS])
		return KSFT_FAIL;
	return !enable(false) && settled(agree) ? result : KSFT_FAIL;
}

static const struct test tests[] = {
	{ "controls are written and the device goes and comes under load", all_at_once },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
