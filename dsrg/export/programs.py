"""Exported nets as files: ONNX and TorchScript."""

import io

import torch

from dsrg.export.torch_net import quiet
from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError

OPSET = 17                              # of ONNX: read by ONNX Runtime from 1.12 on
MOST_BYTES = (1 << 31) - (1 << 20)      # a protobuf message ends at 2 GiB


def write_onnx(path, net, described):
    """Write an ONNX model of opset OPSET; batch, height and width are free where the net takes any size.

    Parameters
    ----------
    path : path
    net : TorchNet
    described : dict of str to str
        Goes into metadata_props.

    Raises
    ------
    UserError
        The package onnx is missing, a model above 2 GiB, a file that cannot be written.
    """
    try:
        import onnx
    except ImportError as error:
        raise UserError(f"the package onnx is missing ({error}); run bash setup.sh") from None
    size = sum(value.numel() * value.element_size() for value in net.module.state_dict().values())
    if size > MOST_BYTES:
        raise UserError(f"the net has {size / 2**30:.1f} GiB of parameters; ONNX in one file holds 2 GiB at most")
    free = {0: "batch", **({2: "height", 3: "width"} if net.any_size else {})}
    axes = {net.input_name: free, **{name: _free(name, net) for name in net.output_names}}
    with atomic_write(path) as temporary:
        with quiet():
            torch.onnx.export(net.module, (torch.zeros(net.shape),), str(temporary), dynamo=False,
                              opset_version=OPSET, input_names=[net.input_name], output_names=net.output_names,
                              dynamic_axes=axes)
        model = onnx.load(temporary, format="protobuf")      # by itself it goes by the suffix, which is free
        onnx.checker.check_model(model)
        onnx.helper.set_model_props(model, described)
        temporary.write_bytes(model.SerializeToString())


def _free(name, net):
    """Axes of an output whose lengths follow the input's."""
    axes = {0: "batch"}
    if net.any_size and net.output_axes[name] == 4:
        axes |= {2: f"{name}_height", 3: f"{name}_width"}
    return axes


def write_torchscript(path, net, described):
    """Write a TorchScript archive, for torch.jit.load and libtorch; `described` lies in it as extra files.

    Parameters
    ----------
    path : path
    net : TorchNet
    described : dict of str to str
        Name of an extra file -> its content.
    """
    buffer = io.BytesIO()
    with quiet():
        torch.jit.save(net.module, buffer, _extra_files=described)
    with atomic_write(path) as temporary:       # its own writer ends the process where the disk is full
        temporary.write_bytes(buffer.getbuffer())
