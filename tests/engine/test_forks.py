"""Nets in forked processes: multiprocessing's Pool after a forward must compute what the parent computes."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

#: prints "equal" when a forked child does what the parent does; a child that hangs is given up after 60 s
FRAME = """
import multiprocessing, os, sys
import caffe, cv2, lmdb, numpy as np, torch
from caffe.proto import caffe_pb2

torch.set_num_threads(2)    # as on any machine of two cores and more


def write(name, text):
    with open(name, "w") as f:
        f.write(text)

{body}

job(0)                      # the parent has threads now, and batches that are being read
with multiprocessing.get_context("fork").Pool(1) as pool:
    got = pool.map_async(job, range(3)).get(60)
right = [job(k) for k in range(3)]  # the parent goes on from the same state
assert all(np.allclose(a, b, rtol=1e-5, atol=1e-6) for a, b in zip(right, got, strict=True)), (right, got)
print("equal", flush=True)
"""

COMPUTING = """
write("n.prototxt", '''force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 64 dim: 64 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 16 kernel_size: 5 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "p" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "l" type: "Reduction" bottom: "ip" top: "l" loss_weight: 1 }''')
net = caffe.Net("n.prototxt", caffe.TRAIN)


def job(k):
    net.blobs["data"].data[...] = np.random.default_rng(k).random((2, 3, 64, 64))
    net.clear_param_diffs()
    net.forward()
    return np.append(net.backward()["data"], net.params["c"][0].diff)
"""

SOLVING = COMPUTING[: COMPUTING.index("def job")] + """
write("s.prototxt", 'net: "n.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 9 snapshot_prefix: "s" '
                    'random_seed: 3')


def job(k):
    solver = caffe.get_solver("s.prototxt")
    solver.net.blobs["data"].data[...] = k
    solver.step(2)
    return solver.net.params["c"][0].data.copy()
"""

READING = """
for k in range(5):
    cv2.imwrite(f"{k}.png", np.random.default_rng(k).integers(0, 256, (9, 8, 3), np.uint8))
write("l.txt", "".join(f"{k}.png {k}\\n" for k in range(5)))
write("w.txt", "".join(f"# {k}\\n{k}.png\\n3\\n9\\n8\\n1\\n1 1.0 0 0 7 8\\n" for k in range(5)))
with lmdb.open("db", map_size=1 << 20) as env, env.begin(write=True) as txn:
    for k in range(5):
        txn.put(b"%d" % k, caffe_pb2.Datum(channels=1, height=1, width=2, data=bytes([k, 7]), label=k)
                .SerializeToString())
write("n.prototxt", 'layer { name: "d" top: "data" top: "label" LAYER }')
net = caffe.Net("n.prototxt", caffe.TEST)


def job(k):
    net.forward()
    return np.append(net.blobs["data"].data, net.blobs["label"].data)
"""
IMAGES = 'type: "ImageData" image_data_param { source: "l.txt" batch_size: 3 }'
RECORDS = 'type: "Data" data_param { source: "db" backend: LMDB batch_size: 2 }'
WINDOWS = ('type: "WindowData" transform_param { crop_size: 6 } window_data_param { source: "w.txt" batch_size: 2 '
           'fg_fraction: 1 cache_images: true }')

SEGMENTATIONS = """
for k in range(4):
    cv2.imwrite(f"{k}.jpg", np.random.default_rng(k).integers(0, 256, (20, 20, 3), np.uint8))
    cv2.imwrite(f"{k}.png", np.full((20, 20), k, np.uint8))
write("l.txt", "".join(f"/{k}.jpg /{k}.png\\n" for k in range(4)))
from pylayers.layer import ImageSegDataParams
from pylayers.segmentation_batches import SegmentationBatches
batches = SegmentationBatches(ImageSegDataParams("l.txt", ".", 2, crop_size=(16, 16)), seed=1)


def job(k):
    return np.concatenate([np.append(*example) for example in batches.batch(k)])
"""


@pytest.mark.parametrize("body", [
    pytest.param(COMPUTING, id="forward_and_backward"),
    pytest.param(SOLVING, id="a_solver_made_in_the_child"),
    pytest.param(READING.replace("LAYER", IMAGES), id="ImageData"),
    pytest.param(READING.replace("LAYER", RECORDS), id="Data"),
    pytest.param(READING.replace("LAYER", WINDOWS), id="WindowData"),
    pytest.param(SEGMENTATIONS, id="ImageSegDataLayer"),
])
def test_a_forked_child_computes_what_its_parent_does(tmp_path, body):
    run(tmp_path, FRAME.replace("{body}", body))


def test_a_fork_before_any_net_keeps_its_threads(tmp_path):
    run(tmp_path, """
import os, sys
import caffe, torch
torch.set_num_threads(3)
if not (child := os.fork()):
    os._exit(torch.get_num_threads())
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
print("equal")
""")


def run(folder, script):
    paths = ":".join(str(ROOT / part) for part in ("engine", "training", "."))
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=180,
                          env={"PYTHONPATH": paths, "PATH": "/usr/bin:/bin", "GLOG_minloglevel": "1",
                               "CUDA_VISIBLE_DEVICES": ""})  # torch starts a thread for each GPU in a first backward
    assert done.returncode == 0 and done.stdout.endswith("equal\n"), done.stderr[-2000:]
