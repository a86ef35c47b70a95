"""What is wrong with a net as it is written: blobs that nobody makes or reads, layers whose shapes do not fit."""

import difflib
from collections import Counter
from itertools import islice

from caffe.layer import REGISTRY
from caffe.netstate import layer_included
from caffe.proto import caffe_pb2
from caffe.prototxt import PrototxtError
from caffe.shape_net import ShapeNet

from dsrg.io.errors import UserError
from dsrg.netinspect.prototxt_source import Finding

PHASES = {"train": caffe_pb2.TRAIN, "test": caffe_pb2.TEST}
#: made for people to read, not for other layers
REPORTS = ("Accuracy", "SegAccuracy", "ArgMax")


class State:
    """A net in one phase: its layers with their places in the file, and the ShapeNet.

    Attributes
    ----------
    layers : list of (LayerParameter, Block)
    shapes : ShapeNet or None
        None where include and exclude rules contradict each other.
    findings : list of Finding
    """

    def __init__(self, source, phase, level=0, stages=(), inputs=None):
        self.findings, self.layers, self.shapes = [], [], None
        state = caffe_pb2.NetState(phase=PHASES[phase], level=level, stage=[*source.net.state.stage, *stages])
        seen = Counter()
        for layer in source.net.layer:
            block = source.block(layer.name, seen[layer.name])
            seen[layer.name] += 1
            try:
                if layer_included(layer, state):
                    self.layers.append((layer, block))
            except PrototxtError as error:
                self.findings.append(Finding(block.line, "error", str(error)))
        if self.findings:
            return
        self.shapes = ShapeNet(source.net, PHASES[phase], level, stages, inputs)
        self._blocks = {}
        for layer, block in self.layers:
            self._blocks.setdefault(layer.name, block)
        self.findings += [*self._wiring(), *self._shapes()]

    def line(self, name):
        """Line of the layer `name`.

        Parameters
        ----------
        name : str

        Returns
        -------
        int
            From 1.
        """
        return self._blocks[name].line

    def _wiring(self):
        hints = _Hints(self.layers)
        made, read = {}, set()  # blob -> (layer, Block, place), the blobs somebody reads
        last = {layer.name: block for layer, block in self.layers}
        for name, count in Counter(layer.name for layer, _ in self.layers).items():
            if count > 1:
                yield Finding(last[name].line, "warning", f"layer '{name}': {count} layers have this name; weights are "
                              "stored by name, give each its own")
        for layer, block in self.layers:
            title = f"layer '{layer.name}' ({layer.type})"
            for k, name in enumerate(layer.bottom):
                if name not in made:
                    yield Finding(_line(block, "bottom", k), "error", f"{title}: no layer before it makes its bottom "
                                  f"'{name}'; {hints.of(name, made)}")
                read.add(name)
            bottoms = set(layer.bottom)
            for k, name in enumerate(layer.top):
                if name not in bottoms:
                    made.setdefault(name, (layer, block, k))
        yield from self._unread({name: place for name, place in made.items() if name not in read})

    def _unread(self, unread):
        """A net with a loss computes what no layer reads for nothing; without one, that is its output."""
        trains = any(is_loss(layer) for layer, _ in self.layers)
        for name, (layer, block, k) in unread.items():
            wanted = is_loss(layer) or layer.type in REPORTS
            if wanted or not (trains or not layer.bottom and layer.type == "Input"):
                continue
            yield Finding(_line(block, "top", k), "warning", f"layer '{layer.name}' ({layer.type}): no layer reads its "
                          f"top '{name}'; take it out, or end it in a Silence layer")

    def _shapes(self):
        for layer, text in self.shapes.problems:
            yield Finding(self.line(layer.name), "error", text)
        made_by = {name: layer.name for layer, _ in reversed(self.layers) for name in layer.top}
        for name, why in self.shapes.unknown.items():
            if "reads '" not in why and not why.endswith("is wrong"):
                yield Finding(self.line(made_by[name]), "note", f"the shape of '{name}' is not known: {why}; give it "
                              f"with --input {name}=N,C,H,W")


class _Hints:
    """What to do about bottoms that nobody makes. Names are compared for the first few: it takes time for each."""

    COMPARED, LISTED = 20, 8

    def __init__(self, layers):
        self._makers = {name: layer.name for layer, _ in reversed(layers) for name in layer.top}
        self._left = self.COMPARED

    def of(self, name, made):
        if name in self._makers:
            return f"layer '{self._makers[name]}' makes it, further down: move that one up"
        near = difflib.get_close_matches(name, made, n=1) if self._left else []
        self._left = max(0, self._left - 1)
        listed = ", ".join([*islice(made, self.LISTED), *["..."] * (len(made) > self.LISTED)])
        return f"did you mean '{near[0]}'?" if near else f"blobs so far: {listed or 'none'}"


def is_loss(layer):
    """Whether a layer's tops count in the loss of the net.

    Parameters
    ----------
    layer : LayerParameter

    Returns
    -------
    bool
    """
    if layer.loss_weight:
        return any(layer.loss_weight)
    native = REGISTRY.get(layer.type)
    return native is not None and native.loss


def default_phase(net):
    """The phase that a net is meant for where none is named: the training's where it has a loss.

    Parameters
    ----------
    net : NetParameter

    Returns
    -------
    str
        "train" or "test".
    """
    return "train" if any(is_loss(layer) for layer in net.layer) else "test"


def _line(block, field, k):
    lines = block.lines.get(field, ())
    return lines[k] if k < len(lines) else block.line


def check_inputs(states, inputs):
    """Refuse an --input that no layer without bottoms, and no layer of unknown shape, makes.

    Parameters
    ----------
    states : list of State
    inputs : iterable of str
        Names of blobs.

    Raises
    ------
    UserError
        Names the blob, and those that can be given.
    """
    states = [state for state in states if state.shapes is not None]
    sources = {name for state in states for layer, _ in state.layers if not layer.bottom for name in layer.top}
    for name in inputs:
        if not any(name in state.shapes.inputs_used for state in states):
            raise UserError(f"--input {name}: no Input or data layer makes such a blob; it can be given for "
                            f"{', '.join(sorted(sources)) or 'none'}")
