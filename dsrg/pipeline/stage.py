"""What a stage is: one row of the table in stages.py."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

#: stands in `code` for the engine that nets run on
CAFFE = "caffe"


@dataclass(frozen=True)
class Read:
    """Something that a stage reads.

    Attributes
    ----------
    label : str
        What a plan calls it.
    files : tuple of str
        Names as Run.path takes them, or absolute paths. One file is required, many are photos and the like: one of them
        that is missing is for the stage to complain about.
    listing : str
        Instead, a folder of which the names alone count.
    value : str
        Instead, a text that counts itself.
    """

    label: str
    files: tuple = ()
    listing: str = ""
    value: str = ""

    @property
    def required(self):
        """bool: whether the stage cannot begin without it."""
        return len(self.files) == 1 and self.files[0] == self.label


@dataclass(frozen=True)
class Made:
    """What a stage makes: files, and folders with all that lies in them.

    Attributes
    ----------
    also : tuple of str
        What it may leave besides, and what is set aside with the rest: snapshots on the way, its log.
    """

    files: tuple = ()
    folders: tuple = ()
    also: tuple = ()


@dataclass(frozen=True)
class Stage:
    """One row of the table; the callables take a Run.

    Attributes
    ----------
    group : str
        The word that asks for it, where several stages share one ('segment').
    needs : tuple of str
        Stages that make what it reads.
    code : callable
        Modules that its command imports, CAFFE for the engine, "module:class" for Python layers.
    unkeyed : callable
        Words of the command that its result does not depend on.
    left_out : callable
        Why there is nothing to do, or None.
    always : bool
        It is run each time, and has no stamp.
    shared : bool
        Whether several processes can share its photos (dsrg.io.process_share).
    arguments : str
        Whose arguments in settings.yaml end its command, one of settings.COMMANDS; "" where it takes none.
    also_needs : callable
        Further stages that make what it reads, as the settings of a run ask for.
    """

    name: str
    needs: tuple
    command: Callable
    reads: Callable = lambda run: []
    makes: Callable = lambda run: Made()
    code: Callable = lambda run: ()
    unkeyed: Callable = lambda run: []
    left_out: Callable = lambda run: None
    group: str = field(default="")
    always: bool = False
    also_needs: Callable = lambda run: ()
    shared: bool = False
    arguments: str = ""

    def __post_init__(self):
        object.__setattr__(self, "group", self.group or self.name)


def python(module, *words):
    """The command that runs a module of the project.

    Parameters
    ----------
    module : str
    *words
        Arguments; their str counts.

    Returns
    -------
    list of str
    """
    return [sys.executable, "-m", module, *map(str, words)]


def file(name):
    """One file, which must be there before the stage runs.

    Parameters
    ----------
    name : str
        As Run.path takes it.

    Returns
    -------
    Read
    """
    return Read(name, (name,))


def device(run):
    """Words that tell a command device and precision.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of str
    """
    return ["--device", run.settings.device, "--precision", run.settings.precision]
