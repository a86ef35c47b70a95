"""Nets and solvers written as those of DSRG, SEC and DeepLab were: read, built and run as they stand."""

import caffe
import cv2
import numpy as np
import pytest
import torch
from caffe.prototxt import read_net

from dsrg.cuefile.format import save_cues
from tests.engine.nets import build, write

# The habits of those files: single and double quotes, legacy inputs, a colon before a brace, learning rates one a
# blob, spatial sizes that only Caffe's rounding gives (321 -> 161 -> 81 -> 41).


def conv(name, bottom, outputs, kernel=1, pad=0, dilation=1, extra=""):
    return f"""layer {{ name: '{name}' type: 'Convolution' bottom: '{bottom}' top: '{name}' {extra}
        param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
        convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} dilation: {dilation}
            weight_filler {{ type: 'xavier' }} }} }}
        layer {{ bottom: '{name}' top: '{name}' name: 'relu_{name}' type: 'ReLU' }}\n"""


def pool(name, bottom, stride, method="MAX"):
    return f"""layer {{ bottom: '{bottom}' top: '{name}' name: '{name}' type: 'Pooling'
        pooling_param {{ pool: {method} kernel_size: 3 stride: {stride} pad: 1 }} }}\n"""


def branch(k, dilation):
    """fc6_k to fc8-SEC_k: dilated, dropped out in place, the last with ten times the rate."""
    drop = """layer {{ bottom: '{0}' top: '{0}' name: 'drop_{0}' type: 'Dropout'
        dropout_param {{ dropout_ratio: 0.5 }} }}\n"""
    return (conv(f"fc6_{k}", "pool5a", 8, 3, dilation, dilation) + drop.format(f"fc6_{k}")
            + conv(f"fc7_{k}", f"fc6_{k}", 8) + drop.format(f"fc7_{k}")
            + f"""layer {{ name: 'fc8-SEC_{k}' type: 'Convolution' bottom: 'fc7_{k}' top: 'fc8-SEC_{k}'
                param {{ lr_mult: 10 decay_mult: 1 }} param {{ lr_mult: 20 decay_mult: 0 }}
                convolution_param {{ num_output: 21 kernel_size: 1 weight_filler {{ type: 'gaussian' std: 0.01 }}
                    bias_filler {{ type: 'constant' value: 0 }} }} }}\n""")


TRUNK = (conv("conv1_1", "images", 4, 3, 1) + pool("pool1", "conv1_1", 2) + conv("conv2_1", "pool1", 4, 3, 1)
         + pool("pool2", "conv2_1", 2) + conv("conv3_1", "pool2", 8, 3, 1) + pool("pool3", "conv3_1", 2)
         + pool("pool4", "pool3", 1) + conv("conv5_1", "pool4", 8, 3, 2, 2) + pool("pool5", "conv5_1", 1)
         + pool("pool5a", "pool5", 1, "AVE") + branch(1, 6) + branch(2, 12) + """
         layer { bottom: 'fc8-SEC_1' bottom: 'fc8-SEC_2' top: 'fc8-SEC' name: 'fc8-SEC' type: 'Eltwise'
                 eltwise_param { operation: SUM } }\n""")


def python(name, layer, bottoms, tops, extra="", param_str="", module="pylayers"):
    """A Python layer; its param_str stands in double quotes and holds single ones, as the originals have it."""
    wiring = "".join(f" bottom: '{b}'" for b in bottoms) + "".join(f" top: '{t}'" for t in tops)
    setting = f'param_str: "{param_str}"' if param_str else ""
    return f"""layer {{ name: '{name}' type: 'Python'{wiring} {extra}
        python_param {{ module: '{module}' layer: '{layer}' {setting} }} }}\n"""


PHOTOS = """name: 'photos and cues'
layer { name: 'data' type: 'ImageData' top: 'images_origin' top: 'image_ids'
  transform_param { mean_value: 104.0 mean_value: 117.0 mean_value: 123.0 mirror: false }
  image_data_param { source: 'input_list.txt' root_folder: 'JPEGImages/' batch_size: 2
                     new_height: 321 new_width: 321 shuffle: true } }
""" + python("Annotation", "AnnotationLayer", ["image_ids", "images_origin"], ["labels", "cues", "images"],
             "propagate_down: 0 propagate_down: 0", "{'cues': 'localization_cues.pickle', 'mirror': True}")
SOFTMAX = python("Softmax", "SoftmaxLayer", ["fc8-SEC"], ["fc8-SEC-Softmax"], "propagate_down: 1")


def crf(propagate_down):
    """CRFLayer, and ConstrainLossLayer that compares its result with the probabilities."""
    return python("CRF", "CRFLayer", ["fc8-SEC-Softmax", "images"], ["fc8-SEC-CRF-log"],
                  f"propagate_down: {propagate_down} propagate_down: 0") \
        + python("loss-Constrain", "ConstrainLossLayer", ["fc8-SEC-Softmax", "fc8-SEC-CRF-log"], ["loss-Constrain"],
                 f"propagate_down: 1 propagate_down: {propagate_down} loss_weight: 1")


def loss(name, layer, other):
    return python(name, layer, ["fc8-SEC-Softmax", other], [name], "propagate_down: 1 propagate_down: 0 loss_weight: 1")


DSRG_S = PHOTOS + TRUNK + SOFTMAX + crf(1) \
    + python("update-seed", "DSRGLayer", ["labels", "fc8-SEC-Softmax", "cues", "images"], ["cues-new"],
             param_str="{'th1': 0.99, 'th2': 0.85}") \
    + python("loss-Seed", "BalancedSeedLossLayer", ["fc8-SEC-Softmax", "cues-new"], ["loss-Seed"], "loss_weight: 1")
SEC = PHOTOS + TRUNK + SOFTMAX + crf(0) + loss("loss-Seed", "SeedLossLayer", "cues") \
    + loss("loss-Expand", "ExpandLossLayer", "labels")
RETRAIN_TAIL = """
layer { bottom: 'label' top: 'label_shrink' name: 'label_shrink' type: 'Interp'
        interp_param { shrink_factor: 8 pad_beg: 0 pad_end: 0 } }
layer { name: 'loss' type: "SoftmaxWithLoss" bottom: 'fc8-SEC' bottom: 'label_shrink' top: 'loss'
        loss_param { ignore_label: 255 } include: { phase: TRAIN } }
layer { name: 'accuracy' type: "SegAccuracy" bottom: 'fc8-SEC' bottom: 'label_shrink' top: 'accuracy'
        seg_accuracy_param { ignore_label: 255 } }
"""
DSRG_F = python("data", "ImageSegDataLayer", [], ["images", "label"], module="pylayers.layer", param_str=(
    "{'source': 'train.txt', 'root_folder': '.', 'batch_size': 2, 'mirror': True, 'crop_size': (321, 321), "
    "'mean': (104, 117, 123), 'phase': 'Train'}")) + TRUNK + RETRAIN_TAIL
DEEPLAB = """layer { name: "data" type: "ImageSegData" top: "images" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 321 mean_value: 104.008 mean_value: 116.669 mean_value: 122.675 }
  image_data_param { root_folder: "." source: "train.txt" batch_size: 2 shuffle: true label_type: PIXEL } }
""" + TRUNK + RETRAIN_TAIL

SOLVER = """train_net: 'train.prototxt'
base_lr: 0.0005
lr_policy: "{policy}" gamma: 0.33 stepsize: 1000 power: 0.9
average_loss: 20   # of the last lines
display: 1
max_iter: 2
momentum: 0.9
weight_decay: 0.0005
snapshot: 8000
snapshot_prefix: 'models/model-s'
random_seed: 0
solver_mode: GPU
"""


@pytest.fixture
def folder(tmp_path, monkeypatch, rng):
    """Working folder with three photos, their labels, lists and a cue file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("JPEGImages", "labels", "models"):
        (tmp_path / name).mkdir()
    cues = {}
    for k in range(3):
        photo = cv2.resize(rng.integers(0, 256, (6, 7, 3), np.uint8), (90, 70), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(f"JPEGImages/p{k}.jpg", photo)
        cv2.imwrite(f"labels/p{k}.png", rng.choice(np.array([0, 5, 20, 255], np.uint8), (70, 90)))
        rows, cols = np.divmod(rng.permutation(41 * 41)[:60], 41)
        cues[k] = np.array([5, 20][: 1 + k % 2]), np.stack([np.repeat([0, 5, 0 if k % 2 == 0 else 20], 20), rows, cols])
    save_cues("localization_cues.pickle", cues)
    (tmp_path / "input_list.txt").write_text("".join(f"p{k}.jpg {k}\n" for k in range(3)))
    (tmp_path / "train.txt").write_text("".join(f"/JPEGImages/p{k}.jpg /labels/p{k}.png\n" for k in range(3)))
    return tmp_path


@pytest.mark.parametrize(("text", "policy", "losses"), [
    (DSRG_S, "step", ["loss-Constrain", "loss-Seed"]),
    (SEC, "step", ["loss-Constrain", "loss-Expand", "loss-Seed"]),
    (DSRG_F, "poly", ["loss"]),
    (DEEPLAB, "poly", ["loss"]),
], ids=["DSRG s", "SEC", "DSRG f", "DeepLab"])
def test_training_runs_and_its_weights_fit_the_deploy_net(folder, text, policy, losses, rng):
    write(folder, text, "train.prototxt")
    with pytest.warns(UserWarning, match="solver_mode: GPU, but torch finds no CUDA device: computing on the CPU"):
        solver = caffe.get_solver(write(folder, SOLVER.format(policy=policy), "solver.prototxt"))
    net = solver.net
    assert net.blobs["images"].data.shape == (2, 3, 321, 321) and net.blobs["fc8-SEC"].data.shape == (2, 21, 41, 41)
    assert [name for name in net.outputs if net.blob_loss_weights[name] == 1] == losses
    before = {name: blobs[0].data.copy() for name, blobs in net.params.items()}
    solver.solve()
    for name, blobs in net.params.items():
        assert np.isfinite(blobs[0].data).all() and (blobs[0].data != before[name]).any(), name
    assert all(np.isfinite(net.blobs[name].data).all() and net.blobs[name].data > 0 for name in losses)

    deploy = build(folder, """name: 'deploy'
        input: 'images'
        input_dim: 1 input_dim: 3
        input_dim: 321 input_dim: 321
        """ + TRUNK, weights="models/model-s_iter_2.caffemodel")
    for name, blobs in deploy.params.items():
        assert np.array_equal(blobs[0].data, net.params[name][0].data), name
    for size, cells in ((321, 41), (241, 31), (401, 51)):
        deploy.blobs["images"].reshape(1, 3, size, size)
        deploy.blobs["images"].data[...] = rng.normal(size=(1, 3, size, size))
        assert deploy.forward()["fc8-SEC"].shape == (1, 21, cells, cells)


def test_sec_stops_the_gradient_at_the_crf_and_dsrg_does_not(folder):
    for text, calls in ((SEC, []), (DSRG_S, [[True, False]])):
        net, seen = build(folder, text, caffe.TRAIN), []
        net.layer_dict["CRF"].backward = lambda top, wanted, bottom, seen=seen: seen.append(list(wanted))
        net.forward()
        net.backward()
        assert seen == calls


LARGE_FOV = """name: "LargeFOV"
input: "data" input_dim: 1 input_dim: 3 input_dim: 17 input_dim: 17
layers { bottom: "data" top: "conv1" name: "conv1" type: CONVOLUTION blobs_lr: 1 blobs_lr: 2 weight_decay: 1
         weight_decay: 0 convolution_param { num_output: 4 pad: 1 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { bottom: "conv1" top: "conv1" name: "relu1" type: RELU }
layers { bottom: "conv1" top: "fc6" name: "fc6" type: CONVOLUTION blobs_lr: 1 blobs_lr: 2
         convolution_param { num_output: 5 pad: 4 hole: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { bottom: "fc6" top: "fc6" name: "drop6" type: DROPOUT dropout_param { dropout_ratio: 0.5 } }
layers { bottom: "fc6" top: "prob" name: "prob" type: SOFTMAX }
"""


def test_a_large_fov_of_deeplab_v1_needs_one_word_changed(folder, rng):
    with pytest.raises(caffe.PrototxtError, match=r"net.prototxt:7:\d+: ConvolutionParameter has no field 'hole': "
                                                  r".*`hole` is `dilation` today"):
        build(folder, LARGE_FOV)
    net = build(folder, LARGE_FOV.replace("hole", "dilation"))
    net.blobs["data"].data[...] = rng.normal(size=(1, 3, 17, 17))
    assert net.forward()["prob"].shape == (1, 5, 17, 17)
    specs = [spec for layer in read_net(str(folder / "net.prototxt")).layer for spec in layer.param]
    assert [(spec.lr_mult, spec.decay_mult) for spec in specs] == [(1, 1), (2, 0), (1, 1), (2, 1)]


def test_a_class_activation_net_with_its_gradients(folder, rng):
    """SEC's cue nets: global average pooling to scores without bias, and gradients at an inner blob."""
    net = build(folder, """force_backward: true
        input: 'data' input_shape: < dim: 1 dim: 3 dim: 41 dim: 41 >
        """ + conv("conv4_1", "data", 4, 3, 1) + """
        layer { name: 'pool' type: 'Pooling' bottom: 'conv4_1' top: 'mean' pooling_param { pool: AVE kernel_size: 41 } }
        layer { name: 'scores' type: 'InnerProduct' bottom: 'mean' top: 'scores' param { lr_mult: 10 }
                inner_product_param { num_output: 20 bias_term: false weight_filler { type: 'xavier' } } }""")
    net.blobs["data"].data[...] = rng.normal(size=(1, 3, 41, 41))
    net.forward()
    np.testing.assert_allclose(net.blobs["mean"].data[0, :, 0, 0], net.blobs["conv4_1"].data.mean((2, 3))[0], rtol=1e-5)
    net.blobs["scores"].diff[...] = 1
    net.backward(end="relu_conv4_1")
    expected = net.params["scores"][0].data.sum(0) / 41**2
    np.testing.assert_allclose(net.blobs["mean"].diff[0, :, 0, 0], expected * 41**2, rtol=1e-5)
    assert net.blobs["conv4_1"].diff.any() and len(net.params["scores"]) == 1
