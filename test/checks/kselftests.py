# SPDX-License-Identifier: GPL-2.0
"""The kernel's own tests of x86 and of protection keys, on the kernel without and
with the series: the same results, line by line."""
import difflib
import os
import re
import shutil

from harness import scenarios
from checks import code
from common import BUILD, CHECK, Failed, make, note, output, pristine, progress

OUT = os.path.join(CHECK, 'kselftests')
# Of tools/testing/selftests: what is built in each folder.
TARGETS = {'x86': ('all_64',), 'mm': ('protection_keys_64', 'pkey_sighandler_tests_64')}
# Numbers that differ from run to run.
NUMBER = re.compile(r'0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\b\d{2,}\b')
LINE = re.compile(r'^kselftest: (\w+): (.*)')
# How tests end: passed, failed, skipped.
ENDS = ('0', '1', '4')
# Tests that may end with another status. Under QEMU 7.2 they do so without the series, too.
CUT = {'mov_ss_trap_64': ('139',), 'sysret_ss_attrs_64': ('137',)}


def build():
    """The tests of the unpatched kernel, static; their paths."""
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(os.path.join(OUT, 'bin'))
    # mm's Makefile writes to its folder.
    for folder in ('tools', os.path.join('arch', 'x86', 'include')):
        os.makedirs(os.path.dirname(os.path.join(OUT, folder)), exist_ok=True)
        output('cp', '-al', os.path.join(pristine(), folder), os.path.join(OUT, folder))
    make(pristine(), os.path.join(OUT, 'headers'), 'headers')
    target = os.path.join(OUT, 'bin')
    for folder, wanted in TARGETS.items():
        output('make', '-C', os.path.join(OUT, 'tools', 'testing', 'selftests', folder),
               f'-j{os.cpu_count()}', f'OUTPUT={target}', 'ARCH=x86_64',
               'EXTRA_CFLAGS=-static -DCAN_BUILD_64',
               f'KHDR_INCLUDES=-isystem {OUT}/headers/usr/include',
               *(name if name == 'all_64' else os.path.join(target, name) for name in wanted))
    return sorted(os.path.join(target, name) for name in os.listdir(target) if name.endswith('_64'))


def ends(lines):
    """The exit status of each test that came to its end."""
    return {test: line.split()[-1] for test, line in lines if line.startswith('exit status ')}


def results(kernel, tests, name):
    """All lines that the tests printed, as (test, line). Failed if one does not end as a test
    should: one that cannot run prints the same on any kernel."""
    folder = os.path.join(OUT, name.replace(' ', '-'))
    log = folder + '.log'
    scenarios.boot.image(folder, kernel, {f'/kselftest/{os.path.basename(t)}': t for t in tests})
    progress(f'{name}: running them')
    text, wrong = scenarios.transcript(
        log, 'kselftest', cmdline='pks.mode=kselftest kunit.enable=0 panic_on_warn=0',
        timeout=1200, folder=folder)
    if wrong:
        raise Failed([f'{name}: {wrong}; the log is {log}'])
    lines = [match.groups() for match in map(LINE.match, text) if match]
    ended = ends(lines)
    for test in map(os.path.basename, tests):
        if ended.get(test) not in ENDS + CUT.get(test, ()):
            raise Failed([f'{name}: {test} ended with {ended.get(test)}; the log is {log}'])
    return lines


def compare():
    tests = build()
    kernels = {'without the series': os.path.join(code.unpatched(), 'arch/x86/boot/bzImage'),
               'with it': os.path.join(BUILD, 'image', 'bzImage')}
    old, new = (results(kernel, tests, name) for name, kernel in kernels.items())
    # Numbers that differ from run to run are no difference.
    texts = ([f'{test}: {NUMBER.sub("N", line)}' for test, line in lines] for lines in (old, new))
    differ = [line for line in difflib.unified_diff(*texts, lineterm='', n=0)
              if not line.startswith(('---', '+++', '@@'))]
    if differ:
        raise Failed([f'{len(differ)} lines differ'] + differ[:20])
    for test, status in ends(new).items():
        if status == '1':
            note(f'fails on both: {test}')
        elif status not in ENDS:
            note(f'ends early on both, with status {status}: {test}')
    return f'{len(tests)} tests, {len(new)} lines the same'
