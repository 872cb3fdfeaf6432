#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot the image under QEMU's TCG, which has PKS, and write its console to a
log. No device of QEMU is needed for the verdict; see verdict.py for that."""
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGE = os.path.join(ROOT, 'build', 'image')
QEMU = 'qemu-system-x86_64'


def command(cpu, smp, cmdline):
    """The QEMU command line."""
    if not shutil.which(QEMU):
        sys.exit(f'boot: {QEMU} is not installed; install the package qemu-system-x86')
    if not os.path.exists(os.path.join(IMAGE, 'cmdline')):
        sys.exit(f'boot: there is no image in {IMAGE}; run "make image"')
    with open(os.path.join(IMAGE, 'cmdline'), encoding='utf-8') as f:
        default = f.read().strip()
    # Of two values for one parameter the kernel and the guest's init take the last.
    return [QEMU, '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
            '-machine', 'pc', '-accel', 'tcg', '-cpu', cpu, '-smp', str(smp), '-m', '512',
            '-kernel', os.path.join(IMAGE, 'bzImage'),
            '-initrd', os.path.join(IMAGE, 'initramfs.cpio.gz'),
            '-append', f'{default} {cmdline}'.strip()]


def stop(number, _frame):
    """Interrupted: take QEMU along."""
    sys.exit(128 + number)


def boot(log, cpu='max', smp=2, cmdline='', timeout=300, show=None):
    """Boot, write the console to the file LOG, and pass each line to SHOW.

    Returns None if the guest powered off by itself, else what went wrong."""
    argv = command(cpu, smp, cmdline) + ['-serial', 'stdio']
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    os.makedirs(os.path.dirname(log), exist_ok=True)
    # pylint: disable=consider-using-with
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    end = time.monotonic() + timeout
    pending = b''
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
                    if show:
                        show(line.decode(errors='replace').rstrip('\r'))
        finally:
            if sys.exc_info()[0] or time.monotonic() >= end:
                qemu.kill()
            qemu.wait()
    if qemu.returncode:
        return f'{QEMU} ended with status {qemu.returncode}'
    return None


def shell():
    """Boot with the terminal as the guest's console."""
    args = command('max', 2, 'pks.mode=shell kunit.enable=0 loglevel=4 panic_on_warn=0')
    return subprocess.call(args + ['-serial', 'mon:stdio'])


if __name__ == '__main__':
    sys.exit(shell())
