"""ImageLabelLayer: image numbers become the targets of a classifier (for the class activation maps)."""

from dataclasses import dataclass

import caffe
import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.image_ids import id_of
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_input_list

from .contract import expect_blobs, read_params, title
from .tensor_face import on_device, on_host


@dataclass(frozen=True)
class ImageLabelParams:
    """Files `labels` ("<id> <class> ..." a line) and `list` ("<name>.jpg <number>"), number of `classes`."""

    classes: int
    labels: str = "lists/image_labels.txt"
    list: str = "lists/input_list.txt"


class ImageLabelLayer(caffe.Layer):
    """Targets for SigmoidCrossEntropyLoss from image-level labels; background is not a target.

    =========  =========  ============  ============================================================
    blob       name       shape         content
    =========  =========  ============  ============================================================
    bottom[0]  image ids  (N,) or more  whole numbers, second column of `list`; gradient: none
    top[0]     targets    (N, C - 1)    1 where class c of 1..C-1 occurs (column c - 1), else 0
    =========  =========  ============  ============================================================

    `classes` is C, background counted, as in every other layer.
    """

    def configure(self, bottom, top):
        """The part of setup that opens no file: all that reshape needs."""
        self.params = read_params(self, ImageLabelParams)
        expect_blobs(self, bottom, top, ("image ids",), ("targets",))

    def setup(self, bottom, top):
        self.configure(bottom, top)
        try:
            labels = read_image_labels(self.params.labels, self.params.classes)
            self._targets = self._targets_by_number(labels)
        except UserError as error:
            raise UserError(f"{title(self)}: {error}") from None

    def _targets_by_number(self, labels):
        """Image number -> float32 targets (C - 1,), for every line of the list."""
        targets = {}
        for number, name in read_input_list(self.params.list).items():
            image_id = id_of(name)
            if not labels.get(image_id):
                raise UserError(f"{self.params.labels}: no labels for '{image_id}' of {self.params.list}; "
                                "name its classes, or take the photo out of the list")
            target = np.zeros(self.params.classes - 1, dtype=np.float32)
            target[np.array(labels[image_id]) - 1] = 1
            targets[number] = target
        return targets

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].count, self.params.classes - 1)

    def forward(self, bottom, top):
        top[0].data[...] = self._of(bottom[0].data)

    def forward_tensors(self, image_ids):
        return (on_device(self._of(on_host(image_ids)), image_ids.device),)

    def backward_tensors(self, top_diffs, propagate_down):
        return (None,)

    def _of(self, image_ids):
        """Targets (N, C - 1) of a batch."""
        targets = np.empty((image_ids.size, self.params.classes - 1), np.float32)
        for row, image_id in enumerate(image_ids.ravel()):
            target = self._targets.get(int(image_id))
            if target is None:
                raise UserError(f"{title(self)}: image {int(image_id)} is not in {self.params.list} "
                                 f"({len(self._targets)} images); both data layers must read the same list")
            targets[row] = target
        return targets

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = 0
