// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: what can be shown without help
 * from user space. The rest is in pks_run.c and the kselftest test_pks.
 *
 * Every forbidden access has its legal twin, and every check that rights are
 * closed comes with one that they open: a test that touches nothing can't pass.
 *
 * This file has the suites and what the tests share.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/slab.h>

#include "pks_kunit.h"

/* A thread did not end. What it may still use is not freed. */
static bool pks_stuck;

void pks_gate_init(struct pks_gate *gate)
{
	init_completion(&gate->reached);
	init_completion(&gate->opened);
	gate->open = false;
}

void pks_gate_sleep(struct pks_gate *gate)
{
	complete(&gate->reached);
	wait_for_completion_timeout(&gate->opened, PKS_PATIENCE);
}

void pks_gate_spin(struct pks_gate *gate)
{
	complete(&gate->reached);
	pks_poll_until(READ_ONCE(gate->open));
}

/* Wait until a thread is at the gate; false if none comes. */
bool pks_gate_reached(struct pks_gate *gate)
{
	return wait_for_completion_timeout(&gate->reached, PKS_PATIENCE);
}

void pks_gate_open(struct pks_gate *gate)
{
	WRITE_ONCE(gate->open, true);
	complete(&gate->opened);
}

static int worker_main(void *arg)
{
	struct pks_worker *w = arg;

	w->fn(w);
	pks_mk_noaccess(w->page->pkey);
	complete_all(&w->done);
	/* This code must not be unloaded under the thread, nor @w be used from here on. */
	module_put_and_kthread_exit(0);
}

static void worker_end(void *arg)
{
	struct pks_worker *w = arg;

	if (!w->started) {
		kthread_stop(w->task);
		module_put(THIS_MODULE);
	} else {
		pks_gate_open(&w->gate);
		if (!wait_for_completion_timeout(&w->done, PKS_PATIENCE)) {
			pks_stuck = true;
			return;
		}
	}
	put_task_struct(w->task);
	kfree(w);
}

/* A thread that is yet to be started; it ends with the test. */
struct pks_worker *pks_worker_new(struct kunit *test, int cpu,
				  void (*fn)(struct pks_worker *), struct pks_page *page)
{
	struct pks_worker *w = kzalloc(sizeof(*w), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, w);
	pks_gate_init(&w->gate);
	init_completion(&w->done);
	w->fn = fn;
	w->page = page;
	/* Not seen yet. */
	w->in_window = PKS_NR_RIGHTS;
	w->after_wait = PKS_NR_RIGHTS;
	w->pkrs_after_wait = PKRS_UNKNOWN;
	w->task = kthread_create(worker_main, w, "pks-worker/%d", cpu);
	if (IS_ERR(w->task)) {
		kfree(w);
		KUNIT_FAIL_AND_ABORT(test, "no thread");
	}
	get_task_struct(w->task);
	__module_get(THIS_MODULE);
	kthread_bind(w->task, cpu);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, worker_end, w), 0);

	return w;
}

void pks_worker_wake(struct pks_worker *w)
{
	w->started = true;
	wake_up_process(w->task);
}

struct pks_worker *pks_worker_start(struct kunit *test, int cpu,
				    void (*fn)(struct pks_worker *), struct pks_page *page)
{
	struct pks_worker *w = pks_worker_new(test, cpu, fn, page);

	pks_worker_wake(w);

	return w;
}

/* Wait until it is at its gate. */
void pks_worker_await(struct kunit *test, struct pks_worker *w)
{
	if (!pks_gate_reached(&w->gate))
		KUNIT_FAIL_AND_ABORT(test, "%s does not come to its gate", w->task->comm);
}

/* Let it go on, and wait until it has ended. */
void pks_worker_join(struct kunit *test, struct pks_worker *w)
{
	pks_gate_open(&w->gate);
	if (!wait_for_completion_timeout(&w->done, PKS_PATIENCE))
		KUNIT_FAIL_AND_ABORT(test, "%s does not end", w->task->comm);
}

static void open_and_wait(struct pks_worker *w, void (*wait)(struct pks_gate *gate))
{
	pks_mk_readwrite(w->page->pkey);
	w->in_window = pks_seen(w->page->addr);
	wait(&w->gate);
	w->after_wait = pks_seen(w->page->addr);
	w->pkrs_after_wait = pks_rdmsr();
}

/* For a worker: open a window to its page, and look again after a wait in it. */
void pks_open_and_sleep(struct pks_worker *w)
{
	open_and_wait(w, pks_gate_sleep);
}

void pks_open_and_spin(struct pks_worker *w)
{
	open_and_wait(w, pks_gate_spin);
}

static void page_end(void *arg)
{
	struct pks_page *p = arg;

	if (pks_stuck)
		return;
	pks_page_put(p);
	kfree(p);
}

/* A page with a key of its own, until the test ends. */
struct pks_page *pks_kunit_page(struct kunit *test, const char *name)
{
	struct pks_page *p = kzalloc(sizeof(*p), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, p);
	err = pks_page_get(p, name);
	if (err) {
		kfree(p);
		KUNIT_FAIL_AND_ABORT(test, "no page with a key: %d", err);
	}
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, page_end, p), 0);

	return p;
}

static void keys_end(void *arg)
{
	int *keys = arg;

	for (; *keys > 0; keys++)
		pks_key_free(*keys);
}

/*
 * All keys that are free, until the test ends; zero ends the array. Keys are handed out
 * in turn, so a key that is freed from then on is the one that is handed out next.
 */
int *pks_hold_keys(struct kunit *test, int *nr)
{
	int *keys = kunit_kcalloc(test, PKR_NR_PKEYS, sizeof(*keys), GFP_KERNEL);
	int i, pkey;

	KUNIT_ASSERT_NOT_NULL(test, keys);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, keys_end, keys), 0);
	for (i = 0; i < PKR_NR_PKEYS - 1; i++) {
		pkey = pks_key_alloc("held");
		if (pkey < 0)
			break;
		keys[i] = pkey;
	}
	if (nr)
		*nr = i;

	return keys;
}

/*
 * Hand out the key of @p again, which was freed while all others were held. If that fails,
 * the page has the key that came instead, which ends with it.
 */
void pks_kunit_key_again(struct kunit *test, struct pks_page *p)
{
	int freed = p->pkey, pkey = pks_key_alloc("again");

	if (pkey > 0)
		p->pkey = pkey;
	KUNIT_ASSERT_EQ(test, pkey, freed);
}

/* The test has a thread of its own, which ends with it. */
void pks_pin(struct kunit *test, int cpu)
{
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
}

int pks_other_cpu(struct kunit *test, int cpu)
{
	int other = cpumask_any_but(cpu_online_mask, cpu);

	if (other >= nr_cpu_ids)
		kunit_skip(test, "needs two CPUs");
	return other;
}

struct user_fault {
	void	(*fn)(void *arg);
	void	*arg;
};

static vm_fault_t user_fault(struct vm_fault *vmf)
{
	struct user_fault *uf = vmf->vma->vm_file->private_data;
	struct page *page;

	uf->fn(uf->arg);
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!page)
		return VM_FAULT_OOM;
	vmf->page = page;

	return 0;
}

static const struct vm_operations_struct user_fault_vm_ops = { .fault = user_fault };

static int user_fault_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &user_fault_vm_ops;
	return 0;
}

static int user_fault_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static const struct file_operations user_fault_fops = {
	.owner		= THIS_MODULE,
	.mmap		= user_fault_mmap,
	.release	= user_fault_release,
};

u32 __user *pks_user_page(struct kunit *test, void (*in_fault)(void *arg), void *arg)
{
	struct user_fault *uf = kzalloc(sizeof(*uf), GFP_KERNEL);
	unsigned long addr;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, uf);
	uf->fn = in_fault;
	uf->arg = arg;
	file = anon_inode_getfile("[pks_kunit]", &user_fault_fops, uf, O_RDWR);
	if (IS_ERR(file)) {
		kfree(uf);
		KUNIT_FAIL_AND_ABORT(test, "no file");
	}
	addr = kunit_vm_mmap(test, file, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE, 0);
	fput(file);
	KUNIT_ASSERT_NE(test, addr, 0);

	return (u32 __user *)addr;
}

static void pks_test_every_cpu_on(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pks_bad_cpus(), 0);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/* Where PKS is off, consumers get what the documentation promises, and no warning. */
static void pks_test_absent(struct kunit *test)
{
	bool warned = test_taint(TAINT_WARN), has_msr;
	u32 before = 0, after = 0, high;

	if (pks_enabled())
		kunit_skip(test, "PKS is on");

	/* Turned off by "nopks", the CPU has the MSR all the same. */
	has_msr = !rdmsr_safe(MSR_IA32_PKRS, &before, &high);

	KUNIT_EXPECT_EQ(test, pks_key_alloc("absent"), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pks_key_alloc(NULL), -EOPNOTSUPP);
	pks_mk_readwrite(1);
	pks_mk_readonly(2);
	pks_mk_noaccess(3);
	pks_key_free(-EOPNOTSUPP);

	KUNIT_EXPECT_EQ(test, test_taint(TAINT_WARN), warned);
	KUNIT_EXPECT_EQ(test, current->thread.pks.pkrs, PKRS_INIT_VALUE);
	KUNIT_EXPECT_FALSE(test, __read_cr4() & X86_CR4_PKS);
	KUNIT_EXPECT_EQ(test, !rdmsr_safe(MSR_IA32_PKRS, &after, &high), has_msr);
	KUNIT_EXPECT_EQ(test, after, before);
}

/* A boot has 65535 epochs; one run takes about 1000 of them, most in pks_test_retire_in_setter. */
static u16 first_epoch;

static int pks_suite_init(struct kunit_suite *suite)
{
	first_epoch = current->thread.pks.epoch;
	return 0;
}

static void pks_suite_exit(struct kunit_suite *suite)
{
	kunit_info(suite, "%d of 65535 epochs used\n", current->thread.pks.epoch - first_epoch);
}

static int pks_test_init(struct kunit *test)
{
	if (!pks_enabled())
		kunit_skip(test, "PKS is off or the CPU does not have it");
	return 0;
}

static struct kunit_case pks_cases[] = {
	KUNIT_CASE(pks_test_every_cpu_on),
	/* Ahead of the others, which retire each key, and so close what was open from birth. */
	KUNIT_CASE(pks_test_idle),
	KUNIT_CASE(pks_test_alloc),
	KUNIT_CASE(pks_test_matrix_4k),
	KUNIT_CASE(pks_test_matrix_2m),
	KUNIT_CASE(pks_test_split_2m),
	KUNIT_CASE_PARAM(pks_test_mapping, pks_mapping_gen_params),
	KUNIT_CASE(pks_test_keys_independent),
	KUNIT_CASE(pks_test_efault),
	KUNIT_CASE(pks_test_zeropad),
	KUNIT_CASE(pks_test_no_needless_write),
	KUNIT_CASE(pks_test_switch_one_cpu),
	KUNIT_CASE(pks_test_migrate),
	KUNIT_CASE(pks_test_kthread_closed),
	KUNIT_CASE_PARAM(pks_test_handler, pks_handler_gen_params),
	KUNIT_CASE(pks_test_nested),
	KUNIT_CASE(pks_test_spurious),
	KUNIT_CASE(pks_test_kvm_interrupt),
	KUNIT_CASE(pks_test_sleeping_fault),
	KUNIT_CASE_PARAM(pks_test_probe, pks_probe_gen_params),
	KUNIT_CASE_PARAM(pks_test_probe_retire, pks_called_probe_gen_params),
	KUNIT_CASE(pks_test_ftrace_open),
	KUNIT_CASE(pks_test_preempt),
	KUNIT_CASE(pks_test_preempt_migrate),
	KUNIT_CASE(pks_test_interrupt_in_setter),
	KUNIT_CASE(pks_test_retire),
	KUNIT_CASE(pks_test_retire_at_alloc),
	KUNIT_CASE(pks_test_rebirth),
	KUNIT_CASE(pks_test_free_flushes),
	KUNIT_CASE(pks_test_retire_in_setter),
	{}
};

static struct kunit_suite pks_suite = {
	.name		= "pks",
	.suite_init	= pks_suite_init,
	.suite_exit	= pks_suite_exit,
	.init		= pks_test_init,
	.test_cases	= pks_cases,
};

static struct kunit_case pks_absent_cases[] = {
	KUNIT_CASE(pks_test_absent),
	{}
};

static struct kunit_suite pks_absent_suite = {
	.name		= "pks_absent",
	.test_cases	= pks_absent_cases,
};

kunit_test_suites(&pks_suite, &pks_absent_suite);

MODULE_DESCRIPTION("KUnit tests of Protection Keys Supervisor");
MODULE_LICENSE("GPL");
