"""Values filled into the text of a YAML file, so that its comments and its layout stay."""

import math
import re
import textwrap

import yaml

BLOCK, QUOTES = (">", "|"), ("'", '"')


def filled_in(text, values):
    """The text with other scalars. Each is written so that it reads back as it is, whatever it holds.

    Parameters
    ----------
    text : str
        YAML, a mapping at the top.
    values : dict of tuple of str to object
        Keys on the way to a scalar that is there -> its new value: a number, a truth value or text.

    Returns
    -------
    str

    Raises
    ------
    KeyError
        There is no scalar of its own at the end of these keys: none, or one of several that the keys may mean.
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    places = []
    for keys, value in values.items():
        node = _scalar(top, keys)
        start, end = node.start_mark.index, _end(node, text)
        before = "" if start < end else " "     # nothing stands right behind the colon
        behind = _header_comment(text[start:end]) if node.style in BLOCK else ""
        places.append((start, end, before + _written(value, node.style in QUOTES) + behind))
    for start, end, new in sorted(places, reverse=True):
        text = text[:start] + new + text[end:]
    _check(yaml.safe_load(text), values)
    return text


def without(text, key):
    """The text without a key at the top, its value and its comment, where it is there.

    Its comment are the lines of comment right above it that begin in its column, unless they head the file, and those
    below its value that begin further to the right.

    Parameters
    ----------
    text : str
        YAML, a mapping at the top.
    key : str

    Returns
    -------
    str
    """
    start, end, _ = _place(text, key)
    return text[:start] + text[end:]


def replaced(text, key, value, comment):
    """The text with another value of a key at the top, that is there, and another comment above it.

    Parameters
    ----------
    text : str
        YAML, a mapping at the top.
    key : str
        `without` says what of the text is its own.
    value : dict
    comment : str
        Lines that begin with #, left out where the mapping stands in braces.

    Returns
    -------
    str
    """
    start, end, column = _place(text, key)
    flow = column is None
    new = yaml.safe_dump({key: value}, default_flow_style=flow, width=math.inf, sort_keys=False, allow_unicode=True)
    if flow:
        return text[:start] + new.strip()[1:-1] + (", " if text[end:end + 1] not in ("}", ",") else "") + text[end:]
    return text[:start] + textwrap.indent(comment + new, " " * column) + text[end:]


def _place(text, key):
    """Where a key at the top stands: index of its start, with its comment, of its end, and its column, None in braces.

    The end is its start where it is not there.
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    names = [name.value for name, _ in top.value]
    if key not in names:
        return len(text), len(text), 0
    place = names.index(key)
    name, node = top.value[place]
    if top.flow_style:      # {key: value, next: ..}: what is left may end with a comma
        following = top.value[place + 1:place + 2]
        return name.start_mark.index, following[0][0].start_mark.index if following else node.end_mark.index, None
    lines = text.splitlines(keepends=True)
    column = name.start_mark.column
    first, least = name.start_mark.line, _line(top.value[place - 1][1], text) + 1 if place else name.start_mark.line
    while first > least and _comment_column(lines[first - 1]) == column:
        first -= 1
    last = _line(node, text) + 1
    while last < len(lines) and _comment_column(lines[last]) > column:
        last += 1
    return len("".join(lines[:first])), len("".join(lines[:last])), column


def _scalar(node, keys):
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, yaml.ScalarNode):
        raise KeyError(".".join(keys))
    return node


def _end(node, text):
    """Index behind the last character of a value. The parser's own end lies behind blank lines and comments."""
    if isinstance(node, yaml.ScalarNode):
        start, end = node.start_mark.index, node.end_mark.index
        return start + len(text[start:end].rstrip()) if node.style in BLOCK else end
    if node.flow_style or not node.value:
        return node.end_mark.index
    last = node.value[-1]
    return _end(last[1] if isinstance(node, yaml.MappingNode) else last, text)


def _line(node, text):
    """Number from 0 of the line on which a value ends."""
    return len(text[:_end(node, text)].splitlines()) - 1


def _comment_column(line):
    """Column of a line's comment; -1 where the line holds something else."""
    bare = line.lstrip()
    return len(line) - len(bare) if bare.startswith("#") else -1


def _header_comment(block):
    """The comment behind the > or | of a block of text, which may stand behind a tag; with the space before it."""
    found = re.search(r"\s+#.*", block.split("\n")[0])
    return found[0].rstrip() if found else ""


def _written(value, quoted):
    if isinstance(value, str) and (quoted or not _is_plain(value)):
        return _dumped(value, '"')
    return value if isinstance(value, str) else _dumped(value, None)


def _is_plain(value):
    """Whether a text stands for itself without quotes, in braces too, where YAML is strictest."""
    try:
        return yaml.safe_load(f"[{value}]") == [value]
    except (yaml.YAMLError, ValueError):     # a date that is none
        return False


def _dumped(value, style):
    listed = yaml.safe_dump([value], default_flow_style=True, default_style=style, width=math.inf, allow_unicode=True)
    return listed.strip()[1:-1]


def _check(content, values):
    """Refuse values that do not read back."""
    for keys, value in values.items():
        found = content
        for key in keys:
            found = found.get(key) if isinstance(found, dict) else None
        if type(found) is not type(value) or found != value:
            raise KeyError(".".join(keys))
