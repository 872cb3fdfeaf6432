// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: what can be shown without help
 * from user space. The rest is in pks_run.c and the kselftest test_pks.
 *
 * Every forbidden access has its legal twin, and every check that rights are
 * closed comes with one that they open: a test that touches nothing can't pass.
 */
#include <kunit/test.h>

#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/file.h>
#include <linux/irq_work.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/timer.h>

#include <asm/apic.h>
#include <asm/debugreg.h>
#include <asm/hardirq.h>
#include <asm/irq_vectors.h>
#include <asm/tlbflush.h>
#include <asm/trapnr.h>
#include <asm/word-at-a-time.h>

#include "pks_test.h"

/* Rights by the order of the enum in pks_set(). */
enum { NOACCESS, READONLY, READWRITE, NR_RIGHTS };

static const char * const rights_name[] = { "noaccess", "readonly", "readwrite" };

static void pks_set(int pkey, int rights)
{
	switch (rights) {
	case NOACCESS:
		pks_mk_noaccess(pkey);
		break;
	case READONLY:
		pks_mk_readonly(pkey);
		break;
	case READWRITE:
		pks_mk_readwrite(pkey);
		break;
	}
}

/* The value that PKRS must have with @rights to @pkey and no others. */
static u32 pks_value(int pkey, int rights)
{
	static const u32 bits[] = { PKR_RIGHTS_MASK, PKR_WD_BIT, 0 };

	return (PKRS_INIT_VALUE & ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey))) |
	       bits[rights] << PKR_SHIFT(pkey);
}

static void page_put(void *p)
{
	pks_page_put(p);
}

/* A page with a key of its own, until the test ends. */
static struct pks_page *test_page(struct kunit *test, const char *name)
{
	struct pks_page *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, pks_page_get(p, name), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, page_put, p), 0);

	return p;
}

static void unpin(void *unused)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

static void pin(struct kunit *test, int cpu)
{
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unpin, NULL), 0);
}

static int other_cpu(struct kunit *test, int cpu)
{
	int other = cpumask_any_but(cpu_online_mask, cpu);

	if (other >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	return other;
}

/* A kthread on one CPU whose result the test collects. */
struct worker {
	int			(*fn)(struct worker *w);
	struct pks_page		*page;
	struct task_struct	*task;
	struct completion	ready;
	struct completion	go;
	struct completion	done;
	bool			spin_go;
	bool			before;
	bool			after;
	u32			msr;
	int			cpu;
	void			*arg;
};

static int worker_main(void *arg)
{
	struct worker *w = arg;

	w->fn(w);
	pks_mk_noaccess(w->page->pkey);
	/* Not complete() and return: this code can be unloaded from then on. */
	kthread_complete_and_exit(&w->done, 0);
}

static void worker_init(struct kunit *test, struct worker *w, int cpu,
			int (*fn)(struct worker *), struct pks_page *page)
{
	memset(w, 0, sizeof(*w));
	init_completion(&w->ready);
	init_completion(&w->go);
	init_completion(&w->done);
	w->fn = fn;
	w->page = page;
	w->cpu = cpu;
	w->task = kthread_create(worker_main, w, "pks-worker/%d", cpu);
	KUNIT_ASSERT_FALSE(test, IS_ERR(w->task));
	kthread_bind(w->task, cpu);
}

static void worker_start(struct kunit *test, struct worker *w, int cpu,
			 int (*fn)(struct worker *), struct pks_page *page)
{
	worker_init(test, w, cpu, fn, page);
	wake_up_process(w->task);
}

static void worker_join(struct worker *w)
{
	wait_for_completion(&w->done);
}

/* Another CPU is waited for. What it waits for, stop_machine(), may need this one. */
static void relax(void)
{
	cpu_relax();
	cond_resched();
}

/*
 * Set-up
 */

static void cpu_state(void *arg)
{
	atomic_t *bad = arg;

	if (!(__read_cr4() & X86_CR4_PKS) || pks_rdmsr() != PKRS_INIT_VALUE)
		atomic_inc(bad);
}

static void pks_test_every_cpu_on(struct kunit *test)
{
	atomic_t bad = ATOMIC_INIT(0);

	on_each_cpu(cpu_state, &bad, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&bad), 0);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/* Where PKS is off, consumers get what the documentation promises. */
static void pks_test_absent(struct kunit *test)
{
	if (pks_enabled())
		kunit_skip(test, "PKS is on");

	KUNIT_EXPECT_EQ(test, pks_key_alloc("absent"), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pks_key_alloc(NULL), -EOPNOTSUPP);
	/* None of them may warn, touch the MSR or change the rights. */
	pks_mk_readwrite(1);
	pks_mk_readonly(2);
	pks_mk_noaccess(3);
	pks_key_free(-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, current->thread.pks.pkrs, PKRS_INIT_VALUE);
	KUNIT_EXPECT_FALSE(test, __read_cr4() & X86_CR4_PKS);
}

/*
 * Keys
 */

static void keys_put(void *arg)
{
	int *keys = arg;

	for (; *keys > 0; keys++)
		pks_key_free(*keys);
}

/*
 * All keys that are free, until the test ends; zero ends the array. Where
 * consumers have some, the test counts as skipped, unless it fails.
 */
static int *all_keys(struct kunit *test, int *nr)
{
	int *keys = kunit_kcalloc(test, PKR_NR_PKEYS, sizeof(*keys), GFP_KERNEL);
	int i, pkey;

	KUNIT_ASSERT_NOT_NULL(test, keys);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, keys_put, keys), 0);
	for (i = 0; i < PKR_NR_PKEYS - 1; i++) {
		pkey = pks_key_alloc("all");
		if (pkey < 0)
			break;
		keys[i] = pkey;
	}
	*nr = i;
	if (i < PKR_NR_PKEYS - 1)
		kunit_mark_skipped(test, "only %d keys are free", i);

	return keys;
}

static void pks_test_alloc(struct kunit *test)
{
	u16 seen = 0;
	int *keys, nr, i, pkey;

	KUNIT_EXPECT_EQ(test, pks_key_alloc(NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, pks_key_alloc(""), -EINVAL);

	keys = all_keys(test, &nr);
	KUNIT_ASSERT_GT(test, nr, 1);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_GE(test, keys[i], 1);
		KUNIT_EXPECT_LE(test, keys[i], 15);
		KUNIT_EXPECT_FALSE_MSG(test, seen & BIT(keys[i]),
				       "key %d handed out twice", keys[i]);
		seen |= BIT(keys[i]);
	}
	KUNIT_EXPECT_EQ(test, pks_key_alloc("one too many"), -ENOSPC);
	/* An error is no key, not somebody else's. */
	pkey = -ENOSPC;
	KUNIT_EXPECT_EQ(test, pgprot_val(PAGE_KERNEL_PKEY(pkey)), pgprot_val(PAGE_KERNEL));

	/* The one that is given back is the one that comes next. */
	pkey = keys[nr / 2];
	pks_key_free(pkey);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("reused"), pkey);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("one too many"), -ENOSPC);
}

/*
 * The rights
 */

/* The code to fetch has no type for CFI to check. */
static __nocfi void matrix(struct kunit *test, int pkey, u32 *addr, void (*fetch)(void))
{
	int rights;

	for (rights = 0; rights < NR_RIGHTS; rights++) {
		pks_set(pkey, rights);
		KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(pkey, rights));
		KUNIT_EXPECT_EQ_MSG(test, pks_can_read(addr), rights != NOACCESS,
				    "read with %s, key %d", rights_name[rights], pkey);
		KUNIT_EXPECT_EQ_MSG(test, pks_can_write(addr), rights == READWRITE,
				    "write with %s, key %d", rights_name[rights], pkey);
		/* Instruction fetches are never checked: this must return. */
		fetch();
	}
	/* Back by the way it came, to see every change of rights once. */
	pks_mk_readonly(pkey);
	KUNIT_EXPECT_TRUE(test, pks_can_read(addr));
	KUNIT_EXPECT_FALSE(test, pks_can_write(addr));
	pks_mk_noaccess(pkey);
	KUNIT_EXPECT_FALSE(test, pks_can_read(addr));
	KUNIT_EXPECT_FALSE(test, pks_can_write(addr));
	pks_mk_readwrite(pkey);
	KUNIT_EXPECT_TRUE(test, pks_can_write(addr));
	pks_mk_noaccess(pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/* ENDBR64; RET. The probes write the word behind it. */
static const u8 fetch_code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xc3 };
#define FETCH_DATA	(sizeof(fetch_code) / sizeof(u32) + 1)

static void flush_tlb(void *unused)
{
	__flush_tlb_all();
}

static void set_pte_flush(pte_t *ptep, pteval_t val)
{
	set_pte(ptep, __pte(val));
	on_each_cpu(flush_tlb, NULL, 1);
}

static void pks_test_matrix_4k(struct kunit *test)
{
	struct pks_page p;
	int *keys, nr, i;
	unsigned int level;
	pte_t *ptep;

	keys = all_keys(test, &nr);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, pks_page_map(&p, keys[i]), 0);
		memcpy(page_address(p.page), fetch_code, sizeof(fetch_code));
		ptep = lookup_address((unsigned long)p.addr, &level);
		KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);
		KUNIT_EXPECT_EQ(test, pte_flags_pkey(pte_flags(*ptep)), keys[i]);
		/* vmap() never maps executable. */
		set_pte_flush(ptep, pte_val(*ptep) & ~_PAGE_NX);
		matrix(test, keys[i], p.addr + FETCH_DATA, (void (*)(void))p.addr);
		pks_page_unmap(&p);
	}
	KUNIT_EXPECT_EQ(test, i, nr);
}

/* The direct map has the large pages: give one of them each key in turn. */
static void pks_test_matrix_2m(struct kunit *test)
{
	unsigned int order = get_order(PMD_SIZE), level;
	pteval_t old, val;
	struct page *page;
	int *keys, nr, i;
	pte_t *ptep;
	u32 *addr;

	page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, order);
	if (!page)
		kunit_skip(test, "no 2M block of memory is free");
	addr = page_address(page);
	ptep = lookup_address((unsigned long)addr, &level);
	if (level != PG_LEVEL_2M) {
		__free_pages(page, order);
		kunit_skip(test, "the direct map has no 2M page here");
	}
	memcpy(addr, fetch_code, sizeof(fetch_code));
	keys = all_keys(test, &nr);
	old = pte_val(*ptep);

	for (i = 0; i < nr; i++) {
		val = (old & ~_PAGE_NX) | _PAGE_PKEY(keys[i]);
		KUNIT_EXPECT_EQ(test, pte_flags_pkey(val), keys[i]);
		set_pte_flush(ptep, val);
		matrix(test, keys[i], addr + FETCH_DATA, (void (*)(void))addr);
	}
	set_pte_flush(ptep, old);
	KUNIT_EXPECT_TRUE(test, pks_can_write(addr));
	__free_pages(page, order);
}

/* Several windows at a time do not disturb each other. */
static void pks_test_keys_independent(struct kunit *test)
{
	struct pks_page *a = test_page(test, "a"), *b = test_page(test, "b");

	pks_mk_readwrite(a->pkey);
	pks_mk_readonly(b->pkey);
	KUNIT_EXPECT_TRUE(test, pks_can_write(a->addr));
	KUNIT_EXPECT_TRUE(test, pks_can_read(b->addr));
	KUNIT_EXPECT_FALSE(test, pks_can_write(b->addr));
	pks_mk_noaccess(a->pkey);
	KUNIT_EXPECT_FALSE(test, pks_can_read(a->addr));
	KUNIT_EXPECT_TRUE(test, pks_can_read(b->addr));
	pks_mk_noaccess(b->pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/* Uaccess and nofault helpers report a closed page as -EFAULT. */
static void pks_test_efault(struct kunit *test)
{
	struct pks_page *p = test_page(test, "efault");
	unsigned long user;
	char __user *uptr;
	u64 buf;

	user = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user, 0);
	uptr = (char __user *)user;

	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&buf, p->addr, 8), -EFAULT);
	KUNIT_EXPECT_NE(test, copy_to_user(uptr, p->addr, 64), 0);

	pks_mk_readonly(p->pkey);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&buf, p->addr, 8), 0);
	KUNIT_EXPECT_EQ(test, copy_to_user(uptr, p->addr, 64), 0);

	pks_mk_readwrite(p->pkey);
	KUNIT_EXPECT_EQ(test, copy_from_user(p->addr, uptr, 64), 0);
	pks_mk_noaccess(p->pkey);
}

/*
 * The load crosses from the page into the guard page behind it, and faults there.
 * Its fixup reads the page again, which is open to the thread and not to the handler.
 */
static void pks_test_zeropad(struct kunit *test)
{
	struct pks_page *p = test_page(test, "zeropad");
	unsigned long word;

	pks_mk_readwrite(p->pkey);
	strscpy((char *)p->addr + PAGE_SIZE - 3, "ab", 3);
	pks_mk_readonly(p->pkey);
	word = load_unaligned_zeropad((char *)p->addr + PAGE_SIZE - 3);
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, READONLY));
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_EQ(test, word, 0x6261UL);
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));
}

/*
 * I5: no MSR write when the value would not change. Put a value of its own in
 * the MSR behind the kernel's back; what does not write leaves it there.
 */
static bool bp_seen_poison;
static u32 poison;

static int poison_notify(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (val != DIE_INT3 || user_mode(args->regs))
		return NOTIFY_DONE;
	bp_seen_poison = pks_rdmsr() == poison;
	return NOTIFY_STOP;
}

static void pks_test_no_needless_write(struct kunit *test)
{
	struct notifier_block nb = { .notifier_call = poison_notify };
	struct pks_page *p = test_page(test, "poison");
	u32 setter, handler, change;
	unsigned long flags;

	KUNIT_ASSERT_EQ(test, register_die_notifier(&nb), 0);
	local_irq_save(flags);

	poison = pks_value(p->pkey, READONLY);
	bp_seen_poison = false;
	native_wrmsr(MSR_IA32_PKRS, poison, 0);
	pks_mk_noaccess(p->pkey);
	setter = pks_rdmsr();
	asm volatile("int3");
	handler = pks_rdmsr();
	/* The legal twin: a change is written. */
	pks_mk_readwrite(p->pkey);
	change = pks_rdmsr();
	pks_mk_noaccess(p->pkey);

	local_irq_restore(flags);
	unregister_die_notifier(&nb);

	KUNIT_EXPECT_EQ(test, setter, poison);
	KUNIT_EXPECT_TRUE(test, bp_seen_poison);
	KUNIT_EXPECT_EQ(test, handler, poison);
	KUNIT_EXPECT_EQ(test, change, pks_value(p->pkey, READWRITE));
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/*
 * Threads
 */

/* Open, tell the test, sleep until told to go on, and look again. */
static int open_and_sleep(struct worker *w)
{
	pks_mk_readwrite(w->page->pkey);
	w->before = pks_can_write(w->page->addr);
	complete(&w->ready);
	wait_for_completion(&w->go);
	w->after = pks_can_write(w->page->addr);
	w->msr = pks_rdmsr();

	return 0;
}

static void pks_test_switch_one_cpu(struct kunit *test)
{
	struct pks_page *a = test_page(test, "a"), *b = test_page(test, "b");
	struct worker wa, wb;

	/* All three on CPU 0, so that each wait is a context switch. */
	pin(test, 0);
	worker_start(test, &wa, 0, open_and_sleep, a);
	worker_start(test, &wb, 0, open_and_sleep, b);
	wait_for_completion(&wa.ready);
	wait_for_completion(&wb.ready);

	KUNIT_EXPECT_TRUE(test, pks_all_closed());
	KUNIT_EXPECT_FALSE(test, pks_can_read(a->addr));
	KUNIT_EXPECT_FALSE(test, pks_can_read(b->addr));

	pks_mk_readonly(b->pkey);
	complete(&wa.go);
	worker_join(&wa);
	complete(&wb.go);
	worker_join(&wb);

	KUNIT_EXPECT_TRUE(test, wa.before);
	KUNIT_EXPECT_TRUE(test, wa.after);
	KUNIT_EXPECT_EQ(test, wa.msr, pks_value(a->pkey, READWRITE));
	KUNIT_EXPECT_TRUE(test, wb.before);
	KUNIT_EXPECT_TRUE(test, wb.after);
	KUNIT_EXPECT_EQ(test, wb.msr, pks_value(b->pkey, READWRITE));
	/* What they did was theirs alone. */
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(b->pkey, READONLY));
	KUNIT_EXPECT_FALSE(test, pks_can_write(b->addr));
	pks_mk_noaccess(b->pkey);
}

static void pks_test_migrate(struct kunit *test)
{
	struct pks_page *p = test_page(test, "migrate");
	int cpu = 0, other = other_cpu(test, cpu), i;

	pin(test, cpu);
	pks_mk_readwrite(p->pkey);
	for (i = 0; i < 10; i++) {
		swap(cpu, other);
		KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
		KUNIT_EXPECT_EQ(test, raw_smp_processor_id(), cpu);
		KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, READWRITE));
		KUNIT_EXPECT_TRUE(test, pks_can_write(p->addr));
	}
	pks_mk_noaccess(p->pkey);
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));
}

static int look_closed(struct worker *w)
{
	w->before = pks_all_closed();
	w->after = pks_can_read(w->page->addr);

	return 0;
}

/*
 * A kthread forks from kthreadd, not from its creator. Both are tried: open
 * rights in kthreadd's place come from test_pks, which forks itself.
 */
static void pks_test_kthread_closed(struct kunit *test)
{
	struct pks_page *p = test_page(test, "kthread");
	struct worker w;

	pks_mk_readwrite(p->pkey);
	worker_start(test, &w, raw_smp_processor_id(), look_closed, p);
	worker_join(&w);
	KUNIT_EXPECT_TRUE(test, w.before);
	KUNIT_EXPECT_FALSE(test, w.after);
	KUNIT_EXPECT_TRUE(test, pks_can_write(p->addr));
	pks_mk_noaccess(p->pkey);
}

/*
 * Handlers: each finds all keys closed, opens one of its own and leaves it
 * open. The interrupted thread must get back exactly what it had.
 */
static struct strike {
	struct pks_page		*victim;
	struct pks_page		*own;
	struct task_struct	*task;
	u32			msr;
	bool			victim_closed;
	bool			own_closed;
	bool			own_opened;
	bool			in_thread;
	int			hits;
} strike;

/* Not UD2, which is how WARN() comes; without the operand, for objtool. */
#define UD0	".byte 0x0f, 0xff"
#define UD0_LEN	2

static void strike_now(void)
{
	struct strike *s = &strike;

	s->msr = pks_rdmsr();
	s->victim_closed = !pks_can_read(s->victim->addr);
	s->own_closed = !pks_can_read(s->own->addr);
	pks_mk_readwrite(s->own->pkey);
	s->own_opened = pks_can_write(s->own->addr) &&
			pks_rdmsr() == pks_value(s->own->pkey, READWRITE);
	/* Only in an interruption of the test is current the test. */
	if (current == s->task)
		WRITE_ONCE(s->hits, s->hits + 1);
}

static int strike_notify(struct notifier_block *nb, unsigned long val, void *data)
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
	strike_now();

	return NOTIFY_STOP;
}

static struct notifier_block strike_nb = { .notifier_call = strike_notify };

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

static int strike_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!nmi_is_ours())
		return NMI_DONE;
	strike_now();
	return NMI_HANDLED;
}

static void strike_bp(void)
{
	asm volatile("int3");
}

static void strike_db(void)
{
	asm volatile("pushfq\n\t"
		     "orq $0x100, (%%rsp)\n\t"
		     "popfq\n\t"
		     "nop" : : : "memory", "cc");
}

static void strike_ud(void)
{
	asm volatile(UD0);
}

static void wait_hit(void)
{
	/* Longer is a soft lockup. */
	unsigned long end = jiffies + 10 * HZ;

	while (!READ_ONCE(strike.hits) && time_before(jiffies, end))
		cpu_relax();
}

/* A hit counts in the test's own thread: let no other have the CPU meanwhile. */
static void strike_nmi_self(void)
{
	guard(preempt)();
	send_nmi(smp_processor_id());
	wait_hit();
}

static void strike_irq_work(struct irq_work *work)
{
	strike_now();
}

static struct irq_work work_ipi = IRQ_WORK_INIT_HARD(strike_irq_work);
/* Without an IPI of its own: runs in the tick. */
static struct irq_work work_tick = IRQ_WORK_INIT_LAZY(strike_irq_work);

static void strike_self_ipi(void)
{
	guard(preempt)();
	irq_work_queue(&work_ipi);
	wait_hit();
}

static void strike_tick(void)
{
	guard(preempt)();
	irq_work_queue(&work_tick);
	wait_hit();
}

static void strike_softirq(struct timer_list *unused)
{
	/* Not in ksoftirqd: a thread keeps its rights. */
	if (current == strike.task)
		strike_now();
	else
		WRITE_ONCE(strike.in_thread, true);
}

static DEFINE_TIMER(strike_timer, strike_softirq);

static void strike_timer_softirq(void)
{
	int i;

	scoped_guard(preempt) {
		strike_timer.expires = jiffies + 1;
		add_timer_on(&strike_timer, smp_processor_id());
		wait_hit();
	}
	/* A softirq that has a thread comes as soon as that has the CPU. */
	for (i = 0; !strike.hits && !READ_ONCE(strike.in_thread) && i < HZ; i++)
		schedule_timeout_uninterruptible(1);
	timer_delete_sync(&strike_timer);
}

static void strike_call(void *unused)
{
	strike_now();
}

static int strike_remote(struct worker *w)
{
	wait_for_completion(&w->go);
	/*
	 * Until it meets the test's thread, which stays preemptible here: to wait
	 * for another CPU without that could be a deadlock with stop_machine().
	 */
	do {
		smp_call_function_single((long)w->arg, strike_call, NULL, 1);
		cond_resched();
	} while (!READ_ONCE(strike.hits));

	return 0;
}

static struct worker remote;

static void strike_ipi(void)
{
	complete(&remote.go);
	while (!READ_ONCE(strike.hits))
		relax();
}

static vm_fault_t strike_fault(struct vm_fault *vmf)
{
	struct worker *sleeper = vmf->vma->vm_file->private_data;
	struct page *page;

	strike_now();
	/* Sleep in the fault, while others run on this CPU. */
	if (sleeper) {
		complete(&sleeper->ready);
		wait_for_completion(&sleeper->go);
		/* The handler's rights lasted. */
		if (!pks_can_write(strike.own->addr))
			strike.own_opened = false;
	}
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		return VM_FAULT_OOM;
	vmf->page = page;

	return 0;
}

static const struct vm_operations_struct strike_vm_ops = { .fault = strike_fault };

static int strike_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &strike_vm_ops;
	return 0;
}

static const struct file_operations strike_fops = {
	.owner	= THIS_MODULE,
	.mmap	= strike_mmap,
};

/* User memory that faults into strike_fault(), and sleeps there with @sleeper. */
static u32 __user *strike_user_page(struct kunit *test, struct worker *sleeper)
{
	unsigned long addr;
	struct file *file;

	file = anon_inode_getfile("[pks_test]", &strike_fops, sleeper, O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	addr = kunit_vm_mmap(test, file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE, 0);
	fput(file);
	KUNIT_ASSERT_NE(test, addr, 0);

	return (u32 __user *)addr;
}

static u32 __user *fault_addr;

static void strike_pf(void)
{
	u32 val __maybe_unused;

	if (get_user(val, fault_addr))
		strike.hits = -1;
}

static const struct strike_kind {
	const char	*name;
	void		(*strike)(void);
} strike_kinds[] = {
	{ "PF on user memory", strike_pf },
	{ "BP", strike_bp },
	{ "DB", strike_db },
	{ "UD", strike_ud },
	{ "timer interrupt", strike_tick },
	{ "timer softirq", strike_timer_softirq },
	{ "IPI to self", strike_self_ipi },
	{ "IPI from another CPU", strike_ipi },
	{ "NMI", strike_nmi_self },
};

KUNIT_ARRAY_PARAM_DESC(strike, strike_kinds, name);

static void strike_end(void *unused)
{
	/* They may be late, and the pages go next. */
	irq_work_sync(&work_ipi);
	irq_work_sync(&work_tick);
	nmi_end("pks_test");
	unregister_die_notifier(&strike_nb);
}

static void strike_begin(struct kunit *test)
{
	memset(&strike, 0, sizeof(strike));
	strike.victim = test_page(test, "victim");
	strike.own = test_page(test, "handler");
	strike.task = current;
	pin(test, 0);
	KUNIT_ASSERT_EQ(test, register_die_notifier(&strike_nb), 0);
	if (register_nmi_handler(NMI_LOCAL, strike_nmi, 0, "pks_test")) {
		unregister_die_notifier(&strike_nb);
		KUNIT_FAIL_AND_ABORT(test, "no NMI handler");
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, strike_end, NULL), 0);
}

static void pks_test_handler(struct kunit *test)
{
	const struct strike_kind *kind = test->param_value;
	struct strike *s = &strike;
	int rights;

	if (preempt_model_rt() && (kind->strike == strike_tick ||
				   kind->strike == strike_timer_softirq))
		kunit_skip(test, "runs in a thread of its own on PREEMPT_RT");

	strike_begin(test);
	for (rights = 0; rights < NR_RIGHTS; rights++) {
		s->hits = 0;
		if (kind->strike == strike_ipi) {
			worker_init(test, &remote, other_cpu(test, 0), strike_remote,
				    s->victim);
			wake_up_process(remote.task);
		} else if (kind->strike == strike_pf) {
			fault_addr = strike_user_page(test, NULL);
		}

		pks_set(s->victim->pkey, rights);
		kind->strike();
		/* Ahead of what can fail, for a skipped test does not. */
		if (s->in_thread && READ_ONCE(test->status) != KUNIT_FAILURE) {
			pks_mk_noaccess(s->victim->pkey);
			kunit_skip(test, "softirqs run in a thread");
		}

		KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(s->victim->pkey, rights));
		KUNIT_EXPECT_EQ(test, pks_can_read(s->victim->addr), rights != NOACCESS);
		KUNIT_EXPECT_EQ(test, pks_can_write(s->victim->addr), rights == READWRITE);
		KUNIT_EXPECT_FALSE(test, pks_can_read(s->own->addr));
		pks_mk_noaccess(s->victim->pkey);

		if (kind->strike == strike_ipi)
			worker_join(&remote);
		KUNIT_EXPECT_EQ_MSG(test, s->hits, 1, "handler ran in the test's window");
		KUNIT_EXPECT_EQ(test, s->msr, PKRS_INIT_VALUE);
		KUNIT_EXPECT_TRUE(test, s->victim_closed);
		KUNIT_EXPECT_TRUE(test, s->own_closed);
		KUNIT_EXPECT_TRUE(test, s->own_opened);
	}
}

/* Three deep: an interrupt, in it a breakpoint, in that an NMI. */
static struct nest {
	struct pks_page		*page[3];
	u32			entry[3];
	u32			after[3];
	int			depth;
	bool			nmi_seen;
} nest;

static void nest_enter(int i)
{
	nest.entry[i] = pks_rdmsr();
	pks_mk_readwrite(nest.page[i]->pkey);
	nest.depth = max(nest.depth, i + 1);
}

static int nest_nmi(unsigned int type, struct pt_regs *regs)
{
	if (!nmi_is_ours())
		return NMI_DONE;
	nest_enter(2);
	nest.after[2] = pks_rdmsr();
	WRITE_ONCE(nest.nmi_seen, true);
	return NMI_HANDLED;
}

static int nest_notify(struct notifier_block *nb, unsigned long val, void *data)
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
	nest.after[1] = pks_rdmsr();
	return NOTIFY_STOP;
}

static void nest_irq(struct irq_work *work)
{
	nest_enter(0);
	asm volatile("int3");
	nest.after[0] = pks_rdmsr();
	WRITE_ONCE(strike.hits, 1);
}

static struct irq_work nest_work = IRQ_WORK_INIT_HARD(nest_irq);

static void pks_test_nested(struct kunit *test)
{
	struct notifier_block nb = { .notifier_call = nest_notify };
	struct pks_page *p = test_page(test, "thread");
	int i;

	memset(&nest, 0, sizeof(nest));
	strike.hits = 0;
	for (i = 0; i < 3; i++)
		nest.page[i] = test_page(test, "nested");
	pin(test, 0);
	KUNIT_ASSERT_EQ(test, register_nmi_handler(NMI_LOCAL, nest_nmi, 0, "pks_nest"), 0);
	register_die_notifier(&nb);

	pks_mk_readonly(p->pkey);
	irq_work_queue(&nest_work);
	wait_hit();
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, READONLY));
	pks_mk_noaccess(p->pkey);

	irq_work_sync(&nest_work);
	unregister_die_notifier(&nb);
	nmi_end("pks_nest");

	KUNIT_EXPECT_EQ(test, nest.depth, 3);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, nest.entry[i], PKRS_INIT_VALUE);
		KUNIT_EXPECT_EQ(test, nest.after[i],
				pks_value(nest.page[i]->pkey, READWRITE));
	}
}

/*
 * A vector without a handler, which takes a path of its own: the thread must get
 * back what it had, like from any other.
 */
static void pks_test_spurious(struct kunit *test)
{
	struct pks_page *p = test_page(test, "spurious");
	unsigned int seen;
	int tries = 10000000;
	u32 msr;

	pin(test, 0);
	seen = this_cpu_read(irq_stat.irq_spurious_count);
	pks_mk_readwrite(p->pkey);
	apic->send_IPI(0, MANAGED_IRQ_SHUTDOWN_VECTOR);
	while (this_cpu_read(irq_stat.irq_spurious_count) == seen && --tries)
		cpu_relax();
	msr = pks_rdmsr();
	KUNIT_EXPECT_TRUE(test, pks_can_write(p->addr));
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_NE(test, tries, 0);
	KUNIT_EXPECT_EQ(test, msr, pks_value(p->pkey, READWRITE));
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
	int		seen;
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
		idle.seen += idle.was_idle;
	}
	/* Pairs with the acquire in pks_test_idle(). */
	smp_store_release(&idle.nmis, idle.nmis + 1);

	return NMI_HANDLED;
}

static void idle_nmi_end(void *unused)
{
	/* It may be late, and the page goes next. */
	irq_work_sync(&idle_work);
	nmi_end("pks_idle");
}

static void pks_test_idle(struct kunit *test)
{
	struct pks_page *p = test_page(test, "idle");
	unsigned long end;
	int cpu, here, i, pause;

	KUNIT_ASSERT_EQ(test, register_nmi_handler(NMI_LOCAL, idle_nmi, 0, "pks_idle"), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, idle_nmi_end, NULL), 0);

	for_each_online_cpu(cpu) {
		here = other_cpu(test, cpu);
		pin(test, here);
		irq_work_sync(&idle_work);
		idle = (struct idle) { .page = p };
		/* Others may have the CPU for a time. Longer is a soft lockup here. */
		end = jiffies + 10 * HZ;
		for (i = 0; idle.seen < 10 && time_before(jiffies, end); i++) {
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
			/* Who sees the NMI sees what it saw. */
			while (smp_load_acquire(&idle.nmis) == i && time_before(jiffies, end))
				cpu_relax();
			KUNIT_ASSERT_EQ(test, idle.pkrs, PKRS_INIT_VALUE);
			cond_resched();
		}
		if (idle.seen < 10)
			kunit_skip(test, "CPU %d is not idle", cpu);
	}
}

/* A fault in a window sleeps; another thread has the CPU meanwhile. */
static int look_and_wake(struct worker *w)
{
	struct worker *sleeper = w->arg;

	wait_for_completion(&sleeper->ready);
	w->before = pks_all_closed() && !pks_can_read(strike.victim->addr) &&
		    !pks_can_read(strike.own->addr);
	pks_mk_readwrite(w->page->pkey);
	w->after = pks_can_write(w->page->addr);
	complete(&sleeper->go);

	return 0;
}

static void pks_test_sleeping_fault(struct kunit *test)
{
	struct pks_page *p = test_page(test, "other");
	struct worker sleeper, other;
	u32 val __maybe_unused;

	strike_begin(test);
	init_completion(&sleeper.ready);
	init_completion(&sleeper.go);
	fault_addr = strike_user_page(test, &sleeper);
	worker_init(test, &other, 0, look_and_wake, p);
	other.arg = &sleeper;
	wake_up_process(other.task);

	pks_mk_readwrite(strike.victim->pkey);
	KUNIT_EXPECT_EQ(test, get_user(val, fault_addr), 0);
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(strike.victim->pkey, READWRITE));
	KUNIT_EXPECT_TRUE(test, pks_can_write(strike.victim->addr));
	KUNIT_EXPECT_FALSE(test, pks_can_read(strike.own->addr));
	pks_mk_noaccess(strike.victim->pkey);

	worker_join(&other);
	KUNIT_EXPECT_EQ(test, strike.hits, 1);
	KUNIT_EXPECT_EQ(test, strike.msr, PKRS_INIT_VALUE);
	KUNIT_EXPECT_TRUE(test, strike.own_opened);
	KUNIT_EXPECT_TRUE(test, other.before);
	KUNIT_EXPECT_TRUE(test, other.after);
}

/*
 * Preemption inside an open window, by a wake-up and on return from an
 * interrupt, with the window's thread sent to another CPU meanwhile.
 */
static struct task_struct *preempted;

static int preempting(struct worker *w)
{
	w->before = pks_all_closed();
	w->msr = READ_ONCE(preempted->thread.pks.pkrs);
	pks_mk_readwrite(w->page->pkey);
	w->after = pks_can_write(w->page->addr);
	if (w->arg)
		set_cpus_allowed_ptr(preempted, w->arg);
	WRITE_ONCE(w->spin_go, true);

	return 0;
}

static struct worker preemptor;

static void preempt_from_irq(struct irq_work *work)
{
	/* Not while another thread has the CPU, nor where this one keeps it. */
	if (current != preempted || preempt_count() & PREEMPT_MASK) {
		irq_work_queue(work);
		return;
	}
	/* A handler's own right must not reach the thread it lets in. */
	pks_mk_readwrite(strike.own->pkey);
	wake_up_process(preemptor.task);
}

/* From the tick: irq_work_queue() raises its own IPI with preemption off. */
static struct irq_work preempt_work = IRQ_WORK_INIT_LAZY(preempt_from_irq);

static void preempt_window(struct kunit *test, bool from_irq, int to_cpu)
{
	struct pks_page *p = test_page(test, "preemptor");
	struct pks_page *v = strike.victim;

	pin(test, 0);
	preempted = current;
	worker_init(test, &preemptor, 0, preempting, p);
	if (to_cpu)
		preemptor.arg = (void *)cpumask_of(to_cpu);
	sched_set_fifo(preemptor.task);

	pks_mk_readwrite(v->pkey);
	if (from_irq)
		irq_work_queue(&preempt_work);
	else
		wake_up_process(preemptor.task);
	/* The other thread runs here only if it preempts this one. */
	while (!READ_ONCE(preemptor.spin_go))
		cpu_relax();
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(v->pkey, READWRITE));
	KUNIT_EXPECT_TRUE(test, pks_can_write(v->addr));
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));
	KUNIT_EXPECT_EQ(test, raw_smp_processor_id(), to_cpu);
	pks_mk_noaccess(v->pkey);

	worker_join(&preemptor);
	KUNIT_EXPECT_TRUE(test, preemptor.before);
	KUNIT_EXPECT_TRUE(test, preemptor.after);
	/* The scheduler ran with the handler's rights. */
	if (from_irq)
		KUNIT_EXPECT_EQ(test, preemptor.msr, pks_value(strike.own->pkey, READWRITE));
}

static void preempt_begin(struct kunit *test)
{
	if (!preempt_model_full())
		kunit_skip(test, "needs CONFIG_PREEMPT");

	strike.victim = test_page(test, "victim");
	strike.own = test_page(test, "handler");
}

static void pks_test_preempt(struct kunit *test)
{
	preempt_begin(test);
	preempt_window(test, false, 0);
	preempt_window(test, true, 0);
}

static void pks_test_preempt_migrate(struct kunit *test)
{
	int other = other_cpu(test, 0);

	preempt_begin(test);
	preempt_window(test, true, other);
}

/*
 * An exception between any two instructions of a setter. Single-stepping strikes
 * at all of them and finds out where they are; then a probe strikes at one of
 * them alone, for each exception puts the MSR right on its return and so hides
 * what the next one would have met.
 */
#define MAX_STEPS	64
#define MAX_STALLS	2

static struct step {
	unsigned long	ip[MAX_STEPS];
	int		nr;
	/* When single-stepping, the step at which another CPU retires a key. */
	int		retire_at;
	struct worker	*retirer;
	bool		retired;
	/* It did not come; what this run shows is void. */
	bool		stalled;
	int		stalls;
	/* Exceptions that found a key open. */
	int		bad;
} step;

static void step_retire(void)
{
	u16 epoch = READ_ONCE(current->thread.pks.epoch);
	int pkey = step.retirer->page->pkey;
	int tries = 100000;

	/*
	 * Interrupts are off: the IPI comes when this returns. The new epoch
	 * shows when a nested exception returns to here, which looks at it only
	 * if a key is open. Don't wait for ever: stop_machine() may have the
	 * other CPU, and itself wait for this one.
	 */
	pks_mk_readwrite(pkey);
	WRITE_ONCE(step.retirer->spin_go, true);
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

	step.bad += pks_rdmsr() != PKRS_INIT_VALUE;
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
	step.bad += pks_rdmsr() != PKRS_INIT_VALUE;
	if (step.retirer && !step.retired && !step.stalled)
		step_retire();
	return 0;
}

/* Keeps the probe from being optimized into a jump. */
static void step_probe_post(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

/*
 * The same instructions each time; @tf is the trap flag or zero. No sanitizer:
 * a probe in what that calls would strike at its own handling.
 */
static __noinstr_section(".text") void step_setter(int pkey, int rights, unsigned long tf)
{
	asm volatile("pushfq; orq %0, (%%rsp); popfq" : : "r" (tf) : "memory", "cc");
	if (rights == NOACCESS)
		pks_mk_noaccess(pkey);
	else if (rights == READONLY)
		pks_mk_readonly(pkey);
	else
		pks_mk_readwrite(pkey);
	asm volatile("pushfq; andq $~0x100, (%%rsp); popfq" : : : "memory", "cc");
}

/*
 * Set @rights, coming from the opposite, and see that nothing else changed.
 * @retire is zero or the key that may be retired meanwhile: another one, that is
 * open, or @pkey itself, which may end closed then, but not with more rights.
 */
static void step_set(struct kunit *test, int pkey, int rights, int retire, unsigned long tf)
{
	u32 msr, cached, want;

	step.bad = 0;
	pks_set(pkey, rights == NOACCESS ? READWRITE : NOACCESS);
	KUNIT_ASSERT_EQ(test, register_die_notifier(&step_nb), 0);
	preempt_disable();
	step_setter(pkey, rights, tf);
	msr = pks_rdmsr();
	cached = this_cpu_read(pkrs_cache);
	preempt_enable();
	unregister_die_notifier(&step_nb);
	if (step.stalled)
		return;

	want = pks_value(pkey, rights);
	if (retire == pkey) {
		if (step.retired && !pkr_allows_read(msr, pkey))
			want = msr | PKRS_INIT_VALUE;
	} else if (retire && !step.retired) {
		want &= ~(PKR_RIGHTS_MASK << PKR_SHIFT(retire));
	}
	KUNIT_EXPECT_EQ_MSG(test, step.bad, 0, "%s: open to a handler", rights_name[rights]);
	KUNIT_EXPECT_EQ_MSG(test, msr, want, "%s", rights_name[rights]);
	KUNIT_EXPECT_EQ_MSG(test, cached, want, "%s", rights_name[rights]);
	KUNIT_EXPECT_EQ_MSG(test, current->thread.pks.pkrs, want, "%s", rights_name[rights]);
}

/* Single-step through it, and note where that leads. */
static void step_record(struct kunit *test, int pkey, int rights, int retire)
{
	step.nr = 0;
	step_set(test, pkey, rights, retire, X86_EFLAGS_TF);
	KUNIT_ASSERT_GT(test, step.nr, 10);
	KUNIT_ASSERT_LT(test, step.nr, MAX_STEPS);
}

/* Strike at one instruction; false if that can't be probed, being patched code. */
static bool step_strike(struct kunit *test, int i, int pkey, int rights, int retire)
{
	struct kprobe kp = {
		.addr		= (kprobe_opcode_t *)step.ip[i],
		.pre_handler	= step_probe,
		.post_handler	= step_probe_post,
	};

	if (register_kprobe(&kp))
		return false;
	step_set(test, pkey, rights, retire, 0);
	unregister_kprobe(&kp);

	return true;
}

static void pks_test_strike_setter(struct kunit *test)
{
	struct pks_page *p = test_page(test, "strike");
	int rights, i, struck;

	pin(test, 0);
	memset(&step, 0, sizeof(step));
	for (rights = 0; rights < NR_RIGHTS; rights++) {
		step_record(test, p->pkey, rights, 0);
		for (struck = 0, i = 0; i < step.nr; i++)
			struck += step_strike(test, i, p->pkey, rights, 0);
		KUNIT_EXPECT_GT(test, struck, 10);
	}
	pks_mk_noaccess(p->pkey);
}

/*
 * Retirement: free a key while rights to it hide everywhere, give it to a new
 * owner, and nobody can touch the new owner's page.
 */
static int open_and_spin(struct worker *w)
{
	pks_mk_readwrite(w->page->pkey);
	w->before = pks_can_write(w->page->addr);
	complete(&w->ready);
	while (!READ_ONCE(w->spin_go))
		relax();
	w->after = pks_can_read(w->page->addr);
	w->msr = pks_rdmsr();

	return 0;
}

static struct mm_struct *retire_mm;

static int open_and_fault(struct worker *w)
{
	u32 val __maybe_unused;

	kthread_use_mm(retire_mm);
	pks_mk_readwrite(w->page->pkey);
	w->before = pks_can_write(w->page->addr);
	if (get_user(val, fault_addr))
		w->before = false;
	w->after = pks_can_read(w->page->addr);
	w->msr = pks_rdmsr();
	kthread_unuse_mm(retire_mm);

	return 0;
}

static void pks_test_retire(struct kunit *test)
{
	struct worker sleeping, running, faulting;
	struct pks_page *p = test_page(test, "old");
	int other = other_cpu(test, 0);
	int pkey = p->pkey;

	pin(test, 0);
	strike.victim = p;
	strike.own = test_page(test, "handler");
	worker_init(test, &faulting, 0, open_and_fault, p);
	fault_addr = strike_user_page(test, &faulting);
	retire_mm = current->mm;

	worker_start(test, &sleeping, 0, open_and_sleep, p);
	worker_start(test, &running, other, open_and_spin, p);
	wake_up_process(faulting.task);
	wait_for_completion(&sleeping.ready);
	wait_for_completion(&running.ready);
	wait_for_completion(&faulting.ready);
	pks_mk_readwrite(pkey);

	/* The same page and address again: what was allowed must not be. */
	pks_key_free(pkey);
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));
	KUNIT_EXPECT_EQ(test, pks_key_alloc("new"), pkey);
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));

	/* The new owner's right is real, and lasts through an interruption. */
	pks_mk_readwrite(pkey);
	KUNIT_EXPECT_TRUE(test, pks_can_write(p->addr));
	KUNIT_EXPECT_TRUE(test, pks_can_write(p->addr));

	complete(&sleeping.go);
	WRITE_ONCE(running.spin_go, true);
	complete(&faulting.go);
	worker_join(&sleeping);
	worker_join(&running);
	worker_join(&faulting);
	pks_mk_noaccess(pkey);

	KUNIT_EXPECT_TRUE(test, sleeping.before);
	KUNIT_EXPECT_TRUE(test, running.before);
	KUNIT_EXPECT_TRUE(test, faulting.before);
	KUNIT_EXPECT_FALSE_MSG(test, sleeping.after, "a sleeping thread kept the right");
	KUNIT_EXPECT_FALSE_MSG(test, running.after, "a running thread kept the right");
	KUNIT_EXPECT_FALSE_MSG(test, faulting.after, "an interrupted context kept the right");
	KUNIT_EXPECT_EQ(test, sleeping.msr, PKRS_INIT_VALUE);
	KUNIT_EXPECT_EQ(test, running.msr, PKRS_INIT_VALUE);
	KUNIT_EXPECT_EQ(test, faulting.msr, PKRS_INIT_VALUE);
}

/* Open it, and keep it over a context switch. */
static int open_late(struct worker *w)
{
	pks_mk_readwrite(w->page->pkey);
	w->before = pks_can_write(w->page->addr);
	schedule_timeout_uninterruptible(1);
	w->after = pks_can_write(w->page->addr);

	return 0;
}

/* All closed while the key is retired: asleep, and running. */
static int sleep_and_open(struct worker *w)
{
	complete(&w->ready);
	wait_for_completion(&w->go);

	return open_late(w);
}

static int spin_and_open(struct worker *w)
{
	complete(&w->ready);
	while (!READ_ONCE(w->spin_go))
		relax();

	return open_late(w);
}

/* A thread that opened the key after its rebirth keeps it when it sleeps. */
static void pks_test_rebirth(struct kunit *test)
{
	struct worker w, spin, asleep, running;
	struct pks_page *p;
	int other = other_cpu(test, 0);

	pin(test, 0);
	p = test_page(test, "old");
	worker_start(test, &asleep, 0, sleep_and_open, p);
	worker_start(test, &running, other, spin_and_open, p);
	wait_for_completion(&asleep.ready);
	wait_for_completion(&running.ready);
	pks_key_free(p->pkey);
	KUNIT_ASSERT_EQ(test, pks_key_alloc("new"), p->pkey);
	complete(&asleep.go);
	WRITE_ONCE(running.spin_go, true);
	worker_join(&asleep);
	worker_join(&running);
	KUNIT_EXPECT_TRUE(test, asleep.before);
	KUNIT_EXPECT_TRUE(test, asleep.after);
	KUNIT_EXPECT_TRUE(test, running.before);
	KUNIT_EXPECT_TRUE(test, running.after);

	worker_start(test, &w, 0, open_and_sleep, p);
	worker_start(test, &spin, other, open_and_spin, p);
	wait_for_completion(&w.ready);
	wait_for_completion(&spin.ready);
	complete(&w.go);
	WRITE_ONCE(spin.spin_go, true);
	worker_join(&w);
	worker_join(&spin);
	KUNIT_EXPECT_TRUE(test, w.after);
	KUNIT_EXPECT_TRUE(test, spin.after);
}

/*
 * Retire a key while the thread sets rights: one that it has open while it sets
 * the rights to another, or the very one. No handler may see it open, and no
 * right to it may come back.
 */
static int retire_on_go(struct worker *w)
{
	while (!READ_ONCE(w->spin_go))
		relax();
	pks_key_free((long)w->arg);

	return 0;
}

/* With a probe at instruction @i, or single-stepping if that is negative. */
static void retire_at(struct kunit *test, int i, struct pks_page *p, int rights, bool same)
{
	int pkey = same ? p->pkey : pks_key_alloc("retire");
	struct worker w;

	KUNIT_ASSERT_GT(test, pkey, 0);
	if (!same)
		pks_mk_readwrite(pkey);
	worker_init(test, &w, other_cpu(test, 0), retire_on_go, p);
	w.arg = (void *)(long)pkey;
	wake_up_process(w.task);
	step.retirer = &w;
	step.retired = false;
	step.stalled = false;

	if (i < 0)
		step_record(test, p->pkey, rights, pkey);
	else
		step_strike(test, i, p->pkey, rights, pkey);

	WRITE_ONCE(w.spin_go, true);
	worker_join(&w);
	step.retirer = NULL;
	if (same)
		KUNIT_ASSERT_EQ(test, pks_key_alloc("strike"), pkey);
	pks_mk_noaccess(p->pkey);
	pks_mk_noaccess(pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
	if (step.stalled && ++step.stalls > MAX_STALLS)
		KUNIT_FAIL_AND_ABORT(test, "retirements do not show");
}

static void retire_at_each(struct kunit *test, struct pks_page *p, int rights, bool same)
{
	int i, retired = 0;

	/* At each step, with all that follow. */
	step.retire_at = 1;
	do {
		retire_at(test, -1, p, rights, same);
	} while (step.stalled || (step.retired && step.retire_at++ < MAX_STEPS));
	KUNIT_EXPECT_GT(test, step.retire_at, 10);

	/* And alone. */
	step.retire_at = 0;
	step_record(test, p->pkey, rights, 0);
	for (i = 0; i < step.nr; i += !step.stalled) {
		retire_at(test, i, p, rights, same);
		retired += step.retired;
	}
	KUNIT_EXPECT_GT(test, retired, 10);
}

static void pks_test_retire_in_setter(struct kunit *test)
{
	/* A worker closes this one when it ends, in its own rights. */
	struct pks_page *p = test_page(test, "strike");
	int rights;

	other_cpu(test, 0);
	pin(test, 0);
	memset(&step, 0, sizeof(step));
	for (rights = 0; rights < NR_RIGHTS; rights++) {
		retire_at_each(test, p, rights, false);
		retire_at_each(test, p, rights, true);
	}
}

static int pks_test_init(struct kunit *test)
{
	if (!pks_enabled())
		kunit_skip(test, "PKS is off or the CPU does not have it");
	return 0;
}

static struct kunit_case pks_cases[] = {
	KUNIT_CASE(pks_test_every_cpu_on),
	/* Ahead of the first retirement, which closes what was open from birth. */
	KUNIT_CASE(pks_test_idle),
	KUNIT_CASE(pks_test_alloc),
	KUNIT_CASE(pks_test_matrix_4k),
	KUNIT_CASE(pks_test_matrix_2m),
	KUNIT_CASE(pks_test_keys_independent),
	KUNIT_CASE(pks_test_efault),
	KUNIT_CASE(pks_test_zeropad),
	KUNIT_CASE(pks_test_no_needless_write),
	KUNIT_CASE(pks_test_switch_one_cpu),
	KUNIT_CASE(pks_test_migrate),
	KUNIT_CASE(pks_test_kthread_closed),
	KUNIT_CASE_PARAM(pks_test_handler, strike_gen_params),
	KUNIT_CASE(pks_test_nested),
	KUNIT_CASE(pks_test_spurious),
	KUNIT_CASE(pks_test_sleeping_fault),
	KUNIT_CASE(pks_test_preempt),
	KUNIT_CASE(pks_test_preempt_migrate),
	KUNIT_CASE(pks_test_strike_setter),
	KUNIT_CASE(pks_test_retire),
	KUNIT_CASE(pks_test_rebirth),
	KUNIT_CASE(pks_test_retire_in_setter),
	{}
};

static struct kunit_suite pks_suite = {
	.name		= "pks",
	.init		= pks_test_init,
	.test_cases	= pks_cases,
};

static struct kunit_case pks_absent_cases[] = {
	KUNIT_CASE(pks_test_absent),
	{}
};

static struct kunit_suite pks_absent_suite = {
	.name		= "pks-absent",
	.test_cases	= pks_absent_cases,
};

kunit_test_suites(&pks_suite, &pks_absent_suite);

MODULE_DESCRIPTION("KUnit tests of Protection Keys Supervisor");
MODULE_LICENSE("GPL");
