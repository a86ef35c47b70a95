"""Damage that keeps the form of texts: values of JSON and YAML.

Bytes changed at random are mostly refused by the first check (a checksum, a bracket); here the form is taken apart, a
part of it changed, and all of it put together again, so that what lies behind that check is reached. So it is in
damaged_archives.py and damaged_pictures.py.

Each function takes (data, rng) and returns bytes; data that is not of its form comes back unchanged.
"""

import json
import math

import yaml

NAMES = (
    "",
    "a",
    "\0",
    "\x1b[2J\x1b]0;x\x07",
    "\x85\u2028",
    "../../etc/passwd",
    "/etc/passwd",
    "x" * 5000,
    "\ud800",
    "a\nb",
    "%s%n",
    "${HOME}",
    "__class__",
    "con",
    "ü",
)
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    255,
    65536,
    2**31 - 1,
    2**31,
    -(2**31),
    2**32,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    2**64,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
)
OTHERS = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}}, [1, "a", None], [[1, 2], [3]])


# ---- values: what JSON, YAML and Python literals hold -----------------------------------------------------------


def odd_value(rng):
    """A number, text, list or mapping that a reader may not expect."""
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(NUMBERS)
    if kind < 0.6:
        return rng.choice(NAMES)
    if kind < 0.65:
        return deep(rng.choice((5, 40, 400)), rng.choice((0, "a", None)))
    if kind < 0.7:
        return [rng.choice(NUMBERS)] * rng.choice((10, 3000))
    return rng.choice(OTHERS)


def deep(levels, value):
    """A list in a list in a list .."""
    for _ in range(levels):
        value = [value]
    return value


def damaged_value(value, rng):
    """A copy of nested lists and mappings with one place changed."""
    if isinstance(value, (list, tuple)) and value and rng.random() < 0.8:
        items, at = list(value), rng.randrange(len(value))
        action = rng.random()
        if action < 0.75:
            items[at] = damaged_value(items[at], rng)
        elif action < 0.83:
            del items[at]
        elif action < 0.91:
            items.insert(at, items[rng.randrange(len(items))])
        else:
            items[at], items[-1] = items[-1], items[at]
        return type(value)(items)
    if isinstance(value, dict) and value and rng.random() < 0.9:
        items = dict(value)
        key, other = rng.choice(list(items)), rng.choice(list(items))
        action = rng.random()
        if action < 0.7:
            items[key] = damaged_value(items[key], rng)
        elif action < 0.8:
            del items[key]
        elif action < 0.9:
            items[key] = items[other]
        else:
            items[rng.choice(NAMES)] = items.pop(key)
        return items
    if isinstance(value, str) and rng.random() < 0.4:
        return value[: rng.randrange(len(value) + 1)] + rng.choice(NAMES)
    return odd_value(rng)


def json_value(data, rng):
    """A JSON text with values changed."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2, 4))):
        value = damaged_value(value, rng)
    try:
        return json.dumps(value, ensure_ascii=rng.random() < 0.8).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return data


def json_lines(data, rng):
    """A file of JSON texts, one a line, with one of them changed, left out or cut."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    lines[at] = rng.choice(
        (json_value(lines[at], rng), json_value(lines[at], rng), b"", lines[at][: len(lines[at]) // 2])
    )
    return b"\n".join(lines)


def yaml_value(data, rng):
    """A YAML text with values changed, or with aliases, tags and deep nesting put in."""
    if rng.random() < 0.3:
        return _odd_yaml(data, rng)
    try:
        value = yaml.safe_load(data)
        for _ in range(rng.choice((1, 1, 2, 4))):
            value = damaged_value(value, rng)
        return yaml.safe_dump(value, allow_unicode=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError, RecursionError):
        return data


def _odd_yaml(data, rng):
    lines = data.split(b"\n")
    bomb = b"a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + b"\n".join(
        b"a%d: &a%d [%s]" % (k, k, b", ".join([b"*a%d" % (k - 1)] * 9)) for k in range(1, 10)
    )
    at = rng.randrange(len(lines) + 1)
    lines[at:at] = [
        rng.choice(
            (
                bomb,
                b"&x *x",
                b"b: &b {<<: *b}",
                b"<<: [{a: 1}, {b: 2}]",
                b"c: !!int ''",
                b"c: !!timestamp x",
                b"c: !!binary '='",
                b"c: !!python/object/apply:os.system ['true']",
                b"c: !!set {a, b}",
                b"c: !!float '1_'",
                b"c: " + b"[" * 500,
                b"c: " + b"{a: " * 500,
                b"? [a, b]\n: c",
                b"? {a: b}\n: c",
                b"c: 190:20:30.15",
                b"c: 2001-13-45",
                b"--- a\n--- b",
                b"c: |\n" + b" x\n" * 1000,
                b"%YAML 9.9\n---",
                b"c: " + b"9" * 6000,
                b"c: 0o9",
                b"\t\x01",
                b"1: 2",
                b"~: ~",
                b"- a",
            )
        )
    ]
    return b"\n".join(lines)
