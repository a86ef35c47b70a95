"""The project's pieces in miniature, on the Caffe that CAFFE_ROOT gives; prints a JSON line for each.

    CAFFE_ROOT=tests/facade ENGINE=caffe PYTHONPATH=. python tests/facade/pieces.py FOLDER
"""

import json
import os
import sys
import traceback
from pathlib import Path

import cv2
import numpy as np

from tests.facade.pieces_list import PIECES
from tests.training.runs import NET, SOLVER, make_run
from training.findcaffe import ROOT, caffe

DEPLOY = """
input: "images" input_shape { dim: 1 dim: 3 dim: 16 dim: 16 }
layer { name: "conv" type: "Convolution" bottom: "images" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "gaussian" std: 0.1 } } }
"""

#: the layers that the tiny training net does not have, on its blobs
MORE = """
layer { name: "crf" type: "Python" bottom: "softmax" bottom: "images" top: "log_q"
  python_param { module: "pylayers" layer: "CRFLayer" } }
layer { name: "loss-constrain" type: "Python" bottom: "softmax" bottom: "log_q" top: "loss-constrain" loss_weight: 1
  python_param { module: "pylayers" layer: "ConstrainLossLayer" } }
layer { name: "loss-expand" type: "Python" bottom: "softmax" bottom: "labels" top: "loss-expand" loss_weight: 0.1
  python_param { module: "pylayers" layer: "ExpandLossLayer" } }
layer { name: "loss-plain" type: "Python" bottom: "softmax" bottom: "cues" top: "loss-plain" loss_weight: 0.1
  python_param { module: "pylayers" layer: "SeedLossLayer" } }
layer { name: "targets" type: "Python" bottom: "ids" top: "targets"
  python_param { module: "pylayers" layer: "ImageLabelLayer"
    param_str: "{'classes': 3, 'labels': 'image_labels.txt', 'list': 'list.txt'}" } }
layer { name: "pool" type: "Pooling" bottom: "score" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "two" type: "Convolution" bottom: "pool" top: "two" convolution_param { num_output: 2 kernel_size: 1
  weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "flat" type: "Flatten" bottom: "two" top: "flat" }
layer { name: "loss-class" type: "SigmoidCrossEntropyLoss" bottom: "flat" bottom: "targets" top: "loss-class" }
"""

FULLY_PARAMS = ("{'source': 'pairs.txt', 'root_folder': './', 'batch_size': 2, 'crop_size': [16, 16], "
                "'mean': [104, 117, 123], 'mirror': True, 'classes': 3}")
FULLY = f"""
layer {{ name: "data" type: "Python" top: "data" top: "label"
  python_param {{ module: "pylayers.layer" layer: "ImageSegDataLayer" param_str: "{FULLY_PARAMS}" }} }}
layer {{ name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {{ num_output: 3 kernel_size: 1
  weight_filler {{ type: "gaussian" std: 0.01 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param {{ ignore_label: 255 }} }}
"""


def prepare(folder):
    """A run folder: photos, cues, image labels, masks, nets."""
    make_run(folder, net=NET.replace("'grow': False", "'grow': True") + MORE)
    (folder / "masks").mkdir()
    lines = []
    for k in range(6):
        cv2.imwrite(str(folder / f"masks/{k}.png"), np.full((16, 16), k % 3, np.uint8))
        lines.append(f"photos/{k}.png masks/{k}.png\n")
    (folder / "pairs.txt").write_text("".join(lines))
    (folder / "image_labels.txt").write_text("".join(f"{k} {k % 2 + 1}\n" for k in range(6)))
    (folder / "ids.txt").write_text("".join(f"{k}\n" for k in range(6)))
    (folder / "deploy.prototxt").write_text(DEPLOY)
    (folder / "fully.prototxt").write_text(FULLY)
    (folder / "solver-fully.prototxt").write_text(SOLVER.replace("net.prototxt", "fully.prototxt")
                                                  .replace("models/tiny", "models/fully"))


def train_and_resume():
    """Every layer of a weakly supervised net, to iteration 4 and on to 8, the second time from given weights."""
    from training import train

    assert train.main(["--solver", "solver.prototxt", "--max-iter", "4", "--log", "log.jsonl"]) == 0
    assert train.main(["--solver", "solver.prototxt", "--resume", "--log", "log.jsonl"]) == 0
    losses = [json.loads(line) for line in Path("log.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in losses] == list(range(8))
    assert all(np.isfinite(list(line["losses"].values())).all() and len(line["losses"]) == 5 for line in losses)
    assert train.main(["--solver", "solver.prototxt", "--weights", "models/tiny_iter_8.caffemodel", "--max-iter", "2",
                       "--snapshot-prefix", "models/again", "--set", "update-seed.grow=false", "--seed", "3"]) == 0
    assert Path("models/again_iter_2.caffemodel").is_file()


def train_fully():
    from training import train

    assert train.main(["--solver", "solver-fully.prototxt"]) == 0
    assert Path("models/fully_iter_8.solverstate").is_file()


#: the retraining of the experiments: DeepLab-v2's own types, where stage f of the demo has them
RETRAIN = FULLY.replace('layer { name: "loss"', """layer { name: "pool" type: "Pooling" bottom: "score" top: "small"
  pooling_param { kernel_size: 1 stride: 3 } }
layer { name: "shrink" type: "Interp" bottom: "label" top: "shrunk" interp_param { shrink_factor: 3 pad_beg: 0 } }
layer { name: "accuracy" type: "SegAccuracy" bottom: "small" bottom: "shrunk" top: "accuracy"
  seg_accuracy_param { ignore_label: 255 } }
layer { name: "loss" """).replace('bottom: "score" bottom: "label"', 'bottom: "small" bottom: "shrunk"')


def retrain_with_deeplabs_types():
    """As run.sh does: the check first, which puts Python layers in where this Caffe lacks the types."""
    from docker import check_caffe
    from training import train

    Path("retrain").mkdir()
    Path("retrain/train-f.prototxt").write_text(RETRAIN)
    Path("solver-f.prototxt").write_text(SOLVER.replace("net.prototxt", "retrain/train-f.prototxt")
                                         .replace("models/tiny", "models/f"))
    assert check_caffe.main(["--nets", "retrain"]) == 0
    lacking = "Interp" not in list(caffe.layer_type_list())
    assert ("pylayers.deeplab" in Path("retrain/train-f.prototxt").read_text()) == lacking
    assert train.main(["--solver", "solver-f.prototxt"]) == 0
    assert Path("models/f_iter_8.caffemodel").is_file()


def load_the_demos_deploy_nets():
    for name in ("deploy", "cam-deploy"):
        net = caffe.Net(str(ROOT / f"prototxts/demo/{name}.prototxt"), caffe.TEST)
        assert net.inputs == ["images"] and len(net.outputs) == 1
        net.forward()


def refuse_a_gpu_that_is_not_there():
    from dsrg.io.errors import UserError
    from training import train

    try:
        train.main(["--solver", "solver.prototxt", "--device", "7", "--snapshot-prefix", "models/gpu"])
    except UserError as error:
        assert str(error).startswith("--device 7: ") and "\n" not in str(error), error
    else:
        raise AssertionError("trained on GPU 7")


def refuse_a_loss_that_is_not_finite():
    from dsrg.io.errors import UserError
    from training import train

    Path("wild.prototxt").write_text(SOLVER.replace("base_lr: 0.0005", "base_lr: 1e30").replace("tiny", "wild"))
    try:
        train.main(["--solver", "wild.prototxt"])
    except UserError as error:
        assert "lower base_lr" in str(error).lower(), error
    else:
        raise AssertionError("a rate of 1e30 went through")


def segment():
    from tools import segment

    segment.main(["--net", "deploy.prototxt", "--weights", "models/tiny_iter_8.caffemodel", "--list", "ids.txt",
                  "--images", "photos", "--out", "labels", "--sizes", "16", "24", "--flip", "--workers", "1",
                  "--labels", "image_labels.txt"])
    assert len(list(Path("labels").glob("*.png"))) == 6


def make_cues():
    from localization_cues import make_cues

    common = ["--net", "deploy.prototxt", "--weights", "models/tiny_iter_8.caffemodel", "--list", "list.txt",
              "--images", "photos", "--labels", "image_labels.txt", "--workers", "1", "--background", "cam-low:0.1"]
    make_cues.main([*common, "--out", "made.npz", "--flip"])
    make_cues.main([*common, "--out", "weighed.npz", "--features-blob", "conv", "--classifier", "score"])
    assert Path("made.npz").is_file() and Path("weighed.npz").is_file()


def refuse_weights_that_leave_layers_random():
    """On real Caffe, too, before a shape that differs would end the process."""
    from dsrg.io.errors import UserError
    from dsrg.scoring.score_net import open_net

    text = Path("deploy.prototxt").read_text()
    Path("renamed.prototxt").write_text(text.replace('"score"', '"new-score"'))
    Path("wider.prototxt").write_text(text.replace("num_output: 3", "num_output: 5"))
    for net, says in (("renamed.prototxt", "no weights for 1 of the 2 layers with parameters of renamed.prototxt: new"),
                      ("wider.prototxt", "layer 'score': parameter 0 is (5, 4, 1, 1) here but (3, 4, 1, 1) in")):
        try:
            open_net(caffe, net, "models/tiny_iter_8.caffemodel")
        except UserError as error:
            assert says in str(error), error
        else:
            raise AssertionError(f"{net} was opened")
    open_net(caffe, "renamed.prototxt", "models/tiny_iter_8.caffemodel", allow_random=["new-score"])


def small_commands():
    from docker import check_caffe

    check_caffe.main([])


def main(folder):
    assert caffe.TRAIN == 0
    prepare(Path(folder))
    os.chdir(folder)
    for name in PIECES:
        error = ""
        try:
            globals()[name]()
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps({"piece": name, "error": error}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
