// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: free a key while rights to it hide everywhere,
 * give it to a new owner, and nobody can touch the new owner's page.
 */
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "pks_kunit.h"

static void sleep_at_gate(void *gate)
{
	pks_gate_sleep(gate);
}

struct faulter {
	struct mm_struct	*mm;
	u32 __user		*addr;
};

/* A page fault sleeps in the window. */
static void open_and_fault(struct pks_worker *w)
{
	struct faulter *f = w->arg;
	u32 val __maybe_unused;

	kthread_use_mm(f->mm);
	pks_mk_readwrite(w->page->pkey);
	w->in_window = pks_seen(w->page->addr);
	if (get_user(val, f->addr))
		w->in_window = PKS_NR_RIGHTS;
	w->after_wait = pks_seen(w->page->addr);
	w->pkrs_after_wait = pks_rdmsr();
	kthread_unuse_mm(f->mm);
	mmput(f->mm);
	kfree(f);
}

static struct pks_worker *start_faulter(struct kunit *test, int cpu, struct pks_page *p)
{
	struct pks_worker *w = pks_worker_new(test, cpu, open_and_fault, p);
	u32 __user *addr = pks_user_page(test, sleep_at_gate, &w->gate);
	struct faulter *f = kzalloc(sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	/* The worker gives back both. */
	f->mm = current->mm;
	mmget(f->mm);
	f->addr = addr;
	w->arg = f;
	pks_worker_wake(w);

	return w;
}

/* Two workers, each at its gate: one sleeps on CPU 0, and one spins on another CPU. */
struct pair {
	struct pks_worker	*sleeping;
	struct pks_worker	*running;
};

static struct pair start_pair(struct kunit *test, int other, void (*sleep)(struct pks_worker *),
			      void (*spin)(struct pks_worker *), struct pks_page *p)
{
	struct pair pair = {
		.sleeping	= pks_worker_start(test, 0, sleep, p),
		.running	= pks_worker_start(test, other, spin, p),
	};

	pks_worker_await(test, pair.sleeping);
	pks_worker_await(test, pair.running);

	return pair;
}

static void join_pair(struct kunit *test, struct pair pair)
{
	pks_worker_join(test, pair.sleeping);
	pks_worker_join(test, pair.running);
}

static void expect_revoked(struct kunit *test, struct pks_worker *w, const char *who)
{
	KUNIT_EXPECT_EQ_MSG(test, w->in_window, PKS_READWRITE, "%s never had the right", who);
	KUNIT_EXPECT_EQ_MSG(test, w->after_wait, PKS_NOACCESS, "%s kept the right", who);
	KUNIT_EXPECT_EQ(test, w->pkrs_after_wait, PKRS_INIT_VALUE);
}

static void expect_pair_revoked(struct kunit *test, struct pair pair)
{
	expect_revoked(test, pair.sleeping, "a sleeping thread");
	expect_revoked(test, pair.running, "a running thread");
}

void pks_test_retire(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "old");
	int other = pks_other_cpu(test, 0);
	struct pks_worker *faulting;
	struct pair pair;

	pks_hold_keys(test, NULL);
	pks_pin(test, 0);
	faulting = start_faulter(test, 0, p);
	pair = start_pair(test, other, pks_open_and_sleep, pks_open_and_spin, p);
	pks_worker_await(test, faulting);
	pks_mk_readwrite(p->pkey);

	/* The same page and address again: what was allowed must not be. */
	pks_key_free(p->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_NOACCESS);
	pks_kunit_key_again(test, p);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_NOACCESS);

	/* The new owner's right is real, and lasts through an interruption. */
	pks_mk_readwrite(p->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);

	join_pair(test, pair);
	pks_worker_join(test, faulting);
	pks_mk_noaccess(p->pkey);

	expect_pair_revoked(test, pair);
	expect_revoked(test, faulting, "an interrupted context");
}

/* Who opens a key that nobody owns, a bug, has no right to its next owner's pages. */
void pks_test_retire_at_alloc(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "unowned");
	int other = pks_other_cpu(test, 0);
	struct pair pair;

	pks_hold_keys(test, NULL);
	pks_pin(test, 0);
	pks_key_free(p->pkey);

	pair = start_pair(test, other, pks_open_and_sleep, pks_open_and_spin, p);
	pks_mk_readwrite(p->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_READWRITE);

	pks_kunit_key_again(test, p);
	KUNIT_EXPECT_EQ(test, pks_seen(p->addr), PKS_NOACCESS);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());

	join_pair(test, pair);
	expect_pair_revoked(test, pair);
}

/* Open the key, and keep it over a context switch. */
static void open_late(struct pks_worker *w)
{
	pks_mk_readwrite(w->page->pkey);
	w->in_window = pks_seen(w->page->addr);
	schedule_timeout_uninterruptible(1);
	w->after_wait = pks_seen(w->page->addr);
}

/* All closed while the key is retired: asleep, and running. */
static void sleep_and_open(struct pks_worker *w)
{
	pks_gate_sleep(&w->gate);
	open_late(w);
}

static void spin_and_open(struct pks_worker *w)
{
	pks_gate_spin(&w->gate);
	open_late(w);
}

static void expect_kept(struct kunit *test, struct pks_worker *w)
{
	KUNIT_EXPECT_EQ(test, w->in_window, PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, w->after_wait, PKS_READWRITE);
}

/* A thread that opened the key after its rebirth keeps it when it sleeps. */
void pks_test_rebirth(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "old");
	int other = pks_other_cpu(test, 0);
	struct pair pair;

	pks_hold_keys(test, NULL);
	pks_pin(test, 0);
	pair = start_pair(test, other, sleep_and_open, spin_and_open, p);
	pks_key_free(p->pkey);
	pks_kunit_key_again(test, p);
	join_pair(test, pair);
	expect_kept(test, pair.sleeping);
	expect_kept(test, pair.running);

	pair = start_pair(test, other, pks_open_and_sleep, pks_open_and_spin, p);
	join_pair(test, pair);
	expect_kept(test, pair.sleeping);
	expect_kept(test, pair.running);
}

/*
 * Freeing a key flushes what vunmap() has left in the TLBs, before anybody else can get
 * the key.
 */
static struct flush_probe {
	struct kprobe		kp;
	struct task_struct	*task;
	u16			epoch;
	/* Flushes, and those that came ahead of the retirement. */
	int			hits;
	int			early;
} flush_probe;

static int flush_probe_hit(struct kprobe *kp, struct pt_regs *regs)
{
	/* Others flush, too. */
	if (current != flush_probe.task)
		return 0;
	flush_probe.hits++;
	/* A handler changes PKRS, and not the epoch of the thread. */
	flush_probe.early += READ_ONCE(current->thread.pks.epoch) == flush_probe.epoch;

	return 0;
}

static void flush_probe_end(void *unused)
{
	unregister_kprobe(&flush_probe.kp);
}

void pks_test_free_flushes(struct kunit *test)
{
	struct pks_page p;

	flush_probe = (struct flush_probe) {
		.kp = {
			/* Not by name. It is exported, and so there for sure. */
			.addr		= (kprobe_opcode_t *)vm_unmap_aliases,
			.pre_handler	= flush_probe_hit,
			.post_handler	= pks_kprobe_post,
		},
		.task = current,
	};
	KUNIT_ASSERT_EQ(test, register_kprobe(&flush_probe.kp), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, flush_probe_end, NULL), 0);

	KUNIT_ASSERT_EQ(test, pks_page_get(&p, "flush"), 0);
	pks_page_unmap(&p);
	flush_probe.hits = 0;
	flush_probe.early = 0;
	flush_probe.epoch = current->thread.pks.epoch;
	pks_key_free(p.pkey);

	KUNIT_EXPECT_GT(test, flush_probe.early, 0);
	KUNIT_EXPECT_EQ(test, flush_probe.hits, flush_probe.early);
	/* The retirement itself shows. */
	KUNIT_EXPECT_NE(test, current->thread.pks.epoch, flush_probe.epoch);
}
