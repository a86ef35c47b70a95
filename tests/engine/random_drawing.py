"""Drawing a random small net from a seed, for random_nets.py."""

from contextlib import suppress
from dataclasses import dataclass, field

import caffe
import numpy as np
from caffe.blob import Blob
from caffe.layer import REGISTRY, LayerError
from caffe.proto import caffe_pb2
from google.protobuf import text_format

from tests.engine.nets import input_layer
from tests.engine.random_layers import MAKERS
from tests.engine.random_losses import LOSSES

MOST = 300  # values in a blob
#: how much more often than others a type is drawn: few shapes suit it, or much depends on it
OFTEN = {"Convolution": 5, "Deconvolution": 4, "Pooling": 5, "BatchNorm": 3, "Scale": 2, "LRN": 4, "Interp": 3,
         "SPP": 3, "Eltwise": 2, "ReLU": 2}
#: what real Caffe has not, cannot repeat, or is known to compute otherwise (engine/README.md, "What differs"); of its
#: BatchReindex, Embed, Filter and InfogainLoss force_backward, which these nets have, asks gradients that end it
NOT_IN_CAFFE = {"BatchReindex", "Dropout", "Embed", "Filter", "InfogainLoss", "Interp", "Parameter"}


@dataclass
class Sample:
    """A net with its values.

    Attributes
    ----------
    text : str
    inputs : dict of str to ndarray
    smooth : list of str
        Inputs that a gradient reaches.
    unread : set of str
        Outputs whose gradient their layer does not pass on (last states).
    phase : int
    """

    seed: int
    text: str
    inputs: dict
    smooth: list
    unread: set
    phase: int
    types: list = field(default_factory=list)
    inplace: bool = False


class Builder:
    """Adds layers to a net, one at a time, and knows the shapes of its blobs."""

    def __init__(self, rng, plain):
        self.rng, self.plain = rng, plain
        self.lines, self.types, self.shapes = [], [], {}
        self.inputs, self.smooth, self.unread = {}, [], set()
        self.free = []  # blobs that further layers may read
        self.read = set()  # blobs that a layer reads
        self.phase, self.inplace = "TEST", False

    def input(self, shape, kind="normal"):
        """A new Input blob of values of a kind."""
        name, rng = f"x{len(self.inputs)}", self.rng
        if kind.startswith("index"):
            values = rng.integers(int(kind.removeprefix("index")), size=shape)
        elif kind == "binary":
            values = rng.integers(2, size=shape)
        else:
            values = rng.uniform(0.1, 0.9, shape) if kind == "positive" else rng.normal(size=shape)
        self.inputs[name] = np.asarray(values, np.float32).astype(np.float64)
        if kind == "normal":
            self.smooth.append(name)
        self.lines.append(input_layer(*shape, name=name).rstrip())
        self.shapes[name] = tuple(shape)
        return name

    def bottoms(self, draft, bottom):
        """Names of a draft's bottoms; blobs at hand of the right shape may serve as further ones."""
        names = [] if draft.first is not None else [bottom]
        if draft.first:
            names = [self.input(*draft.first)]
        for shape, kind in draft.extra:
            shape = self.shapes[bottom] if shape == "same" else tuple(shape)
            fit = [b for b in self.free if self.shapes[b] == shape and b != bottom]
            recurrent = draft.type in ("LSTM", "RNN")
            if kind == "normal" and fit and not recurrent and self.rng.integers(2):
                names.append(fit[self.rng.integers(len(fit))])
            else:
                names.append(self.input(shape, "state" if recurrent and shape[0] == 1 and kind == "normal" else kind))
        return names

    def add(self, draft, bottom, share=None):
        """One layer, or a LayerError; the name of its first top, of `bottom` where no layer may read that."""
        kept = dict(self.inputs), list(self.smooth), list(self.lines)
        number = len(self.types)
        names = self.bottoms(draft, bottom)
        inplace = bool(draft.inplace and names and names[0] not in self.read and names.count(names[0]) == 1
                       and not self.plain and self.rng.integers(2))
        tops = [names[0] if inplace and k == 0 else f"t{number}_{k}" for k in range(draft.tops)]
        wiring = "".join(f' bottom: "{b}"' for b in names) + "".join(f' top: "{t}"' for t in tops)
        params = "".join(f' param {{ name: "{share}_{k}" }}' for k in range(draft.params)) if share else ""
        weight = f" loss_weight: {(0.5, 1, 2)[self.rng.integers(3)]}" if draft.loss else ""
        line = f'layer {{ name: "n{number}" type: "{draft.type}"{wiring}{params}{weight} {draft.settings} }}'
        try:
            shapes = probe(line, [self.shapes[b] for b in names])
            if any(not 0 < np.prod(s) <= MOST or len(s) > 6 for s in shapes):
                raise LayerError("too large")
        except LayerError:
            self.inputs, self.smooth, self.lines = kept
            raise
        self.lines.append(line)
        self.types.append(draft.type)
        self.inplace |= inplace
        self.phase = draft.phase or self.phase
        self.read.update(names)
        if inplace:
            self.read.discard(names[0])
        self.shapes.update(zip(tops, shapes, strict=True))
        if draft.type in ("LSTM", "RNN"):
            self.unread.update(tops[1:])
            tops = tops[:1]
        if draft.type == "Pooling":  # the mask is piecewise constant
            tops = tops[:1]
        if draft.type == "Filter" and not self.inputs[names[-1]].all():
            tops = []  # further layers would be built for the number of items before filtering
        self.free += [t for t in tops if t not in self.free and not draft.loss]
        return tops[0] if tops else bottom

    def chain(self, drafts, bottom, shared=False):
        """Layers one after the other; with `shared`, those that allow it twice, with one set of parameters."""
        for draft in drafts:
            share = f"s{len(self.types)}" if shared and draft.params and draft.first is None else None
            top = self.add(draft, bottom, share)
            if share and self.shapes.get(top) == self.shapes[bottom]:
                top = self.add(draft, top, share)
            bottom = top


def probe(line, shapes):
    """Shapes of the tops of one layer."""
    message = caffe_pb2.NetParameter()
    text_format.Parse(line, message)
    param = message.layer[0]
    layer = REGISTRY[param.type](param)
    bottom, top = [Blob(*s) for s in shapes], [Blob() for _ in param.top]
    layer.setup(bottom, top)
    layer.reshape(bottom, top)
    return [b.dims for b in top]


def random_shape(rng):
    axes = (4, 4, 4, 4, 3, 3, 2, 2, 5, 1, 6)[rng.integers(11)]
    if axes == 4:
        size = rng.integers(3)
        space = (1, 1) if size == 0 else tuple(rng.integers(1, 8, 2)) if size == 1 else (5, 7)
        return (int(rng.integers(1, 4)), int(rng.integers(1, 5)), *map(int, space))
    return tuple(int(n) for n in rng.integers(1, 4 if axes > 3 else 5, axes))


def draw(seed, plain=False, only=None):
    """The net of a seed.

    Parameters
    ----------
    plain : bool
        Only what real Caffe computes in the same way: no layer in place, no sharing, no random numbers.
    only : list of str, optional
        Layer types to draw from.
    """
    rng = np.random.default_rng(seed)
    builder = Builder(rng, plain)
    names = [n for n in only or sorted(MAKERS) if not (plain and n in NOT_IN_CAFFE) for _ in range(OFTEN.get(n, 1))]
    builder.free.append(builder.input(random_shape(rng)))
    layers, tries = int(rng.integers(1, 6)), 0
    while layers and tries < 60:
        tries += 1
        bottom = builder.free[-1] if rng.integers(3) else builder.free[rng.integers(len(builder.free))]
        drafts = drafts_of(MAKERS[names[rng.integers(len(names))]], rng, builder.shapes[bottom])
        try:
            builder.chain(drafts, bottom, shared=not plain and rng.integers(4) == 0)
            layers -= bool(drafts)
        except LayerError:
            continue
        if builder.free[-1] == bottom and rng.integers(2):
            builder.free.append(builder.input(random_shape(rng)))
    for _ in range(int(rng.integers(0, 3))):
        add_loss(rng, builder, plain)
    text = "force_backward: true\n" + "\n".join(builder.lines) + "\n"
    phase = caffe.TRAIN if builder.phase == "TRAIN" else caffe.TEST
    return Sample(seed, text, builder.inputs, builder.smooth, builder.unread, phase, builder.types, builder.inplace)


def add_loss(rng, builder, plain):
    names = sorted(name for name in LOSSES if not (plain and name in NOT_IN_CAFFE))
    make = LOSSES[names[rng.integers(len(names))]]
    bottom = builder.free[-1 - rng.integers(min(2, len(builder.free)))]
    with suppress(LayerError):
        builder.chain(drafts_of(make, rng, builder.shapes[bottom]), bottom)


def drafts_of(make, rng, shape):
    """A maker's layers; none for a shape that the maker is not made for."""
    try:
        return make(rng, shape) or []
    except (ValueError, IndexError):
        return []
