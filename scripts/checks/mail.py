# SPDX-License-Identifier: GPL-2.0
"""The series as mail: consistent, applicable, in style, and spelled."""
import collections
import filecmp
import os
import re
import tempfile

import series
from checks.common import BUILD, LINUX, Failed, mails, output, pristine, progress

JUSTIFIED = os.path.join(os.path.dirname(__file__), 'checkpatch.justified')


def consistent():
    output(os.path.join(series.ROOT, 'scripts', 'check-series'))
    return f'{len(series.topics())} topics'


def same(tree, other, paths, what):
    """Failed if one of the files differs."""
    differ = [p for p in paths
              if not filecmp.cmp(os.path.join(tree, p), os.path.join(other, p), shallow=False)]
    if differ:
        raise Failed([f'{p} is not {what}' for p in differ])


def am(source, expected, what):
    """Apply the mails to SOURCE with git am, and compare with the tree EXPECTED."""
    changed = sorted({p for t in series.topics() for p in t.changes() + t.files})
    env = series.git_env('check', 'check')
    with tempfile.TemporaryDirectory(dir=BUILD) as tree:
        series.copy_in(source, tree, changed)
        for args in (('init', '-q'), ('add', '-A'), ('commit', '-qm', 'base'),
                     ('am', '-q', *mails())):
            output('git', *args, cwd=tree, env=env)
        same(tree, expected, changed, what)
    return f'{len(mails())} mails, {len(changed)} files'


def applies():
    return am(pristine(), LINUX, 'what make run builds from')


def checkpatch():
    """Style. What is justified is listed, with reasons."""
    with open(JUSTIFIED, encoding='utf-8') as f:
        justified = {tuple(line.split()[:2]) for line in f if line.strip() and line[0] != '#'}
    found = collections.Counter()
    bad = []
    progress(f'checkpatch.pl on {len(mails())} patches')
    for mail in mails():
        said = output('perl', 'scripts/checkpatch.pl', '--strict', '--no-summary', '--terse',
                      '--show-types', '--showfile', mail, cwd=pristine(), status=(0, 1))
        for line in said.splitlines():
            match = re.match(r'(\S+?):\d+: (?:ERROR|WARNING|CHECK):(\w+):', line)
            if match and (match[2], match[1]) in justified:
                found[match[2], match[1]] += 1
            else:
                bad.append(f'{os.path.basename(mail)[:4]} {line}')
    bad += [f'{" ".join(entry)} is justified but not found' for entry in justified - set(found)]
    if bad:
        raise Failed(bad)
    return f'{len(mails())} patches, 0 errors, 0 warnings, {sum(found.values())} justified'


def codespell():
    paths = [p for p in output(*series.GIT, 'ls-files').split() if p != 'COPYING']
    output('codespell', *paths, cwd=series.ROOT)
    return f'{len(paths)} files'
