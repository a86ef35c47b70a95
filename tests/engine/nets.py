"""Nets of the engine's tests: texts, and functions that write and build them."""

import caffe

from tests.conftest import DATA

#: what real Caffe's solvers did, see the fixture `measured`
RUNS = DATA / "caffe" / "solver"

#: two outputs, an automatic split, an in-place layer; the same net as the measured one of pycaffe's behaviour
TWO_HEADS = """
name: "a"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
        inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "sig" type: "Sigmoid" bottom: "conv" top: "sig" }
"""

#: a classifier that feeds itself
CLASSIFIER = """
name: "classifier"
layer { name: "in" type: "DummyData" top: "data" top: "label"
        dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { type: "gaussian" std: 1 }
                           data_filler { type: "constant" value: 1 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } }
"""

#: the net of the measured solver runs; START is the first of the measured batches
TINY = """
name: "tiny"
layer { name: "data" type: "Python" top: "data" top: "label"
        python_param { module: "tests.engine.python_layers" layer: "Batches" param_str: '{"start": START}' } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool1" top: "ip"
        param { lr_mult: 10 decay_mult: 0.5 } param { lr_mult: 20 decay_mult: 0 }
        inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def write(folder, text, name="net.prototxt"):
    """Path of a prototxt of this text."""
    path = folder / name
    path.write_text(text)
    return str(path)


def build(folder, text, phase=caffe.TEST, **kwargs):
    """Net of this text."""
    return caffe.Net(write(folder, text), phase, **kwargs)


def python_layer(name, layer, bottoms=(), tops=(), extra=""):
    """Text of a Python layer of tests/engine/python_layers.py."""
    wiring = "".join(f' bottom: "{b}"' for b in bottoms) + "".join(f' top: "{t}"' for t in tops)
    return (f'layer {{ name: "{name}" type: "Python"{wiring} {extra}\n'
            f'        python_param {{ module: "tests.engine.python_layers" layer: "{layer}" }} }}\n')


def input_layer(*shape, name="data"):
    """Text of an Input layer."""
    dims = " ".join(f"dim: {d}" for d in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
