# SPDX-License-Identifier: GPL-2.0
"""Type what the README tells a user to type, on a new machine: a chroot of a Debian release that
has nothing but what debootstrap installs. It is on the network as this machine is, and gets its
packages from where this machine has them from."""
import os
import re
import shutil
import subprocess

import series
from checks import guests
from common import CHECK, Failed, debian_sites, last_test, note, output, progress

README = os.path.join(series.ROOT, 'README.md')
# The parts of a release that a new machine gets its packages from.
PARTS = ('', '-updates', '-security')
# In namespaces of their own: all mounts and processes in there are gone when unshare ends, and
# that ends with this program.
ISOLATED = ('setpriv', '--pdeathsig', 'KILL',
            'unshare', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child')
# Gives the chroot $0 what a machine has, and runs the command $2 in the folder $1.
ENTER = '''
mount -t proc proc "$0/proc"
mount --rbind /sys "$0/sys"
mount --rbind /dev "$0/dev"
chroot "$0" sh -c "cd $1 && $2"
'''
# What a login gives, and the way to the mirror.
ENVIRONMENT = {'HOME': '/root', 'LANG': 'C.UTF-8', 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
               **{name: value for name, value in os.environ.items() if name.lower().endswith('_proxy')}}


def readme():
    """The commands that the README names, and the sum of the tests that it promises."""
    with open(README, encoding='utf-8') as f:
        part = f.read().partition('\n## Two commands\n')[2].partition('\n## ')[0]
    commands = [''.join(m) for m in re.findall(r'`(apt install [^`]+)`|^    (make \w+)$', part, re.M)]
    sums = re.findall(r'^    (\d+ passed, .*)$', part, re.M)
    if [c.split()[:2] for c in commands] != [['apt', 'install'], ['make', 'run'], ['make', 'test']] or len(sums) != 1:
        raise Failed([f'"Two commands" of {README} is not in the form that this check can read: '
                      f'{"; ".join(commands + sums)}'])
    return commands, sums[0]


def mirrors(codename):
    """The lines of sources.list for this release, with the mirrors of the host's own release."""
    lines = []
    for site in debian_sites('$(REPO_URI) $(CODENAME)'):
        uri, host = site.split()
        part = re.sub('^[^-]*', '', host)
        if part in PARTS:
            lines.append((PARTS.index(part), f'deb {uri} {codename}{part} main'))
    return [line for _, line in sorted(lines)]


class Machine:
    """A chroot of the release CODENAME, in build/check/NAME."""

    def __init__(self, name, codename):
        self.root = os.path.join(CHECK, name)
        self.log = f'{self.root}.log'
        self.sources = mirrors(codename)
        self.codename = codename

    def run(self, *argv, what=None, status=(0,)):
        """What a program prints; the log has it, too."""
        what = what or ' '.join(argv)
        with open(self.log, 'a+', encoding='utf-8', errors='replace') as f:
            f.write(f'$ {what}\n')
            f.flush()
            start = f.tell()
            done = subprocess.run([*ISOLATED, *argv], env=ENVIRONMENT, check=False, stdin=subprocess.DEVNULL,
                                  stdout=f, stderr=subprocess.STDOUT)
            f.seek(start)
            said = f.read()
        if done.returncode not in status:
            raise Failed([f'"{what}" ended with {done.returncode}; the log is {self.log}'] +
                         said.splitlines()[-10:])
        return said

    def type(self, command, folder='', **options):
        """What a command prints that root types on it, in a folder of root's."""
        return self.run('sh', '-euc', ENTER, self.root, f'/root/{folder}', command, what=command, **options)

    def install(self):
        """Make it as new. Of a former run, only what debootstrap made is used again."""
        for old in (self.root, f'{self.root}.new', self.log):
            output('rm', '-rf', old)
        os.makedirs(CHECK, exist_ok=True)
        archive = f'{self.root}.tar'
        if not os.path.exists(archive):
            progress(f'debootstrap {self.codename} (1 minute)')
            new = f'{self.root}.new'
            self.run('debootstrap', '--variant=minbase', self.codename, new, self.sources[0].split()[1])
            output('tar', '--numeric-owner', '-C', new, '-cf', f'{archive}.new', '.')
            os.rename(f'{archive}.new', archive)
            shutil.rmtree(new)
        os.makedirs(self.root)
        output('tar', '--numeric-owner', '-xpf', archive, '-C', self.root)
        # Host names and proxies as here. Nobody is there to say yes to apt.
        for name in ('hosts', 'resolv.conf'):
            shutil.copyfile(f'/etc/{name}', os.path.join(self.root, 'etc', name))
        options = re.findall(r'^Acquire::(?:https?|Check-).*', output('apt-config', 'dump', 'Acquire'), re.M)
        apt = os.path.join(self.root, 'etc', 'apt')
        for name, lines in (('sources.list', self.sources),
                            ('apt.conf.d/90check', [*options, 'APT::Get::Assume-Yes "true";'])):
            with open(os.path.join(apt, name), 'w', encoding='utf-8') as f:
                f.write('\n'.join(lines) + '\n')
        self.type('apt-get update')


def fresh(name, codename):
    """Type what the README says on a new machine, and compare what comes of it."""
    if os.geteuid():
        raise Failed([f'only root can make a chroot; run "make check CHECKS={name}" as root'])
    (install, *makes), promised = readme()
    expected = {'"make test" on this machine': last_test()}
    if series.VERSION == series.DEFAULT:
        expected['README.md'] = promised
    else:
        makes = [f'{command} LINUX={series.VERSION}' for command in makes]
    if output(*series.GIT, 'status', '--porcelain'):
        note('this is HEAD, without the changes that are not committed')
    machine = Machine(name, codename)
    machine.install()
    progress(install)
    machine.type(install)
    output(*series.GIT, 'bundle', 'create', '-q', os.path.join(machine.root, 'root', 'bundle'), 'HEAD')
    machine.type('git clone -q bundle repository')
    run, test = makes
    progress(f'{run} (3 to 10 minutes)')
    said = machine.type(run, 'repository')
    if not re.search(r'^PKS works: (\d+) of \1 steps .*^PASS\. ', said, re.M | re.S):
        raise Failed([f'"{run}" does not end with PASS; the log is {machine.log}'])
    progress(f'{test} (2 minutes)')
    said = machine.type(test, 'repository', status=(0, 2))
    try:
        result = guests.summed(said)
        for where, other in expected.items():
            if result != other:
                raise Failed([f'{result}, but {where} says {other}'])
    except Failed as e:
        raise Failed(e.args[0] + [f'the log is {machine.log}, the machine {machine.root}']) from None
    packages = machine.type("dpkg-query -W -f '${Package} ${Version}, ' gcc linux-source-[0-9]* qemu-system-x86")
    shutil.rmtree(machine.root)
    return f'{"; ".join([install, *makes])}: {result}; {packages.strip(", ")}'


def debian12():
    return fresh('debian12', 'bookworm')


def debian13():
    return fresh('debian13', 'trixie')
