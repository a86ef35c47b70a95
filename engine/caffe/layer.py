"""The layer contract and the registry.

A new layer is one class and one registry line (torch_layer.py, engine/README.md):

    @register("AbsVal")
    class AbsVal(TorchLayer):
        def infer(self, shape):             # shapes of the tops from the shapes of the bottoms
            return shape
        def compute(self, x):               # tensors in, tensors out; autograd does the backward pass
            return x.abs()
"""

import importlib
import math

import numpy as np
import torch

from .blob import Blob, BlobVec
from .errors import LayerError
from .fillers import fill
from .limits import check_shape, require_memory

_registry = {}


def __getattr__(name):
    """REGISTRY: layer type -> class. The engine's own layers register themselves when it is first asked for."""
    if name == "REGISTRY":
        importlib.import_module(f"{__package__}.layers")
        return _registry
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def register(*names):
    """Class decorator: the layer types (strings of a prototxt) that the class implements."""

    def add(cls):
        for name in names:
            _registry[name] = cls
        cls.type_name = names[0]
        return cls

    return add


def layer_type_list():
    """Names of all layer types, sorted."""
    return sorted([*__getattr__("REGISTRY"), "Python"])


class Layer:
    """Base of Python layers (pycaffe's ``caffe.Layer``) and, through NativeLayer, of the engine's own.

    Called by the net: ``setup(bottom, top)`` once, ``reshape(bottom, top)`` before every ``forward(bottom, top)``,
    ``backward(top, propagate_down, bottom)``. `param_str` and `phase` (caffe.TRAIN or TEST) are set before setup.
    A :class:`caffe.shape_net.ShapeNet` calls ``configure(bottom, top)`` in the place of setup, and nothing after the
    first reshape.
    """

    def __init__(self, layer_param):
        self._layer_param = layer_param
        self.blobs = BlobVec()
        self.phase = layer_param.phase
        self.param_str = layer_param.python_param.param_str

    @property
    def type(self):
        """The layer's type, as in the prototxt."""
        return self._layer_param.type

    def configure(self, bottom, top):
        """The part of setup that opens no file and that ``reshape`` relies on; by default, all of setup.

        Raises
        ------
        caffe.errors.UnknownShapeError
            The shapes of the tops are stored in data that is not opened here.
        """
        self.setup(bottom, top)


class NativeLayer(Layer):
    """A layer of the engine. Subclasses set the class attributes and the five methods.

    Attributes
    ----------
    bottoms, tops : (int, int or None)
        Least and most number of bottoms and tops (None: any).
    equal : bool
        Whether there are as many tops as bottoms.
    inplace : bool
        Whether a top may be its bottom.
    loss : bool
        Whether the first top counts into the loss with weight 1 unless the prototxt says otherwise.
    auto_tops : bool
        Whether tops that the prototxt leaves out are made (loss layers).
    labels : tuple of int
        Bottoms that no gradient can reach (labels, indices): force_backward skips them, and a net whose loss asks
        for their gradient is refused in backward.
    reads_data : bool
        Whether the layer keeps the seed it was made with when caffe.set_random_seed is called, as data layers do.
    shapes_only : bool
        Set by a net that never runs (ShapeNet): parameters get no memory, and settings that name a file are not read.
    """

    type_name = "?"
    bottoms = (1, 1)
    tops = (1, 1)
    equal = False
    inplace = False
    loss = False
    auto_tops = False
    labels = ()
    reads_data = False
    shapes_only = False

    def __init__(self, layer_param):
        super().__init__(layer_param)
        self.name = layer_param.name
        self.propagate_down = []  # per bottom, set by the net
        self.param_propagate_down = []  # per parameter blob, set by the net
        self.seed = np.random.SeedSequence(0)  # set by the net: its seed and the layer's place
        self.tick = 0  # forwards so far: everything random is a function of (seed, tick - seeded_at)
        self.seeded_at = 0  # the tick at which the seed was last set
        self.late = {}  # what a GPU has found in this layer's bottoms and nobody has read yet (bottom_checks.py)

    # -- what a layer fills in ------------------------------------------------------------------------------
    def setup(self, bottom, top):
        """Read the parameter message, make parameter blobs; called once."""

    def reshape(self, bottom, top):
        """Set the shapes of the tops from those of the bottoms."""
        raise NotImplementedError(f"{type(self).__name__} defines no reshape")

    def forward(self, bottom, top):
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def backward(self, top, propagate_down, bottom):
        """Gradient: none, unless the layer defines it."""

    def allow_force_backward(self, bottom_index):
        """Whether this bottom can have a gradient.

        Parameters
        ----------
        bottom_index : int

        Returns
        -------
        bool
        """
        return bottom_index not in self.labels

    def seek(self, forwards):
        """Continue as if `forwards` forwards had been run (a restored solver calls this)."""
        self.tick, self.seeded_at = int(forwards), 0

    def reseed(self, seed):
        """Draw from another seed (numpy.random.SeedSequence) from the next forward on.

        Parameters
        ----------
        seed : numpy.random.SeedSequence
        """
        if not self.reads_data:
            self.seed, self.seeded_at = seed, self.tick

    def forget(self):
        """Let go of what is kept from forward for backward: none follows before the next forward."""

    # -- helpers -----------------------------------------------------------------------------------------------
    def error(self, message):
        """A LayerError that begins with this layer's name and type.

        Parameters
        ----------
        message : str

        Returns
        -------
        LayerError
        """
        return LayerError(f"layer '{self.name}' ({self.type}): {message}")

    def rng(self):
        """numpy Generator for this forward, a function of the net's seed, the layer and the tick."""
        return np.random.Generator(np.random.SFC64([*self.seed.generate_state(4).tolist(), self.draws]))

    @property
    def draws(self):
        """Forwards since the seed was set."""
        return self.tick - self.seeded_at

    def add_param(self, shape, filler):
        """Append a parameter blob.

        Parameters
        ----------
        shape : tuple of int
        filler : FillerParameter
            What its float32 values are drawn from, by a seed of its own.

        Raises
        ------
        LayerError
            A filler that is unknown or does not fit the shape; a shape beyond the limits or the memory.
        """
        try:
            check_shape(shape)
            if self.shapes_only:
                self.blobs.append(Blob.without_memory(shape))
                return
            # random fillers draw in float64; data and gradient follow in float32
            require_memory(16 * math.prod(shape), f"a parameter of shape {tuple(shape)}")
            values = np.zeros(shape, np.float32)
            fill(values, filler, self._filler_rng() if filler.type != "constant" else None)
        except ValueError as error:
            raise self.error(f"parameter {len(self.blobs)}: {error}") from None
        blob = Blob(*shape)
        blob.data_memory.write(torch.from_numpy(values))
        self.blobs.append(blob)

    def _filler_rng(self):
        """What the next parameter's values are drawn from; making it takes longer than most constants to fill in."""
        return np.random.default_rng([*self.seed.generate_state(4).tolist(), len(self.blobs)])

    def axis(self, axis, ndim, what="axis"):
        """`axis` counted from the front (Caffe's CanonicalAxisIndex).

        Parameters
        ----------
        axis : int
            Negative ones count from the end.
        ndim : int
            Number of axes of the bottom.
        what : str
            Name of the field in the error message.

        Returns
        -------
        int

        Raises
        ------
        LayerError
            An axis that the bottom does not have.
        """
        if not -ndim <= axis < ndim:
            raise self.error(f"{what} {axis} is out of range for a bottom of {ndim} axes")
        return axis % ndim
