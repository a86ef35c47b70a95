"""Nets of one Python layer between Input layers, for the tests of the layers' contract."""

import hashlib

import caffe
import numpy as np


def one_layer_net(folder, layer, bottoms, param_str="", tops=("top",), loss_weight=None, module="pylayers"):
    """A net that feeds arrays to one layer named "L"; force_backward asks it for every gradient."""
    text = "force_backward: true\n"
    for name, array in bottoms.items():
        dims = " ".join(f"dim: {d}" for d in np.shape(array))
        text += f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
    wires = " ".join([*(f'bottom: "{name}"' for name in bottoms), *(f'top: "{name}"' for name in tops)])
    weight = f"loss_weight: {loss_weight}" if loss_weight is not None else ""
    text += (f'layer {{ name: "L" type: "Python" {wires} {weight} '
             f'python_param {{ module: "{module}" layer: "{layer}" param_str: "{param_str}" }} }}\n')
    path = folder / "net.prototxt"
    path.write_text(text)
    net = caffe.Net(str(path), caffe.TRAIN)
    for name, array in bottoms.items():
        net.blobs[name].data[...] = array
    return net


def digest(net, names):
    """Hash of the data of some blobs."""
    return [hashlib.sha256(net.blobs[name].data.tobytes()).hexdigest() for name in names]
