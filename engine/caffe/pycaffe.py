"""The names of Caffe's module ``caffe.pycaffe``, for code that imports from there."""

from .layer import Layer, layer_type_list
from .net import Net
from .parallel import NCCL
from .solver import (
    AdaDeltaSolver,
    AdaGradSolver,
    AdamSolver,
    NesterovSolver,
    RMSPropSolver,
    SGDSolver,
    get_solver,
)
from .timer import Timer

# pycaffe writes Net's methods as functions of this module, which programs wrap and replace by name.
_Net_blobs, _Net_params, _Net_inputs, _Net_outputs = Net.blobs, Net.params, Net.inputs, Net.outputs
_Net_blob_loss_weights, _Net_layer_dict = Net.blob_loss_weights, Net.layer_dict
_Net_forward, _Net_forward_all, _Net_backward = Net.forward, Net.forward_all, Net.backward
_Net_forward_backward_all, _Net_set_input_arrays, _Net_batch = (
    Net.forward_backward_all, Net.set_input_arrays, Net._batch)

__all__ = [
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Layer",
    "NCCL",
    "NesterovSolver",
    "Net",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "get_solver",
    "layer_type_list",
]
