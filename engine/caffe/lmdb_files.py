"""LMDB databases of strangers: checked page by page before the library maps them.

The library trusts a database: a page number beyond the end of the file ends the process with SIGBUS, a damaged page
with SIGSEGV or a failed assertion, a page that leads back to itself never ends. `check` walks the tree of the main
database once, without the records' large values, and refuses what the library could not read.

The format is that of LMDB's version 1 (mdb.c, "Page header", "Node header", MDB_meta, MDB_db): pages of one size; a
header of 16 bytes (number u64, pad u16, flags u16, lower and upper bound of the free space u16); then the places of
the nodes (u16) up to the lower bound; a node is lo, hi, flags, key size (u16), key, value. In a branch lo, hi and
flags are the number of a page; in a leaf lo and hi are the size of a value, which lies there, or on pages of its own.
"""

import mmap
import os
import struct

import lmdb
import numpy as np

from .errors import DatabaseError

BRANCH, LEAF, META = 0x01, 0x02, 0x08  # flags of pages
LEAF2, SUBPAGE = 0x20, 0x40
BIG = 0x01  # flag of a node: its value has pages of its own
DUPLICATES = 0x04 | 0x10 | 0x20 | 0x40  # flags of a database whose keys hold several values
HEADER, NODE = 16, 8  # bytes
MAGIC, VERSION, NOTHING = 0xBEEFC0DE, 1, 2**64 - 1
MOST_DEPTH = 31  # pages that the library's cursors remember, less one


class _Damaged(ValueError):
    """What is wrong with a page."""


def open_database(path, readahead=False):
    """A checked LMDB environment, for reading.

    Parameters
    ----------
    path : str
        Folder of a database, or its file.

    Returns
    -------
    lmdb.Environment

    Raises
    ------
    DatabaseError
        No database, or a damaged one.
    """
    check(path)
    try:
        return lmdb.open(path, readonly=True, lock=False, readahead=readahead, subdir=os.path.isdir(path), create=False)
    except (lmdb.Error, OSError) as error:
        raise DatabaseError(f"cannot open the LMDB '{path}': {error}") from error


def check(path):
    """Refuse what is not an LMDB database, or one that is truncated or damaged; the number of records.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    int

    Raises
    ------
    DatabaseError
    """
    file_name = os.path.join(path, "data.mdb") if os.path.isdir(path) else path
    if not os.path.isfile(file_name):
        what = "it is not a regular file" if os.path.exists(file_name) else "there is no such file or folder"
        raise DatabaseError(f"cannot open the LMDB '{path}': {file_name}: {what}")
    try:
        with open(file_name, "rb") as file:
            if os.fstat(file.fileno()).st_size < 2 * 512:
                raise _Damaged("it is shorter than the head of a database")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Tree(data).count()
    except OSError as error:
        raise DatabaseError(f"cannot open the LMDB '{path}': {error.strerror or error}") from error
    except _Damaged as error:
        raise DatabaseError(f"cannot open the LMDB '{path}': {error}; it is truncated, damaged or not an LMDB; make or "
                            "copy it again") from None


class _Tree:
    """The main database of a mapped file."""

    def __init__(self, data):
        self.data = data
        first = self._meta(0)
        self.page = first["page"]
        second = self._meta(self.page)
        if second["page"] != self.page:
            raise _Damaged(f"its two heads differ in the size of pages, {self.page} and {second['page']}")
        self.meta = second if first["transaction"] < second["transaction"] else first
        self.pages = len(data) // self.page
        if (self.meta["last"] + 1) * self.page >= 1 << 46:
            raise _Damaged(f"it claims {self.meta['last'] + 1} pages of {self.page} bytes")
        self.pages = min(self.pages, self.meta["last"] + 1)

    def _meta(self, at):
        if at + HEADER + 136 > len(self.data):
            raise _Damaged("it is shorter than the head of a database")
        flags = struct.unpack_from("<H", self.data, at + 10)[0]
        magic, version = struct.unpack_from("<II", self.data, at + HEADER)
        if magic != MAGIC or version != VERSION or not flags & META:
            raise _Damaged("it does not begin as a database of LMDB's version 1 does")
        page = struct.unpack_from("<I", self.data, at + HEADER + 24)[0]
        if not 512 <= page <= 65536 or page & (page - 1):
            raise _Damaged(f"its pages have {page} bytes")
        _, kind, depth, _, _, _, entries, root = struct.unpack_from("<IHHQQQQQ", self.data, at + HEADER + 72)
        last, transaction = struct.unpack_from("<QQ", self.data, at + HEADER + 120)
        if kind & DUPLICATES:
            raise _Damaged("its keys hold several values")
        return {"page": page, "depth": depth, "entries": entries, "root": root, "last": last,
                "transaction": transaction}

    def count(self):
        """Walk the tree; its records."""
        meta, found, seen = self.meta, 0, set()
        if meta["root"] == NOTHING:
            if meta["entries"]:
                raise _Damaged(f"it claims {meta['entries']} records, but has no pages")
            return 0
        if not 1 <= meta["depth"] <= MOST_DEPTH:
            raise _Damaged(f"its tree is {meta['depth']} pages deep")
        todo = [(meta["root"], 1)]
        while todo:
            number, depth = todo.pop()
            if number in seen:
                raise _Damaged(f"page {number} is reached twice")
            seen.add(number)
            flags, places, nodes = self._read(number)
            leaf = depth == meta["depth"]
            if flags & (BRANCH | LEAF | LEAF2 | SUBPAGE) != (LEAF if leaf else BRANCH):
                raise _Damaged(f"page {number} has flags {flags:#x} at depth {depth} of {meta['depth']}")
            if len(places) < (1 if leaf else 2):
                raise _Damaged(f"page {number} has {len(places)} entries")
            if leaf:
                self._check_values(number, places, nodes)
                found += len(places)
            else:
                low, high, top, _ = nodes
                todo += [(int(child), depth + 1) for child in low | high << 16 | top << 32]
        if found != meta["entries"]:
            raise _Damaged(f"it claims {meta['entries']} records, but holds {found}")
        return found

    def _read(self, number):
        """Flags of a page, places of its nodes, and their four numbers as arrays of int64; all lie in the page."""
        if not 1 < number < self.pages:
            raise _Damaged(f"page {number} is not in the file, which has {self.pages}")
        begin = number * self.page
        own, _, flags, lower, upper = struct.unpack_from("<QHHHH", self.data, begin)
        if own != number or not HEADER <= lower <= upper <= self.page or lower % 2:
            raise _Damaged(f"page {number} is damaged")
        page = np.frombuffer(self.data[begin : begin + self.page], np.uint8)
        places = page[HEADER:lower].view("<u2").astype(np.int64)
        if len(places) and (places.min() < upper or places.max() > self.page - NODE or (places % 2).any()):
            raise _Damaged(f"page {number} has entries outside itself")
        nodes = page[places[:, None] + np.arange(NODE)].reshape(-1).view("<u2").astype(np.int64).reshape(-1, 4).T
        if (places + NODE + nodes[3] > self.page).any():
            raise _Damaged(f"page {number} has keys outside itself")
        return flags, places, nodes

    def _check_values(self, number, places, nodes):
        low, high, flags, key = nodes
        size, ends = low | high << 16, places + NODE + key
        if (flags & ~BIG).any():
            raise _Damaged(f"page {number} has records of another kind than key and value")
        big = (flags & BIG).astype(bool)
        if (np.where(big, ends + 8, ends + size) > self.page).any():
            raise _Damaged(f"page {number} has values outside itself")
        for end, length in zip(ends[big].tolist(), size[big].tolist(), strict=True):
            first = struct.unpack_from("<Q", self.data, number * self.page + end)[0]
            count = -(-(HEADER + length) // self.page)
            if not 1 < first <= first + count <= self.pages:
                raise _Damaged(f"a value on pages {first} to {first + count - 1} is not in the file, which has "
                               f"{self.pages}")
