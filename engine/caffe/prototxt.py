"""Text and binary NetParameter and SolverParameter: reading, phase rules, splits, errors with file:line:col.

Every reader upgrades old files (upgrade.py), as Caffe does. Rules of include and exclude follow Caffe's
Net::FilterNet and Net::StateMeetsRule, the names of split blobs follow its insert_splits.
"""

import bisect
import difflib
import os
import re
from pathlib import Path

from google.protobuf import text_encoding, text_format
from google.protobuf.message import DecodeError

from . import upgrade
from .log import info
from .proto import caffe_pb2, is_repeated

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


class PrototxtError(ValueError):
    """A net or solver file that cannot be used: ``file:line:col: message``.

    Attributes
    ----------
    layer : str or None
        Name of the layer the message is about, where it is about one.
    """

    def __init__(self, message, layer=None):
        super().__init__(message)
        self.layer = layer


# ---- reading ------------------------------------------------------------------------------------------


def read_bytes(path):
    """Content of a file; RuntimeError "Could not open file X" like pycaffe's when it cannot be opened."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
        raise RuntimeError(f"Could not open file {path}{reason}") from None


def read_text(path):
    """Text of a prototxt. Comments in Latin-1 are read too; a binary file is refused."""
    data = read_bytes(path)
    if b"\0" in data[:4096]:
        raise PrototxtError(f"{path}: a binary file, expected a prototxt (text); weights go elsewhere")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def parse_net(text, name="<string>"):
    """NetParameter of prototxt text, upgraded to today's `layer` form.

    Parameters
    ----------
    text : str
    name : str
        The file to name in errors.

    Raises
    ------
    PrototxtError
        ``name:line:col: ...`` for syntax, unknown fields and values; names near a misspelt one are listed.
    """
    net = _parse(text, caffe_pb2.NetParameter(), name)
    return _upgraded(upgrade.upgrade_net, net, text, name)


def parse_solver(text, name="<string>"):
    """SolverParameter of prototxt text, with `solver_type` turned into `type`; errors as in parse_net."""
    solver = _parse(text, caffe_pb2.SolverParameter(), name)
    return _upgraded(upgrade.upgrade_solver, solver, text, name)


def read_net(path, phase=None, level=0, stages=()):
    """NetParameter of a prototxt (or binary) file, upgraded.

    Parameters
    ----------
    path : str or os.PathLike
    phase : int, optional
        caffe.TRAIN or caffe.TEST: keep only the layers of this state. None keeps all layers.
    level, stages : int, sequence of str
        The rest of the state, used with `phase`.

    Raises
    ------
    RuntimeError
        "Could not open file X".
    PrototxtError
        As parse_net.
    """
    name = os.fspath(path)
    data = read_bytes(path)
    net = _decode(data, name) if b"\0" in data[:4096] else parse_net(read_text(path), name)
    return net if phase is None else filter_net(net, phase, level, stages)


def read_solver(path):
    """SolverParameter of a prototxt file, upgraded, with a snapshot_prefix.

    Without `snapshot_prefix` the prefix is the solver file without its suffix; a prefix that is a folder gets
    the solver file's name appended (both as Caffe does).
    """
    name = os.fspath(path)
    solver = parse_solver(read_text(path), name)
    if not solver.HasField("snapshot_prefix"):
        solver.snapshot_prefix = os.path.splitext(name)[0]
        info("prototxt", f"{name}: no snapshot_prefix, using {solver.snapshot_prefix}")
    elif os.path.isdir(solver.snapshot_prefix):
        solver.snapshot_prefix = os.path.join(solver.snapshot_prefix, Path(name).stem)
        info("prototxt", f"{name}: snapshot_prefix is a folder, using {solver.snapshot_prefix}")
    return solver


def to_text(message, full_floats=False):
    """Prototxt text of a message.

    `full_floats` writes float32 values widened to double (0.30000001192092896 for 0.3), as pycaffe's str()
    did; otherwise the shortest text that reads back to the same float32.
    """
    if not full_floats:
        return text_format.MessageToString(message)
    return "".join(f"{line}\n" for line in _widened(message))


def _widened(message, indent=""):
    """Lines of prototxt text, floats in full."""
    for field, value in message.ListFields():
        for item in value if is_repeated(field) else [value]:
            if field.message_type is not None:
                yield f"{indent}{field.name} {{"
                yield from _widened(item, indent + "  ")
                yield f"{indent}}}"
                continue
            if field.enum_type is not None:
                item = field.enum_type.values_by_number[item].name
            elif isinstance(item, bool):
                item = str(item).lower()
            elif isinstance(item, (str, bytes)):
                item = f'"{text_encoding.CEscape(item, as_utf8=True)}"'
            yield f"{indent}{field.name}: {item}"


def _decode(data, name):
    """NetParameter of binary data that stands where a prototxt is expected."""
    net = caffe_pb2.NetParameter()
    try:
        net.ParseFromString(data)
    except DecodeError:
        raise PrototxtError(f"{name}: neither a prototxt nor a binary NetParameter") from None
    return _upgraded(upgrade.upgrade_net, net, None, name)


def _parse(text, message, name):
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        raise PrototxtError(f"{name}:{line}:{column}: {explain(str(error))}") from None
    missing = message.FindInitializationErrors()
    if missing:
        at = _line_of_field_owner(text, message, missing[0])
        raise PrototxtError(f"{name}{at}: required field missing: {', '.join(missing)}")
    return message


def _line_of_field_owner(text, net, field):
    """':line' of the layer a required field is missing from, '' where it is in no layer."""
    match = re.match(r"layer\[(\d+)\]", field)
    line = layer_lines(text).get(int(match[1])) if match else None
    return f":{line}" if line else ""


def _upgraded(function, message, text, name):
    try:
        function(message)
    except upgrade.UpgradeError as error:
        line = layer_lines(text).get(error.layer) if text and error.layer else None
        where = f"{name}:{line}" if line else name
        raise PrototxtError(f"{where}: {error}", layer=error.layer) from None
    return message


# ---- errors a person understands ----------------------------------------------------------------------

# Fields and values of other programs, and what to write here.
REMEDIES = {
    "hole": "DeepLab-v1's `hole` is `dilation` today (same meaning: hole: 2 -> dilation: 2)",
    "hole_h": "DeepLab-v1's `hole_h`/`hole_w` are two `dilation` values today, height first",
    "hole_w": "DeepLab-v1's `hole_h`/`hole_w` are two `dilation` values today, height first",
    "mat_read_param": "MATLAB files are not read; convert them to HDF5 and use HDF5Data",
    "mat_write_param": "MATLAB files are not written; use HDF5Output",
    "dense_crf_param": "there is no DenseCRF layer; use the Python layer CRFLayer of module pylayers",
    "bn_param": "the BN layer of other forks is BatchNorm (batch_norm_param), then Scale (scale_param)",
    "freeze": "to keep a layer's parameters fixed, use param { lr_mult: 0 decay_mult: 0 }",
    "solver_count": "the number of processes is set when starting them, not in the solver",
}


def explain(message):
    """protobuf's parse message as who, expected, got, what next."""
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
        new = upgrade.V1_TYPES.get(constant[1])
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
        old = [v1 for v1, v2 in upgrade.V1_TYPES.items() if v2.lower() == value.lower()]
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
      | [{}<>] | [A-Za-z_]\w* | \d\S* | [^\s\w{}<>"'\#]+""",
    re.VERBOSE,
)


def layer_lines(text):
    """Lines at which the layers of a prototxt begin.

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


# ---- phase, level, stage ------------------------------------------------------------------------------


def state_meets_rule(state, rule):
    """Whether a NetState meets a NetStateRule: phase, level, all its stages and none of its not_stages."""
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def layer_included(layer, state):
    """Whether a layer is part of a net in `state`: no rule, or any include met, or no exclude met."""
    if len(layer.include) and len(layer.exclude):
        raise PrototxtError(
            f"layer '{layer.name}': has both include and exclude rules; write one kind only", layer=layer.name
        )
    if len(layer.include):
        return any(state_meets_rule(state, rule) for rule in layer.include)
    return not any(state_meets_rule(state, rule) for rule in layer.exclude)


def filter_net(net_param, phase=None, level=0, stages=()):
    """The net with only the layers of a state, as a new NetParameter.

    Parameters
    ----------
    net_param : NetParameter
    phase : int, optional
        Sets the state (stages are added to those of the net's own `state`). None uses the net's own state.
    """
    kept = caffe_pb2.NetParameter()
    kept.CopyFrom(net_param)
    if phase is not None:
        kept.state.phase = phase
        kept.state.level = level
        kept.state.stage.extend(stages)
    del kept.layer[:]
    kept.layer.extend(layer for layer in net_param.layer if layer_included(layer, kept.state))
    return kept


# ---- splits -------------------------------------------------------------------------------------------


def split_layer_name(blob, layer, top_index):
    """Name of the layer that splits top `top_index` of `layer`."""
    return f"{blob}_{layer}_{top_index}_split"


def split_blob_name(blob, layer, top_index, k):
    """Name of the k-th copy of a split blob."""
    return f"{split_layer_name(blob, layer, top_index)}_{k}"


def insert_splits(net_param):
    """The net with a Split layer after every top that is read more than once, as a new NetParameter.

    A loss weight above a top counts as one reader; it moves to the first top of the split. Bottoms of the
    readers are renamed to ``<blob>_<producer>_<top index>_split_<k>``.
    """
    source, readers, weight = _count_readers(net_param)
    taken = dict.fromkeys(readers, 0)
    result = caffe_pb2.NetParameter()
    result.CopyFrom(net_param)
    del result.layer[:]
    for i, layer in enumerate(net_param.layer):
        copy = result.layer.add()
        copy.CopyFrom(layer)
        for j, blob in enumerate(layer.bottom):
            top = source[i, j]
            if readers[top] > 1:
                copy.bottom[j] = split_blob_name(blob, net_param.layer[top[0]].name, top[1], taken[top])
                taken[top] += 1
        for j, blob in enumerate(layer.top):
            if readers.get((i, j), 0) > 1:
                _add_split(result, layer.name, blob, j, readers[i, j], weight.get((i, j), 0.0))
                if weight.get((i, j)):
                    copy.ClearField("loss_weight")
                    taken[i, j] += 1
    return result


def _count_readers(net_param):
    """Producer (layer, top) of every bottom, number of readers and loss weight of every top."""
    last, source, readers, weight = {}, {}, {}, {}
    for i, layer in enumerate(net_param.layer):
        for j, blob in enumerate(layer.bottom):
            if blob not in last:
                near = difflib.get_close_matches(blob, last, n=1)
                hint = f"did you mean '{near[0]}'?" if near else f"blobs so far: {', '.join(last) or 'none'}"
                raise PrototxtError(
                    f"layer '{layer.name}' ({layer.type}): unknown bottom blob '{blob}' (bottom {j}), "
                    f"no layer before it makes it; {hint}",
                    layer=layer.name,
                )
            source[i, j] = last[blob]
            readers[last[blob]] = readers.get(last[blob], 0) + 1
        for j, blob in enumerate(layer.top):
            last[blob] = (i, j)
        for blob, value in zip(layer.top, layer.loss_weight, strict=False):
            weight[last[blob]] = value
            if value:
                readers[last[blob]] = readers.get(last[blob], 0) + 1
    return source, readers, weight


def _add_split(net, layer_name, blob, top_index, count, weight):
    split = net.layer.add(name=split_layer_name(blob, layer_name, top_index), type="Split", bottom=[blob])
    split.top.extend(split_blob_name(blob, layer_name, top_index, k) for k in range(count))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (count - 1))
