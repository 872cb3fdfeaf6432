// SPDX-License-Identifier: GPL-2.0
/*
 * The code of the series, compiled as it is, and the threads and handlers that call
 * it. Between product_begin and product_end anything can strike ahead of each access
 * to memory or to the MSR: test/model/run puts a call of point() there, into what the
 * compiler made. The rest is the world around it and runs in one go.
 */
#include "kernel.h"
#include "model.h"

asm(".text\n.globl product_begin\nproduct_begin:");

#include "arch/x86/mm/pks.c"
#include <linux/pks.h>
#include "entry.c"

static noinline void open_rw(int pkey) { pks_mk_readwrite(pkey); }
static noinline void open_ro(int pkey) { pks_mk_readonly(pkey); }
static noinline void close_key(int pkey) { pks_mk_noaccess(pkey); }
/* The same with a key that the compiler knows, where other code results. */
static noinline void open_rw_1(void) { pks_mk_readwrite(1); }
static noinline void close_1(void) { pks_mk_noaccess(1); }
static noinline void switch_to(struct task_struct *next) { pks_switch_to(next); }
static noinline bool retire(int pkey) { return pks_retire_key(pkey); }
static noinline union pks_rights call_enter(void) { return pks_call_enter(); }
static noinline void call_exit(union pks_rights saved) { pks_call_exit(saved); }

asm(".text\n.globl product_end\nproduct_end:");

#define A	1
#define B	2

STATE struct cpu cpus[CPUS];
STATE struct thread threads[THREADS];
STATE struct task_struct tasks[THREADS];
STATE struct task_struct *current_task;
STATE struct thread *me;
STATE int this_cpu, atomic_depth, retiring, interruptions_left, switches_left, interruptions_seen;
STATE unsigned int msr;
STATE static void (*ipi_function)(void *info);
/* What the threads of a scenario have come to. */
STATE static int stage;

const char *const kind_names[] = { "interrupt", "exception", "NMI", "IPI", "probe" };

static void fail(const char *why)
{
	request(REQ_FAIL, (unsigned long)why, 0);
}

/* The answer can come on another turn of this CPU. */
static unsigned long ask_explorer(enum request what)
{
	unsigned long answer;

	do {
		answer = request(what, 0, 0);
	} while (answer == ASK_AGAIN);

	return answer;
}

static bool choose(void)
{
	return ask_explorer(REQ_CHOOSE);
}

/* I1, I2, I3 and I4: code runs with the rights that it asked for, and no others. */
static void check(void)
{
	unsigned int have = msr, want = me->asked[me->level];
	int key;

	for (key = 1; key < PKR_NR_PKEYS; key++) {
		bool lost = key == retiring && !pkr_allows_read(have, key);

		if (pkr_allows_read(have, key) > pkr_allows_read(want, key) ||
		    pkr_allows_write(have, key) > pkr_allows_write(want, key))
			fail(me->level ? "a handler has a right that it did not ask for" :
					 "a thread has a right that it did not ask for");
		else if (!lost && (pkr_allows_read(have, key) != pkr_allows_read(want, key) ||
				   pkr_allows_write(have, key) != pkr_allows_write(want, key)))
			fail("a right is lost");
	}
	if (have & 3)
		fail("key 0 is closed");
}

/* What the code calls is of the world, so the compiler must not make it a part of it. */
#define world	__attribute__((noipa))

world void instrumentable(void)
{
	check();
}

static void ask(int pkey, u32 bits)
{
	u32 *asked = &me->asked[me->level];

	*asked = (*asked & ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey))) | bits << PKR_SHIFT(pkey);
}

static void do_open(int pkey)
{
	if (pkey == 1)
		open_rw_1();
	else
		open_rw(pkey);
	ask(pkey, 0);
	check();
}

static void do_open_ro(int pkey)
{
	open_ro(pkey);
	ask(pkey, PKR_WD_BIT);
	check();
}

static void do_close(int pkey)
{
	if (pkey == 1)
		close_1();
	else
		close_key(pkey);
	ask(pkey, PKR_RIGHTS_MASK);
	check();
}

world void native_wrmsr(unsigned int number, u32 low, u32 high)
{
	if (number != MSR_IA32_PKRS || high)
		fail("a write to another MSR, or to reserved bits");
	/* An interruption of the write makes another necessary. */
	if (low == msr && !interruptions_seen)
		fail("PKRS is written and does not change");
	msr = low;
}

static void schedule(void)
{
	struct thread *prev = me, *next = &threads[ask_explorer(REQ_NEXT)];

	if (next == prev)
		return;
	prev->atomic_depth = atomic_depth;
	if (prev->state == RUNNING) {
		prev->state = READY;
		switches_left--;
	}
	me = next;
	if (me->state == READY)
		me->state = RUNNING;
	atomic_depth = me->atomic_depth;
	current_task = task_of(me);
	request(REQ_SWITCH, (unsigned long)prev, (unsigned long)next);
	/* From here on it is that thread, in its own call of this function. */
	me->irqs_off++;
	switch_to(current_task);
	me->irqs_off--;
}

world void pks_bad_key(int pkey)
{
	fail("a key out of range");
}

world bool need_resched(void)
{
	return true;
}

world void preempt_schedule_irq(void)
{
	check();
	schedule();
	check();
}

world void on_each_cpu(void (*fn)(void *), void *info, int wait)
{
	ipi_function = fn;
	if (ncpus() > 1)
		cpus[!this_cpu].ipi = 1;
	me->irqs_off++;
	fn(info);
	me->irqs_off--;
	if (ncpus() > 1)
		ask_explorer(REQ_WAIT);
}

world void irqs_off(void)
{
	me->irqs_off++;
}

world void irqs_on(void)
{
	me->irqs_off--;
}

/* Of the scenario. */
static bool fixups(void);

/* The word that is read is the MSR, which says with what rights. */
static void fix_up(struct pt_regs *regs)
{
	if ((unsigned int)pks_read_as(regs, (const unsigned long *)&msr) != pks_regs_pkrs(regs))
		fail("a fixup does not read with the rights of what it is for");
	check();
}

/* What a handler does for itself. */
static void handle(bool may_sleep)
{
	check();
	if (!choose())
		return;
	do_open(B);
	if (may_sleep && switches_left)
		schedule();
	check();
	/* It may leave it open. */
	if (choose())
		do_close(B);
}

void take(struct interruption *what)
{
	struct pt_regs *regs = &((struct fred_frame *)what->frame)->regs;
	irqentry_state_t state;

	if (what->kind == NMI) {
		atomic_depth++;
		state = irqentry_nmi_enter(regs);
		handle(false);
		irqentry_nmi_exit(regs, state);
		atomic_depth--;
	} else {
		state = irqentry_enter(regs);
		check();
		if (what->kind == IPI) {
			atomic_depth++;
			ipi_function(NULL);
			cpus[this_cpu].ipi = 0;
			atomic_depth--;
		} else if (what->kind == INTERRUPT) {
			atomic_depth++;
			handle(false);
			atomic_depth--;
		} else {
			/* Like a page fault: what was on is on. */
			me->irqs_off = what->irqs_off;
			if (fixups())
				fix_up(regs);
			handle(!atomic_depth && !me->irqs_off);
			me->irqs_off = 1;
		}
		irqentry_exit(regs, state);
	}
	request(REQ_RETURN, (unsigned long)what, 0);
}

#ifdef CONFIG_X86_FRED
/* FRED uses all of the SS slot, and ERETS checks that. */
#define FRAME_SS	0x0123456789ab0018
#else
/*
 * A CPU without FRED uses 16 bits of it. Above them is what newer kernels have there when KVM
 * passes on an interrupt on such a CPU by way of FRED's entry code: the vector, and "64-bit".
 */
#define FRAME_SS	0x020000ec00000018
#endif

/* What the CPU pushes. */
void prepare(struct interruption *what)
{
	struct fred_frame *frame = (void *)what->frame;

	*frame = (struct fred_frame){
		.regs = { .cs = 0x10, .flags = what->irqs_off ? 0 : 0x200, .ss = FRAME_SS },
	};
}

/* What IRETQ or ERETS reads. */
const char *frame_changed(struct interruption *what)
{
	struct fred_frame *frame = (void *)what->frame;

#ifdef CONFIG_X86_FRED
	if (frame->regs.ss != FRAME_SS)
		return "the SS slot of a FRED frame is changed";
#else
	if ((u16)frame->regs.ss != (u16)FRAME_SS)
		return "SS in the frame is changed";
#endif
	return NULL;
}

/*
 * Scenarios. What the threads do; the idle ones do nothing.
 */

static void setters(void)
{
	do_open(A);
	do_open_ro(A);
	do_close(A);
	do_close(A);
}

static void window(void)
{
	do_open(A);
	do_close(A);
}

static void window_ro(void)
{
	do_open_ro(A);
	do_close(A);
}

/* The other CPU can see it at once. */
static void go_to(int next)
{
	stage = next;
	ask_explorer(REQ_PAUSE);
}

/* Loses its key in a window, while it is busy with another. */
static void loser(void)
{
	do_open(A);
	go_to(1);
	do_open(B);
	do_close(B);
	do_close(A);
	check();
}

/* Loses it while it does not run. */
static void sleeper(void)
{
	do_open(A);
	go_to(1);
	schedule();
	check();
	do_close(A);
}

/* A probe that is called in a window: a context of its own, without an exception. */
static void probe(void)
{
	union pks_rights saved = call_enter();

	me->level++;
	me->asked[me->level] = PKRS_INIT_VALUE;
	me->kinds[me->level] = PROBE;
	/* In the first one, the key can be taken away meanwhile. */
	if (!stage)
		go_to(1);
	handle(false);
	me->asked[me->level] = me->kinds[me->level] = 0;
	me->level--;
	call_exit(saved);
	check();
}

static void probed(void)
{
	do_open(A);
	probe();
	do_close(A);
	probe();
}

/* Opens a key that it has lost, or is just about to. */
static void latecomer(void)
{
	go_to(1);
	do_open_ro(A);
	do_close(A);
}

/* Takes the key away as soon as the other thread is ready for it. */
static void take_away(void)
{
	int i, level;

	while (stage < 1)
		schedule();
	retiring = A;
	if (!retire(A))
		fail("out of epochs");
	/* Nobody has asked for it since. */
	for (i = 0; i < THREADS; i++)
		for (level = 0; level < LEVELS; level++)
			threads[i].asked[level] |= PKR_RIGHTS_MASK << PKR_SHIFT(A);
	stage = 2;
}

/* Whoever opens it from now on may keep it. */
static void take_away_for_good(void)
{
	take_away();
	retiring = 0;
}

/* Takes it away, and gets it. */
static void winner(void)
{
	take_away_for_good();
	do_open(A);
	do_close(A);
}

/* Closed all the time until the key is its own, which has to last. */
static void heir(void)
{
	go_to(1);
	do_open(B);
	do_close(B);
	/* It may be here, or not run, when the key is free. */
	schedule();
	if (stage == 2) {
		do_open(A);
		schedule();
		check();
		do_close(A);
	}
}

static const struct {
	const char *name;
	int cpus, interruptions, switches;
	unsigned int kinds;
	void (*run[2])(void);
	bool fixups;
} scenarios[] = {
	{ "setters, interrupted", 1, 2, 0, 1 << INTERRUPT | 1 << NMI, { setters } },
	{ "a probe is called in a window", 1, 2, 1, 1 << INTERRUPT | 1 << NMI, { probed, window_ro } },
	{ "a key is taken away in a probe", 2, 1, 0, 1 << INTERRUPT, { probed, winner } },
	{ "a key is taken from a sleeper", 2, 1, 2, 1 << INTERRUPT, { sleeper, winner } },
	{ "a key is taken while it is opened", 2, 0, 0, 0, { latecomer, take_away } },
	{ "a key is handed out again", 2, 1, 3, 1 << INTERRUPT, { heir, take_away_for_good } },
	{ "faults whose fixup reads", 1, 2, 0, 1 << EXCEPTION | 1 << NMI, { window_ro }, true },
	{ "faults that sleep in a window", 1, 2, 2, 1 << EXCEPTION | 1 << NMI, { window, window_ro } },
	{ "a window, interrupted three deep", 1, 3, 0, 1 << INTERRUPT | 1 << NMI, { window } },
	{ "preemption and migration", 2, 2, 2, 1 << INTERRUPT | 1 << NMI, { window, window_ro } },
	{ "a key is taken away", 2, 1, 1, 1 << EXCEPTION, { loser, winner } },
};

static int chosen;

const char *scenario(int number)
{
	int i;

	if (number >= (int)(sizeof(scenarios) / sizeof(*scenarios)))
		return NULL;
	chosen = number;
	interruptions_left = scenarios[number].interruptions;
	switches_left = scenarios[number].switches;
	for (i = 0; i < THREADS; i++) {
		struct thread *t = &threads[i];

		tasks[i].thread.pks.pkrs = PKRS_INIT_VALUE;
		t->asked[0] = PKRS_INIT_VALUE;
		t->regs.ip = (unsigned long)thread_start;
		t->regs.sp = (unsigned long)t->stack + STACK - 8;
		t->regs.flags = 2;
		t->state = i >= 2 || !scenarios[number].run[i] ? DONE : READY;
	}
	for (i = 0; i < CPUS; i++) {
		cpus[i].pkrs_cache = cpus[i].msr = PKRS_INIT_VALUE;
		cpus[i].thread = &threads[2 + i];
		cpus[i].task = &tasks[2 + i];
		cpus[i].regs = threads[2 + i].regs;
	}
	this_cpu = 0;
	me = cpus[0].thread;
	current_task = cpus[0].task;
	pkrs_cache = msr = PKRS_INIT_VALUE;
	return scenarios[number].name;
}

static bool fixups(void)
{
	return scenarios[chosen].fixups;
}

int ncpus(void)
{
	return scenarios[chosen].cpus;
}

int strikes(enum kind kind)
{
	return scenarios[chosen].kinds >> kind & 1;
}

/* Every thread begins where a context switch to it ends. */
void thread_start(void)
{
	int number = me - threads;

	if (number < 2) {
		me->irqs_off++;
		switch_to(current_task);
		me->irqs_off--;
		scenarios[chosen].run[number]();
		check();
		me->state = DONE;
	}
	for (;;)
		schedule();
}

void *task_of(struct thread *thread)
{
	return &tasks[thread - threads];
}

unsigned int rights(void) { return current_task->thread.pks.pkrs; }
unsigned int epoch_of_rights(void) { return current_task->thread.pks.epoch; }
unsigned int cached(void) { return pkrs_cache; }
unsigned int epoch(void) { return pks_epoch; }

/* The turn goes from one CPU to another; the registers are the explorer's. */
void exchange(struct cpu *out, struct cpu *in)
{
	me->atomic_depth = atomic_depth;
	*out = (struct cpu){ .regs = out->regs, .thread = me, .task = current_task, .pkrs_cache = pkrs_cache,
			     .msr = msr, .ipi = out->ipi, .halted = out->halted };
	me = in->thread;
	current_task = in->task;
	pkrs_cache = in->pkrs_cache;
	msr = in->msr;
	/* What is nowhere in use is not to make states differ. */
	in->task = NULL;
	in->pkrs_cache = in->msr = 0;
	atomic_depth = me->atomic_depth;
	this_cpu = in - cpus;
}
