# SPDX-License-Identifier: GPL-2.0
"""Kernels whose sources differ from the series: broken ones, and one that counts.

They are built where scripts/build builds, or in the folders of a variant, where all but
a file or two is built already. Afterwards the sources are put back. If this is interrupted,
scripts/build puts them back: each target starts with it."""
import contextlib
import os
import re
import shutil
import subprocess

import series
from common import BUILD, LINUX

OBJ = os.path.join(BUILD, 'obj')
LOG = os.path.join(BUILD, 'log', 'altered.log')


def substitute(text, pattern, replacement, where):
    """The text with the one match replaced."""
    changed, count = re.subn(pattern, replacement, text, flags=re.S)
    if count != 1:
        raise ValueError(f'"{pattern}" matches {count} times in {where}, not once')
    return changed


def write(path, text):
    """Write a new file in place of the old one, to which other trees may have hard links."""
    with open(path + '.new', 'w', encoding='utf-8') as f:
        f.write(text)
    os.replace(path + '.new', path)


@contextlib.contextmanager
def sources(*changes):
    """Make these CHANGES (file, pattern, replacement) to the sources, and undo them at the end."""
    kept = {}
    try:
        for name, pattern, replacement in changes:
            path = os.path.join(LINUX, name)
            with open(path, encoding='utf-8') as f:
                text = f.read()
            kept.setdefault(path, text)
            write(path, substitute(text, pattern, replacement, name))
        yield
    finally:
        for path, text in kept.items():
            write(path, text)


def build(folder, out=BUILD):
    """Build, into a FOLDER to boot from; False if it does not compile. OUT has the objects,
    and the rest of the image."""
    with open(LOG, 'w', encoding='utf-8') as f:
        done = subprocess.run(['make', '-C', LINUX, f'O={out}/obj', f'-j{os.cpu_count()}', 'bzImage'],
                              stdout=f, stderr=f, check=False, env=dict(os.environ, PATH=series.PATH))
    if done.returncode:
        return False
    os.makedirs(folder, exist_ok=True)
    for path in (os.path.join(out, 'obj', 'arch', 'x86', 'boot', 'bzImage'),
                 *(os.path.join(out, 'image', name) for name in ('initramfs.cpio.gz', 'cmdline'))):
        shutil.copy(path, folder)
    return True
