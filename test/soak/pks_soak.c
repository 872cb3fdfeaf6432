// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that do anything with keys, in random order, while all kinds of handlers
 * strike them and do the same. Each compares PKRS and real accesses with what it has
 * asked for.
 *
 * A slot is a key with a page. Those of the handlers stay; the others are taken away
 * and handed out again all the time, in whatever state they are.
 */
#define pr_fmt(fmt) "soak: " fmt

#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/rwsem.h>
#include <linux/smp.h>
#include <linux/version.h>

#include <asm/apic.h>
#include <asm/nmi.h>

#include "pks_test.h"

#define SLOTS		(PKR_NR_PKEYS - 1)
/* Slots that handlers open; they can't wait for a key to be there. */
#define HANDLER_SLOTS	2
#define MAX_THREADS	64

static unsigned int seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "What the threads do follows from it");
static unsigned int threads = 8;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads, "How many of them");

static struct slot {
	struct rw_semaphore	sem;	/* held for write while the key is taken away */
	unsigned int		times;	/* that it was; odd while it is */
	struct pks_page		p;
} slots[SLOTS];

enum event {
	SETS, ACCESSES, FAULTS, USER_FAULTS, TIMERS, IPIS, NMIS, OTHERS_NMIS, PROBES, STEPS,
	FREES, SLEEPS, MIGRATIONS, CHILDREN, EVENTS
};
static const char *const event_names[] = {
	"sets", "accesses", "#PF on closed pages", "#PF on user pages", "timers", "IPIs", "NMIs",
	"NMIs sent to any CPU", "#BP", "#DB", "frees", "sleeps", "migrations", "children"
};
static DEFINE_PER_CPU(unsigned long [EVENTS], counts);
static atomic_t violations = ATOMIC_INIT(0);

static void count(enum event event)
{
	this_cpu_inc(counts[event]);
}

static unsigned long total(enum event event)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(counts, cpu)[event];
	return sum;
}

static void violated(const char *who, unsigned long have, unsigned long want)
{
	if (atomic_inc_return(&violations) <= 10)
		pr_err("VIOLATED: %s on CPU %d: %lx instead of %lx\n", who,
		       raw_smp_processor_id(), have, want);
}

/* Of a thread or a CPU, which does not have to be good, only the same each time. */
static u32 dice(u32 *state, u32 sides)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % sides;
}

/* Where the probes are: for threads only, as a handler can strike a probe's. */
static noinline void set(int pkey, enum pks_right right)
{
	pks_set(pkey, right);
}

/* Is what is allowed possible, and what is not a fault? */
static void try(const char *who, struct slot *slot, enum pks_right right)
{
	enum pks_right seen = pks_seen(slot->p.addr);

	count(ACCESSES);
	if (seen != PKS_READWRITE)
		count(FAULTS);
	if (seen != right)
		violated(who, seen, right);
}

/*
 * Handlers: they start with all keys closed, and what they open ends with them.
 */

static DEFINE_PER_CPU(u32, handler_dice);

static void strike(const char *who, enum event event)
{
	/* What one NMI leaves open ends with it; the others may share an interrupt. */
	bool may_leave = event == NMIS;
	u32 *state = this_cpu_ptr(&handler_dice);
	int slot = dice(state, HANDLER_SLOTS);
	enum pks_right right = dice(state, PKS_NR_RIGHTS);
	u32 have = pks_rdmsr();

	count(event);
	if (have != PKRS_INIT_VALUE)
		violated(who, have, PKRS_INIT_VALUE);
	pks_set(slots[slot].p.pkey, right);
	try(who, &slots[slot], right);
	if (dice(state, 2) || !may_leave)
		pks_set(slots[slot].p.pkey, PKS_NOACCESS);
}

static enum hrtimer_restart on_timer(struct hrtimer *timer)
{
	strike("timer", TIMERS);
	hrtimer_forward_now(timer, ns_to_ktime(50000 + dice(this_cpu_ptr(&handler_dice), 500000)));
	return HRTIMER_RESTART;
}

static void on_ipi(void *unused)
{
	strike("IPI", IPIS);
}

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	strike("NMI", NMIS);
	/* There are no others here. */
	return NMI_HANDLED;
}

static int before_step(struct kprobe *probe, struct pt_regs *regs)
{
	strike("probe", PROBES);
	return 0;
}

static void after_step(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
	strike("step", STEPS);
}

/*
 * Threads
 */

struct soaker {
	struct task_struct	*task;
	u32			dice;
	struct hrtimer		timer;
	unsigned long		switches;
	enum pks_right		right[SLOTS];
	unsigned int		times[SLOTS];
};

static struct soaker *soakers;

/* PKRS is what the thread asked for, keys that were taken away since aside. */
static void check(struct soaker *me, const char *what)
{
	unsigned int before[SLOTS];
	u32 have;
	int i;

	for (i = 0; i < SLOTS; i++)
		before[i] = READ_ONCE(slots[i].times);
	smp_rmb();
	have = pks_rdmsr();
	smp_rmb();
	for (i = 0; i < SLOTS; i++) {
		enum pks_right right = before[i] == me->times[i] ? me->right[i] : PKS_NOACCESS;
		int pkey = slots[i].p.pkey;
		u32 is = have >> PKR_SHIFT(pkey) & PKR_RIGHTS_MASK;

		if (before[i] & 1 || before[i] != READ_ONCE(slots[i].times))
			continue;
		if (is != pks_bits(right))
			violated(what, have, (unsigned long)pkey << 32 | pks_bits(right));
	}
	/* Nothing closes key 0. */
	if (have & PKR_RIGHTS_MASK)
		violated(what, have, 0);
}

static void change(struct soaker *me)
{
	int i = HANDLER_SLOTS + dice(&me->dice, SLOTS - HANDLER_SLOTS);
	struct slot *slot = &slots[i];

	/* Nobody opens a key from the moment that it is taken away. */
	down_read(&slot->sem);
	me->times[i] = slot->times;
	me->right[i] = dice(&me->dice, PKS_NR_RIGHTS);
	set(slot->p.pkey, me->right[i]);
	count(SETS);
	try("thread", slot, me->right[i]);
	up_read(&slot->sem);
}

static int child(void *done)
{
	u32 have = pks_rdmsr();

	if (have != PKRS_INIT_VALUE)
		violated("child", have, PKRS_INIT_VALUE);
	count(CHILDREN);
	complete(done);
	return 0;
}

static void have_child(void)
{
	DECLARE_COMPLETION_ONSTACK(done);

	if (!IS_ERR(kthread_run(child, &done, "soak-child")))
		wait_for_completion(&done);
}

/* One that is there, as long as cpus_read_lock() is held. */
static int some_cpu(struct soaker *me)
{
	int nth = dice(&me->dice, num_online_cpus()), cpu;

	for_each_online_cpu(cpu)
		if (!nth--)
			break;
	return cpu;
}

static void disturb(struct soaker *me)
{
	int cpu;

	cpus_read_lock();
	cpu = some_cpu(me);
	switch (dice(&me->dice, 4)) {
	case 0:
		preempt_disable();
		/* For its own CPU it would just be called. */
		if (cpu != smp_processor_id())
			smp_call_function_single(cpu, on_ipi, NULL, 1);
		preempt_enable();
		break;
	case 1:
		count(OTHERS_NMIS);
		apic->send_IPI(cpu, NMI_VECTOR);
		break;
	case 2:
		preempt_disable();
		apic->send_IPI(smp_processor_id(), NMI_VECTOR);
		preempt_enable();
		break;
	default:
		count(MIGRATIONS);
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
		break;
	}
	cpus_read_unlock();
}

static void setup_timer(struct hrtimer *timer)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	timer->function = on_timer;
#else
	hrtimer_setup(timer, on_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
#endif
}

static int soak(void *arg)
{
	struct soaker *me = arg;

	setup_timer(&me->timer);
	hrtimer_start(&me->timer, ns_to_ktime(100000), HRTIMER_MODE_REL_HARD);
	check(me, "new thread");
	while (!kthread_should_stop()) {
		switch (dice(&me->dice, 16)) {
		case 0:
			count(SLEEPS);
			schedule_timeout_uninterruptible(1 + dice(&me->dice, 2));
			check(me, "thread that slept");
			break;
		case 1:
			have_child();
			check(me, "thread with a child");
			break;
		case 2 ... 4:
			disturb(me);
			check(me, "thread that disturbs");
			break;
		case 5:
			cond_resched();
			break;
		default:
			change(me);
			check(me, "thread");
			break;
		}
		WRITE_ONCE(me->switches, current->nvcsw + current->nivcsw);
	}
	hrtimer_cancel(&me->timer);
	for (int i = 0; i < SLOTS; i++)
		set(slots[i].p.pkey, PKS_NOACCESS);

	return 0;
}

/* Take a key away and hand it out again. All others are taken, so the same one comes back. */
static void take_away(struct slot *slot)
{
	int pkey = slot->p.pkey;

	down_write(&slot->sem);
	pks_page_unmap(&slot->p);
	WRITE_ONCE(slot->times, slot->times + 1);
	smp_wmb();
	pks_key_free(pkey);
	if (pks_key_alloc("soak") != pkey)
		violated("another key", pkey, 0);
	smp_wmb();
	WRITE_ONCE(slot->times, slot->times + 1);
	if (pks_page_map(&slot->p, pkey))
		violated("no memory", 0, 0);
	up_write(&slot->sem);
	count(FREES);
}

/* Take keys away, and move a probe about. */
static int churn(void *unused)
{
	u32 state = seed;
	struct kprobe probe = { };
	bool probed = false;

	while (!kthread_should_stop()) {
		/*
		 * Each time takes two of the 65535 epochs of a boot. A long soak goes on
		 * without, and leaves some to clean_up().
		 */
		if (current->thread.pks.epoch < U16_MAX - 2 * SLOTS)
			take_away(&slots[HANDLER_SLOTS + dice(&state, SLOTS - HANDLER_SLOTS)]);

		if (probed)
			unregister_kprobe(&probe);
		probe = (struct kprobe) {
			.addr = (kprobe_opcode_t *)set + dice(&state, 200),
			.pre_handler = before_step,
			.post_handler = after_step,
		};
		/* Most places are not the start of an instruction. */
		probed = !register_kprobe(&probe);
		schedule_timeout_uninterruptible(1 + dice(&state, 10));
	}
	if (probed)
		unregister_kprobe(&probe);

	return 0;
}

static void report(void)
{
	unsigned long switches = 0;
	char line[400];
	int n = 0;

	for (int i = 0; i < threads; i++)
		switches += READ_ONCE(soakers[i].switches);
	n += scnprintf(line, sizeof(line), ", %lu switches", switches);
	for (int i = 0; i < EVENTS; i++)
		n += scnprintf(line + n, sizeof(line) - n, ", %lu %s", total(i), event_names[i]);
	pr_info("%d violations%s\n", atomic_read(&violations), line);
}

static int reporter(void *unused)
{
	while (!kthread_should_stop()) {
		schedule_timeout_interruptible(5 * HZ);
		report();
	}
	return 0;
}

/* A page fault of the kernel in a window, on the page of user memory at @arg. */
static long soak_ioctl(struct file *file, unsigned int what, unsigned long arg)
{
	struct slot *slot = &slots[what % HANDLER_SLOTS];
	u32 have = pks_rdmsr();
	u8 byte;

	if (have != PKRS_INIT_VALUE)
		violated("system call", have, PKRS_INIT_VALUE);
	set(slot->p.pkey, PKS_READWRITE);
	if (get_user(byte, (u8 __user *)arg))
		violated("get_user()", arg, 0);
	try("process", slot, PKS_READWRITE);
	set(slot->p.pkey, PKS_NOACCESS);
	count(USER_FAULTS);

	return 0;
}

static const struct file_operations soak_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= soak_ioctl,
};

static struct miscdevice soak_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pks_soak",
	.fops	= &soak_fops,
	.mode	= 0600,
};

static struct task_struct *churner, *reports;
static int nr_slots;

static void clean_up(void)
{
	while (nr_slots)
		pks_page_put(&slots[--nr_slots].p);
	kfree(soakers);
}

static int __init soak_init(void)
{
	int i, cpu, err;

	if (!seed || !threads || threads > MAX_THREADS) {
		pr_err("the seed is not 0, and there are 1 to %d threads\n", MAX_THREADS);
		return -EINVAL;
	}
	for (i = 0; i < SLOTS; i++) {
		init_rwsem(&slots[i].sem);
		err = pks_page_get(&slots[i].p, "soak");
		if (err) {
			pr_err("needs all keys, but has %d: %d\n", i, err);
			goto fail;
		}
		nr_slots++;
	}
	err = -ENOMEM;
	soakers = kcalloc(threads, sizeof(*soakers), GFP_KERNEL);
	if (!soakers)
		goto fail;
	for_each_possible_cpu(cpu)
		per_cpu(handler_dice, cpu) = seed * 2654435761u + cpu ?: 1;
	err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "pks_soak");
	if (err)
		goto fail;
	err = misc_register(&soak_dev);
	if (err) {
		unregister_nmi_handler(NMI_LOCAL, "pks_soak");
		goto fail;
	}
	pr_info("seed %u, %u threads\n", seed, threads);
	churner = kthread_run(churn, NULL, "soak-churn");
	reports = kthread_run(reporter, NULL, "soak-report");
	for (i = 0; i < threads; i++) {
		soakers[i].dice = seed + i * 40503u ?: 1;
		soakers[i].task = kthread_run(soak, &soakers[i], "soak/%d", i);
	}

	return 0;

fail:
	clean_up();
	return err;
}
module_init(soak_init);

static void __exit soak_exit(void)
{
	int i;

	for (i = 0; i < threads; i++)
		kthread_stop(soakers[i].task);
	kthread_stop(churner);
	kthread_stop(reports);
	unregister_nmi_handler(NMI_LOCAL, "pks_soak");
	misc_deregister(&soak_dev);
	report();
	clean_up();
}
module_exit(soak_exit);

MODULE_DESCRIPTION("Stress for protection keys for kernel pages");
MODULE_LICENSE("GPL");
