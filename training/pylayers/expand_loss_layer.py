"""ExpandLossLayer: SEC's expansion loss."""

from dsrg.supervision import expand_loss

from .contract import expect_labels, expect_probabilities
from .loss_base import LossLayer


class ExpandLossLayer(LossLayer):
    """Present classes fill part of the image by decaying ranks, absent classes stay away (SEC).

    =========  =============  ============  ================================================
    blob       name           shape         content
    =========  =============  ============  ================================================
    bottom[0]  probabilities  (N, C, H, W)  inside 0..1; gradient: exact, times the loss weight
    bottom[1]  labels         (N, 1, 1, C)  1 where a class occurs; gradient: none
    top[0]     loss           (1,)          value before the loss weight
    =========  =============  ============  ================================================

    Takes no param_str; the decays are 0.996 (foreground) and 0.999 (background).
    """

    BOTTOMS = ("probabilities", "labels")

    def check_shapes(self, bottom):
        expect_probabilities(self, bottom, 0)
        images, classes = tuple(bottom[0].shape)[:2]
        expect_labels(self, bottom, 1, images, classes)

    def compute(self, probabilities, labels):
        return *expand_loss(probabilities, labels), None

    def compute_tensors(self, losses, probabilities, labels):
        return *losses.expand_loss(probabilities, labels), None
