/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protection Keys Supervisor (PKS): close kernel pages to all code but the few
 * lines that mean to touch them. Documentation/arch/x86/pks.rst says how to use it,
 * and what it does not stop.
 *
 * Without PKS, in the kernel or in the CPU, pks_key_alloc() fails, the other
 * functions do nothing and PAGE_KERNEL_PKEY() is PAGE_KERNEL. So a consumer
 * compiles everywhere, and goes on with pages that have no key.
 */
#ifndef _LINUX_PKS_H
#define _LINUX_PKS_H

#include <linux/errno.h>
#include <linux/pgtable.h>

#ifdef CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS

#include <linux/bug.h>
#include <linux/build_bug.h>

#include <asm/pks.h>

/**
 * pks_key_alloc() - Allocate a protection key for kernel pages
 * @name: the owner, as an oops and debugfs show it; copied, up to 15 characters
 *
 * When this returns, the key is closed to every thread and every CPU, the caller
 * included. Keys are handed out in turn, so that one that was freed stays unused for as
 * long as possible.
 *
 * Each allocation and each pks_key_free() takes one of 65535 epochs. When these are used
 * up, a message says so, and no key is handed out until the next boot.
 *
 * Context: process context, may sleep; not from a CPU hotplug callback, and not under a
 * lock that one takes. Not before the end of arch_cpu_finalize_init().
 * Cost: one IPI to every CPU.
 * Return:
 * * a key, 1-15
 * * -EOPNOTSUPP: the kernel or the CPU does not have PKS, or it is turned off
 * * -EINVAL: @name is NULL or empty
 * * -ENOSPC: all keys are taken, or the epochs are used up
 * * -EAGAIN: the kernel has not decided yet whether PKS is used; WARN_ONCE()
 */
int pks_key_alloc(const char *name);

/**
 * pks_key_free() - Give back a protection key
 * @pkey: a key from pks_key_alloc(); no page table may have it any more
 *
 * When this returns, no thread, no CPU and no interrupted context has a right to the key
 * left, and no TLB has a translation with it that vunmap() left there. A window that is
 * still open to it finds it closed. Nobody may open the key after this call: it is
 * closed again only when it is handed out next.
 *
 * See pks_key_alloc() for the number of calls that a boot has. When these are used up,
 * rights to the key stay where they are, and nobody gets the key again.
 *
 * A key that is not allocated triggers a WARN_ONCE() and changes nothing.
 *
 * Context: process context, may sleep; not from a CPU hotplug callback, and not under a
 * lock that one takes.
 * Cost: one IPI to every CPU, and a TLB flush if vunmap() has left translations.
 */
void pks_key_free(int pkey);

/* A constant out of range fails the build. Others are checked when the setter runs. */
#define PKS_CHECK_PKEY(pkey)						\
	((pkey) + BUILD_BUG_ON_ZERO(PKR_IF_CONST(pkey, 1) <= 0 ||	\
				    PKR_IF_CONST(pkey, 1) >= PKR_NR_PKEYS))

/**
 * pks_mk_noaccess() - Close the pages of a key to the current context
 * @pkey: a key from pks_key_alloc()
 *
 * The rights are those of the calling context. Those of a thread follow it from CPU to
 * CPU. An exception, interrupt or NMI handler starts with all keys closed; what it opens
 * ends when it returns. A threaded interrupt handler, ksoftirqd and a worker are
 * threads: what a function leaves open there stays open to whatever the thread runs
 * next.
 *
 * A constant key out of range fails the build. Any other key out of range triggers a
 * WARN_ONCE() and changes nothing. So objtool refuses a key that is not constant in code
 * that must not call others: noinstr code, and after user_access_begin().
 *
 * Context: any: task, softirq, hardirq, NMI.
 * Cost: one WRMSR if the rights change. No fence and no TLB flush is needed.
 */
#define pks_mk_noaccess(pkey)	pks_set_rights(PKS_CHECK_PKEY(pkey), PKR_RIGHTS_MASK)

/**
 * pks_mk_readonly() - Let the current context read the pages of a key
 * @pkey: a key from pks_key_alloc()
 *
 * See pks_mk_noaccess() for whose rights change, contexts, cost and errors.
 */
#define pks_mk_readonly(pkey)	pks_set_rights(PKS_CHECK_PKEY(pkey), PKR_WD_BIT)

/**
 * pks_mk_readwrite() - Let the current context read and write the pages of a key
 * @pkey: a key from pks_key_alloc()
 *
 * Keep the window short, and close it before the thread returns to user mode. Windows do
 * not nest: the first pks_mk_noaccess() closes the key, whoever opened it.
 *
 * See pks_mk_noaccess() for whose rights change, contexts, cost and errors.
 */
#define pks_mk_readwrite(pkey)	pks_set_rights(PKS_CHECK_PKEY(pkey), 0)

/**
 * pks_assert_closed_after() - Warn if a function left a key open in a kernel thread
 * @fn: the function, for the message
 *
 * For threads that run functions of others one after the other. A key that one of them
 * leaves open is open to the next. Compiles to nothing without CONFIG_DEBUG_ENTRY.
 */
static inline void pks_assert_closed_after(void *fn)
{
	if (IS_ENABLED(CONFIG_DEBUG_ENTRY) && pks_enabled())
		WARN_ONCE(current->thread.pks.pkrs != PKRS_INIT_VALUE,
			  "x86/pks: %ps left a key open\n", fn);
}

bool pks_is_closed(const void *addr);

#else /* !CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

static inline int pks_key_alloc(const char *name) { return -EOPNOTSUPP; }
static inline void pks_key_free(int pkey) { }
static inline void pks_mk_noaccess(int pkey) { }
static inline void pks_mk_readonly(int pkey) { }
static inline void pks_mk_readwrite(int pkey) { }
static inline void pks_assert_closed_after(void *fn) { }
static inline bool pks_is_closed(const void *addr) { return false; }

#ifndef PAGE_KERNEL_PKEY
#define PAGE_KERNEL_PKEY(pkey)	((void)(pkey), PAGE_KERNEL)
#endif

#endif /* CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

#endif /* _LINUX_PKS_H */
