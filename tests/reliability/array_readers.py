"""Readers of arrays: cue files, models of DRFI, stored seeds, SBD's masks, the inputs of the CRF."""

import collections
import hashlib
import io
import json
import pickle
import struct

import numpy as np
from scipy.io import savemat

from dsrg.cuefile.format import load_cues, save_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.cuefile.scarce_classes import cells_of_classes
from dsrg.io.errors import UserError
from dsrg.report.cue_contents import as_text, summarise
from dsrg.report.seed_growth import STORE, read_stored
from dsrg.saliency.drfi.filters import COUNT, SIZE
from dsrg.saliency.drfi.forest import Forest
from dsrg.saliency.drfi.model import Model, load_model, save_model
from dsrg.saliency.drfi.photo_map import saliency_map
from dsrg.saliency.drfi.segmentation import Level
from tests.crf.fuzz import Fuzzer
from tests.dsrg.saliency.drfi.test_forest import AuthorsFile
from tests.reliability.damaged_archives import npy, zip_bomb, zip_members
from tests.reliability.damaged_pickles import pickle_steps
from tests.reliability.damaged_values import json_value
from tests.reliability.readers import made_in_folder, reader
from tools.make_sbd import read_sbd_mask

CUES = {
    7: ([2], [[0, 2, 2], [0, 3, 4], [0, 4, 4]]),
    9: ([1, 3], [[1, 3], [1, 0], [2, 0]]),
    12: ([5], np.zeros((3, 0), int)),
}
BOMB = zip_bomb("labels.npy", lambda count: np_header("|i1", (count,)))


def np_header(descr, shape):
    """The start of an .npy."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def _look_through(cues):
    """What commands and layers ask of cues; the commands refuse a file of no image before they ask."""
    if not cues:
        raise UserError("no image")
    summarise(cues, size := cues.least_size())
    as_text({"file": "f", "format": "npz", **summarise(cues, size, {7: "a.jpg"})})
    cells_of_classes(cues, 21)
    for index in list(cues)[:100]:
        labels, cells = cues[index]
        assert labels.min() >= 1 and (not cells.size or cells.min() >= 0)


def _pickles(folder):
    save_cues(folder / "c.pickle", CUES)
    yield (folder / "c.pickle").read_bytes()
    content = {
        f"{k}_{name}": np.array(values)
        for k, pair in CUES.items()
        for name, values in zip(("labels", "cues"), pair, strict=True)
    }
    for protocol in range(5):
        yield pickle.dumps(content, protocol)
    yield pickle.dumps(
        {"7_labels": np.array([2], ">i2"), "7_cues": np.asfortranarray(np.array(CUES[7][1], np.uint8))}, 2
    )


@reader(made_in_folder(_pickles), UserError, ".pickle", [pickle_steps])
def cue_pickle(path):
    _look_through(load_cues(path))


def _archives(folder):
    save_cues(folder / "c.npz", CUES)
    yield (folder / "c.npz").read_bytes()
    with np.load(folder / "c.npz") as arrays:
        np.savez_compressed(folder / "d.npz", **arrays)
    yield (folder / "d.npz").read_bytes()


@reader(made_in_folder(_archives), UserError, ".npz", [zip_members([npy]), zip_members([npy]), BOMB])
def cue_archive(path):
    _look_through(load_cues(path))


@reader(
    lambda: [b'{"cue_size": [41, 41], "net": "cam-deploy.prototxt", "classes": ["background", "cow"]}'],
    (),
    ".json",
    [json_value],
)
def cue_description(path):
    """The .json beside a cue file."""
    save_cues(path.with_suffix(".npz"), CUES)
    height, width = size_of_map(path.with_suffix(".npz"), load_cues(path.with_suffix(".npz")))
    np.zeros((height, width), np.int8)


# ---- DRFI -----------------------------------------------------------------------------------------------------


def _use(model):
    """What `drfi apply` asks of a model."""
    photo = np.random.default_rng(0).integers(0, 255, (14, 18, 3), np.uint8)
    values = saliency_map(photo, model)
    assert values.shape == (14, 18) and 0 <= values.min() <= values.max() <= 1


def _forests(folder):
    forest = Forest(
        np.array([0, 5]),
        np.array([1, 0, 92, 0, 0, 0], np.int16),
        np.array([0.5, -2, 2, -2, -2, -2.0]),
        np.array([[1, 2], [1, 1], [3, 4], [3, 3], [4, 4], [5, 5]], np.int32),
        np.array([0, 10, 0, 20, 30, 4.0]),
        93,
        True,
    )
    filters = np.random.default_rng(1).random((SIZE, SIZE, COUNT))
    for variant, side in (("clean", 0), ("authors", 400)):
        save_model(
            folder / "m.npz",
            Model(forest, (Level(0.8, 100, 20), Level(0.9, 300, 30)), variant, filters, side, {"seed": 1}),
        )
        yield (folder / "m.npz").read_bytes()


def _about(data, rng):
    """The text `about` of a model, an .npy of one string, with values of its JSON changed."""
    try:
        text = str(np.load(io.BytesIO(data), allow_pickle=False))
        out = io.BytesIO()
        np.save(out, json_value(text.encode(), rng).decode(errors="replace"))
    except (ValueError, EOFError, OSError):
        return data
    return out.getvalue() if text.startswith("{") else npy(data, rng)


@reader(
    made_in_folder(_forests),
    UserError,
    ".npz",
    [zip_members([npy]), zip_members([_about]), zip_members([_about]), BOMB],
)
def drfi_model(path):
    _use(load_model(path))


def _authors_matrices(data, rng):
    """The authors' file with a count, or the head or an element of one matrix, overwritten."""
    heads = [at for at in range(len(data)) if data.startswith(b"CmMat", at)]
    number = rng.choice((0, 1, 2, 3, -1, 2**31 - 1, -(2**31), 65536, 6, 118, 4))
    out, action = bytearray(data), rng.random()
    if action < 0.2 or not heads:
        at = 9 + 4 * rng.randrange(3)
    elif action < 0.4:
        at = rng.choice(heads) + 5 + 4 * rng.randrange(3)
    else:
        at = rng.choice(heads) + 17 + 4 * rng.randrange(40)
        out[at : at + 8] = struct.pack("<d", rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300, 3.0)))
        return bytes(out)
    out[at : at + 4] = struct.pack("<i", number)
    return bytes(out)


@reader(
    lambda: [AuthorsFile(np.random.default_rng(k), nodes=9 + 4 * k).bytes() for k in range(2)],
    UserError,
    ".data",
    [_authors_matrices],
)
def drfi_authors_model(path):
    _use(load_model(path))


# ---- stored seeds, SBD ------------------------------------------------------------------------------------------


def _seeds(folder):
    np.savez_compressed(
        folder / "s.npz", key="[]", iterations=[0, 10], ids=["a", "b/c"], maps=np.zeros((2, 2, 5, 6), np.int16)
    )
    yield (folder / "s.npz").read_bytes()


@reader(made_in_folder(_seeds), (), ".npz", [zip_members([npy]), BOMB])
def stored_seeds(path):
    """Read again where it is whole, made again where it is not: never refused."""
    target = path.parent / STORE
    target.parent.mkdir()
    path.rename(target)
    stored = read_stored(path.parent)
    if stored is not None:
        json.dumps([stored["iterations"], list(stored["maps"])])


def _matlab(folder):
    mask = np.zeros((9, 7), np.uint8)
    mask[2:5, 3:6] = 15
    for compressed in (False, True):
        savemat(
            folder / "m.mat",
            {"GTcls": {"Segmentation": mask, "Boundaries": np.zeros((3, 1))}},
            do_compression=compressed,
        )
        yield (folder / "m.mat").read_bytes()


@reader(made_in_folder(_matlab), UserError, ".mat")
def sbd_mask(path):
    mask = read_sbd_mask(path)
    assert mask.dtype == np.uint8 and mask.ndim == 2


# ---- CRF --------------------------------------------------------------------------------------------------------


@reader(lambda: [b"crf"], (), "")
def crf_calls(path):
    """Random calls with good and bad arguments, which follow from the file's bytes; Fuzzer refuses within."""
    seed = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:7], "big")
    Fuzzer(seed, collections.Counter()).run()
