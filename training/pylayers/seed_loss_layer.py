"""SeedLossLayer: SEC's seed loss."""

from dsrg.supervision import seed_loss

from .contract import expect_cues, expect_probabilities
from .loss_base import LossLayer


class SeedLossLayer(LossLayer):
    """Mean over images of -sum(cues log p) / sum(cues), all classes counted together (SEC).

    =========  =============  ============  ================================================
    blob       name           shape         content
    =========  =============  ============  ================================================
    bottom[0]  probabilities  (N, C, H, W)  above 0; gradient: exact, times the loss weight
    bottom[1]  cues           (N, C, H, W)  0 or 1; gradient: none
    top[0]     loss           (1,)          value before the loss weight
    =========  =============  ============  ================================================

    Takes no param_str.
    """

    BOTTOMS = ("probabilities", "cues")

    def check_shapes(self, bottom):
        expect_probabilities(self, bottom, 0)
        expect_cues(self, bottom, 1, tuple(bottom[0].shape))

    def compute(self, probabilities, cues):
        return *seed_loss(probabilities, cues), None

    def compute_tensors(self, losses, probabilities, cues):
        return *losses.seed_loss(probabilities, cues), None
