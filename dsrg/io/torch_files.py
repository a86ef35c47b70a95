"""Files that torch.save wrote, as tensors alone: nothing in them is run, and none costs more than its size."""

import io
import zipfile

from dsrg.io.errors import UserError
from dsrg.io.npz_files import refuse_bomb
from dsrg.io.pickle_steps import check_steps

PICKLES = 4     # at the head of a file before torch 1.6: magic number, version, machine, content
MOST_AXES = 32  # of a blob of Caffe


def load_torch(path):
    """What torch.save wrote: tensors and plain values.

    Parameters
    ----------
    path : path

    Returns
    -------
    object
        Most often a dict of parameter names and tensors, or one that holds it.

    Raises
    ------
    UserError
        A file that is damaged, that asks for more than tensors, or unpacks to far more than its size.
    """
    import torch

    try:
        _check(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what the unpickler's steps raise for damaged bytes is nearly anything
        said = str(error).strip().splitlines()
        why = next((line for line in said if "nsupported" in line or "GLOBAL" in line), said[0] if said else "cut off")
        raise UserError(f"{path}: refused, not a file of tensors alone ({why.strip()}); nothing in it was run. Save "
                        "the state_dict of the model, or give a .safetensors file") from None


def _check(path):
    """Raise for a file whose archive or pickle costs more than it is worth; see refuse_bomb and check_steps."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            refuse_bomb(archive, path)
            for name in archive.namelist():
                if name.endswith(".pkl"):
                    check_steps(io.BytesIO(archive.read(name)))
    else:
        with open(path, "rb") as file:
            for _ in range(PICKLES):
                check_steps(file)


def fault_of_tensor(tensor):
    """Why a tensor of a file is no array of plain numbers, the end of a sentence; None where it is one.

    Parameters
    ----------
    tensor : torch.Tensor

    Returns
    -------
    str or None
    """
    import torch

    if tensor.is_quantized:
        return "quantised"
    if tensor.is_meta:
        return "without values"
    if tensor.is_complex() or tensor.layout != torch.strided:
        return f"{tensor.dtype} {tensor.layout}"
    if tensor.dim() > MOST_AXES:
        return f"of {tensor.dim()} axes where Caffe's have {MOST_AXES} at most"
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        return f"{tuple(tensor.shape)}, more than the file holds (save a copy, .clone())"
    return None
