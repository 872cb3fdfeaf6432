# SPDX-License-Identifier: GPL-2.0
"""The series as mail: consistent, applicable, in style, and spelled."""
import collections
import email
import email.policy
import os
import re
import tempfile

import series
from common import BUILD, LINUX, MAINTAINER, Failed, mails, output, pristine, progress

JUSTIFIED = os.path.join(series.patches(), 'checkpatch.justified')


def consistent():
    output(os.path.join(series.ROOT, 'scripts', 'check-series'))
    return f'{len(series.topics())} topics'


def read_mail(path):
    """The text of a mail, and its sender as MAINTAINERS has people."""
    with open(path, encoding='utf-8') as f:
        text = f.read()
    who = email.message_from_string(text, policy=email.policy.default)['From'].addresses[0]
    return text, f'{who.display_name} <{who.addr_spec}>'


def same(tree, other, paths, what):
    """Failed if one of the files differs in TREE, which has the mails, and in the OTHER,
    which scripts/apply has made."""
    who = read_mail(mails()[0])[1].encode()

    def content(folder, path):
        with open(os.path.join(folder, path), 'rb') as f:
            return f.read()

    differ = [p for p in paths
              if content(tree, p) != content(other, p).replace(MAINTAINER.encode(), who)]
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
    """The kernel's checkpatch.pl. JUSTIFIED lists what it may say, with the reasons."""
    with open(JUSTIFIED, encoding='utf-8') as f:
        justified = {tuple(line.split()[:2]) for line in f if line.strip() and line[0] != '#'}
    found = collections.Counter()
    bad = []
    progress(f'checkpatch.pl on {len(mails())} patches')
    # scripts/export signs all of them off or, without a sender, none.
    signed = any('\nSigned-off-by: ' in read_mail(mail)[0] for mail in mails())
    for mail in mails():
        # The sources have no history, in which checkpatch could look up the commits that a
        # message names.
        said = output('perl', 'scripts/checkpatch.pl', '--strict', '--no-summary', '--terse',
                      '--show-types', '--showfile', '--ignore', 'UNKNOWN_COMMIT_ID',
                      *([] if signed else ['--no-signoff']), mail, cwd=pristine(), status=(0, 1))
        for line in said.splitlines():
            match = re.match(r'(\S+?):\d+: (?:ERROR|WARNING|CHECK):(\w+):', line)
            if match and (match[2], match[1]) in justified:
                found[match[2], match[1]] += 1
            else:
                bad.append(f'{os.path.basename(mail)[:4]} {line}')
    bad += [f'{" ".join(entry)} is justified but not found' for entry in justified - set(found)]
    if bad:
        raise Failed(bad)
    return (f'{len(mails())} patches, 0 errors, 0 warnings, {sum(found.values())} justified'
            f'{"" if signed else "; not signed off"}')


def codespell():
    paths = [p for p in output(*series.GIT, 'ls-files').split() if p != 'COPYING']
    # quilt cuts the name of the function in the line of a hunk.
    output('codespell', '--ignore-regex', '^@@.*', *paths, cwd=series.ROOT)
    return f'{len(paths)} files'


def shellcheck():
    scripts = output(*series.GIT, 'grep', '-l', '^#!/bin/sh').split()
    output('shellcheck', *scripts, cwd=series.ROOT)
    return f'{len(scripts)} scripts'
