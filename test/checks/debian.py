# SPDX-License-Identifier: GPL-2.0
"""The series on sources that are not the ones it is built from: those of kernel.org,
and the package that Debian builds its kernels from."""
import glob
import os
import re
import shutil

import series
from common import BUILD, CHECK, Failed, Skipped, apt_source, output, pristine, progress
from checks import mail

SOURCE = os.path.join(CHECK, 'debian-source')
VANILLA = os.path.join(CHECK, 'vanilla')


def fetch():
    """The .dsc file of the source package of Linux. The newest version is downloaded
    once, and kept."""
    if os.path.isdir(SOURCE):
        return glob.glob(os.path.join(SOURCE, '*.dsc'))[0]
    new = f'{SOURCE}.new'
    shutil.rmtree(new, ignore_errors=True)
    progress('downloading the source package (150 MB)')
    known = series.source()
    options = apt_source(os.path.join(new, 'apt'), known['SUITE'])
    output('apt-get', *options, 'update')
    said = output('apt-cache', *options, 'showsrc', known['PACKAGE'])
    versions = re.findall(rf'^Package: (\S+)$.*?^Version: ({re.escape(series.VERSION)}\.\S+)$', said, re.M | re.S)
    versions.sort(key=lambda v: numbers(v[1]), reverse=True)
    why = [f'no source package of {known["PACKAGE"]}']
    for name, version in versions:
        try:
            output('apt-get', *options, '-qq', '--download-only', 'source',
                   f'{name}={version}', cwd=new)
            os.rename(new, SOURCE)
            return fetch()
        except Failed as e:
            # The newest may not have reached the mirror.
            why = e.args[0]
            for partial in glob.glob(os.path.join(new, '*.*')):
                os.unlink(partial)
    # Backports drops old versions, and the mirror may have none of the sources.
    raise (Skipped(f'the sources of {known["PACKAGE"]} are not on the mirror') if known['SUITE'] else Failed(why))


def applied(tree, copy):
    """A copy of what the series changes in TREE, with the series applied. A mirror can have
    packages that were built from later sources than it has itself: patches made for those need
    not fit older ones."""
    shutil.rmtree(copy, ignore_errors=True)
    series.copy_in(tree, copy, ['Makefile'] + [p for t in series.topics() for p in t.changes()])
    try:
        output(os.path.join(series.ROOT, 'scripts', 'apply'), copy)
    except Failed as e:
        theirs, ours = series.linux_version(tree), series.linux_version(pristine())
        if numbers(theirs) >= numbers(ours) or not any('does not fit' in line for line in e.args[0]):
            raise
        raise Skipped(f'the patches are for Linux {ours}, and do not fit the newest sources on the '
                      f'mirror, {theirs}') from e
    return copy


def vanilla():
    """git am on the tarball of kernel.org that the package begins with."""
    dsc = fetch()
    tarball = glob.glob(os.path.join(SOURCE, '*.orig.tar.xz'))[0]
    shutil.rmtree(VANILLA, ignore_errors=True)
    os.makedirs(VANILLA)
    progress(f'unpacking {os.path.basename(tarball)}')
    output('tar', '-xf', tarball, '-C', VANILLA, '--strip-components=1')
    said = mail.am(VANILLA, applied(VANILLA, VANILLA + '-applied'), 'what scripts/apply gives')
    return f'{version(dsc)}: {said}'


def version(dsc):
    """The version of a source package."""
    with open(dsc, encoding='utf-8') as f:
        return re.search(r'^Version: (.*)$', f.read(), re.M)[1]


def numbers(of):
    """The numbers in a version, to compare it with another."""
    return [int(n) for n in re.findall(r'\d+', of)]


def package():
    """Put build/debian into a Debian kernel package, and let that apply its patches."""
    dsc = fetch()
    tree, before = os.path.join(CHECK, 'debian-package'), os.path.join(CHECK, 'debian-before')
    for folder in (tree, before):
        shutil.rmtree(folder, ignore_errors=True)
    progress('unpacking the package, and applying its patches')
    output('dpkg-source', '--no-check', '--skip-patches', '-x', dsc, tree)
    output('cp', '-al', tree, before)
    output('dpkg-source', '--before-build', before)
    wanted = applied(before, before + '-applied')
    shutil.copytree(os.path.join(BUILD, 'debian', 'patches', 'features'),
                    os.path.join(tree, 'debian', 'patches', 'features'), dirs_exist_ok=True)
    names = os.path.join(tree, 'debian', 'patches', 'series')
    with open(os.path.join(BUILD, 'debian', 'patches', 'series.append'), encoding='utf-8') as f:
        ours = f.read()
    with open(names, encoding='utf-8') as f:
        theirs = f.read()
    # A new file: the old one is in the other tree, too.
    os.unlink(names)
    with open(names, 'w', encoding='utf-8') as f:
        f.write(theirs + ours)
    said = output('dpkg-source', '--before-build', tree)
    if any(word in said for word in ('fuzz', 'offset 0', 'FAILED')):
        raise Failed([line for line in said.splitlines() if 'applying' not in line])
    paths = sorted({p for t in series.topics() for p in t.changes() + t.files})
    mail.same(tree, wanted, paths, 'what scripts/apply gives')
    theirs = [line for line in theirs.splitlines() if line.strip() and line[0] != '#']
    return f'{version(dsc)}: {len(ours.split())} patches after its own {len(theirs)}, {len(paths)} files'
