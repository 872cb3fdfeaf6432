/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sources of the series need of the kernel, as the model has it. Each header
 * that they include, <linux/...> or <asm/...>, is this one, but for those of the series
 * itself; see test/model/run.
 *
 * A CPU is a set of variables that the explorer exchanges when another CPU's turn
 * comes (struct cpu in model.h), so an access to one of them is one instruction here
 * as it is in the kernel.
 */
#ifndef PKS_VERIFY_KERNEL_H
#define PKS_VERIFY_KERNEL_H

#define CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS 1

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned long size_t;
typedef _Bool bool;
#define true			1
#define false			0
#define NULL			((void *)0)
#define U16_MAX			0xffff

#define __always_inline		inline __attribute__((always_inline))
#define noinline		__attribute__((noinline))
#define noinstr			noinline
#define __visible
#define __init
#define __ro_after_init
#define __initdata
#define __setup(name, fn)	int (*const setup_##fn)(char *) = fn
#define EXPORT_SYMBOL_GPL(name)
#define EXPORT_PER_CPU_SYMBOL_GPL(name)
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define likely_notrace(x)	likely(x)
#define unlikely_notrace(x)	unlikely(x)
#define barrier()		asm volatile("" : : : "memory")
#define READ_ONCE(x)		(*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile typeof(x) *)&(x) = (v))
#define smp_load_acquire(p)	READ_ONCE(*(p))
#define smp_store_release(p, v)	do { barrier(); WRITE_ONCE(*(p), v); } while (0)
/* Constants are checked by the compiler of the kernel. */
#define __is_constexpr(x)	0
#define BUILD_BUG_ON_ZERO(cond)	0
#define IS_ENABLED(option)	option
#define offsetof(t, m)		__builtin_offsetof(t, m)
#define asm_inline		asm

/* What changes in a run lies in one section, to be put back at once. */
#define STATE			__attribute__((section("state")))
#define __read_mostly		STATE

/* A static key that is on, and what depends on one. */
#define DECLARE_STATIC_KEY_FALSE(name)	extern bool name
#define DEFINE_STATIC_KEY_FALSE_RO(name) bool name
#define static_branch_likely(key)	((void)(key), true)
#define static_branch_enable(key)	(*(key) = true)

/* One CPU's turn at a time: its variables are where the code looks for them. */
#define DECLARE_PER_CPU(type, name)	extern type name
#define DEFINE_PER_CPU(type, name)	STATE type name
#define this_cpu_write(name, v)		WRITE_ONCE(name, v)
#define __my_cpu_var(name)		(name)
#define __percpu_arg(name)		"%" #name

static inline u32 rol32(u32 word, unsigned int shift)
{
	return (word << (shift & 31)) | (word >> ((-shift) & 31));
}

#include <asm/pks_types.h>

struct thread_struct {
	union pks_rights pks;
};

struct task_struct {
	struct thread_struct thread;
};

extern struct task_struct *current_task;
#define current			READ_ONCE(current_task)

/* Only as much of it as is looked at. */
struct pt_regs {
	unsigned long cs, flags;
	union {
		unsigned long ss;
		union pks_rights pks;
	};
};

struct fred_info {
	unsigned long edata, resv;
};

struct fred_frame {
	struct pt_regs regs;
	struct fred_info info;
};

#ifdef CONFIG_X86_FRED
#define cpu_feature_enabled(feature)	true
#define ALTERNATIVE(old, new, feature)	new
static __always_inline struct fred_info *fred_info(struct pt_regs *regs)
{
	return &((struct fred_frame *)regs)->info;
}
#endif

#define user_mode(regs)			((regs)->cs & 3)
#define regs_irqs_disabled(regs)	(!((regs)->flags & 0x200))

#define MSR_IA32_PKRS			0x6e1
void native_wrmsr(unsigned int msr, u32 low, u32 high);

/* pks_retire_key() */
#define lockdep_assert_cpus_held()	do { } while (0)
#define lockdep_assert_irqs_disabled()	do { } while (0)
void on_each_cpu(void (*fn)(void *), void *info, int wait);

/* Set-up is not explored. */
#define X86_CR4_PKS			(1ul << 24)
#define X86_FEATURE_PKS			0
#define X86_FEATURE_XENPV		0
#define GFP_KERNEL			0
#define __GFP_ZERO			0
#define VM_MAP				0
#define PAGE_KERNEL_PKEY(pkey)		(pkey)
#define cr4_read_shadow()		X86_CR4_PKS
#define cr4_set_bits(bits)		do { } while (0)
#define cr4_clear_bits(bits)		do { } while (0)
#define wrmsr_safe(msr, low, high)	0
#define copy_from_kernel_nofault(dst, src, n) ((void)(dst), (void)(src), 0)
#define copy_to_kernel_nofault(dst, src, n)   ((void)(dst), (void)(src), 0)
#define alloc_page(gfp)			NULL
#define __free_page(page)		do { } while (0)
#define vmap(pages, n, flags, prot)	((void)(pages), NULL)
#define vunmap(addr)			do { } while (0)
#define boot_cpu_has(feature)		true
#define setup_clear_cpu_cap(feature)	do { } while (0)
#define pr_info(...)			do { } while (0)
#define pr_err(...)			do { } while (0)
#define pr_warn_once(...)		do { } while (0)
#define guard(name)			guard_##name
static inline void guard_irqsave(void) { }

/* pks_read_as() and __pks_call_exit() */
#define raw_local_irq_save(flags)	((flags) = 0, irqs_off())
#define raw_local_irq_restore(flags)	((void)(flags), irqs_on())
void irqs_off(void);
void irqs_on(void);

/* The generic entry code: what it calls ahead of the hooks would be instrumented. */
typedef struct {
	bool exit_rcu, lockdep;
} irqentry_state_t;
#define irqentry_state			irqentry_state

void instrumentable(void);
bool need_resched(void);
void preempt_schedule_irq(void);

#define CONFIG_TINY_RCU			1
#define CONFIG_PREEMPTION		1
#define CONFIG_DEBUG_ENTRY		0
#define CALLER_ADDR0			0
#define is_idle_task(task)		false
#define preempt_count()			READ_ONCE(atomic_depth)
#define arch_irqentry_enter(regs)	pks_enter(regs)
#define arch_irqentry_exit(regs)	pks_exit(regs)
#define irqentry_exit_cond_resched()	raw_irqentry_exit_cond_resched()
#define instrumentation_begin()		instrumentable()
#define instrumentation_end()		do { } while (0)
#define enter_from_user_mode(regs)	do { } while (0)
#define exit_to_user_mode_prepare(regs)	do { } while (0)
#define irqentry_exit_to_user_mode_prepare(regs) do { } while (0)
#define rseq_note_user_irq_entry()	do { } while (0)
#define hrtimer_rearm_deferred()	instrumentable()
#define arch_in_rcu_eqs()		false
#define exit_to_user_mode()		do { } while (0)
#define lockdep_hardirqs_off(addr)	instrumentable()
#define lockdep_hardirqs_on(addr)	instrumentable()
#define lockdep_hardirqs_on_prepare()	do { } while (0)
#define lockdep_hardirqs_enabled()	false
#define lockdep_hardirq_enter()		do { } while (0)
#define lockdep_hardirq_exit()		do { } while (0)
#define ct_irq_enter()			instrumentable()
#define ct_irq_exit()			instrumentable()
#define ct_nmi_enter()			instrumentable()
#define ct_nmi_exit()			instrumentable()
#define __nmi_enter()			do { } while (0)
#define __nmi_exit()			do { } while (0)
#define kmsan_unpoison_entry_regs(regs)	do { } while (0)
#define trace_hardirqs_on()		do { } while (0)
#define trace_hardirqs_on_prepare()	do { } while (0)
#define trace_hardirqs_off_finish()	do { } while (0)
#define rcu_irq_enter_check_tick()	do { } while (0)
#define rcu_irq_exit_check_preempt()	do { } while (0)
#define ftrace_nmi_enter()		do { } while (0)
#define ftrace_nmi_exit()		do { } while (0)
#define on_thread_stack()		true
#define WARN_ON_ONCE(cond)		(void)(cond)
#define WARN_ONCE(cond, ...)		(void)(cond)
extern int atomic_depth;

#endif /* PKS_VERIFY_KERNEL_H */
