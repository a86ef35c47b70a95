"""Values filled into the text of a YAML file, so that its comments and its layout stay."""

import json

import yaml


def filled_in(text, values):
    """The text with other scalars.

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
        There is no scalar at the end of these keys.
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    places = []
    for keys, value in values.items():
        node = _scalar(top, keys)
        quoted = node.style in ("'", '"')
        places.append((node.start_mark.index, node.end_mark.index, _written(value, quoted)))
    for start, end, new in sorted(places, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def without(text, key):
    """The text without the lines of a key at the top, where it is there.

    Parameters
    ----------
    text : str
        YAML, a mapping at the top.
    key : str

    Returns
    -------
    str
    """
    top = yaml.compose(text, Loader=yaml.SafeLoader)
    for name, node in top.value:
        if name.value == key:
            lines = text.splitlines(keepends=True)
            last = node.end_mark.line + (1 if node.end_mark.column else 0)
            return "".join(lines[:name.start_mark.line] + lines[last:])
    return text


def _scalar(node, keys):
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(node, yaml.ScalarNode):
        raise KeyError(".".join(keys))
    return node


def _written(value, quoted):
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if quoted else value
    return json.dumps(value)
