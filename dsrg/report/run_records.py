"""The JSON records in the folder of a run, held against what the report computes with: results and stamps."""

from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, parse_json, read_mapping
from dsrg.io.regular_files import read_file

MOST_CLASSES = 256


def read_result(path):
    """A results/<name>.json as tools.evaluate writes it.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        "miou": 0..1; "commit": str; "images": int; "classes": list of dict with "name", and "iou" (0..1 or None) and
        "pred_pixels" where they are known; "confusion": list of rows of counts, [] where there is none.

    Raises
    ------
    UserError
        Missing, not JSON, or values of other types.
    """
    try:
        record = parse_json(read_file(path, "result"))
        fault = _fault(record) if isinstance(record, dict) else f"it holds a {type(record).__name__}"
    except ValueError as error:
        fault = str(error)
    if fault:
        raise UserError(f"{path}: not a result file ({fault}); delete it and evaluate again")
    return {"commit": "unknown", "images": 0, "classes": [], "confusion": [], **record}


def _fault(record):
    """What is wrong with a result, or None."""
    classes, counts = record.get("classes", []), record.get("confusion", [])
    if not _is_share(record.get("miou")):
        return "its miou is no number from 0 to 1"
    if not isinstance(record.get("commit", ""), str) or not _is_count(record.get("images", 0)):
        return "its commit is no text, or images no count"
    if not isinstance(classes, list) or len(classes) > MOST_CLASSES or not all(map(_is_class, classes)):
        return "its classes are not names with measures"
    if not isinstance(counts, list) or (counts and len(counts) != len(classes)):
        return "its confusion has not a row a class"
    widths = {len(row) if isinstance(row, list) else -1 for row in counts}
    if counts and widths not in ({len(classes)}, {len(classes) + 1}):
        return "its confusion has not a column a class"
    if not all(_is_count(number) for row in counts for number in row):
        return "its confusion is no table of counts"
    return None


def _is_class(one):
    return (isinstance(one, dict) and isinstance(one.get("name"), str)
            and (one.get("iou") is None or _is_share(one["iou"]))
            and ("pred_pixels" not in one or _is_count(one["pred_pixels"])))


def _is_share(value):
    return is_number(value) and 0 <= value <= 1


def _is_count(value):
    return type(value) is int and 0 <= value < 2**53


def read_stamp(path):
    """What a stamp, or the .begun of a stage, says to people; {} where it says nothing.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        Those of "seconds" and "peak_mib" (numbers), "finished" (str), "resumed" (bool) and "command" (list of str)
        that it holds in these types.
    """
    record = read_mapping(path)
    fits = {"seconds": lambda v: is_number(v) and v >= 0, "peak_mib": lambda v: is_number(v) and v >= 0,
            "finished": lambda v: isinstance(v, str), "resumed": lambda v: isinstance(v, bool),
            "command": lambda v: isinstance(v, list) and all(isinstance(word, str) for word in v)}
    return {name: record[name] for name, test in fits.items() if name in record and test(record[name])}
