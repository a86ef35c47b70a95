"""Weights of Caffe as safetensors or a PyTorch checkpoint, and back, to the bit.

Parameter k of layer `conv1_1` is the tensor `conv1_1.k`, as Caffe counts: weights 0, bias 1; of BatchNorm the sums of
means and of variances, and their factor. The metadata (key "dsrg": JSON; in a checkpoint an entry of that name beside
"state_dict") holds the net's name, and name, type and shapes of each layer in the order of the file; "caffemodel" is
the file without its numbers (a NetParameter, base64), so that nothing is lost on the way back.
"""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np

from dsrg.export.metadata import KEY
from dsrg.find_caffe import find_caffe
from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.torch_files import MOST_AXES, fault_of_tensor, load_torch

SUFFIXES = {".safetensors": "safetensors", ".pth": "pth", ".pt": "pth", ".caffemodel": "caffemodel"}
NUMBER = re.compile(r"0|[1-9][0-9]{0,5}")       # of a parameter, as this module writes it


def convert(source, target, form=None):
    """Write weights in another format.

    Parameters
    ----------
    source : path
        .caffemodel, .caffemodel.h5, .safetensors or .pth.
    target : path
    form : str, optional
        safetensors, pth or caffemodel; by default as the suffix of `target` says.

    Returns
    -------
    int
        Layers with parameters.

    Raises
    ------
    UserError
        A file that is missing, damaged or of another kind; layers of one name; arrays that are not float32.
    """
    form = form or SUFFIXES.get(Path(target).suffix)
    writers = {"safetensors": _write_safetensors, "pth": _write_checkpoint, "caffemodel": _write_caffemodel}
    if form not in writers:
        raise UserError(f"{target}: expected a name that ends in {', '.join(SUFFIXES)}")
    structure, arrays = _read(Path(source))
    writers[form](target, structure, arrays)
    return len(arrays)


def _read(path):
    """NetParameter without numbers, and float32 arrays by layer name, of any format."""
    if not path.is_file():
        raise UserError(f"no weights {path}; give a .caffemodel, .h5, .safetensors or .pth")
    caffe = find_caffe("embedded")
    if path.suffix == ".safetensors":
        return _from_tensors(path, *_safetensors(path), caffe)
    if path.suffix in (".pth", ".pt"):
        return _from_tensors(path, *_checkpoint(path), caffe)
    from caffe.serialization import load_caffemodel, load_weights

    try:
        if path.suffix == ".h5":
            arrays = {name: blobs for name, blobs in load_weights(str(path)).items() if blobs}
            return _bare(arrays, path.name.split(".")[0], caffe), arrays
        structure, weights = load_caffemodel(str(path))
    except RuntimeError as error:
        raise UserError(str(error)) from None
    if weights.repeated:
        raise UserError(f"{path}: several layers are called '{sorted(weights.repeated)[0]}'; names tell tensors apart, "
                        "so rename them in the net")
    for layer in structure.layer:
        del layer.blobs[:]
    return structure, {name: blobs for name, blobs in weights.items() if blobs}


def _bare(arrays, name, caffe):
    """A NetParameter of layers that have a name alone: enough to copy weights from."""
    structure = caffe.proto.caffe_pb2.NetParameter(name=name)
    for layer in arrays:
        structure.layer.add(name=layer)
    return structure


def _from_tensors(path, tensors, described, caffe):
    """As _read, of tensors by name and the metadata, which files of other origin lack."""
    arrays = {}
    for key, array in tensors.items():
        name, _, number = key.rpartition(".")
        if not name or not NUMBER.fullmatch(number):    # 0 and 00 would be one parameter
            raise UserError(f"{path}: '{key[:200]}' is no parameter of a layer of Caffe, such as conv1_1.0; for "
                            "weights of torchvision's networks python -m tools.make_init knows the names")
        arrays.setdefault(name, {})[int(number)] = np.ascontiguousarray(array)
    for name, blobs in arrays.items():
        if sorted(blobs) != list(range(len(blobs))):
            raise UserError(f"{path}: layer '{name}' has parameters {sorted(blobs)}; expected 0 to {len(blobs) - 1}")
        if any(array.dtype != np.float32 for array in blobs.values()):
            raise UserError(f"{path}: parameters of layer '{name}' are {blobs[0].dtype}; Caffe's are float32")
    arrays = {name: [blobs[k] for k in range(len(blobs))] for name, blobs in arrays.items()}
    if described is None:
        return _bare(arrays, path.stem, caffe), arrays
    try:
        record = json.loads(described)
        structure = caffe.proto.caffe_pb2.NetParameter.FromString(base64.b64decode(record["caffemodel"]))
        shapes = {layer["name"]: [tuple(shape) for shape in layer["shapes"]] for layer in record["layers"]}
    except Exception as error:      # base64, JSON and protobuf each have their own
        raise UserError(f"{path}: its metadata is damaged ({error!r}); convert the caffemodel again") from None
    if shapes != {name: [array.shape for array in blobs] for name, blobs in arrays.items()}:
        raise UserError(f"{path}: its metadata is of other tensors; convert the caffemodel again, or leave '{KEY}' out")
    return structure, {name: arrays[name] for name in shapes}


def _safetensors(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as file:
            for name in file.keys():  # noqa: SIM118 (it is no dict)
                tensor = file.get_slice(name)       # its numbers unread: NumPy lacks types that files have
                dtype, axes = tensor.get_dtype(), len(tensor.get_shape())
                if dtype != "F32" or axes > MOST_AXES:
                    raise UserError(f"{path}: '{name[:200]}' is {dtype} of {axes} axes; Caffe's parameters are float32 "
                                    f"(F32) of at most {MOST_AXES}")
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get(KEY)  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a readable .safetensors file ({error}); get it again") from None


def _checkpoint(path):
    import torch

    content = load_torch(path)
    described = content.get(KEY) if isinstance(content, dict) else None
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    tensors = {}
    for name, value in state.items() if isinstance(state, dict) else ():
        if not isinstance(value, torch.Tensor):
            continue
        fault = fault_of_tensor(value)
        if fault or not isinstance(name, str) or value.dtype != torch.float32:
            raise UserError(f"{path}: '{str(name)[:200]}' is {fault or value.dtype}; expected dense float32 under a "
                            "name of text")
        tensors[name] = value.detach().numpy()
    if not tensors:
        raise UserError(f"{path}: holds no state dict (parameter names with tensors); save model.state_dict()")
    return tensors, described


def _flat(arrays):
    return {f"{name}.{k}": np.ascontiguousarray(array) for name, blobs in arrays.items()
            for k, array in enumerate(blobs)}


def _described(structure, arrays):
    types = {layer.name: layer.type for layer in structure.layer}
    layers = [{"name": name, "type": types.get(name, ""), "shapes": [list(array.shape) for array in blobs]}
              for name, blobs in arrays.items()]
    return json.dumps({"net": structure.name, "layers": layers,
                       "caffemodel": base64.b64encode(structure.SerializeToString()).decode()})


def _write_safetensors(path, structure, arrays):
    from safetensors.numpy import save

    data = save(_flat(arrays), {"format": "pt", KEY: _described(structure, arrays)})
    with atomic_write(path) as temporary:       # its own writer has errors of its own where the disk is full
        temporary.write_bytes(data)


def _write_checkpoint(path, structure, arrays):
    import torch

    tensors = {name: torch.from_numpy(array.copy()) for name, array in _flat(arrays).items()}
    buffer = io.BytesIO()
    torch.save({"state_dict": tensors, KEY: _described(structure, arrays)}, buffer)
    with atomic_write(path) as temporary:       # its own writer says nothing of a disk that is full
        temporary.write_bytes(buffer.getbuffer())


def _write_caffemodel(path, structure, arrays):
    from caffe.serialization import save_caffemodel

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {path}: {reason}; free space or choose another folder") from None
    save_caffemodel(str(path), structure, [arrays.get(layer.name, []) for layer in structure.layer])
