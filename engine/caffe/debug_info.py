"""The lines of debug_info: mean absolute values of what each layer reads and makes, as Caffe logs them."""

import math

from . import device, glog


def forward(node):
    """Tops and parameters after a layer's forward."""
    for name, blob in zip(node.top_names, node.tops, strict=True):
        _line("Forward", node, f"top blob {name} data: {_mean(blob.data_memory):g}")
    for name, blob in zip(node.param_names, node.layer.blobs, strict=True):
        _line("Forward", node, f"param blob {name} data: {_mean(blob.data_memory):g}")


def backward(node):
    """Diffs of bottoms and parameters after a layer's backward, those that are needed."""
    for name, blob, needed in zip(node.bottom_names, node.bottoms, node.bottom_needs, strict=True):
        if needed:
            _line("Backward", node, f"bottom blob {name} diff: {_mean(blob.diff_memory):g}")
    for k, (blob, needed) in enumerate(zip(node.layer.blobs, node.param_needs, strict=True)):
        if needed:
            _line("Backward", node, f"param blob {k} diff: {_mean(blob.diff_memory):g}")


def backward_total(learnable):
    """Norms of all parameters and their diffs after a whole backward pass.

    Parameters
    ----------
    learnable : list of Learnable
    """
    l1, l2 = [], []
    for memories in ([p.blob.data_memory for p in learnable], [p.blob.diff_memory for p in learnable]):
        values = [_values(m) for m in memories]
        l1.append(sum(float(v.abs().sum()) for v in values))
        l2.append(math.sqrt(sum(float(v.pow(2).sum()) for v in values)))
    glog.info("net.cpp", f"    [Backward] All net params (data, diff): L1 norm = ({l1[0]:g}, {l1[1]:g}); "
                        f"L2 norm = ({l2[0]:g}, {l2[1]:g})")


def _line(direction, node, text):
    glog.info("net.cpp", f"    [{direction}] Layer {node.param.name}, {text}")


def _values(memory):
    return memory.read(device.current()).float()


def _mean(memory):
    values = _values(memory)
    return float(values.abs().mean()) if values.numel() else 0.0
