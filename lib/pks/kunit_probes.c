// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: probes of a function that is called in a
 * window. Those that are called and are no exception run with all keys closed, too.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>

#include <asm/text-patching.h>

#include "pks_kunit.h"

/* Long enough for the jump of an optimized probe. No tracer has a place in it. */
static noinline notrace void probed(void)
{
	asm volatile(".rept 16; nop; .endr");
}

/* Has a place for tracers, where there are any. */
static noinline void traced(void)
{
	asm volatile("nop");
}

static int on_kprobe(struct kprobe *kp, struct pt_regs *regs)
{
	pks_handle();
	return 0;
}

static int on_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	pks_handle();
	return 0;
}

static struct kprobe probe;
static struct kretprobe return_probe;

static void probe_end(void *unused)
{
	unregister_kprobe(&probe);
}

static void probe_begin(struct kunit *test, void (*fn)(void),
			void (*post)(struct kprobe *, struct pt_regs *, unsigned long))
{
	probe = (struct kprobe) {
		.addr		= (kprobe_opcode_t *)fn,
		.pre_handler	= on_kprobe,
		.post_handler	= post,
	};
	KUNIT_ASSERT_EQ(test, register_kprobe(&probe), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, probe_end, NULL), 0);
}

static void probe_finish(struct kunit *test)
{
	kunit_release_action(test, probe_end, NULL);
}

static u8 probe_opcode(void)
{
	return READ_ONCE(*(u8 *)probe.addr);
}

static void prepare_int3(struct kunit *test)
{
	probe_begin(test, probed, pks_kprobe_post);
	KUNIT_ASSERT_EQ(test, probe_opcode(), INT3_INSN_OPCODE);
}

/* The kernel turns the INT3 into a jump some time later. */
static void prepare_optimized(struct kunit *test)
{
	unsigned long end = jiffies + PKS_PATIENCE;

	if (!IS_ENABLED(CONFIG_OPTPROBES))
		kunit_skip(test, "needs CONFIG_OPTPROBES");

	probe_begin(test, probed, NULL);
	while (probe_opcode() == INT3_INSN_OPCODE && time_before(jiffies, end))
		schedule_timeout_uninterruptible(1);
	KUNIT_ASSERT_EQ(test, probe_opcode(), JMP32_INSN_OPCODE);
}

static void prepare_on_ftrace(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KPROBES_ON_FTRACE))
		kunit_skip(test, "needs CONFIG_KPROBES_ON_FTRACE");

	probe_begin(test, traced, NULL);
	KUNIT_ASSERT_TRUE(test, kprobe_ftrace(&probe));
}

static void return_probe_end(void *unused)
{
	unregister_kretprobe(&return_probe);
}

static void prepare_return(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_KRETPROBES))
		kunit_skip(test, "needs CONFIG_KRETPROBES");

	return_probe = (struct kretprobe) {
		.kp.addr	= (kprobe_opcode_t *)probed,
		.handler	= on_return,
	};
	KUNIT_ASSERT_EQ(test, register_kretprobe(&return_probe), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, return_probe_end, NULL), 0);
}

static void finish_return(struct kunit *test)
{
	kunit_release_action(test, return_probe_end, NULL);
}

/* The first one is an exception. The others are calls. */
static const struct pks_interruption probes[] = {
	{ "kprobe by INT3", prepare_int3, probed, probe_finish },
	{ "kprobe by a jump", prepare_optimized, probed, probe_finish },
	{ "kprobe on ftrace", prepare_on_ftrace, traced, probe_finish },
	{ "kretprobe", prepare_return, probed, finish_return },
};

KUNIT_ARRAY_PARAM_DESC(probe, probes, name);

PKS_GENERATOR(pks_probe_gen_params) __alias(probe_gen_params);

/* Those that the code calls, so that no exception saves its rights. */
static const struct pks_interruption *const called[] = { &probes[1], &probes[2], &probes[3] };

static void called_desc(const struct pks_interruption *const *by, char *desc)
{
	strscpy(desc, (*by)->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(called, called, called_desc);
PKS_GENERATOR(pks_called_probe_gen_params) __alias(called_gen_params);

void pks_test_probe(struct kunit *test)
{
	enum pks_right right;

	pks_handler_begin(test);
	for (right = 0; right < PKS_NR_RIGHTS; right++)
		pks_interrupt_window(test, test->param_value, right);
}

static void retire_window(struct pks_worker *w)
{
	pks_gate_spin(&w->gate);
	pks_key_free(w->page->pkey);
}

/*
 * The key of the window is retired while the handler runs. What the handler gives back when
 * it returns must not have it.
 */
void pks_test_probe_retire(struct kunit *test)
{
	const struct pks_interruption *const *param = test->param_value, *by = *param;
	struct pks_handler *h = &pks_handler;
	int other = pks_other_cpu(test, 0);

	pks_handler_begin(test);
	pks_hold_keys(test, NULL);
	pks_pin(test, 0);
	by->prepare(test);
	h->retirer = pks_worker_start(test, other, retire_window, h->window);
	pks_worker_await(test, h->retirer);

	pks_mk_readwrite(h->window->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(h->window->addr), PKS_READWRITE);
	by->raise();
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
	KUNIT_EXPECT_EQ(test, pks_seen(h->window->addr), PKS_NOACCESS);

	by->finish(test);
	KUNIT_EXPECT_EQ(test, h->hits, 1);
	KUNIT_EXPECT_TRUE(test, h->retired);
	pks_worker_join(test, h->retirer);
	pks_kunit_key_again(test, h->window);
}

/*
 * A plain callback of ftrace has no function of its own ahead of it that could close the
 * keys. It runs with the rights of the code that it traces. The documentation says so.
 */
#ifdef CONFIG_DYNAMIC_FTRACE
static void on_ftrace(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *op,
		      struct ftrace_regs *fregs)
{
	struct pks_handler *h = &pks_handler;

	h->pkrs = pks_rdmsr();
	h->window_closed = pks_seen(h->window->addr) == PKS_NOACCESS;
	h->hits++;
}

static struct ftrace_ops ftrace_ops = {
	.func	= on_ftrace,
	.flags	= FTRACE_OPS_FL_RECURSION,
};

static void ftrace_end(void *unused)
{
	unregister_ftrace_function(&ftrace_ops);
	ftrace_free_filter(&ftrace_ops);
}

static void ftrace_begin(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, ftrace_set_filter_ip(&ftrace_ops, (unsigned long)traced, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, register_ftrace_function(&ftrace_ops), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, ftrace_end, NULL), 0);
}
#else
static void ftrace_begin(struct kunit *test)
{
	kunit_skip(test, "needs CONFIG_DYNAMIC_FTRACE");
}
#endif

void pks_test_ftrace_open(struct kunit *test)
{
	struct pks_handler *h = &pks_handler;

	pks_handler_begin(test);
	ftrace_begin(test);

	pks_mk_readonly(h->window->pkey);
	traced();
	KUNIT_EXPECT_EQ(test, pks_seen(h->window->addr), PKS_READONLY);
	pks_mk_noaccess(h->window->pkey);

	KUNIT_EXPECT_EQ(test, h->hits, 1);
	KUNIT_EXPECT_EQ(test, h->pkrs, pks_value(h->window->pkey, PKS_READONLY));
	KUNIT_EXPECT_FALSE(test, h->window_closed);
}
