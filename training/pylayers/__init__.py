"""The Python layers of DSRG's nets, under the names the original and SEC have in their prototxts.

`python_param { module: "pylayers" layer: "DSRGLayer" ... }` finds this package when the folder `training` and
the repository's root are on the Python path (`training.findcaffe` sees to it). The layers run under BVLC
pycaffe and under the embedded engine; they use only what pycaffe offers: real Caffe's vectors `bottom` and `top`
can be indexed, but not iterated or sliced. Their maths is in `dsrg.supervision`.
"""

from . import own_library  # noqa: F401 (before the layers, which import dsrg)
from .annotation_layer import AnnotationLayer, AnnotationLayerCOCO
from .balanced_seed_loss_layer import BalancedSeedLossLayer
from .constrain_loss_layer import ConstrainLossLayer
from .crf_layer import CRFLayer
from .dsrg_layer import DSRGLayer
from .expand_loss_layer import ExpandLossLayer
from .image_label_layer import ImageLabelLayer
from .layer import ImageSegDataLayer
from .seed_loss_layer import SeedLossLayer
from .softmax_layer import SoftmaxLayer

__all__ = [
    "AnnotationLayer",
    "AnnotationLayerCOCO",
    "BalancedSeedLossLayer",
    "CRFLayer",
    "ConstrainLossLayer",
    "DSRGLayer",
    "ExpandLossLayer",
    "ImageLabelLayer",
    "ImageSegDataLayer",
    "SeedLossLayer",
    "SoftmaxLayer",
]
