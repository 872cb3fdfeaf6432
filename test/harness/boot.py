# SPDX-License-Identifier: GPL-2.0
"""Boot the image under QEMU's TCG, which has PKS, and write its console to a
log. No device of QEMU is needed for the verdict; see verdict.py for that."""
import gzip
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

import series

# The name of a kernel with another configuration, see scripts/build.
VARIANT = os.environ.get('VARIANT', '')
OUT = os.path.join(series.BUILD, *(['variants', VARIANT] if VARIANT else []))
IMAGE = os.path.join(OUT, 'image')
# "on" or "off": the CPU has FRED, and the kernel uses it or not.
FRED = os.environ.get('FRED', '')
# Debian's QEMU does not have FRED. test/qemu/build makes one that does.
QEMU = os.path.join(series.ROOT, 'build', 'qemu', 'qemu-system-x86_64') if FRED else 'qemu-system-x86_64'
# All CPUs in one thread. With a thread for each, QEMU before 8.1 can translate code
# while another CPU changes it and keep what is no longer there: a jump label that is
# patched becomes an int3 that nobody expects, in a kernel without the series, too.
ONE_THREAD = 'tcg,thread=single'
# KCSAN has to see CPUs run at once. It has not met that race in a boot, but may.
ACCEL = 'tcg,thread=multi' if VARIANT == 'kcsan' else ONE_THREAD


def command(cpu, smp, cmdline, folder=None):
    """The QEMU command line."""
    folder = folder or IMAGE
    if FRED not in ('', 'on', 'off'):
        sys.exit(f'boot: FRED={FRED} is neither on nor off')
    if not shutil.which(QEMU):
        sys.exit(f'boot: {QEMU} is not there; ' +
                 ('run test/qemu/build' if FRED else 'install the package qemu-system-x86'))
    if not os.path.exists(os.path.join(folder, 'cmdline')):
        sys.exit(f'boot: there is no image in {folder}; run "make image"'
                 + (f' with VARIANT={VARIANT}' if VARIANT else ''))
    with open(os.path.join(folder, 'cmdline'), encoding='utf-8') as f:
        default = f.read().strip() + (f' fred={FRED}' if FRED else '')
    # The kernel and the guest's init take the last of two values for one parameter.
    return [QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
            '-machine', 'pc', '-accel', ACCEL, '-cpu', cpu, '-smp', str(smp),
            '-m', '1024' if VARIANT else '512',
            '-kernel', os.path.join(folder, 'bzImage'),
            '-initrd', os.path.join(folder, 'initramfs.cpio.gz'),
            '-append', f'{default} {cmdline}'.strip()]


def image(folder, kernel, files):
    """Make FOLDER one to boot from: the file KERNEL, and the guest's initramfs with
    more files in it, a dict from their paths there to those here."""
    os.makedirs(folder, exist_ok=True)
    listing = os.path.join(folder, 'initramfs.list')
    with open(listing, 'w', encoding='utf-8') as f:
        for path in sorted({os.path.dirname(path) for path in files}):
            f.write(f'dir {path} 755 0 0\n')
        f.writelines(f'file {path} {source} 755 0 0\n' for path, source in files.items())
    more = subprocess.run([os.path.join(OUT, 'obj', 'usr', 'gen_init_cpio'), listing],
                          stdout=subprocess.PIPE, check=True).stdout
    # The kernel unpacks one archive after the other; one that is not compressed
    # would have to be aligned.
    with open(os.path.join(IMAGE, 'initramfs.cpio.gz'), 'rb') as f:
        archive = f.read() + gzip.compress(more, mtime=0)
    with open(os.path.join(folder, 'initramfs.cpio.gz'), 'wb') as f:
        f.write(archive)
    shutil.copyfile(kernel, os.path.join(folder, 'bzImage'))
    shutil.copyfile(os.path.join(IMAGE, 'cmdline'), os.path.join(folder, 'cmdline'))


def stop(number, _frame):
    """Interrupted: take QEMU along."""
    sys.exit(128 + number)


def boot(log, cpu='max', smp=2, cmdline='', timeout=300, show=None, folder=None, options=(), resumes=False):
    """Boot, write the console to the file LOG, and pass each line to SHOW. The image
    is in FOLDER, if not in the usual one; OPTIONS are more of QEMU's. One that RESUMES another
    guest does not say whether it uses FRED: that guest has said so.

    Returns None if the guest powered off by itself, else what went wrong."""
    argv = command(cpu, smp, cmdline, folder) + [*options, '-serial', 'stdio']
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    os.makedirs(os.path.dirname(log), exist_ok=True)
    # pylint: disable=consider-using-with
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    end = time.monotonic() + timeout
    pending = b''
    fred = False
    with open(log, 'wb') as f, selectors.DefaultSelector() as sel:
        sel.register(qemu.stdout, selectors.EVENT_READ)
        try:
            while True:
                if not sel.select(max(0, end - time.monotonic())):
                    return f'the guest hangs: not done after {timeout} s'
                data = os.read(qemu.stdout.fileno(), 65536)
                if not data:
                    break
                f.write(data)
                f.flush()
                *lines, pending = (pending + data).split(b'\n')
                for line in lines:
                    fred |= line.rstrip().endswith(b'guest: fred')
                    if show:
                        show(line.decode(errors='replace').rstrip('\r'))
        finally:
            if sys.exc_info()[0] or time.monotonic() >= end:
                qemu.kill()
            qemu.wait()
    if qemu.returncode:
        return f'{QEMU} ended with status {qemu.returncode}'
    if not resumes and fred != (FRED == 'on'):
        return f'the kernel {"uses" if fred else "does not use"} FRED'
    return None
