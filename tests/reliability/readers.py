"""What the fuzzer reads: one function a reader, with undamaged files to begin from.

A new reader is one function in a module that READERS names:

    @reader(seeds=lambda: [path.read_bytes() for path in DATA.glob("*.npz")], refuses=UserError)
    def cue_file(path):
        load_cues(path)

It is called with the path of a damaged file and may do what it likes with it: return, or raise one of `refuses` with
a message of one line. Everything else is a fault: another exception, a signal, more than five seconds of processor
time or a gigabyte of memory.
"""

import importlib
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
#: modules whose readers are run
MODULES = ("tests.reliability.engine_readers",)
READERS = {}


@dataclass
class Reader:
    """A reader and what it begins from; see `reader`."""

    name: str
    function: object
    make_seeds: object
    refuses: tuple
    suffix: str

    @cached_property
    def seeds(self):
        """Contents of undamaged files."""
        seeds = list(self.make_seeds())
        assert seeds, f"the reader {self.name} has no seeds"
        return seeds

    def read(self, data):
        """Read the bytes as a file of their own."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / f"input{self.suffix}"
            path.write_bytes(data)
            self.function(path)


def reader(seeds, refuses, suffix=""):
    """Decorator: a function of a path that reads a file.

    Parameters
    ----------
    seeds : function
        Returns the contents of undamaged files, a list of bytes; asked for once, at the first use.
    refuses : exception class or tuple of them
        How the function says that it does not take a file.
    suffix : str
        Of the file's name.
    """
    refuses = refuses if isinstance(refuses, tuple) else (refuses,)

    def add(function):
        READERS[function.__name__] = Reader(function.__name__, function, seeds, refuses, suffix)
        return function

    return add


def all_readers():
    """Name -> Reader of every module in MODULES."""
    for module in MODULES:
        importlib.import_module(module)
    return dict(READERS)
