// SPDX-License-Identifier: GPL-2.0
/*
 * soak SEED MIB SECONDS: programs that take, change and free memory of all kinds and
 * sizes, up to MIB for each of them, and see that each word of it is what it has to be.
 * All is decided by SEED. How much was verified and what was reported is said every
 * few seconds.
 *
 * What was written is a sequence of words that depends on where it was begun, and no
 * word of it is zero. Memory that is new has to be all zero, and is looked at before it
 * is written to.
 *
 * Under User-mode Linux a page that a program touches first costs a hundred times what
 * it takes to fill it: the kernel populates the memory here, or writes to it first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096ul
#define PROGRAMS	3	/* at a time: one works while another waits for its child */
#define SLOTS		24	/* pieces of memory of a program, two thirds of them in use */
#define SAY		2	/* seconds */
/* Most of what goes through a pipe at once: what it holds without waiting */
#define PIPE		(16 * PAGE)
#define STEP		0x9e3779b97f4a7c15u

/* What the programs and the one that has started them all see */
struct shared {
	volatile int end;
	volatile uint64_t verified[PROGRAMS];
	volatile uint64_t steps[PROGRAMS];
};

/* A file has @valid bytes that were written, and zeroes from there to @size. */
struct piece {
	uint64_t *memory;
	int fd;
	size_t size, valid;
	uint64_t first;
};

static struct shared *shared;
static struct piece pieces[SLOTS];
static uint64_t *buffer;	/* through which files are written and read */
static size_t most;		/* bytes of a piece */
static uint64_t state;		/* of the random numbers */
static int program, pipes[2];

static uint64_t any(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * 0x2545f4914f6cdd1du >> 16) % below;
}

/* All sizes, as many small ones as large ones: some pages up to the most. */
static size_t any_size(void)
{
	size_t size = PAGE << any(16);

	size += any(size / PAGE) * PAGE;
	return size < most ? size : most - any(most / PAGE / 2) * PAGE;
}

static int failed(const char *what)
{
	printf("guest: cannot %s: %s\n", what, strerror(errno));
	return -1;
}

/* The word that stands @offset bytes behind one that is @first. */
static uint64_t word_at(uint64_t first, size_t offset)
{
	return first + offset / sizeof(uint64_t) * STEP;
}

/* An odd number, and then always odd ones with | 1: none is zero. */
static void fill(uint64_t *memory, size_t size, uint64_t word)
{
	size_t i;

	for (i = 0; i < size / sizeof(*memory); i++, word += STEP)
		memory[i] = word | 1;
}

static int holds(const uint64_t *memory, size_t size, uint64_t word, const char *where)
{
	uint64_t start = word, wrong = 0;
	size_t i;

	for (i = 0; i < size / sizeof(*memory); i++, word += STEP)
		wrong |= memory[i] ^ (word | 1);
	for (i = 0; wrong; i++, start += STEP) {
		if (memory[i] == (start | 1))
			continue;
		printf("guest: page %zu holds %llx and not %llx in %s\n",
		       i * sizeof(*memory) / PAGE, (unsigned long long)memory[i],
		       (unsigned long long)(start | 1), where);
		return -1;
	}
	shared->verified[program] += size;
	return 0;
}

static int is_zero(const uint64_t *memory, size_t size, const char *where)
{
	uint64_t wrong = 0;
	size_t i;

	for (i = 0; i < size / sizeof(*memory); i++)
		wrong |= memory[i];
	for (i = 0; wrong; i++) {
		if (!memory[i])
			continue;
		printf("guest: page %zu holds %llx and not zero in %s\n",
		       i * sizeof(*memory) / PAGE, (unsigned long long)memory[i], where);
		return -1;
	}
	shared->verified[program] += size;
	return 0;
}

/*
 * Anonymous memory
 */

/* The kernel writes it, page by page as it is needed, with what comes out of a pipe. */
static int write_by_kernel(char *memory, size_t size, uint64_t word)
{
	size_t done, part;

	for (done = 0; done < size; done += part) {
		part = size - done < PIPE ? size - done : PIPE;
		fill(buffer, part, word_at(word, done));
		if (write(pipes[1], buffer, part) != (ssize_t)part ||
		    read(pipes[0], memory + done, part) != (ssize_t)part)
			return failed("use a pipe");
	}
	return 0;
}

/* What is new from @offset on is zero, and is filled. */
static int fill_new(struct piece *piece, size_t offset, size_t size)
{
	uint64_t *memory = piece->memory + offset / sizeof(uint64_t);

	if (madvise(memory, size, MADV_POPULATE_WRITE))
		return failed("populate memory");
	if (is_zero(memory, size, "new memory"))
		return -1;
	fill(memory, size, word_at(piece->first, offset));
	return 0;
}

static int take_memory(struct piece *piece)
{
	piece->memory = mmap(NULL, piece->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (piece->memory == MAP_FAILED)
		return failed("map memory");
	if (any(3))
		return fill_new(piece, 0, piece->size);
	return write_by_kernel((char *)piece->memory, piece->size, piece->first);
}

static int verify_memory(const struct piece *piece)
{
	return holds(piece->memory, piece->size, piece->first, "memory");
}

/* Some pages go, at the front. */
static int drop_head(struct piece *piece)
{
	size_t size = any(piece->size / PAGE) * PAGE;

	if (size && munmap(piece->memory, size))
		return failed("unmap memory");
	piece->memory += size / sizeof(uint64_t);
	piece->first = word_at(piece->first, size);
	piece->size -= size;
	return 0;
}

/* It becomes smaller or larger, and may have to go to another place. */
static int resize_memory(struct piece *piece)
{
	size_t old = piece->size, size = any_size();
	void *memory = mremap(piece->memory, old, size, MREMAP_MAYMOVE);

	if (memory == MAP_FAILED)
		return failed("remap memory");
	piece->memory = memory;
	piece->size = size;
	return size > old ? fill_new(piece, old, size - old) : 0;
}

/* Pages in the middle go, and new ones come. */
static int renew_memory(struct piece *piece)
{
	size_t offset = any(piece->size / PAGE) * PAGE;
	size_t size = (1 + any((piece->size - offset) / PAGE)) * PAGE;

	if (madvise((char *)piece->memory + offset, size, MADV_DONTNEED))
		return failed("drop memory");
	return fill_new(piece, offset, size);
}

/* In the child: it sees what the parent has, and writes to copies of some of that. */
static int write_to_copies(struct piece *piece)
{
	size_t offset = any(piece->size / PAGE) * PAGE;
	size_t size = (1 + any((piece->size - offset) / PAGE)) * PAGE;
	uint64_t *memory = piece->memory + offset / sizeof(uint64_t);
	uint64_t word = any(UINT32_MAX);

	if (write_by_kernel((char *)memory, size, word) ||
	    holds(piece->memory, offset, piece->first, "a child's memory") ||
	    holds(memory, size, word, "a child's copy"))
		return -1;
	offset += size;
	return holds(piece->memory + offset / sizeof(uint64_t), piece->size - offset,
		     word_at(piece->first, offset), "a child's memory");
}

static int fork_memory(struct piece *piece)
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(write_to_copies(piece) ? 1 : 0);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return failed("fork");
	if (!status)
		return 0;
	printf("guest: cannot go on: the child ended with %x\n", status);
	return -1;
}

static int change_memory(struct piece *piece)
{
	int (*const changes[])(struct piece *) = {
		drop_head, resize_memory, renew_memory, fork_memory,
	};

	return changes[any(sizeof(changes) / sizeof(*changes))](piece);
}

/*
 * Files on a tmpfs
 */

static int write_file(struct piece *piece, size_t offset, size_t size)
{
	fill(buffer, size, word_at(piece->first, offset));
	if (pwrite(piece->fd, buffer, size, offset) != (ssize_t)size)
		return failed("write to a file");
	return 0;
}

static int take_file(struct piece *piece)
{
	piece->fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	if (piece->fd < 0)
		return failed("open a file");
	/* To the middle of a page: the rest of that has to be zero. */
	piece->valid = piece->size - any(PAGE / sizeof(uint64_t)) * sizeof(uint64_t);
	if (ftruncate(piece->fd, piece->size))
		return failed("size a file");
	return write_file(piece, 0, piece->valid);
}

static int verify_file(const struct piece *piece)
{
	if (pread(piece->fd, buffer, piece->size, 0) != (ssize_t)piece->size)
		return failed("read a file");
	return holds(buffer, piece->valid, piece->first, "a file") ||
	       is_zero(buffer + piece->valid / sizeof(uint64_t), piece->size - piece->valid,
		       "the rest of a file") ? -1 : 0;
}

/* It ends at any word, and has its size again: what was there is gone. */
static int cut_file(struct piece *piece)
{
	piece->valid = any(piece->valid / sizeof(uint64_t) + 1) * sizeof(uint64_t);
	if (ftruncate(piece->fd, piece->valid) || ftruncate(piece->fd, piece->size))
		return failed("cut a file");
	return 0;
}

/* It is written to again, from any word on to any page. */
static int rewrite_file(struct piece *piece)
{
	size_t offset = any(piece->valid / sizeof(uint64_t) + 1) * sizeof(uint64_t);
	size_t end = piece->size - any((piece->size - offset) / PAGE + 1) * PAGE;

	if (end > piece->valid)
		piece->valid = end;
	return write_file(piece, offset, end - offset);
}

static int change_file(struct piece *piece)
{
	return any(2) ? cut_file(piece) : rewrite_file(piece);
}

/*
 * All together
 */

static int verify(const struct piece *piece)
{
	return piece->memory ? verify_memory(piece) : verify_file(piece);
}

static int give(struct piece *piece)
{
	int err = piece->memory ? munmap(piece->memory, piece->size) : close(piece->fd);

	memset(piece, 0, sizeof(*piece));
	return err ? failed("give memory back") : 0;
}

static int take(struct piece *piece)
{
	piece->size = any_size();
	piece->first = any(UINT64_MAX);
	return any(2) ? take_memory(piece) : take_file(piece);
}

/* A piece is verified whenever something is done with it. */
static int step(struct piece *piece)
{
	if (!piece->size)
		return take(piece);
	if (verify(piece))
		return -1;
	if (any(2))
		return give(piece);
	return piece->memory ? change_memory(piece) : change_file(piece);
}

static int run(uint64_t seed, size_t bytes)
{
	int i, err = 0;

	state = (seed * PROGRAMS + program + 1) * STEP;
	most = bytes / SLOTS / PAGE * PAGE;
	buffer = mmap(NULL, most, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (buffer == MAP_FAILED || pipe(pipes))
		return failed("begin");
	while (!err && !shared->end) {
		err = step(&pieces[any(SLOTS)]);
		shared->steps[program]++;
	}
	for (i = 0; !err && i < SLOTS; i++)
		if (pieces[i].size)
			err = verify(&pieces[i]) || give(&pieces[i]);
	return err;
}

/* A figure of /proc/vmstat */
static unsigned long long vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "r");
	unsigned long long figure = 0, value;
	char line[64];

	while (file && fscanf(file, "%63s %llu", line, &value) == 2)
		if (!strcmp(line, name))
			figure = value;
	if (file)
		fclose(file);
	return figure;
}

static void say(void)
{
	unsigned long long verified = 0, steps = 0;
	int i;

	for (i = 0; i < PROGRAMS; i++) {
		verified += shared->verified[i];
		steps += shared->steps[i];
	}
	printf("guest: verified %llu KiB in %llu steps\n", verified >> 10, steps);
	printf("guest: reported %llu pages in %llu passes\n",
	       vmstat("page_reporting_pages"), vmstat("page_reporting_passes"));
}

static int all_good(const pid_t *children)
{
	int i, status, bad = 0;

	for (i = 0; i < PROGRAMS; i++) {
		if (waitpid(children[i], &status, 0) == children[i] && !status)
			continue;
		printf("guest: cannot go on: program %d ended with %x\n", i, status);
		bad = 1;
	}
	return !bad;
}

int main(int argc, char **argv)
{
	pid_t children[PROGRAMS];
	time_t end;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4) {
		printf("guest: usage: soak SEED MIB SECONDS\n");
		return 2;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	for (program = 0; program < PROGRAMS; program++) {
		children[program] = fork();
		if (!children[program]) {
			/* One that has found something ends the others. */
			if (run(strtoull(argv[1], NULL, 10), strtoul(argv[2], NULL, 10) << 20))
				shared->end = 2;
			_exit(shared->end == 2);
		}
	}
	for (end = time(NULL) + atol(argv[3]); time(NULL) < end && !shared->end; sleep(SAY))
		say();
	if (!shared->end)
		shared->end = 1;
	if (!all_good(children))
		return 1;
	say();
	return 0;
}
