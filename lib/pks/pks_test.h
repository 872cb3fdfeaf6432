/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the PKS tests: a page with a key, and ways to touch it that survive
 * a fault. The probes go through the exception table, so the product needs no
 * hook for them.
 */
#ifndef _LIB_PKS_TEST_H
#define _LIB_PKS_TEST_H

#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/pks.h>
#include <linux/smp.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/msr.h>
#include <asm/tlbflush.h>

/* The rights to a key. */
enum pks_right { PKS_NOACCESS, PKS_READONLY, PKS_READWRITE, PKS_NR_RIGHTS };

static __always_inline void pks_set(int pkey, enum pks_right right)
{
	if (right == PKS_NOACCESS)
		pks_mk_noaccess(pkey);
	else if (right == PKS_READONLY)
		pks_mk_readonly(pkey);
	else
		pks_mk_readwrite(pkey);
}

/* The two bits of PKRS that a right is. */
static inline u32 pks_bits(enum pks_right right)
{
	static const u32 bits[] = {
		[PKS_NOACCESS]	= PKR_RIGHTS_MASK,
		[PKS_READONLY]	= PKR_WD_BIT,
		[PKS_READWRITE]	= 0,
	};

	return bits[right];
}

/* PKRS with @right to @pkey, and all other keys closed. */
static inline u32 pks_value(int pkey, enum pks_right right)
{
	return (PKRS_INIT_VALUE & ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey))) |
	       pks_bits(right) << PKR_SHIFT(pkey);
}

static inline u32 pks_rdmsr(void)
{
	u32 lo, hi __maybe_unused;

	rdmsr(MSR_IA32_PKRS, lo, hi);
	return lo;
}

/* All keys are closed, in the rights of this context and in the MSR. */
static inline bool pks_all_closed(void)
{
	return current->thread.pks.pkrs == PKRS_INIT_VALUE &&
	       pks_rdmsr() == PKRS_INIT_VALUE;
}

static inline void pks_check_cpu(void *bad)
{
	if (!(__read_cr4() & X86_CR4_PKS) || !pks_all_closed())
		atomic_inc(bad);
}

/* The number of CPUs where PKS is off, or a key is open to an interrupt. */
static inline int pks_bad_cpus(void)
{
	atomic_t bad = ATOMIC_INIT(0);

	on_each_cpu(pks_check_cpu, &bad, 1);

	return atomic_read(&bad);
}

struct pks_page {
	int		pkey;
	struct page	*page;
	u32		*addr;
};

/* 0 or an errno; a failed set-up leaves nothing behind. */
static inline int pks_page_map(struct pks_page *p, int pkey)
{
	if (pkey < 0)
		return pkey;

	p->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!p->page)
		return -ENOMEM;
	p->addr = vmap(&p->page, 1, VM_MAP, PAGE_KERNEL_PKEY(pkey));
	if (!p->addr) {
		__free_page(p->page);
		return -ENOMEM;
	}
	p->pkey = pkey;

	return 0;
}

static inline void pks_page_unmap(struct pks_page *p)
{
	vunmap(p->addr);
	__free_page(p->page);
}

static inline int pks_page_get(struct pks_page *p, const char *name)
{
	int pkey = pks_key_alloc(name);
	int err = pks_page_map(p, pkey);

	if (err && pkey > 0)
		pks_key_free(pkey);

	return err;
}

static inline void pks_page_put(struct pks_page *p)
{
	pks_page_unmap(p);
	pks_key_free(p->pkey);
}

static inline bool pks_can_read(u32 *addr)
{
	u32 val;

	return !copy_from_kernel_nofault(&val, addr, sizeof(val));
}

/* copy_to_kernel_nofault() is not exported. */
static inline bool pks_can_write(u32 *addr)
{
	u32 val = 0x504b5321;

	pagefault_disable();
	__put_kernel_nofault(addr, &val, u32, fault);
	pagefault_enable();
	return true;
fault:
	pagefault_enable();
	return false;
}

/* The right to a page that an access shows. To be able only to write is none. */
static inline enum pks_right pks_seen(u32 *addr)
{
	bool r = pks_can_read(addr), w = pks_can_write(addr);

	if (w)
		return r ? PKS_READWRITE : PKS_NR_RIGHTS;
	return r ? PKS_READONLY : PKS_NOACCESS;
}

/* A post handler keeps a kprobe an INT3: it is not optimized into a jump. */
static inline void pks_kprobe_post(struct kprobe *kp, struct pt_regs *regs, unsigned long flags)
{
}

#endif /* _LIB_PKS_TEST_H */
