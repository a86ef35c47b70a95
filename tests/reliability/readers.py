"""What the fuzzer reads: one function a reader, with undamaged files to begin from.

A new reader is one function in a module that READERS names:

    @reader(seeds=lambda: [path.read_bytes() for path in DATA.glob("*.npz")], refuses=UserError)
    def cue_file(path):
        load_cues(path)

It is called with the path of a damaged file and may do what it likes with it: return, or raise one of `refuses` with
a message of one line. Everything else is a fault: another exception, a signal, more than five seconds of processor
time or a gigabyte of memory. Beside damage to bytes, `damage` names functions that know the form of the file, as those
of tests/reliability/damaged_*.py do.
"""

import importlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"
#: modules whose readers are run
MODULES = tuple(f"tests.reliability.{kind}_readers" for kind in ("engine", "array", "weight", "picture", "text",
                                                                 "record"))
READERS = {}


@dataclass
class Reader:
    """A reader and what it begins from; see `reader`."""

    name: str
    function: object
    make_seeds: object
    refuses: tuple
    suffix: str
    damage: tuple = ()

    @cached_property
    def seeds(self):
        """Contents of undamaged files."""
        seeds = list(self.make_seeds())
        assert seeds, f"the reader {self.name} has no seeds"
        return seeds

    def read(self, data):
        """Read the bytes as a file of their own."""
        folder = os.path.join(tempfile.gettempdir(), f"fuzz-{os.getpid()}")
        os.mkdir(folder)
        try:
            path = os.path.join(folder, f"input{self.suffix}")
            with open(path, "wb") as file:
                file.write(data)
            self.function(Path(path))
        finally:
            _remove(folder, path)


def _remove(folder, path):
    """Remove a folder, which mostly holds one file."""
    try:
        os.unlink(path)
        os.rmdir(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def reader(seeds, refuses, suffix="", damage=()):
    """Decorator: a function of a path that reads a file.

    Parameters
    ----------
    seeds : function
        Returns the contents of undamaged files, a list of bytes; asked for once, at the first use.
    refuses : exception class or tuple of them
        How the function says that it does not take a file.
    suffix : str
        Of the file's name.
    damage : sequence of functions (bytes, random.Random) -> bytes
        Damage that keeps the form of these files.
    """
    refuses = refuses if isinstance(refuses, tuple) else (refuses,)

    def add(function):
        READERS[function.__name__] = Reader(function.__name__, function, seeds, refuses, suffix,
                                            tuple(damage))
        return function

    return add


def made_in_folder(make):
    """Seeds that a function yields which writes files into a folder of its own."""
    def seeds():
        with tempfile.TemporaryDirectory() as folder:
            return list(make(Path(folder)))
    return seeds


def all_readers():
    """Name -> Reader of every module in MODULES."""
    for module in MODULES:
        importlib.import_module(module)
    return dict(READERS)
