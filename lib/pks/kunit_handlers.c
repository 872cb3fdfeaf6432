// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: exceptions, interrupts and NMIs in a window,
 * and of the idle thread.
 */
#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/kdebug.h>
#include <linux/nmi.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/timer.h>

#include <asm/apic.h>
#include <asm/debugreg.h>
#include <asm/irq_vectors.h>
#include <asm/trapnr.h>

#include "pks_kunit.h"

struct pks_handler pks_handler;

/*
 * What each handler does: see that all keys are closed, open one of its own, and leave that
 * open. The interrupted thread must get back exactly what it had.
 */
void pks_handle(void)
{
	struct pks_handler *h = &pks_handler;

	h->pkrs = pks_rdmsr();
	h->window_closed = pks_seen(h->window->addr) == PKS_NOACCESS;
	h->own_closed = pks_seen(h->own->addr) == PKS_NOACCESS;
	pks_mk_readwrite(h->own->pkey);
	h->own_opened = pks_seen(h->own->addr) == PKS_READWRITE &&
			pks_rdmsr() == pks_value(h->own->pkey, PKS_READWRITE);
	if (h->retirer) {
		WRITE_ONCE(h->retirer->gate.open, true);
		h->retired = pks_spin_until(completion_done(&h->retirer->done));
	}
	/* Only in an interruption of the test is current the test. */
	if (current == h->task)
		WRITE_ONCE(h->hits, h->hits + 1);
}

void pks_handler_begin(struct kunit *test)
{
	pks_handler = (struct pks_handler) {
		.window	= pks_kunit_page(test, "window"),
		.own	= pks_kunit_page(test, "handler"),
		.task	= current,
	};
}

/* Interrupt the test in a window with @right. */
void pks_interrupt_window(struct kunit *test, const struct pks_interruption *by,
			  enum pks_right right)
{
	struct pks_handler *h = &pks_handler;

	h->hits = 0;
	if (by->prepare)
		by->prepare(test);

	pks_set(h->window->pkey, right);
	by->raise();
	/* Ahead of what can fail, for a skipped test does not. */
	if (h->in_thread && READ_ONCE(test->status) != KUNIT_FAILURE) {
		pks_mk_noaccess(h->window->pkey);
		kunit_skip(test, "softirqs run in a thread");
	}

	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(h->window->pkey, right));
	KUNIT_EXPECT_EQ(test, pks_seen(h->window->addr), right);
	KUNIT_EXPECT_EQ(test, pks_seen(h->own->addr), PKS_NOACCESS);
	pks_mk_noaccess(h->window->pkey);

	if (by->finish)
		by->finish(test);
	KUNIT_EXPECT_EQ_MSG(test, h->hits, 1, "handler ran in the test's window");
	KUNIT_EXPECT_EQ(test, h->pkrs, PKRS_INIT_VALUE);
	KUNIT_EXPECT_TRUE(test, h->window_closed);
	KUNIT_EXPECT_TRUE(test, h->own_closed);
	KUNIT_EXPECT_TRUE(test, h->own_opened);
}

/* Not UD2, which is how WARN() comes; without the operand, for objtool. */
#define UD0	".byte 0x0f, 0xff"
#define UD0_LEN	2

static int on_die(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (user_mode(args->regs))
		return NOTIFY_DONE;
	switch (val) {
	case DIE_INT3:
		break;
	case DIE_DEBUG:
		/* Single step: once is enough. */
		*(unsigned long *)args->err &= ~DR_STEP;
		args->regs->flags &= ~X86_EFLAGS_TF;
		break;
	case DIE_TRAP:
		if (args->trapnr != X86_TRAP_UD)
			return NOTIFY_DONE;
		args->regs->ip += UD0_LEN;
		break;
	default:
		return NOTIFY_DONE;
	}
	pks_handle();

	return NOTIFY_STOP;
}

static struct notifier_block die_nb = { .notifier_call = on_die };

/* The CPU that is sent one, or -1. Perf and watchdogs send NMIs to any, too. */
static atomic_t nmi_due = ATOMIC_INIT(-1);

static void send_nmi(int cpu)
{
	atomic_set(&nmi_due, cpu);
	apic->send_IPI(cpu, NMI_VECTOR);
}

static bool nmi_is_ours(void)
{
	int cpu = smp_processor_id();

	return atomic_cmpxchg(&nmi_due, cpu, -1) == cpu;
}

static void nmi_end(const char *name)
{
	unregister_nmi_handler(NMI_LOCAL, name);
	atomic_set(&nmi_due, -1);
}

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!nmi_is_ours())
		return NMI_DONE;
	pks_handle();
	return NMI_HANDLED;
}

static void raise_bp(void)
{
	asm volatile("int3");
}

static void raise_db(void)
{
	asm volatile("pushfq\n\t"
		     "orq $0x100, (%%rsp)\n\t"
		     "popfq\n\t"
		     "nop" : : : "memory", "cc");
}

static void raise_ud(void)
{
	asm volatile(UD0);
}

static void wait_hit(void)
{
	pks_spin_until(READ_ONCE(pks_handler.hits));
}

/* A hit counts in the test's own thread: let no other have the CPU meanwhile. */
static void raise_nmi(void)
{
	guard(preempt)();
	send_nmi(smp_processor_id());
	wait_hit();
}

static void on_irq_work(struct irq_work *work)
{
	pks_handle();
}

static struct irq_work work_ipi = IRQ_WORK_INIT_HARD(on_irq_work);
/* Without an IPI of its own: runs in the tick. */
static struct irq_work work_tick = IRQ_WORK_INIT_LAZY(on_irq_work);

static void raise_self_ipi(void)
{
	guard(preempt)();
	irq_work_queue(&work_ipi);
	wait_hit();
}

static void raise_tick(void)
{
	guard(preempt)();
	irq_work_queue(&work_tick);
	wait_hit();
}

static void on_timer(struct timer_list *unused)
{
	/* Not in ksoftirqd: a thread keeps its rights. */
	if (current == pks_handler.task)
		pks_handle();
	else
		WRITE_ONCE(pks_handler.in_thread, true);
}

static DEFINE_TIMER(timer, on_timer);

static void by_timer_softirq(void)
{
	int i;

	scoped_guard(preempt) {
		timer.expires = jiffies + 1;
		add_timer_on(&timer, smp_processor_id());
		wait_hit();
	}
	/* A softirq that has a thread comes as soon as that has the CPU. */
	for (i = 0; !pks_handler.hits && !READ_ONCE(pks_handler.in_thread) && i < HZ; i++)
		schedule_timeout_uninterruptible(1);
	timer_delete_sync(&timer);
}

static void no_thread_for_it(struct kunit *test)
{
	if (preempt_model_rt())
		kunit_skip(test, "runs in a thread of its own on PREEMPT_RT");
}

static void on_call(void *unused)
{
	pks_handle();
}

static struct pks_worker *ipi_sender;

static void send_ipis(struct pks_worker *w)
{
	pks_gate_sleep(&w->gate);
	/*
	 * Until one meets the test's thread, which stays preemptible here: to wait for
	 * another CPU without that could be a deadlock with stop_machine().
	 */
	pks_poll_until(({
		smp_call_function_single((long)w->arg, on_call, NULL, 1);
		READ_ONCE(pks_handler.hits);
	}));
}

static void prepare_ipi(struct kunit *test)
{
	int here = raw_smp_processor_id();

	ipi_sender = pks_worker_new(test, pks_other_cpu(test, here), send_ipis, pks_handler.window);
	ipi_sender->arg = (void *)(long)here;
	pks_worker_wake(ipi_sender);
}

static void raise_ipi(void)
{
	pks_gate_open(&ipi_sender->gate);
	pks_poll_until(READ_ONCE(pks_handler.hits));
}

static void finish_ipi(struct kunit *test)
{
	pks_worker_join(test, ipi_sender);
}

static u32 __user *fault_addr;

static void handle_in_fault(void *unused)
{
	pks_handle();
}

static void prepare_pf(struct kunit *test)
{
	fault_addr = pks_user_page(test, handle_in_fault, NULL);
}

static void raise_pf(void)
{
	u32 val __maybe_unused;

	if (get_user(val, fault_addr))
		pks_handler.hits = -1;
}

static const struct pks_interruption interruptions[] = {
	{ "PF on user memory", prepare_pf, raise_pf },
	{ "BP", NULL, raise_bp },
	{ "DB", NULL, raise_db },
	{ "UD", NULL, raise_ud },
	{ "timer interrupt", no_thread_for_it, raise_tick },
	{ "timer softirq", no_thread_for_it, by_timer_softirq },
	{ "IPI to self", NULL, raise_self_ipi },
	{ "IPI from another CPU", prepare_ipi, raise_ipi, finish_ipi },
	{ "NMI", NULL, raise_nmi },
};

KUNIT_ARRAY_PARAM_DESC(interruption, interruptions, name);

PKS_GENERATOR(pks_handler_gen_params) __alias(interruption_gen_params);

static void interruptions_end(void *unused)
{
	/* They may be late, and the pages go next. */
	irq_work_sync(&work_ipi);
	irq_work_sync(&work_tick);
	nmi_end("pks_test");
	unregister_die_notifier(&die_nb);
}

static void interruptions_begin(struct kunit *test)
{
	pks_handler_begin(test);
	KUNIT_ASSERT_EQ(test, register_die_notifier(&die_nb), 0);
	if (register_nmi_handler(NMI_LOCAL, on_nmi, 0, "pks_test")) {
		unregister_die_notifier(&die_nb);
		KUNIT_FAIL_AND_ABORT(test, "no NMI handler");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, interruptions_end, NULL), 0);
}

void pks_test_handler(struct kunit *test)
{
	enum pks_right right;
	int cpu;

	interruptions_begin(test);
	for_each_online_cpu(cpu) {
		pks_pin(test, cpu);
		for (right = 0; right < PKS_NR_RIGHTS; right++)
			pks_interrupt_window(test, test->param_value, right);
	}
}

/* Three deep: an interrupt, in it a breakpoint, in that an NMI. */
static struct nest {
	struct pks_page		*page[3];
	u32			pkrs_at_entry[3];
	u32			pkrs_at_exit[3];
	int			depth;
	bool			nmi_seen;
	bool			done;
} nest;

static void nest_enter(int i)
{
	nest.pkrs_at_entry[i] = pks_rdmsr();
	pks_mk_readwrite(nest.page[i]->pkey);
	nest.depth = max(nest.depth, i + 1);
}

static int nest_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!nmi_is_ours())
		return NMI_DONE;
	nest_enter(2);
	nest.pkrs_at_exit[2] = pks_rdmsr();
	WRITE_ONCE(nest.nmi_seen, true);
	return NMI_HANDLED;
}

static int nest_int3(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;
	/* Interrupts are off, so jiffies may stand still. */
	int tries = 10000000;

	if (val != DIE_INT3 || user_mode(args->regs))
		return NOTIFY_DONE;
	nest_enter(1);
	send_nmi(smp_processor_id());
	while (!READ_ONCE(nest.nmi_seen) && --tries)
		cpu_relax();
	nest.pkrs_at_exit[1] = pks_rdmsr();
	return NOTIFY_STOP;
}

static struct notifier_block nest_nb = { .notifier_call = nest_int3 };

static void nest_irq(struct irq_work *work)
{
	nest_enter(0);
	asm volatile("int3");
	nest.pkrs_at_exit[0] = pks_rdmsr();
	WRITE_ONCE(nest.done, true);
}

static struct irq_work nest_work = IRQ_WORK_INIT_HARD(nest_irq);

static void nest_end(void *unused)
{
	irq_work_sync(&nest_work);
	unregister_die_notifier(&nest_nb);
	nmi_end("pks_nest");
}

void pks_test_nested(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "thread");
	int i;

	memset(&nest, 0, sizeof(nest));
	for (i = 0; i < 3; i++)
		nest.page[i] = pks_kunit_page(test, "nested");
	pks_pin(test, 0);
	KUNIT_ASSERT_EQ(test, register_die_notifier(&nest_nb), 0);
	if (register_nmi_handler(NMI_LOCAL, nest_nmi, 0, "pks_nest")) {
		unregister_die_notifier(&nest_nb);
		KUNIT_FAIL_AND_ABORT(test, "no NMI handler");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, nest_end, NULL), 0);

	pks_mk_readonly(p->pkey);
	irq_work_queue(&nest_work);
	pks_spin_until(READ_ONCE(nest.done));
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, PKS_READONLY));
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_TRUE(test, nest.done);
	KUNIT_EXPECT_EQ(test, nest.depth, 3);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, nest.pkrs_at_entry[i], PKRS_INIT_VALUE);
		KUNIT_EXPECT_EQ(test, nest.pkrs_at_exit[i],
				pks_value(nest.page[i]->pkey, PKS_READWRITE));
	}
}

/* The local APIC has accepted this vector, and the CPU has not taken it yet. */
static bool requested(unsigned int vector)
{
	return apic->read(APIC_IRR + vector / 32 * 0x10) & BIT(vector % 32);
}

/*
 * A vector without a handler, which takes a path of its own: the thread must get
 * back what it had, like from any other.
 */
void pks_test_spurious(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "spurious");
	bool came;
	u32 pkrs;

	pks_pin(test, 0);
	pks_mk_readwrite(p->pkey);
	local_irq_disable();
	apic->send_IPI(0, MANAGED_IRQ_SHUTDOWN_VECTOR);
	came = pks_spin_until(requested(MANAGED_IRQ_SHUTDOWN_VECTOR));
	local_irq_enable();
	came &= pks_spin_until(!requested(MANAGED_IRQ_SHUTDOWN_VECTOR));
	pkrs = pks_rdmsr();
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_TRUE(test, came);
	KUNIT_EXPECT_EQ(test, pkrs, pks_value(p->pkey, PKS_READWRITE));
}

/* Only newer kernels have it, and only with KVM for Intel. */
void __weak x86_entry_from_kvm(unsigned int event_type, unsigned int vector);

/*
 * KVM takes an interrupt that ended its guest's turn by a call. The frame is made by FRED's
 * entry code, without FRED as well, and has FRED's words where the rights go. The vector has no
 * handler: its path enters and exits by itself.
 */
void pks_test_kvm_interrupt(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "kvm");
	u32 pkrs;

	if (!x86_entry_from_kvm)
		kunit_skip(test, "needs CONFIG_KVM_INTEL and x86_entry_from_kvm()");

	pks_mk_readwrite(p->pkey);
	scoped_guard(irqsave) {
		x86_entry_from_kvm(EVENT_TYPE_EXTINT, MANAGED_IRQ_SHUTDOWN_VECTOR);
		pkrs = pks_rdmsr();
	}
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_EQ(test, pkrs, pks_value(p->pkey, PKS_READWRITE));
}

/*
 * An interrupt of the idle thread leaves a key open. An NMI after it finds in
 * its frame what the idle thread has.
 */
static struct idle {
	struct pks_page	*page;
	bool		opened;
	bool		was_idle;
	int		nmis;
	/* Those of the NMIs that came in the idle thread, */
	int		in_idle;
	/* and what they found. */
	u32		pkrs;
} idle;

static void idle_open(struct irq_work *work)
{
	pks_mk_readwrite(idle.page->pkey);
	idle.was_idle = is_idle_task(current);
	/* Pairs with the acquire in pks_test_idle(). */
	smp_store_release(&idle.opened, true);
}

static struct irq_work idle_work = IRQ_WORK_INIT_HARD(idle_open);

/*
 * A CPU whose idle thread polls, or waits with MWAIT, is not sent an interrupt to
 * call this: that thread does, so the function raises one.
 */
static void idle_interrupt(void *unused)
{
	irq_work_queue(&idle_work);
}

static int idle_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!nmi_is_ours())
		return NMI_DONE;
	/* Not the interrupt's tail: a softirq, or with interrupts off the exit. */
	if (is_idle_task(current) && !in_serving_softirq() &&
	    regs->flags & X86_EFLAGS_IF) {
		idle.pkrs = pks_regs_pkrs(regs);
		idle.in_idle += idle.was_idle;
	}
	/* Pairs with the acquire in pks_test_idle(). */
	smp_store_release(&idle.nmis, idle.nmis + 1);

	return NMI_HANDLED;
}

static void idle_end(void *unused)
{
	/* It may be late, and the page goes next. */
	irq_work_sync(&idle_work);
	nmi_end("pks_idle");
}

void pks_test_idle(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "idle");
	unsigned long end;
	int cpu, i, pause;

	KUNIT_ASSERT_EQ(test, register_nmi_handler(NMI_LOCAL, idle_nmi, 0, "pks_idle"), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, idle_end, NULL), 0);

	for_each_online_cpu(cpu) {
		pks_pin(test, pks_other_cpu(test, cpu));
		irq_work_sync(&idle_work);
		idle = (struct idle) { .page = p };
		/* Others may have the CPU for a time. Longer is a soft lockup here. */
		end = jiffies + 10 * HZ;
		for (i = 0; idle.in_idle < 10 && time_before(jiffies, end); i++) {
			idle.pkrs = PKRS_INIT_VALUE;
			idle.opened = false;
			smp_call_function_single(cpu, idle_interrupt, NULL, 1);
			/* Pairs with the release in idle_open(). */
			while (!smp_load_acquire(&idle.opened) && time_before(jiffies, end))
				cpu_relax();
			/* How long the interrupt's tail is depends on the configuration. */
			for (pause = 1 << i % 16; pause; pause--)
				cpu_relax();
			send_nmi(cpu);
			/* Pairs with the release in idle_nmi(). */
			while (smp_load_acquire(&idle.nmis) == i && time_before(jiffies, end))
				cpu_relax();
			KUNIT_ASSERT_EQ(test, idle.pkrs, PKRS_INIT_VALUE);
			cond_resched();
		}
		/* None, if neither the interrupt nor the NMI comes in all this time. */
		KUNIT_ASSERT_GT(test, idle.nmis, 0);
		if (idle.in_idle < 10)
			kunit_skip(test, "CPU %d is not idle", cpu);
	}
}

/* A fault in a window sleeps; another thread has the CPU meanwhile. */
static void sleep_in_fault(void *arg)
{
	struct pks_worker *w = arg;

	pks_handle();
	pks_gate_sleep(&w->gate);
	/* The handler's rights lasted. */
	if (pks_seen(pks_handler.own->addr) != PKS_READWRITE)
		pks_handler.own_opened = false;
}

static void look_and_wake(struct pks_worker *w)
{
	if (!pks_gate_reached(&w->gate))
		return;
	w->began_closed = pks_all_closed() &&
			  pks_seen(pks_handler.window->addr) == PKS_NOACCESS &&
			  pks_seen(pks_handler.own->addr) == PKS_NOACCESS;
	pks_mk_readwrite(w->page->pkey);
	w->in_window = pks_seen(w->page->addr);
	pks_gate_open(&w->gate);
}

void pks_test_sleeping_fault(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "other");
	struct pks_handler *h = &pks_handler;
	struct pks_worker *w;
	u32 val __maybe_unused;
	u32 __user *addr;

	pks_handler_begin(test);
	pks_pin(test, 0);
	w = pks_worker_start(test, 0, look_and_wake, p);
	addr = pks_user_page(test, sleep_in_fault, w);

	pks_mk_readwrite(h->window->pkey);
	KUNIT_EXPECT_EQ(test, get_user(val, addr), 0);
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(h->window->pkey, PKS_READWRITE));
	KUNIT_EXPECT_EQ(test, pks_seen(h->window->addr), PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, pks_seen(h->own->addr), PKS_NOACCESS);
	pks_mk_noaccess(h->window->pkey);

	pks_worker_join(test, w);
	KUNIT_EXPECT_EQ(test, h->hits, 1);
	KUNIT_EXPECT_EQ(test, h->pkrs, PKRS_INIT_VALUE);
	KUNIT_EXPECT_TRUE(test, h->own_opened);
	KUNIT_EXPECT_TRUE(test, w->began_closed);
	KUNIT_EXPECT_EQ(test, w->in_window, PKS_READWRITE);
}
