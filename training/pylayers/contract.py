"""What every layer here checks in the same words: its param_str, the number of blobs and their shapes.

A message says who, what was expected, what came and what to do next. The layer's own name appears where the
engine tells it (the embedded engine does; pycaffe offers only the class).
"""

from dataclasses import MISSING, dataclass, fields

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str, shown


@dataclass(frozen=True)
class NoParams:
    """Parameters of a layer that takes none."""


def title(layer):
    """Name and class of a layer, for messages: "layer 'update-seed' (DSRGLayer)".

    Parameters
    ----------
    layer : caffe.Layer

    Returns
    -------
    str
    """
    name = getattr(getattr(layer, "_layer_param", None), "name", "")
    kind = type(layer).__name__
    return f"layer '{name}' ({kind})" if name else f"layer {kind}"


def read_params(layer, parameters):
    """Parse `layer.param_str` into the frozen dataclass `parameters`.

    The text is YAML or a Python literal, of which the original's files are written (tuples); no code runs.
    The type of a field says what it accepts; `field(metadata={"convert": f})` names a function instead.

    Parameters
    ----------
    layer : caffe.Layer
    parameters : type
        A frozen dataclass.

    Returns
    -------
    parameters

    Raises
    ------
    UserError
        Unknown or missing keys, values of another kind, values the dataclass refuses.
    """
    given = _read_mapping(layer)
    known = {f.name: f for f in fields(parameters)}
    takes = f"it takes {', '.join(known)}" if known else "it takes none"
    for name in given:
        if name not in known:
            raise UserError(f"{title(layer)}: unknown param {shown(name)} in param_str; {takes}")
    for name, f in known.items():
        if f.default is MISSING and name not in given:
            raise UserError(f"{title(layer)}: param_str lacks '{name}'; {takes}")
    try:
        return parameters(**{name: _converted(known[name], value) for name, value in given.items()})
    except ValueError as error:
        raise UserError(f"{title(layer)}: {error}") from None


def height_width(value):
    """41 -> (41, 41), [321, 241] -> (321, 241); sizes are whole and positive, height comes first.

    Parameters
    ----------
    value : int or sequence of two int

    Returns
    -------
    (int, int)

    Raises
    ------
    ValueError
        Anything else.
    """
    pair = (value, value) if isinstance(value, int) and not isinstance(value, bool) else value
    whole = isinstance(pair, list | tuple) and all(type(side) is int and side > 0 for side in pair)
    if not whole or len(pair) != 2:
        raise ValueError(f"expected a size or [height, width], got {shown(value)}")
    return tuple(pair)


def three_numbers(value):
    """[104, 117, 123] -> (104.0, 117.0, 123.0).

    Parameters
    ----------
    value : sequence of three numbers

    Returns
    -------
    tuple of three floats

    Raises
    ------
    ValueError
        Anything else.
    """
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ValueError(f"expected three numbers in the order B, G, R, got {shown(value)}")
    return tuple(float(v) for v in value)


def expect_blobs(layer, bottom, top, bottom_names, top_names):
    """Refuse a layer that is wired with another number of bottoms or tops than it has names for.

    Parameters
    ----------
    layer : caffe.Layer
    bottom, top : sequence of Blob
    bottom_names, top_names : sequence of str
        What they hold.

    Raises
    ------
    UserError
    """
    for kind, blobs, names in (("bottom", bottom, bottom_names), ("top", top, top_names)):
        if len(blobs) != len(names):
            listed = ", ".join(names) if names else "none"
            raise UserError(f"{title(layer)}: has {len(blobs)} {kind}s, expected {len(names)}: {listed}")


def expect_shape(layer, bottom, index, name, shape, like, remedy):
    """Refuse bottom[index] unless it has `shape`; None in `shape` stands for any size.

    Parameters
    ----------
    layer : caffe.Layer
    bottom : sequence of Blob
    index : int
    name : str
        What the blob holds.
    shape : tuple of int or None
    like : str
        What the shape is taken from.
    remedy : str

    Raises
    ------
    UserError
    """
    got = tuple(bottom[index].shape)
    if len(got) != len(shape) or any(want is not None and want != have
                                     for want, have in zip(shape, got, strict=True)):
        wanted = "(" + ", ".join("any" if want is None else str(want) for want in shape) + ")"
        raise UserError(
            f"{title(layer)}: bottom[{index}] '{name}' is {got}, expected {wanted} {like}; {remedy}"
        )


def expect_probabilities(layer, bottom, index):
    """Refuse bottom[index] unless it is a map of class probabilities, (N, C, H, W).

    Parameters
    ----------
    layer : caffe.Layer
    bottom : sequence of Blob
    index : int

    Raises
    ------
    UserError
    """
    expect_shape(layer, bottom, index, "probabilities", (None,) * 4, "(N, C, H, W)",
                 "give it a SoftmaxLayer's top")


def expect_cues(layer, bottom, index, shape):
    """Refuse bottom[index] unless it is a map of cues of the shape of the probabilities.

    Parameters
    ----------
    layer : caffe.Layer
    bottom : sequence of Blob
    index : int
    shape : (N, C, H, W)

    Raises
    ------
    UserError
    """
    expect_shape(layer, bottom, index, "cues", shape, "like 'probabilities'",
                 "the cues are for another number of classes or size of map: set classes and size of "
                 "AnnotationLayer, or make the cue file for this net with localization_cues")


def expect_labels(layer, bottom, index, images, classes):
    """Refuse bottom[index] unless it is AnnotationLayer's labels for these images and classes.

    Parameters
    ----------
    layer : caffe.Layer
    bottom : sequence of Blob
    index : int
    images, classes : int

    Raises
    ------
    UserError
    """
    expect_shape(layer, bottom, index, "labels", (images, 1, 1, classes), "for these probabilities",
                 "set classes of AnnotationLayer to the net's number of classes")


def process_share(caffe):
    """(rank, count) of this process among those that train together; (0, 1) where Caffe is too old to tell.

    Parameters
    ----------
    caffe : module

    Returns
    -------
    (int, int)
    """
    if not hasattr(caffe, "solver_count"):
        return 0, 1
    return caffe.solver_rank(), caffe.solver_count()


def base_seed():
    """A number from numpy's global generator, drawn in setup; `training.train` seeds it beforehand."""
    return int(np.random.randint(2**31))  # noqa: NPY002 (the global generator is what Caffe's users seed)


def _read_mapping(layer):
    """The param_str as a dict."""
    try:
        value = parse_param_str(layer.param_str)
    except ValueError as error:
        raise UserError(f"{title(layer)}: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise UserError(f"{title(layer)}: param_str must be a mapping, {{'key': value}}, got {shown(layer.param_str)}")
    return value


def _converted(field, value):
    """`value` as the field wants it; whole numbers pass as floats, numbers never as booleans or texts."""
    convert = field.metadata.get("convert")
    if convert is not None:
        try:
            return convert(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"param '{field.name}': {error}") from None
    if field.type is float:
        try:
            return float(value) if not isinstance(value, bool) else _refuse(field, value)
        except (TypeError, ValueError, OverflowError):
            _refuse(field, value)
    return value if type(value) is field.type else _refuse(field, value)


def _refuse(field, value):
    kind = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}[field.type]
    raise ValueError(f"param '{field.name}' must be {kind}, got {shown(value)}")
