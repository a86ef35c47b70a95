"""Measured cases of real Caffe, packed into one file: tests/data/layers/cases.npz.

A case is a net with its inputs, parameters, outputs and gradients. The file holds all numbers as one float32 vector
and a JSON index; ``python -m tests.engine.layers.cases FOLDER`` makes it from a folder with one .npz for each case.
"""

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from tests.conftest import DATA

FOLDER = DATA / "layers"
PACKED = FOLDER / "cases.npz"
MOST = 5000  # a case with a larger array is left out of the packed file
KINDS = ("in_seq", "in", "param_after", "param", "out", "topdiff", "botdiff", "blobdiff", "pdiff")


@dataclass
class Case:
    """One case: prototxt, meta (dict) and arrays by name, such as "in/x", "out/y", "pdiff/conv/0"."""

    prototxt: str
    meta: dict
    arrays: dict

    def group(self, kind):
        """Arrays of one kind, without the prefix."""
        return {k.removeprefix(kind + "/"): v for k, v in self.arrays.items() if k.startswith(kind + "/")}


def read_golden(path):
    """The case in one .npz."""
    with np.load(path) as z:
        arrays = {k: z[k].astype(np.float32) for k in z.files if z[k].dtype.kind != "U"}
        return Case(str(z["prototxt"]), json.loads(str(z["meta"])), arrays)


@cache
def packed():
    """All packed cases by name."""
    with np.load(PACKED) as z:
        values, index = z["values"], json.loads(str(z["index"]))
    cases = {}
    for name, entry in index.items():
        arrays = {k: values[at : at + int(np.prod(shape))].reshape(shape) for k, (at, shape) in entry["arrays"].items()}
        cases[name] = Case(entry["prototxt"], entry["meta"], arrays)
    return cases


def pack(folder):
    """Write PACKED from a folder of goldens."""
    index, values, at = {}, [], 0
    for path in sorted(Path(folder).glob("*.npz")):
        case = read_golden(path)
        if max(a.size for a in case.arrays.values()) > MOST:
            continue
        places = {}
        for key, array in case.arrays.items():
            if key.startswith(tuple(k + "/" for k in KINDS)):
                places[key] = (at, array.shape)
                values.append(array.ravel())
                at += array.size
        keep = ("name", "phase", "n_forward", "backward", "diff_untouched")
        index[path.stem] = {"prototxt": case.prototxt, "arrays": places,
                            "meta": {k: case.meta[k] for k in keep if k in case.meta}}
    np.savez_compressed(PACKED, values=np.concatenate(values), index=json.dumps(index, separators=(",", ":")))


if __name__ == "__main__":
    pack(sys.argv[1])
