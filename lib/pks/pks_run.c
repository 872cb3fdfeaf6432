// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/x86/run_pks: one PKS test action per write, for what needs
 * a process of its own to fork, exec or be killed. Reading lists the actions.
 *
 * Each open file can have a key with one page, which end with the file. What it reads
 * begins with the page's addresses.
 */
#include <linux/clocksource.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_sim.h>
#include <linux/irq_work.h>
#include <linux/irqdomain.h>
#include <linux/kmemleak.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/workqueue.h>

#include <asm/irq_regs.h>
#include <asm/text-patching.h>
#include <asm/tlbflush.h>
#include <asm/trap_pf.h>

#include "pks_test.h"

/* A probe that notes with what rights the probed code ran, and if pkrs_cache was unknown. */
struct run_probe {
	struct kprobe	kp;
	u32		pkrs;
	bool		unknown;
};

struct run_file {
	/* Held in each action: a file can be shared by threads. */
	struct mutex	lock;
	bool		has_page;
	struct pks_page	p;
	bool		watching;
	struct run_probe exec_begin;
	struct run_probe exec_end;
	struct clocksource clock;
	u32		resumed_pkrs;
	bool		faking;
	struct run_probe fault;
	unsigned int	faked;
	bool		scanned;
	struct workqueue_struct *queue;
	struct work_struct work;
	unsigned int	irq;
	struct tasklet_struct tasklet;
	bool		wanted;
	struct completion ran;
	struct task_struct *left_in;
	bool		same_thread;
	bool		found_open;
};

/* What "write" leaves in the page. */
#define RUN_WORD	0x504b5321

static int run_alloc(struct run_file *f)
{
	int err;

	if (f->has_page)
		return -EEXIST;
	err = pks_page_get(&f->p, "run_pks");
	f->has_page = !err;

	return err;
}

static int run_write(struct run_file *f)
{
	u32 val;

	pks_mk_readwrite(f->p.pkey);
	WRITE_ONCE(*f->p.addr, RUN_WORD);
	val = READ_ONCE(*f->p.addr);
	pks_mk_noaccess(f->p.pkey);

	return val == RUN_WORD ? 0 : -EIO;
}

/*
 * The access oopses and kills the task. So the lock is dropped ahead of it: a dead task
 * releases none.
 */
static int run_stray_write(struct run_file *f)
{
	mutex_unlock(&f->lock);
	WRITE_ONCE(*f->p.addr, 2);
	mutex_lock(&f->lock);

	return -EIO;
}

static int run_stray_read(struct run_file *f)
{
	mutex_unlock(&f->lock);
	READ_ONCE(*f->p.addr);
	mutex_lock(&f->lock);

	return -EIO;
}

/* The read is allowed here; the write is not. */
static int run_readonly_write(struct run_file *f)
{
	int err;

	pks_mk_readonly(f->p.pkey);
	READ_ONCE(*f->p.addr);
	err = run_stray_write(f);
	pks_mk_noaccess(f->p.pkey);

	return err;
}

static int run_leave_open(struct run_file *f)
{
	/* The debug check for just this bug would stop the test. */
	if (IS_ENABLED(CONFIG_DEBUG_ENTRY))
		return -EBUSY;
	pks_mk_readwrite(f->p.pkey);

	return 0;
}

static int run_leave_open_warn(struct run_file *f)
{
	if (!IS_ENABLED(CONFIG_DEBUG_ENTRY))
		return -EBUSY;
	pks_mk_readwrite(f->p.pkey);

	return 0;
}

static int run_is_open(struct run_file *f)
{
	return pks_can_write(f->p.addr) ? 0 : -EACCES;
}

static int run_is_closed(struct run_file *f)
{
	if (f->has_page && pks_can_read(f->p.addr))
		return -EACCES;

	return pks_all_closed() ? 0 : -EACCES;
}

static int run_cpus(struct run_file *f)
{
	return pks_bad_cpus() ? -EIO : 0;
}

/*
 * The next tick on this CPU looks where it came from, and with what rights, and
 * leaves a key open.
 */
static struct run_tick {
	struct task_struct	*user;
	bool			closed;
	int			pkey;
} run_tick;

static void run_tick_look(struct irq_work *work)
{
	struct pt_regs *regs = get_irq_regs();

	run_tick.user = regs && user_mode(regs) ? current : NULL;
	run_tick.closed = pks_all_closed();
	pks_mk_readwrite(run_tick.pkey);
}

static struct irq_work run_tick_work = IRQ_WORK_INIT_LAZY(run_tick_look);

static int run_watch_tick(struct run_file *f)
{
	int err;

	/* There the work has a thread. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return -EBUSY;
	err = run_leave_open(f);
	if (err)
		return err;

	irq_work_sync(&run_tick_work);
	memset(&run_tick, 0, sizeof(run_tick));
	run_tick.pkey = f->p.pkey;
	irq_work_queue(&run_tick_work);

	return 0;
}

static int run_tick_was_closed(struct run_file *f)
{
	if (irq_work_is_busy(&run_tick_work))
		return -EAGAIN;
	if (run_tick.user != current)
		return -ESRCH;
	if (!run_tick.closed)
		return -EIO;

	/* What the tick left open must not be open here. */
	return run_is_closed(f);
}

/* Somebody clears CR4.PKS: it is pinned. */
static int run_unpin(struct run_file *f)
{
	bool pinned;

	guard(preempt)();
	cr4_clear_bits(X86_CR4_PKS);
	pinned = __read_cr4() & X86_CR4_PKS;
	cr4_set_bits(X86_CR4_PKS);

	return pinned ? 0 : -EIO;
}

/* Bad keys, each of which warns once and changes nothing. */
static int run_misuse(struct run_file *f)
{
	static const int bad[] = { 0, -1, 16, 1000, -EOPNOTSUPP };
	u32 before = current->thread.pks.pkrs;
	int keys[PKR_NR_PKEYS];
	int i, pkey, owners = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		pks_mk_readwrite(bad[i]);
		pks_mk_readonly(bad[i]);
		pks_mk_noaccess(bad[i]);
		pks_key_free(bad[i]);
		if (current->thread.pks.pkrs != before || pks_rdmsr() != before)
			return -EIO;
	}

	/* Freed twice, it must not get two owners. */
	pkey = pks_key_alloc("misuse");
	if (pkey < 0)
		return pkey;
	pks_key_free(pkey);
	pks_key_free(pkey);
	for (i = 0; i < PKR_NR_PKEYS; i++) {
		keys[i] = pks_key_alloc("misuse");
		if (keys[i] < 0)
			break;
		owners += keys[i] == pkey;
	}
	while (i--)
		pks_key_free(keys[i]);

	return owners == 1 ? 0 : -EIO;
}

/*
 * Probes tell the rights of code that the tests do not run themselves
 */

static int run_probe_pre(struct kprobe *kp, struct pt_regs *regs)
{
	struct run_probe *probe = container_of(kp, struct run_probe, kp);

	probe->pkrs = pks_regs_pkrs(regs);
	probe->unknown = pks_frame(regs)->pkrs & PKRS_IN_FLIGHT;

	return 0;
}

static int run_probe_add(struct run_probe *probe, const char *symbol, kprobe_pre_handler_t pre)
{
	struct kprobe kp = {
		.symbol_name	= symbol,
		.pre_handler	= pre,
		.post_handler	= pks_kprobe_post,
	};
	int err;

	*probe = (struct run_probe){ .kp = kp, .pkrs = PKRS_UNKNOWN };
	err = register_kprobe(&probe->kp);
	if (err || !kprobe_ftrace(&probe->kp))
		return err;

	/*
	 * ftrace calls the handler, with all keys closed. Behind that call in the probed
	 * function, the probe is an exception, whose frame has the rights of the function.
	 */
	kp.symbol_name = NULL;
	kp.addr = probe->kp.addr + CALL_INSN_SIZE;
	unregister_kprobe(&probe->kp);
	probe->kp = kp;

	return register_kprobe(&probe->kp);
}

/* What reports a WARN() in a window runs with all keys closed, and the window lasts. */
static int run_warn(struct run_file *f)
{
	struct run_probe probe;
	bool open;
	int err;

	err = run_probe_add(&probe, "__warn", run_probe_pre);
	if (err)
		return err;
	pks_mk_readwrite(f->p.pkey);
	WARN(1, "pks_test: expected, in an open window");
	open = pks_can_write(f->p.addr);
	pks_mk_noaccess(f->p.pkey);
	unregister_kprobe(&probe.kp);

	return open && probe.pkrs == PKRS_INIT_VALUE ? 0 : -EIO;
}

/* Two probes of execve(): as it begins, and when the new program is in place. */
static int run_watch_exec(struct run_file *f)
{
	int err;

	if (IS_ENABLED(CONFIG_DEBUG_ENTRY))
		return -EBUSY;
	if (f->watching)
		return -EEXIST;

	err = run_probe_add(&f->exec_begin, "begin_new_exec", run_probe_pre);
	if (err)
		return err;
	err = run_probe_add(&f->exec_end, "finalize_exec", run_probe_pre);
	if (err)
		unregister_kprobe(&f->exec_begin.kp);
	else
		f->watching = true;

	return err;
}

static int run_exec_was_open(struct run_file *f)
{
	return f->exec_begin.pkrs != PKRS_UNKNOWN &&
	       pkr_allows_write(f->exec_begin.pkrs, f->p.pkey) ? 0 : -EACCES;
}

static int run_exec_is_closed(struct run_file *f)
{
	return f->exec_end.pkrs == PKRS_INIT_VALUE ? 0 : -EACCES;
}

/*
 * A clock that nobody uses, but that is told of resume: with interrupts off still, and
 * ahead of any exception or switch of threads, which would put PKRS right whatever
 * resume did.
 */
static u64 run_clock_read(struct clocksource *clock)
{
	return 0;
}

static void run_clock_resume(struct clocksource *clock)
{
	container_of(clock, struct run_file, clock)->resumed_pkrs = pks_rdmsr();
}

static const struct clocksource run_clock = {
	.name	= "run_pks",
	.read	= run_clock_read,
	.mask	= CLOCKSOURCE_MASK(32),
	.resume	= run_clock_resume,
};

/*
 * Sleep in a window. Much is called in it that should not be, but the rights have to
 * outlast all of that, and the RESET, which opens all keys. The function @symbol is
 * called after the state of the CPU has been saved.
 */
static int run_sleep(struct run_file *f, const char *symbol, int (*sleep)(void))
{
	struct run_probe down;
	bool lasts;
	u32 pkrs;
	int err;

	err = run_probe_add(&down, symbol, run_probe_pre);
	if (err)
		return err;
	f->clock = run_clock;
	f->resumed_pkrs = PKRS_UNKNOWN;
	err = clocksource_register_hz(&f->clock, 1000000);
	if (err)
		goto out;

	pks_mk_readonly(f->p.pkey);
	pkrs = current->thread.pks.pkrs;
	err = sleep();
	lasts = f->resumed_pkrs == pkrs && pks_can_read(f->p.addr) && !pks_can_write(f->p.addr);
	pks_mk_noaccess(f->p.pkey);
	clocksource_unregister(&f->clock);

	if (!err && !down.unknown)
		err = -ESTALE;
	else if (!err && !lasts)
		err = -EACCES;
out:
	unregister_kprobe(&down.kp);
	return err;
}

static int run_to_ram(void)
{
	return pm_suspend(PM_SUSPEND_MEM);
}

static int run_suspend(struct run_file *f)
{
	return run_sleep(f, "acpi_enter_sleep_state", run_to_ram);
}

/* hibernate() is not for modules. */
static int run_to_disk(void)
{
	static const char disk[] = "disk";
	struct file *state = filp_open("/sys/power/state", O_WRONLY, 0);
	ssize_t written;

	if (IS_ERR(state))
		return PTR_ERR(state);
	written = kernel_write(state, disk, strlen(disk), NULL);
	filp_close(state, NULL);

	return written < 0 ? written : 0;
}

static int run_hibernate(struct run_file *f)
{
	return run_sleep(f, "swsusp_save", run_to_disk);
}

/*
 * User space must not learn of keys
 */

/*
 * A CPU sets the PK bit in the error code of a page fault by the key of the page, even if
 * the access came from user mode, which may not touch a kernel page anyway. An emulator may
 * not. The bit is added as bad_area_nosemaphore(regs, error_code, address) is called, for
 * the page of this file.
 */
static int run_fake_pk_pre(struct kprobe *kp, struct pt_regs *regs)
{
	struct run_file *f = container_of(kp, struct run_file, fault.kp);

	if (regs->dx == (unsigned long)f->p.addr) {
		regs->si |= X86_PF_PK;
		f->faked++;
	}
	return 0;
}

static int run_fake_pk(struct run_file *f)
{
	/* The function is static: a compiler may have made another one of it. */
	static const char *const names[] = {
		"bad_area_nosemaphore", "bad_area_nosemaphore.isra.0",
		"bad_area_nosemaphore.constprop.0", "bad_area_nosemaphore.constprop.0.isra.0",
	};
	int i, err = -ENOENT;

	if (f->faking)
		return -EEXIST;
	for (i = 0; i < ARRAY_SIZE(names) && err; i++)
		err = run_probe_add(&f->fault, names[i], run_fake_pk_pre);
	f->faking = !err;

	return err;
}

static int run_faked_pk(struct run_file *f)
{
	return f->faked ? 0 : -ESRCH;
}

/*
 * Kernel threads that run functions of others one after the other
 */

/* The first call leaves the key open. The second one looks, and closes it. */
static void run_in_turn(struct run_file *f)
{
	if (!f->left_in) {
		f->left_in = current;
		pks_mk_readwrite(f->p.pkey);
	} else {
		f->same_thread = f->left_in == current;
		f->found_open = pks_can_write(f->p.addr);
		pks_mk_noaccess(f->p.pkey);
	}
	complete(&f->ran);
}

/*
 * Have both calls made, in one thread. Where a pool of threads does it, they may be two of
 * them.
 */
static int run_both(struct run_file *f, void (*start)(struct run_file *f))
{
	int tries, i;

	for (tries = 0; tries < 100; tries++) {
		f->left_in = NULL;
		for (i = 0; i < 2; i++) {
			reinit_completion(&f->ran);
			start(f);
			if (!wait_for_completion_timeout(&f->ran, 10 * HZ))
				return -ETIMEDOUT;
		}
		if (f->same_thread)
			return f->found_open ? 0 : -EACCES;
	}

	return -EAGAIN;
}

static void run_work(struct work_struct *work)
{
	run_in_turn(container_of(work, struct run_file, work));
}

static void run_start_work(struct run_file *f)
{
	queue_work(f->queue, &f->work);
}

static int run_worker(struct run_file *f)
{
	int err;

	f->queue = alloc_ordered_workqueue("run_pks", 0);
	if (!f->queue)
		return -ENOMEM;
	err = run_both(f, run_start_work);
	destroy_workqueue(f->queue);

	return err;
}

static irqreturn_t run_irq(int irq, void *f)
{
	run_in_turn(f);

	return IRQ_HANDLED;
}

static void run_start_irq(struct run_file *f)
{
	irq_set_irqchip_state(f->irq, IRQCHIP_STATE_PENDING, true);
}

static int run_irq_thread(struct run_file *f)
{
	struct irq_domain *domain = irq_domain_create_sim(NULL, 1);
	int err = -ENOMEM;

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	f->irq = irq_create_mapping(domain, 0);
	if (f->irq)
		err = request_threaded_irq(f->irq, NULL, run_irq, IRQF_ONESHOT, "run_pks", f);
	if (!err) {
		err = run_both(f, run_start_irq);
		free_irq(f->irq, f);
	}
	irq_dispose_mapping(f->irq);
	irq_domain_remove_sim(domain);

	return err;
}

/*
 * Softirqs run in ksoftirqd, on the stack of that thread, or as an interrupt returns. Raised
 * again and again, they get to ksoftirqd.
 */
static void run_softirq(struct tasklet_struct *tasklet)
{
	struct run_file *f = from_tasklet(f, tasklet, tasklet);

	if (object_is_on_stack(&f) && !strncmp(current->comm, "ksoftirqd/", 10))
		run_in_turn(f);
	else if (READ_ONCE(f->wanted))
		tasklet_schedule(tasklet);
}

static void run_start_softirq(struct run_file *f)
{
	tasklet_schedule(&f->tasklet);
}

static int run_ksoftirqd(struct run_file *f)
{
	int err;

	f->wanted = true;
	err = run_both(f, run_start_softirq);
	WRITE_ONCE(f->wanted, false);
	tasklet_kill(&f->tasklet);

	return err;
}

/*
 * Keyed memory can be an object of kmemleak, which has no right to read it. An object that
 * counts as referred to is scanned. One to which too few pointers are found is read for its
 * checksum. The page is one of each.
 */
static void *run_other_half(struct run_file *f)
{
	return (void *)f->p.addr + PAGE_SIZE / 2;
}

static int run_kmemleak(struct run_file *f)
{
	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		return -EOPNOTSUPP;
	if (f->scanned)
		return -EEXIST;
	kmemleak_alloc(f->p.addr, PAGE_SIZE / 2, 0, GFP_KERNEL);
	kmemleak_alloc(run_other_half(f), PAGE_SIZE / 2, INT_MAX, GFP_KERNEL);
	f->scanned = true;

	return 0;
}

/* "run_pks_early" on the command line: ask for a key before PKS is on. Not for modules. */
static int run_early_key;

static int __init __maybe_unused run_ask_early(char *arg)
{
	if (*arg)
		return 0;

	run_early_key = pks_key_alloc("early");
	return 1;
}
__setup("run_pks_early", run_ask_early);

static int run_early(struct run_file *f)
{
	if (!run_early_key)
		return -ESRCH;

	return run_early_key == -EAGAIN ? 0 : -EIO;
}

/* Use up the epochs: from then on keys run out. */
static int run_epochs(struct run_file *f)
{
	int i, pkey;

	for (i = 0; i <= U16_MAX + PKR_NR_PKEYS; i++) {
		pkey = pks_key_alloc("epochs");
		if (pkey < 0)
			break;
		pks_key_free(pkey);
		cond_resched();
	}

	return i && pkey == -ENOSPC ? 0 : -EIO;
}

static const struct run_action {
	const char	*name;
	int		(*fn)(struct run_file *f);
	bool		needs_page;
	const char	*help;
} run_actions[] = {
	{ "alloc", run_alloc, false, "give this open file a key, and a page that has it" },
	{ "write", run_write, true, "write to the page, with the right to" },
	{ "stray-write", run_stray_write, true, "write without it: oopses and kills the task" },
	{ "stray-read", run_stray_read, true, "read without it: oopses and kills the task" },
	{ "readonly-write", run_readonly_write, true, "write with the right to read: oopses" },
	{ "leave-open", run_leave_open, true, "keep the right on return to user space, a bug" },
	{ "leave-open-warn", run_leave_open_warn, true,
	  "the same where it warns, CONFIG_DEBUG_ENTRY" },
	{ "is-open", run_is_open, true, "succeed if this thread has the right to write" },
	{ "is-closed", run_is_closed, false, "succeed if this thread has no rights at all" },
	{ "watch-exec", run_watch_exec, true, "note the rights around the next execve()" },
	{ "exec-was-open", run_exec_was_open, true, "succeed if its caller could write" },
	{ "exec-is-closed", run_exec_is_closed, true, "succeed if the new program had no rights" },
	{ "cpus", run_cpus, false, "succeed if PKS is on, on every CPU" },
	{ "watch-tick", run_watch_tick, true, "leave-open, and note the rights of the next tick" },
	{ "tick-was-closed", run_tick_was_closed, true,
	  "succeed if it came from user mode and had no rights" },
	{ "suspend", run_suspend, true, "to RAM, in a window, which must outlast it" },
	{ "hibernate", run_hibernate, true, "the same, to disk" },
	{ "fake-pk", run_fake_pk, true, "let user mode's page faults there have the PK bit" },
	{ "faked-pk", run_faked_pk, true, "succeed if one was given it" },
	{ "kmemleak", run_kmemleak, true, "let kmemleak know of the page, and scan it" },
	{ "early", run_early, false, "succeed if run_pks_early, at boot, was told to try again" },
	{ "worker", run_worker, true, "open it in a work item; succeed if it is so in the next" },
	{ "irq-thread", run_irq_thread, true, "the same with an interrupt's thread" },
	{ "ksoftirqd", run_ksoftirqd, true, "the same with a softirq's" },
	{ "unpin", run_unpin, false, "clear CR4.PKS, which must stay: warns" },
	{ "misuse", run_misuse, false, "use keys that do not exist: warns" },
	{ "warn", run_warn, true, "WARN() in a window: warns" },
	{ "epochs", run_epochs, false, "use up all epochs: no key can be reused until reboot" },
};

static ssize_t run_pks_write(struct file *file, const char __user *ubuf,
			     size_t count, loff_t *ppos)
{
	struct run_file *f = file->private_data;
	char buf[32], *name;
	int i, err;

	if (count >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, count))
		return -EFAULT;
	buf[count] = '\0';
	if (strlen(buf) != count)
		return -EINVAL;
	/* "echo" ends what it writes with a newline. */
	name = buf;
	if (count && buf[count - 1] == '\n')
		buf[count - 1] = '\0';

	for (i = 0; i < ARRAY_SIZE(run_actions); i++) {
		const struct run_action *a = &run_actions[i];

		if (strcmp(name, a->name))
			continue;
		if (!pks_enabled())
			return -EOPNOTSUPP;

		mutex_lock(&f->lock);
		err = a->needs_page && !f->has_page ? -ENXIO : a->fn(f);
		mutex_unlock(&f->lock);

		return err ?: count;
	}

	return -EINVAL;
}

static ssize_t run_pks_read(struct file *file, char __user *ubuf, size_t count,
			    loff_t *ppos)
{
	struct run_file *f = file->private_data;
	char *buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	ssize_t ret, len = 0;
	int i;

	if (!buf)
		return -ENOMEM;
	mutex_lock(&f->lock);
	if (f->has_page)
		len = scnprintf(buf, PAGE_SIZE, "page %lx, without the key %lx\n",
				(unsigned long)f->p.addr, (unsigned long)page_address(f->p.page));
	mutex_unlock(&f->lock);
	for (i = 0; i < ARRAY_SIZE(run_actions); i++)
		len += scnprintf(buf + len, PAGE_SIZE - len, "%-16s%s\n",
				 run_actions[i].name, run_actions[i].help);
	ret = simple_read_from_buffer(ubuf, count, ppos, buf, len);
	kfree(buf);

	return ret;
}

static int run_pks_open(struct inode *inode, struct file *file)
{
	struct run_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	mutex_init(&f->lock);
	init_completion(&f->ran);
	INIT_WORK(&f->work, run_work);
	tasklet_setup(&f->tasklet, run_softirq);
	file->private_data = f;
	/* A task that dies in write() takes the lock of the position along. */
	file->f_mode &= ~FMODE_ATOMIC_POS;

	return 0;
}

static int run_pks_release(struct inode *inode, struct file *file)
{
	struct run_file *f = file->private_data;

	if (f->watching) {
		unregister_kprobe(&f->exec_begin.kp);
		unregister_kprobe(&f->exec_end.kp);
	}
	if (f->faking)
		unregister_kprobe(&f->fault.kp);
	if (f->scanned) {
		kmemleak_free(f->p.addr);
		kmemleak_free(run_other_half(f));
	}
	if (f->has_page)
		pks_page_put(&f->p);
	kfree(f);

	return 0;
}

static const struct file_operations run_pks_fops = {
	.owner		= THIS_MODULE,
	.open		= run_pks_open,
	.read		= run_pks_read,
	.write		= run_pks_write,
	.release	= run_pks_release,
};

static struct dentry *run_pks_dentry;

static int __init run_pks_init(void)
{
	run_pks_dentry = debugfs_create_file("run_pks", 0600, arch_debugfs_dir, NULL,
					     &run_pks_fops);

	return 0;
}
module_init(run_pks_init);

static void __exit run_pks_exit(void)
{
	debugfs_remove(run_pks_dentry);
}
module_exit(run_pks_exit);

MODULE_DESCRIPTION("PKS test actions for user space");
MODULE_LICENSE("GPL");
