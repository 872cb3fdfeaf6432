// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/pks_inject: each write does what it names, most of it in an open window that is
 * not closed again. Reading waits until a thread is about to sleep in one.
 *
 * Without PKS no window is opened, and the rest is the same.
 */
#define pr_fmt(fmt) "inject: " fmt

#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/irq_work.h>
#include <linux/ktime.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysrq.h>
#include <linux/wait.h>

#include <asm/nmi.h>

#include "pks_test.h"

static struct pks_page window;
static bool have_pks;

/* The owner's own access is what shows that it is open. */
static void open_window(void)
{
	if (!have_pks)
		return;
	pks_mk_readwrite(window.pkey);
	WRITE_ONCE(*window.addr, 1);
}

static bool is_open(void)
{
	return !have_pks || pks_can_write(window.addr);
}

static bool is_closed(void)
{
	return !have_pks || (pks_all_closed() && !pks_can_read(window.addr));
}

static int do_is_closed(void)
{
	return is_closed() ? 0 : -EACCES;
}

/* The page is as good as before for whoever is next. */
static int do_use(void)
{
	bool ok;

	open_window();
	ok = is_open();
	pks_mk_noaccess(window.pkey);

	return ok && is_closed() ? 0 : -EIO;
}

/* Get a key and a page, and give them back: where memory can be missing. */
static int do_alloc(void)
{
	struct pks_page p;
	int err = pks_page_get(&p, "inject-alloc");

	if (!err)
		pks_page_put(&p);

	return err;
}

/* Not for the compiler to see. */
static int *volatile nowhere;

static int do_oops(void)
{
	open_window();
	WRITE_ONCE(*nowhere, 1);

	return -EIO;
}

static int do_bug(void)
{
	open_window();
	BUG();

	return -EIO;
}

static DECLARE_COMPLETION(asleep);
static DECLARE_WAIT_QUEUE_HEAD(never);
static bool was_open;

/* Until SIGKILL comes, if it has not yet. The thread can't tell what it found. */
static int do_sleep(void)
{
	open_window();
	complete(&asleep);
	wait_event_killable(never, false);
	was_open = is_open();

	return -EINTR;
}

static int do_was_open(void)
{
	return was_open ? 0 : -EIO;
}

/*
 * The watchdog notices a handler that does not end, and sends it an NMI for a backtrace:
 * a window, with an interrupt in it, with an NMI in that.
 */
static struct hang {
	int	cpu;
	int	nmis;
	bool	timed_out, closed, nmi_closed;
} hang = { .cpu = -1 };

static int on_nmi(unsigned int type, struct pt_regs *regs)
{
	if (raw_smp_processor_id() == READ_ONCE(hang.cpu)) {
		hang.nmi_closed &= is_closed();
		WRITE_ONCE(hang.nmis, hang.nmis + 1);
	}
	/* For the others on the list. */
	return NMI_DONE;
}

static void do_not_end(struct irq_work *work)
{
	ktime_t end = ktime_add_ms(ktime_get(), 120 * MSEC_PER_SEC);

	hang.closed = is_closed();
	WRITE_ONCE(hang.cpu, raw_smp_processor_id());
	while (!READ_ONCE(hang.nmis) && !hang.timed_out) {
		hang.timed_out = ktime_after(ktime_get(), end);
		cpu_relax();
	}
	hang.closed &= is_closed();
	WRITE_ONCE(hang.cpu, -1);
}

static DEFINE_IRQ_WORK(hanging, do_not_end);

static int do_hang(void)
{
	bool ok;

	hang = (struct hang) { .cpu = -1, .nmi_closed = true };
	open_window();
	irq_work_queue(&hanging);
	irq_work_sync(&hanging);
	ok = is_open();
	pks_mk_noaccess(window.pkey);
	if (hang.timed_out)
		return -ETIMEDOUT;

	return ok && hang.closed && hang.nmi_closed ? 0 : -EIO;
}

static int do_crash(void)
{
	open_window();
	pr_info("a crash in %s window\n", have_pks && is_open() ? "an open" : "no");
	handle_sysrq('c');

	return -EIO;
}

static const struct {
	const char *name;
	int (*fn)(void);
} actions[] = {
	{ "is-closed", do_is_closed },
	{ "use", do_use },
	{ "alloc", do_alloc },
	{ "oops", do_oops },
	{ "bug", do_bug },
	{ "sleep", do_sleep },
	{ "was-open", do_was_open },
	{ "hang", do_hang },
	{ "crash", do_crash },
};

static ssize_t inject_write(struct file *file, const char __user *ubuf, size_t count, loff_t *ppos)
{
	char name[16] = "";
	int i, err;

	if (count >= sizeof(name))
		return -EINVAL;
	if (copy_from_user(name, ubuf, count))
		return -EFAULT;
	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		if (strcmp(name, actions[i].name))
			continue;
		err = actions[i].fn();
		return err ?: count;
	}

	return -EINVAL;
}

static ssize_t inject_read(struct file *file, char __user *ubuf, size_t count, loff_t *ppos)
{
	return wait_for_completion_killable(&asleep);
}

static const struct file_operations inject_fops = {
	.owner	= THIS_MODULE,
	.read	= inject_read,
	.write	= inject_write,
};

static struct miscdevice inject_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pks_inject",
	.fops	= &inject_fops,
	.mode	= 0600,
};

static int __init inject_init(void)
{
	int err = pks_page_get(&window, "inject");

	if (err && err != -EOPNOTSUPP)
		return err;
	have_pks = !err;
	err = register_nmi_handler(NMI_LOCAL, on_nmi, 0, "pks_inject");
	if (!err) {
		err = misc_register(&inject_dev);
		if (err)
			unregister_nmi_handler(NMI_LOCAL, "pks_inject");
	}
	if (err && have_pks)
		pks_page_put(&window);

	return err;
}
/* It stays: threads die in it. */
module_init(inject_init);

MODULE_DESCRIPTION("Faults in windows of protection keys for kernel pages");
MODULE_LICENSE("GPL");
