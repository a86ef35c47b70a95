"""The pictures that a command line names, by itself or by their folders, and the ids of their results."""

import contextlib
import difflib
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dsrg.io.errors import UserError
from dsrg.io.image_ids import is_utf8
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photo_folder import files_below, kinds_text
from dsrg.io.pictures import suffixes


@dataclass(frozen=True)
class Collected:
    """Pictures of a command line.

    Attributes
    ----------
    pictures : dict of str to Path
        Picture of each id: the path within its folder without suffix, with it where two would have the same.
    others : Counter of str to int
        Files of the folders that are not pictures, by suffix; hidden ones (macOS's `._a.jpg`) as "hidden".
    missing : list of Path
        Named, but not there.
    """

    pictures: dict
    others: Counter
    missing: list


def collect(paths, out):
    """Find the pictures of a command line.

    Parameters
    ----------
    paths : sequence of Path
        Files, taken as they are; folders, searched with all below them for suffixes of pictures.
    out : Path
        The folder of the results, in none of the searched folders.

    Returns
    -------
    Collected

    Raises
    ------
    UserError
        Nothing found, two pictures of one name, or results that would overwrite photos.
    """
    refuse_inputs_as_output(out, *(path for path in paths if path.is_dir()))
    wanted, found, others, missing = suffixes(), [], Counter(), []
    for path in paths:
        if path.is_dir():
            names, here = files_below(path, lambda name: PurePosixPath(name).suffix.lower() in wanted)
            found += [(Path(name), path / name) for name in names]
            others += here
        elif not path.exists():
            missing.append(path)
        elif path.resolve().parent == Path(out).resolve():
            raise UserError(f"--out {out} would write beside {path}, which is read; choose another folder")
        else:
            found.append((Path(path.name), path))
    if not found:
        if missing:
            raise UserError(no_such(missing[0]) + (f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""))
        there = kinds_text(others) or "nothing"
        raise UserError(f"no picture in {', '.join(map(str, paths))} ({there} there)")
    return Collected(_named(found, out), others, missing)


def no_such(path):
    """What to say of a path that is not there, with the name that comes nearest.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str
    """
    near = []
    with contextlib.suppress(OSError):
        near = difflib.get_close_matches(path.name, set(os.listdir(path.parent)) - {path.name}, 1)
    if path.is_symlink():
        return f"{path}: a link to a photo that is not there"
    return f"{path}: no such photo or folder" + (f"; did you mean {path.parent / near[0]}?" if near else "")


def _named(found, out):
    """Id -> picture; the first path that cannot be told from another, or would be written over, is refused."""
    stems = Counter(name.with_suffix("").as_posix() for name, _ in found)
    pictures = {}
    for name, path in found:
        if not is_utf8(str(path)):
            raise UserError(f"photo {path}: its name is no UTF-8, and results could not name it; rename it")
        short = name.with_suffix("").as_posix()
        image_id = short if stems[short] == 1 else name.as_posix()
        if pictures.get(image_id, path).resolve() != path.resolve():
            raise UserError(f"{pictures[image_id]} and {path} have the same name; segment them one after the other, "
                            "each with its own --out")
        if (out / f"{image_id}.png").resolve() == path.resolve():
            raise UserError(f"{path} would be overwritten by its own label map; choose another --out")
        pictures[image_id] = path
    return pictures
