"""Photos that a run leaves out of all its lists, with why: what the data check writes and the lists go by."""

from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.lists import read_lines

#: where the stage check of a run writes them
LEFT_OUT = "check/left_out.txt"


def write_left_out(path, left_out):
    """Write `<id> <kind of fault> ..` lines from a dict of id to kinds.

    Parameters
    ----------
    path : str or Path
    left_out : dict of str to list of str
    """
    write_text(Path(path), "".join(f"{' '.join([image_id, *kinds])}\n" for image_id, kinds in sorted(left_out.items())))


def read_left_out(path):
    """Id -> kinds of faults; {} for a file that is empty or not there.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to list of str

    Raises
    ------
    UserError
        A file that cannot be read as text.
    """
    path = Path(path)
    if not path.is_file() or not path.stat().st_size:
        return {}
    lines = (line.split() for _, line in read_lines(path, "list of photos left out"))
    return {image_id: kinds for image_id, *kinds in lines}
