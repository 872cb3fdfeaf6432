/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine that the code runs on: what the explorer and the model's threads and
 * handlers share. Everything that a run changes is in one section, so that the
 * explorer can put it back.
 */
#ifndef PKS_VERIFY_MODEL_H
#define PKS_VERIFY_MODEL_H

#define STATE		__attribute__((section("state")))
#define CPUS		2
/* Two that do things, and the idle thread of each CPU. */
#define THREADS		4
#define STACK		4096
/* A thread, and interruptions three deep. */
#define LEVELS		4

struct regs {
	unsigned long ax, bx, cx, dx, si, di, bp, sp;
	unsigned long r8, r9, r10, r11, r12, r13, r14, r15, ip, flags;
};

enum thread_state { RUNNING, READY, DONE };

struct thread {
	char stack[STACK] __attribute__((aligned(64)));
	struct regs regs;		/* while it does not run */
	enum thread_state state;	/* the idle ones are always DONE */
	int level;			/* of interruption, 0 for none */
	/* What each level has asked for, as the value of PKRS. */
	unsigned int asked[LEVELS];
	int kinds[LEVELS];
	int atomic_depth;		/* of NMIs and hard interrupts */
	int irqs_off;
};

/* Why a CPU does not run by itself. */
enum halted { GOES_ON, IDLE, WAITS };

/* What of a CPU is not in variables of its own while it has its turn. */
struct cpu {
	struct regs regs;
	struct thread *thread;
	void *task;
	unsigned int pkrs_cache, msr;
	int ipi;			/* 1 on its way, 2 being handled */
	enum halted halted;
};

extern struct cpu cpus[CPUS];
extern struct thread threads[THREADS];
extern int this_cpu;
extern struct thread *me;		/* the thread that runs on it */
extern unsigned int msr;		/* IA32_PKRS of it */
/* A key that is being taken away: its rights may be there or not. */
extern int retiring;
/* What may still happen, so that there is an end. */
extern int interruptions_left, switches_left;
extern int interruptions_seen;

/* What the world asks the explorer for. */
enum request { REQ_CHOOSE, REQ_NEXT, REQ_PAUSE, REQ_SWITCH, REQ_RETURN, REQ_WAIT, REQ_FAIL };

#define ASK_AGAIN	(~0ul)

unsigned long request(enum request what, unsigned long a, unsigned long b);

/* What strikes, and what is called. */
enum kind { INTERRUPT, EXCEPTION, NMI, IPI, PROBE };

/* An interruption, on the stack of what it interrupts. The frame comes first. */
struct interruption {
	char frame[64] __attribute__((aligned(16)));
	struct regs regs;
	enum kind kind;
	int irqs_off;
};

/* Of product.c, for the explorer. */
extern const char product_begin[], product_end[];
extern const char *const kind_names[];
void take(struct interruption *what);
void thread_start(void);
void prepare(struct interruption *what);
const char *frame_changed(struct interruption *what);
/* Sets up a scenario; NULL past the last. */
const char *scenario(int number);
int ncpus(void);
int strikes(enum kind kind);
/* What a trace shows of the code's own variables. */
unsigned int rights(void), epoch_of_rights(void), cached(void);
void *task_of(struct thread *thread);
unsigned int epoch(void);
void exchange(struct cpu *out, struct cpu *in);

#endif
