"""Python layers in the place of layer types that the Caffe at hand lacks, written into prototxts.

BVLC's Caffe has neither Interp nor SegAccuracy. The text is changed, not the message: that Caffe's own messages cannot
even hold the fields.
"""

import re

#: layer type -> its parameter field and the class of pylayers.deeplab that computes the same
SUBSTITUTES = {"Interp": ("interp_param", "InterpLayer"), "SegAccuracy": ("seg_accuracy_param", "SegAccuracyLayer")}

TOKENS = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[{}]|\w+""")


def blocks(text, name, start=0, end=None):
    """(start, end, end of its head) of every block `name { .. }` directly inside text[start:end]."""
    depth, begun, found = 0, None, []
    last = None
    for token in TOKENS.finditer(text, start, len(text) if end is None else end):
        word = token[0]
        if word.startswith("#"):
            continue
        if word == "{":
            if depth == 0 and last is not None and last[0] == name:
                begun = (last.start(), token.end())
            depth += 1
        elif word == "}":
            depth -= 1
            if depth == 0 and begun is not None:
                found.append((begun[0], token.end(), begun[1]))
                begun = None
        last = token
    return found


def layer_types(text):
    """Layer types of a prototxt, in order, each once."""
    types = [match for begin, end, head in blocks(text, "layer") for match in [_type(text, head, end)] if match]
    return list(dict.fromkeys(match[1] for match in types))


def _type(text, head, end):
    """The field `type` of a layer's block itself: a match whose group 1 is its value."""
    inside = [(b, e) for name in {m[0] for m in re.finditer(r"\w+(?=\s*:?\s*\{)", text[head:end])}
              for b, e, _ in blocks(text, name, head, end - 1)]
    for match in re.finditer(r"""\btype\s*:\s*["'](\w+)["']""", text[:end]):
        comment = "#" in text[text.rfind("\n", 0, match.start()) + 1:match.start()]
        if match.start() >= head and not comment and not any(b < match.start() < e for b, e in inside):
            return match
    return None


def substitute(text, missing):
    """The prototxt with Python layers for the types in `missing`; (text, the types that were replaced).

    Parameters
    ----------
    text : str
    missing : collection of str
        Types that the Caffe at hand lacks; those without a substitute are left as they are.
    """
    replaced = []
    for begin, end, head in reversed(blocks(text, "layer")):
        match = _type(text, head, end)
        if match is None or match[1] not in missing or match[1] not in SUBSTITUTES:
            continue
        field, layer = SUBSTITUTES[match[1]]
        params, edits = {}, [(match.start(), match.end(), 'type: "Python"')]
        for b, e, inner in blocks(text, field, head, end - 1):
            params |= _fields(text[inner:e - 1])
            edits.append((b, e, ""))
        python = f'python_param {{ module: "pylayers.deeplab" layer: "{layer}" param_str: "{params!r}" }}'
        edits.append((end - 1, end - 1, f"  {python}\n" if text[begin:end].count("\n") else f" {python} "))
        for b, e, new in sorted(edits, reverse=True):
            text = text[:b] + new + text[e:]
        replaced.insert(0, match[1])
    return text, replaced


def _fields(text):
    """{name: value or list of values} of the plain fields of a message's text."""
    found = {}
    for name, value in re.findall(r"(\w+)\s*:\s*([^\s,;{}#]+)", re.sub(r"#[^\n]*", "", text)):
        value = {"true": True, "false": False}.get(value, int(value) if re.fullmatch(r"-?\d+", value) else value)
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def learns_statistics(text):
    """Whether a prototxt is a net for training with a BatchNorm whose statistics are those of the batch."""
    fed_from_outside = any(re.match(r"\s*input\w*\s*[:{]", line) for line in text.splitlines())
    return not fed_from_outside and any(
        match is not None and match[1] == "BatchNorm" and not re.search(r"use_global_stats\s*:\s*true", text[begin:end])
        for begin, end, head in blocks(text, "layer") for match in [_type(text, head, end)])
