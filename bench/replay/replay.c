// SPDX-License-Identifier: GPL-2.0
/*
 * Replays how much memory was free, and says what a rule would have cost: the very rule
 * of the kernel, mm/page_reporting_policy.c, or mainline's, or a fixed wait, or the one
 * who knows the future.
 *
 * replay ours|fixed|mainline|future PRICE_MS WAIT_MS <TRACE
 *
 * Standard input has a line for each change: the time in ms, and MiB that are free. Prints
 * the cost in GiB seconds, GiB seconds held, GiB reported, and in how many batches of 32
 * blocks of 4 MiB. A tick is 60 ms for 2 s, as
 * in a kernel with HZ=250.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#include "page_reporting_policy.h"

#define STEP_MS	5			/* The trace is sampled this often. */
#define MIB	256			/* pages */
#define BATCH	(32UL * 4 * MIB)

static unsigned long *trace, steps;

static void die(const char *why)
{
	fprintf(stderr, "replay: %s\n", why);
	exit(1);
}

static void append(unsigned long pages)
{
	if (!(steps & (steps - 1))) {
		trace = realloc(trace, (steps ? 2 * steps : 1) * sizeof(*trace));
		if (!trace)
			die("no memory");
	}
	trace[steps++] = pages;
}

static void read_trace(void)
{
	unsigned long ms, mib, last = 0;
	char line[256];

	while (fgets(line, sizeof(line), stdin)) {
		if (*line == '#' || *line == '\n')
			continue;
		if (sscanf(line, "%lu %lu", &ms, &mib) != 2)
			die("a line of standard input is not: ms MiB");
		while (steps && steps * STEP_MS < ms)
			append(last);
		last = mib * MIB;
		if (!steps)
			append(last);
		else if (steps * STEP_MS == ms)
			append(last);
	}
	if (steps < 2)
		die("standard input has no trace");
}

/* What each rule has to say at the end of a tick: how much is to be reported now? */
struct rule {
	struct page_reporting_policy policy;
	unsigned long *least, nr, wait;
	unsigned long free, had, due;
};

static unsigned long ours(struct rule *rule, unsigned long free, unsigned long least)
{
	return page_reporting_policy_tick(&rule->policy, free, least, PAGE_REPORTING_PRICE);
}

static unsigned long fixed(struct rule *rule, unsigned long free, unsigned long least)
{
	unsigned long i, lasting = free;

	(void)free;
	rule->least[rule->nr++ % rule->wait] = least;
	for (i = 0; i < rule->wait; i++)
		lasting = min(lasting, rule->least[i]);

	return lasting;
}

/*
 * As 7.3 does: a free requests a pass after the delay. A pass hands over as many batches of
 * each list as are a sixteenth of its blocks, and one more: of 32 blocks of 4 MiB, which is
 * what large free memory is made of. What it leaves is for the pass after the next delay.
 */
static unsigned long mainline(struct rule *rule, unsigned long free, unsigned long least)
{
	rule->had = min(rule->had, least);
	if (!rule->due && free > rule->had && (free > rule->free || least < rule->free))
		rule->due = rule->nr + rule->wait;
	rule->free = free;
	if (rule->due && rule->nr >= rule->due) {
		rule->had = min(free, rule->had + ((free / 16 + BATCH - 1) / BATCH + 1) * BATCH);
		rule->due = rule->had < free ? rule->nr + rule->wait : 0;
	}
	rule->nr++;

	return rule->had;
}

/* Each level's intervals of being free, as a stack. Each pays the less of two prices. */
static double future(double price)
{
	unsigned long (*stack)[2] = calloc(steps, sizeof(*stack)), depth = 0, i;
	double cost = 0;

	if (!stack)
		die("no memory");
	for (i = 1; i <= steps; i++) {
		/* It ends with all that has come free used. */
		unsigned long free = i < steps ? trace[i] : 0, was = trace[i - 1];

		if (free > was) {
			stack[depth][0] = i;
			stack[depth++][1] = free - was;
			continue;
		}
		for (was -= free; was && depth;) {
			unsigned long *top = stack[depth - 1], part = min(was, top[1]);

			cost += part * min(price, (double)(i - top[0]) * STEP_MS / 1000);
			was -= part;
			top[1] -= part;
			if (!top[1])
				depth--;
		}
	}
	free(stack);

	return cost / MIB / 1024;
}

int main(int argc, char **argv)
{
	unsigned long (*next)(struct rule *rule, unsigned long free, unsigned long least);
	unsigned long i, tick, least, most = 0, reported, now, batches = 0;
	double held = 0, refaulted = 0, price;
	struct rule rule = {};

	if (argc != 4)
		die("usage: replay ours|fixed|mainline|future PRICE_MS WAIT_MS <TRACE");
	price = atof(argv[2]) / 1000;
	rule.wait = strtoul(argv[3], NULL, 10) / STEP_MS;
	read_trace();
	for (i = 0; i < steps; i++)
		most = max(most, trace[i]);

	tick = price * 1000 / STEP_MS / PAGE_REPORTING_PRICE;
	if (!strcmp(argv[1], "future")) {
		printf("%.4f 0 0 0\n", future(price));
		return 0;
	} else if (!strcmp(argv[1], "ours")) {
		next = ours;
		page_reporting_policy_init(&rule.policy, most);
		/* What is free at first has been reported. */
		page_reporting_policy_shift(&rule.policy, trace[0]);
	} else if (!strcmp(argv[1], "mainline")) {
		next = mainline;
		rule.had = trace[0];
		rule.free = trace[0];
		tick = 1;
	} else if (!strcmp(argv[1], "fixed") && rule.wait >= 1) {
		next = fixed;
		tick = min(tick, rule.wait);
		rule.wait = rule.wait / tick;
		rule.least = calloc(rule.wait, sizeof(*rule.least));
		if (!rule.least)
			die("no memory");
		for (i = 0; i < rule.wait; i++)
			rule.least[i] = trace[0];
	} else {
		die("no such rule");
	}

	reported = least = trace[0];
	for (i = 1; i < steps; i++) {
		held += (double)(trace[i - 1] - reported) * STEP_MS / 1000;
		reported = min(reported, trace[i]);
		least = min(least, trace[i]);
		if (i % tick)
			continue;
		now = next(&rule, trace[i], least);
		if (now > trace[i])
			die("more is to be reported than is free");
		if (now > reported) {
			refaulted += now - reported;
			batches += (now - reported + BATCH - 1) / BATCH;
			reported = now;
		}
		least = trace[i];
	}
	held /= MIB * 1024;
	refaulted /= MIB * 1024;
	printf("%.4f %.4f %.4f %lu\n", held + price * refaulted, held, refaulted, batches);
	free(rule.least);
	free(trace);

	return 0;
}
