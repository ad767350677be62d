// SPDX-License-Identifier: GPL-2.0
/*
 * intervals MIB HOLD ROUNDS IDLE...: waits for a line on the console, takes MIB of
 * memory, holds it for HOLD ms, frees it and is idle for IDLE ms; ROUNDS times, with
 * one IDLE after the other if there are several. Each line that it says ends with the
 * guest's own time in seconds (CLOCK_MONOTONIC), so that the host knows how late the
 * console is. Between the rounds it does nothing else. It says page reporting's delay
 * at the start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DELAY	"/sys/module/page_reporting/parameters/page_reporting_delay_ms"

static void pause_ms(unsigned int ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&time, NULL);
}

static void say(const char *what)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("guest: %s %ld.%06ld\n", what, (long)now.tv_sec, now.tv_nsec / 1000);
}

static int say_delay(void)
{
	FILE *file = fopen(DELAY, "r");
	unsigned int ms;
	int found;

	found = file && fscanf(file, "%u", &ms) == 1;
	if (file)
		fclose(file);
	if (found)
		printf("guest: delay %u\n", ms);
	return found;
}

/* Takes, holds and frees once. */
static int use(size_t size, size_t page, unsigned int hold, int round)
{
	char what[32], *memory;
	size_t i;

	snprintf(what, sizeof(what), "round %d", round);
	say(what);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("guest: mmap");
		return -1;
	}
	for (i = 0; i < size; i += page)
		memory[i] = 1;
	say("taken");
	pause_ms(hold);
	say("free");
	munmap(memory, size);
	say("freed");
	return 0;
}

int main(int argc, char **argv)
{
	size_t size = (argc > 4 ? strtoul(argv[1], NULL, 10) : 0) << 20;
	int rounds = argc > 4 ? atoi(argv[3]) : 0, idles = argc - 4, round;
	size_t page = sysconf(_SC_PAGESIZE);
	char line[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!size || rounds < 1) {
		printf("guest: usage: intervals MIB HOLD ROUNDS IDLE...\n");
		return 2;
	}
	if (!say_delay()) {
		printf("guest: cannot read %s\n", DELAY);
		return 1;
	}
	printf("guest: waits\n");
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	for (round = 1; round <= rounds; round++) {
		if (use(size, page, atoi(argv[2]), round))
			return 1;
		pause_ms(atoi(argv[4 + (round - 1) % idles]));
	}
	return 0;
}
