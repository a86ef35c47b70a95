"""Which layers a net has in a state (Caffe's Net::FilterNet), and Split layers where a blob has several readers."""

import difflib

from .errors import PrototxtError
from .proto import caffe_pb2

# ---- phase, level, stage ------------------------------------------------------------------------------


def state_meets_rule(state, rule):
    """Whether a NetState meets a NetStateRule: phase, level, all its stages and none of its not_stages.

    Parameters
    ----------
    state : NetState
    rule : NetStateRule

    Returns
    -------
    bool
    """
    stages = set(state.stage)
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and stages.issuperset(rule.stage)
        and stages.isdisjoint(rule.not_stage)
    )


def layer_included(layer, state):
    """Whether a layer is part of a net in `state`: no rule, or any include met, or no exclude met.

    Parameters
    ----------
    layer : LayerParameter
    state : NetState

    Returns
    -------
    bool

    Raises
    ------
    PrototxtError
        Both include and exclude rules.
    """
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
    level : int

    Returns
    -------
    NetParameter

    Raises
    ------
    PrototxtError
        A layer with both include and exclude rules.
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
    """Name of the layer that splits top `top_index` of `layer`.

    Parameters
    ----------
    blob, layer : str
    top_index : int

    Returns
    -------
    str
    """
    return f"{blob}_{layer}_{top_index}_split"


def split_blob_name(blob, layer, top_index, k):
    """Name of the k-th copy of a split blob.

    Parameters
    ----------
    blob, layer : str
    top_index, k : int

    Returns
    -------
    str
    """
    return f"{split_layer_name(blob, layer, top_index)}_{k}"


def insert_splits(net_param):
    """The net with a Split layer after every top that is read more than once, as a new NetParameter.

    A loss weight above a top counts as one reader; it moves to the first top of the split. Bottoms of the
    readers are renamed to ``<blob>_<producer>_<top index>_split_<k>``.

    Parameters
    ----------
    net_param : NetParameter

    Returns
    -------
    NetParameter

    Raises
    ------
    PrototxtError
        A bottom that no earlier layer makes; the nearest name is given.
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
                    f"no earlier layer produces it; {hint}",
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
