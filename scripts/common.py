# SPDX-License-Identifier: GPL-2.0
"""Where things are, and how programs are run."""
import os
import re
import shutil
import subprocess

import series

BUILD = series.BUILD
LINUX = os.path.join(BUILD, 'linux')
MAILS = os.path.join(BUILD, 'series')
CHECK = os.path.join(BUILD, 'check')
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
# In the hunks of MAINTAINERS. The mails have their sender there.
MAINTAINER = '@MAINTAINER@'


class Failed(Exception):
    """What a check found: lines."""


class Skipped(Exception):
    """Why a check cannot be made for this kernel, or with these tools."""


def last_test():
    """The sum of the last "make test", if that was of the series as it is and nothing failed."""
    try:
        with open(os.path.join(BUILD, 'log', 'result'), encoding='utf-8') as f:
            digest, result = f.read().splitlines()
    except (FileNotFoundError, ValueError):
        raise Failed(['there is no result of all tests; run "make test"']) from None
    if digest != series.digest():
        raise Failed(['the series has changed since its last test; run "make test"'])
    if ', 0 failed, ' not in result:
        raise Failed([f'the last "make test" failed: {result}'])
    return result


def pristine():
    """The unchanged sources that those with the series were made from."""
    try:
        with open(os.path.join(BUILD, 'linux.source'), encoding='utf-8') as f:
            tree = f.read().strip().split(' ', 2)[2]
    except FileNotFoundError:
        raise Failed([f'there are no sources of Linux {series.VERSION} in build/; run "make image"']) from None
    # It would be compared with itself.
    found = [path for topic in series.topics() for path in topic.files
             if os.path.exists(os.path.join(tree, path))]
    if found:
        raise Failed([f'{tree} has {found[0]} already; name a tree without the series'])
    return tree


def copy_pristine(tree):
    """Make TREE a copy of those sources, of hard links: nothing writes into a file in place."""
    new = f'{tree}.new'
    for old in (tree, new):
        shutil.rmtree(old, ignore_errors=True)
    os.makedirs(os.path.dirname(tree), exist_ok=True)
    output('cp', '-al', pristine(), new)
    os.rename(new, tree)


def apply_to(topic, tree):
    """Apply the series up to a topic to TREE, which copy_pristine() made."""
    output(os.path.join(series.ROOT, 'scripts', 'apply'), '--from', pristine(), '--to', topic, tree)


# What the report shows below the line of the check that runs.
notes = []


def progress(text):
    """Print what a long check is doing."""
    print(f'        {text}', flush=True)


def note(text):
    """Print something that belongs to the result, and keep it for the report."""
    progress(text)
    notes.append(text)


def output(*argv, cwd=None, status=(0,), **options):
    """What a program prints; Failed if it ends with another STATUS."""
    if not shutil.which(argv[0], path=os.environ['PATH'] + ':' + (cwd or '')):
        raise Failed([f'{argv[0]} is not installed'])
    done = subprocess.run(argv, cwd=cwd, text=True, check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    if done.returncode not in status:
        lines = done.stdout.splitlines()
        raise Failed([line for line in lines if 'rror' in line][:10] or lines[-10:] or
                     [f'{argv[0]} ended with {done.returncode}'])
    return done.stdout


def make(tree, obj, *args):
    """What kbuild prints; Failed if it fails."""
    # Kernels are compared: who built them and when must make no difference.
    env = dict(os.environ, PATH=series.PATH, KBUILD_BUILD_TIMESTAMP='1970-01-01', KBUILD_BUILD_USER='pks',
               KBUILD_BUILD_HOST='pks', KBUILD_BUILD_VERSION='1')
    return output('make', '-C', tree, f'O={obj}', f'-j{os.cpu_count()}', *args, env=env)


def debian_sites(fields):
    """Where this machine has its Debian packages from, in these fields of "apt-get indextargets"."""
    # The origin is the last, as it can have blanks in it: that of backports does.
    said = output('apt-get', 'indextargets', '--format', f'$(CREATED_BY) {fields} $(ORIGIN)')
    sites = sorted(set(re.findall(r'^Packages (.*) Debian$', said, re.M)))
    if not sites:
        raise Failed(['apt-get knows no Debian packages; run "apt-get update"'])
    return sites


def apt_options(apt, sites):
    """Options for apt-get with which it knows these SITES alone. Its lists are in the folder APT."""
    os.makedirs(os.path.join(apt, 'lists', 'partial'), exist_ok=True)
    os.makedirs(os.path.join(apt, 'cache', 'archives', 'partial'), exist_ok=True)
    with open(os.path.join(apt, 'sources.list'), 'w', encoding='utf-8') as f:
        f.writelines(f'{site}\n' for site in sorted(sites))
    return [f'-oDir::Etc::sourcelist={apt}/sources.list', '-oDir::Etc::sourceparts=/dev/null',
            f'-oDir::State::lists={apt}/lists', f'-oDir::Cache={apt}/cache',
            '-oAPT::Sandbox::User=root']


def apt_source(apt, release=None):
    """Options for apt-get with which it finds source packages. With a RELEASE, such as "bookworm",
    they are those of that release, from the same places as those of this machine."""
    return apt_options(apt, {
        f'deb-src {uri} {release or suite} {component}' for codename, uri, suite, component in
        map(str.split, debian_sites('$(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)'))
        # A mirror of updates need not have those of another release.
        if not release or '-' not in codename})


def apt_binary(apt, suite):
    """Options for apt-get with which it finds the packages of a SUITE, such as "trixie-backports"."""
    return apt_options(apt, {
        f'deb [signed-by={KEYRING}] {uri} {suite} main' for codename, uri in
        map(str.split, debian_sites('$(CODENAME) $(REPO_URI)')) if '-' not in codename})


def mails():
    """The patches, without the cover letter."""
    return sorted(os.path.join(MAILS, name) for name in os.listdir(MAILS) if name[:4] != '0000')
