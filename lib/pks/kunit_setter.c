// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: an exception between any two instructions of
 * a setter, and a key that is retired there.
 *
 * First single-step through the setter, to record the addresses of its instructions. Then
 * hit one address in each run with a kprobe: each exception writes the MSR anew when it
 * returns, and so would hide the state that the next one should meet.
 */
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/preempt.h>

#include <asm/debugreg.h>

#include "pks_kunit.h"

#define MAX_STEPS	64
#define MAX_STALLS	2

static struct step {
	unsigned long		ip[MAX_STEPS];
	int			nr;
	/* When single-stepping, the step at which another CPU retires a key. */
	int			retire_at;
	/* The thread that retires the key of @old in each round. NULL in @old is the end. */
	struct pks_worker	*worker;
	struct completion	begin;
	struct completion	over;
	struct pks_page		*old;
	bool			retired;
	/* It did not come; what this run shows is void. */
	bool			stalled;
	int			stalls;
	/* Exceptions that found a key open. */
	int			found_open;
} step;

static void step_retire(void)
{
	u16 epoch = READ_ONCE(current->thread.pks.epoch);
	int pkey = step.worker->page->pkey;
	int tries = 100000;

	/*
	 * The IPI is pending until this handler returns. int3's exit path is where the new
	 * epoch becomes visible, and only while a key is open. Bounded: stop_machine() may
	 * hold the other CPU. And pks_key_free() begins with vm_unmap_aliases(): if somebody has
	 * freed vmalloc memory meanwhile, that waits for this CPU to flush its TLB.
	 */
	pks_mk_readwrite(pkey);
	WRITE_ONCE(step.worker->gate.open, true);
	while (READ_ONCE(current->thread.pks.epoch) == epoch && --tries)
		asm volatile("int3");
	pks_mk_noaccess(pkey);
	step.retired = tries;
	step.stalled = !tries;
}

static int step_notify(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (user_mode(args->regs))
		return NOTIFY_DONE;
	if (val == DIE_INT3)
		return NOTIFY_STOP;
	if (val != DIE_DEBUG)
		return NOTIFY_DONE;

	step.found_open += pks_rdmsr() != PKRS_INIT_VALUE;
	if (step.nr < MAX_STEPS)
		step.ip[step.nr] = args->regs->ip;
	if (++step.nr == step.retire_at)
		step_retire();
	*(unsigned long *)args->err &= ~DR_STEP;

	return NOTIFY_STOP;
}

static struct notifier_block step_nb = { .notifier_call = step_notify };

static int step_probe(struct kprobe *kp, struct pt_regs *regs)
{
	step.found_open += pks_rdmsr() != PKRS_INIT_VALUE;
	if (step.worker && !step.retired && !step.stalled)
		step_retire();
	return 0;
}

/*
 * The same instructions each time; @tf is the trap flag or zero. No sanitizer:
 * a probe in what that calls would hit its own handling.
 */
static __noinstr_section(".text") void step_setter(int pkey, enum pks_right right,
						   unsigned long tf)
{
	asm volatile("pushfq; orq %0, (%%rsp); popfq" : : "r" (tf) : "memory", "cc");
	pks_set(pkey, right);
	asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

/*
 * Set @right, coming from the opposite, and see that nothing else changed.
 * @retire is zero or the key that may be retired meanwhile: another one, that is
 * open, or @pkey itself, which may end closed then, but not with more rights.
 */
static void step_set(struct kunit *test, int pkey, enum pks_right right, int retire,
		     unsigned long tf)
{
	u32 msr, cached, want;

	step.found_open = 0;
	pks_set(pkey, right == PKS_NOACCESS ? PKS_READWRITE : PKS_NOACCESS);
	KUNIT_ASSERT_EQ(test, register_die_notifier(&step_nb), 0);
	preempt_disable();
	step_setter(pkey, right, tf);
	msr = pks_rdmsr();
	cached = this_cpu_read(pkrs_cache);
	preempt_enable();
	unregister_die_notifier(&step_nb);
	if (step.stalled)
		return;

	want = pks_value(pkey, right);
	if (retire == pkey) {
		if (step.retired && !pkr_allows_read(msr, pkey))
			want = msr | PKRS_INIT_VALUE;
	} else if (retire && !step.retired) {
		want &= ~(PKR_RIGHTS_MASK << PKR_SHIFT(retire));
	}
	KUNIT_EXPECT_EQ_MSG(test, step.found_open, 0, "right %d: open to a handler", right);
	KUNIT_EXPECT_EQ_MSG(test, msr, want, "right %d", right);
	KUNIT_EXPECT_EQ_MSG(test, cached, want, "right %d", right);
	KUNIT_EXPECT_EQ_MSG(test, current->thread.pks.pkrs, want, "right %d", right);
}

/* Single-step through it, and note where that leads. */
static void step_record(struct kunit *test, int pkey, enum pks_right right, int retire)
{
	step.nr = 0;
	step_set(test, pkey, right, retire, X86_EFLAGS_TF);
	KUNIT_ASSERT_GT(test, step.nr, 10);
	KUNIT_ASSERT_LT(test, step.nr, MAX_STEPS);
}

/* Interrupt one instruction; false if that can't be probed, being patched code. */
static bool step_interrupt(struct kunit *test, int i, int pkey, enum pks_right right, int retire)
{
	struct kprobe kp = {
		.addr		= (kprobe_opcode_t *)step.ip[i],
		.pre_handler	= step_probe,
		.post_handler	= pks_kprobe_post,
	};

	if (register_kprobe(&kp))
		return false;
	step_set(test, pkey, right, retire, 0);
	unregister_kprobe(&kp);

	return true;
}

void pks_test_interrupt_in_setter(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "setter");
	enum pks_right right;
	int i, probed;

	pks_pin(test, 0);
	memset(&step, 0, sizeof(step));
	for (right = 0; right < PKS_NR_RIGHTS; right++) {
		step_record(test, p->pkey, right, 0);
		for (probed = 0, i = 0; i < step.nr; i++)
			probed += step_interrupt(test, i, p->pkey, right, 0);
		KUNIT_EXPECT_GT(test, probed, 10);
	}
	pks_mk_noaccess(p->pkey);
}

/*
 * One thread for all rounds. The stack of a thread that ends is vmalloc memory, and
 * step_retire() says what that does to the next round.
 */
static void retire_rounds(struct pks_worker *w)
{
	/* Less than the end of the test waits for this thread. */
	while (wait_for_completion_timeout(&step.begin, PKS_PATIENCE / 2) && step.old) {
		pks_gate_spin(&w->gate);
		pks_key_free(step.old->pkey);
		complete(&step.over);
	}
}

/*
 * Set a right to the key of @p, and retire the key of @old meanwhile, which may be @p.
 * With a probe at instruction @i, or single-stepping if that is negative.
 */
static void retire_at(struct kunit *test, int i, struct pks_page *p, enum pks_right right,
		      struct pks_page *old)
{
	struct pks_worker *w = step.worker;

	pks_gate_init(&w->gate);
	step.old = old;
	complete(&step.begin);
	pks_worker_await(test, w);
	step.retired = false;
	step.stalled = false;
	if (old != p)
		pks_mk_readwrite(old->pkey);

	if (i < 0)
		step_record(test, p->pkey, right, old->pkey);
	else
		step_interrupt(test, i, p->pkey, right, old->pkey);

	pks_gate_open(&w->gate);
	if (!wait_for_completion_timeout(&step.over, PKS_PATIENCE))
		KUNIT_FAIL_AND_ABORT(test, "%s retires no key", w->task->comm);
	pks_kunit_key_again(test, old);
	pks_mk_noaccess(p->pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
	if (step.stalled && ++step.stalls > MAX_STALLS)
		KUNIT_FAIL_AND_ABORT(test, "retirements do not show");
}

static void retire_at_each(struct kunit *test, struct pks_page *p, enum pks_right right,
			   struct pks_page *old)
{
	int i, retired = 0;

	/* At each step, with all that follow. */
	step.retire_at = 1;
	do {
		retire_at(test, -1, p, right, old);
	} while (step.stalled || (step.retired && step.retire_at++ < MAX_STEPS));
	KUNIT_EXPECT_GT(test, step.retire_at, 10);

	/* And alone. */
	step.retire_at = 0;
	step_record(test, p->pkey, right, 0);
	for (i = 0; i < step.nr; i += !step.stalled) {
		retire_at(test, i, p, right, old);
		retired += step.retired;
	}
	KUNIT_EXPECT_GT(test, retired, 10);
}

/*
 * Retire a key while the thread sets rights: one that it has open while it sets
 * the rights to another, or the very one. No handler may see it open, and no
 * right to it may come back.
 */
void pks_test_retire_in_setter(struct kunit *test)
{
	/* The worker closes this one when it ends, in its own rights. */
	struct pks_page *p = pks_kunit_page(test, "setter");
	struct pks_page *other = pks_kunit_page(test, "other");
	int cpu = pks_other_cpu(test, 0);
	enum pks_right right;

	pks_hold_keys(test, NULL);
	pks_pin(test, 0);
	memset(&step, 0, sizeof(step));
	init_completion(&step.begin);
	init_completion(&step.over);
	step.worker = pks_worker_start(test, cpu, retire_rounds, p);
	for (right = 0; right < PKS_NR_RIGHTS; right++) {
		retire_at_each(test, p, right, other);
		retire_at_each(test, p, right, p);
	}
	step.old = NULL;
	complete(&step.begin);
	pks_worker_join(test, step.worker);
}
