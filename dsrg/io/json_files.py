"""JSON as it is read from files that anybody may have written: whatever is wrong with it is one error."""

import json
from pathlib import Path


def parse_json(text):
    """The value of a JSON text.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    object

    Raises
    ------
    ValueError
        A text that is none, or nests too deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def read_mapping(path):
    """The mapping in a JSON file that may be missing or damaged.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        {} where there is none that can be read.
    """
    try:
        content = parse_json(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_number(value):
    """Whether a value of JSON is a number that a float holds: no truth value, no infinity, no NaN.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    return type(value) in (int, float) and abs(value) <= 1e300
