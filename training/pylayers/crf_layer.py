"""CRFLayer: log of the probabilities refined by the dense CRF."""

from dataclasses import dataclass, field

import caffe
import numpy as np

from dsrg.io.voc import MEAN_BGR
from dsrg.supervision import refine
from dsrg.supervision.refinement import ITERATIONS, TRAINING_SCALE

from .contract import expect_blobs, expect_probabilities, expect_shape, read_params, three_numbers
from .tensor_face import on_device, refined


@dataclass(frozen=True)
class CRFParams:
    """Mean-field steps `iters`, CRF scale `scale`, `textbook` unary -log p, `mean` (BGR) of the data."""

    iters: int = ITERATIONS
    scale: float = TRAINING_SCALE
    textbook: bool = False
    mean: tuple = field(default=MEAN_BGR, metadata={"convert": three_numbers})

    def __post_init__(self):
        if self.iters < 0 or not self.scale > 0:
            raise ValueError(f"expected iters >= 0 and scale > 0, got {self.iters} and {self.scale}")


class CRFLayer(caffe.Layer):
    """Refines probabilities with the photo; ConstrainLossLayer compares the net with the result.

    =========  =============  ==============  =======================================================
    blob       name           shape           content
    =========  =============  ==============  =======================================================
    bottom[0]  probabilities  (N, C, H, W)    0..1; gradient: (1 - Q) times the gradient of the top
    bottom[1]  images         (N, 3, H', W')  the net's input, BGR minus `mean`; gradient: none
    top[0]     log Q          (N, C, H, W)    Q floored at 1e-4 and normalised
    =========  =============  ==============  =======================================================

    Kept from the original: the unary energy is -p (`textbook: true` takes -log p), and the gradient is the
    one above, not that of the mean field. The bottom itself is not floored: the original wrote into it.
    """

    def setup(self, bottom, top):
        self.params = read_params(self, CRFParams)
        expect_blobs(self, bottom, top, ("probabilities", "images"), ("log Q",))

    def reshape(self, bottom, top):
        expect_probabilities(self, bottom, 0)
        expect_shape(self, bottom, 1, "images", (bottom[0].shape[0], 3, None, None), "like 'probabilities'",
                     "give it the net's input images")
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        p = self.params
        self._refined = refine(bottom[0].data, bottom[1].data, p.mean, p.iters, p.scale, p.textbook)
        top[0].data[...] = np.log(self._refined)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = (1 - self._refined) * top[0].diff
        if propagate_down[1]:
            bottom[1].diff[...] = 0

    def forward_tensors(self, probabilities, images):
        self._refined = on_device(refined(refine, probabilities, images, self.params), probabilities.device)
        return (self._refined.log(),)

    def backward_tensors(self, top_diffs, propagate_down):
        return (1 - self._refined) * top_diffs[0], None
