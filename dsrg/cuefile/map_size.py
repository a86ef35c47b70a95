"""The size of the map that a cue file is for."""

from pathlib import Path

from dsrg.cuefile.entry_checks import LONGEST_SIDE
from dsrg.io.json_files import read_mapping


def size_of_map(path, cues):
    """Height and width of the map a cue file is for, as the .json beside it says, which make_cues writes.

    A cue file holds no size: without that .json, or where it says less than the cues need, the map is taken to end with
    the last row and column that carry a cue.

    Parameters
    ----------
    path : path
        Of the cue file.
    cues : Cues

    Returns
    -------
    (int, int)
        Height and width.
    """
    least = cues.least_size()
    height, width = size_of_json(path) or least
    return (height, width) if height >= least[0] and width >= least[1] else least


def size_of_json(path):
    """Height and width that the .json beside a cue file gives, or None.

    Parameters
    ----------
    path : path
        Of the cue file.

    Returns
    -------
    (int, int) or None
    """
    size = read_mapping(Path(path).with_suffix(".json")).get("cue_size")
    if not isinstance(size, list) or len(size) != 2:
        return None
    return tuple(size) if all(type(side) is int and 1 <= side <= LONGEST_SIDE for side in size) else None
