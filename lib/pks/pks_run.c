// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/x86/run_pks: one PKS test action per write, for what needs
 * a process of its own to fork, exec or be killed. Reading lists the actions.
 *
 * Each open file can have a key with one page, which end with the file.
 */
#include <linux/clocksource.h>
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <linux/suspend.h>

#include <asm/irq_regs.h>
#include <asm/tlbflush.h>

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
};

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
	WRITE_ONCE(*f->p.addr, 1);
	val = READ_ONCE(*f->p.addr);
	pks_mk_noaccess(f->p.pkey);

	return val == 1 ? 0 : -EIO;
}

/*
 * Neither returns: the thread dies of it, without the lock, which would not be
 * released again.
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

static void run_cpu_state(void *arg)
{
	atomic_t *bad = arg;

	if (!(__read_cr4() & X86_CR4_PKS) || !pks_all_closed())
		atomic_inc(bad);
}

static int run_cpus(struct run_file *f)
{
	atomic_t bad = ATOMIC_INIT(0);

	on_each_cpu(run_cpu_state, &bad, 1);

	return atomic_read(&bad) ? -EIO : 0;
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
	int i, pkey;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		pks_mk_readwrite(bad[i]);
		pks_mk_readonly(bad[i]);
		pks_mk_noaccess(bad[i]);
		pks_key_free(bad[i]);
		if (current->thread.pks.pkrs != before || pks_rdmsr() != before)
			return -EIO;
	}

	/* Twice is once too often, and must not free it for a second owner. */
	pkey = pks_key_alloc("misuse");
	if (pkey < 0)
		return pkey;
	pks_key_free(pkey);
	pks_key_free(pkey);
	if (pks_key_alloc("misuse") != pkey)
		return -EIO;
	i = pks_key_alloc("misuse");
	if (i > 0)
		pks_key_free(i);
	pks_key_free(pkey);

	return i != pkey ? 0 : -EIO;
}

/*
 * Probes tell the rights of code that the tests do not run themselves
 */

static int run_probe_pre(struct kprobe *kp, struct pt_regs *regs)
{
	struct run_probe *probe = container_of(kp, struct run_probe, kp);

	/* Without an exception the handler has the rights of the code itself. */
	if (kprobe_ftrace(kp)) {
		probe->pkrs = pks_rdmsr();
		probe->unknown = this_cpu_read(pkrs_cache) == PKRS_UNKNOWN;
	} else {
		probe->pkrs = pks_regs_pkrs(regs);
		probe->unknown = pks_frame(regs)->pkrs & PKRS_IN_FLIGHT;
	}
	return 0;
}

/* Keeps the probe from being optimized into a jump. */
static void run_probe_post(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

static int run_probe_add(struct run_probe *probe, const char *symbol)
{
	memset(probe, 0, sizeof(*probe));
	probe->kp.symbol_name = symbol;
	probe->kp.pre_handler = run_probe_pre;
	probe->kp.post_handler = run_probe_post;
	probe->pkrs = PKRS_UNKNOWN;

	return register_kprobe(&probe->kp);
}

/* report_bug() in a window runs with all keys closed, and the window lasts. */
static int run_warn(struct run_file *f)
{
	struct run_probe probe;
	bool open;
	int err;

	err = run_probe_add(&probe, "report_bug");
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

	err = run_probe_add(&f->exec_begin, "begin_new_exec");
	if (err)
		return err;
	err = run_probe_add(&f->exec_end, "finalize_exec");
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
 * Suspend to RAM in a window. Much is called in it that should not be, but the rights have
 * to outlast all of that, and the RESET, which opens all keys.
 */
static int run_suspend(struct run_file *f)
{
	struct run_probe down;
	bool lasts;
	u32 pkrs;
	int err;

	err = run_probe_add(&down, "acpi_enter_sleep_state");
	if (err)
		return err;
	f->clock = run_clock;
	f->resumed_pkrs = PKRS_UNKNOWN;
	err = clocksource_register_hz(&f->clock, 1000000);
	if (err)
		goto out;

	pks_mk_readonly(f->p.pkey);
	pkrs = current->thread.pks.pkrs;
	err = pm_suspend(PM_SUSPEND_MEM);
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

/* Use up the epochs: from then on a key that is freed does not come back. */
static int run_epochs(struct run_file *f)
{
	int i, pkey, last = 0;

	for (i = 0; i <= U16_MAX + PKR_NR_PKEYS; i++) {
		pkey = pks_key_alloc("epochs");
		if (pkey < 0)
			break;
		/* Never the same one again without a new epoch. */
		if (i > U16_MAX && pkey == last)
			return -EIO;
		last = pkey;
		pks_key_free(pkey);
		cond_resched();
	}

	return pkey == -ENOSPC && i >= PKR_NR_PKEYS - 1 ? 0 : -EIO;
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
	char *buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	ssize_t ret, len = 0;
	int i;

	if (!buf)
		return -ENOMEM;
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
	struct dentry *dir = debugfs_lookup("x86", NULL);

	run_pks_dentry = debugfs_create_file("run_pks", 0600, dir, NULL, &run_pks_fops);
	dput(dir);

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
