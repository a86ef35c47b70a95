"""What a data layer does to a picture (transform_param): crop, mirror, subtract the mean, scale; in this order.

Pictures are (H, W, C) arrays, channels in the order of cv2 (B, G, R). With x the cropped picture the result is
(x - mean) scale as float32, mirrored left to right or not. In TRAIN the crop's place is random and `mirror` mirrors
every second picture at random; in TEST the crop is the middle, and mirroring is random as well, as in Caffe.
scale_factors, of DeepLab-v2's ImageSegData, resize a picture before all this, by one of them drawn at random.
"""

from dataclasses import dataclass

import numpy as np

from ..proto import caffe_pb2
from .bottom_checks import read_binaryproto


@dataclass(frozen=True)
class Choice:
    """The random part of one picture's treatment."""

    mirror: bool
    y: float  # place of the crop in its range, 0..1
    x: float
    factor: float = 1.0  # one of scale_factors


class Transformer:
    """The transform_param of a layer, checked; ``transformer(picture, choice)`` applies it."""

    def __init__(self, layer):
        p = layer._layer_param.transform_param
        self.layer, self.scale, self.mirror = layer, p.scale, p.mirror
        self.factors = list(p.scale_factors)
        self.random_crop = layer.phase == caffe_pb2.TRAIN
        if self.factors and layer.type != "ImageSegData":
            raise layer.error("transform_param.scale_factors is read by ImageSegData only; remove it")
        if any(not 0 < f < np.inf for f in self.factors):
            raise layer.error(f"scale_factors {self.factors}: expected numbers above 0")
        if p.crop_size and (p.crop_height or p.crop_width):
            raise layer.error("give either crop_size, or crop_height and crop_width, not both")
        if bool(p.crop_height) != bool(p.crop_width):
            raise layer.error("crop_height and crop_width must be given together")
        self.crop = (p.crop_height, p.crop_width) if p.crop_height else (p.crop_size,) * 2 if p.crop_size else None
        if p.mean_file and p.mean_value:
            raise layer.error("give either mean_file or mean_value, not both")
        self.mean_value = np.array(p.mean_value, np.float32)
        self.mean = read_mean(layer, p.mean_file) if p.mean_file and not layer.shapes_only else None

    def draw(self, rng, count):
        """Choices for `count` pictures; crops and mirrors are the same whatever the other settings are.

        Parameters
        ----------
        rng : numpy.random.Generator
        count : int

        Returns
        -------
        list
        """
        mirror, place = rng.integers(0, 2, count), rng.random((count, 2))
        factors = rng.choice(self.factors, count) if self.factors else np.ones(count)
        return [Choice(bool(m) and self.mirror, *p, f) for m, p, f in zip(mirror, place, factors, strict=True)]

    def extents(self, height, width):
        """Height and width of the result.

        Parameters
        ----------
        height, width : int
            Of the picture.

        Returns
        -------
        (int, int)
        """
        return self.crop or (height, width)

    def __call__(self, picture, choice, what="picture"):
        """Transform one picture.

        Parameters
        ----------
        picture : numpy.ndarray, (H, W, C) uint8 or float32
        choice : Choice
        what : str
            Name of the picture in error messages.

        Returns
        -------
        numpy.ndarray, (H', W', C) float32
        """
        place = self.window(picture.shape[0], picture.shape[1], choice, what)
        out = picture[place].astype(np.float32)
        mean = self._mean_of(picture.shape, what)
        if mean is not None:
            out -= mean[place] if mean.ndim == 3 else mean
        if self.scale != 1:
            out *= np.float32(self.scale)
        return out[:, ::-1] if choice.mirror else out

    def window(self, height, width, choice, what):
        """The crop as a pair of slices.

        Parameters
        ----------
        height, width : int
            Of the picture.
        choice
            One of `draw`.
        what : str
            What messages call the picture.

        Returns
        -------
        (slice, slice)

        Raises
        ------
        LayerError
            A crop larger than the picture.
        """
        if self.crop is None:
            return slice(None), slice(None)
        slices = []
        for name, n, size, u in zip(("height", "width"), (height, width), self.crop, (choice.y, choice.x), strict=True):
            if size > n:
                raise self.layer.error(
                    f"{what} is {height} x {width}, its {name} less than the crop's, {size}; enlarge the pictures "
                    "(new_height, new_width) or lower the crop"
                )
            begin = int(u * (n - size + 1)) if self.random_crop else (n - size) // 2
            slices.append(slice(begin, begin + size))
        return tuple(slices)

    def _mean_of(self, shape, what):
        if self.mean is not None:
            if self.mean.shape != shape:
                raise self.layer.error(
                    f"{what} is {shape} (height, width, channels), the mean of mean_file {self.mean.shape}: they must "
                    "agree before the crop; resize the pictures or use mean_value"
                )
            return self.mean
        if not len(self.mean_value):
            return None
        if len(self.mean_value) not in (1, shape[2]):
            raise self.layer.error(f"mean_value is given {len(self.mean_value)} times; {what} has {shape[2]} channels: "
                                   "expected once, or once a channel")
        return self.mean_value


def refuse_old_fields(layer, param, *names):
    """Refuse fields of a data layer's own message that are read in the old `layers` only (Caffe ignores them).

    Parameters
    ----------
    layer : NativeLayer
    param
        The layer's own message.
    *names : str
        Fields.

    Raises
    ------
    LayerError
    """
    given = [name for name in names if param.HasField(name)]
    if given:
        raise layer.error(f"{', '.join(given)} in {param.DESCRIPTOR.name} is read in the old `layers` only; move it to "
                          "transform_param")


def read_mean(layer, path):
    """The mean picture of a binaryproto file, as (H, W, C) float32.

    Parameters
    ----------
    layer : NativeLayer
    path : str

    Returns
    -------
    numpy.ndarray, float32

    Raises
    ------
    LayerError
    """
    values = read_binaryproto(layer, path, "mean_file")
    shape = (1,) * (4 - values.ndim) + values.shape
    if len(shape) != 4 or shape[0] != 1:
        raise layer.error(f"mean_file '{path}' is {values.shape}; expected (1, C, H, W)")
    return np.ascontiguousarray(values.reshape(shape[1:]).transpose(1, 2, 0))
