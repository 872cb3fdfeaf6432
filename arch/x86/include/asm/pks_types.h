/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_X86_PKS_TYPES_H
#define _ASM_X86_PKS_TYPES_H

#include <linux/types.h>

#include <asm/pkeys_common.h>

/**
 * union pks_rights - the rights of one kernel context to the keys 1-15
 * @word:	all of it, to be loaded and stored at once
 * @ss:		SS selector in an IDT exception frame, zero elsewhere
 * @epoch:	the key epoch in which @pkrs was last valid, see
 *		pks_revalidate_and_write()
 * @pkrs:	the value for IA32_PKRS
 *
 * Lives in thread_struct for the context that runs and in the exception frame
 * for the context that it interrupted. An interruption can strike between any
 * two instructions and leave a newer @pkrs and @epoch behind. So the two are
 * copied only together, as @word. The exception are rights that have all keys
 * closed: no key has to be retired from them, whatever their epoch.
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
 * both of their bits set. AD alone would close a key. With WD always set as well, a
 * setter closes a key with one instruction, whatever rights it had before.
 */
#define PKRS_INIT_VALUE		0xfffffffcu

#endif /* _ASM_X86_PKS_TYPES_H */
