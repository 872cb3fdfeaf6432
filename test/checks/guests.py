# SPDX-License-Identifier: GPL-2.0
"""All boots of "make test", on kernels that watch themselves and on other CPUs."""
import os

from harness import scenarios
import series
from common import BUILD, Failed, note, output, progress


def summed(said):
    """The sum, which is the last line of what "make test" prints, or Failed with what failed."""
    lines = [line for line in said.splitlines() if not line.startswith('make: ')]
    if not lines[-1].endswith('skipped') or ', 0 failed, ' not in lines[-1]:
        # Each test that failed, and what is said of it.
        bad = [f'{after}: {line}' for line, after in zip([''] + lines, lines)
               if after.lstrip().startswith('not ok')]
        raise Failed([lines[-1]] + [' '.join(line.split()) for line in bad][:20])
    return lines[-1]


def results(env, program='run'):
    """Run the tests, or what else PROGRAM of test/ does, in the environment ENV: what they sum up."""
    return summed(output(os.path.join(series.ROOT, 'test', program), env=env, status=(0, 1)))


def boots(variant, *what, program='run'):
    """Build the kernel of guest/configs/VARIANT.config and run the tests, or what else PROGRAM
    does, on it."""
    env = dict(os.environ, VARIANT=variant)
    progress(f'{variant}: building (5 minutes if it is new)')
    # objtool looks at the whole kernel when it is linked.
    for name in ('vmlinux.o', 'vmlinux'):
        path = os.path.join(BUILD, 'variants', variant, 'obj', name)
        if os.path.exists(path):
            os.unlink(path)
    output(os.path.join(series.ROOT, 'scripts', 'build'), env=env)
    progress(f'{variant}: testing')
    return '; '.join([results(env, program)] + ([', '.join(what)] if what else []))


def debug():
    said = boots('debug', 'no objtool warning', 'clean consoles')
    # scripts/build fails on a warning; did it look?
    with open(os.path.join(BUILD, 'variants', 'debug', 'obj', '.vmlinux.o.cmd'), encoding='utf-8') as f:
        if 'objtool --noinstr' not in f.read():
            raise Failed(['objtool does not validate vmlinux.o'])
    return said


def kcsan():
    """All boots with KCSAN. The report lists the races that are not of the series."""
    said = boots('kcsan')
    races = set()
    for scenario in scenarios.SCENARIOS:
        log = os.path.join(BUILD, 'variants', 'kcsan', 'log', f'{scenario.name}.log')
        with open(log, encoding='utf-8', errors='replace') as f:
            races.update(line.split('BUG: KCSAN: ')[1].strip() for line in f if 'BUG: KCSAN: ' in line)
    for race in sorted(races):
        note(f'not of the series: {race}')
    return f'{said}; {len(races)} races elsewhere, none with keys'


def module():
    return boots('module')


def inject():
    return boots('inject', program='inject/run')


def fred():
    """All boots of the usual kernel on a CPU that delivers exceptions and interrupts by FRED."""
    progress('fred: an emulator (6 minutes if it is new)')
    output(os.path.join(series.ROOT, 'test', 'qemu', 'build'))
    progress('fred: testing')
    return results(dict(os.environ, FRED='on'))
