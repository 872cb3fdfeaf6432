// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of Protection Keys Supervisor: keys, and the rights of a thread to them.
 */
#include <linux/kdebug.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>

#include <asm/word-at-a-time.h>

#include "pks_kunit.h"

/*
 * All keys. Where others have some, the test counts as skipped, unless it fails.
 */
static int *all_keys(struct kunit *test, int *nr)
{
	int *keys = pks_hold_keys(test, nr);

	if (*nr < PKR_NR_PKEYS - 1)
		kunit_mark_skipped(test, "only %d keys are free", *nr);

	return keys;
}

void pks_test_alloc(struct kunit *test)
{
	u16 seen = 0;
	int *keys, nr, i, pkey, low, high;

	KUNIT_EXPECT_EQ(test, pks_key_alloc(NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, pks_key_alloc(""), -EINVAL);

	keys = all_keys(test, &nr);
	KUNIT_ASSERT_GT(test, nr, 2);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_GE(test, keys[i], 1);
		KUNIT_EXPECT_LE(test, keys[i], 15);
		KUNIT_EXPECT_FALSE_MSG(test, seen & BIT(keys[i]),
				       "key %d handed out twice", keys[i]);
		seen |= BIT(keys[i]);
	}
	KUNIT_EXPECT_EQ(test, pks_key_alloc("one too many"), -ENOSPC);
	/* An error is no key, not somebody else's. */
	pkey = -ENOSPC;
	KUNIT_EXPECT_EQ(test, pgprot_val(PAGE_KERNEL_PKEY(pkey)), pgprot_val(PAGE_KERNEL));

	/* One that is given back is handed out again. */
	low = min(keys[0], keys[nr / 2]);
	high = max(keys[0], keys[nr / 2]);
	pks_key_free(low);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("reused"), low);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("one too many"), -ENOSPC);

	/* Of two, it is not the one that was handed out last. */
	pks_key_free(high);
	pks_key_free(low);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("in turn"), high);
	KUNIT_EXPECT_EQ(test, pks_key_alloc("in turn"), low);
}

/* The code to fetch has no type for CFI to check. */
static __nocfi void matrix(struct kunit *test, int pkey, u32 *addr, void (*fetch)(void))
{
	static const char * const names[] = { "noaccess", "readonly", "readwrite" };
	enum pks_right right;

	for (right = 0; right < PKS_NR_RIGHTS; right++) {
		pks_set(pkey, right);
		KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(pkey, right));
		KUNIT_EXPECT_EQ_MSG(test, pks_can_read(addr), right != PKS_NOACCESS,
				    "read with %s, key %d", names[right], pkey);
		KUNIT_EXPECT_EQ_MSG(test, pks_can_write(addr), right == PKS_READWRITE,
				    "write with %s, key %d", names[right], pkey);
		/* Instruction fetches are never checked: this must return. */
		fetch();
	}
	/* Back by the way it came, to see every change of rights once. */
	pks_mk_readonly(pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_READONLY);
	pks_mk_noaccess(pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_NOACCESS);
	pks_mk_readwrite(pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_READWRITE);
	pks_mk_noaccess(pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

static void flush_tlb(void *unused)
{
	__flush_tlb_all();
}

void pks_set_pte(pte_t *ptep, pteval_t val)
{
	set_pte(ptep, __pte(val));
	on_each_cpu(flush_tlb, NULL, 1);
}

/* ENDBR64; RET. The probes write the word behind it. */
static const u8 fetch_code[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xc3 };
#define FETCH_DATA	(sizeof(fetch_code) / sizeof(u32) + 1)

void pks_test_matrix_4k(struct kunit *test)
{
	struct pks_page p;
	int *keys, nr, i;
	unsigned int level;
	pte_t *ptep;

	keys = all_keys(test, &nr);
	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, pks_page_map(&p, keys[i]), 0);
		memcpy(page_address(p.page), fetch_code, sizeof(fetch_code));
		ptep = lookup_address((unsigned long)p.addr, &level);
		KUNIT_EXPECT_EQ(test, level, PG_LEVEL_4K);
		KUNIT_EXPECT_EQ(test, pte_flags_pkey(pte_flags(*ptep)), keys[i]);
		/* vmap() never maps executable. */
		pks_set_pte(ptep, pte_val(*ptep) & ~_PAGE_NX);
		matrix(test, keys[i], p.addr + FETCH_DATA, (void (*)(void))p.addr);
		pks_page_unmap(&p);
	}
}

struct large_page {
	struct page	*page;
	pteval_t	nx;
};

/* Whatever was done to it, it goes back without a key, and executable only if it was. */
static void large_page_end(void *arg)
{
	struct large_page *large = arg;
	void *addr = page_address(large->page), *end = addr + PMD_SIZE;
	unsigned int level;
	pte_t *ptep;

	for (; addr < end; addr += page_level_size(level)) {
		ptep = lookup_address((unsigned long)addr, &level);
		set_pte(ptep, __pte((pte_val(*ptep) & ~_PAGE_PKEY_MASK) | large->nx));
	}
	on_each_cpu(flush_tlb, NULL, 1);
	__free_pages(large->page, get_order(PMD_SIZE));
}

/* A block of memory that the direct map has as one page of 2M, until the test ends. */
u32 *pks_large_page(struct kunit *test, pte_t **ptep)
{
	struct large_page *large = kunit_kzalloc(test, sizeof(*large), GFP_KERNEL);
	unsigned int order = get_order(PMD_SIZE), level;
	u32 *addr;

	KUNIT_ASSERT_NOT_NULL(test, large);
	large->page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, order);
	if (!large->page)
		kunit_skip(test, "no 2M block of memory is free");
	addr = page_address(large->page);
	*ptep = lookup_address((unsigned long)addr, &level);
	if (level != PG_LEVEL_2M) {
		__free_pages(large->page, order);
		kunit_skip(test, "the direct map has no 2M page here");
	}
	large->nx = pte_val(**ptep) & _PAGE_NX;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, large_page_end, large), 0);

	return addr;
}

/* The direct map has the large pages: give one of them each key in turn. */
void pks_test_matrix_2m(struct kunit *test)
{
	pteval_t old, val;
	int *keys, nr, i;
	pte_t *ptep;
	u32 *addr;

	addr = pks_large_page(test, &ptep);
	memcpy(addr, fetch_code, sizeof(fetch_code));
	keys = all_keys(test, &nr);
	old = pte_val(*ptep);

	for (i = 0; i < nr; i++) {
		val = (old & ~_PAGE_NX) | _PAGE_PKEY(keys[i]);
		KUNIT_EXPECT_EQ(test, pte_flags_pkey(val), keys[i]);
		pks_set_pte(ptep, val);
		matrix(test, keys[i], addr + FETCH_DATA, (void (*)(void))addr);
	}
	pks_set_pte(ptep, old);
	KUNIT_EXPECT_EQ(test, pks_seen(addr), PKS_READWRITE);
}

/* Several windows at a time do not disturb each other. */
void pks_test_keys_independent(struct kunit *test)
{
	struct pks_page *a = pks_kunit_page(test, "a"), *b = pks_kunit_page(test, "b");

	pks_mk_readwrite(a->pkey);
	pks_mk_readonly(b->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(a->addr), PKS_READWRITE);
	KUNIT_EXPECT_EQ(test, pks_seen(b->addr), PKS_READONLY);
	pks_mk_noaccess(a->pkey);
	KUNIT_EXPECT_EQ(test, pks_seen(a->addr), PKS_NOACCESS);
	KUNIT_EXPECT_EQ(test, pks_seen(b->addr), PKS_READONLY);
	pks_mk_noaccess(b->pkey);
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}

/* Uaccess and nofault helpers report a closed page as -EFAULT. */
void pks_test_efault(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "efault");
	unsigned long user;
	char __user *uptr;
	u64 buf;

	user = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, user, 0);
	uptr = (char __user *)user;

	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&buf, p->addr, 8), -EFAULT);
	KUNIT_EXPECT_NE(test, copy_to_user(uptr, p->addr, 64), 0);

	pks_mk_readonly(p->pkey);
	KUNIT_EXPECT_EQ(test, copy_from_kernel_nofault(&buf, p->addr, 8), 0);
	KUNIT_EXPECT_EQ(test, copy_to_user(uptr, p->addr, 64), 0);

	pks_mk_readwrite(p->pkey);
	KUNIT_EXPECT_EQ(test, copy_from_user(p->addr, uptr, 64), 0);
	pks_mk_noaccess(p->pkey);
}

/*
 * The load crosses from the page into the guard page behind it, and faults there.
 * Its fixup reads the page again, which is open to the thread and not to the handler.
 */
void pks_test_zeropad(struct kunit *test)
{
	struct pks_page *p = pks_kunit_page(test, "zeropad");
	unsigned long word;

	pks_mk_readwrite(p->pkey);
	strscpy((char *)p->addr + PAGE_SIZE - 3, "ab", 3);
	pks_mk_readonly(p->pkey);
	word = load_unaligned_zeropad((char *)p->addr + PAGE_SIZE - 3);
	KUNIT_EXPECT_EQ(test, pks_rdmsr(), pks_value(p->pkey, PKS_READONLY));
	pks_mk_noaccess(p->pkey);

	KUNIT_EXPECT_EQ(test, word, 0x6261UL);
	KUNIT_EXPECT_FALSE(test, pks_can_read(p->addr));
}

/*
 * No MSR write when the value would not change. Put a value of its own in the MSR behind
 * the kernel's back; what does not write leaves it there.
 */
static bool bp_seen_poison;
static u32 poison;

static int poison_notify(struct notifier_block *nb, unsigned long val, void *data)
{
	struct die_args *args = data;

	if (val != DIE_INT3 || user_mode(args->regs))
		return NOTIFY_DONE;
	bp_seen_poison = pks_rdmsr() == poison;
	return NOTIFY_STOP;
}

void pks_test_no_needless_write(struct kunit *test)
{
	struct notifier_block nb = { .notifier_call = poison_notify };
	struct pks_page *p = pks_kunit_page(test, "poison");
	u32 setter, handler, change;
	unsigned long flags;

	KUNIT_ASSERT_EQ(test, register_die_notifier(&nb), 0);
	local_irq_save(flags);

	poison = pks_value(p->pkey, PKS_READONLY);
	bp_seen_poison = false;
	native_wrmsr(MSR_IA32_PKRS, poison, 0);
	pks_mk_noaccess(p->pkey);
	setter = pks_rdmsr();
	asm volatile("int3");
	handler = pks_rdmsr();
	/* The legal twin: a change is written. */
	pks_mk_readwrite(p->pkey);
	change = pks_rdmsr();
	pks_mk_noaccess(p->pkey);

	local_irq_restore(flags);
	unregister_die_notifier(&nb);

	KUNIT_EXPECT_EQ(test, setter, poison);
	KUNIT_EXPECT_TRUE(test, bp_seen_poison);
	KUNIT_EXPECT_EQ(test, handler, poison);
	KUNIT_EXPECT_EQ(test, change, pks_value(p->pkey, PKS_READWRITE));
	KUNIT_EXPECT_TRUE(test, pks_all_closed());
}
