# SPDX-License-Identifier: GPL-2.0
"""The boots of "make test": what each is for and what counts as a pass."""
import collections
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, 'build', 'log')
sys.path.insert(0, os.path.join(ROOT, 'vm'))

# pylint: disable=wrong-import-position
import boot     # noqa: E402
import verdict  # noqa: E402

Scenario = collections.namedtuple(
    'Scenario', 'name mode cpu smp cmdline suites skips expect dues', defaults=(
        'max', 2, '', ('kunit', 'test_pks'), r'pks-absent', '', ''))

SCENARIOS = (
    # Everything that must go by without a warning, 5-level paging, S3.
    Scenario('2-cpus', 'suspend', expect=r'guest: la57'),
    Scenario('4-cpus', 'suspend', smp=4),
    # The rest needs company.
    Scenario('1-cpu', 'test', smp=1,
             skips=r'pks-absent|migrate|retire|rebirth|idle|IPI from another|CPU offline'),
    Scenario('4-level-paging', 'test', cmdline='no5lvl', expect=r'guest: no la57'),
    Scenario('pti', 'test', cmdline='pti=on',
             expect=r'Kernel/User page tables isolation: (force )?enabled'),
    # Oopses and warns on purpose.
    Scenario('crash', 'crash', cmdline='kunit.enable=0 panic_on_warn=0',
             suites=('test_pks',),
             dues=r'BUG: unable to handle page fault for address: ff|Oops: 002[13] |Call Trace:|'
                  r'WARNING: .* (native_write_cr4|pks_bad_key|pks_key_free|run_warn)\+'),
    # Off, and not there.
    Scenario('nopks', 'absent', cmdline='nopks', skips=r'pks/',
             expect=r'x86/pks: off: nopks on the command line'),
    Scenario('cpu-without-pks', 'absent', cpu='max,-pks', skips=r'pks/',
             expect=r'x86/pks: off: the CPU does not have it'),
)


def judge(scenario, log):
    """The Verdict on a log."""
    return verdict.Verdict(log, scenario.mode, scenario.suites, scenario.skips,
                           scenario.expect, scenario.dues)


def run(scenario, prefix='', timeout=120):
    """Boot one scenario and judge it. Returns the Verdict, and the log."""
    log = os.path.join(LOGS, f'{prefix}{scenario.name}.log')
    wrong = boot.boot(log, scenario.cpu, scenario.smp,
                      f'pks.mode={scenario.mode} {scenario.cmdline}'.strip(), timeout=timeout)
    result = judge(scenario, log)
    if wrong:
        result.problems.insert(0, wrong)
    return result, log
