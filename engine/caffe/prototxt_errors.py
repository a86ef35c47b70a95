"""What is wrong with a prototxt, said so that a person understands: explain, layer_lines."""

import bisect
import difflib
import re

from .binary_families import REFUSED
from .proto import caffe_pb2
from .upgrade import V1_TYPES

# ---- errors a person understands ----------------------------------------------------------------------

# Fields and values of other programs, and what to write here.
REMEDIES = {
    "hole": "DeepLab-v1's `hole` is `dilation` today (same meaning: hole: 2 -> dilation: 2)",
    "hole_h": "DeepLab-v1's `hole_h`/`hole_w` are two `dilation` values today, height first",
    "hole_w": "DeepLab-v1's `hole_h`/`hole_w` are two `dilation` values today, height first",
    "mat_read_param": REFUSED["MatRead"],
    "mat_write_param": REFUSED["MatWrite"],
    "dense_crf_param": f"there is no DenseCRF layer; {REFUSED['DenseCRF']}",
    "bn_param": "the BN layer of other forks is BatchNorm (batch_norm_param), then Scale (scale_param)",
    "freeze": "to keep a layer's parameters fixed, use param { lr_mult: 0 decay_mult: 0 }",
    "solver_count": "the number of processes is set when starting them, not in the solver",
}


def explain(message):
    """protobuf's parse message, reworded: what was expected, what was found, and the remedy.

    Parameters
    ----------
    message : str
        What protobuf says.

    Returns
    -------
    str
    """
    message = re.sub(r"^\d+:\d+ : ", "", message)
    message = re.sub(r"^'.*': (?=[A-Z])", "", message)  # the source line, repeated
    unknown = re.match(r'Message type "caffe\.(\S+)" has no field named "(.*)"', message)
    if unknown:
        return _unknown_field(*unknown.groups())
    unknown = re.match(r'Enum type "caffe\.(\S+)" has no value named "?(.*?)"?\.$', message)
    if unknown:
        return _unknown_value(*unknown.groups())
    repeated = re.match(r'Message type "caffe\.(\S+)" should not have multiple "(.*)" fields', message)
    if repeated:
        return f"{repeated[1]} takes one '{repeated[2]}', it is given more than once; keep one of them"
    constant = re.match(r"Expected string but found: '([A-Z][A-Z0-9_]*)'", message)
    if constant:
        new = V1_TYPES.get(constant[1])
        hint = f'; `layer` takes type: "{new}" ({constant[1]} belongs to the old `layers`)' if new else ""
        return f"expected a string in quotes, got {constant[1]}{hint}"
    if message.startswith("Value out of range"):
        return f"{message[0].lower()}{message[1:]}; counts and sizes are not negative, integers have 32 bits"
    return message[:1].lower() + message[1:]


def _unknown_field(message_type, field):
    fields = sorted(_descriptor(message_type).fields_by_name)
    text = f"{message_type} has no field '{field}'"
    if field in REMEDIES:
        return f"{text}: {REMEDIES[field]}"
    near = difflib.get_close_matches(field, fields, n=3, cutoff=0.75)
    if near:
        return f"{text}; did you mean {_either(near)}?"
    if len(fields) <= 20:
        return f"{text}; it has {', '.join(fields)}"
    return f"{text}, neither in BVLC Caffe 1.0 nor in DeepLab-v2"


def _unknown_value(enum_type, value):
    message_type, _, enum = enum_type.rpartition(".")
    if message_type:
        values = _descriptor(message_type).enum_types_by_name[enum].values_by_name
    else:
        values = caffe_pb2.DESCRIPTOR.enum_types_by_name[enum].values_by_name
    text = f"{enum} has no value '{value}'"
    if enum_type == "V1LayerParameter.LayerType":
        old = [v1 for v1, v2 in V1_TYPES.items() if v2.lower() == value.lower()]
        if old:
            return f'{text}: the old `layers` takes type: {old[0]}; `layer` takes type: "{value}"'
        return f"{text}: write `layer` with type in quotes for layers newer than Caffe's V1 format"
    near = difflib.get_close_matches(value.upper(), values, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{text}, it has {', '.join(values)}{hint}"


def _descriptor(message_type):
    return caffe_pb2.DESCRIPTOR.message_types_by_name[message_type]


def _either(names):
    quoted = [f"'{name}'" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


# ---- where a layer stands -----------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\#[^\n]*                                            # comment
      | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'            # string
      | [{}<>] | [A-Za-z_]\w* | \d[\w.+-]* | [^\s\w{}<>"'\#]+""",
    re.VERBOSE,
)


def layer_lines(text):
    """Lines at which the layers of a prototxt begin.

    Parameters
    ----------
    text : str

    Returns
    -------
    dict
        Layer index (0-based, in file order) and layer name to line (1-based). A name used more than once (one
        layer a phase) stands for its first line; indices tell them apart.
    """
    ends = [match.start() for match in re.finditer("\n", text)]
    lines, depth, index, previous, start, waiting = {}, 0, -1, "", 0, False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.startswith("#"):
            continue
        if token in "{<":
            depth += 1
            if depth == 1 and previous in ("layer", "layers"):
                index += 1
                lines[index] = bisect.bisect_left(ends, start) + 1
                waiting = True
        elif token in "}>":
            depth -= 1
        elif waiting and token[0] in "\"'" and previous == "name" and depth <= 2:
            # V0 keeps the name one message deeper: layers { layer { name: "conv" } }
            lines.setdefault(token[1:-1], lines[index])
            waiting = False
        if token not in (":", ","):
            previous, start = token, match.start()
    return lines
