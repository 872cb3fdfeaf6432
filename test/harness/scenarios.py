# SPDX-License-Identifier: GPL-2.0
"""The boots of "make test": what each is for and what counts as a pass."""
import collections
import dataclasses
import os
import sys

from harness import boot, verdict
import series

LOGS = os.path.join(boot.OUT, 'log', f'fred-{boot.FRED}' if boot.FRED else '')

Scenario = collections.namedtuple(
    'Scenario', 'name mode cpu smp cmdline suites skips expect dues', defaults=(
        'max', 2, '', ('kunit', 'test_pks'), r'pks_absent', '', ''))

# Page tables with five levels, or with four.
LA57, NO_LA57 = 'guest: la57', 'guest: no la57'

SCENARIOS = (
    # These two have all tests that must pass without a warning, and S3.
    Scenario('2-cpus', 'suspend', expect=LA57),
    Scenario('4-cpus', 'suspend', smp=4),
    # The tests that may skip need a second CPU.
    Scenario('1-cpu', 'test', smp=1,
             skips=r'pks_absent|migrate|retire|rebirth|idle|IPI from another|CPU offline'),
    Scenario('4-level-paging', 'test', cmdline='no5lvl', expect=NO_LA57),
    Scenario('pti', 'test', cmdline='pti=on',
             expect=r'Kernel/User page tables isolation: (force )?enabled'),
    # Handlers of interrupts are threads, and softirqs run in one.
    Scenario('threadirqs', 'test', cmdline='threadirqs', skips=r'pks_absent|timer softirq'),
    # Oopses and warns on purpose.
    Scenario('crash', 'crash', cmdline='kunit.enable=0 panic_on_warn=0 threadirqs run_pks_early',
             suites=('test_pks',),
             dues=r'BUG: unable to handle page fault for address: ff|Oops: 002[13] |Call Trace:|'
                  # By the file that warns: which function a compiler inlines where is its affair.
                  r'WARNING: (.* at )?(arch/x86/(kernel/cpu/common|mm/pks_keys)|lib/pks/pks_run)\.c:|'
                  r'WARNING: (.* at )?.*include/(asm|linux)/pks\.h:'),
    # PKS is turned off, and the CPU does not have it.
    Scenario('nopks', 'absent', cmdline='nopks', skips=r'pks/',
             expect=r'x86/pks: off: nopks on the command line'),
    Scenario('cpu-without-pks', 'absent', cpu='max,-pks', skips=r'pks/',
             expect=r'x86/pks: off: the CPU does not have it'),
)

# With pti=on Linux turns FRED off after its first CPU uses it, and does not come up.
# A kernel without the series does the same.
if boot.FRED == 'on':
    SCENARIOS = tuple(s for s in SCENARIOS if s.name != 'pti')

# What the kernels of guest/configs/ change in all boots: tests that may skip as well,
# more on the command line, reports that may show, how much longer it takes, and
# whether it comes back from S3.
# What takes the configuration of VARIANT=debug.
DEBUG_ONLY = r'rights taken to user mode|kmemleak|ftrace'
Variant = collections.namedtuple('Variant', 'skips cmdline dues slower suspends',
                                 defaults=(DEBUG_ONLY, '', '', 1, True))

VARIANTS = {
    '': Variant(),
    # CONFIG_DEBUG_ENTRY warns of rights that are taken to user mode, so some tests skip.
    # Linux clears what it knows of the boot CPU in identify_cpu(), LA57 included. KASAN takes an
    # interrupt there for an access outside of the direct map, which is elsewhere with four levels.
    'debug': Variant(r'(fork|exec) starts closed|interrupt from user mode', 'no5lvl', slower=5),
    # Linux has data races of its own, which are due; those in PKS are not. A kernel with
    # KCSAN does not come back from S3, with nopks neither.
    'kcsan': Variant(cmdline='panic_on_warn=0', slower=5, suspends=False,
                     dues=r'BUG: KCSAN: data-race in (?!.*pks)|^Reported by Kernel Concurrency'),
    # A module cannot ask for a key while the kernel boots, nor call what is not exported.
    'module': Variant(f'{DEBUG_ONLY}|too early|vmalloc_node_range|page_range'),
    'inject': Variant(),
}


if boot.VARIANT not in VARIANTS:
    sys.exit(f'VARIANT={boot.VARIANT} is none of {" ".join(filter(None, VARIANTS))}')


def arguments():
    """The arguments of this program, and whether "-n" is among them. It says to check the
    arguments and do nothing else: make does so ahead of a build."""
    return [a for a in sys.argv[1:] if a != '-n'], '-n' in sys.argv[1:]


def either(*patterns):
    """One pattern for all that PATTERNS match, or '' if there is none."""
    return '|'.join(p for p in patterns if p)


def of_the_kernel():
    """The tests that skip on this kernel."""
    with open(os.path.join(series.patches(), 'skips'), encoding='utf-8') as f:
        return [line.strip() for line in f if line.strip() and line[0] != '#']


def mode(scenario):
    """What the guest does, in this variant."""
    return 'test' if scenario.mode == 'suspend' and not VARIANTS[boot.VARIANT].suspends else scenario.mode


def judge(scenario, log, wrong=None):
    """The Verdict on a log, of a boot in which this went WRONG."""
    variant = VARIANTS[boot.VARIANT]
    expect = NO_LA57 if scenario.expect == LA57 and 'no5lvl' in variant.cmdline else scenario.expect
    result = verdict.Verdict(log, mode(scenario), scenario.suites,
                             either(scenario.skips, variant.skips, *of_the_kernel()), expect,
                             either(scenario.dues, variant.dues))
    if wrong:
        result.problems.insert(0, wrong)
    return result


def transcript(log, mode, **how):
    """Boot, and return the console's lines without time stamps, and what went wrong."""
    wrong = boot.boot(log, **how)
    with open(log, encoding='utf-8', errors='replace') as f:
        lines = [verdict.STAMP.sub('', line.rstrip()) for line in f]
    if not wrong and f'guest: done ({mode})' not in lines:
        wrong = 'the guest did not come to its end'
    return lines, wrong


def run(scenario, prefix='', timeout=120, folder=None):
    """Boot one scenario, from the FOLDER if not from the usual one, and judge it. Returns
    the Verdict, and the log."""
    variant = VARIANTS[boot.VARIANT]
    log = os.path.join(LOGS, f'{prefix}{scenario.name}.log')
    # Of two values for one parameter the kernel takes the last, so the variant's come first.
    cmdline = f'pks.mode={mode(scenario)} {variant.cmdline} {scenario.cmdline}'
    wrong = boot.boot(log, scenario.cpu, scenario.smp, ' '.join(cmdline.split()),
                      timeout=timeout * variant.slower, folder=folder)
    return judge(scenario, log, wrong), log


@dataclasses.dataclass
class Counts:
    """Results of tests."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self):
        return f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped'


def show_one(number, name, bad, seconds):
    """Print the result NUMBER, as KTAP."""
    print(f'{"not " if bad else ""}ok {number} {name} # {seconds:.0f} s', flush=True)


def show(number, scenario, result, log, seconds):
    """Print what a boot gave, and count it."""
    print(f'    KTAP version 1\n    # Subtest: {scenario.name}\n    1..{len(scenario.suites) + 1}')
    for line in result.ktap:
        print('    ' + line)
    for problem in result.problems:
        print(f'    # {problem}')
    print(f'    {"not " if result.problems else ""}ok {len(scenario.suites) + 1} '
          'boot, as expected and to the end')
    bad = result.failed or result.problems
    if bad:
        print(f'# the log is {os.path.relpath(log)}')
    show_one(number, scenario.name, bad, seconds)
    return Counts(result.passed + int(not result.problems), result.failed + len(result.problems), result.skipped)
