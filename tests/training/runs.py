"""A weakly supervised net of a few weights on six tiny photos, for tests of the training command."""

import hashlib

import cv2
import numpy as np

from dsrg.cuefile.format import save_cues

NET = """
layer { name: "photos" type: "ImageData" top: "photos" top: "ids"
  transform_param { mean_value: 104 mean_value: 117 mean_value: 123 }
  image_data_param { source: "list.txt" root_folder: "photos/" batch_size: 2 shuffle: true } }
layer { name: "annotation" type: "Python" bottom: "ids" bottom: "photos" top: "labels" top: "cues" top: "images"
  python_param { module: "pylayers" layer: "AnnotationLayer"
    param_str: "{'cues': 'cues.npz', 'mirror': True, 'classes': 3, 'size': 8}" } }
layer { name: "conv" type: "Convolution" bottom: "images" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.5 } }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "softmax" type: "Python" bottom: "score" top: "softmax"
  python_param { module: "pylayers" layer: "SoftmaxLayer" } }
layer { name: "update-seed" type: "Python" bottom: "labels" bottom: "softmax" bottom: "cues" bottom: "images"
  top: "grown" python_param { module: "pylayers" layer: "DSRGLayer"
    param_str: "{'th1': 0.5, 'th2': 0.4, 'grow': False}" } }
layer { name: "loss-seed" type: "Python" bottom: "softmax" bottom: "grown" top: "loss-seed" loss_weight: 1
  python_param { module: "pylayers" layer: "BalancedSeedLossLayer" } }
"""

SOLVER = """
net: "net.prototxt"
base_lr: 0.0005
lr_policy: "step"
gamma: 0.5
stepsize: 4
momentum: 0.9
max_iter: 8
snapshot: 3
snapshot_prefix: "models/tiny"
random_seed: 11
"""


def make_run(folder, solver=SOLVER, net=NET):
    """Write photos, list, cues, net and solver into `folder`."""
    rng = np.random.default_rng(1)
    (folder / "photos").mkdir()
    (folder / "models").mkdir()
    cues = {}
    for k in range(6):
        cv2.imwrite(str(folder / f"photos/{k}.png"), rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        cells = np.array([[0, 0, 0], [k % 2 + 1, 3, 4], [k % 2 + 1, k, 7]]).T
        cues[k] = (np.array([k % 2 + 1]), cells)
    save_cues(folder / "cues.npz", cues)
    (folder / "list.txt").write_text("".join(f"{k}.png {k}\n" for k in range(6)))
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(solver)


def weights(path):
    import caffe

    net = caffe.Net("net.prototxt", caffe.TRAIN, weights=str(path))
    return np.concatenate([blob.data.ravel() for blobs in net.params.values() for blob in blobs])


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove_snapshots(folder):
    for path in folder.glob("models/*_iter_*"):
        path.unlink()


def iterations(folder, kind):
    return sorted(int(path.stem.rsplit("_", 1)[1]) for path in folder.glob(f"models/tiny_iter_*.{kind}"))
