"""A trained DRFI: its forest, the features and segmentations it was trained with, and the file that holds them.

The file is an .npz of plain arrays and one JSON text, read without running anything. The authors'
drfiModelCpp.data is read too (see authors.py).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.json_files import parse_json
from dsrg.io.npz_files import read_npz
from dsrg.io.regular_files import open_regular
from dsrg.saliency.drfi.authors_file import MARKER, read_authors
from dsrg.saliency.drfi.features import FEATURE_NAMES
from dsrg.saliency.drfi.filters import COUNT, SIZE
from dsrg.saliency.drfi.forest import Forest
from dsrg.saliency.drfi.pixels import VARIANTS
from dsrg.saliency.drfi.segmentation import checked_levels

FORMAT = "drfi forest 1"
FEATURES = "drfi 93 features, revision 1"  # raise the revision when a feature's meaning changes
_ARRAYS = ("roots", "feature", "threshold", "children", "value")


@dataclass(frozen=True)
class Model:
    """What turns a photo into a map.

    forest : Forest. levels : tuple of Level. variant : of the features, "clean" or "authors".
    filters : (19, 19, 15) float64. max_side : longer photos are shrunk to it first; 0 takes them as they are.
    training : what is known of the training, for the reader.
    """

    forest: Forest
    levels: tuple
    variant: str
    filters: np.ndarray
    max_side: int
    training: dict = field(default_factory=dict)


def save_model(path, model):
    """Write a model, whole or not at all.

    Parameters
    ----------
    path : path
    model : Model

    Raises
    ------
    UserError
        A file that cannot be written.
    """
    about = {"format": FORMAT, "features": FEATURES, "variant": model.variant, "columns": model.forest.columns,
             "single": model.forest.single, "levels": model.levels, "max_side": model.max_side,
             "training": model.training}
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, about=json.dumps(about), filters=model.filters,
                            **{name: getattr(model.forest, name) for name in _ARRAYS})


def load_model(path):
    """Read a model of `save_model`, or the authors' drfiModelCpp.data.

    Parameters
    ----------
    path : path

    Returns
    -------
    Model

    Raises
    ------
    UserError
        Missing, another kind of file, damaged, or trained with other features.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"no DRFI model {path}; train one with python -m localization_cues.drfi train")
    with open_regular(path, "DRFI model") as file:
        head = file.read(len(MARKER))
    if head == MARKER:
        forest, levels, filters = read_authors(path)
        return Model(forest, levels, "authors", filters, 0, {"from": "drfiModelCpp.data"})
    if not head.startswith(b"PK"):
        raise UserError(f"{path} is not a DRFI model: expected an .npz of python -m localization_cues.drfi train, or "
                        "the authors' drfiModelCpp.data")
    return _from_arrays(path, read_npz(path, "DRFI model"))


def _from_arrays(path, arrays):
    try:
        about = parse_json(str(arrays["about"]))
        if about["format"] != FORMAT:
            raise UserError(f"DRFI model {path} has format '{about['format']}', this program reads '{FORMAT}'")
        wanted = (FEATURES, len(FEATURE_NAMES))
        if (about["features"], about["columns"]) != wanted or about["variant"] not in VARIANTS:
            raise UserError(
                f"DRFI model {path} was trained with other features ({about['features']}, variant "
                f"{about['variant']}, {about['columns']} columns) than this program computes ({wanted[0]}, variant "
                f"{' or '.join(VARIANTS)}, {wanted[1]} columns); train it again")
        filters = arrays["filters"]
        if filters.shape != (SIZE, SIZE, COUNT) or filters.dtype.kind != "f":
            raise ValueError(f"filters are {filters.dtype} {filters.shape}")
        forest = Forest(*(arrays[name] for name in _ARRAYS), columns=about["columns"], single=bool(about["single"]))
        levels = checked_levels(about["levels"])
        return Model(forest, levels, about["variant"], filters, int(about["max_side"]), about["training"])
    except KeyError as error:
        raise UserError(f"{path} is not a DRFI model: it lacks {error}; expected a file of python -m "
                        "localization_cues.drfi train") from None
    except (ValueError, TypeError, IndexError, AttributeError, OverflowError) as error:
        raise UserError(f"DRFI model {path} is damaged ({error}); copy it again or train it again") from None
