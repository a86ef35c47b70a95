"""DSRGLayer: the cues, grown into the regions the net is sure of."""

from dataclasses import dataclass

import caffe

from dsrg.supervision import grow_seeds, refine

from .contract import (
    expect_blobs,
    expect_cues,
    expect_labels,
    expect_probabilities,
    expect_shape,
    read_params,
)
from .crf_layer import CRFParams
from .tensor_face import on_device, on_host, refined


@dataclass(frozen=True)
class GrowthThresholds:
    """`th1` for background, `th2` for foreground (background has to pass both)."""

    th1: float
    th2: float


@dataclass(frozen=True)
class DSRGParams(CRFParams, GrowthThresholds):
    """CRF settings as CRFLayer's, the two thresholds, and `grow`: false passes the cues through unchanged."""

    grow: bool = True

    def __post_init__(self):
        super().__post_init__()
        if not (0 <= self.th1 <= 1 and 0 <= self.th2 <= 1):
            raise ValueError(f"th1 and th2 are probabilities in 0..1, got {self.th1} and {self.th2}")


class DSRGLayer(caffe.Layer):
    """Seeded region growing on the CRF-refined probabilities (DSRG, section 3.3).

    =========  =============  ==============  =======================================================
    blob       name           shape           content
    =========  =============  ==============  =======================================================
    bottom[0]  labels         (N, 1, 1, C)    1 where a class occurs, background always; gradient: none
    bottom[1]  probabilities  (N, C, H, W)    0..1; gradient: that of the top (see below)
    bottom[2]  cues           (N, C, H, W)    initial seeds, 0 or 1; gradient: none
    bottom[3]  images         (N, 3, H', W')  the net's input, BGR minus `mean`; gradient: none
    top[0]     grown cues     (N, C, H, W)    0 or 1, the initial seeds among them
    =========  =============  ==============  =======================================================

    As in the original, backward copies the gradient of the grown cues to the probabilities. It is 0 in
    practice: the seed losses send none to their cues.
    """

    def setup(self, bottom, top):
        self.params = read_params(self, DSRGParams)
        expect_blobs(self, bottom, top, ("labels", "probabilities", "cues", "images"), ("grown cues",))

    def reshape(self, bottom, top):
        expect_probabilities(self, bottom, 1)
        shape = tuple(bottom[1].shape)
        images, classes = shape[:2]
        expect_labels(self, bottom, 0, images, classes)
        expect_cues(self, bottom, 2, shape)
        expect_shape(self, bottom, 3, "images", (images, 3, None, None), "like 'probabilities'",
                     "give it the net's input images")
        top[0].reshape(*shape)

    def forward(self, bottom, top):
        labels, probabilities, cues, images = (bottom[k].data for k in range(4))
        p = self.params
        if not p.grow:
            top[0].data[...] = cues
            return
        refined = refine(probabilities, images, p.mean, p.iters, p.scale, p.textbook)
        top[0].data[...] = grow_seeds(labels[:, 0, 0], cues, refined, p.th1, p.th2)

    def backward(self, top, propagate_down, bottom):
        for index in (0, 2, 3):
            if propagate_down[index]:
                bottom[index].diff[...] = 0
        if propagate_down[1]:
            bottom[1].diff[...] = top[0].diff

    def forward_tensors(self, labels, probabilities, cues, images):
        p = self.params
        if not p.grow:
            return (cues,)
        array = refined(refine, probabilities, images, p)
        grown = grow_seeds(on_host(labels)[:, 0, 0], on_host(cues), array, p.th1, p.th2)
        return (on_device(grown, cues.device),)

    def backward_tensors(self, top_diffs, propagate_down):
        return None, top_diffs[0], None, None
