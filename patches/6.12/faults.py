# SPDX-License-Identifier: GPL-2.0
"""The entry code of this kernel: what of it "make verify" explores, and the faults in it."""

ENTRY = 'kernel/entry/common.c'
# Files, and the text with which begins what interruptions go through, and what follows it.
ENTRY_CODE = ((ENTRY, 'noinstr void irqentry_enter_from_user_mode', None),)
# By the name that test/negative/faults.py has for them: file, pattern and replacement.
FAULTS = {
    'entry': (
        ENTRY,
        r'(\t\treturn ret;\n\t\}\n\n)\tarch_irqentry_enter\(regs\);\n', r'\1'),
    'entry-user': (
        ENTRY,
        r'(irqentry_enter_from_user_mode\(struct pt_regs \*regs\)\n\{\n)'
        r'\tarch_irqentry_enter\(regs\);\n', r'\1'),
    'exit-user': (
        ENTRY,
        r'(irqentry_exit_to_user_mode\(struct pt_regs \*regs\)\n\{\n)'
        r'\tarch_irqentry_exit\(regs\);\n', r'\1'),
    'exit': (
        ENTRY,
        r'(\t\t\tct_irq_exit\(\);\n\t\}\n\n)\tarch_irqentry_exit\(regs\);\n', r'\1'),
    'exit-idle': (
        ENTRY,
        r'\t\t\tarch_irqentry_exit\(regs\);\n', ''),
    'exit-early': (
        ENTRY,
        r'(\tlockdep_assert_irqs_disabled\(\);\n)'
        r'(\n\t/\* Check whether this returns to user mode)',
        r'\1\tif (!user_mode(regs))\n\t\tarch_irqentry_exit(regs);\n\2'),
    'entry-late': (
        ENTRY,
        r'(\t\treturn ret;\n\t\}\n\n)\tarch_irqentry_enter\(regs\);\n(.*?\tinstrumentation_end\(\);\n)'
        r'(\n\treturn ret;\n)', r'\1\2\tarch_irqentry_enter(regs);\n\3'),
}
