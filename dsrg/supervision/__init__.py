"""Maths of the supervision: losses, dense-CRF refinement and seeded region growing.

Plain numpy and scipy, without Caffe: the layers of `pylayers` call these functions with the arrays of their
blobs, and the tests call them with arrays typed by hand.
"""

from .losses import (
    balanced_seed_loss,
    constrain_loss,
    expand_loss,
    floored_softmax,
    floored_softmax_backward,
    seed_loss,
)
from .refinement import Refinement, network_images_to_8bit, refine
from .region_growing import grow_seeds

__all__ = [
    "Refinement",
    "balanced_seed_loss",
    "constrain_loss",
    "expand_loss",
    "floored_softmax",
    "floored_softmax_backward",
    "grow_seeds",
    "network_images_to_8bit",
    "refine",
    "seed_loss",
]
