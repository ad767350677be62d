/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of free page reporting share. */
#ifndef PAGE_REPORTING_TEST_H
#define PAGE_REPORTING_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define MIB		(1024UL * 1024)

#define PARAMETERS	"/sys/module/page_reporting/parameters/page_reporting_"
#define ORDER		PARAMETERS "order"
#define DELAY		PARAMETERS "delay_ms"

/* See Documentation/ABI/testing/sysfs-kernel-mm-page_reporting. */
#define CONTROLS	"/sys/kernel/mm/page_reporting/"
#define ENABLED		CONTROLS "enabled"
#define DEVICE		CONTROLS "device"
#define CAPACITY	CONTROLS "capacity"
#define FORGET		CONTROLS "forget"
#define UNREPORTED	CONTROLS "unreported"
#define REPORT_NOW	CONTROLS "report_now"

/* The longest delay, in ms: nothing is reported but what is asked for. */
#define HOUR		3600000

/* The largest order of any architecture is smaller. */
#define ORDERS		32

/* More than a machine for tests has */
#define ZONES		64

/*
 * Seconds that something may take that is sure to happen. It takes one or two
 * when nothing else goes on, but the hypervisor may be slow and busy, and the
 * kernel one for debugging.
 */
#define LONG_ENOUGH	120

/*
 * What has to be reported of the free memory, in percent. The rest is for zones
 * that are too small, or too short of memory, for a full batch to be missing.
 */
#define MOST		90

/**
 * struct look - what the free lists look like, in pages
 * @free: in free blocks of the reporting order and above
 * @reported: in those of them that are reported
 * @small: in smaller blocks that are reported, since the order was smaller once
 * @stray: that have the flag, and are not the first page of a free block
 * @fresh: that are reported, and were not at the last look; see look_again()
 */
struct look {
	unsigned long free;
	unsigned long reported;
	unsigned long small;
	unsigned long stray;
	unsigned long fresh;
};

/**
 * struct pieces - memory in pieces, each with a content of its own
 * @memory: the first piece
 * @size: bytes of a piece
 * @count: number of pieces
 */
struct pieces {
	char *memory;
	size_t size;
	size_t count;
};

enum counter {
	FREE, REPORTED, PAGES, REUSED, PASSES, BATCHES, ERRORS, DEFERRED, COUNTERS
};

/**
 * struct counters - what the kernel has counted
 * @of: for each enum counter, or -1 if there is no such line
 */
struct counters {
	long of[COUNTERS];
};

/**
 * struct test - one TAP result
 * @name: what is tested
 * @run: returns KSFT_PASS, KSFT_FAIL or KSFT_SKIP, and has said the reason
 */
struct test {
	const char *name;
	int (*run)(void);
};

extern unsigned int max_order;		/* of a free block */
extern unsigned int pageblock_order;
extern unsigned int default_order;	/* the reporting order that was found */
extern size_t page_size;
extern char device[64];			/* its name */
extern const char * const counter_names[COUNTERS];

int put(const char *path, const char *value);
int put_number(const char *path, long value);
int get(const char *path, char *text, size_t size);
long get_number(const char *path);
long get_field(const char *path, const char *name);

double now(void);

bool has_value(const char *path, long wanted);
bool takes(const char *path, const char *text, long value);
bool takes_number(const char *path, long value);
bool refuses(const char *path, const char *text, int wanted, long stays);
bool refuses_number(const char *path, long value, long stays);
bool refuses_all(const char *path, long stays);

void run_tests(const struct test *tests, unsigned int count);
void on_exit_do(void (*undo)(void));
unsigned int rounds(unsigned int count);

int set_order(unsigned int order);
int set_delay(unsigned int ms);
int enable(bool on);
int report_now(void);
bool report_all(void);
int unbind_device(void);
int bind_device(void);
void look_now(struct look *look);
void look_again(struct look *look);
bool wait_reported(void);

unsigned int read_counters(const char *path, struct counters *c, unsigned int room);
unsigned int zones_now(struct counters *zones);
void count_now(struct counters *c);
bool wait_counted(enum counter counter, long least);
bool settled(bool (*check)(const struct counters *c, bool tell));
bool read_unreported(unsigned long *blocks);
unsigned long unreported(unsigned int order);

size_t available(unsigned int parts);
void *take(size_t bytes);
void fill(void *memory, size_t bytes, unsigned long key);
bool intact(const void *memory, size_t bytes, unsigned long key);

bool take_pieces(struct pieces *p, size_t bytes, unsigned int order);
void fill_pieces(const struct pieces *p, size_t first, size_t step, unsigned long key);
bool intact_pieces(const struct pieces *p, size_t first, size_t step, unsigned long key);
void free_pieces(const struct pieces *p, size_t first, size_t step);

pid_t start(int (*work)(void *), void *arg);
bool stop(pid_t pid, const char *who);
int ended(pid_t pid);

int stress(size_t bytes, unsigned int count, bool (*turn)(unsigned int i));

#endif
