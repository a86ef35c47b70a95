"""Runs the nets of a folder through whatever `caffe` is importable and prints those that differ, one a line.

Started by random_nets.py in a process of its own, whose path leads to real pycaffe:
``python random_nets_caffe.py FOLDER``, FOLDER holding SEED.prototxt and SEED.npz for each net. Status 1: some differ.
"""

import sys
from pathlib import Path

import caffe
import numpy as np


def param(net, key):
    layer, index = key.rsplit("/", 1)
    return net.params[layer][int(index)]


def differs(path):
    """What differs in one net, or None."""
    with np.load(path.with_suffix(".npz")) as z:
        arrays = {k: z[k] for k in z.files}
    net = caffe.Net(str(path), int(arrays.pop("phase")))
    groups = {g: {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(g + "/")}
              for g in ("in", "weight", "param", "out", "grad")}
    for key, values in groups["param"].items():
        param(net, key).data[...] = values
    for name, values in groups["in"].items():
        net.blobs[name].data[...] = values
    net.forward()
    for name, values in groups["out"].items():
        if unequal(net.blobs[name].data, values):
            return f"output {name}"
    for name, values in groups["weight"].items():
        net.blobs[name].diff[...] = values
    net.clear_param_diffs()
    net.backward()
    for key, values in groups["grad"].items():
        blob = param(net, key) if "/" in key else net.blobs[key]
        if unequal(blob.diff, values):
            return f"gradient of {key}"
    return None


def unequal(theirs, ours):
    if theirs.shape != ours.shape:
        return True
    return not np.abs(theirs - ours).max(initial=0) <= 2e-3 * np.abs(ours).max(initial=0) + 2e-5


def main(folder):
    found = False
    for path in sorted(Path(folder).glob("*.prototxt")):
        what = differs(path)
        if what:
            found = True
            print(f"seed {path.stem} (plain): {what} differs from real Caffe", flush=True)
        path.unlink()       # where a net ends the process, it is the first that is left
    return int(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
