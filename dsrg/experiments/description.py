"""What an experiment's nets and solvers are made from: the part `nets` of prototxts/<name>/settings.yaml.

    nets:
      classes: 21                # with background
      size: 321                  # side of the square input
      backbone: vgg16
      head: aspp
      classifier: vgg16-sec
      batch: {cam: 15, s: 20, f: 10}
      solvers:
        cam: {lr_policy: step, base_lr: 0.001, gamma: 0.1, stepsize: 4000, max_iter: 8000, snapshot: 2000}
        s: {lr_policy: step, base_lr: 0.0005, gamma: 0.33, stepsize: 1000, max_iter: 8000, snapshot: 1000}
        f: {lr_policy: poly, base_lr: 0.001, power: 0.9, max_iter: 20000, snapshot: 2000}

Nothing here imports Caffe.
"""

import contextlib
import math
from dataclasses import dataclass, field, fields

from dsrg.io.errors import UserError
from dsrg.pipeline.prototxts import messages

#: input pixels a cell of the maps
STRIDES = {"vgg16": 8, "resnet101": 8, "resnet101-torchvision": 8, "squeezenet": 8, "small": 4}
HEADS = ("aspp", "large-fov", "deeplab-v2", "squeezenet", "small")
CLASSIFIERS = ("vgg16-sec", "vgg16-gap", "squeezenet", "small")
ANNOTATIONS = ("AnnotationLayer", "AnnotationLayerCOCO")
SUPERVISIONS = ("dsrg", "sec")
#: numbers of the widest blob of a trunk for each pixel of its input: of the first convolution, of ResNet's res5
WIDEST = {"vgg16": 64, "resnet101": 32, "squeezenet": 24, "small": 16}
MOST_NUMBERS = 2**31 - 1        # of a blob, which Caffe counts in 32 bits
#: trainings that have nets of their own; the reference trains the net of f
TRAININGS = ("cam", "s", "f")
#: fields of a solver that the experiment does not choose
FIXED = ("net", "train_net", "test_net", "snapshot_prefix")
ONE_OF = {"backbone": tuple(STRIDES), "head": HEADS, "classifier": CLASSIFIERS, "annotation": ANNOTATIONS,
          "supervision": SUPERVISIONS}


@dataclass(frozen=True)
class Nets:
    """The numbers of an experiment.

    Attributes
    ----------
    classes : int
        With background, 2 to 255.
    size : int
        Side of the square input in pixels, stride n + 1: so that cells, labels and pixels line up.
    backbone, head, classifier : str
        One of STRIDES, HEADS, CLASSIFIERS; the classifier of the cues has a trunk of its own.
    batch : dict of str to int
        Images a step, by training.
    solvers : dict of str to dict
        Fields of SolverParameter by training. Without f the experiment has no retraining.
    supervision : str
        What stage s learns from: dsrg or sec.
    annotation : str
        The Python layer that reads labels and cues.
    mirror : bool
        Whether stage s mirrors photos and cues at random.
    background_grows : bool
        Whether region growing extends the background, above the original's threshold of 0.99.
    crf_scale : int or None
        Divides the widths of both CRFs in stage s; None for the original's 12, which is for maps of 41 cells.
    """

    classes: int
    size: int
    backbone: str
    head: str
    classifier: str
    batch: dict
    solvers: dict
    supervision: str = "dsrg"
    annotation: str = "AnnotationLayer"
    mirror: bool = True
    background_grows: bool = True
    crf_scale: int | None = field(default=None)

    @property
    def stride(self):
        """Input pixels a cell of the maps, by the backbone."""
        return STRIDES[self.backbone]

    @property
    def cells(self):
        """Side of the maps of scores and cues; corner cells lie on corner pixels."""
        return (self.size - 1) // self.stride + 1


def read_nets(content, where):
    """Check the part `nets`.

    Parameters
    ----------
    content : object
        What YAML holds there.
    where : str
        Named in errors.

    Returns
    -------
    Nets

    Raises
    ------
    UserError
        An unknown or missing key, or a value that does not fit.
    """
    if not isinstance(content, dict):
        raise UserError(f"{where}: expected keys and values, got {type(content).__name__}")
    known = {item.name for item in fields(Nets)}
    required = ("classes", "size", "backbone", "head", "classifier", "batch", "solvers")
    for key in content:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'; expected some of {', '.join(sorted(known))}")
    for key in required:
        if key not in content:
            raise UserError(f"{where}: '{key}' is missing")
    nets = Nets(**{key: _value(key, value, f"{where}: {key}") for key, value in content.items()})
    check_size(nets.size, nets.stride, f"{where}: size")
    check_blobs(nets, where)
    if nets.batch.keys() != nets.solvers.keys():
        raise UserError(f"{where}: batch and solvers are of other trainings: {', '.join(sorted(nets.batch))} against "
                        f"{', '.join(sorted(nets.solvers))}")
    return nets


def check_size(size, stride, where):
    """Refuse an input size at which corner cells do not lie on corner pixels.

    Parameters
    ----------
    size : int
        Pixels.
    stride : int
        Input pixels a cell.
    where : str
        What the size is of, for the message: "--size".

    Raises
    ------
    UserError
        Names the nearest size that lines up.
    """
    if (size - 1) % stride or size < 4 * stride + 1:
        near = max(4, round((size - 1) / stride)) * stride + 1
        raise UserError(f"{where} {size}: expected {stride} n + 1, at least {4 * stride + 1}, so that cells, labels "
                        f"and pixels line up; the nearest is {near}")


def check_blobs(nets, where):
    """Refuse a size and batches with which a blob of a training would have more numbers than Caffe's can.

    Parameters
    ----------
    nets : Nets
    where : str
        What says the size and the batch, for the message.

    Raises
    ------
    UserError
    """
    for kind, batch in nets.batch.items():
        trunk = (nets.classifier if kind == "cam" else nets.backbone).partition("-")[0]
        numbers = batch * WIDEST[trunk] * nets.size ** 2
        if numbers > MOST_NUMBERS:
            raise UserError(f"{where}: {batch} inputs of {nets.size}x{nets.size} make a blob of {numbers:.3g} numbers "
                            f"in {trunk}, the trunk of {kind}; Caffe's have {MOST_NUMBERS} at most: choose a smaller "
                            "size or batch")


def _value(key, value, where):
    if key in ONE_OF:
        if value not in ONE_OF[key]:
            raise UserError(f"{where}: expected one of {', '.join(ONE_OF[key])}, got {value!r}")
        return value
    if key in ("mirror", "background_grows"):
        if not isinstance(value, bool):
            raise UserError(f"{where}: expected true or false, got {value!r}")
        return value
    if key in ("batch", "solvers"):
        return _by_training(key, value, where)
    return _whole(value, where, 2 if key == "classes" else 1, 255 if key == "classes" else None)


def _whole(value, where, least=1, most=None):
    if type(value) is not int or value < least or most is not None and value > most:
        upto = f" to {most}" if most is not None else " or more"
        raise UserError(f"{where}: expected a whole number, {least}{upto}, got {value!r}")
    return value


def _by_training(key, value, where):
    if not isinstance(value, dict) or not {"cam", "s"} <= value.keys() <= set(TRAININGS):
        raise UserError(f"{where}: expected values for cam, s and, where the experiment retrains, f; got {value!r}")
    if key == "batch":
        return {kind: _whole(number, f"{where}: {kind}") for kind, number in value.items()}
    return {kind: _solver(numbers, f"{where}: {kind}") for kind, numbers in value.items()}


def _solver(numbers, where):
    """Fields of SolverParameter with values of their types."""
    known = messages()["SolverParameter"].DESCRIPTOR.fields_by_name
    if not isinstance(numbers, dict) or not {"max_iter", "base_lr"} <= numbers.keys():
        raise UserError(f"{where}: expected fields of a solver, max_iter and base_lr among them; got {numbers!r}")
    checked = {}
    for name, value in numbers.items():
        if name not in known or name in FIXED:
            raise UserError(f"{where}: '{name}' is no field of a solver to set here")
        if known[name].cpp_type == known[name].CPPTYPE_FLOAT and isinstance(value, str):
            with contextlib.suppress(ValueError):           # YAML takes 5e-4, without a point, for text
                value = float(value)
        try:
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError
            setattr(messages()["SolverParameter"](), name, value)
        except (TypeError, ValueError, AttributeError):
            raise UserError(f"{where}: {name}: {value!r} is no value of this field of a solver") from None
        checked[name] = value
    _whole(numbers["max_iter"], f"{where}: max_iter")
    return checked
