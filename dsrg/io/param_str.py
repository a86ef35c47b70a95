"""The text of `python_param { param_str: "..." }`, read without running any of it."""

import ast
import math
import re

from dsrg.io.json_files import HALF, is_whole
from dsrg.io.yaml_text import MOST_LEVELS, MOST_SHOWN, parse_yaml

MOST_CHARACTERS = 50_000  # of a text; the longest known are some hundred


def parse_param_str(text):
    """The value a param_str stands for, a mapping in every layer of ours; an empty text is an empty mapping.

    Python literals and YAML are both read: the original's nets hold Python dicts with tuples, which YAML would
    take apart at the commas, and hand-written ones are often plain YAML. The value is made of dict, list, tuple, set,
    str, bytes, int of at most 64 bits, float, bool, None and dates; YAML's anchors and aliases, by which a short text
    stands for an endless value, are refused.

    Parameters
    ----------
    text : str
        At most MOST_CHARACTERS.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        Neither the one nor the other, or more than a setting can be: too long, too deep, too large a number.

    Examples
    --------
    >>> parse_param_str("{'mean': (104.0, 117.0, 123.0), 'mirror': True}")
    {'mean': (104.0, 117.0, 123.0), 'mirror': True}
    >>> parse_param_str("th1: 0.99, th2: 0.85".replace(", ", "\\n"))
    {'th1': 0.99, 'th2': 0.85}
    """
    if not text.strip():
        return {}
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"param_str is not readable (it has {len(text)} characters, expected at most "
                         f"{MOST_CHARACTERS}): {shown(text)}")
    value, why = _python(text.strip()) or _yaml(text)
    why = why or _unfit(value)
    if why:
        raise ValueError(f"param_str is not readable ({why}): {shown(text)}")
    return value


def shown(value):
    """repr of a value for a message, at most 200 characters of it.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    if not isinstance(value, str):
        return repr(value) if _small(value) else f"a {type(value).__name__}"
    return repr(value) if len(value) <= MOST_SHOWN else repr(value[:MOST_SHOWN]) + " ..."


def _small(value):
    try:
        return len(repr(value)) <= MOST_SHOWN
    except (RecursionError, ValueError):  # ValueError: an integer of too many digits
        return False


def _python(text):
    """(value, None) of a Python literal, or (None, what is wrong); None where it is none.

    Deep texts are left to `_yaml`, which says so.
    """
    if _levels(text) > MOST_LEVELS or re.search(r"[-+~]{20}|(not\s+){20}", text):  # would fill the parser's stack
        return None
    try:
        tree = ast.parse(text, mode="eval")
        value = ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError):
        return None
    twice = next(filter(None, map(_key_given_twice, ast.walk(tree))), None)
    return (None, f"{shown(twice[0])} is given twice; keep one of them") if twice else (value, None)


def _key_given_twice(node):
    """(key,) of a mapping that has it twice, of which Python would keep the last without a word; or None."""
    seen = set()
    for key in node.keys if isinstance(node, ast.Dict) else ():
        key = ast.literal_eval(key)
        if key in seen:
            return (key,)
        seen.add(key)
    return None


def _levels(text):
    """How deep the brackets of a text nest at most; those in strings count as well."""
    deepest = level = 0
    for mark in re.findall(r"[\[\](){}]", text):
        level += 1 if mark in "[({" else -1
        deepest = max(deepest, level)
    return deepest


def _yaml(text):
    """(value, None) of a YAML text, or (None, what is wrong)."""
    try:
        return parse_yaml(text), None
    except ValueError as error:
        return None, str(error)


def _unfit(value, level=0):
    """Why a value is no setting, or None."""
    if level > MOST_LEVELS:
        return f"it nests more than {MOST_LEVELS} levels deep"
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return "it holds a whole number of more than 64 bits"
    if isinstance(value, complex) or value is Ellipsis:
        return f"it holds {value}; expected numbers, texts, lists and mappings"
    if isinstance(value, str) and not is_whole(value):
        return HALF
    if isinstance(value, float) and math.isnan(value):
        return "it holds NaN; expected a number"
    children = value if isinstance(value, (list, tuple, set, frozenset)) else ()
    if isinstance(value, dict):
        children = [*value.keys(), *value.values()]
    return next((why for child in children if (why := _unfit(child, level + 1))), None)
