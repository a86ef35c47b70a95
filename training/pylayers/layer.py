"""ImageSegDataLayer, in the module where the original's train-f.prototxt looks for it."""

from dataclasses import dataclass, field

import caffe
import numpy as np

from dsrg.io.errors import UserError

from .contract import (
    base_seed,
    expect_blobs,
    height_width,
    process_share,
    read_params,
    three_numbers,
    title,
)
from .segmentation_batches import SegmentationBatches
from .tensor_face import on_device


def _low_high(value):
    """[0.5, 1.5] -> (0.5, 1.5), both positive."""
    if not isinstance(value, list | tuple) or len(value) != 2 or not 0 < float(value[0]) <= float(value[1]):
        raise ValueError(f"expected [low, high] with 0 < low <= high, got {value!r}")
    return float(value[0]), float(value[1])


@dataclass(frozen=True)
class ImageSegDataParams:
    """The original's keys with its defaults, and two of ours.

    `source` lists "photo mask" lines, `root_folder` is put in front of both; `mean` is B, G, R; `scale`
    multiplies what is left; `phase` Train crops at random, Test in the middle. Ours: `classes` above 0
    refuses labels out of range by file name; `scale_jitter` [low, high] resizes both by a random factor.
    """

    source: str
    root_folder: str
    batch_size: int
    crop_size: tuple = field(default=(505, 505), metadata={"convert": height_width})
    mean: tuple = field(default=(128.0, 128.0, 128.0), metadata={"convert": three_numbers})
    scale: float = 1.0
    mirror: bool = False
    phase: str = "Train"
    ignore_label: int = 255
    classes: int = 0
    scale_jitter: tuple = field(default=(1.0, 1.0), metadata={"convert": _low_high})

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.phase not in ("Train", "Test"):
            raise ValueError(f"phase must be Train or Test, got {self.phase!r}")
        if not 0 <= self.ignore_label <= 255:
            raise ValueError(f"ignore_label must be in 0..255, got {self.ignore_label}")


class ImageSegDataLayer(caffe.Layer):
    """Photos and label maps for training with per-pixel labels.

    ======  ======  ============  ===========================================================
    blob    name    shape         content
    ======  ======  ============  ===========================================================
    top[0]  data    (B, 3, h, w)  BGR minus mean, times scale; 0 where padded
    top[1]  labels  (B, 1, h, w)  class numbers; ignore_label where padded
    ======  ======  ============  ===========================================================

    As in the original the first epoch follows the file and later ones are shuffled. Order, crops and flips
    depend on numpy's seed and the number of the batch alone. Masks are read as indices, palette or gray.
    """

    def configure(self, bottom, top):
        """The part of setup that opens no file: all that reshape needs."""
        self.params = read_params(self, ImageSegDataParams)
        expect_blobs(self, bottom, top, (), ("data", "labels"))

    def setup(self, bottom, top):
        self.configure(bottom, top)
        self._tick = 0
        self._rank, self._count = process_share(caffe)
        self._batches = self._told(SegmentationBatches, self.params, base_seed(), self._count)

    def seek(self, forwards):
        """Go on with batch number `forwards`: a resumed run reads what an unbroken one would."""
        self._tick = forwards

    @property
    def waited(self):
        """Seconds that forwards have waited for photos that were not read yet."""
        return self._batches.waited

    def reshape(self, bottom, top):
        p = self.params
        top[0].reshape(p.batch_size, 3, *p.crop_size)
        top[1].reshape(p.batch_size, 1, *p.crop_size)

    def forward(self, bottom, top):
        for row, (image, labels) in enumerate(self._next()):
            top[0].data[row] = image
            top[1].data[row, 0] = labels

    def forward_tensors(self):
        images, labels = zip(*self._next(), strict=True)
        device = caffe.device.current()
        data = on_device(np.stack([image.transpose(1, 2, 0) for image in images]), device)
        return data.permute(0, 3, 1, 2), on_device(np.stack(labels)[:, None], device)

    def _next(self):
        """The examples of the next batch."""
        number = self._tick * self._count + self._rank      # each process takes its share
        self._tick += 1
        return self._told(self._batches.batch, number)

    def backward(self, top, propagate_down, bottom):
        """Data has no gradient."""

    def backward_tensors(self, top_diffs, propagate_down):
        return ()

    def _told(self, call, *arguments):
        """Call, and put this layer's name in front of what is wrong with a file."""
        try:
            return call(*arguments)
        except UserError as error:
            raise UserError(f"{title(self)}: {error}") from None
