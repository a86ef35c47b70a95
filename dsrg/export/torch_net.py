"""A deploy net as one module of PyTorch, with the parameters of a weights file."""

import contextlib
import copy
import re
import warnings
from dataclasses import dataclass

import torch

from dsrg.export.torch_layers import LISTS, NOTHING, module_of, refuse_what_has_no_module
from dsrg.find_caffe import find_caffe
from dsrg.io.errors import UserError
from dsrg.scoring.score_net import open_net, refuse_other_prototxts


@dataclass(frozen=True)
class TorchNet:
    """A deploy net of Caffe in PyTorch.

    Attributes
    ----------
    module : torch.jit.ScriptModule
        float32 (N, C, H, W) -> the output, or a tuple of them; in evaluation mode.
    input_name : str
    shape : tuple of int
        Of the input, as the prototxt has it.
    output_names : list of str
    output_axes : dict of str to int
        Number of axes of each output.
    any_size : bool
        Whether heights and widths other than the prototxt's go through; an inner product of a whole plane, for one, is
        made for one size.
    name : str
        The net's own.
    """

    module: torch.jit.ScriptModule
    input_name: str
    shape: tuple
    output_names: list
    output_axes: dict
    any_size: bool
    name: str


def torch_net(net_file, weights, output_blob=None, allow_random=()):
    """Read a deploy net and its weights.

    Parameters
    ----------
    net_file, weights : path
        Deploy prototxt; .caffemodel or .caffemodel.h5.
    output_blob : str, optional
        The only output; layers that it does not need are left out. By default all outputs of the net.
    allow_random : sequence of str
        Layers with parameters that may lack weights.

    Returns
    -------
    TorchNet

    Raises
    ------
    UserError
        Files that are missing or do not fit, a net without exactly one input, a layer that cannot be exported, by name.
    """
    caffe = find_caffe("embedded")
    from caffe.prototxt import read_net

    refuse_other_prototxts(net_file, caffe.proto.caffe_pb2)
    try:
        described = read_net(net_file, caffe.TEST)
    except (RuntimeError, ValueError) as error:
        raise UserError(str(error)) from None
    inputs = [layer.top[0] for layer in described.layer if layer.type == "Input"]
    if len(inputs) != 1:
        raise UserError(f"{net_file} has {len(inputs)} inputs ({', '.join(inputs) or 'none'}); expected one")
    layers, outputs = needed_layers(described, output_blob, net_file)
    for layer in layers:
        refuse_what_has_no_module(layer)
    net = open_net(caffe, net_file, weights, allow_random=allow_random)
    module = _graph(layers, net, inputs[0], outputs)
    shape = tuple(net.blobs[inputs[0]].shape)
    axes = {name: len(net.blobs[name].shape) for name in outputs}
    with quiet():
        scripted = torch.jit.script(module)
    return TorchNet(scripted, inputs[0], shape, outputs, axes, _takes_any_size(module, shape), described.name)


def needed_layers(described, output_blob, net_file):
    """Layers that the outputs need, Input left out, in order; and the names of the outputs.

    Parameters
    ----------
    described : NetParameter
        As `caffe.prototxt.read_net` reads it for the phase TEST.
    output_blob : str or None
        The only output; None for all blobs that no layer reads.
    net_file : str or Path
        For messages.

    Returns
    -------
    layers : list of LayerParameter
    outputs : list of str

    Raises
    ------
    UserError
        No such blob.
    """
    layers = [layer for layer in described.layer if layer.type != "Input"]
    read = {name for layer in layers for name in layer.bottom}
    made = {name: None for layer in layers for name in layer.top}
    outputs = [output_blob] if output_blob else [name for name in made if name not in read]
    if output_blob and output_blob not in made:
        raise UserError(f"{net_file} has no blob '{output_blob}'; its last are {', '.join([*made][-4:])}")
    wanted, kept = set(outputs), []
    for layer in reversed(layers):
        if wanted & set(layer.top):
            kept.append(layer)
            wanted |= set(layer.bottom)
    return kept[::-1], outputs


def _graph(layers, net, input_name, outputs):
    """The layers as a torch.fx.GraphModule; a blob that a layer changes in place is a new value there."""
    graph, modules = torch.fx.Graph(), {}
    values = {input_name: graph.placeholder(re.sub(r"\W", "_", f"in_{input_name}"))}
    for number, layer in enumerate(layers):
        bottoms = [values[name] for name in layer.bottom]
        if layer.type in NOTHING:
            values |= dict.fromkeys(layer.top, bottoms[0])
            continue
        arrays = [torch.from_numpy(blob.data.copy()) for blob in net.params[layer.name]] \
            if layer.name in net.params else []
        key = re.sub(r"\W", "_", f"layer{number}_{layer.name}")
        modules[key] = module_of(layer, arrays)
        values[layer.top[0]] = graph.call_module(key, (bottoms,) if layer.type in LISTS else tuple(bottoms))
    found = [values[name] for name in outputs]
    graph.output(found[0] if len(found) == 1 else tuple(found))
    return torch.fx.GraphModule(torch.nn.ModuleDict(modules), graph).eval().requires_grad_(False)


def _takes_any_size(module, shape):
    """Whether shapes alone, without any numbers, go through at two other sizes, one of them not square."""
    shapes_only = copy.deepcopy(module).to("meta")
    for more in ((16, 32), (33, 7)):
        size = tuple(n + m for n, m in zip(shape[2:], more, strict=True))
        try:
            with torch.no_grad():
                shapes_only(torch.empty(*shape[:2], *size, device="meta"))
        except RuntimeError:
            return False
    return True


@contextlib.contextmanager
def quiet():
    """TorchScript, and the exporter that goes by it, are announced as deprecated; both work in torch 2.11 to 2.13.

    What is to replace them, torch.export, makes no files for libtorch's jit and needs another package for ONNX.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "Constant folding")       # what is left unfolded is computed when it runs
        warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level annotations")
        yield
