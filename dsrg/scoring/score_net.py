"""A net that scores photos, driven by pycaffe calls alone: real Caffe and the embedded engine serve alike."""

import re
import tempfile
from pathlib import Path

import numpy as np

from dsrg.caffe_device import use_machine
from dsrg.io.errors import UserError
from dsrg.io.prototxt_text import parse_prototxt, read_text
from dsrg.scoring.loaded_weights import require_weights


class ScoreNet:
    """A deploy net with one image input and one score output.

    Parameters
    ----------
    net : caffe.Net
    output_blob : str, optional
        Blob of the scores; by default the net's only output.

    Attributes
    ----------
    input_blob, output_blob : str
    """

    def __init__(self, net, output_blob=None):
        self.net = net
        if len(net.inputs) != 1:
            names = ", ".join(net.inputs) or "none"
            raise UserError(f"the net has {len(net.inputs)} inputs ({names}); expected one image input: "
                            "give a deploy prototxt (with input: or a layer Input), not the one for training")
        self.input_blob = net.inputs[0]
        if output_blob is None:
            if len(net.outputs) != 1:
                raise UserError(f"the net has {len(net.outputs)} outputs ({', '.join(net.outputs)}); "
                                "choose the scores with --output-blob")
            output_blob = net.outputs[0]
        if output_blob not in net.blobs:
            raise UserError(f"the net has no blob '{output_blob}'; its outputs are {', '.join(net.outputs)}")
        self.output_blob = output_blob
        shape = tuple(net.blobs[self.input_blob].shape)
        if len(shape) != 4 or shape[1] != 3:
            raise UserError(f"input blob '{self.input_blob}' is {shape}, expected (N, 3, H, W) for photos")

    def scores(self, image, flip=False):
        """Score one image of any size.

        Parameters
        ----------
        image : ndarray of float32, shape (3, h, w)
        flip : bool
            Mean with the scores of the mirrored image.

        Returns
        -------
        ndarray of float32, shape (C, h', w')
            A copy.
        """
        batch = np.stack([image, image[:, :, ::-1]]) if flip else image[None]
        blob = self.net.blobs[self.input_blob]
        if tuple(blob.shape) != batch.shape:
            blob.reshape(*batch.shape)
            self.net.reshape()
        blob.data[...] = batch
        self.net.forward()
        scores = np.array(self.net.blobs[self.output_blob].data, np.float32)  # copy: overwritten next
        if scores.ndim != 4 or scores.shape[0] != len(batch):
            raise UserError(f"output blob '{self.output_blob}' is {scores.shape}, expected scores of shape "
                            f"({len(batch)}, classes, height, width); choose another with --output-blob")
        return (scores[0] + scores[1, :, :, ::-1]) / 2 if flip else scores[0]


def open_net(caffe, net_file, weights, device="cpu", precision="fp32", backward=False, allow_random=()):
    """Load a net for testing on the Caffe in use.

    Parameters
    ----------
    caffe : module
        pycaffe or the embedded engine.
    net_file, weights : path
        Deploy prototxt and caffemodel.
    device, precision : str
        As for dsrg.caffe_device.use_machine.
    backward : bool
        Whether net.backward must work. A net without a loss sends nothing back unless its prototxt says
        force_backward; the net is then opened from a copy that says so.
    allow_random : sequence of str
        Layers with parameters that may lack weights; any other that does is refused by name, since a net that is
        random in part scores garbage without a word.

    Returns
    -------
    caffe.Net

    Raises
    ------
    UserError
        A file that is missing or does not load, weights that do not fit the net.
    """
    net_file, weights = Path(net_file), Path(weights)
    for what, path in (("net", net_file), ("weights", weights)):
        if not path.is_file():
            raise UserError(f"{what} {path} does not exist; real Caffe would exit here without a message")
    refuse_other_prototxts(net_file, caffe.proto.caffe_pb2)
    try:
        use_machine(caffe, device, precision)
        net = _opened(caffe, net_file, backward)
        require_weights(net, net_file, weights, caffe.proto.caffe_pb2, allow_random)
        net.copy_from(str(weights))
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise UserError(f"cannot open {net_file} with {weights}: {error}") from error
    return net


def refuse_other_prototxts(net_file, caffe_pb2):
    """UserError for a solver or a net for training where a deploy net is asked for: said before its data is missed.

    Parameters
    ----------
    net_file : path
    caffe_pb2 : module

    Raises
    ------
    UserError
    """
    text = Path(net_file).read_text(encoding="utf-8-sig", errors="replace")
    try:
        net = parse_prototxt(text, caffe_pb2.NetParameter(), net_file, lenient=True)
    except UserError:
        return          # what is wrong with it is said by whoever opens it
    deploy = "give a deploy net, such as deploy.prototxt of the same folder"
    if not net.layer and not net.layers and re.search(r"^\s*(base_lr|max_iter|net|train_net)\s*:", text, re.MULTILINE):
        raise UserError(f"{net_file} is a solver, not a net; {deploy}")
    if net.input or any(layer.type == "Input" for layer in net.layer):
        return
    first = next((layer for layer in net.layer if not layer.bottom), None)
    if first is not None:
        raise UserError(f"{net_file} is a net for training: its layer '{first.name}' ({first.type}) reads data, and it "
                        f"has no input for a photo; {deploy}")


def _opened(caffe, net_file, backward):
    """The net with its parameters at their fillers."""
    if not backward:
        return caffe.Net(str(net_file), caffe.TEST)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, net_file.name)
        copy.write_text(forced_backward(read_text(net_file)), encoding="utf-8")
        return caffe.Net(str(copy), caffe.TEST)


def forced_backward(text):
    """The text of a prototxt with force_backward: true; all other lines keep their numbers.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return "force_backward: true " + re.sub(r"^([ \t]*)force_backward\s*:\s*\w+", r"\1", text, flags=re.MULTILINE)
