"""Checks that a command never writes over a file that it reads, under whatever name the file goes."""

import os
from pathlib import Path

from dsrg.io.errors import UserError


def refuse_overwriting(args, written, read=()):
    """Refuse to write over a file that the command line names, or over one output with another.

    Every path among the arguments that is not an output counts as read, so that no option can be forgotten.

    Parameters
    ----------
    args : argparse.Namespace
    written : dict of str to sequence of path
        Option, such as "--out", -> the files that it makes the command write; None among them is nothing.
    read : iterable of path
        What else is read; None is nothing.

    Raises
    ------
    UserError
        Also where a file is to be written and a folder stands.
    """
    outputs = {option.lstrip("-").replace("-", "_") for option in written}
    given = [path for name, value in vars(args).items() if name not in outputs for path in _paths(value)]
    refuse_written_over({option: [path for path in paths if path is not None] for option, paths in written.items()},
                        [*given, *(path for path in read if path is not None)])
    made = {}
    for option, paths in written.items():
        for path in filter(None, paths):
            if Path(path).is_dir():
                raise UserError(f"{option} {path} is a folder; give a file")
            other = made.setdefault(_entry(path), option)
            if other != option:
                raise UserError(f"{other} and {option} would both write {path}; choose two names")


def beside(output, *suffixes):
    """The files that are written under one name with several suffixes.

    Parameters
    ----------
    output : Path or None
        As given; its own suffix is replaced.
    *suffixes : str

    Returns
    -------
    list of Path
        [] for None.

    Raises
    ------
    UserError
        A folder, beside which the files would come to lie.
    """
    if output is None:
        return []
    if output.is_dir():
        raise UserError(f"--out {output} is a folder; give a file, such as {output / f'result{suffixes[0]}'}")
    return [output.with_suffix(suffix) for suffix in suffixes]


def refuse_written_over(written, read, hard_links=True):
    """Refuse to write files over those that are read.

    Parameters
    ----------
    written : dict of str to iterable of path
        Option, or what else says where they go, -> files; they need not exist.
    read : iterable of path
    hard_links : bool
        Refuse a link to what is read, too, in whose place the file would come. Of folders of results with a file for
        each photo it is not: a link that lies there is replaced, and the photo stays.

    Raises
    ------
    UserError
    """
    entries, files = {}, {}
    for path in read:
        entries.setdefault(_entry(path), path)
        if os.path.islink(path):
            entries.setdefault(os.path.realpath(path), path)
        if hard_links:
            files.setdefault(_identity(path), path)
    files.pop(None, None)
    for option, paths in written.items():
        for path in paths:
            over = entries.get(_entry(path)) or (files and files.get(_identity(path)))
            if over:
                known_as = "" if str(over) == str(path) else f", which is {over},"
                raise UserError(f"{option} would write {path}{known_as} over what is read; choose another name")


def refuse_files_of(folder, path, is_own, what="--out"):
    """Refuse to write over a file of a run that the command itself has not made.

    Parameters
    ----------
    folder : path
        Of the run.
    path : path
        To be written; what does not exist, or lies elsewhere, is fine.
    is_own : callable
        Takes the path; whether the command writes such files, and no stage of a run does.
    what : str
        The option that names the output.

    Raises
    ------
    UserError
    """
    path = Path(path)
    inside = Path(os.path.realpath(folder))
    if path.is_file() and not is_own(path) and any(
            Path(place).is_relative_to(inside) for place in (_entry(path), os.path.realpath(path))):
        raise UserError(f"{what} {path} would write over a file of the run {folder}; choose another name")


def same_name(one, other):
    """Whether two paths are one name in one folder, links to the folder seen through and one of that name not.

    Parameters
    ----------
    one, other : path

    Returns
    -------
    bool
    """
    return _entry(one) == _entry(other)


def _paths(value):
    """The paths in an argument: alone, in a list, or in a list of pairs with names."""
    if isinstance(value, Path):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _paths(item)


def _entry(path):
    """Where a name lies: the folder, links seen through, and the name in it, which may be a link itself."""
    try:
        folder, name = os.path.split(os.path.abspath(path))
        return os.path.join(os.path.realpath(folder), name)
    except ValueError:          # a NUL character: the name of no file
        return str(path)


def _identity(path):
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
