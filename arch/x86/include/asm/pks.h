/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protection Keys Supervisor: the rights of the context that runs, and the
 * hooks that keep IA32_PKRS equal to them.
 *
 * Consumers include <linux/pks.h>. The design, with the races that the order
 * of the lines below is for, is in Documentation/arch/x86/pks.rst.
 */
#ifndef _ASM_X86_PKS_H
#define _ASM_X86_PKS_H

#include <linux/types.h>

#include <asm/pks_types.h>

struct pt_regs;
struct task_struct;

#ifdef CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS

#include <linux/bitops.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/stddef.h>

#include <asm/alternative.h>
#include <asm/cpufeature.h>
#include <asm/fred.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/ptrace.h>
#include <asm/tlbflush.h>

/*
 * The content of the MSR is not known: a write is in flight, or RESET may have
 * changed it. No rights have this value, as key 0 is never closed.
 */
#define PKRS_UNKNOWN	0xffffffffu

/*
 * In the PKRS of an exception frame: pkrs_cache was PKRS_UNKNOWN when the
 * exception struck. This is the AD bit of key 0, which no rights have set.
 */
#define PKRS_IN_FLIGHT	PKR_AD_BIT

/* What IA32_PKRS of this CPU holds, or PKRS_UNKNOWN. */
DECLARE_PER_CPU(u32, pkrs_cache);

/* pks_boot_live() has run: PKS is on, or stays off. */
extern bool pks_decided;

/* Raised each time a key is retired. */
extern u16 pks_epoch;

void __pks_enter(struct pt_regs *regs);
void __pks_exit(struct pt_regs *regs);
union pks_rights __pks_call_enter(void);
void __pks_call_exit(union pks_rights saved);
void pks_revalidate_and_write(struct task_struct *tsk);
void pks_close_all(void);
void pks_bad_key(int pkey);

DECLARE_STATIC_KEY_FALSE(pks_hooks_live);

/*
 * The hooks are live, and have been since before there was a second thread.
 *
 * This is not cpu_feature_enabled(): while alternatives are patched, that tests
 * false for a moment where it is true, and an interrupt could restore rights
 * that it has not saved.
 */
static __always_inline bool pks_enabled(void)
{
	return static_branch_likely(&pks_hooks_live);
}

/* The CPU checks keys. In the self-test it does so before pks_enabled() says so. */
static inline bool pks_enforced(void)
{
	return cr4_read_shadow() & X86_CR4_PKS;
}

/*
 * One CMP with memory, where READ_ONCE() and a comparison are a load and a CMP. That
 * saves an instruction in each setter and two in each exception. Callers in noinstr code
 * must use likely_notrace(), as likely() can be a call of the branch tracer.
 */
static __always_inline bool pks_rights_are(struct task_struct *tsk, u32 pkrs)
{
	asm goto("cmpl %[pkrs], %[rights]\n\tjne %l[no]"
		 : : [rights] "m" (tsk->thread.pks.pkrs), [pkrs] "ri" (pkrs) : : no);
	return true;
no:
	return false;
}

static __always_inline bool pks_msr_is(u32 pkrs)
{
	asm goto("cmpl %[pkrs], " __percpu_arg([msr]) "\n\tjne %l[no]"
		 : : [msr] "m" (__my_cpu_var(pkrs_cache)), [pkrs] "ri" (pkrs) : : no);
	return true;
no:
	return false;
}

/*
 * Make IA32_PKRS match the rights of @tsk, which must be the current thread. It is passed,
 * as the compiler may keep an old value of current over the switch in __switch_to().
 *
 * WRMSR to PKRS does not serialize, but no later access that it governs executes before
 * it, not even transiently (SDM vol. 3, "Protection Keys for Supervisor Pages"). So no
 * fence follows. The rule does not cover the branch around the WRMSR: a CPU that
 * mispredicts it runs what follows transiently with the old rights.
 *
 * An interruption between any two lines calls this function on entry and on exit. It
 * finds one of three states:
 *
 * - pkrs_cache is PKRS_UNKNOWN: it writes the MSR, whatever that holds.
 * - pkrs_cache is what the MSR holds: it writes if that is not what it wants.
 * - pkrs_cache == @want, but the MSR is more closed: a key was retired just before the
 *   last store. That is harmless: @want then has a key open, so an entry, which wants
 *   all keys closed, does not match and writes.
 *
 * pkrs_cache must not be set to @want ahead of WRMSR. An interruption between the two
 * that wants the same value would skip its write and run with the old rights.
 *
 * The thread may move to another CPU at any point. The context switch has made the MSR
 * of that CPU match.
 *
 * If a key is retired after @want was read, the interruption that brings this closes
 * the key in thread.pks.pkrs, and the WRMSR below opens it again. So look at
 * thread.pks.pkrs once more after the write.
 */
static __always_inline void pks_write_msr(struct task_struct *tsk)
{
	u32 want = READ_ONCE(tsk->thread.pks.pkrs);

	if (pks_msr_is(want))
		return;

	for (;;) {
		this_cpu_write(pkrs_cache, PKRS_UNKNOWN);
		native_wrmsr(MSR_IA32_PKRS, want, 0);
		this_cpu_write(pkrs_cache, want);
		if (likely_notrace(pks_rights_are(tsk, want)))
			return;
		want = READ_ONCE(tsk->thread.pks.pkrs);
	}
}

/*
 * Set the two bits of @pkey in the rights of the current context.
 *
 * An exception restores the rights it found, minus retired keys. A read-modify-write in
 * C could undo that removal, so each step is one instruction. No LOCK prefix: only this
 * CPU accesses them. Bits are set before others are cleared, so that no intermediate
 * state grants more than the old or the new rights.
 *
 * Each step clobbers memory: no access may move over it, as an interruption right after
 * the step can already change the MSR.
 */
static __always_inline void pks_set_rights(int pkey, u32 rights)
{
	struct task_struct *tsk;

	if (!pks_enabled())
		return;

	if (unlikely(pkey <= 0 || pkey >= PKR_NR_PKEYS)) {
		pks_bad_key(pkey);
		return;
	}

	tsk = current;
	if (rights)
		asm volatile("orl %1, %0" : "+m" (tsk->thread.pks.pkrs)
			     : "ri" (rights << PKR_SHIFT(pkey)) : "memory");
	if (rights != PKR_RIGHTS_MASK)
		asm volatile("andl %1, %0" : "+m" (tsk->thread.pks.pkrs)
			     : "ri" (rol32(rights | ~PKR_RIGHTS_MASK, PKR_SHIFT(pkey)))
			     : "memory");
	pks_write_msr(tsk);
}

/*
 * Where the interrupted rights are in the exception frame. IDT delivery pushes
 * SS as 64 bits, of which IRETQ reads 16. FRED delivery uses all of them and
 * ERETS checks them, but the last word of its frame is reserved and not read
 * by ERETS (FRED specification, "ERETS").
 */
static __always_inline union pks_rights *pks_frame(struct pt_regs *regs)
{
#ifdef CONFIG_X86_FRED
	if (cpu_feature_enabled(X86_FEATURE_FRED))
		return (union pks_rights *)&fred_info(regs)->resv;
#endif
	return &regs->pks;
}

/*
 * The PKRS in a frame, for the fast paths. An alternative chooses the layout of the
 * frame, which takes no jump, unlike pks_frame(). Not for use before alternatives are
 * patched: until then it is the layout of the IDT, even with FRED.
 */
#define PKS_FRAME_IDT	offsetof(struct pt_regs, pks.pkrs)
#ifdef CONFIG_X86_FRED
#define PKS_FRAME_FRED	(offsetof(struct fred_frame, info.resv) + \
			 offsetof(union pks_rights, pkrs))
#define PKS_FRAME_INSN(insn)						\
	ALTERNATIVE(insn " %[closed], %c[idt](%[regs])",		\
		    insn " %[closed], %c[fred](%[regs])", X86_FEATURE_FRED)
#else
#define PKS_FRAME_FRED	0
#define PKS_FRAME_INSN(insn)	insn " %[closed], %c[idt](%[regs])"
#endif

static __always_inline void pks_frame_set_closed(struct pt_regs *regs)
{
	asm_inline(PKS_FRAME_INSN("movl")
		   : : [regs] "r" (regs), [closed] "i" (PKRS_INIT_VALUE),
		       [idt] "i" (PKS_FRAME_IDT), [fred] "i" (PKS_FRAME_FRED)
		   : "memory");
}

static __always_inline bool pks_frame_is_closed(struct pt_regs *regs)
{
	asm goto(PKS_FRAME_INSN("cmpl") "\n\tjne %l[no]"
		 : : [regs] "r" (regs), [closed] "i" (PKRS_INIT_VALUE),
		     [idt] "i" (PKS_FRAME_IDT), [fred] "i" (PKS_FRAME_FRED)
		 : "memory" : no);
	return true;
no:
	return false;
}

/**
 * pks_regs_pkrs() - PKRS of the kernel context that an exception interrupted
 * @regs: registers of an exception, interrupt or NMI that came from kernel mode
 *
 * Context: any, as long as the handler runs that @regs was passed to. A copy of the
 * registers does not have PKRS.
 * Return: the value that IA32_PKRS gets back when the handler returns. Keys that are
 * retired until then get closed in it.
 */
static __always_inline u32 pks_regs_pkrs(struct pt_regs *regs)
{
	return pks_frame(regs)->pkrs & ~PKRS_IN_FLIGHT;
}

/*
 * First act of an exception, interrupt or NMI, before anything that can be
 * instrumented: close all keys, and save the interrupted rights in the frame.
 *
 * Most of the time all keys are closed in the rights and in the MSR. All that is to do
 * then is to say so in the frame, for pks_exit(). The epoch in the frame does not
 * matter: no key has to be retired from rights that have all keys closed.
 *
 * A frame from user mode carries nothing. A thread that took rights along to user mode,
 * a bug of the consumer, loses them here, so that they do not reach the handler.
 */
static __always_inline void pks_enter(struct pt_regs *regs)
{
	if (!pks_enabled())
		return;

	if (unlikely_notrace(!pks_rights_are(current, PKRS_INIT_VALUE) ||
			     !pks_msr_is(PKRS_INIT_VALUE)))
		__pks_enter(regs);
	else if (likely_notrace(!user_mode(regs)))
		pks_frame_set_closed(regs);
}

/*
 * End of an exception, interrupt or NMI, with interrupts off: the interrupted context
 * gets its rights back.
 *
 * Return to kernel mode: the very last step. Return to user mode: runs before the exit
 * work, which belongs to the thread, so that the thread cannot use what the handler left
 * open.
 */
static __always_inline void pks_exit(struct pt_regs *regs)
{
	if (!pks_enabled())
		return;

	if (unlikely_notrace((likely_notrace(!user_mode(regs)) && !pks_frame_is_closed(regs)) ||
			     !pks_rights_are(current, PKRS_INIT_VALUE)))
		__pks_exit(regs);
}

/*
 * A probe that is a jump or a call, not an exception, has no frame for the rights of the
 * code it is attached to. Its caller keeps them on the stack, between these two.
 */

/**
 * pks_call_enter() - Close all keys to a probe that is called
 *
 * Context: any.
 * Return: the rights that pks_call_exit() gives back.
 */
static __always_inline union pks_rights pks_call_enter(void)
{
	if (!pks_enabled() || likely_notrace(pks_rights_are(current, PKRS_INIT_VALUE)))
		return (union pks_rights) { .pkrs = PKRS_INIT_VALUE };

	return __pks_call_enter();
}

/**
 * pks_call_exit() - Give back the rights that pks_call_enter() saved
 * @saved: what it returned
 *
 * Context: that of pks_call_enter(), on any CPU.
 */
static __always_inline void pks_call_exit(union pks_rights saved)
{
	if (!pks_enabled())
		return;

	if (unlikely_notrace(saved.pkrs != PKRS_INIT_VALUE ||
			     !pks_rights_are(current, PKRS_INIT_VALUE)))
		__pks_call_exit(saved);
}

/*
 * The current thread is @next from here on. Interrupts are off. An NMI finds the rights
 * of @next in its thread_struct, and saves and restores those.
 *
 * A thread with all keys closed has nothing to revoke, but its epoch is updated too.
 * Otherwise a key that it opens next would look as if opened before the last retirement
 * and be closed. Reading an old pks_epoch is harmless, see pks_revalidate_and_write().
 */
static __always_inline void pks_switch_to(struct task_struct *next)
{
	if (!pks_enabled())
		return;

	if (unlikely_notrace(!pks_rights_are(next, PKRS_INIT_VALUE) ||
			     !pks_msr_is(PKRS_INIT_VALUE)))
		pks_revalidate_and_write(next);
	else
		WRITE_ONCE(next->thread.pks.epoch, READ_ONCE(pks_epoch));
}

/* Nothing is inherited: the new thread @p starts with all keys closed. */
static inline void pks_init_thread(struct task_struct *p)
{
	union pks_rights init = {
		.pkrs	= PKRS_INIT_VALUE,
		.epoch	= READ_ONCE(pks_epoch),
	};

	p->thread.pks = init;
}

/* exec: the thread goes on as another program. */
static inline void pks_flush_thread(void)
{
	if (pks_enabled())
		pks_close_all();
}

/* A window must be closed before the thread returns to user mode. */
static __always_inline void pks_assert_closed(void)
{
	if (IS_ENABLED(CONFIG_DEBUG_ENTRY) && pks_enabled())
		WARN_ON_ONCE(current->thread.pks.pkrs != PKRS_INIT_VALUE);
}

/*
 * RESET is about to open all keys, or another kernel to write the MSR. pkrs_cache must
 * not claim to know the MSR when an exception or NMI strikes early in resume. What
 * strikes before RESET writes the MSR and leaves pkrs_cache at PKRS_UNKNOWN, as it does
 * in pks_write_msr().
 */
static __always_inline void pks_suspend_cpu(void)
{
	if (pks_enabled())
		this_cpu_write(pkrs_cache, PKRS_UNKNOWN);
}

/*
 * Close all keys in the MSR of a CPU that resumes and has no per-CPU data yet. pkrs_cache
 * stays PKRS_UNKNOWN until pks_init_cpu().
 */
static __always_inline void pks_close_msr(void)
{
	if (pks_enabled())
		native_wrmsr(MSR_IA32_PKRS, PKRS_INIT_VALUE, 0);
}

/* CR4.PKS where PKS is on: for code that must not load it ahead of the MSR. */
static __always_inline unsigned long pks_cr4(void)
{
	return pks_enabled() ? X86_CR4_PKS : 0;
}

void pks_boot_init(void);
void pks_boot_live(void);
void pks_init_cpu(void);

unsigned long pks_read_as(struct pt_regs *regs, const unsigned long *addr);
bool pks_retire_key(int pkey);
void pks_show_regs(struct pt_regs *regs, const char *log_lvl);
void pks_show_fault(struct pt_regs *regs, unsigned long address);

#else /* !CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

static __always_inline bool pks_enabled(void) { return false; }
static inline bool pks_enforced(void) { return false; }
static __always_inline void pks_enter(struct pt_regs *regs) { }
static __always_inline void pks_exit(struct pt_regs *regs) { }
static __always_inline void pks_switch_to(struct task_struct *next) { }
static inline void pks_init_thread(struct task_struct *p) { }
static inline void pks_flush_thread(void) { }
static __always_inline void pks_assert_closed(void) { }
static inline void pks_boot_init(void) { }
static inline void pks_boot_live(void) { }
static inline void pks_init_cpu(void) { }
static inline void pks_suspend_cpu(void) { }
static inline void pks_close_msr(void) { }
static inline unsigned long pks_cr4(void) { return 0; }
static __always_inline union pks_rights pks_call_enter(void) { return (union pks_rights) { }; }
static __always_inline void pks_call_exit(union pks_rights saved) { }

static inline unsigned long pks_read_as(struct pt_regs *regs, const unsigned long *addr)
{
	return *addr;
}

static inline void pks_show_regs(struct pt_regs *regs, const char *log_lvl) { }
static inline void pks_show_fault(struct pt_regs *regs, unsigned long address) { }

#endif /* CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

#endif /* _ASM_X86_PKS_H */
