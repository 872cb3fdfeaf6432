# SPDX-License-Identifier: GPL-2.0
"""Builds of what the series touches, in the configurations that matter."""
import os
import re
import shutil

import series
from common import (CHECK, LINUX, Failed, apply_to, copy_pristine, make, note, output, pristine,
                    progress)

GUEST = (os.path.join(series.ROOT, 'test', 'guest', 'configs', 'guest.config'),
         os.path.join(series.patches(), 'guest.config'))
# The guest's has both.
TESTS_OFF = ('CONFIG_PKS_KUNIT_TEST=n', 'CONFIG_PKS_TEST=n')
OFF = (*TESTS_OFF, 'CONFIG_ARCH_ENABLE_SUPERVISOR_PKEYS=n')

# Name, default configuration or None for the guest's, changes to that, what is
# built beyond the changed files, arguments for make, and the tools it takes.
MATRIX = (
    ('on', None, (), 'all', (), ()),
    ('off', None, OFF, '', (), ()),
    ('no-tests', None, TESTS_OFF, 'core', (), ()),
    ('module', None, ('CONFIG_MODULES=y', 'CONFIG_PKS_KUNIT_TEST=m', 'CONFIG_PKS_TEST=m'), 'all', (), ()),
    ('traced', None, ('CONFIG_FTRACE=y', 'CONFIG_FUNCTION_TRACER=y', 'CONFIG_DEBUG_KERNEL=y',
                      'CONFIG_DEBUG_KMEMLEAK=y'), 'all', (), ()),
    ('fred', None, ('CONFIG_X86_FRED=y', 'CONFIG_EXPERT=y'), 'all', (), ()),
    ('one-cpu', None, ('CONFIG_SMP=n',), 'core', (), ()),
    ('rt', None, ('CONFIG_EXPERT=y', 'CONFIG_PREEMPT_RT=y', 'CONFIG_PREEMPT=n'), 'all', (), ()),
    ('clang', None, (), 'all', ('LLVM=1',), ('clang', 'ld.lld', 'llvm-nm')),
    ('i386', 'i386_defconfig', (), '', (), ()),
    ('x86_64', 'x86_64_defconfig', (), '', (), ()),
    # The 32-bit vDSO sees the headers of a 64-bit kernel through 32-bit eyes.
    ('compat', None, ('CONFIG_IA32_EMULATION=y',), 'core', ('arch/x86/entry/vdso/',), ()),
    ('sparse', None, (), 'new', ('C=2',), ('sparse',)),
)
# Changed files that not every kernel has, and what they take.
TAKES = {'arch/x86/kernel/process_64.o': 'CONFIG_X86_64', 'arch/x86/mm/pkeys.o': 'CONFIG_X86_64',
         'arch/x86/entry/entry_fred.o': 'CONFIG_X86_FRED', 'arch/x86/kernel/msr.o': 'CONFIG_X86_MSR',
         'arch/x86/kernel/kprobes/opt.o': 'CONFIG_OPTPROBES', 'arch/x86/kernel/rethook.o': 'CONFIG_RETHOOK',
         'arch/x86/kernel/kprobes/ftrace.o': 'CONFIG_KPROBES_ON_FTRACE',
         'mm/kmemleak.o': 'CONFIG_DEBUG_KMEMLEAK'}


def objects(topics, which):
    """The changed files, as objects of any x86 configuration, and new ones."""
    def c_files(paths):
        return [p.removesuffix('.c') + '.o' for p in paths if p.endswith('.c') and
                not p.startswith(('tools/', 'lib/pks/'))]

    changed = {o for t in topics for o in c_files(t.changes())}
    new = {o for t in topics for o in c_files(t.files)}
    tests = {'lib/pks/'} if any(f.startswith('lib/pks/') for t in topics for f in t.files) else set()
    return sorted({'': changed, 'core': changed | new, 'all': changed | new | tests,
                   'new': new | tests}[which])


def guest():
    """The lines of the guest's configuration."""
    for path in GUEST:
        with open(path, encoding='utf-8') as f:
            yield from f.read().splitlines()


def configure(tree, obj, default, changes, *args):
    """A configuration in which each of the changes has come to pass."""
    os.makedirs(obj, exist_ok=True)
    ours = {c.split('=')[0] for c in changes}
    lines = []
    if not default:
        lines = [line + '\n' for line in guest() if line.split('=')[0] not in ours]
    path = os.path.join(obj, 'requested')
    with open(path, 'w', encoding='utf-8') as f:
        f.writelines(lines + [c + '\n' for c in changes])
    make(tree, obj, default or 'allnoconfig', f'KCONFIG_ALLCONFIG={path}', *args)
    with open(os.path.join(obj, '.config'), encoding='utf-8') as f:
        config = set(f.read().split('\n'))
    for change in changes:
        name, value = change.split('=')
        if value == 'n' and any(line.startswith(f'{name}=') for line in config) or \
           value != 'n' and change not in config:
            raise Failed([f'{change} has not come to pass'])


def warnings(tree, said, paths):
    """The file and the text of each warning in one of these files of TREE. kernel-doc
    names no column, and objtool the object."""
    matches = (re.match(r'(?:\.\./)*(\S+?)(?::\d+)*: ((?:warning|error):.*)', line)
               for line in said.splitlines())
    return [(path, m[2]) for m in matches if m
            for path in [re.sub(r'\.o$', '.c', m[1].removeprefix(tree + '/'))] if path in paths]


def said_of(tree, obj, wanted, *args):
    """What the compiler says of these objects, with W=1."""
    # kbuild goes into this folder twice, by way of arch/x86 and of what links it: two compilers
    # at once would write the same files.
    twice = [o for o in wanted if o.startswith('arch/x86/power/')]
    others = [o for o in wanted if o not in twice]
    return ((make(tree, obj, 'W=1', *args, '-j1', *twice) if twice else '') +
            (make(tree, obj, 'W=1', *args, *others) if others else ''))


def compile_objects(tree, obj, topics, wanted, *args):
    """Build with W=1; Failed if there is a warning in a file of the series."""
    with open(os.path.join(obj, '.config'), encoding='utf-8') as f:
        config = f.read().splitlines()
    wanted = [o for o in wanted if o not in TAKES or f'{TAKES[o]}=y' in config]
    # What is built already warns no more.
    for path in wanted:
        target = os.path.join(obj, path)
        if path.endswith('/'):
            shutil.rmtree(target, ignore_errors=True)
        elif os.path.exists(target):
            os.unlink(target)
    # objtool may look at the whole kernel only.
    ours = {'vmlinux.c', *(p for t in topics for p in t.changes() + t.files)}
    found = warnings(tree, said_of(tree, obj, wanted, *args), ours)
    theirs = {p.removesuffix('.c') + '.o' for p, _ in found} & set(objects(topics, ''))
    if theirs:
        # Does the unpatched kernel warn, too? It does not know all of the configuration.
        base = f'{obj}-base'
        os.makedirs(base, exist_ok=True)
        shutil.copy(os.path.join(obj, '.config'), os.path.join(base, '.config'))
        make(pristine(), base, 'olddefconfig')
        for path in theirs:
            output('rm', '-f', os.path.join(base, path))
        old = warnings(pristine(), said_of(pristine(), base, sorted(theirs), *args), ours)
        for path, text in set(found) & set(old):
            note(f'not of the series: {path}: {text}')
        found = [warning for warning in found if warning not in old]
    if found:
        raise Failed([f'{path}: {text}' for path, text in found])


def variant(name, tree, obj, topics, default, changes, wanted, *args):
    """Configure and compile; what is wrong is said of the variant NAME."""
    progress(name)
    try:
        configure(tree, obj, default, changes)
        compile_objects(tree, obj, topics, wanted, *args)
    except Failed as e:
        raise Failed([f'{name}: {line}' for line in e.args[0]]) from None


def matrix():
    """All configurations; what was built."""
    topics = series.topics()
    for name, default, changes, which, args, tools in MATRIX:
        for tool in tools:
            if not shutil.which(tool):
                raise Failed([f'{name}: {tool} is not installed'])
        variant(name, LINUX, os.path.join(CHECK, name), topics, default, changes,
                objects(topics, which), *args)
    return f'{len(MATRIX)} configurations: {", ".join(m[0] for m in MATRIX)}'


def complaints(obj, work, *args):
    """What the compiler says against usage.c, as a module in the folder WORK."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(os.path.join(os.path.dirname(__file__), 'usage'), work)
    try:
        make(LINUX, obj, f'M={work}', *args, 'usage.o')
    except Failed as e:
        return e.args[0]
    return []


def usage():
    """Correct uses of the interface, and constants that are no key, with each compiler that
    is installed. Its options stand in for the configurations that bring them, so that one
    kernel per compiler is prepared."""
    compilers = {'gcc': (), **{f'clang-{n}': (f'LLVM=-{n}',) for n in range(14, 30) if shutil.which(f'ld.lld-{n}')}}
    ways = {'-O2': '', '-Os': '-Os', 'KASAN': '-fsanitize=kernel-address', 'LTO': '-flto'}
    for name, args in compilers.items():
        progress(name)
        obj, work = (os.path.join(CHECK, f'usage-{name}', part) for part in ('obj', 'work'))
        configure(LINUX, obj, None, ('CONFIG_MODULES=y',), *args)
        make(LINUX, obj, 'modules_prepare', *args)
        for way, flags in ways.items():
            # Linux has LTO with clang alone: its own headers do not compile with that of gcc.
            if way == 'LTO' and not args:
                continue
            for bad in range(4):
                said = complaints(obj, work, f'KCFLAGS={flags} -DBAD={bad}', *args)
                if bad and not any('negative width' in line for line in said):
                    raise Failed([f'{name} {way}: a constant that is no key is taken, BAD={bad}'] + said)
                if said and not bad:
                    raise Failed([f'{name} {way}: {line}' for line in said])
    return f'{", ".join(compilers)}, each with {", ".join(ways)}, but for LTO with gcc'


def allmodconfig():
    """The folders that the series touches, whole, with everything on."""
    topics = series.topics()
    folders = sorted({os.path.dirname(o) + '/' for o in objects(topics, 'all')})
    variant('allmodconfig', LINUX, os.path.join(CHECK, 'allmodconfig'), topics, 'allmodconfig',
            ('CONFIG_WERROR=n',), folders)
    return ' '.join(folders)


def prefixes():
    """Each prefix of the series, feature on and off: what its last topic touches, or
    all so far if that is headers only. The first and the one in the middle are linked
    with the feature on; "make image" links the last, and the check "off" without it."""
    topics = series.topics()
    linked = (topics[0], topics[len(topics) // 2])
    tree = os.path.join(CHECK, 'linux')
    # A file that is unchanged again has its old time stamp: objects of a former run stay.
    for old in ('prefix-on', 'prefix-off'):
        shutil.rmtree(os.path.join(CHECK, old), ignore_errors=True)
    copy_pristine(tree)
    for number, topic in enumerate(topics, 1):
        apply_to(topic.name, tree)
        prefix = topics[:number]
        tests = 'lib/pks/' in objects(prefix, 'all')
        for on, changes, which in (
                ('on', () if tests else TESTS_OFF, 'all'), ('off', OFF, '')):
            vmlinux = ['vmlinux'] if topic in linked and on == 'on' else []
            variant(f'{topic.name}, {on}{", linked" if vmlinux else ""}', tree,
                    os.path.join(CHECK, f'prefix-{on}'), prefix, None, changes,
                    (objects([topic], which) or objects(prefix, which)) + vmlinux)
    return (f'{len(topics)} prefixes, on and off; '
            f'{" and ".join(t.name for t in linked)} linked')
