"""ConstrainLossLayer: the boundary loss."""

from dsrg.supervision import constrain_loss

from .contract import expect_probabilities, expect_shape
from .loss_base import LossLayer


class ConstrainLossLayer(LossLayer):
    """Mean over pixels of sum_c Q log(clip(Q / p, 0.05, 20)): the net follows the CRF's boundaries.

    =========  =============  ============  ====================================================
    blob       name           shape         content
    =========  =============  ============  ====================================================
    bottom[0]  probabilities  (N, C, H, W)  above 0; gradient: exact, times the loss weight
    bottom[1]  log Q          (N, C, H, W)  CRFLayer's top; gradient: exact, times the loss weight
    top[0]     loss           (1,)          value before the loss weight
    =========  =============  ============  ====================================================

    Takes no param_str. The gradient to log Q is the original's; SEC has none there (propagate_down: false).
    """

    BOTTOMS = ("probabilities", "log Q")

    def check_shapes(self, bottom):
        expect_probabilities(self, bottom, 0)
        expect_shape(self, bottom, 1, "log Q", tuple(bottom[0].shape), "like 'probabilities'",
                     "give CRFLayer the same probabilities")

    def compute(self, probabilities, log_q):
        return constrain_loss(probabilities, log_q)

    def compute_tensors(self, losses, probabilities, log_q):
        return losses.constrain_loss(probabilities, log_q)
