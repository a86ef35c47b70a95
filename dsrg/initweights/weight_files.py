"""Files of trained weights as arrays by name, whatever wrote them; nothing in a file is run."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.torch_files import fault_of_tensor, load_torch

TORCH_SUFFIXES = (".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Store:
    """The content of a weights file.

    Attributes
    ----------
    path : Path
    framework : str
        'caffe' or 'torch'.
    arrays : dict
        Caffe: layer name -> list of float32 arrays. Torch: parameter name -> float32 array.
    strides : dict of str to int
        Caffe files that hold their net: stride of each convolution.
    """

    path: Path
    framework: str
    arrays: dict
    strides: dict


def read_store(path):
    """Read a .caffemodel, .h5, .pth, .pt, .bin or .safetensors.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Store

    Raises
    ------
    UserError
        Missing or damaged file, one of another kind, a pickle of more than tensors, values that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights {path}; give a .caffemodel, .h5, .pth or .safetensors")
    if path.suffix == ".safetensors" or path.suffix in TORCH_SUFFIXES:
        _need_torch(path)
    if path.suffix == ".safetensors":
        store = Store(path, "torch", _named(_safetensors(path), path), {})
    elif path.suffix in TORCH_SUFFIXES:
        store = Store(path, "torch", _named(load_torch(path), path), {})
    else:
        store = _caffe(path)
    for name, value in store.arrays.items():
        for array in value if isinstance(value, list) else [value]:
            if array is not None and not np.isfinite(array).all():
                raise UserError(f"{path}: '{name}' holds values that are not finite; download the file again")
    return store


def _need_torch(path):
    """Real Caffe's environment (ENGINE=caffe) has no torch, and Caffe's own files need none."""
    if importlib.util.find_spec("torch") is None:
        raise UserError(f"{path}: PyTorch's weights are read by torch, which is not installed; run this command in the "
                        "embedded engine's environment (ENGINE=auto bash setup.sh), its result fits both")


def _safetensors(path):
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable .safetensors file ({error}); get it again") from None


def _named(content, path):
    """Parameter name -> float32 array of a state dict, perhaps within a checkpoint or under DataParallel's prefix."""
    import torch

    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise UserError(f"{path}: holds no state dict (parameter names with tensors); save model.state_dict()")
    return {name.removeprefix("module."): _float32(name, value, path) for name, value in content.items()
            if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _float32(name, tensor, path):
    """The values of a tensor as a float32 array."""
    import torch

    if fault := fault_of_tensor(tensor):
        raise UserError(f"{path}: '{name[:200]}' is {fault}, expected plain numbers; save the weights of the full "
                        "model")
    return tensor.detach().to(torch.float32).numpy()


def _caffe(path):
    """A .caffemodel or .h5."""
    from caffe.serialization import load_caffemodel, load_weights

    try:
        if path.suffix == ".h5":
            return Store(path, "caffe", dict(load_weights(str(path))), {})
        net, weights = load_caffemodel(str(path))
    except RuntimeError as error:
        raise UserError(str(error)) from None
    strides = {layer.name: (list(layer.convolution_param.stride) or [1])[0] for layer in net.layer
               if layer.HasField("convolution_param") and layer.convolution_param.num_output}
    return Store(path, "caffe", {name: arrays for name, arrays in weights.items() if arrays}, strides)
