/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the KUnit tests of Protection Keys Supervisor: threads that work for a test,
 * the handler that finds out what an interruption leaves open, and the list of the tests.
 *
 * No wait is without a limit, so that a broken kernel fails a test and does not hang it.
 * What a thread uses that does not end is leaked.
 */
#ifndef _LIB_PKS_KUNIT_H
#define _LIB_PKS_KUNIT_H

#include <kunit/test.h>

#include <linux/completion.h>
#include <linux/jiffies.h>
#include <linux/pgtable.h>
#include <linux/sched.h>

#include "pks_test.h"

/* For threads that wait for each other, with room for slow emulators and debug kernels. */
#define PKS_PATIENCE	(30 * HZ)

#define pks_until(cond, limit, relax)					\
({									\
	unsigned long end_ = jiffies + (limit);				\
	bool met_;							\
									\
	while (!(met_ = (cond)) && time_before(jiffies, end_))		\
		relax;							\
	met_;								\
})

/* Keep the CPU until @cond is true; the result is false if it never is. Longer is a soft lockup. */
#define pks_spin_until(cond)	pks_until(cond, 10 * HZ, cpu_relax())

/*
 * The same where another CPU makes it true. What that CPU waits for, stop_machine(), may
 * need this one.
 */
#define pks_poll_until(cond)	pks_until(cond, PKS_PATIENCE, ({ cpu_relax(); cond_resched(); }))

/* Where a thread says that it is there, and waits until the test lets it go on. */
struct pks_gate {
	struct completion	reached;
	struct completion	opened;
	/* For those who spin at it. A handler, which must not take a lock, only sets this. */
	bool			open;
};

void pks_gate_init(struct pks_gate *gate);
void pks_gate_sleep(struct pks_gate *gate);
void pks_gate_spin(struct pks_gate *gate);
bool pks_gate_reached(struct pks_gate *gate);
void pks_gate_open(struct pks_gate *gate);

/* A kthread on one CPU, and what it has seen. */
struct pks_worker {
	void			(*fn)(struct pks_worker *w);
	struct pks_page		*page;
	void			*arg;
	struct task_struct	*task;
	struct pks_gate		gate;
	bool			started;
	struct completion	done;

	/* All keys were closed to it when it began. */
	bool			began_closed;
	/* Its right to the page in the window that it opened, */
	enum pks_right		in_window;
	/* and after it had waited in that window, with PKRS. */
	enum pks_right		after_wait;
	u32			pkrs_after_wait;
};

struct pks_worker *pks_worker_new(struct kunit *test, int cpu,
				  void (*fn)(struct pks_worker *), struct pks_page *page);
struct pks_worker *pks_worker_start(struct kunit *test, int cpu,
				    void (*fn)(struct pks_worker *), struct pks_page *page);
void pks_worker_wake(struct pks_worker *w);
void pks_worker_await(struct kunit *test, struct pks_worker *w);
void pks_worker_join(struct kunit *test, struct pks_worker *w);
void pks_open_and_sleep(struct pks_worker *w);
void pks_open_and_spin(struct pks_worker *w);

struct pks_page *pks_kunit_page(struct kunit *test, const char *name);
int *pks_hold_keys(struct kunit *test, int *nr);
void pks_kunit_key_again(struct kunit *test, struct pks_page *p);
void pks_pin(struct kunit *test, int cpu);
int pks_other_cpu(struct kunit *test, int cpu);

void pks_set_pte(pte_t *ptep, pteval_t val);
u32 *pks_large_page(struct kunit *test, pte_t **ptep);

/* User memory whose first access calls a function in the page fault. */
u32 __user *pks_user_page(struct kunit *test, void (*in_fault)(void *arg), void *arg);

/* What the handler of an interruption found and did. */
struct pks_handler {
	/* What may be open to the interrupted thread, */
	struct pks_page		*window;
	/* and what the handler opens and leaves open. */
	struct pks_page		*own;
	/* The interrupted thread. */
	struct task_struct	*task;
	int			hits;
	u32			pkrs;
	bool			window_closed;
	bool			own_closed;
	bool			own_opened;
	/* A thread ran instead of a handler. */
	bool			in_thread;
	/* If not NULL, this one takes the key of the window away meanwhile, and has done so. */
	struct pks_worker	*retirer;
	bool			retired;
};

extern struct pks_handler pks_handler;

/* A way to interrupt a thread in a window, for instance by an exception. */
struct pks_interruption {
	const char	*name;
	/* Before the window is opened; may skip the test. */
	void		(*prepare)(struct kunit *test);
	/* In the window: returns when the handler has run, or too much time has passed. */
	void		(*raise)(void);
	/* After the window. */
	void		(*finish)(struct kunit *test);
};

void pks_handler_begin(struct kunit *test);
void pks_handle(void);
void pks_interrupt_window(struct kunit *test, const struct pks_interruption *by,
			  enum pks_right right);

/* What makes the parameters of a test, in the form that this kernel's KUnit has for it. */
#define PKS_GENERATOR(name)	extern typeof(*((struct kunit_case *)NULL)->generate_params) name

/* kunit_rights.c */
void pks_test_alloc(struct kunit *test);
void pks_test_matrix_4k(struct kunit *test);
void pks_test_matrix_2m(struct kunit *test);
void pks_test_keys_independent(struct kunit *test);
void pks_test_efault(struct kunit *test);
void pks_test_zeropad(struct kunit *test);
void pks_test_no_needless_write(struct kunit *test);

/* kunit_mappings.c */
void pks_test_mapping(struct kunit *test);
PKS_GENERATOR(pks_mapping_gen_params);
void pks_test_split_2m(struct kunit *test);

/* kunit_threads.c */
void pks_test_switch_one_cpu(struct kunit *test);
void pks_test_migrate(struct kunit *test);
void pks_test_kthread_closed(struct kunit *test);
void pks_test_preempt(struct kunit *test);
void pks_test_preempt_migrate(struct kunit *test);

/* kunit_handlers.c */
void pks_test_idle(struct kunit *test);
void pks_test_handler(struct kunit *test);
PKS_GENERATOR(pks_handler_gen_params);
void pks_test_nested(struct kunit *test);
void pks_test_spurious(struct kunit *test);
void pks_test_kvm_interrupt(struct kunit *test);
void pks_test_sleeping_fault(struct kunit *test);

/* kunit_probes.c */
void pks_test_probe(struct kunit *test);
void pks_test_probe_retire(struct kunit *test);
PKS_GENERATOR(pks_probe_gen_params);
PKS_GENERATOR(pks_called_probe_gen_params);
void pks_test_ftrace_open(struct kunit *test);

/* kunit_setter.c */
void pks_test_interrupt_in_setter(struct kunit *test);
void pks_test_retire_in_setter(struct kunit *test);

/* kunit_retire.c */
void pks_test_retire(struct kunit *test);
void pks_test_retire_at_alloc(struct kunit *test);
void pks_test_rebirth(struct kunit *test);
void pks_test_free_flushes(struct kunit *test);

#endif /* _LIB_PKS_KUNIT_H */
