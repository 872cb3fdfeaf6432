/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_PKEYS_COMMON_H
#define _ASM_X86_PKEYS_COMMON_H

/*
 * PKRU (user pages) and PKRS (supervisor pages) have one layout: two bits for
 * each of 16 keys, key k at bits 2k+1:2k (SDM vol. 3, "Protection Keys").
 */
#define PKR_BITS_PER_PKEY	2
#define PKR_NR_PKEYS		16

/* Access-disable: neither reads nor writes. */
#define PKR_AD_BIT		0x1u
/* Write-disable: reads only. */
#define PKR_WD_BIT		0x2u
#define PKR_RIGHTS_MASK		(PKR_AD_BIT | PKR_WD_BIT)

#define PKR_SHIFT(pkey)		((pkey) * PKR_BITS_PER_PKEY)

#ifndef __ASSEMBLER__

#include <linux/const.h>
#include <linux/types.h>

/*
 * @pkey if it is a constant of the language, else @other, to check keys when the kernel is
 * built. __builtin_constant_p() would not do: the optimizer can prove a value in one copy of
 * a block, one that never runs, and the check would refuse a correct program.
 */
#define PKR_IF_CONST(pkey, other)					\
	__builtin_choose_expr(__is_constexpr(pkey), (pkey), (other))

static __always_inline bool pkr_allows_read(u32 pkr, u16 pkey)
{
	return !(pkr & (PKR_AD_BIT << PKR_SHIFT(pkey)));
}

/* Access-disable forbids writes too, so both bits count. */
static __always_inline bool pkr_allows_write(u32 pkr, u16 pkey)
{
	return !(pkr & (PKR_RIGHTS_MASK << PKR_SHIFT(pkey)));
}

#endif /* !__ASSEMBLER__ */

#endif /* _ASM_X86_PKEYS_COMMON_H */
