/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_PKS_TYPES_H
#define _ASM_X86_PKS_TYPES_H

#include <linux/types.h>

#include <asm/pkeys_common.h>

/**
 * union pks_rights - the rights of one kernel context to the keys 1-15
 * @word:	all of it, to be loaded and stored at once
 * @ss:		SS selector in an IDT exception frame, zero elsewhere
 * @epoch:	the key epoch that @pkrs was last valid in, see pks_revalidate_and_write()
 * @pkrs:	the value for IA32_PKRS
 *
 * Lives in thread_struct for the context that runs and in the exception frame
 * for the context that it interrupted. An interruption can strike between any
 * two instructions and leave a newer @pkrs and @epoch behind, so the two are
 * copied only together, as @word, but for rights that are all closed: whatever
 * their epoch, no key has to be retired from them.
 */
union pks_rights {
	u64	word;
	struct {
		u16	ss;
		u16	epoch;
		u32	pkrs;
	};
};

/*
 * The rights that every context starts with: key 0 open, all others closed, with
 * both of their bits set. AD alone would do, but then it takes two instructions
 * to close a key, one for each bit, as WD is set in some rights and not in others.
 */
#define PKRS_INIT_VALUE		0xfffffffcu

#endif /* _ASM_X86_PKS_TYPES_H */
