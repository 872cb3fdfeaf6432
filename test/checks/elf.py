# SPDX-License-Identifier: GPL-2.0
"""Compare two relocatable x86-64 objects, wherever the linker put things.

Each section is cut into pieces: functions and variables at their symbols,
strings at their ends. A relocation is what it points to, a piece and an offset
in it, not an address. Pieces with the same bytes and the same relocations are
the same, though others before them have grown.
"""
import bisect
import collections
import difflib
import re
import struct

SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_STRINGS = 2, 4, 16, 32
STT_FUNC, STT_SECTION = 2, 3
# In code R_X86_64_PC32 and PLT32 count from the end of the field.
RELATIVE = {2: 4, 4: 4}
# Bytes that a relocation fills in.
WIDTH = collections.defaultdict(lambda: 4, {1: 8, 24: 8, 14: 1, 15: 1, 12: 2, 13: 2})

Section = collections.namedtuple('Section', 'name kind flags data relocs')
Symbol = collections.namedtuple('Symbol', 'name kind section value size')
Piece = collections.namedtuple('Piece', 'key start end')
# Two pieces that should be alike, None where one is missing.
Difference = collections.namedtuple('Difference', 'section code old new')


def plain(name):
    """A symbol without the numbers that make it unique: the compiler's, a counter's,
    and the line's in that of an initcall."""
    name = re.sub(r'(__UNIQUE_ID_\w*?)\d+$', r'\1', name)
    name = re.sub(r'(__initcall__\w+?)__\d+_\d+_', r'\1_', name)
    return re.sub(r'\.\d+$', '', name)


def text(data, start):
    """The string at START."""
    return data[start:data.index(b'\0', start)].decode('latin-1')


class Object:
    """An object file."""

    def __init__(self, path):
        with open(path, 'rb') as f:
            elf = f.read()
        if elf[:6] != b'\x7fELF\2\1':
            raise ValueError(f'{path} is no 64-bit little-endian ELF file')
        offset, = struct.unpack_from('<Q', elf, 40)
        size, count, names = struct.unpack_from('<HHH', elf, 58)
        heads = [struct.unpack_from('<IIQQQQIIQQ', elf, offset + i * size) for i in range(count)]
        if not count:
            raise ValueError(f'{path} has no sections')

        def content(head):
            return b'' if head[1] == SHT_NOBITS else elf[head[4]:head[4] + head[5]]

        strings = content(heads[names])
        self.sections = [Section(text(strings, h[0]), h[1], h[2],
                                 bytes(h[5]) if h[1] == SHT_NOBITS else content(h), []) for h in heads]
        self.symbols = []
        for head in (h for h in heads if h[1] == SHT_SYMTAB):
            strings = content(heads[head[6]])
            self.symbols = [Symbol(plain(text(strings, name)), info & 15, index, value, size)
                            for name, info, _, index, value, size
                            in struct.iter_unpack('<IBBHQQ', content(head))]
        for head in (h for h in heads if h[1] == SHT_RELA):
            self.sections[head[7]].relocs.extend(struct.iter_unpack('<QQq', content(head)))
        for section in self.sections:
            section.relocs.sort()
        labels = collections.defaultdict(lambda: collections.defaultdict(list))
        for symbol in self.symbols:
            if symbol.kind != STT_SECTION and 0 < symbol.section < len(self.sections):
                labels[symbol.section][symbol.value].append(symbol.name)
        self.pieces = [self.cut(s, labels[i]) for i, s in enumerate(self.sections)]
        self.starts = [[p.start for p in pieces] for pieces in self.pieces]

    @staticmethod
    def cut(section, labels):
        """The pieces of a section."""
        if section.flags & SHF_STRINGS and section.flags & SHF_MERGE:
            pieces, start = [], 0
            for string in section.data.split(b'\0')[:-1]:
                pieces.append(Piece((string,), start, start + len(string) + 1))
                start += len(string) + 1
            return pieces
        starts = sorted({0, *(v for v in labels if v < len(section.data))})
        return [Piece(tuple(sorted(labels.get(a, ()))), a, b)
                for a, b in zip(starts, starts[1:] + [len(section.data)])]

    def target(self, kind, number, addend, code):
        """What a relocation, in CODE or in data, points to."""
        symbol = self.symbols[number]
        if symbol.section <= 0 or symbol.section >= len(self.sections):
            return symbol.name, addend
        # The names of labels say nothing.
        if symbol.kind != STT_SECTION and not symbol.name.startswith('.L'):
            return symbol.name, addend
        section = self.sections[symbol.section]
        where = symbol.value + addend + (RELATIVE.get(kind, 0) if code else 0)
        if section.flags & SHF_STRINGS and section.flags & SHF_MERGE and 0 <= where < len(section.data):
            return 'string', text(section.data, where)
        at = max(0, bisect.bisect_right(self.starts[symbol.section], where) - 1)
        pieces = self.pieces[symbol.section]
        start = pieces[at].start if pieces else 0
        return section.name, pieces[at].key if pieces else (), where - start

    def content(self, index, piece):
        """The bytes of a piece without what relocations fill in, and those."""
        section = self.sections[index]
        data = bytearray(section.data[piece.start:piece.end])
        relocs = []
        first = bisect.bisect_left(section.relocs, (piece.start,))
        for offset, info, addend in section.relocs[first:]:
            if offset >= piece.end:
                break
            kind = info & 0xffffffff
            at = offset - piece.start
            data[at:at + WIDTH[kind]] = bytes(WIDTH[kind])
            relocs.append((at, kind, self.target(
                kind, info >> 32, addend, section.flags & SHF_EXECINSTR)))
        return bytes(data), relocs

    def functions(self):
        """How many functions, and the bytes of all code."""
        code = {i for i, s in enumerate(self.sections) if s.flags & SHF_EXECINSTR}
        return (sum(s.kind == STT_FUNC and s.section in code for s in self.symbols),
                sum(len(self.sections[i].data) for i in code))


def compare(old, new):
    """All Differences between two Objects in what is loaded at run time. That of
    a piece which both have is ((bytes, relocations), the same of the other)."""
    def loaded(obj):
        seen = collections.Counter()
        for index, section in enumerate(obj.sections):
            if section.flags & SHF_ALLOC:
                seen[section.name] += 1
                yield (section.name, seen[section.name]), index

    ours, theirs = dict(loaded(old)), dict(loaded(new))
    for name in {**ours, **theirs}:
        a, b = ours.get(name), theirs.get(name)
        present = old.sections[a] if a is not None else new.sections[b]
        code = bool(present.flags & SHF_EXECINSTR)
        if a is None or b is None:
            yield Difference(name[0], code, a and name, b and name)
            continue
        left, right = old.pieces[a], new.pieces[b]
        keys = [p.key for p in left], [p.key for p in right]
        if keys[0] == keys[1]:
            pairs = zip(left, right)
        else:
            pairs = []
            for op, i, j, k, m in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
                if op == 'equal':
                    pairs += zip(left[i:j], right[k:m])
                else:
                    pairs += [(p, None) for p in left[i:j]] + [(None, p) for p in right[k:m]]
        for p, q in pairs:
            if p is None or q is None:
                yield Difference(name[0], code, p and p.key, q and q.key)
                continue
            contents = old.content(a, p), new.content(b, q)
            if contents[0] != contents[1]:
                yield Difference(name[0], code, (p.key, *contents[0]), (q.key, *contents[1]))
