// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: the rights of a thread that is switched out,
 * preempted, moved to another CPU or born.
 */
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/preempt.h>
#include <linux/sched/task.h>
#include <linux/smp.h>

#include "pks_kunit.h"

void pks_test_switch_one_cpu(struct kunit *test)
{
	struct pks_page *a = pks_kunit_page(test, "a"), *b = pks_kunit_page(test, "b");
	struct pks_worker *wa, *wb;

	/* All three on CPU 0, so that each wait is a context switch. */
	pks_pin(test, 0);
	wa = pks_worker_start(test, 0, pks_open_and_sleep, a);
	wb = pks_worker_start(test, 0, pks_open_and_sleep, b);
	pks_worker_await(test, wa);
	pks_worker_await(test, wb);

	KUNIT_EXPECT_TRUE(test, pks_all_closed());
	KUNIT_EXPECT_EQ(test, pks_seen(a->addr), PKS_NOACCESS);
	KUNIT_EXPECT_EQ(test, pks_seen(b->addr), PKS_NOACCESS);

	pks_mk_readonly(b->pkey);
	pks_worker_join(test, wa);
	pks_worker_join(test, wb);

	KUNIT_EXPECT_EQ(test, wa->in_window, PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, wa->after_wait, PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, wa->pkrs_after_wait, pks_value(a->pkey, PKS_READWRITE));
	KUNIT_EXPECT_EQ(test, wb->in_window, PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, wb->after_wait, PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, wb->pkrs_after_wait, pks_value(b->pkey, PKS_READWRITE));
	/* What they did was theirs alone. */
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(b->pkey, PKS_READONLY));
	KUNIT_EXPECT_EQ(test, pks_seen(b->addr), PKS_READONLY);
	pks_mk_noaccess(b->pkey);
}

void pks_test_migrate(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "migrate");
	int cpu = 0, other = pks_other_cpu(test, cpu), i;

	pks_pin(test, cpu);
	pks_mk_readwrite(p->pkey);
	for (i = 0; i < 10; i++) {
		swap(cpu, other);
		pks_pin(test, cpu);
		KUNIT_EXPECT_EQ(test, raw_smp_processor_id(), cpu);
		KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, PKS_READWRITE));
		KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	}
	pks_mk_noaccess(p->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_NOACCESS);
}

static void look_at_birth(struct pks_worker *w)
{
	w->began_closed = pks_all_closed() && pks_seen(w->page->addr) == PKS_NOACCESS;
}

/*
 * kthreads are forked by kthreadd, not by their creator, so this covers the window of the
 * creator only. The kselftest test_pks shows that fork() itself drops rights.
 */
void pks_test_kthread_closed(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "kthread");
	struct pks_worker *w;

	pks_mk_readwrite(p->pkey);
	w = pks_worker_start(test, raw_smp_processor_id(), look_at_birth, p);
	pks_worker_join(test, w);
	KUNIT_EXPECT_TRUE(test, w->began_closed);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	pks_mk_noaccess(p->pkey);
}

/*
 * Preemption inside an open window, by a wake-up and on return from an
 * interrupt, with the window's thread sent to another CPU meanwhile.
 */
static struct preempt {
	/* The thread that is preempted; NULL calls the interrupt off. */
	struct task_struct	*task;
	struct pks_worker	*by;
	/* What the interrupt opens before it lets the other thread in. */
	struct pks_page		*own;
	/* The rights of @task while the other thread runs. */
	u32			pkrs;
} preempt;

static void preempting(struct pks_worker *w)
{
	w->began_closed = pks_all_closed();
	preempt.pkrs = READ_ONCE(preempt.task->thread.pks.pkrs);
	pks_mk_readwrite(w->page->pkey);
	w->in_window = pks_seen(w->page->addr);
	if (w->arg)
		set_cpus_allowed_ptr(preempt.task, w->arg);
	WRITE_ONCE(w->gate.open, true);
}

static void preempt_from_irq(struct irq_work *work)
{
	struct task_struct *task = READ_ONCE(preempt.task);

	if (!task)
		return;
	/* Not while another thread has the CPU, nor where this one keeps it. */
	if (current != task || preempt_count() & PREEMPT_MASK) {
		irq_work_queue(work);
		return;
	}
	/* A handler's own right must not reach the thread it lets in. */
	pks_mk_readwrite(preempt.own->pkey);
	pks_worker_wake(preempt.by);
}

/* From the tick: irq_work_queue() raises its own IPI with preemption off. */
static struct irq_work preempt_work = IRQ_WORK_INIT_LAZY(preempt_from_irq);

static void preempt_end(void *task)
{
	WRITE_ONCE(preempt.task, NULL);
	irq_work_sync(&preempt_work);
	put_task_struct(task);
}

static void preempt_begin(struct kunit *test)
{
	if (!preempt_model_full())
		kunit_skip(test, "needs CONFIG_PREEMPT");

	preempt = (struct preempt) {
		.task	= get_task_struct(current),
		.own	= pks_kunit_page(test, "handler"),
	};
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, preempt_end, current), 0);
}

static void preempt_window(struct kunit *test, bool from_irq, int to_cpu)
{
	struct pks_page *other = pks_kunit_page(test, "preemptor");
	struct pks_page *p = pks_kunit_page(test, "window");
	struct pks_worker *w;
	bool preempted;

	pks_pin(test, 0);
	w = pks_worker_new(test, 0, preempting, other);
	if (to_cpu)
		w->arg = (void *)cpumask_of(to_cpu);
	sched_set_fifo(w->task);
	preempt.by = w;

	pks_mk_readwrite(p->pkey);
	if (from_irq)
		irq_work_queue(&preempt_work);
	else
		pks_worker_wake(w);
	/* The other thread runs here only if it preempts this one. */
	preempted = pks_spin_until(READ_ONCE(w->gate.open));
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, PKS_READWRITE));
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, pks_seen(other->addr), PKS_NOACCESS);
	KUNIT_EXPECT_EQ(test, raw_smp_processor_id(), to_cpu);
	pks_mk_noaccess(p->pkey);
	if (!preempted)
		KUNIT_FAIL_AND_ABORT(test, "the thread in the window was not preempted");

	pks_worker_join(test, w);
	KUNIT_EXPECT_TRUE(test, w->began_closed);
	KUNIT_EXPECT_EQ(test, w->in_window, PKS_READWRITE);
	/* The scheduler ran with the handler's rights. */
	if (from_irq)
		KUNIT_EXPECT_EQ(test, preempt.pkrs, pks_value(preempt.own->pkey, PKS_READWRITE));
}

void pks_test_preempt(struct kunit *test)
{
	preempt_begin(test);
	preempt_window(test, false, 0);
	preempt_window(test, true, 0);
}

void pks_test_preempt_migrate(struct kunit *test)
{
	int other = pks_other_cpu(test, 0);

	preempt_begin(test);
	preempt_window(test, true, other);
}
