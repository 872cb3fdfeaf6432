# SPDX-License-Identifier: GPL-2.0
"""The patch series: which topics in which order, and what belongs to each."""
import glob
import hashlib
import os
import re
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The kernel that is built and tested. A version is a folder of patches/.
with open(os.path.join(ROOT, 'patches', 'default'), encoding='utf-8') as default:
    DEFAULT = default.read().strip()
VERSION = os.environ.get('LINUX') or DEFAULT
BUILD = os.path.join(ROOT, 'build', VERSION)
# The search path with ccache, if that is installed; see scripts/build.
PATH = '/usr/lib/ccache:' + os.environ.get('PATH', '/usr/bin:/bin')
# Git in this repository, whoever owns its folder.
GIT = ('git', '-c', 'safe.directory=*', '-C', ROOT)
# What is not of the kernel at the top.
OWN = {'.ci', '.git', 'build', 'docs', 'patches', 'scripts', 'test'}


class Error(Exception):
    """Something that the user has to know, in one line."""


class Topic:
    """One patch and the new files that arrive with it."""

    def __init__(self, folder, name, group, files):
        self.name = name
        self.group = group
        self.files = files
        self.patch = os.path.join(folder, name + '.patch')

    def text(self):
        """The patch, message and hunks."""
        with open(self.patch, encoding='utf-8') as f:
            return f.read()

    def message(self):
        """Subject and body."""
        head = re.split(r'^(?:---$|diff |--- a/)', self.text(), maxsplit=1, flags=re.M)[0]
        subject, _, body = head.partition('\n\n')
        return subject.removeprefix('Subject: '), body.strip()

    def changes(self):
        """The existing files that the hunks change."""
        return re.findall(r'^\+\+\+ b/(\S+)', self.text(), re.M)


def versions():
    """The kernels that there are patches for, the oldest first."""
    found = [os.path.basename(os.path.dirname(path)) for path in
             glob.glob(os.path.join(ROOT, 'patches', '*', 'series'))]
    for version in found:
        if not re.fullmatch(r'\d+\.\d+', version):
            raise Error(f'patches/{version} is not named like a version of Linux, such as {DEFAULT}')
    return sorted(found, key=lambda version: [int(number) for number in version.split('.')])


def patches(version=VERSION):
    """The folder of all that depends on the kernel VERSION."""
    if version not in versions():
        raise Error(f'there are no patches for Linux {version}, but for {" and ".join(versions())}')
    return os.path.join(ROOT, 'patches', version)


def source():
    """The PACKAGE of Debian that has the sources, and the SUITE, "" if that is the machine's own."""
    with open(os.path.join(patches(), 'kernel'), encoding='utf-8') as f:
        return dict(line.strip().split('=') for line in f if '=' in line and line[0] != '#')


def groups():
    """The group and the new files of each topic, in the order of topics, from patches/topics."""
    found, last = {}, None
    path = os.path.join(ROOT, 'patches', 'topics')
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            words = line.split('#')[0].split()
            # A line that is indented goes on with the files of its topic.
            if words and line[0].isspace():
                if last is None:
                    raise Error(f'{path}:{number}: files without a topic')
                last.extend(words)
            elif words:
                group, name, *last = words
                found[name] = group, last
    return found


def topics(version=VERSION):
    """The topics of the series for the kernel VERSION, in order: what quilt calls a series file."""
    folder, known = patches(version), groups()
    with open(os.path.join(folder, 'series'), encoding='utf-8') as f:
        names = [line.strip().removesuffix('.patch') for line in f if line.strip() and line[0] != '#']
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Error(f'{folder}/series names {unknown[0]}, which patches/topics does not; add a line for it there')
    return [Topic(folder, name, *known[name]) for name in names]


def digest(version=VERSION):
    """Names this state of the series: its patches and its new files."""
    state = hashlib.sha256()
    for topic in topics(version):
        for path in (topic.patch, *(os.path.join(ROOT, f) for f in topic.files)):
            with open(path, 'rb') as f:
                state.update(f.read())
    return state.hexdigest()[:12]


# The file with the digest, in a tree that "apply --from" has made.
STATE = '.pks-digest'


def built():
    """The state that the patched sources have, and with them all that is built and booted."""
    try:
        with open(os.path.join(BUILD, 'linux', STATE), encoding='utf-8') as f:
            return f.read().strip()
    except FileNotFoundError:
        return None


def linux_version(tree):
    """The version of a source tree, such as 6.12.1."""
    try:
        with open(os.path.join(tree, 'Makefile'), encoding='utf-8') as f:
            text = f.read()
        return '.'.join(re.search(rf'^{key} = *(\d+)$', text, re.M)[1]
                        for key in ('VERSION', 'PATCHLEVEL', 'SUBLEVEL'))
    except (OSError, TypeError):
        raise Error(f'{tree} is not a Linux source tree') from None


def copy_in(source, folder, paths):
    """Copy the files that exist."""
    for path in paths:
        if os.path.exists(os.path.join(source, path)):
            target = os.path.join(folder, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(os.path.join(source, path), target)


def git_env(name, mail):
    """What git needs in a repository made for the purpose: nothing of the user's."""
    env = dict(os.environ, GIT_CONFIG_GLOBAL='/dev/null', GIT_CONFIG_SYSTEM='/dev/null')
    for who in ('AUTHOR', 'COMMITTER'):
        env.update({f'GIT_{who}_NAME': name, f'GIT_{who}_EMAIL': mail})
    return env


def new_files():
    """The kernel files that this repository contains whole. A folder that is not the project's
    own is one of the kernel."""
    found = []
    for top in sorted(set(os.listdir(ROOT)) - OWN):
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(found)
