/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Protection Keys Supervisor (PKS): close kernel pages to all code but the few
 * lines that mean to touch them. See Documentation/arch/x86/pks.rst.
 *
 * Without PKS, in the kernel or in the CPU, pks_key_alloc() fails, the other
 * functions do nothing and PAGE_KERNEL_PKEY() is PAGE_KERNEL: a consumer
 * compiles everywhere and falls back to pages without a key.
 */
#ifndef _LINUX_PKS_H
#define _LINUX_PKS_H

#include <linux/errno.h>
#include <linux/pgtable.h>

#ifdef CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS

#include <asm/pks.h>

/**
 * pks_key_alloc() - Allocate a protection key for kernel pages
 * @name: the owner, as an oops and debugfs show it; copied, up to 15 characters
 *
 * The key is closed to every thread and every CPU, the caller included.
 *
 * Context: process context, may sleep.
 * Return:
 * * a key, 1-15
 * * -EOPNOTSUPP: the kernel or the CPU does not have PKS, or it is turned off
 * * -EINVAL: @name is NULL or empty
 * * -ENOSPC: all keys are taken
 */
int pks_key_alloc(const char *name);

/**
 * pks_key_free() - Give back a protection key
 * @pkey: a key from pks_key_alloc(); no page may have it any more, in the page
 *	  tables or in a TLB
 *
 * When this returns, no thread, no CPU and no interrupted context has a right
 * to the key left, and the next owner can be handed it. What still has a
 * window open to it finds it closed. Nobody may open it from this call on:
 * that would be open to the next owner's pages.
 *
 * After 65535 calls, keys are retired for good: rights to them stay, but nobody
 * gets them any more. A message says so, and the keys run out.
 *
 * A key that is not allocated triggers a WARN_ONCE() and changes nothing.
 *
 * Context: process context, may sleep; not from a CPU hotplug callback.
 * Cost: one IPI to every CPU.
 */
void pks_key_free(int pkey);

/**
 * pks_mk_noaccess() - Close the pages of a key to this thread
 * @pkey: a key from pks_key_alloc()
 *
 * The rights are the calling context's own: those of a thread follow it from
 * CPU to CPU, an interrupt or exception handler starts with all keys closed,
 * and what it opens ends when it returns.
 *
 * A key out of range fails the build if it is a constant. Otherwise it
 * triggers a WARN_ONCE() and changes nothing.
 *
 * Context: any: task, softirq, hardirq, NMI.
 * Cost: one WRMSR if the rights change. No fence and no TLB flush is needed.
 */
static __always_inline void pks_mk_noaccess(int pkey)
{
	pks_set_rights(pkey, PKR_RIGHTS_MASK);
}

/**
 * pks_mk_readonly() - Let this thread read the pages of a key
 * @pkey: a key from pks_key_alloc()
 *
 * See pks_mk_noaccess() for whose rights change, contexts, cost and errors.
 */
static __always_inline void pks_mk_readonly(int pkey)
{
	pks_set_rights(pkey, PKR_WD_BIT);
}

/**
 * pks_mk_readwrite() - Let this thread read and write the pages of a key
 * @pkey: a key from pks_key_alloc()
 *
 * Keep the window short, and close it before returning to user mode. Windows do not
 * nest: the first pks_mk_noaccess() closes the key, whoever opened it.
 *
 * See pks_mk_noaccess() for whose rights change, contexts, cost and errors.
 */
static __always_inline void pks_mk_readwrite(int pkey)
{
	pks_set_rights(pkey, 0);
}

#else /* !CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

static inline int pks_key_alloc(const char *name) { return -EOPNOTSUPP; }
static inline void pks_key_free(int pkey) { }
static inline void pks_mk_noaccess(int pkey) { }
static inline void pks_mk_readonly(int pkey) { }
static inline void pks_mk_readwrite(int pkey) { }

#ifndef PAGE_KERNEL_PKEY
#define PAGE_KERNEL_PKEY(pkey)	((void)(pkey), PAGE_KERNEL)
#endif

#endif /* CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS */

#endif /* _LINUX_PKS_H */
