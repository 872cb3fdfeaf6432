# SPDX-License-Identifier: GPL-2.0
"""The patch series: which topics in which order, and what belongs to each."""
import hashlib
import os
import re
import shutil

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATCHES = os.path.join(ROOT, 'patches', '6.12')
# The search path with ccache, if that is installed; see scripts/build.
PATH = '/usr/lib/ccache:' + os.environ.get('PATH', '/usr/bin:/bin')
# Git in this repository, whoever owns its folder.
GIT = ('git', '-c', 'safe.directory=*', '-C', ROOT)
# Folders of this repository that mirror the kernel tree.
MIRROR = ('arch', 'include', 'lib', 'kernel', 'mm', 'Documentation/arch', 'tools')


class Error(Exception):
    """Something that the user has to know, in one line."""


class Topic:
    """One patch and the new files that arrive with it."""

    def __init__(self, name, files):
        self.name = name
        self.files = files
        self.patch = os.path.join(PATCHES, name + '.patch')

    def text(self):
        """The patch, message and hunks."""
        with open(self.patch, encoding='utf-8') as f:
            return f.read()

    def message(self):
        """Subject and body."""
        head = self.text().partition('\n---\n')[0]
        subject, _, body = head.partition('\n\n')
        return subject.removeprefix('Subject: '), body.strip()

    def changes(self):
        """The existing files that the hunks change."""
        return re.findall(r'^\+\+\+ b/(\S+)', self.text(), re.M)


def topics():
    """All topics in order."""
    result = []
    path = os.path.join(PATCHES, 'series')
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            words = line.split('#')[0].split()
            if not words:
                continue
            # A line that is indented goes on with the files of its topic.
            if line[0].isspace():
                if not result:
                    raise Error(f'{path}:{number}: files without a topic')
                result[-1].files += words
            else:
                result.append(Topic(words[0], words[1:]))
    return result


def digest():
    """Names this state of the series: its patches and its new files."""
    state = hashlib.sha256()
    for topic in topics():
        for path in (topic.patch, *(os.path.join(ROOT, f) for f in topic.files)):
            with open(path, 'rb') as f:
                state.update(f.read())
    return state.hexdigest()[:12]


# The file with the digest, in a tree that "apply --from" has made.
STATE = '.pks-digest'


def built():
    """The state that build/linux has, and with it all that is built and booted."""
    try:
        with open(os.path.join(ROOT, 'build', 'linux', STATE), encoding='utf-8') as f:
            return f.read().strip()
    except FileNotFoundError:
        return None


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
    """The kernel files that this repository contains whole."""
    found = []
    for top in MIRROR:
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(found)
