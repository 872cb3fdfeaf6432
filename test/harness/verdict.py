# SPDX-License-Identifier: GPL-2.0
"""Judge the console log of a guest, whoever booted it.

A pass takes three things: the token with which the guest's init ends, KTAP
whose plans add up, and a console without a report that is not due. The KTAP is
read by the parser that comes with the kernel, kunit.py's.
"""
import inspect
import io
import os
import re
import sys

from common import LINUX

STAMP = re.compile(r'^\[ *\d+\.\d+\] ')
START = re.compile(r'^K?TAP version \d+$')
PLAN = re.compile(r'^1\.\.[1-9]')
KTAP = re.compile(r'^\s*(ok |not ok |# |\d+\.\.\d+|K?TAP version |Bail out!)')
DIRTY = re.compile(r'WARNING|BUG:|Oops|Call Trace|INFO: |KASAN|KCSAN|UBSAN|Kernel panic|'
                   r'general protection|Unable to handle|rcu.*stall|lockup|unchecked MSR|'
                   r'suspicious|inconsistent lock|kernel BUG|NMI received for unknown')
# What a document must hold at least; its own plan tells how much is in that.
NEEDS = {'kunit': ('pks', 'pks_absent')}
# QEMU's MTRRs are inconsistent, and time under emulation is no measure.
CLEAN = re.compile(r'mtrr: |INFO: NMI handler .* took too long')


def load_parser(tree):
    """kunit_parser from the kernel tree, told to keep quiet."""
    sys.path.insert(0, os.path.join(tree, 'tools', 'testing', 'kunit'))
    # pylint: disable=import-error,import-outside-toplevel
    import kunit_parser
    import kunit_printer
    quiet = kunit_printer.Printer(io.StringIO())
    kunit_parser.stdout = quiet
    if len(inspect.signature(kunit_parser.parse_run_tests).parameters) > 1:
        return lambda lines: kunit_parser.parse_run_tests(lines, quiet)
    return kunit_parser.parse_run_tests


def documents(lines):
    """The KTAP documents in a log: each from its version line to the next.

    Without those that plan nothing: KUnit's in a kernel whose tests are modules."""
    found = []
    for line in lines:
        text = STAMP.sub('', line)
        if START.match(text):
            found.append([])
        if found and KTAP.match(text):
            found[-1].append(text)
    return [doc for doc in found if doc[1:] != ['1..0']]


def dirty(lines, dues=''):
    """Those lines of a console, without time stamps, that report what is not due."""
    return [line for line in lines if DIRTY.search(line) and not CLEAN.search(line)
            and not (dues and re.search(dues, line))]


def nodes(test, path=()):
    """The test and all its subtests, as (path, Test)."""
    yield '/'.join(path), test
    for sub in test.subtests:
        yield from nodes(sub, path + (sub.name,))


class Verdict:
    """What a log shows."""

    def __init__(self, log, mode, suites, skips='', expect='', dues=''):
        """MODE is pks.mode, SUITES the names of the KTAP documents to come. SKIPS
        is a pattern of the tests that may skip, EXPECT one that the console must
        show, DUES one of the reports that it may show, usually none."""
        with open(log, encoding='utf-8', errors='replace') as f:
            lines = [line.rstrip() for line in f]
        self.passed = self.failed = self.skipped = self.docs = 0
        self.ktap = []
        self.problems = []

        if not any(lines):
            self.problems.append('the guest is silent')
        docs = documents(lines)
        parse = load_parser(LINUX)
        for name, doc in zip(suites, docs):
            self.judge(name, doc, parse, skips)
        for name in suites[len(docs):]:
            self.problems.append(f'no results of {name}')
        if len(docs) > len(suites):
            self.problems.append(f'{len(docs)} KTAP documents, not {len(suites)}')
        self.token(lines, mode)
        if expect and not any(re.search(expect, line) for line in lines):
            self.problems.append(f'the console does not show "{expect}"')
        text = [STAMP.sub('', line) for line in lines]
        for line in dirty([line for line in text if not KTAP.match(line)], dues)[:1]:
            self.problems.append(f'the console is not clean: {line}')

    def token(self, lines, mode):
        """The guest's last word, after all results."""
        text = [STAMP.sub('', line) for line in lines]
        token = f'guest: done ({mode})'
        if token not in text:
            panic = [line for line in text if 'Kernel panic' in line]
            self.problems.append('the guest did not come to its end' +
                                 (f': {panic[0]}' if panic else ''))
        elif any(KTAP.match(line) for line in text[text.index(token):]):
            self.problems.append('results come after the end')

    def judge(self, name, doc, parse, skips):
        """One KTAP document."""
        test = parse(doc)
        failed = []
        found = set()
        for path, node in nodes(test):
            status = node.status.name
            found.add(path)
            if status == 'SUCCESS':
                self.passed += not node.subtests
            elif status == 'SKIPPED' and re.search(skips or r'(?!)', path):
                self.skipped += not node.subtests
            # The document itself, and a suite of tests that may skip, do so too.
            elif status == 'SKIPPED' and node.subtests:
                continue
            elif not any(sub.status.name == status for sub in node.subtests):
                failed.append(f'{path or "the whole"} ({status.lower()})')
        failed += [f'{need} (missing)' for need in NEEDS.get(name, ()) if need not in found]
        if test.counts.errors or not any(PLAN.match(line) for line in doc):
            failed.append('its KTAP does not add up')
        failed += [line for line in doc if line.startswith('Bail out!')]
        self.failed += len(failed)
        self.ktap += ['    ' + line for line in doc]
        self.docs += 1
        self.ktap.append(f'{"not " if failed else ""}ok {self.docs} {name}')
        self.ktap += [f'# {name}: {what}' for what in failed]
