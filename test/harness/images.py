# SPDX-License-Identifier: GPL-2.0
"""What is booted to do more than the tests: modules and a program of a folder."""
import os
import shutil

from harness import scenarios
import series
from common import make, output


def build(name, out, tree, obj, flags=(), more=None):
    """In the folder OUT, an image to boot the kernel of OBJ from, made of TREE. It has
    what the folder NAME of the repository holds: modules, and a program of that name,
    which is compiled with FLAGS. MORE are files by their path in the guest."""
    folder = os.path.join(out, 'modules')
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(series.ROOT, 'test', name), folder, ignore=shutil.ignore_patterns('run', '*.py'))
    make(tree, obj, 'modules_prepare')
    make(tree, obj, f'M={folder}', 'KBUILD_MODPOST_WARN=1', 'modules')
    output('gcc', '-O2', '-Wall', '-Wextra', '-static', *flags,
           f'-I{os.path.join(tree, "tools", "testing", "selftests")}',
           '-o', os.path.join(folder, name), os.path.join(folder, f'{name}.c'))
    files = {f'/{name}/{built}': os.path.join(folder, built) for built in os.listdir(folder)
             if built == name or built.endswith('.ko')}
    image = os.path.join(out, 'image')
    scenarios.boot.image(image, os.path.join(obj, 'arch', 'x86', 'boot', 'bzImage'), {**files, **(more or {})})
    return image
