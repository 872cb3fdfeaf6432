# SPDX-License-Identifier: GPL-2.0
"""The comments of the interface, and the documentation that takes them in."""
import os
import re
import shutil

import series
from common import BUILD, LINUX, Failed, output, progress


def kernel_doc():
    sources = [f for t in series.topics() for f in t.files if f.endswith(('.c', '.h'))]
    for path in sources:
        said = output(os.path.join(LINUX, 'scripts', 'kernel-doc'), '-none', '-Wall', path, cwd=LINUX)
        if said:
            raise Failed(said.splitlines())
    return f'{len(sources)} files'


def sphinx():
    """Build the chapter of the kernel's documentation that has the series."""
    obj = os.path.join(BUILD, 'htmldocs')
    shutil.rmtree(obj, ignore_errors=True)
    progress('sphinx on Documentation/arch/x86')
    said = output('make', '-C', LINUX, f'O={obj}', 'SPHINXDIRS=arch/x86', 'htmldocs')
    page = os.path.join(obj, 'Documentation', 'output', 'arch', 'x86', 'pks.html')
    found = [line for line in said.splitlines() if 'pks' in line]
    if not os.path.exists(page):
        raise Failed(said.splitlines()[-10:])
    if found:
        raise Failed(found)
    with open(page, encoding='utf-8') as f:
        text = f.read()
    functions = len(re.findall(r'<dt[^>]*id="c\.pks_', text))
    if functions < 5 or 'system-message' in text:
        raise Failed([f'{page}: {functions} functions of 5, or an error message'])
    return f'no warning, {functions} functions'
