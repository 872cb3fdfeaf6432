# SPDX-License-Identifier: GPL-2.0
"""Faults of the series: each a hook that is left out or something done as V10 did
it. "make negative-control" has to notice all of them in a guest, and "make
verify" finds those that concern the order of things by exploring it."""
import importlib.util
import os

import series


def of_the_kernel():
    """What depends on the kernel: faults.py of its folder in patches/."""
    path = os.path.join(series.patches(), 'faults.py')
    spec = importlib.util.spec_from_file_location('faults_of_the_kernel', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


KERNEL = of_the_kernel()

COMMON = 'arch/x86/kernel/cpu/common.c'
ENTRY = 'kernel/entry/common.c'
PKS_C = 'arch/x86/mm/pks.c'
KEYS = 'arch/x86/mm/pks_keys.c'
PKS_H = 'arch/x86/include/asm/pks.h'
TRAPS = 'arch/x86/kernel/traps.c'
FAULT = 'arch/x86/mm/fault.c'
DUMPSTACK = 'arch/x86/kernel/dumpstack.c'

# Name, what is wrong, file, pattern, replacement. The pattern has to match once. Where the last
# three are not here, they depend on the kernel. Those called fred-... go wrong on a CPU with
# FRED only, debug-... in the kernel of VARIANT=debug.
FAULTS = tuple(fault if fault[2:] else (*fault, *KERNEL.FAULTS[fault[0]]) for fault in (
    ('cr4', 'CR4.PKS is not set on the boot CPU', PKS_C,
     r'\tcr4_set_bits\(X86_CR4_PKS\);\n', ''),
    ('pinning', 'CR4.PKS is not pinned', COMMON, r'X86_CR4_PKS : 0\)', '0 : 0)'),
    ('cpu-up', 'no set-up of a CPU that comes up', COMMON, r'\tpks_init_cpu\(\);\n', ''),
    ('cpu-up-cr4', 'no CR4.PKS on a CPU that comes up without pinned bits', COMMON,
     r'\tif \(static_branch_likely\(&cr_pinning\)\)\n\t\tcr4 = [^\n]*\n(\n[^\n]*\n\tpks_init_cpu\(\);\n)'
     r'\tcr4 \|= pks_cr4\(\);\n', r'\1'),
    ('suspend', 'no hook in suspend', 'arch/x86/power/cpu.c', r'\tpks_suspend_cpu\(\);\n', ''),
    ('resume', 'no hook in resume', 'arch/x86/power/cpu.c', r'\tpks_init_cpu\(\);\n', ''),
    ('nopks', 'nopks is ignored', PKS_C, r'pks_disabled = true;', ''),
    ('flag', 'the flag stays though PKS is off', PKS_C,
     r'\tsetup_clear_cpu_cap\(X86_FEATURE_PKS\);\n', ''),
    ('live', 'the hooks do not go live', COMMON, r'\tpks_boot_live\(\);\n', ''),
    ('init-task', 'the first thread starts open', PKS_C,
     r'(MSR with them. \*/\n)\tpks_close_all\(\);\n', r'\1\tpks_revalidate_and_write(current);\n'),
    ('switch', 'no context switch hook', 'arch/x86/kernel/process_64.c',
     r'\tpks_switch_to\(next_p\);\n', ''),
    ('fork', 'fork copies the rights', 'arch/x86/kernel/process.c',
     r'\tpks_init_thread\(p\);\n', ''),
    ('exec', 'exec keeps the rights', 'arch/x86/kernel/process.c',
     r'\tpks_flush_thread\(\);\n', ''),
    ('entry', 'no entry hook for exceptions and interrupts'),
    ('entry-user', 'no entry hook for those from user mode'),
    ('exit-user', 'no exit hook for those from user mode'),
    ('exit', 'no exit hook'),
    ('exit-idle', 'no exit hook where the idle thread was interrupted'),
    ('exit-early', 'exit hook ahead of preemption'),
    ('nmi-entry', 'no entry hook for NMIs', ENTRY,
     r'(irqentry_state_t irq_state;\n\n)\tarch_irqentry_enter\(regs\);\n', r'\1'),
    ('nmi-exit', 'no exit hook for NMIs', ENTRY,
     r'(__nmi_exit\(\);\n\n)\tarch_irqentry_exit\(regs\);\n', r'\1'),
    ('warn-entry', 'no entry hook for WARN()', TRAPS, r'\tpks_enter\(regs\);\n', ''),
    ('warn-exit', 'no exit hook for WARN()', TRAPS, r'\tpks_exit\(regs\);\n', ''),
    ('marker', 'pkrs_cache set ahead of the MSR, as V10 did', PKS_H,
     r'this_cpu_write\(pkrs_cache, PKRS_UNKNOWN\);\n'
     r'(\t\tnative_wrmsr\(MSR_IA32_PKRS, want, 0\);\n)\t\tthis_cpu_write\(pkrs_cache, want\);\n',
     r'this_cpu_write(pkrs_cache, want);\n\1'),
    ('look-again', 'no second look after the MSR write', PKS_H,
     r'if \(likely_notrace\(pks_rights_are\(tsk, want\)\)\)\n\t\t\t', ''),
    ('in-flight', 'the marker does not outlast an interruption', PKS_C,
     r'frame->pkrs \|= PKRS_IN_FLIGHT;', ';'),
    ('one-instruction', 'setters read, change and write back', PKS_H,
     r'\tif \(rights\)\n\t\tasm volatile.*?(?=\tpks_write_msr\(tsk\);)',
     '\t{\n\t\tu32 v = READ_ONCE(tsk->thread.pks.pkrs);\n\n'
     '\t\tv &= ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey));\n'
     '\t\tWRITE_ONCE(tsk->thread.pks.pkrs, v | rights << PKR_SHIFT(pkey));\n\t}\n'),
    ('needless-write', 'the MSR is written though it does not change', PKS_H,
     r'\tif \(pks_msr_is\(want\)\)\n\t\treturn;\n\n', ''),
    ('retire-bits', 'retirement clears WD', PKS_C,
     r'r.pkrs \|= PKR_RIGHTS_MASK << PKR_SHIFT\(pkey\)',
     'r.pkrs = (r.pkrs & ~(PKR_RIGHTS_MASK << PKR_SHIFT(pkey))) | PKR_AD_BIT << PKR_SHIFT(pkey)'),
    ('retire-load', 'rights that are loaded keep retired keys', PKS_C,
     r'pks_revalidate\(READ_ONCE\(tsk->thread.pks.word\)\)', 'READ_ONCE(tsk->thread.pks.word)'),
    ('retire-switch', 'a thread keeps retired keys', PKS_H, r'pks_revalidate_and_write\(next\);', 'pks_write_msr(next);'),
    ('retire-frame', 'a frame keeps retired keys', PKS_C,
     r'(word, r.word\);\n\t)pks_revalidate_and_write', r'\1pks_write_msr'),
    ('retire-closed', 'the IPI leaves threads alone that are all closed', PKS_C,
     r'(assert_irqs_disabled\(\);\n\n\t)pks_revalidate_and_write',
     r'\1if (!pks_rights_are(current, PKRS_INIT_VALUE))\n\t\tpks_revalidate_and_write'),
    ('switch-epoch', 'a closed thread keeps its epoch', PKS_H,
     r'\telse\n\t\tWRITE_ONCE\(next->thread.pks.epoch, READ_ONCE\(pks_epoch\)\);\n', ''),
    ('switch-msr', 'a switch to a closed thread does not look at the MSR', PKS_H,
     r'(pks_rights_are\(next, PKRS_INIT_VALUE\)) \|\|\n\t\t\t     !pks_msr_is\(PKRS_INIT_VALUE\)',
     r'\1'),
    ('enter-rights', 'an entry looks at the MSR only', PKS_H,
     r'!pks_rights_are\(current, PKRS_INIT_VALUE\) \|\|\n\t\t\t     '
     r'(!pks_msr_is\(PKRS_INIT_VALUE\)\)\)\n\t\t__pks_enter)', r'\1'),
    ('enter-msr', 'an entry looks at the rights only', PKS_H,
     r'(pks_rights_are\(current, PKRS_INIT_VALUE\)) \|\|\n\t\t\t     !pks_msr_is\(PKRS_INIT_VALUE\)'
     r'(\)\)\n\t\t__pks_enter)', r'\1\2'),
    ('enter-frame', 'an entry does not say in the frame: all closed', PKS_H,
     r'pks_frame_set_closed\(regs\);', ';'),
    ('exit-frame', 'an exit does not look at the frame', PKS_H,
     r'\(likely_notrace\(!user_mode\(regs\)\) && !pks_frame_is_closed\(regs\)\)', 'false'),
    ('exit-rights', 'an exit does not look at what the handler opened', PKS_H,
     r' \|\|\n\t\t\t     !pks_rights_are\(current, PKRS_INIT_VALUE\)(\)\)\n\t\t__pks_exit)', r'\1'),
    ('retire-ipi', 'no IPI when a key is retired', PKS_C,
     r'\ton_each_cpu\(pks_retire_ipi, NULL, 1\);\n', ''),
    ('retire-epoch', 'the epoch is not raised', PKS_C,
     r'\tsmp_store_release\(&pks_epoch, pks_epoch \+ 1\);\n', ''),
    ('epoch-wrap', 'the epoch wraps', PKS_C, r'pks_epoch == U16_MAX', 'false'),
    ('bad-key', 'setters do not check the key', PKS_H,
     r'unlikely\(pkey <= 0 \|\| pkey >= PKR_NR_PKEYS\)', '0'),
    ('bad-free', 'freeing does not check the key', KEYS,
     r'WARN_ONCE\(pkey <= 0.*?allocated\\n", pkey\)', '0'),
    ('alloc-retire', 'a key is handed out with old rights to it', KEYS,
     r'\tif \(!pks_retire_key\(pkey\)\)\n\t\treturn -ENOSPC;\n', ''),
    ('alloc-turn', 'the key that was freed last is handed out next', KEYS, r'\t\t\tlast = pkey;\n', ''),
    ('alloc-early', 'who asks for a key too early is told that there is no PKS', KEYS,
     r'\t\tif \(WARN_ONCE\(!pks_decided.*?\n\t\t\treturn -EAGAIN;\n', ''),
    ('free-alias', 'a key is freed that TLBs still have', KEYS, r'\tvm_unmap_aliases\(\);\n', ''),
    ('user-error-code', 'user space sees the PK bit of a kernel address', FAULT,
     r'\t\tif \(IS_ENABLED\(CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS\)\)\n\t\t\t\*error_code &= ~X86_PF_PK;\n', ''),
    ('msr-write', 'user space can write IA32_PKRS', 'arch/x86/kernel/msr.c',
     r'\tif \(reg == MSR_IA32_PKRS && pks_enabled\(\)\)\n\t\treturn -EPERM;\n', ''),
    ('probe-optimized', 'an optimized kprobe has the rights of the code it is attached to',
     'arch/x86/kernel/kprobes/opt.c', r'pks = pks_call_enter\(\);', 'pks.word = current->thread.pks.word;'),
    ('probe-rethook', 'a kretprobe has the rights of the code it is attached to', 'arch/x86/kernel/rethook.c',
     r'pks = pks_call_enter\(\);', 'pks = { .word = current->thread.pks.word };'),
    ('probe-retire', 'code that a probe interrupted keeps retired keys', PKS_C,
     r'(current->thread.pks.word, saved.word\);\n\t)pks_revalidate_and_write', r'\1pks_write_msr'),
    ('absent', 'without PKS, all keys are in use', KEYS, r'-EOPNOTSUPP', '-ENOSPC'),
    ('mapping', 'a mapping of device memory drops the key', 'mm/vmalloc.c',
     r'(int vmap_page_range\(.*?phys_addr, )pgprot_nx\(prot\)',
     r'\1__pgprot(pgprot_val(pgprot_nx(prot)) & ~_PAGE_PKEY_MASK)'),
    ('split', 'a large page loses its key when it is split', 'arch/x86/mm/pat/set_memory.c',
     r'ref_prot = pgprot_clear_protnone_bits\(ref_prot\);\n',
     r'\g<0>\tpgprot_val(ref_prot) &= ~_PAGE_PKEY_MASK;\n'),
    ('fault-warn', 'a PKS fault warns', FAULT, r'\tif \(!pks_enforced\(\)\)\n', ''),
    ('fault-report', 'an oops does not name the key', FAULT,
     r'\t\tpks_show_fault\(regs, address\);\n', '\t\t;\n'),
    ('fault-pkrs', 'an oops does not print PKRS', DUMPSTACK,
     r'\tpks_show_regs\(regs, KERN_DEFAULT\);\n', ''),
    ('zeropad', 'a fixup reads with all keys closed', 'arch/x86/mm/extable.c',
     r'pks_read_as\(regs, \(unsigned long \*\)addr\)', '*(unsigned long *)addr'),
    ('fred-twice', 'with FRED: a vector without a handler enters twice', 'arch/x86/entry/entry_fred.c',
     r'\t\t(spurious_interrupt\(regs, vector\);\n)',
     r'\t\tirqentry_state_t state = irqentry_enter(regs);\n\n\t\t\1\t\tirqentry_exit(regs, state);\n'),
    ('fred-summary', 'with FRED: PKRS printed from a copy of the registers', DUMPSTACK,
     r'(\t__show_regs\(&exec_summary_regs, SHOW_REGS_ALL, KERN_DEFAULT\);\n)',
     r'\1\tpks_show_regs(&exec_summary_regs, KERN_DEFAULT);\n'),
    ('debug-probe-ftrace', 'VARIANT=debug: a kprobe on ftrace has the rights of its function',
     'arch/x86/kernel/kprobes/ftrace.c', r'pks = pks_call_enter\(\);', 'pks.word = current->thread.pks.word;'),
    ('debug-irq-thread', 'VARIANT=debug: an interrupt thread leaves a key open unnoticed', 'kernel/irq/manage.c',
     r'\t\tpks_assert_closed_after\(action->thread_fn\);\n', ''),
    ('debug-ksoftirqd', 'VARIANT=debug: ksoftirqd leaves a key open unnoticed', 'kernel/softirq.c',
     r'\t\tpks_assert_closed_after\(handle_softirqs\);\n', ''),
    ('debug-work', 'VARIANT=debug: a work item leaves a key open unnoticed', 'kernel/workqueue.c',
     r'\tpks_assert_closed_after\(worker->current_func\);\n', ''),
    ('debug-kmemleak', 'VARIANT=debug: kmemleak reads closed pages', 'mm/kmemleak.c',
     r'PAGE_ALIGNED\(ptr\)\) && pks_is_closed\(ptr\)', 'PAGE_ALIGNED(ptr)) && false'),
    ('debug-checksum', 'VARIANT=debug: kmemleak takes the checksum of closed pages', 'mm/kmemleak.c',
     r'else if \(!range_is_closed\(\(void \*\)object->pointer, object->size\)\)', 'else'),
    ('debug-assert', 'VARIANT=debug: rights go to user mode unnoticed',
     'arch/x86/include/asm/entry-common.h', r'\tpks_assert_closed\(\);\n', ''),
))
