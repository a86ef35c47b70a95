"""BalancedSeedLossLayer: the seed loss of DSRG."""

from dsrg.supervision import balanced_seed_loss

from .seed_loss_layer import SeedLossLayer


class BalancedSeedLossLayer(SeedLossLayer):
    """Background and foreground seeds, each averaged over their own count per image (DSRG, equation 2).

    =========  =============  ============  ================================================
    blob       name           shape         content
    =========  =============  ============  ================================================
    bottom[0]  probabilities  (N, C, H, W)  above 0; gradient: exact, times the loss weight
    bottom[1]  cues           (N, C, H, W)  0 or 1, class 0 background; gradient: none
    top[0]     loss           (1,)          value before the loss weight
    =========  =============  ============  ================================================

    Takes no param_str.
    """

    def compute(self, probabilities, cues):
        return *balanced_seed_loss(probabilities, cues), None

    def compute_tensors(self, losses, probabilities, cues):
        return *losses.balanced_seed_loss(probabilities, cues), None
