// SPDX-License-Identifier: GPL-2.0
/*
 * Shows free page reporting at work: what of the free memory a hypervisor was
 * told of, how fast, and what is left. "page_reporting --help" says the rest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define SETTINGS	"/sys/kernel/mm/page_reporting"
#define UNREPORTED	SETTINGS "/unreported"
#define REPORT_NOW	SETTINGS "/report_now"
#define BUDDYINFO	"/proc/buddyinfo"
#define MEMINFO		"/proc/meminfo"
#define VMSTAT		"/proc/vmstat"
#define ZONEINFO	"/proc/zoneinfo"

/* Part of the interface: --help lists them */
enum exit_code {
	EXIT_OK,
	EXIT_OTHER,
	EXIT_USAGE,
	EXIT_NO_KERNEL,
	EXIT_NO_DEVICE,
	EXIT_STOPPED,
	EXIT_NOT_ROOT,
	EXIT_SHORT,
	EXIT_GOES_ON,
	EXIT_REFUSED,
};

static const char help[] =
"Usage: page_reporting [OPTION]... [log | json | report-now]\n"
"\n"
"Shows free page reporting: what of its free memory this machine has told its\n"
"hypervisor, which can put it to other use until it is needed here again.\n"
"\n"
"  (nothing)    a live view, drawn anew each second; q or Ctrl-C ends it.\n"
"               If the output is no terminal, or TERM is dumb: as log\n"
"  log          a line each second, for logs\n"
"  json         all there is as a JSON object; with --interval or --count, one\n"
"               on each line\n"
"  report-now   report all that is free now, without delay; for root only\n"
"\n"
"  -i, --interval SECONDS   time between two looks, 0.01 to 86400 (1)\n"
"  -c, --count N            end after N looks\n"
"      --no-color           no colors; nor if NO_COLOR is set\n"
"  -h, --help               this text\n"
"\n"
"What the numbers mean, and where they come from. 1 MiB is 1048576 bytes.\n"
"\n"
"  free         memory in free blocks: the blocks of /proc/buddyinfo. Free pages\n"
"               that a CPU keeps for itself are not among them, nor are blocks\n"
"               that are with the device at the moment\n"
"  unreported   the part of it that was not reported since it became free:\n"
"               /sys/kernel/mm/page_reporting/unreported. Behind it: what of it\n"
"               is in blocks of the reporting order and above, and so yet to be\n"
"               reported. Zones short of memory, or smaller than a batch, keep\n"
"               theirs\n"
"  reported     the part of it that was: nr_free_reported of /proc/vmstat. In\n"
"               the table of the orders: free less unreported\n"
"  used         MemTotal of /proc/meminfo, less free\n"
"  order        a block of order N is 2^N pages. Blocks of the reporting order,\n"
"               marked with >, and above are reported; smaller ones never are\n"
"  MiB/s, and totals, from /proc/vmstat:\n"
"    reported   page_reporting_pages: what the device was told of, and took\n"
"    reused     page_reporting_reused: what was in reported blocks that were\n"
"               allocated, or split to allocate a part. A block counts whole\n"
"    passes     page_reporting_passes: passes over a zone; a machine has several\n"
"    batches    page_reporting_batches: lists of blocks handed to the device\n"
"    errors     page_reporting_errors: batches that the device refused\n"
"    deferred   page_reporting_deferred: passes over a zone put off or cut\n"
"               short, because it is short of memory\n"
"  last pass    how long ago page_reporting_passes was seen to change. Passes\n"
"               before this program started are not known to it\n"
"  order, delay, device, capacity (the most blocks in a batch) and whether\n"
"               reporting is on: files of these names in\n"
"               /sys/kernel/mm/page_reporting/\n"
"\n"
"Columns of log: the local time; free, reported and unreported in MiB; MiB/s\n"
"reported and reused; and how many passes, batches, errors and deferred passes\n"
"there were since the line before. Of the first line nothing is before: \"-\".\n"
"\n"
"Names in json are those of the files. \"zones\" is from /proc/zoneinfo, in pages;\n"
"\"total\" is the sum of them. Arrays have an element for each order. \"device\" and\n"
"\"order\" are null if there is none. \"folded\": see the next paragraph.\n"
"\n"
"Counters are kept for each CPU, and what is read can be a second old. json and\n"
"report-now have them summed up before, through /proc/sys/vm/stat_refresh, if\n"
"they may; the live view and log do not, which would wake all CPUs. The files\n"
"are read one after another. What happens in between is in some of them only.\n"
"\n"
"report-now counts all that was reported meanwhile, whoever asked for it. Ctrl-C\n"
"ends the waiting, not the reporting.\n"
"\n"
"Exit codes:\n"
"  0  all is well, or ended with q or Ctrl-C\n"
"  1  another error: a file or a counter is missing, output cannot be written\n"
"  2  wrong usage\n"
"  3  this kernel has no page reporting, or none with statistics\n"
"  4  no device takes reports (log, json and live view: at the last look)\n"
"  5  reporting is stopped (log, json and live view: at the last look)\n"
"  6  only root may do this\n"
"  7  report-now: not all was reported. Memory is short, or so much became free\n"
"     meanwhile that some is left\n"
"  8  report-now: not done yet, and goes on\n"
"  9  report-now: the device or its driver failed\n";

/* In the order of the kernel's documentation. All of them are in each sample. */
enum counter {
	FREE,
	REPORTED_NOW,
	REPORTED,
	REUSED,
	PASSES,
	BATCHES,
	ERRORS,
	DEFERRED,
	NR_COUNTERS,
};

static const char * const counter_name[NR_COUNTERS] = {
	[FREE] = "nr_free_pages",
	[REPORTED_NOW] = "nr_free_reported",
	[REPORTED] = "page_reporting_pages",
	[REUSED] = "page_reporting_reused",
	[PASSES] = "page_reporting_passes",
	[BATCHES] = "page_reporting_batches",
	[ERRORS] = "page_reporting_errors",
	[DEFERRED] = "page_reporting_deferred",
};

struct counters {
	unsigned long long value[NR_COUNTERS];
	unsigned int seen;	/* a bit for each */
};

struct zone {
	int node;
	char name[16];
	unsigned long long present, managed;
	struct counters counters;
};

/* A block of a higher order would be larger than any address space. */
#define MOST_ORDERS	64

/* Blocks for each order, of all zones */
struct blocks {
	unsigned int orders;
	unsigned long long nr[MOST_ORDERS];
};

struct settings {
	long long enabled, order, delay_ms, capacity;
	char device[64];
};

struct sample {
	struct timespec wall;
	double clock;		/* seconds, for differences */
	struct settings settings;
	struct blocks free, unreported;
	struct counters counters;
	unsigned long long total;	/* pages; all memory that is managed */
	struct zone *zones;
	unsigned int nr_zones;
	bool folded;
};

enum mode {
	LIVE,
	LOG,
	JSON,
	REPORT,
};

struct options {
	enum mode mode;
	bool color;
	double interval;
	unsigned long count;	/* 0: no end */
};

/* What is looked at, again and again */
struct view {
	const struct options *opt;
	struct sample now;
	struct counters before;
	double clock_before, started, last_pass;
	unsigned long looks;
	int state;
};

static unsigned long long page_size;

/*
 * The terminal as it was, while it is not. Put back by a signal handler too,
 * so this calls only what one may call.
 */
static struct termios terminal_saved;
static atomic_bool terminal_changed;

/* The cursor is behind what was drawn. */
static atomic_bool screen_drawn;

static void terminal_restore(void)
{
	if (atomic_exchange(&terminal_changed, false))
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal_saved);
}

/* What was shown comes before the reason why nothing follows. */
static void finish_output(void)
{
	fflush(stdout);
	terminal_restore();
}

/* A macro, so that the compiler checks the format and sees that it does not return */
#define fatal(code, fmt, ...)							\
do {										\
	finish_output();							\
	fprintf(stderr, "page_reporting: " fmt "\n", ##__VA_ARGS__);		\
	exit(code);								\
} while (0)

static void flush_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		fatal(EXIT_OTHER, "cannot write the output: %s", strerror(errno));
}

static double clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Memory in pages, for people */
static double mib(unsigned long long pages)
{
	return pages * page_size / 1048576.0;
}

struct text {
	char s[32];
};

static struct text human(unsigned long long pages)
{
	struct text text;

	if (mib(pages) >= 10 * 1024)
		snprintf(text.s, sizeof(text.s), "%.1f GiB", mib(pages) / 1024);
	else
		snprintf(text.s, sizeof(text.s), "%.1f MiB", mib(pages));

	return text;
}

static struct text block_size(unsigned int order)
{
	unsigned long long kib = (page_size << order) >> 10;
	struct text text;

	if (kib < 1024)
		snprintf(text.s, sizeof(text.s), "%llu KiB", kib);
	else
		snprintf(text.s, sizeof(text.s), "%llu MiB", kib >> 10);

	return text;
}

static struct text time_text(const struct timespec *wall)
{
	struct text text;
	struct tm tm;

	localtime_r(&wall->tv_sec, &tm);
	strftime(text.s, sizeof(text.s), "%Y-%m-%dT%H:%M:%S", &tm);

	return text;
}

/*
 * The whole file, to be freed. With large reads: the kernel makes up these files
 * anew for each, and would so for each kilobyte.
 */
static char *read_file(const char *path)
{
	static char buffer[1 << 16];
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;

	if (!file)
		fatal(EXIT_OTHER, "cannot open %s: %s", path, strerror(errno));
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	errno = 0;
	if (getdelim(&text, &room, '\0', file) < 0)
		fatal(EXIT_OTHER, "cannot read %s: %s", path,
		      errno ? strerror(errno) : "it is empty");
	fclose(file);

	return text;
}

static long long read_number(const char *path)
{
	char *text = read_file(path), *end;
	long long number = strtoll(text, &end, 10);

	if (end == text)
		fatal(EXIT_OTHER, "%s holds no number: %s", path, text);
	free(text);

	return number;
}

static void read_device(const char *path, char *name, size_t size)
{
	char *text = read_file(path);

	text[strcspn(text, "\n")] = '\0';
	snprintf(name, size, "%s", text);
	free(text);
}

static void read_settings(struct settings *settings)
{
	settings->enabled = read_number(SETTINGS "/enabled");
	settings->order = read_number(SETTINGS "/order");
	settings->delay_ms = read_number(SETTINGS "/delay_ms");
	settings->capacity = read_number(SETTINGS "/capacity");
	read_device(SETTINGS "/device", settings->device, sizeof(settings->device));
}

static bool has_device(const struct settings *settings)
{
	return strcmp(settings->device, "none");
}

static int state_of(const struct settings *settings)
{
	if (!has_device(settings))
		return EXIT_NO_DEVICE;

	return settings->enabled ? EXIT_OK : EXIT_STOPPED;
}

/* Add a line's numbers, one for each order, to what there is. */
static void add_blocks(const char *path, const char *line, struct blocks *blocks)
{
	unsigned int order;
	char *end;

	for (order = 0; order < MOST_ORDERS; order++) {
		unsigned long long nr = strtoull(line, &end, 10);

		if (end == line)
			break;
		blocks->nr[order] += nr;
		line = end;
	}
	if (!order || line[strspn(line, " \t\n")])
		fatal(EXIT_OTHER, "%s is not understood at: %s", path, line);
	if (blocks->orders && blocks->orders != order)
		fatal(EXIT_OTHER, "%s has lines of %u and of %u orders", path,
		      blocks->orders, order);
	blocks->orders = order;
}

static void read_unreported(struct blocks *blocks)
{
	char *text = read_file(UNREPORTED);

	memset(blocks, 0, sizeof(*blocks));
	add_blocks(UNREPORTED, text, blocks);
	free(text);
}

/* The numbers of a line as "Node 0, zone   Normal      1      0      2" */
static const char *buddyinfo_numbers(const char *line)
{
	const char *name = strstr(line, ", zone ");

	if (!name)
		fatal(EXIT_OTHER, BUDDYINFO " is not understood at: %s", line);
	name += strlen(", zone ");
	name += strspn(name, " ");

	return name + strcspn(name, " ");
}

static void read_free(struct blocks *blocks)
{
	char *text = read_file(BUDDYINFO), *line, *rest = text;

	memset(blocks, 0, sizeof(*blocks));
	while ((line = strsep(&rest, "\n")) && *line)
		add_blocks(BUDDYINFO, buddyinfo_numbers(line), blocks);
	free(text);
}

/* A line as "nr_free_pages 1234" */
struct number {
	char name[64];
	unsigned long long value;
};

static bool parse_number(const char *line, struct number *number)
{
	return sscanf(line, "%63s %llu", number->name, &number->value) == 2;
}

/* Is it one of the counters? */
static void add_counter(const struct number *number, struct counters *counters)
{
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++) {
		if (strcmp(number->name, counter_name[i]))
			continue;
		counters->value[i] = number->value;
		counters->seen |= 1u << i;
	}
}

/* Half of the numbers are worse than none: they look like zeroes. */
static void check_counters(const char *path, const struct counters *counters)
{
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++) {
		if (!(counters->seen & 1u << i))
			fatal(EXIT_OTHER, "%s has no %s: the kernel and this program do not fit",
			      path, counter_name[i]);
	}
}

static void read_vmstat(struct counters *counters)
{
	char *text = read_file(VMSTAT), *line, *rest = text;
	struct number number;

	memset(counters, 0, sizeof(*counters));
	while ((line = strsep(&rest, "\n"))) {
		if (parse_number(line, &number))
			add_counter(&number, counters);
	}
	check_counters(VMSTAT, counters);
	free(text);
}

static unsigned long long read_memtotal(void)
{
	char *text = read_file(MEMINFO);
	char *line = strstr(text, "MemTotal:");
	unsigned long long kib;

	if (!line || sscanf(line, "MemTotal: %llu kB", &kib) != 1)
		fatal(EXIT_OTHER, MEMINFO " has no MemTotal");
	free(text);

	return kib * 1024 / page_size;
}

static struct zone *add_zone(struct sample *sample, const struct zone *zone)
{
	unsigned int nr = sample->nr_zones++;

	sample->zones = realloc(sample->zones, sample->nr_zones * sizeof(*zone));
	if (!sample->zones)
		fatal(EXIT_OTHER, "out of memory");
	sample->zones[nr] = *zone;

	return &sample->zones[nr];
}

/* Zones without memory have no counters, and count for nothing. */
static void sum_zones(struct sample *sample)
{
	unsigned int i, c;

	memset(&sample->counters, 0, sizeof(sample->counters));
	sample->total = 0;
	for (i = 0; i < sample->nr_zones; i++) {
		struct zone *zone = &sample->zones[i];

		if (!zone->present)
			continue;
		check_counters(ZONEINFO, &zone->counters);
		sample->total += zone->managed;
		for (c = 0; c < NR_COUNTERS; c++)
			sample->counters.value[c] += zone->counters.value[c];
	}
}

static void add_to_zone(struct zone *zone, const struct number *number)
{
	if (!strcmp(number->name, "present"))
		zone->present = number->value;
	else if (!strcmp(number->name, "managed"))
		zone->managed = number->value;
	else
		add_counter(number, &zone->counters);
}

static void read_zones(struct sample *sample)
{
	char *text = read_file(ZONEINFO), *line, *rest = text;
	struct zone *zone = NULL;
	struct number number;

	sample->nr_zones = 0;
	while ((line = strsep(&rest, "\n"))) {
		struct zone new = { 0 };

		if (sscanf(line, "Node %d, zone %15s", &new.node, new.name) == 2)
			zone = add_zone(sample, &new);
		else if (zone && parse_number(line, &number))
			add_to_zone(zone, &number);
	}
	sum_zones(sample);
	free(text);
}

/* Have the counters of the CPUs summed up. What keeps it from that is no matter. */
static bool fold_counters(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, "1", 1) == 1;
	close(fd);

	return done;
}

static void check_orders(const struct sample *sample)
{
	if (sample->free.orders != sample->unreported.orders)
		fatal(EXIT_OTHER, BUDDYINFO " has %u orders and " UNREPORTED " has %u",
		      sample->free.orders, sample->unreported.orders);
}

/* Look at all of it once. What should fit together is read at a time. */
static void take_sample(struct sample *sample, enum mode mode)
{
	sample->folded = (mode == JSON || mode == REPORT) && fold_counters();
	read_settings(&sample->settings);
	clock_gettime(CLOCK_REALTIME, &sample->wall);
	sample->clock = clock_seconds();
	read_free(&sample->free);
	read_unreported(&sample->unreported);
	check_orders(sample);
	if (mode == JSON) {
		read_zones(sample);
		return;
	}
	read_vmstat(&sample->counters);
	sample->total = read_memtotal();
}

/* Pages in blocks of this order and above */
static unsigned long long pages_from(const struct blocks *blocks, unsigned int order)
{
	unsigned long long pages = 0;

	for (; order < blocks->orders; order++)
		pages += blocks->nr[order] << order;

	return pages;
}

/* The two files were read one after another: the difference can be below zero. */
static unsigned long long reported_blocks(const struct sample *sample, unsigned int order)
{
	unsigned long long free = sample->free.nr[order];
	unsigned long long unreported = sample->unreported.nr[order];

	return free > unreported ? free - unreported : 0;
}

/* A zone that was taken away takes its counts along. */
static unsigned long long since(const struct counters *before,
				const struct counters *now, enum counter c)
{
	return now->value[c] > before->value[c] ? now->value[c] - before->value[c] : 0;
}

static unsigned long long since_before(const struct view *view, enum counter c)
{
	return since(&view->before, &view->now.counters, c);
}

/* MiB/s since the look before */
static struct text rate(const struct view *view, enum counter c)
{
	double seconds = view->now.clock - view->clock_before;
	struct text text = { "-" };

	if (view->looks && seconds > 0)
		snprintf(text.s, sizeof(text.s), "%.1f", mib(since_before(view, c)) / seconds);

	return text;
}

/* On the screen, these are colors, and take no room. */
#define PLAIN	"\001"
#define GREEN	"\002"
#define YELLOW	"\003"
#define RED	"\004"
#define BOLD	"\005"

static const char * const color_sequence[] = {
	[1] = "\033[0m",
	[2] = "\033[32m",
	[3] = "\033[33m",
	[4] = "\033[1;31m",
	[5] = "\033[1m",
};

/* One line less its end: it is cut, since a line that wraps moves all others. */
static void put_line(const char *line, size_t length, int columns, bool color)
{
	for (; length--; line++) {
		unsigned char c = *line;

		if (!c || c >= ARRAY_SIZE(color_sequence)) {
			if (columns-- > 0)
				putchar(c);
		} else if (color) {
			fputs(color_sequence[c], stdout);
		}
	}
}

static struct winsize screen_size(void)
{
	struct winsize size = { 0 };

	/* A serial line does not know: 0 then. */
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	if (!size.ws_row)
		size.ws_row = 24;
	if (!size.ws_col)
		size.ws_col = 80;

	return size;
}

static unsigned int count_lines(const char *text)
{
	unsigned int lines = 0;

	for (; *text; text++)
		lines += *text == '\n';

	return lines;
}

/*
 * Draw over what is there, in one write, and erase what is left of it. The last
 * column stays empty: terminals do not agree on what follows it.
 */
static void put_screen(const char *text, bool color)
{
	struct winsize size = screen_size();
	unsigned int lines = count_lines(text), row;

	fputs("\033[H", stdout);
	for (row = 1; row <= lines && row <= size.ws_row; row++) {
		size_t length = strcspn(text, "\n");

		if (row > 1)
			putchar('\n');
		if (row == size.ws_row && lines > size.ws_row)
			printf("(%u more lines)", lines - row + 1);
		else
			put_line(text, length, size.ws_col - 1, color);
		fputs("\033[K", stdout);
		text += length + 1;
	}
	fputs("\033[J", stdout);
	screen_drawn = true;
	flush_output();
}

static const char *short_state(int state)
{
	switch (state) {
	case EXIT_NO_DEVICE:
		return RED "no device" PLAIN;
	case EXIT_STOPPED:
		return RED "stopped" PLAIN;
	default:
		return GREEN "on" PLAIN;
	}
}

static void draw_settings(FILE *out, const struct view *view)
{
	const struct settings *settings = &view->now.settings;

	fprintf(out, BOLD "page reporting" PLAIN ": %s", short_state(view->state));
	if (has_device(settings))
		fprintf(out, ", device %s, %lld blocks in a batch", settings->device,
			settings->capacity);
	/* The time without the date */
	fprintf(out, "   %s\n", time_text(&view->now.wall).s + strlen("yyyy-mm-ddT"));
	if (settings->order < 0)
		fprintf(out, "no order yet");
	else
		fprintf(out, "order %lld (blocks of %s) and above", settings->order,
			block_size(settings->order).s);
	fprintf(out, ", delay %lld ms\n", settings->delay_ms);
}

/* The cells of a bar up to here, of which there are so many for all memory */
static int cells(const struct sample *sample, unsigned long long pages, int width)
{
	double part = sample->total ? (double)pages / sample->total : 0;

	return (part < 1 ? part : 1) * width + 0.5;
}

static void draw_run(FILE *out, const char *color, char c, int nr)
{
	fputs(color, out);
	while (nr-- > 0)
		fputc(c, out);
	fputs(PLAIN, out);
}

static void draw_bar(FILE *out, const struct sample *now, unsigned long long free)
{
	int width = screen_size().ws_col - 26;
	int reported, all_free;

	if (width > 100)
		width = 100;
	reported = cells(now, now->counters.value[REPORTED_NOW], width);
	all_free = cells(now, free, width);

	fprintf(out, "memory     %11s [", human(now->total).s);
	draw_run(out, GREEN, '=', reported);
	draw_run(out, YELLOW, '-', all_free - reported);
	draw_run(out, PLAIN, '#', width - (all_free > reported ? all_free : reported));
	fputs("]\n", out);
}

static void draw_memory(FILE *out, const struct sample *now)
{
	unsigned long long free = pages_from(&now->free, 0);
	unsigned long long used = now->total > free ? now->total - free : 0;
	long long order = now->settings.order;

	draw_bar(out, now, free);
	fprintf(out, "# used      %10s\n", human(used).s);
	fprintf(out, "  free      %10s\n", human(free).s);
	fprintf(out, GREEN "=" PLAIN " reported  %10s\n",
		human(now->counters.value[REPORTED_NOW]).s);
	fprintf(out, YELLOW "-" PLAIN " unreported%10s",
		human(pages_from(&now->unreported, 0)).s);
	if (order >= 0)
		fprintf(out, ", %s of it in blocks of order %lld and above",
			human(pages_from(&now->unreported, order)).s, order);
	fputc('\n', out);
}

static void draw_last_pass(FILE *out, const struct view *view)
{
	if (view->last_pass)
		fprintf(out, "last pass seen %.0f s ago\n", view->now.clock - view->last_pass);
	else
		fprintf(out, "no pass seen in %.0f s\n", view->now.clock - view->started);
}

static void draw_counters(FILE *out, const struct view *view)
{
	const unsigned long long *value = view->now.counters.value;

	fputs("              reported      reused   ", out);
	draw_last_pass(out, view);
	fprintf(out, "MiB/s now  %11s %11s   %serrors   %-10llu" PLAIN " passes  %llu\n",
		rate(view, REPORTED).s, rate(view, REUSED).s, value[ERRORS] ? RED : PLAIN,
		value[ERRORS], value[PASSES]);
	fprintf(out, "since boot %11s %11s   deferred %-10llu batches %llu\n\n",
		human(value[REPORTED]).s, human(value[REUSED]).s, value[DEFERRED],
		value[BATCHES]);
}

static void draw_order(FILE *out, const struct sample *now, unsigned int order)
{
	unsigned long long free = now->free.nr[order];
	unsigned long long reported = reported_blocks(now, order);
	unsigned long long unreported = now->unreported.nr[order];

	fprintf(out, "%c %4u %7s %10llu %10llu %10llu %9.1f %9.1f %10.1f\n",
		order == now->settings.order ? '>' : ' ', order, block_size(order).s,
		free, reported, unreported, mib(free << order), mib(reported << order),
		mib(unreported << order));
}

/* From the top: what is not reported is what a low screen leaves out. */
static void draw_orders(FILE *out, const struct sample *now)
{
	unsigned int order;

	fputs("  order   block       free   reported unreported", out);
	fputs("  free MiB  reported unreported\n", out);
	for (order = now->free.orders; order--;)
		draw_order(out, now, order);
}

static void show_live(const struct view *view)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		fatal(EXIT_OTHER, "out of memory");
	draw_settings(out, view);
	draw_memory(out, &view->now);
	draw_counters(out, view);
	draw_orders(out, &view->now);
	if (fclose(out))
		fatal(EXIT_OTHER, "out of memory");
	put_screen(text, view->opt->color);
	free(text);
}

static const char *long_state(int state)
{
	switch (state) {
	case EXIT_NO_DEVICE:
		return "no device takes reports. Give the machine a balloon that does";
	case EXIT_STOPPED:
		return "reporting is stopped. To resume: echo 1 > " SETTINGS "/enabled";
	default:
		return "reporting is on";
	}
}

/* What is wrong is said once, and not in the output, which others may read. */
static void say_state(const struct view *view, int last)
{
	if (view->state != last)
		fprintf(stderr, "page_reporting: %s\n", long_state(view->state));
}

static void log_header(void)
{
	puts("------- time ------ ---------- MiB ---------- --- MiB/s ---- --- since last ---");
	puts("                        free reported   unrep  report reused pass batch err def");
}

static void show_log(const struct view *view)
{
	static const enum counter column[] = { PASSES, BATCHES, ERRORS, DEFERRED };
	static const int width[] = { 4, 5, 3, 3 };
	const struct sample *now = &view->now;
	int rows = screen_size().ws_row - 3;
	unsigned int i;

	/* As vmstat does: there is one on each screen. */
	if (view->looks % (rows > 22 ? rows : 22) == 0)
		log_header();
	printf("%s %8.1f %8.1f %7.1f %7s %6s", time_text(&now->wall).s,
	       mib(pages_from(&now->free, 0)), mib(now->counters.value[REPORTED_NOW]),
	       mib(pages_from(&now->unreported, 0)), rate(view, REPORTED).s,
	       rate(view, REUSED).s);
	for (i = 0; i < ARRAY_SIZE(column); i++) {
		if (view->looks)
			printf(" %*llu", width[i], since_before(view, column[i]));
		else
			printf(" %*s", width[i], "-");
	}
	putchar('\n');
	flush_output();
}

static void json_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < ' ')
			printf("\\u%04x", *s);
		else
			putchar(*s);
	}
	putchar('"');
}

static void json_settings(const struct settings *settings)
{
	printf("\"enabled\": %s, \"device\": ", settings->enabled ? "true" : "false");
	if (has_device(settings))
		json_string(settings->device);
	else
		printf("null");
	if (settings->order >= 0)
		printf(", \"order\": %lld", settings->order);
	else
		printf(", \"order\": null");
	printf(", \"delay_ms\": %lld, \"capacity\": %lld, ", settings->delay_ms,
	       settings->capacity);
}

static void json_blocks(const struct sample *sample)
{
	unsigned int order, orders = sample->free.orders;

	printf("\"free_blocks\": [");
	for (order = 0; order < orders; order++)
		printf("%s%llu", order ? ", " : "", sample->free.nr[order]);
	printf("], \"reported_blocks\": [");
	for (order = 0; order < orders; order++)
		printf("%s%llu", order ? ", " : "", reported_blocks(sample, order));
	printf("], \"unreported_blocks\": [");
	for (order = 0; order < orders; order++)
		printf("%s%llu", order ? ", " : "", sample->unreported.nr[order]);
	printf("], ");
}

static void json_counters(unsigned long long managed, const struct counters *counters)
{
	unsigned int i;

	printf("\"managed\": %llu", managed);
	for (i = 0; i < NR_COUNTERS; i++)
		printf(", \"%s\": %llu", counter_name[i], counters->value[i]);
	putchar('}');
}

static void json_zones(const struct sample *sample)
{
	const char *separator = "";
	unsigned int i;

	printf(", \"zones\": [");
	for (i = 0; i < sample->nr_zones; i++) {
		const struct zone *zone = &sample->zones[i];

		if (!zone->present)
			continue;
		printf("%s{\"node\": %d, \"zone\": \"%s\", ", separator, zone->node, zone->name);
		json_counters(zone->managed, &zone->counters);
		separator = ", ";
	}
	putchar(']');
}

static void show_json(const struct view *view)
{
	const struct sample *now = &view->now;

	printf("{\"time\": %lld.%03ld, \"page_size\": %llu, \"folded\": %s, ",
	       (long long)now->wall.tv_sec, now->wall.tv_nsec / 1000000, page_size,
	       now->folded ? "true" : "false");
	json_settings(&now->settings);
	json_blocks(now);
	printf("\"total\": {");
	json_counters(now->total, &now->counters);
	json_zones(now);
	puts("}");
	flush_output();
}

/*
 * Ctrl-C ends what has no other end: it is no failure. What else ends programs
 * does so, with the terminal as it was.
 */
static void on_signal(int sig)
{
	terminal_restore();
	if (screen_drawn && write(STDOUT_FILENO, "\n", 1) < 0)
		_exit(EXIT_OTHER);
	if (sig == SIGINT)
		_exit(EXIT_OK);
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_signal_call(int sig, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler }, old;

	/* Who started it with nohup does not want it to end. */
	sigaction(sig, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(sig, &action, NULL);
}

/* Keys are not shown and need no Enter. Each time anew: Ctrl-Z has put it back. */
static void terminal_change(void)
{
	struct termios wanted;

	if (!isatty(STDIN_FILENO))
		return;
	if (!terminal_changed && tcgetattr(STDIN_FILENO, &terminal_saved))
		return;
	terminal_changed = true;
	on_signal_call(SIGTSTP, on_signal);
	wanted = terminal_saved;
	wanted.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &wanted);
}

/* Return: true if the user had enough. */
static bool wait_for_key(double until)
{
	struct pollfd keys = { .fd = STDIN_FILENO, .events = POLLIN };
	double left;
	char key;

	while ((left = until - clock_seconds()) > 0) {
		int nr = poll(&keys, terminal_changed, left * 1000 + 1);

		if (nr > 0 && (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
			return true;
	}

	return false;
}

static void look(struct view *view)
{
	int last = view->state;

	take_sample(&view->now, view->opt->mode);
	view->state = state_of(&view->now.settings);
	if (view->looks && since_before(view, PASSES))
		view->last_pass = view->now.clock;

	switch (view->opt->mode) {
	case LIVE:
		terminal_change();
		show_live(view);
		break;
	case LOG:
		say_state(view, last);
		show_log(view);
		break;
	default:
		say_state(view, last);
		show_json(view);
	}
}

static int watch(const struct options *opt)
{
	struct view view = { .opt = opt, .started = clock_seconds() };
	double next = view.started;
	bool enough = false;

	on_signal_call(SIGINT, on_signal);
	on_signal_call(SIGTERM, on_signal);
	on_signal_call(SIGHUP, on_signal);
	on_signal_call(SIGQUIT, on_signal);
	while (!enough) {
		look(&view);
		if (++view.looks == opt->count)
			break;
		view.before = view.now.counters;
		view.clock_before = view.now.clock;
		/* Looks that were missed, as when it was stopped, are not made up for. */
		next += opt->interval;
		if (next < clock_seconds())
			next = clock_seconds();
		enough = wait_for_key(next);
	}
	free(view.now.zones);
	if (opt->mode == LIVE)
		putchar('\n');
	terminal_restore();
	flush_output();
	if (opt->mode == LIVE && !enough)
		say_state(&view, EXIT_OK);

	return enough ? EXIT_OK : view.state;
}

static void on_interrupt(int sig)
{
	(void)sig;	/* that write() returns is all */
}

/* Return: 0, or the error that the kernel has returned. */
static int write_report_now(void)
{
	int fd = open(REPORT_NOW, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0 && (errno == EACCES || errno == EPERM))
		fatal(EXIT_NOT_ROOT, "only root may do this. Run it as root");
	if (fd < 0 && errno == EROFS)
		fatal(EXIT_NOT_ROOT, "/sys is read-only here. Run it outside of the container");
	if (fd < 0)
		fatal(EXIT_OTHER, "cannot open " REPORT_NOW ": %s", strerror(errno));
	on_signal_call(SIGINT, on_interrupt);
	if (write(fd, "1", 1) != 1)
		err = errno;
	close(fd);

	return err;
}

static void fail_report(int err, const struct settings *settings)
{
	int state = state_of(settings);

	switch (err) {
	case ENODEV:
		/* The kernel says the same of a device that is not there and of a stop. */
		if (state != EXIT_OK)
			fatal(state, "%s", long_state(state));
		fatal(EXIT_NO_DEVICE, "there was no device for a moment, or a stop. Try again");
	case EAGAIN:
		fatal(EXIT_SHORT, "not all was reported: memory short or just freed. Try again");
	case ENOMEM:
		fatal(EXIT_SHORT, "no memory for the list of blocks. Free some, try again");
	case ETIMEDOUT:
		fatal(EXIT_GOES_ON, "not done in time. The pass goes on: see page_reporting log");
	case EINTR:
		fatal(EXIT_GOES_ON, "interrupted. The pass goes on: see page_reporting log");
	default:
		fatal(EXIT_REFUSED, "device %s failed: %s. See dmesg, and the hypervisor's log",
		      settings->device, strerror(err));
	}
}

static void show_report(const struct sample *before, const struct sample *after,
			double seconds)
{
	const struct counters *then = &before->counters, *now = &after->counters;
	long long order = after->settings.order;
	unsigned long long all = pages_from(&after->unreported, 0);
	unsigned long long large = order < 0 ? 0 : pages_from(&after->unreported, order);

	printf("reported %s in %.3f s (batches %llu, errors %llu)\n",
	       human(since(then, now, REPORTED)).s, seconds, since(then, now, BATCHES),
	       since(then, now, ERRORS));
	printf("unreported: %s in blocks of order %lld and above, %s in smaller ones\n",
	       human(large).s, order, human(all - large).s);
	flush_output();
}

static int report_now(void)
{
	struct sample before = { 0 }, after = { 0 };
	double start, end;
	int err;

	take_sample(&before, REPORT);
	start = clock_seconds();
	err = write_report_now();
	end = clock_seconds();
	take_sample(&after, REPORT);

	if (!err || since(&before.counters, &after.counters, BATCHES))
		show_report(&before, &after, end - start);
	if (err)
		fail_report(err, &after.settings);

	return EXIT_OK;
}

static void check_kernel(void)
{
	if (!access(SETTINGS, F_OK))
		return;
	if (access("/sys/kernel/mm", F_OK))
		fatal(EXIT_NO_KERNEL, "there is no /sys/kernel/mm. Is sysfs mounted?");
	if (!access("/sys/module/page_reporting", F_OK))
		fatal(EXIT_NO_KERNEL, "%s. A newer one is needed (no " SETTINGS ")",
		      "this kernel's page reporting has no statistics");
	fatal(EXIT_NO_KERNEL, "%s. It needs CONFIG_PAGE_REPORTING (no " SETTINGS ")",
	      "this kernel has no page reporting");
}

static double parse_interval(const char *arg)
{
	char *end;
	double seconds = strtod(arg, &end);

	/* So put that "nan" is refused too */
	if (end == arg || *end || !(seconds >= 0.01 && seconds <= 86400))
		fatal(EXIT_USAGE, "--interval %s: 0.01 to 86400 seconds are possible", arg);

	return seconds;
}

static unsigned long parse_count(const char *arg)
{
	char *end;
	unsigned long count;

	errno = 0;
	count = strtoul(arg, &end, 10);
	if (errno || *arg < '0' || *arg > '9' || *end || !count)
		fatal(EXIT_USAGE, "--count %s: a number from 1 is needed", arg);

	return count;
}

static bool terminal_can_draw(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb");
}

static enum mode parse_mode(int nr, char **word)
{
	if (!nr)
		return terminal_can_draw() ? LIVE : LOG;
	if (nr > 1)
		fatal(EXIT_USAGE, "%s: one command is enough. See --help", word[1]);
	if (!strcmp(*word, "log"))
		return LOG;
	if (!strcmp(*word, "json"))
		return JSON;
	if (!strcmp(*word, "report-now"))
		return REPORT;
	fatal(EXIT_USAGE, "%s: there is no such command. See --help", *word);
}

static void parse_option(struct options *opt, int c)
{
	switch (c) {
	case 'i':
		opt->interval = parse_interval(optarg);
		break;
	case 'c':
		opt->count = parse_count(optarg);
		break;
	case 'n':
		opt->color = false;
		break;
	case 'h':
		fputs(help, stdout);
		flush_output();
		exit(EXIT_OK);
	default:
		fatal(EXIT_USAGE, "see --help");
	}
}

static void parse_options(struct options *opt, int argc, char **argv)
{
	static const struct option options[] = {
		{ "interval", required_argument, NULL, 'i' },
		{ "count", required_argument, NULL, 'c' },
		{ "no-color", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *no_color = getenv("NO_COLOR");
	int c;

	opt->color = !no_color || !*no_color;
	while ((c = getopt_long(argc, argv, "i:c:h", options, NULL)) != -1)
		parse_option(opt, c);
	opt->mode = parse_mode(argc - optind, argv + optind);

	if (opt->mode == REPORT && (opt->interval || opt->count))
		fatal(EXIT_USAGE, "report-now takes no --interval and no --count");
	if (opt->mode == JSON && !opt->interval && !opt->count)
		opt->count = 1;
	if (!opt->interval)
		opt->interval = 1;
}

int main(int argc, char **argv)
{
	struct options opt = { 0 };

	page_size = sysconf(_SC_PAGESIZE);
	/* A frame or a line is one write, which nothing can come between. */
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	parse_options(&opt, argc, argv);
	check_kernel();

	return opt.mode == REPORT ? report_now() : watch(&opt);
}
