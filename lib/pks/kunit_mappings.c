// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: which ways to map a page keep the key that
 * the protection bits ask for, and what keeps it when a mapping is changed.
 */
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/set_memory.h>
#include <linux/slab.h>

#include <asm/apicdef.h>

#include "pks_kunit.h"

/* The key that a page has in the page tables, and the size of the entry. */
static int pkey_of(void *addr, unsigned int *level)
{
	pte_t *ptep = lookup_address((unsigned long)addr, level);

	return ptep ? pte_flags_pkey(pte_flags(*ptep)) : -EFAULT;
}

static void expect_split(struct kunit *test, void *addr, int pkey)
{
	int others = 0, not_4k = 0;
	unsigned int level;
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++) {
		others += pkey_of(addr + i * PAGE_SIZE, &level) != pkey;
		not_4k += level != PG_LEVEL_4K;
	}
	KUNIT_EXPECT_EQ_MSG(test, others, 0, "4K pages that lost their key");
	KUNIT_EXPECT_EQ_MSG(test, not_4k, 0, "pages that are not 4K");
}

/* A page with a key is split, as one part of it gets other attributes: all parts keep the key. */
void pks_test_split_2m(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "split");
	unsigned long part;
	pte_t *ptep;
	void *addr;

	addr = pks_large_page(test, &ptep);
	part = (unsigned long)addr + PAGE_SIZE;
	pks_set_pte(ptep, pte_val(*ptep) | _PAGE_PKEY(p->pkey));
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_NOACCESS);

	/* They flush the part from the caches by its address, which is an access to it. */
	pks_mk_readonly(p->pkey);
	KUNIT_EXPECT_EQ(test, set_memory_uc(part, 1), 0);
	expect_split(test, addr, p->pkey);
	KUNIT_EXPECT_EQ(test, set_memory_wb(part, 1), 0);
	expect_split(test, addr, p->pkey);
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_NOACCESS);
	KUNIT_EXPECT_EQ(test, pks_seen((u32 *)part), PKS_NOACCESS);
	pks_mk_readwrite(p->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, pks_seen((u32 *)part), PKS_READWRITE);
	pks_mk_noaccess(p->pkey);
}

/*
 * Mappings. Those of device memory are only looked at in the page tables: the page is that
 * of the local APIC, which each machine has.
 */

#define DEVICE_PAGE	APIC_DEFAULT_PHYS_BASE

static pgprot_t device_prot(pgprot_t prot)
{
	return __pgprot(pgprot_val(prot) | cachemode2protval(_PAGE_CACHE_MODE_UC_MINUS));
}

static void *map_vmap(struct page *page, pgprot_t prot)
{
	return vmap(&page, 1, VM_MAP, prot);
}

static void *map_vmap_pfn(struct page *page, pgprot_t prot)
{
	unsigned long pfn = PHYS_PFN(DEVICE_PAGE);

	return vmap_pfn(&pfn, 1, device_prot(prot));
}

static void *map_vmalloc(struct page *page, pgprot_t prot)
{
	return __vmalloc_node_range(PAGE_SIZE, 1, VMALLOC_START, VMALLOC_END, GFP_KERNEL,
				    prot, 0, NUMA_NO_NODE, __builtin_return_address(0));
}

static void *map_page_range(struct page *page, pgprot_t prot,
			    int (*map)(unsigned long addr, unsigned long end,
				       phys_addr_t phys_addr, pgprot_t prot))
{
	struct vm_struct *area = get_vm_area(PAGE_SIZE, VM_IOREMAP);
	unsigned long addr;

	if (!area)
		return NULL;
	addr = (unsigned long)area->addr;
	if (map(addr, addr + PAGE_SIZE, page_to_phys(page), prot)) {
		free_vm_area(area);
		return NULL;
	}

	return area->addr;
}

static void *map_vmap_page_range(struct page *page, pgprot_t prot)
{
	return map_page_range(page, prot, vmap_page_range);
}

static void *map_ioremap_page_range(struct page *page, pgprot_t prot)
{
	return map_page_range(page, prot, ioremap_page_range);
}

static void *map_ioremap_prot(struct page *page, pgprot_t prot)
{
	pgprot_t device = device_prot(prot);

	/* Some kernels take the bits as a number. */
	return (void __force *)
		ioremap_prot(DEVICE_PAGE, PAGE_SIZE,
			     _Generic(&ioremap_prot,
				      void __iomem *(*)(phys_addr_t, size_t, unsigned long) :
				      pgprot_val(device),
				      void __iomem *(*)(phys_addr_t, size_t, pgprot_t) : device));
}

static void unmap_ioremap(const void *addr)
{
	iounmap((void __force __iomem *)addr);
}

static void *map_kmap_local(struct page *page, pgprot_t prot)
{
	return kmap_local_page_prot(page, prot);
}

static void unmap_kmap_local(const void *addr)
{
	kunmap_local(addr);
}

/* What is not exported can only be called by a test that is built in. */
#define IF_BUILTIN(fn)	(IS_BUILTIN(CONFIG_PKS_KUNIT_TEST) ? (fn) : NULL)

static const struct mapping {
	const char	*name;
	void		*(*map)(struct page *page, pgprot_t prot);
	void		(*unmap)(const void *addr);
	bool		keeps_key;
} mappings[] = {
	{ "vmap", map_vmap, vunmap, true },
	{ "vmap_pfn", IS_ENABLED(CONFIG_VMAP_PFN) ? map_vmap_pfn : NULL, vunmap, true },
	{ "__vmalloc_node_range", IF_BUILTIN(map_vmalloc), vfree, true },
	{ "vmap_page_range", IF_BUILTIN(map_vmap_page_range), vunmap, true },
	{ "ioremap_page_range", IF_BUILTIN(map_ioremap_page_range), vunmap, true },
	/* These two take protection bits, and drop the key. The documentation warns of it. */
	{ "ioremap_prot", map_ioremap_prot, unmap_ioremap, false },
	{ "kmap_local_page_prot", map_kmap_local, unmap_kmap_local, false },
};

KUNIT_ARRAY_PARAM_DESC(mapping, mappings, name);

PKS_GENERATOR(pks_mapping_gen_params) __alias(mapping_gen_params);

void pks_test_mapping(struct kunit *test)
{
	const struct mapping *m = test->param_value;
	struct pks_page *p = pks_kunit_page(test, "mapping");
	unsigned int level;
	int pkey;
	void *addr;

	if (!m->map)
		kunit_skip(test, "not in this configuration, or not for modules");

	addr = m->map(p->page, PAGE_KERNEL_PKEY(p->pkey));
	KUNIT_ASSERT_NOT_NULL(test, addr);
	pkey = pkey_of(addr, &level);
	m->unmap(addr);

	KUNIT_EXPECT_EQ(test, pkey, m->keeps_key ? p->pkey : 0);
}
