/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the PKS tests: a page with a key, and ways to touch it that survive
 * a fault. The probes go through the exception table, so the product needs no
 * hook for them.
 */
#ifndef _LIB_PKS_TEST_H
#define _LIB_PKS_TEST_H

#include <linux/gfp.h>
#include <linux/pks.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/msr.h>

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
	/* No TLB may have the key any more when it is freed. */
	vm_unmap_aliases();
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

static inline u32 pks_rdmsr(void)
{
	u32 lo, hi __maybe_unused;

	rdmsr(MSR_IA32_PKRS, lo, hi);
	return lo;
}

/* All keys closed: to the kernel's mind and in the register. */
static inline bool pks_all_closed(void)
{
	return current->thread.pks.pkrs == PKRS_INIT_VALUE &&
	       pks_rdmsr() == PKRS_INIT_VALUE;
}

#endif /* _LIB_PKS_TEST_H */
