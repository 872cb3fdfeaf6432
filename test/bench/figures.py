# SPDX-License-Identifier: GPL-2.0
"""The figures of "make bench": reading, the table and the plots."""
import csv
import os
import re
import subprocess
import textwrap

FIELDS = ('kernel', 'cpus', 'name', 'n', 'instructions', 'ipis', 'writes')

CPUS = ('1', '2', '4')
# What is compared with the unpatched kernel, and what it is called.
EVENTS = (('int3', 'exception (int3)'), ('irq-work', 'IPI to self'), ('timer', 'timer interrupt'),
          ('nmi', 'NMI'), ('fault-kernel', 'page fault of the kernel'),
          ('fault-user', 'page fault of user space'), ('switch', 'two switches, kthreads'),
          ('pipe-switch', 'two switches, a pipe'), ('syscall', 'system call'),
          ('fork-exit', 'fork and exit'), ('fork-exec', 'fork, exec and exit'))
WAYS = (('window', 'window, constant key'), ('window-runtime', 'window, key of run time'),
        ('same', 'same value, constant key'), ('same-runtime', 'same value, key of run time'),
        ('cr0-wp', 'CR0.WP off and on'), ('text-poke', 'text_poke_copy(), one byte'),
        ('set-memory-vmalloc', 'set_memory_ro() and _rw(), vmalloc'),
        ('set-memory-direct', 'set_memory_ro() and _rw(), direct map'))


# With more CPUs these depend on what the scheduler finds on the others.
ONE_CPU = ('switch', 'pipe-switch', 'fork')
# What depends on where memory lies, and on how long others are waited for.
LOOSE = ('fork-exit', 'fork-exec', 'set-memory-vmalloc', 'set-memory-direct', 'text-poke',
         'switch-crowd')


def opened(name):
    """The same event, with a key open."""
    return 'switch-both-open' if name == 'switch' else f'{name}-open'


def exact(key):
    """Whether nothing but the series makes a figure go up."""
    kernel, cpus, name, _ = key
    return kernel != 'unpatched' and name not in LOOSE and \
        (cpus == 1 or name.startswith(('window', 'same')))


def added(figures, key):
    """Instructions, IPIs and PKRS writes, less those of an unpatched kernel if there is
    the same in one."""
    _, cpus, name, n = key
    closed = re.sub(r'(-one|-both)?-open$', '', name)
    base = figures.get(('unpatched', cpus, closed, n), (0, 0, 0))
    return tuple(x - y for x, y in zip(figures[key], base))


def on_each(figures, name, missing=None):
    """Instructions with PKS on, by the number of CPUs."""
    return [figures.get(('on', cpus, name, int(name == 'window')), (missing,))[0]
            for cpus in (1, 2, 4)]


def cpus_text(number):
    """What so many CPUs are called."""
    return f'{number} CPU{"s" if number > 1 else ""}'


def cell(value, width=9):
    """A place in a table."""
    return f'{"-" if value is None else value:>{width}}'


def added_cell(figures, kernel, name):
    """A place in a table, for what is added to an unpatched kernel on one CPU."""
    key = (kernel, 1, name, 0)
    return cell(f'{added(figures, key)[0]:+d}' if key in figures else None, 10)


def ways_line(figures, what, name):
    """The beginning of its line in the table."""
    return f'{what:40}' + ''.join(cell(count) for count in on_each(figures, name))


WAYS_HEAD = f'{"To let code write, and not any more":40}{"1 CPU":>9}{"2 CPUs":>9}{"4 CPUs":>9}'
EVENTS_HEAD = f'{"Added to an unpatched kernel, 1 CPU":40}'


def read(path):
    """What it says of itself, and a dict from (kernel, cpus, name, n) to the counts."""
    with open(path, encoding='utf-8', newline='') as f:
        about, *lines = f.read().splitlines()
    rows = csv.DictReader(lines)
    if rows.fieldnames != list(FIELDS) or not about.startswith('# '):
        raise ValueError(f'{path} is not from "make bench"')
    return about[2:], {(r['kernel'], int(r['cpus']), r['name'], int(r['n'])):
                       tuple(int(r[f]) for f in FIELDS[4:]) for r in rows}


def write(path, about, figures):
    """Write what read() reads."""
    with open(path + '.new', 'w', encoding='utf-8', newline='') as f:
        f.write(f'# {about}\n')
        writer = csv.writer(f, lineterminator='\n')
        writer.writerow(FIELDS)
        writer.writerows((*key, *counts) for key, counts in sorted(figures.items()))
    os.replace(path + '.new', path)


def table(about, figures):
    """The lines of the table."""
    def get(kernel, cpus, name, n=0):
        return figures.get((kernel, cpus, name, n), (None, None, None))

    yield about
    yield ''
    yield f'{WAYS_HEAD}{"IPIs, 4 CPUs":>15}{"writes":>8}'
    for name, what in WAYS:
        n = int(name == 'window')
        yield ways_line(figures, what, name) + \
              cell(get('on', 4, name, n)[1], 15) + cell(get('on', 4, name, n)[2], 8)
    yield ''
    yield f'{EVENTS_HEAD}{"unpatched":>10}{"nopks":>10}{"closed":>10}{"writes":>8}{"open":>10}{"writes":>8}'
    for name, what in EVENTS:
        yield f'{what:40}' + cell(get('unpatched', 1, name)[0], 10) + \
              added_cell(figures, 'nopks', name) + \
              added_cell(figures, 'on', name) + cell(get('on', 1, name)[2], 8) + \
              added_cell(figures, 'on', opened(name)) + cell(get('on', 1, opened(name))[2], 8)
    yield f'{"two switches, one of two open":40}{"":38}' + \
          added_cell(figures, 'on', 'switch-one-open') + cell(get('on', 1, 'switch-one-open')[2], 8)
    yield ''
    for name, what in (('window', 'Window, with so many keys open'),
                       ('switch-crowd', 'Two switches, with so many threads'),
                       ('free-crowd', 'Free and get a key, with so many threads')):
        counts = sorted({key[3] for key in figures if key[2] == name})
        yield f'{what:40}' + ''.join(cell(n) for n in counts)
        for cpus in (1, 2, 4):
            if ('on', cpus, name, counts[0]) in figures:
                yield f'{f"  {cpus_text(cpus)}":40}' + ''.join(cell(get('on', cpus, name, n)[0]) for n in counts)


def excerpt(about, figures):
    """The lines of it that the cover letter quotes, without the columns that make it wide."""
    yield about
    yield ''
    yield WAYS_HEAD
    for name, what in WAYS:
        if name in ('window', 'cr0-wp', 'set-memory-vmalloc'):
            yield ways_line(figures, what, name)
    yield ''
    yield f'{EVENTS_HEAD}{"nopks":>10}{"closed":>10}{"open":>10}'
    for name, what in EVENTS:
        if name in ('int3', 'timer', 'nmi', 'switch', 'syscall'):
            yield f'{what:40}' + added_cell(figures, 'nopks', name) + \
                  added_cell(figures, 'on', name) + added_cell(figures, 'on', opened(name))


def size_table(parts):
    """The lines of the table of sizes."""
    yield f'{"Bytes, of code and of all else":40}{"code":>10}{"data":>10}'
    for what, text, data in parts:
        yield f'{what:40}{text:>10}{data:>10}'


def gnuplot(folder, name, title, script):
    """Draw it twice, as SVG and as PNG. The legend is between the title and the plot."""
    script = f'set termoption noenhanced\nset key above horizontal Left reverse title "{title}"\n{script}'
    for kind, terminal in (('svg', "svg size 900,480 font 'sans,12' background 'white'"),
                           ('png', "png size 900,480 font 'sans,11'")):
        text = f"set terminal {terminal}\nset output '{os.path.join(folder, name)}.{kind}'\n{script}"
        subprocess.run(['gnuplot'], input=text, text=True, check=True)


def block(name, rows):
    """Data for gnuplot."""
    lines = [' '.join(map(str, row)) for row in rows]
    return '\n'.join([f'${name} << EOD', *lines, 'EOD\n'])


def histogram(folder, name, title, bars, rows, options=''):
    """Draw groups of BARS. A row is the label of a group and the heights of its bars."""
    # The labels stand side by side. The widths of all of them make about 108 characters.
    labels = [textwrap.wrap(row[0], 108 // len(rows), break_long_words=False) for row in rows]
    tics = ', '.join('"{}" {}'.format('\\n'.join(lines), at) for at, lines in enumerate(labels))
    plot = ', '.join(f'$rows using {column} title "{bar}"' for column, bar in enumerate(bars, 1))
    gnuplot(folder, name, title, block('rows', (row[1:] for row in rows)) + f'''
set style data histograms
set style fill solid 0.8
set grid y
set xtics scale 0 ({tics})
set bmargin {max(map(len, labels)) + 1}
set xrange [-0.5:{len(rows) - 0.5}]
{options}
plot {plot}
''')


def plots(folder, figures):
    """What the documentation shows."""
    histogram(folder, 'ways', 'Instructions to let code write to a page, and not any more',
              map(cpus_text, (1, 2, 4)),
              [(what, *on_each(figures, name, 'NaN')) for name, what in WAYS if 'same' not in name],
              'set logscale y\nset yrange [8:*]')
    rows = []
    for name, what in EVENTS:
        base = figures[('unpatched', 1, name, 0)][0]
        if name not in ('pipe-switch', 'fork-exit', 'fork-exec'):
            rows.append((what, *(figures.get(key, (base,))[0] - base for key in (
                ('nopks', 1, name, 0), ('on', 1, name, 0), ('on', 1, opened(name), 0)))))
    histogram(folder, 'events', 'Instructions added to an unpatched kernel',
              ('nopks', 'all keys closed', 'a key open'), rows)
    crowd = [(n, *(figures[('on', cpus, 'free-crowd', n)][0] for cpus in (1, 2, 4)),
              figures[('on', 1, 'switch-crowd', n)][0])
             for n in sorted({key[3] for key in figures if key[2] == 'free-crowd'})]
    lines = [f'free and get a key, {cpus_text(cpus)}' for cpus in (1, 2, 4)] + ['two switches, 1 CPU']
    plot = ', '.join(f'$crowd using 1:{column} with linespoints title "{line}"'
                     for column, line in enumerate(lines, 2))
    gnuplot(folder, 'scaling', 'Instructions, while so many threads sleep in a window', block('crowd', crowd) + f'''
set logscale xy
set xrange [1.5:1300]
set yrange [2500:30000]
set ytics (2500, 5000, 10000, 20000)
set xtics ({', '.join(str(row[0]) for row in crowd)})
set grid
set xlabel "threads"
plot {plot}
''')
