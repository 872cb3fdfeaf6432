// SPDX-License-Identifier: GPL-2.0
/*
 * Correct uses of the interface, which every compiler must take at every optimization. In
 * each of them an optimizer can find a path, one that never runs, on which it knows that a
 * key is out of range. With BAD set to 1 and up, a constant that is no key, which must fail.
 */
#include <linux/errno.h>
#include <linux/pks.h>

/* The documented value of a key that there is none. No configuration here assigns it. */
static int never_assigned = -EOPNOTSUPP;

void use_never_assigned(int *p);
void use_never_assigned(int *p)
{
	pks_mk_readwrite(never_assigned);
	*p = 1;
	pks_mk_noaccess(never_assigned);
}

void use_after_test(int pkey, int *p, void (*report)(int));
void use_after_test(int pkey, int *p, void (*report)(int))
{
	if (!pkey)
		report(1);
	pks_mk_readwrite(pkey);
	*p = 1;
	if (!pkey)
		report(2);
	pks_mk_noaccess(pkey);
}

int use_as_documented(int *p);
int use_as_documented(int *p)
{
	int pkey = pks_key_alloc("usage");

	if (pkey < 0 && pkey != -EOPNOTSUPP)
		return pkey;
	pks_mk_readonly(pkey);
	if (*p)
		pks_mk_readwrite(pkey);
	pks_mk_noaccess(pkey);
	if (pkey > 0)
		pks_key_free(pkey);
	return pgprot_val(PAGE_KERNEL_PKEY(pkey)) & 1;
}

void use_constants(int *p);
void use_constants(int *p)
{
	pks_mk_readwrite(1);
	pks_mk_readonly(15);
	*p = 1;
	pks_mk_noaccess(15);
	pks_mk_noaccess(1);
}

#if BAD == 1
void bad(void);
void bad(void) { pks_mk_readwrite(16); }
#elif BAD == 2
void bad(void);
void bad(void) { pks_mk_noaccess(0); }
#elif BAD == 3
unsigned long bad(void);
unsigned long bad(void) { return pgprot_val(PAGE_KERNEL_PKEY(16)); }
#endif
