"""DeepLab-v2's layer types Interp and SegAccuracy as Python layers, for a Caffe that lacks them (BVLC's).

`docker.substitutes` puts them into a net: the keys of their param_str are the fields of interp_param and
seg_accuracy_param.
"""

from dataclasses import dataclass, field

import caffe
import numpy as np

from dsrg.io.errors import UserError

from .contract import expect_blobs, expect_shape, read_params, title


@dataclass(frozen=True)
class InterpParams:
    """Fields of InterpParameter; 0 stands for one that is not set."""

    height: int = 0
    width: int = 0
    zoom_factor: int = 0
    shrink_factor: int = 0
    pad_beg: int = 0
    pad_end: int = 0

    def __post_init__(self):
        if self.pad_beg > 0 or self.pad_end > 0:
            raise ValueError(f"pad_beg {self.pad_beg} and pad_end {self.pad_end} crop: expected 0 or less")
        if min(self.height, self.width, self.zoom_factor, self.shrink_factor) < 0:
            raise ValueError("height, width, zoom_factor and shrink_factor must be at least 1")
        if not (self.zoom_factor or self.shrink_factor or self.height and self.width):
            raise ValueError("expected zoom_factor, shrink_factor, or height with width")

    def size(self, height, width):
        """Height and width of the top, in the order of choice of DeepLab-v2's interp_layer.cpp.

        Parameters
        ----------
        height, width : int
            Of the bottom, without its padding.

        Returns
        -------
        (int, int)
        """
        if self.height and self.width and bool(self.zoom_factor) == bool(self.shrink_factor):
            return self.height, self.width
        shrink, zoom = self.shrink_factor or 1, self.zoom_factor or 1
        shrunk = [(n + self.pad_beg + self.pad_end - 1) // shrink + 1 for n in (height, width)]
        return tuple(n + (n - 1) * (zoom - 1) for n in shrunk)


def interpolation_matrix(taken, made):
    """Weights (made, taken) float32 of linear interpolation that keeps both ends in place.

    Parameters
    ----------
    taken, made : int
        Pixels of the bottom and of the top along one axis.

    Returns
    -------
    float32 array (made, taken)
    """
    matrix = np.zeros((made, taken), np.float32)
    step = np.float32(taken - 1) / np.float32(made - 1) if made > 1 else np.float32(0)
    for row in range(made):
        place = step * np.float32(row)
        low = min(int(place), taken - 1)
        matrix[row, low] += 1 - (place - low)
        matrix[row, min(low + 1, taken - 1)] += place - low
    return matrix


class InterpLayer(caffe.Layer):
    """Bilinear resizing that keeps the corners in place (DeepLab-v2's Interp).

    =========  =======  ==============  ===========================================================
    blob       name     shape           content
    =========  =======  ==============  ===========================================================
    bottom[0]  maps     (N, C, H, W)    cropped by pad_beg and pad_end; gradient: exact (the adjoint)
    top[0]     resized  (N, C, H', W')  sampled at i (H - 1) / (H' - 1)
    =========  =======  ==============  ===========================================================

    A label map of 8 k + 1 that is shrunk by 8 is sampled at every 8th cell and never blends.
    """

    def setup(self, bottom, top):
        self.params = read_params(self, InterpParams)
        expect_blobs(self, bottom, top, ("maps",), ("resized",))

    def reshape(self, bottom, top):
        expect_shape(self, bottom, 0, "maps", (None,) * 4, "(N, C, H, W)", "give it a map")
        images, channels, height, width = tuple(bottom[0].shape)
        crop = self.params.pad_beg + self.params.pad_end
        made = self.params.size(height, width)
        if min(height, width) + crop < 1 or min(made) < 1:
            raise UserError(f"{title(self)}: bottom[0] {(images, channels, height, width)} is cropped by {-crop} and "
                             f"becomes {made}: nothing is left; set the params for this size")
        if (height, width, *made) != getattr(self, "_sizes", None):
            self._sizes = (height, width, *made)
            self._rows = interpolation_matrix(height + crop, made[0])
            self._columns = interpolation_matrix(width + crop, made[1])
        top[0].reshape(images, channels, *made)

    def _window(self, array):
        p = self.params
        return array[:, :, -p.pad_beg:array.shape[2] + p.pad_end, -p.pad_beg:array.shape[3] + p.pad_end]

    def forward(self, bottom, top):
        top[0].data[...] = self._rows @ self._window(bottom[0].data) @ self._columns.T

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
            self._window(bottom[0].diff)[...] = self._rows.T @ top[0].diff @ self._columns


def whole_numbers(value):
    """255 or [255, 254] -> a tuple.

    Parameters
    ----------
    value : int or sequence of int

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        Anything else.
    """
    values = value if isinstance(value, list | tuple) else (value,)
    if not all(type(v) is int for v in values):
        raise ValueError(f"expected a whole number or a list of them, got {value!r}")
    return tuple(values)


@dataclass(frozen=True)
class SegAccuracyParams:
    """Fields of SegAccuracyParameter; `metric` is read and, as in DeepLab-v2, changes nothing."""

    ignore_label: tuple = field(default=(), metadata={"convert": whole_numbers})
    reset: bool = True
    metric: str = "PixelAccuracy"


class SegAccuracyLayer(caffe.Layer):
    """Accuracy of a label map (DeepLab-v2's SegAccuracy).

    =========  ========  ============  =================================================================
    blob       name      shape         content
    =========  ========  ============  =================================================================
    bottom[0]  scores    (N, C, H, W)  of equal ones the highest class is taken; gradient: none
    bottom[1]  labels    (N, 1, H, W)  class numbers; gradient: none
    top[0]     accuracy  (1, 1, 1, 3)  of pixels; mean recall over the classes in the labels; mean IoU over
                                       all C, where a class with intersection = union (0 / 0, too) counts 1
    =========  ========  ============  =================================================================

    Labels in ignore_label are left out; `reset: false` goes on counting over forwards.
    """

    def setup(self, bottom, top):
        self.params = read_params(self, SegAccuracyParams)
        expect_blobs(self, bottom, top, ("scores", "labels"), ("accuracy",))
        self._counts = None

    def reshape(self, bottom, top):
        expect_shape(self, bottom, 0, "scores", (None,) * 4, "(N, C, H, W)", "give it a score map")
        images, _, height, width = tuple(bottom[0].shape)
        expect_shape(self, bottom, 1, "labels", (images, 1, height, width), "like 'scores'",
                     "resize the labels to the scores (Interp)")
        top[0].reshape(1, 1, 1, 3)

    def forward(self, bottom, top):
        classes = bottom[0].shape[1]
        guess = classes - 1 - bottom[0].data[:, ::-1].argmax(axis=1)
        labels = bottom[1].data[:, 0].astype(np.int64)
        counted = ~np.isin(labels, self.params.ignore_label)
        labels, guess = labels[counted], guess[counted]
        wrong = labels[(labels < 0) | (labels >= classes)]
        if wrong.size:
            raise UserError(f"{title(self)}: bottom[1] 'labels' holds {wrong[0]}, expected 0..{classes - 1}; "
                             "ignore_label leaves some out")
        counts = np.bincount(labels * classes + guess, minlength=classes**2).reshape(classes, classes)
        if not self.params.reset and self._counts is not None:
            counts = counts + self._counts
        self._counts = counts
        top[0].data[0, 0, 0] = figures(counts)

    def backward(self, top, propagate_down, bottom):
        for k in range(2):
            if propagate_down[k]:
                bottom[k].diff[...] = 0


def figures(counts):
    """Pixel accuracy, mean recall, mean IoU of a confusion matrix (label, guess).

    Parameters
    ----------
    counts : int array (C, C)

    Returns
    -------
    tuple of three floats, 0 to 1
    """
    hit, truth = np.diag(counts), counts.sum(axis=1)
    union = truth + counts.sum(axis=0) - hit
    present = np.count_nonzero(truth)
    return (hit.sum() / max(truth.sum(), 1), (hit / np.maximum(truth, 1)).sum() / max(present, 1),
            np.where(hit == union, 1.0, hit / np.maximum(union, 1)).mean())
