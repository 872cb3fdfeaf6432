// SPDX-License-Identifier: GPL-2.0
/*
 * Figures of the PKS series, from inside the kernel: TSC ticks, which are cycles
 * on a CPU and, under QEMU with -icount shift=0, instructions of the guest.
 *
 * Builds for kernels without the series, too: what needs no keys is measured
 * there for comparison.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>

#include <asm/apic.h>
#include <asm/nmi.h>
#include <asm/special_insns.h>
#include <asm/tsc.h>

#include "pks_bench.h"

#if __has_include(<linux/pks.h>)
#include <linux/pks.h>
#else
/* A kernel without the series has what its stubs would be. */
static inline int pks_key_alloc(const char *name) { return -EOPNOTSUPP; }
static inline void pks_key_free(int pkey) { }
static inline void pks_mk_noaccess(int pkey) { }
static inline void pks_mk_readwrite(int pkey) { }
#endif

/* The first key, so that it is a constant; nobody else has one here. */
#define KEY	1
static int run_time_key;

/* Of so many the smallest count: what interrupts them only adds. */
#define REPEAT	BENCH_REPEAT

#ifdef PKS_WRITES
/*
 * This kernel counts PKRS writes (see test/bench/run), and they go by for ticks: what
 * is measured is measured in them.
 */
static u64 now_ordered(void)
{
	u64 writes = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		writes += READ_ONCE(per_cpu(pks_writes, cpu));
	return writes;
}

static u64 now(void)
{
	return now_ordered();
}
#else
static __always_inline u64 now(void)
{
	return rdtsc();
}

/* In one piece, so that measuring costs the same whatever is measured. */
static __always_inline u64 now_ordered(void)
{
	u64 now;

	asm volatile("lfence; rdtsc; shlq $32, %%rdx; orq %%rax, %%rdx; movq %%rdx, %0"
		     : "=r" (now) : : "rax", "rdx", "memory", "cc");
	return now;
}
#endif

/* Nothing of what is measured can move out of it. */
#define SAMPLE(best, what) do {						\
	u64 begin_ = now_ordered();					\
									\
	what;								\
	(best) = min((best), (long)(now_ordered() - begin_));		\
} while (0)

#define MEASURE(what) ({						\
	long best_ = LONG_MAX;						\
	int i_;								\
									\
	for (i_ = 0; i_ < REPEAT; i_++)					\
		SAMPLE(best_, what);					\
	best_;								\
})

/*
 * Functions that are not exported, by way of a probe that is never hit.
 */
static void *address_of(const char *symbol)
{
	struct kprobe kp = { .symbol_name = symbol };
	void *addr;

	if (register_kprobe(&kp) < 0)
		return NULL;
	addr = kp.addr;
	unregister_kprobe(&kp);

	return addr;
}

static int (*set_memory_ro_fn)(unsigned long addr, int numpages);
static int (*set_memory_rw_fn)(unsigned long addr, int numpages);
static void *(*text_poke_copy_fn)(void *addr, const void *opcode, size_t len);

/*
 * Keys
 */

static long bench_window(void)
{
	return MEASURE(pks_mk_readwrite(KEY); pks_mk_noaccess(KEY));
}

static long bench_window_runtime(void)
{
	int pkey = READ_ONCE(run_time_key);

	return MEASURE(pks_mk_readwrite(pkey); pks_mk_noaccess(pkey));
}

static long bench_same(void)
{
	return MEASURE(pks_mk_noaccess(KEY));
}

static long bench_same_runtime(void)
{
	int pkey = READ_ONCE(run_time_key);

	return MEASURE(pks_mk_noaccess(pkey));
}

/* With @more other keys that are open in this thread. */
static long with_keys(int more, long (*bench)(void))
{
	int keys[16], nr, i;
	long ticks = -ENOSPC;

	if (run_time_key < 0)
		return -EOPNOTSUPP;
	if (more < 0 || more > 14)
		return -EINVAL;
	for (nr = 0; nr < more; nr++) {
		keys[nr] = pks_key_alloc("bench-more");
		if (keys[nr] < 0)
			break;
		pks_mk_readwrite(keys[nr]);
	}
	if (nr == more)
		ticks = bench();
	for (i = 0; i < nr; i++) {
		pks_mk_noaccess(keys[i]);
		pks_key_free(keys[i]);
	}

	return ticks;
}

/*
 * What people would use instead
 */

static long bench_set_memory(void *addr)
{
	unsigned long page = (unsigned long)addr;
	long ticks = -ENOMEM;

	if (!set_memory_ro_fn || !set_memory_rw_fn)
		return -EOPNOTSUPP;
	/* The first time splits large pages. */
	if (addr && !set_memory_ro_fn(page, 1) && !set_memory_rw_fn(page, 1))
		ticks = MEASURE(set_memory_ro_fn(page, 1); set_memory_rw_fn(page, 1));

	return ticks;
}

static long bench_set_memory_vmalloc(void)
{
	void *addr = vmalloc(PAGE_SIZE);
	long ticks = bench_set_memory(addr);

	vfree(addr);
	return ticks;
}

static long bench_set_memory_direct(void)
{
	void *addr = (void *)__get_free_page(GFP_KERNEL);
	long ticks = bench_set_memory(addr);

	free_page((unsigned long)addr);
	return ticks;
}

/* write_cr0() does not let WP go; whoever uses this trick does it by hand. */
static __always_inline void set_cr0(unsigned long cr0)
{
	asm volatile("mov %0, %%cr0" : : "r" (cr0) : "memory");
}

static long bench_cr0_wp(void)
{
	unsigned long flags;

	/* An interrupt must not run with it, so they are off. */
	return MEASURE({
		unsigned long cr0;

		local_irq_save(flags);
		cr0 = read_cr0();
		set_cr0(cr0 & ~X86_CR0_WP);
		set_cr0(cr0);
		local_irq_restore(flags);
	});
}

static noinline void poked(void)
{
	asm volatile("nop");
}

static long bench_text_poke(void)
{
	u8 byte = *(u8 *)poked;

	if (!text_poke_copy_fn)
		return -EOPNOTSUPP;
	return MEASURE(text_poke_copy_fn(poked, &byte, 1));
}

/*
 * Interruptions. The time that code loses to one it does not ask for is the
 * longest step of a loop that does nothing but look at the clock.
 */

static bool struck;

/* Ticks that this code loses to what sets it. */
static long lost_to_strike(void)
{
	u64 last = now(), this, lost = 0;
	bool over;

	do {
		over = READ_ONCE(struck);
		this = now();
		lost = max(lost, this - last);
		last = this;
	} while (!over);

	return lost;
}

static int on_die(struct notifier_block *nb, unsigned long event, void *args)
{
	struct die_args *die = args;
	extern const char bench_int3_at[];

	if (event != DIE_INT3 || die->regs->ip != (unsigned long)bench_int3_at + 1)
		return NOTIFY_DONE;
	return NOTIFY_STOP;
}

static struct notifier_block die_nb = { .notifier_call = on_die, .priority = INT_MAX };

static noinline long bench_int3(void)
{
	long ticks;

	if (register_die_notifier(&die_nb))
		return -EBUSY;
	ticks = MEASURE(asm volatile(".global bench_int3_at\n"
				     "bench_int3_at: int3" : : : "memory"));
	unregister_die_notifier(&die_nb);

	return ticks;
}

static void on_irq_work(struct irq_work *work)
{
	WRITE_ONCE(struck, true);
}

static struct irq_work bench_work = IRQ_WORK_INIT_HARD(on_irq_work);

static long bench_irq_work(void)
{
	return MEASURE({
		WRITE_ONCE(struck, false);
		irq_work_queue(&bench_work);
		while (!READ_ONCE(struck))
			;
	});
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	WRITE_ONCE(struck, true);
	return HRTIMER_NORESTART;
}

static long bench_timer(void)
{
	struct hrtimer timer;
	long ticks = LONG_MAX;
	int i;

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init_on_stack(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	timer.function = on_timer;
#else
	hrtimer_setup_on_stack(&timer, on_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
#endif
	for (i = 0; i < REPEAT; i++) {
		WRITE_ONCE(struck, false);
		hrtimer_start(&timer, ns_to_ktime(50000), HRTIMER_MODE_REL_PINNED_HARD);
		ticks = min(ticks, lost_to_strike());
	}
	hrtimer_cancel(&timer);
	destroy_hrtimer_on_stack(&timer);

	return ticks;
}

static void on_ipi(void *unused)
{
}

static long bench_ipi(void)
{
	int other = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());

	if (other >= nr_cpu_ids)
		return -ENODEV;
	return MEASURE(smp_call_function_single(other, on_ipi, NULL, 1));
}

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (READ_ONCE(struck))
		return NMI_DONE;
	WRITE_ONCE(struck, true);
	return NMI_HANDLED;
}

static long bench_nmi(void)
{
	long ticks;

	WRITE_ONCE(struck, true);
	if (register_nmi_handler(NMI_LOCAL, on_nmi, 0, "pks_bench"))
		return -EBUSY;
	ticks = MEASURE({
		WRITE_ONCE(struck, false);
		apic->send_IPI(raw_smp_processor_id(), NMI_VECTOR);
		while (!READ_ONCE(struck))
			;
	});
	unregister_nmi_handler(NMI_LOCAL, "pks_bench");

	return ticks;
}

/* Once: the page is there after it. The caller takes it away and asks again. */
static long bench_fault(unsigned long addr, bool open)
{
	long ticks = LONG_MAX;
	int err;
	u8 byte;

	if (open)
		pks_mk_readwrite(KEY);
	SAMPLE(ticks, err = get_user(byte, (u8 __user *)addr));
	if (open)
		pks_mk_noaccess(KEY);

	return err ?: ticks;
}

/* In a window of this thread, or not. */
static long in_window(bool open, long (*bench)(void))
{
	long ticks;

	if (open)
		pks_mk_readwrite(KEY);
	ticks = bench();
	if (open)
		pks_mk_noaccess(KEY);

	return ticks;
}

/*
 * Threads
 */

struct player {
	struct task_struct	*task;
	struct task_struct	*other;
	struct completion	done;
	bool			open;
	long			best;
};

/* Two threads of one CPU give it to each other: two switches a round. */
static int play(void *arg)
{
	struct player *p = arg;
	int i;

	if (p->open)
		pks_mk_readwrite(KEY);
	p->best = LONG_MAX;
	for (i = 0; i < REPEAT; i++) {
		SAMPLE(p->best, {
			set_current_state(TASK_UNINTERRUPTIBLE);
			wake_up_process(p->other);
			schedule();
		});
	}
	__set_current_state(TASK_RUNNING);
	wake_up_process(p->other);
	if (p->open)
		pks_mk_noaccess(KEY);
	complete(&p->done);
	/* The other may still wake this one. */
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);

	return 0;
}

static long bench_switch(int open)
{
	struct player players[2] = { };
	int i;

	for (i = 0; i < 2; i++) {
		init_completion(&players[i].done);
		players[i].open = i < open;
		players[i].task = kthread_create(play, &players[i], "pks-bench/%d", i);
		if (IS_ERR(players[i].task)) {
			if (i)
				kthread_stop(players[0].task);
			return PTR_ERR(players[i].task);
		}
		kthread_bind(players[i].task, raw_smp_processor_id());
	}
	players[0].other = players[1].task;
	players[1].other = players[0].task;
	wake_up_process(players[0].task);
	for (i = 0; i < 2; i++)
		wait_for_completion(&players[i].done);
	for (i = 0; i < 2; i++)
		kthread_stop(players[i].task);

	return players[0].best;
}

static DECLARE_WAIT_QUEUE_HEAD(crowd_wait);
static atomic_t crowd_asleep;
static bool crowd_go;
static int crowd_key;

static int crowd_member(void *unused)
{
	pks_mk_readwrite(crowd_key);
	atomic_inc(&crowd_asleep);
	wait_event(crowd_wait, READ_ONCE(crowd_go));
	pks_mk_noaccess(crowd_key);
	while (!kthread_should_stop())
		schedule_timeout_uninterruptible(1);

	return 0;
}

static long bench_free(void)
{
	return MEASURE({
		pks_key_free(crowd_key);
		crowd_key = pks_key_alloc("bench-crowd");
	});
}

static long bench_switch_closed(void)
{
	return bench_switch(0);
}

/* While @nr threads sleep with a window open to a key. */
static long with_crowd(int nr, long (*bench)(void))
{
	struct task_struct **crowd;
	long ticks = -ENOMEM;
	int i, made;

	if (nr < 0 || nr > 1000)
		return -EINVAL;
	crowd_key = pks_key_alloc("bench-crowd");
	if (crowd_key < 0)
		return crowd_key;
	crowd = kcalloc(nr + 1, sizeof(*crowd), GFP_KERNEL);
	if (!crowd)
		goto free_key;

	WRITE_ONCE(crowd_go, false);
	atomic_set(&crowd_asleep, 0);
	for (made = 0; made < nr; made++) {
		crowd[made] = kthread_run(crowd_member, NULL, "pks-crowd/%d", made);
		if (IS_ERR(crowd[made]))
			break;
	}
	while (atomic_read(&crowd_asleep) < made)
		schedule_timeout_uninterruptible(1);
	if (made == nr)
		ticks = bench();

	WRITE_ONCE(crowd_go, true);
	wake_up_all(&crowd_wait);
	for (i = 0; i < made; i++)
		kthread_stop(crowd[i]);
	kfree(crowd);
free_key:
	pks_key_free(crowd_key);

	return ticks;
}

static long bench_ioctl(struct file *file, unsigned int what, unsigned long arg)
{
	switch (what) {
#ifdef PKS_WRITES
	case BENCH_WRITES:
		return now();
#endif
	case BENCH_EMPTY:
		return MEASURE(;);
	case BENCH_WINDOW:
		return with_keys(arg, bench_window);
	case BENCH_WINDOW_RUNTIME:
		return bench_window_runtime();
	case BENCH_SAME:
		return bench_same();
	case BENCH_SAME_RUNTIME:
		return bench_same_runtime();
	case BENCH_SET_MEMORY_VMALLOC:
		return bench_set_memory_vmalloc();
	case BENCH_SET_MEMORY_DIRECT:
		return bench_set_memory_direct();
	case BENCH_CR0_WP:
		return bench_cr0_wp();
	case BENCH_TEXT_POKE:
		return bench_text_poke();
	case BENCH_INT3:
		return in_window(arg, bench_int3);
	case BENCH_IRQ_WORK:
		return in_window(arg, bench_irq_work);
	case BENCH_TIMER:
		return in_window(arg, bench_timer);
	case BENCH_IPI:
		return in_window(arg, bench_ipi);
	case BENCH_NMI:
		return in_window(arg, bench_nmi);
	case BENCH_FAULT:
		return bench_fault(arg & PAGE_MASK, arg & ~PAGE_MASK);
	case BENCH_SWITCH:
		return bench_switch(arg);
	case BENCH_SWITCH_CROWD:
		return with_crowd(arg, bench_switch_closed);
	case BENCH_FREE_CROWD:
		return with_crowd(arg, bench_free);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations bench_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= bench_ioctl,
};

static struct miscdevice bench_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pks_bench",
	.fops	= &bench_fops,
	.mode	= 0600,
};

static int __init bench_init(void)
{
	int err;

	run_time_key = pks_key_alloc("bench");
	if (run_time_key != KEY && run_time_key != -EOPNOTSUPP) {
		pr_err("pks_bench: needs key %d, but got %d\n", KEY, run_time_key);
		pks_key_free(run_time_key);
		return -EBUSY;
	}
	set_memory_ro_fn = address_of("set_memory_ro");
	set_memory_rw_fn = address_of("set_memory_rw");
	text_poke_copy_fn = address_of("text_poke_copy");
	err = misc_register(&bench_dev);
	if (err)
		pks_key_free(run_time_key);

	return err;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	misc_deregister(&bench_dev);
	pks_key_free(run_time_key);
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Figures of protection keys for kernel pages");
MODULE_LICENSE("GPL");
