// SPDX-License-Identifier: GPL-2.0
/*
 * Explores all that can happen to the code in product.c.
 *
 * Ahead of each access to memory there may be a choice: it executes, or something
 * strikes, or the other CPU goes on. All are tried, depth first: the state is put back
 * from a copy for each. A state with a choice that was there before is not gone into
 * again; what counts as one is the memory of the model, the part of the stacks that is in
 * use, and the registers.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

extern char __start_state[], __stop_state[];

/* What can come next. */
enum move { GO_ON, STRIKE_INTERRUPT, STRIKE_EXCEPTION, STRIKE_NMI, STRIKE_IPI, OTHER_CPU,
	    OTHER_CPU_FIRST, FIRST_VALUE };

/* Of the state, what is in use: all but the free part of each stack. */
struct part {
	char *from;
	size_t size;
};

#define PARTS	(2 * THREADS + 1)

/* A point: where it was, and which of its moves is being tried. */
struct node {
	struct regs regs;
	int moves[FIRST_VALUE + THREADS + 2];
	int nr_moves, now;
	struct part parts[PARTS];
	char *state;
};

static struct node *path;
static size_t path_length, path_room;
static uint64_t *seen;
static size_t nr_seen, seen_room = 1 << 20;
static unsigned long ends, steps;
static const char *name;
static time_t said;
static int quiet;

static size_t state_size(void)
{
	return __stop_state - __start_state;
}

/*
 * Where the code stops and the explorer has the word, on a stack of its own: its
 * registers are in "now" then, and are taken from there when it goes on. What is below
 * its stack pointer is free (no red zone).
 */
struct regs now;
char explorer_stack[1 << 16] __attribute__((aligned(16)));

#define SAVE	"movq %rax, now; movq %rbx, now+8; movq %rcx, now+16; movq %rdx, now+24\n"	\
		"movq %rsi, now+32; movq %rdi, now+40; movq %rbp, now+48; movq %rsp, now+56\n"	\
		"movq %r8, now+64; movq %r9, now+72; movq %r10, now+80; movq %r11, now+88\n"	\
		"movq %r12, now+96; movq %r13, now+104; movq %r14, now+112; movq %r15, now+120\n" \
		"pushfq; popq now+136\n"							\
		"movq $explorer_stack+65536, %rsp\n"
_Static_assert(offsetof(struct regs, r8) == 64 && offsetof(struct regs, ip) == 128 &&
	       offsetof(struct regs, flags) == 136, "SAVE has the offsets as numbers");
char at_shared;
asm(".globl point, shared_point, request\n"
    "shared_point: movb $1, at_shared; jmp 1f\n"
    "point: movb $0, at_shared\n"
    "1: popq now+128\n" SAVE "call on_point; jmp go_on\n"
    "request: popq now+128\n" SAVE "call on_request\n"
    "go_on:\n"
    "movq now+56, %rsp; pushq now+136; popfq; pushq now+128\n"
    "movq now, %rax; movq now+8, %rbx; movq now+16, %rcx; movq now+24, %rdx\n"
    "movq now+32, %rsi; movq now+40, %rdi; movq now+48, %rbp\n"
    "movq now+64, %r8; movq now+72, %r9; movq now+80, %r10; movq now+88, %r11\n"
    "movq now+96, %r12; movq now+104, %r13; movq now+112, %r14; movq now+120, %r15\n"
    "ret\n");

/*
 * States that were there
 */

static uint64_t mix_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

/* Four lanes, which do not wait for each other. */
static void mix(uint64_t lanes[4], const void *data, size_t size)
{
	const uint64_t *word = data;
	const char *rest = (const char *)data + size / sizeof(*word) * sizeof(*word);
	uint64_t last = 0;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		lanes[i & 3] = mix_word(lanes[i & 3], word[i]);
	memcpy(&last, rest, size % sizeof(*word));
	lanes[3] = mix_word(lanes[3], last);
}

/* What is free of a stack differs and means nothing. */
static void find_parts(struct part *part, const struct regs *r)
{
	char *rest = __start_state;

	for (int i = 0; i < THREADS; i++) {
		struct thread *t = &threads[i];
		char *top = t->stack + STACK, *sp = (char *)t->regs.sp;

		if (t == me)
			sp = (char *)r->sp;
		else if (t == cpus[!this_cpu].thread)
			sp = (char *)cpus[!this_cpu].regs.sp;
		if (sp < t->stack || sp > top)
			abort();
		*part++ = (struct part){ rest, t->stack - rest };
		*part++ = (struct part){ sp, top - sp };
		rest = top;
	}
	*part = (struct part){ rest, __stop_state - rest };
}

static uint64_t hash_state(const struct part *parts, const struct regs *r)
{
	uint64_t lanes[4] = { 1, 2, 3, 4 }, hash;

	mix(lanes, r, sizeof(*r));
	for (int i = 0; i < PARTS; i++)
		mix(lanes, parts[i].from, parts[i].size);
	hash = mix_word(mix_word(mix_word(lanes[0], lanes[1]), lanes[2]), lanes[3]);

	return hash ?: 1;
}

static void save(struct node *n)
{
	char *to = n->state;

	for (int i = 0; i < PARTS; i++) {
		memcpy(to, n->parts[i].from, n->parts[i].size);
		to += n->parts[i].size;
	}
}

static void restore(const struct node *n)
{
	const char *from = n->state;

	for (int i = 0; i < PARTS; i++) {
		memcpy(n->parts[i].from, from, n->parts[i].size);
		from += n->parts[i].size;
	}
}

/* True if it is new. */
static int remember(uint64_t hash)
{
	size_t i;

	if (nr_seen * 2 > seen_room || !seen) {
		uint64_t *old = seen;
		size_t room = seen ? seen_room : 0;

		seen_room *= seen ? 2 : 1;
		seen = calloc(seen_room, sizeof(*seen));
		if (!seen) {
			fprintf(stderr, "explore: no memory for %zu states\n", seen_room);
			exit(2);
		}
		for (size_t j = 0; j < room; j++) {
			if (!old[j])
				continue;
			for (i = old[j] & (seen_room - 1); seen[i]; i = (i + 1) & (seen_room - 1))
				;
			seen[i] = old[j];
		}
		free(old);
	}
	for (i = hash & (seen_room - 1); seen[i]; i = (i + 1) & (seen_room - 1))
		if (seen[i] == hash)
			return 0;
	seen[i] = hash;
	nr_seen++;

	return 1;
}

/*
 * What went wrong, and how it came to that
 */

static void show(const struct node *n)
{
	printf("  CPU %d thread %d", this_cpu, (int)(me - threads));
	for (int i = 1; i <= me->level; i++)
		printf(" > %s", kind_names[me->kinds[i]]);
	printf(" | rights %08x epoch %u | pkrs_cache %08x | MSR %08x | @%lx", rights(), epoch_of_rights(),
	       cached(), msr, n->regs.ip);
	switch (n->moves[n->now]) {
	case STRIKE_INTERRUPT ... STRIKE_IPI:
		printf(" <- %s", kind_names[n->moves[n->now] - STRIKE_INTERRUPT]);
		break;
	case OTHER_CPU:
	case OTHER_CPU_FIRST:
		printf(" <- the other CPU");
		break;
	}
	printf("\n");
}

/* Where something strikes, and where a variable has changed. */
static void fail(const char *why)
{
	unsigned int old[5] = { 0 };

	printf("VIOLATED: %s: %s\n", name, why);
	for (size_t i = 0; i < path_length; i++) {
		restore(&path[i]);

		unsigned int now[5] = { rights(), cached(), msr, epoch(), this_cpu * 64 + me->level };

		if (!i || memcmp(old, now, sizeof(old)) || path[i].moves[path[i].now] != GO_ON)
			show(&path[i]);
		memcpy(old, now, sizeof(old));
	}
	printf("  after %zu states\n", nr_seen);
	fflush(stdout);
	_exit(1);
}

/*
 * Moves
 */

static int ready(void)
{
	int i, nr = 0;

	for (i = 0; i < THREADS; i++)
		nr += threads[i].state == READY;
	return nr;
}

static int can_run(int cpu)
{
	if (cpu >= ncpus())
		return 0;
	switch (cpus[cpu].halted) {
	case IDLE:
		return ready() || cpus[cpu].ipi == 1;
	case WAITS:
		return !cpus[!cpu].ipi;
	default:
		return 1;
	}
}

static void strike(enum kind kind, struct regs *r)
{
	struct interruption *what = (void *)((r->sp - sizeof(*what)) & ~63ul);

	if ((char *)what < me->stack + 512)
		abort();
	/* What was there before is not to make states differ. */
	memset(what, 0, r->sp - (unsigned long)what);
	what->regs = *r;
	what->kind = kind;
	what->irqs_off = me->irqs_off;
	prepare(what);
	me->irqs_off = 1;
	me->level++;
	me->asked[me->level] = 0xfffffffc;
	me->kinds[me->level] = kind;
	if (kind == IPI)
		cpus[this_cpu].ipi = 2;
	else
		interruptions_left--;
	interruptions_seen = 1;
	r->ip = (unsigned long)take;
	r->di = (unsigned long)what;
	r->sp = (unsigned long)what - 8;
}

static void other_cpu(struct regs *r)
{
	struct cpu *out = &cpus[this_cpu], *in = &cpus[!this_cpu];

	out->regs = *r;
	exchange(out, in);
	in->halted = GOES_ON;
	*r = in->regs;
	memset(&in->regs, 0, sizeof(in->regs));
}

static void apply(int move, struct regs *r)
{
	switch (move) {
	case GO_ON:
		break;
	case STRIKE_INTERRUPT ... STRIKE_IPI:
		strike(move - STRIKE_INTERRUPT, r);
		break;
	case OTHER_CPU_FIRST:
		r->ax = ASK_AGAIN;
		if (me - threads >= 2 && !ready())
			cpus[this_cpu].halted = IDLE;
		/* fall through */
	case OTHER_CPU:
		other_cpu(r);
		break;
	default:
		/* The answer to a request: a number, or a thread. */
		r->ax = move - FIRST_VALUE;
		break;
	}
}

/* Try the next move of the last point that has one. */
static void back(struct regs *r)
{
	while (path_length) {
		struct node *n = &path[path_length - 1];

		if (++n->now < n->nr_moves) {
			restore(n);
			*r = n->regs;
			apply(n->moves[n->now], r);
			return;
		}
		path_length--;
	}
	printf("%-34s%12zu states%12lu steps%10lu ends, no violation\n", name, nr_seen, steps, ends);
	fflush(stdout);
	_exit(0);
}

/* Go on with the first of the moves; the others are for later. */
static void push(struct regs *r, const struct part *parts, const int *moves, int nr)
{
	struct node *n;

	if (path_length == path_room) {
		path_room = path_room ? 2 * path_room : 1024;
		path = realloc(path, path_room * sizeof(*path));
		if (!path)
			exit(2);
		for (size_t i = path_length; i < path_room; i++) {
			path[i].state = malloc(state_size());
			if (!path[i].state)
				exit(2);
		}
	}
	n = &path[path_length++];
	n->regs = *r;
	n->nr_moves = nr;
	memcpy(n->moves, moves, nr * sizeof(*moves));
	n->now = 0;
	memcpy(n->parts, parts, sizeof(n->parts));
	save(n);
	apply(n->moves[0], r);
}

/* A point with a choice. */
static void choose(struct regs *r, const int *moves, int nr)
{
	struct part parts[PARTS];

	find_parts(parts, r);
	if (!remember(hash_state(parts, r))) {
		back(r);
		return;
	}
	if (!quiet && !(nr_seen & 0xfff) && time(NULL) > said + 9) {
		said = time(NULL);
		fprintf(stderr, "        %s: %zu states\n", name, nr_seen);
	}
	push(r, parts, moves, nr);
}

/* Ahead of an access of the code. */
void on_point(void)
{
	struct part parts[PARTS];
	struct regs *r = &now;
	int moves[FIRST_VALUE], nr = 0;

	steps++;
	moves[nr++] = GO_ON;
	if (me->level < LEVELS - 1) {
		if (interruptions_left) {
			if (strikes(INTERRUPT) && !me->irqs_off)
				moves[nr++] = STRIKE_INTERRUPT;
			if (strikes(EXCEPTION))
				moves[nr++] = STRIKE_EXCEPTION;
			if (strikes(NMI))
				moves[nr++] = STRIKE_NMI;
		}
		if (cpus[this_cpu].ipi == 1 && !me->irqs_off)
			moves[nr++] = STRIKE_IPI;
	}
	/*
	 * What one CPU does between two accesses to what both share makes no difference
	 * to the other, so there is no need to try it in each order. A CPU that waits for
	 * this one to take its IPI is different: once it goes on, more is checked here.
	 */
	if ((at_shared || cpus[!this_cpu].halted == WAITS) && can_run(!this_cpu))
		moves[nr++] = OTHER_CPU;
	if (nr > 1) {
		choose(r, moves, nr);
		return;
	}
	/* Only for the trace: to know it again would take longer than to go on. */
	find_parts(parts, r);
	push(r, parts, moves, nr);
}

/* Which thread runs next. */
static void next(struct regs *r)
{
	int moves[THREADS + 2], nr = 0, idle = me - threads >= 2;

	if (me->state == RUNNING && !idle)
		moves[nr++] = FIRST_VALUE + (me - threads);
	if (me->state == DONE || idle || switches_left)
		for (int i = 0; i < THREADS; i++)
			if (threads[i].state == READY)
				moves[nr++] = FIRST_VALUE + i;
	if (!nr && !idle)
		moves[nr++] = FIRST_VALUE + 2 + this_cpu;
	/* It can come ahead of any thread. */
	if (idle && cpus[this_cpu].ipi == 1) {
		r->ax = ASK_AGAIN;
		moves[nr++] = STRIKE_IPI;
	}
	if (can_run(!this_cpu))
		moves[nr++] = OTHER_CPU_FIRST;
	if (!nr) {
		for (int i = 0; i < 2; i++)
			if (threads[i].state != DONE)
				fail("a deadlock of the model");
		ends++;
		back(r);
		return;
	}
	choose(r, moves, nr);
}

void on_request(void)
{
	struct regs *r = &now;
	enum request what = r->di;
	struct interruption *done;
	struct thread *next_thread;
	const char *wrong;
	int moves[2] = { FIRST_VALUE, FIRST_VALUE + 1 };

	switch (what) {
	case REQ_CHOOSE:
		choose(r, moves, 2);
		break;
	case REQ_NEXT:
		next(r);
		break;
	case REQ_PAUSE:
		r->ax = 0;
		moves[0] = GO_ON;
		moves[1] = OTHER_CPU;
		choose(r, moves, 1 + can_run(!this_cpu));
		break;
	case REQ_SWITCH:
		((struct thread *)r->si)->regs = *r;
		next_thread = (struct thread *)r->dx;
		*r = next_thread->regs;
		memset(&next_thread->regs, 0, sizeof(next_thread->regs));
		break;
	case REQ_RETURN:
		done = (void *)r->si;
		wrong = frame_changed(done);
		if (wrong)
			fail(wrong);
		me->asked[me->level] = me->kinds[me->level] = 0;
		me->level--;
		me->irqs_off = done->irqs_off;
		*r = done->regs;
		break;
	case REQ_WAIT:
		r->ax = 0;
		if (!cpus[!this_cpu].ipi)
			break;
		r->ax = ASK_AGAIN;
		cpus[this_cpu].halted = WAITS;
		other_cpu(r);
		break;
	default:
		fail((const char *)r->si);
	}
}

int main(int argc, char **argv)
{
	quiet = !isatty(2);
	name = argc > 1 ? scenario(atoi(argv[1])) : NULL;
	if (!name) {
		/* The number of scenarios. */
		int nr = 0;

		while (scenario(nr))
			nr++;
		printf("%d\n", nr);
		return 0;
	}
	now = cpus[0].regs;
	/* Never returns. */
	asm volatile("jmp go_on" : : : "memory");
	__builtin_unreachable();
}
