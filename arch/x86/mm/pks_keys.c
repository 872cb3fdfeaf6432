// SPDX-License-Identifier: GPL-2.0
/*
 * Protection Keys Supervisor: who owns which key, and what an oops says of it.
 */
#define pr_fmt(fmt) "x86/pks: " fmt

#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/pks.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define PKS_OWNER_LEN	16

/* Empty if the key is free. Pages that nobody gave a key have key 0. */
static char pks_owner[PKR_NR_PKEYS][PKS_OWNER_LEN] = { "kernel" };
static DEFINE_MUTEX(pks_keys_lock);

/* The next free key after the last one handed out, so that a stale key stays unused for long. */
static int pks_next_free_key(void)
{
	static int last;
	int i, pkey = last;

	for (i = 1; i < PKR_NR_PKEYS; i++) {
		pkey = pkey % (PKR_NR_PKEYS - 1) + 1;
		if (!*pks_owner[pkey]) {
			last = pkey;
			return pkey;
		}
	}

	return -ENOSPC;
}

int pks_key_alloc(const char *name)
{
	int pkey;

	if (!pks_enabled()) {
		if (WARN_ONCE(!pks_decided, "x86/pks: too early to allocate a key\n"))
			return -EAGAIN;
		return -EOPNOTSUPP;
	}
	if (!name || !*name)
		return -EINVAL;

	/* For pks_retire_key(). */
	guard(cpus_read_lock)();
	guard(mutex)(&pks_keys_lock);

	pkey = pks_next_free_key();
	if (pkey < 0)
		return pkey;

	/* Somebody may have opened it since it was freed, a bug. */
	if (!pks_retire_key(pkey))
		return -ENOSPC;
	strscpy_pad(pks_owner[pkey], name);

	return pkey;
}
EXPORT_SYMBOL_GPL(pks_key_alloc);

void pks_key_free(int pkey)
{
	if (!pks_enabled())
		return;

	/* A translation that vunmap() left in a TLB still has the key. */
	vm_unmap_aliases();

	/* For pks_retire_key(). */
	guard(cpus_read_lock)();
	guard(mutex)(&pks_keys_lock);

	if (WARN_ONCE(pkey <= 0 || pkey >= PKR_NR_PKEYS || !*pks_owner[pkey],
		      "x86/pks: key %d is not allocated\n", pkey))
		return;

	if (pks_retire_key(pkey))
		memset(pks_owner[pkey], 0, PKS_OWNER_LEN);
	else
		strscpy_pad(pks_owner[pkey], "(retired)");
}
EXPORT_SYMBOL_GPL(pks_key_free);

/**
 * pks_is_closed() - Tell whether the page at an address has a key that is closed
 * @addr: an address that is mapped
 *
 * For code that reads all memory and has to leave out what it may not read.
 *
 * Context: any.
 * Cost: a read, and a page fault if the key is closed.
 * Return: true if a read with the rights of the current context would fault.
 */
bool pks_is_closed(const void *addr)
{
	u8 byte;

	return pks_enabled() && copy_from_kernel_nofault(&byte, addr, sizeof(byte));
}

/**
 * pks_show_regs() - Print PKRS of the interrupted kernel context
 * @regs: registers of an exception, not a copy of them: a copy does not have PKRS
 * @log_lvl: printk level
 *
 * KMSAN takes the word of a FRED frame that holds PKRS for uninitialized: the CPU and
 * noinstr code wrote it.
 */
__no_kmsan_checks void pks_show_regs(struct pt_regs *regs, const char *log_lvl)
{
	if (pks_enabled() && !user_mode(regs))
		printk("%sPKRS: %08x\n", log_lvl, pks_regs_pkrs(regs));
}

/**
 * pks_show_fault() - Print whose page was touched without the right to
 * @regs: registers of a #PF with the PK bit in its error code
 * @address: the address that faulted
 *
 * Takes no lock, as an oops can't. So page table and owner may have changed since.
 */
__no_kmsan_checks void pks_show_fault(struct pt_regs *regs, unsigned long address)
{
	unsigned int level;
	pte_t *pte;
	u32 pkrs;
	u16 pkey;

	if (!pks_enabled() || user_mode(regs))
		return;

	pte = lookup_address(address, &level);
	if (!pte)
		return;

	pkey = pte_flags_pkey(pte_flags(*pte));
	pkrs = pks_regs_pkrs(regs);
	pr_alert("page has key %u (%s), which is %s here\n",
		 pkey, *pks_owner[pkey] ? pks_owner[pkey] : "no owner",
		 !pkr_allows_read(pkrs, pkey) ? "closed" :
		 !pkr_allows_write(pkrs, pkey) ? "read-only" : "open");
}

/* A setter was called with a key that does not exist. Nothing was changed. */
void pks_bad_key(int pkey)
{
	WARN_ONCE(1, "x86/pks: rights to key %d cannot be set\n", pkey);
}
EXPORT_SYMBOL_GPL(pks_bad_key);

static int pks_keys_show(struct seq_file *m, void *unused)
{
	int pkey;

	guard(mutex)(&pks_keys_lock);

	for (pkey = 0; pkey < PKR_NR_PKEYS; pkey++) {
		if (*pks_owner[pkey])
			seq_printf(m, "%2d %s\n", pkey, pks_owner[pkey]);
	}

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pks_keys);

static int __init pks_keys_debugfs(void)
{
	if (pks_enabled())
		debugfs_create_file("pks_keys", 0400, arch_debugfs_dir, NULL,
				    &pks_keys_fops);
	return 0;
}
late_initcall(pks_keys_debugfs);
