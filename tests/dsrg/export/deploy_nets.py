"""Deploy nets with random weights that keep the size of the signal, at an input that a test can afford."""

import re

import numpy as np

from dsrg.find_caffe import the_caffe


def make_deploy(folder, source, side=None, thin=1, seed=0):
    """Copy a deploy net into a folder, and write random weights for it.

    Parameters
    ----------
    source : Path or str
        The prototxt, or its text.
    side : int, optional
        Of a square input instead of its own.
    thin : int
        Divides the number of outputs of every layer: the same graph with fewer channels.

    Returns
    -------
    (Path, Path)
        Prototxt and caffemodel.
    """
    text = source if isinstance(source, str) else source.read_text()
    if side:
        text = re.sub(r"(dim: 3\s+)dim: \d+(\s+)dim: \d+", rf"\1dim: {side}\2dim: {side}", text, count=1)
    text = thinned(text, thin)
    net_file, weights = folder / "deploy.prototxt", folder / "random.caffemodel"
    net_file.write_text(text)
    net, rng = the_caffe().Net(str(net_file), the_caffe().TEST), np.random.default_rng(seed)
    types = dict(zip(net._layer_names, (layer.type for layer in net.layers), strict=True))
    for name, blobs in net.params.items():
        for k, blob in enumerate(blobs):
            shape = tuple(blob.shape)
            values = rng.standard_normal(shape, np.float32)
            if types[name] == "BatchNorm":
                values = {0: values / 10, 1: 1 + 9 * rng.random(shape), 2: np.full(shape, 4.0)}[k]
            elif types[name] == "Scale" and k == 0:
                values = 1 + values / 10
            else:
                values *= np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1
            blob.data[...] = values
    net.save(str(weights))
    return net_file, weights


def thinned(text, thin):
    """The text of a net with a part of its channels, two at least."""
    return re.sub(r"num_output: (\d+)", lambda found: f"num_output: {max(2, int(found[1]) // thin)}", text)


def engine_outputs(net_file, weights, image):
    """Outputs by name of the engine for an input, float32 (N, 3, H, W)."""
    net = the_caffe().Net(str(net_file), str(weights), the_caffe().TEST)
    net.blobs[net.inputs[0]].reshape(*image.shape)
    net.blobs[net.inputs[0]].data[...] = image
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}
