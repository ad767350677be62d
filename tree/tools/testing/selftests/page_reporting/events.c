// SPDX-License-Identifier: GPL-2.0
/*
 * Free page reporting: its trace events
 *
 * They are written to an instance of the ring buffer of the tests' own, with a line
 * for each. That a number is right is known from the counters.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "../kselftest.h"
#include "page_reporting_test.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/page_reporting_test"
#define TRACE		INSTANCE "/trace"
#define EVENT		"page_reporting_"

#define PART		3

/* What a zone may have more than it has counted: see Documentation */
#define LAG		4096

/* Lines that are shown if they are wrong */
#define FEW		5

/**
 * struct told - what the events have said
 * @requests: that there was one for this reason
 * @begins: passes that have begun
 * @ends: and that have ended
 * @batches: that were handed to the device
 * @pages: in them
 * @rest: passes that have left something
 * @registers: of this device
 * @unregisters: of this device
 * @wrong: events that cannot be
 */
struct told {
	unsigned int requests[8];
	long begins, ends, batches, pages, rest, registers, unregisters, wrong;
};

static const char * const reasons[] = {
	"free", "register", "enable", "order", "now", "rest", "error", "hibernation",
};

enum reason { BY_FREE, BY_REGISTER, BY_ENABLE, BY_ORDER, BY_NOW, BY_REST, BY_ERROR };

/* The pass that is under way as one reads: its zone, and what its batches have */
static struct pass {
	bool runs;
	long node, batches, pages, unreported;
	char zone[32];
} pass;

static struct told told;
static unsigned int order;
static long capacity;

/*
 * A line of the trace: "...: page_reporting_NAME: FIELD=VALUE ..."
 */

static bool get_word(const char *line, const char *name, char *value, size_t size)
{
	const char *at = strstr(line, name);
	size_t length;

	*value = 0;
	if (!at || at[-1] != ' ')
		return false;
	at += strlen(name);
	length = strcspn(at, "\n ");
	if (length >= size)
		return false;
	memcpy(value, at, length);
	value[length] = 0;
	return length;
}

/* The value of a field, or -1 if it is none: what is looked for is never negative. */
static long field(const char *line, const char *name)
{
	char word[32], *end;
	long value;

	if (!get_word(line, name, word, sizeof(word)))
		return -1;
	value = strtol(word, &end, 10);
	return *end ? -1 : value;
}

static bool has_word(const char *line, const char *name, const char *wanted)
{
	char word[64];

	return get_word(line, name, word, sizeof(word)) && !strcmp(word, wanted);
}

static bool on_request(const char *line)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (has_word(line, "reason=", reasons[i])) {
			told.requests[i]++;
			return true;
		}
	}
	return false;
}

static bool on_pass_begin(const char *line)
{
	long free = field(line, "free=");

	told.begins++;
	if (pass.runs)
		return false;
	pass = (struct pass) {
		.runs = true,
		.node = field(line, "node="),
		.unreported = field(line, "unreported="),
	};
	return get_word(line, "zone=", pass.zone, sizeof(pass.zone)) && pass.node >= 0 &&
		pass.unreported >= 0 && free > 0 && pass.unreported <= free + LAG &&
		field(line, "order=") == order;
}

static bool in_this_pass(const char *line)
{
	return pass.runs && field(line, "node=") == pass.node &&
		has_word(line, "zone=", pass.zone);
}

static bool on_batch(const char *line)
{
	long blocks = field(line, "blocks="), pages = field(line, "pages=");

	told.batches++;
	told.pages += pages;
	pass.batches++;
	pass.pages += pages;
	return in_this_pass(line) && blocks > 0 && blocks <= capacity &&
		pages >= blocks << order && pages <= blocks << max_order &&
		field(line, "err=") == 0 && field(line, "ns=") > 0;
}

static bool on_pass_end(const char *line)
{
	bool good = in_this_pass(line) && field(line, "pages=") == pass.pages &&
		field(line, "batches=") == pass.batches && field(line, "ns=") > 0;

	told.ends++;
	told.rest += has_word(line, "reason=", "rest");
	pass.runs = false;
	/* Not "error": nothing here makes the device fail. */
	return good && (has_word(line, "reason=", "done") ||
			has_word(line, "reason=", "rest") ||
			has_word(line, "reason=", "memory") ||
			has_word(line, "reason=", "time") ||
			has_word(line, "reason=", "stopped"));
}

static bool on_register(const char *line)
{
	told.registers++;
	return has_word(line, "device=", device) && field(line, "order=") == order &&
		field(line, "capacity=") == capacity;
}

static bool on_unregister(const char *line)
{
	told.unregisters++;
	return has_word(line, "device=", device);
}

static const struct event {
	const char *name;
	bool (*right)(const char *line);
} events[] = {
	{ EVENT "request: ", on_request },
	{ EVENT "pass_begin: ", on_pass_begin },
	{ EVENT "pass_end: ", on_pass_end },
	{ EVENT "batch: ", on_batch },
	{ EVENT "register: ", on_register },
	{ EVENT "unregister: ", on_unregister },
};

static void on_line(const char *line)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		const char *event = strstr(line, events[i].name);

		if (!event)
			continue;
		if (events[i].right(event))
			return;
		break;
	}
	if (told.wrong++ < FEW)
		ksft_print_msg("cannot be: %s", line);
}

/* Tells what the events have said since start_trace(). */
static bool read_trace(void)
{
	FILE *file = fopen(TRACE, "r");
	char line[512];

	put(INSTANCE "/tracing_on", "0");
	memset(&told, 0, sizeof(told));
	pass.runs = false;
	while (file && fgets(line, sizeof(line), file)) {
		if (*line != '#')
			on_line(line);
	}
	if (file)
		fclose(file);
	ksft_print_msg("%ld passes, %ld batches of %ld pages, %ld lines are wrong\n",
		       told.begins, told.batches, told.pages, told.wrong);
	return file && !told.wrong && !pass.runs;
}

/*
 * The instance
 */

static bool own_mount;

static void remove_trace(void)
{
	rmdir(INSTANCE);
	if (own_mount)
		umount(TRACEFS);
	own_mount = false;
}

static bool find_tracefs(void)
{
	if (!access(TRACEFS "/instances", W_OK))
		return true;
	own_mount = !mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	return own_mount && !access(TRACEFS "/instances", W_OK);
}

/* What was said before is forgotten when the file is truncated. */
static int clear_trace(void)
{
	int fd = open(TRACE, O_WRONLY | O_TRUNC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* KSFT_PASS if all that is said from now on can be read by read_trace() */
static int start_trace(void)
{
	int err;

	if (!find_tracefs()) {
		ksft_print_msg("no tracefs with instances at %s: CONFIG_FTRACE is not set\n",
			       TRACEFS);
		return KSFT_SKIP;
	}
	on_exit_do(remove_trace);
	if (mkdir(INSTANCE, 0755) && errno != EEXIST) {
		ksft_print_msg("%s: %s\n", INSTANCE, strerror(errno));
		return KSFT_FAIL;
	}
	err = put(INSTANCE "/buffer_size_kb", "4096");
	err = err ?: clear_trace();
	err = err ?: put(INSTANCE "/events/page_reporting/enable", "1");
	err = err ?: put(INSTANCE "/tracing_on", "1");
	if (err)
		ksft_print_msg("events cannot be enabled: %s\n", strerror(err));
	return err ? KSFT_FAIL : KSFT_PASS;
}

/* The order has been set, and the trace has to agree. */
static int start_stopped(unsigned int wanted_order)
{
	if (set_delay(HOUR) || set_order(wanted_order) || !report_all() || enable(false))
		return KSFT_FAIL;
	order = wanted_order;
	capacity = get_number(CAPACITY);
	return start_trace();
}

/*
 * The tests
 */

static bool equal(const char *what, long said, long counted)
{
	if (said == counted)
		return true;
	ksft_print_msg("%s are %ld by the events, and %ld by the counters\n", what, said, counted);
	return false;
}

static bool as_counted(const struct counters *before)
{
	struct counters c;
	bool good;

	count_now(&c);
	good = read_trace();
	good &= equal("passes", told.begins, c.of[PASSES] - before->of[PASSES]);
	good &= equal("ends of passes", told.ends, told.begins);
	good &= equal("batches", told.batches, c.of[BATCHES] - before->of[BATCHES]);
	good &= equal("pages", told.pages, c.of[PAGES] - before->of[PAGES]);
	return good && told.begins > 0 && told.batches > 0;
}

static struct pieces pieces;

static void drop_pieces(void)
{
	if (pieces.memory)
		munmap(pieces.memory, pieces.count * pieces.size);
	pieces.memory = NULL;
}

/* Every other piece, so that what becomes free is in blocks of this order. */
static bool free_some(unsigned int of_order)
{
	drop_pieces();
	if (!take_pieces(&pieces, available(PART), of_order))
		return false;
	fill_pieces(&pieces, 0, 1, 1);
	free_pieces(&pieces, 0, 2);
	return true;
}

/* All that the counters say is said by the events, and each for itself is right. */
static int report_traced(unsigned int at_order)
{
	struct counters before;
	int result = start_stopped(at_order);
	bool good;

	if (result != KSFT_PASS)
		return result;
	count_now(&before);
	good = free_some(at_order) && !enable(true) && report_all();
	/* Stopped, so that no more is counted than is read. */
	good &= !enable(false);
	return as_counted(&before) && good ? KSFT_PASS : KSFT_FAIL;
}

static int blocks_traced(void)
{
	return report_traced(default_order);
}

static int pages_traced(void)
{
	return report_traced(0);
}

/* With the usual delay there are several passes, and all but the last leave something. */
static int passes_traced(void)
{
	int result = start_stopped(default_order);
	struct counters before;
	bool good;

	if (result != KSFT_PASS)
		return result;
	count_now(&before);
	good = !set_delay(10) && free_some(default_order) && !enable(true) && wait_reported();
	good &= !enable(false) && as_counted(&before);
	ksft_print_msg("%ld passes over a zone have left something\n", told.rest);
	return good && told.rest > 0 && told.requests[BY_REST] > 0 ? KSFT_PASS : KSFT_FAIL;
}

static bool requested(enum reason reason)
{
	if (told.requests[reason])
		return true;
	ksft_print_msg("no request for the reason %s\n", reasons[reason]);
	return false;
}

/* What others free is a request, too: between two reports there is a time for another. */
#define ASKS		10

static int requests_traced(void)
{
	int result = start_stopped(default_order);
	unsigned int i;
	bool good;

	if (result != KSFT_PASS)
		return result;
	good = !enable(true);
	for (i = 0; i < ASKS; i++)
		good = good && report_all() && report_all() && !set_order(default_order);
	good = good && report_all() && free_some(default_order) && report_all();
	good &= read_trace();
	good &= requested(BY_ENABLE) & requested(BY_NOW) & requested(BY_ORDER) &
		requested(BY_FREE);
	if (told.requests[BY_ERROR] || told.registers || told.unregisters)
		good = false;
	return good ? KSFT_PASS : KSFT_FAIL;
}

static int device_traced(void)
{
	int result = start_stopped(default_order), err;
	bool good;

	if (result != KSFT_PASS)
		return result;
	good = !enable(true);
	err = unbind_device();
	if (err == ENOENT || err == ENODEV) {
		ksft_print_msg("device '%s' has not the driver virtio_balloon\n", device);
		return KSFT_SKIP;
	}
	err = err ?: bind_device();
	good = good && !err && report_all() && read_trace() && requested(BY_REGISTER);
	ksft_print_msg("registered %ld times, unregistered %ld times\n", told.registers,
		       told.unregisters);
	return good && told.registers == 1 && told.unregisters == 1 ? KSFT_PASS : KSFT_FAIL;
}

static const struct test tests[] = {
	{ "a report has its passes and batches in the trace", blocks_traced },
	{ "a report of single pages has them, too", pages_traced },
	{ "passes that leave something say so", passes_traced },
	{ "requests have their reasons", requests_traced },
	{ "a device is registered and unregistered", device_traced },
};

int main(void)
{
	run_tests(tests, ARRAY_SIZE(tests));
}
