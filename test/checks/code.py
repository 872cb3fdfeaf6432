# SPDX-License-Identifier: GPL-2.0
"""What the series does to the code of the kernel, built whole."""
import collections
import filecmp
import os
import re
import struct

from checks import builds, elf
from common import (CHECK, LINUX, Failed, apply_to, copy_pristine, make, note, output, progress)

# The sources that the series is compared with. They have the first topics, which mend
# Linux itself whether the feature is on or off. scripts/build removes this folder when the
# unchanged sources are replaced.
BASE = os.path.join(CHECK, 'base')
# The last of these topics.
MENDS = 'fred'
# struct bug_entry: where, in which file, line and flags.
BUG = struct.Struct('<iiHH')
# Of the capability table: X86_FEATURE_PKS.
PKS = 8 * (16 * 32 + 31)


def whole(tree, obj, changes):
    """A whole kernel with these changes to the guest's configuration."""
    progress(f'{os.path.basename(obj)}, a whole kernel (4 minutes if it is new)')
    builds.configure(tree, obj, None, changes)
    make(tree, obj, 'bzImage')
    return obj


def unpatched():
    """The kernel of BASE, built once."""
    if not os.path.exists(BASE):
        copy_pristine(BASE)
    apply_to(MENDS, BASE)
    # Its Kconfig has no such symbols.
    changes = [f'{line.split("=")[0]}=n' for line in builds.guest() if 'SUPERVISOR_PKEYS' in line or 'PKS' in line]
    return whole(BASE, os.path.join(CHECK, 'code-base'), changes)


def lines_of_bugs(difference):
    """Files with a WARN() or BUG() whose line number is another; None if anything
    else in the table of them differs."""
    (_, old, old_relocs), (_, new, new_relocs) = difference.old, difference.new
    if len(old) != len(new) or old_relocs != new_relocs:
        return None
    files = {at: target[1] for at, _, target in old_relocs if at % BUG.size == 4}
    moved = []
    for at in range(0, len(old), BUG.size):
        a, b = BUG.unpack_from(old, at), BUG.unpack_from(new, at)
        if a != b:
            if a[:2] + a[3:] != b[:2] + b[3:]:
                return None
            moved.append(files.get(at + 4, '?'))
    return moved


def explain(difference):
    """Why data differs, or None if there is no good reason."""
    if difference.code:
        return None
    if difference.section.startswith('.rodata.str') and \
       difference.old is None and difference.new == (b'pks',):
        return ['the string "pks"']
    if not difference.old or not difference.new or len(difference.old) < 3 or len(difference.new) < 3:
        return None
    if difference.section == '__bug_table':
        moved = lines_of_bugs(difference)
        return moved and [f'line number of a WARN() or BUG() in {name}' for name in moved]
    if difference.old[0] == ('x86_cap_flags',) and difference.old[1] == difference.new[1]:
        only = [r for r in difference.new[2] if r not in difference.old[2]]
        lost = [r for r in difference.old[2] if r not in difference.new[2]]
        if not lost and [(r[0], r[2]) for r in only] == [(PKS, ('string', 'pks'))]:
            return ['the pointer to it in x86_cap_flags']
    return None


def off():
    """The feature off: the same code as without the series, function by function."""
    new = whole(LINUX, os.path.join(CHECK, 'code-off'), builds.OFF)
    old = unpatched()
    script = 'arch/x86/kernel/vmlinux.lds'
    if not filecmp.cmp(os.path.join(old, script), os.path.join(new, script), shallow=False):
        raise Failed([f'{script} differs'])
    old, new = (elf.Object(os.path.join(obj, 'vmlinux.o')) for obj in (old, new))
    reasons, bad = collections.Counter(), []
    for difference in elf.compare(old, new):
        why = explain(difference)
        if why:
            reasons.update(why)
        else:
            which = difference.old or difference.new
            bad.append(f'{difference.section}: {which[0] if which else ""!r} differs')
    functions, size = new.functions()
    if bad:
        raise Failed(bad[:20])
    if functions < 10000 or (functions, size) != old.functions():
        raise Failed([f'{functions} functions, {size} bytes, and {old.functions()} without the series'])
    for why, count in sorted(reasons.items()):
        note(f'data that differs: {count} times {why}' if count > 1 else f'data that differs: {why}')
    return (f'{functions} functions, {size} bytes of code; '
            f'{sum(reasons.values())} differences in data, all explained')


def bloat():
    """The feature on: what it adds to an unpatched kernel, by the kernel's own tool."""
    new = whole(LINUX, os.path.join(CHECK, 'code-on'), builds.TESTS_OFF)
    table = output(os.path.join(LINUX, 'scripts', 'bloat-o-meter'), os.path.join(unpatched(), 'vmlinux'),
                   os.path.join(new, 'vmlinux'))
    with open(os.path.join(CHECK, 'bloat.txt'), 'w', encoding='utf-8') as f:
        f.write(table)
    lines = table.splitlines()
    total = re.search(r'Before=(\d+), After=(\d+)', lines[-1])
    if not total or not any('pks' in line for line in lines):
        raise Failed(lines[-5:])
    for line in lines[1:]:
        note(line)
    return f'{lines[0]}; {int(total[2]) - int(total[1])} bytes in all'
