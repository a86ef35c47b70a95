"""JSON as it is read from files that anybody may have written: whatever is wrong with it is one error."""

import json

from dsrg.io.errors import UserError
from dsrg.io.regular_files import read_file

HALF = "it holds half a character (a surrogate)"


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
        A text that is none, nests too deep, or holds what is no text.
    """
    try:
        if not isinstance(text, str):       # json's own decoding lets halves of characters through
            text = text.decode(json.detect_encoding(text))
        value = json.loads(text)
        whole = "\\u" not in text or is_whole(value)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    if not whole:
        raise ValueError(HALF)
    return value


def is_whole(value):
    """Whether all texts in nested lists and mappings are of whole characters.

    JSON, YAML and Python can write one half of a pair that stands for a character; no file or message can hold it.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(is_whole(key) and is_whole(one) for key, one in value.items())
    return all(map(is_whole, value)) if isinstance(value, (list, tuple, set, frozenset)) else True


def read_mapping(path):
    """The mapping in a JSON file that may be missing or damaged.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        {} where there is none that can be read, or no regular file.
    """
    try:
        content = parse_json(read_file(path, "record"))
    except (UserError, ValueError):
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
