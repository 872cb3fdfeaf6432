# SPDX-License-Identifier: GPL-2.0
"""The entry code of this kernel: what of it "make verify" explores, and the faults in it."""

ENTRY = 'kernel/entry/common.c'
INLINE = 'include/linux/irq-entry-common.h'
# Files, and the text with which begins what interruptions go through, and what follows it.
ENTRY_CODE = ((INLINE, 'static __always_inline void irqentry_enter_from_user_mode',
               '/**\n * irqentry_enter - '),
              (ENTRY, 'noinstr irqentry_state_t irqentry_enter(', None))
# By the name that test/negative/faults.py has for them: file, pattern and replacement.
FAULTS = {
    'entry': (
        INLINE,
        r'(\t\t\.exit_rcu = false,\n\t\};\n\n)\tarch_irqentry_enter\(regs\);\n', r'\1'),
    'entry-user': (
        INLINE,
        r'(irqentry_enter_from_user_mode\(struct pt_regs \*regs\)\n\{\n)'
        r'\tarch_irqentry_enter\(regs\);\n', r'\1'),
    'exit-user': (
        INLINE,
        r'(irqentry_exit_to_user_mode\(struct pt_regs \*regs\)\n\{\n)'
        r'\tarch_irqentry_exit\(regs\);\n', r'\1'),
    'exit': (
        INLINE,
        r'(\t\t\tct_irq_exit\(\);\n\t\}\n\n)\tarch_irqentry_exit\(regs\);\n', r'\1'),
    'exit-idle': (
        INLINE,
        r'\t\t\tarch_irqentry_exit\(regs\);\n', ''),
    'exit-early': (
        INLINE,
        r'(\n\tinstrumentation_begin\(\);\n\tirqentry_exit_to_kernel_mode_preempt)',
        r'\n\tarch_irqentry_exit(regs);\1'),
    'entry-late': (
        INLINE,
        r'(\t\t\.exit_rcu = false,\n\t\};\n\n)\tarch_irqentry_enter\(regs\);\n'
        r'(.*?\tinstrumentation_end\(\);\n)(\n\treturn ret;\n)',
        r'\1\2\tarch_irqentry_enter(regs);\n\3'),
}
