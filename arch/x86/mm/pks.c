// SPDX-License-Identifier: GPL-2.0
/*
 * Protection Keys Supervisor: set-up of the CPUs and retirement of keys.
 *
 * The rights and their hooks are in <asm/pks.h>, the owners of the keys in
 * pks_keys.c.
 */
#define pr_fmt(fmt) "x86/pks: " fmt

#include <linux/compiler.h>
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/jump_label.h>
#include <linux/lockdep.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/cpufeature.h>
#include <asm/pks.h>

/* Unknown until pks_boot_live() or pks_init_cpu() has run on the CPU. */
DEFINE_PER_CPU(u32, pkrs_cache) = PKRS_UNKNOWN;
EXPORT_PER_CPU_SYMBOL_GPL(pkrs_cache);

DEFINE_STATIC_KEY_FALSE_RO(pks_hooks_live);
EXPORT_SYMBOL_GPL(pks_hooks_live);

bool pks_decided __ro_after_init;

u16 pks_epoch __read_mostly;

/* The epoch in which each key was last retired. Older rights to it are void. */
static u16 pks_retired[PKR_NR_PKEYS] __read_mostly;

/* Close every key that was retired since @word was valid. */
static __always_inline u64 pks_revalidate(u64 word)
{
	union pks_rights r = { .word = word };
	/* Pairs with the release in pks_retire_key(). */
	u16 now = smp_load_acquire(&pks_epoch);
	int pkey;

	if (likely_notrace(r.epoch == now))
		return word;

	/*
	 * Close with both bits. An interrupted pks_mk_readonly() has set WD and goes
	 * on to clear AD: without WD that would allow writes.
	 */
	for (pkey = 1; pkey < PKR_NR_PKEYS; pkey++) {
		if (READ_ONCE(pks_retired[pkey]) > r.epoch)
			r.pkrs |= PKR_RIGHTS_MASK << PKR_SHIFT(pkey);
	}
	r.epoch = now;

	return r.word;
}

/**
 * pks_revalidate_and_write() - Bring saved rights up to date and write them to IA32_PKRS
 * @tsk: the current thread, whose thread_struct has them
 *
 * The rights were saved by a context switch or in an exception frame. A key that they
 * name may have been retired since, and have a new owner now.
 *
 * Reading an old pks_epoch is harmless: pks_retire_key() has not finished then. Its IPI
 * still comes to this CPU and revalidates the rights of what runs there.
 *
 * Context: interrupts disabled; an IPI between the load and the store would be
 * overwritten with older rights. May be called from exception exit code.
 */
noinstr void pks_revalidate_and_write(struct task_struct *tsk)
{
	WRITE_ONCE(tsk->thread.pks.word, pks_revalidate(READ_ONCE(tsk->thread.pks.word)));
	pks_write_msr(tsk);
}

/**
 * pks_close_all() - Close all keys to the current context
 *
 * Context: any, exception entry code included.
 */
noinstr void pks_close_all(void)
{
	WRITE_ONCE(current->thread.pks.pkrs, PKRS_INIT_VALUE);
	pks_write_msr(current);
}

/**
 * __pks_enter() - Save the interrupted rights in the frame and close all keys
 * @regs: the exception frame
 *
 * The slow path of pks_enter(), for when a key is open or the MSR is being written.
 *
 * Context: exception entry code, interrupts disabled.
 */
noinstr void __pks_enter(struct pt_regs *regs)
{
	if (!user_mode(regs)) {
		union pks_rights *frame = pks_frame(regs);

		frame->word = READ_ONCE(current->thread.pks.word) | frame->ss;
		if (pks_msr_is(PKRS_UNKNOWN))
			frame->pkrs |= PKRS_IN_FLIGHT;
	}
	pks_close_all();
}

/*
 * Make the interrupted rights those of the current context. Returns true if the frame
 * was saved while an MSR write was in flight.
 */
static __always_inline bool pks_restore_frame(struct pt_regs *regs)
{
	union pks_rights r = { .word = pks_frame(regs)->word };
	bool in_flight = r.pkrs & PKRS_IN_FLIGHT;

	r.pkrs &= ~PKRS_IN_FLIGHT;
	r.ss = 0;

	WRITE_ONCE(current->thread.pks.word, r.word);
	pks_revalidate_and_write(current);

	return in_flight;
}

/**
 * __pks_exit() - Restore the rights of the interrupted context from its exception frame
 * @regs: the exception frame
 *
 * If the exception struck in pks_write_msr() between its load of @want and its WRMSR,
 * that WRMSR still comes and may write rights that were revoked in between;
 * pks_write_msr() corrects that afterwards. Until then pkrs_cache must read
 * PKRS_UNKNOWN, so that every further exception writes the MSR.
 *
 * Context: exception exit code, interrupts disabled.
 */
noinstr void __pks_exit(struct pt_regs *regs)
{
	if (user_mode(regs))
		pks_close_all();
	else if (unlikely_notrace(pks_restore_frame(regs)))
		this_cpu_write(pkrs_cache, PKRS_UNKNOWN);
}

/**
 * __pks_call_enter() - Save the rights of the current context and close all keys
 *
 * The slow path of pks_call_enter(). The rights are saved first: a key that is retired
 * before they are given back is closed then, by its epoch.
 *
 * Return: the rights, for __pks_call_exit().
 */
noinstr union pks_rights __pks_call_enter(void)
{
	union pks_rights saved = { .word = READ_ONCE(current->thread.pks.word) };

	pks_close_all();

	return saved;
}

/**
 * __pks_call_exit() - Restore the rights that __pks_call_enter() returned
 * @saved: the rights
 *
 * No marker as in __pks_exit() is needed: no write of this context is in flight.
 * pks_write_msr() calls nothing. Nor does a probe strike in it that is a jump: its WRMSR
 * has an entry in the exception table, and kprobes does not optimize in such a function.
 */
noinstr void __pks_call_exit(union pks_rights saved)
{
	unsigned long flags;

	raw_local_irq_save(flags);
	WRITE_ONCE(current->thread.pks.word, saved.word);
	pks_revalidate_and_write(current);
	raw_local_irq_restore(flags);
}

/**
 * pks_read_as() - Read a word with the rights of the interrupted context
 * @regs: the frame of an exception that came from kernel mode
 * @addr: the word, which that context may read
 *
 * For exception table fixups that read in place of the code that faulted. Interrupts are
 * disabled, as pks_revalidate_and_write() requires. Nothing that can be instrumented
 * runs with those rights.
 *
 * Context: the handler that @regs was passed to, which has no key open.
 * Return: the word. If the context may not read it, the access faults.
 */
noinstr unsigned long pks_read_as(struct pt_regs *regs, const unsigned long *addr)
{
	unsigned long flags, word;

	if (!pks_enabled())
		return READ_ONCE(*addr);

	raw_local_irq_save(flags);
	pks_restore_frame(regs);
	word = READ_ONCE(*addr);
	pks_close_all();
	raw_local_irq_restore(flags);

	return word;
}

static void pks_retire_ipi(void *unused)
{
	lockdep_assert_irqs_disabled();

	pks_revalidate_and_write(current);
}

/**
 * pks_retire_key() - Take the rights to a key from all contexts
 * @pkey: the key
 *
 * A right can be in three places:
 *
 * - In the thread_struct of a thread that does not run. It carries an older epoch and is
 *   closed when the thread runs next.
 * - In an exception frame. It carries an older epoch and is closed when the handler
 *   returns.
 * - In the thread that runs on a CPU. The IPI reaches it: the interrupted rights are in
 *   the frame then, and the handler returns through pks_exit().
 *
 * If the thread has all keys closed, pks_exit() does not touch its epoch;
 * pks_revalidate_and_write() in the IPI handler has updated it already. When every CPU
 * has run the IPI, nothing that executes has the right. Nor does it have an older epoch,
 * which would take the right from the key's next owner.
 *
 * A CPU that comes up at the same time is all closed, and its first context switch
 * updates the epoch.
 *
 * Context: process context with the lock of the keys and cpus_read_lock() held.
 * Return: false, after a message, if the epochs are used up. A wrapped epoch would make
 * old rights look new, so the key must not be handed out again.
 */
bool pks_retire_key(int pkey)
{
	lockdep_assert_cpus_held();

	if (pks_epoch == U16_MAX) {
		pr_warn_once("out of epochs: no key is handed out any more\n");
		return false;
	}

	WRITE_ONCE(pks_retired[pkey], pks_epoch + 1);
	/* Pairs with the acquire in pks_revalidate(): who sees the epoch sees the retirement. */
	smp_store_release(&pks_epoch, pks_epoch + 1);
	on_each_cpu(pks_retire_ipi, NULL, 1);

	return true;
}

static bool pks_disabled __initdata;

static int __init pks_disable(char *arg)
{
	if (*arg)
		return 0;

	pks_disabled = true;
	return 1;
}
__setup("nopks", pks_disable);

static bool __init pks_probe(u32 *page, u32 pkrs, bool readable, bool writable)
{
	u32 val = 0;
	bool r, w = false;

	native_wrmsr(MSR_IA32_PKRS, pkrs, 0);
	r = !copy_from_kernel_nofault(&val, page, sizeof(val));
	if (r)
		w = !copy_to_kernel_nofault(page, &val, sizeof(val));
	native_wrmsr(MSR_IA32_PKRS, PKRS_INIT_VALUE, 0);

	return r == readable && w == writable;
}

/*
 * Take real faults on a page with a key, to find a hypervisor that offers CR4.PKS and the
 * MSR but does not enforce keys.
 */
static const char * __init pks_self_test(void)
{
	const int pkey = PKR_NR_PKEYS - 1;
	const u32 open = PKRS_INIT_VALUE & ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey));
	const char *err = NULL;
	struct page *page;
	void *addr;

	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		return "no memory for the self-test";
	addr = vmap(&page, 1, VM_MAP, PAGE_KERNEL_PKEY(pkey));
	if (!addr)
		err = "no memory for the self-test";
	else if (!pks_probe(addr, PKRS_INIT_VALUE, false, false) ||
		 !pks_probe(addr, open | PKR_WD_BIT << PKR_SHIFT(pkey), true, false) ||
		 !pks_probe(addr, open, true, true))
		err = "self-test failed, the CPU does not enforce PKRS";
	vunmap(addr);
	__free_page(page);

	return err;
}

/* NULL if PKS is on, else the reason why not. */
static const char * __init pks_try_enable(void)
{
	const char *err;

	/* The MSR counts from the moment that CR4.PKS is set, so write it first. */
	if (wrmsr_safe(MSR_IA32_PKRS, PKRS_INIT_VALUE, 0))
		return "IA32_PKRS cannot be written";

	cr4_set_bits(X86_CR4_PKS);
	err = pks_self_test();
	if (err)
		cr4_clear_bits(X86_CR4_PKS);

	return err;
}

/**
 * pks_boot_init() - Decide whether PKS is used, and say so
 *
 * Turns PKS on for the boot CPU if the CPU has it, it is not turned off on the
 * command line, and a self-test shows that it works. Otherwise clears the flag.
 *
 * Context: boot CPU, before CR4 is pinned.
 */
void __init pks_boot_init(void)
{
	const char *err;

	if (!boot_cpu_has(X86_FEATURE_PKS)) {
		pr_info("off: the CPU does not have it\n");
		return;
	}

	if (pks_disabled) {
		pr_info("off: nopks on the command line\n");
	} else if (boot_cpu_has(X86_FEATURE_XENPV)) {
		/* CR4 and the MSR belong to the hypervisor. */
		pr_info("off: Xen PV guest\n");
	} else {
		err = pks_try_enable();
		if (!err) {
			pr_info("on: %d keys for kernel pages, all closed\n",
				PKR_NR_PKEYS - 1);
			return;
		}
		pr_err("off: %s\n", err);
	}
	setup_clear_cpu_cap(X86_FEATURE_PKS);
}

/**
 * pks_boot_live() - Make the hooks live if PKS is on
 *
 * The hooks are patched one at a time. An interrupt that finds its exit hook patched but
 * not its entry hook would restore rights that were never saved, so interrupts are off.
 * An NMI can still do that. It is harmless, as no key is open yet and pks_close_all()
 * overwrites the result.
 *
 * Context: boot CPU, its only thread. Must run after alternatives are patched: before
 * that, the code assumes the IDT frame layout even with FRED.
 */
void __init pks_boot_live(void)
{
	pks_decided = true;
	if (!boot_cpu_has(X86_FEATURE_PKS))
		return;

	guard(irqsave)();
	static_branch_enable(&pks_hooks_live);
	/* The first thread gets its rights here, and the MSR with them. */
	pks_close_all();
}

/**
 * pks_init_cpu() - Make IA32_PKRS of this CPU match the current thread
 *
 * INIT keeps the MSR, RESET clears it, and another kernel may have written it. So after
 * bring-up or resume pkrs_cache says nothing about the MSR.
 *
 * Context: interrupts disabled. On a CPU that comes up: before CR4.PKS is set; it can't
 * take an exception yet. On one that resumes: as soon as it has per-CPU data.
 */
noinstr void pks_init_cpu(void)
{
	if (!pks_enabled())
		return;

	this_cpu_write(pkrs_cache, PKRS_UNKNOWN);
	pks_revalidate_and_write(current);
}
