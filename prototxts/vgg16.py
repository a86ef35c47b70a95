"""NetSpec pieces of the VGG16 experiments: the trunk, the ASPP head, DSRG's supervision, the retraining loss.

Names of layers and blobs are the original's, so that its caffemodels load. Each experiment's make_nets.py puts the
pieces together and writes the prototxts beside it; the prototxts are what is read and edited.
"""

from pathlib import Path

import caffe
from caffe import layers as L
from caffe import params as P

MEAN_BGR = (104, 117, 123)
CAM_LIST = "lists/cam_train.txt"  # what the classifier learns from: a tenth of the train photos judges it
#: learning rates of pretrained layers (weights, bias) and of the new classifiers, ten times higher
PRETRAINED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
NEW = [dict(lr_mult=10, decay_mult=1), dict(lr_mult=20, decay_mult=0)]
#: what AnnotationLayer takes when its param_str says nothing, as in the original's files
CLASSES, CUE_SIZE = 21, [41, 41]
GAUSSIAN = dict(weight_filler=dict(type="gaussian", std=0.01), bias_filler=dict(type="constant", value=0))


def map_size(size, stride=8):
    """[height, width] of the maps of square inputs of `size`: corner cells lie on corner pixels at stride n + 1."""
    return [(size - 1) // stride + 1] * 2


def conv(n, name, bottom, outputs, kernel=3, pad=None, dilation=1, relu=True, param=PRETRAINED, **options):
    """Convolution `name` with in-place ReLU relu<suffix>; the blob is n[name]."""
    pad = dilation * (kernel // 2) if pad is None else pad
    if pad:
        options["pad"] = pad
    if dilation > 1:
        options["dilation"] = dilation
    n[name] = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, param=param, **options)
    if relu:
        n["relu" + name.removeprefix("conv").removeprefix("fc")] = L.ReLU(n[name], in_place=True)
    return n[name]


def pool(n, name, bottom, stride, kind=P.Pooling.MAX):
    """3x3 pooling with pad 1, as DeepLab's VGG16 has it."""
    n[name] = L.Pooling(bottom, pool=kind, kernel_size=3, stride=stride, pad=1)
    return n[name]


def trunk(n, images, stage4_pool=True, conv5_dilation=2):
    """conv1_1 .. conv5_3; 321x321 gives 41x41. With the pooling layers of DeepLab (pool5a: average)."""
    x = images
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1):
        for k in range(1, count + 1):
            x = conv(n, f"conv{stage}_{k}", x, outputs, dilation=conv5_dilation if stage == 5 else 1)
        if stage < 4:
            x = pool(n, f"pool{stage}", x, stride=2)
        elif stage4_pool:
            x = pool(n, f"pool{stage}", x, stride=1)
    if stage4_pool:
        x = pool(n, "pool5a", x, stride=1, kind=P.Pooling.AVE)
    return x


def aspp(n, features, classes):
    """Four summed branches fc6_k (dilation 6, 12, 18, 24), fc7_k, fc8-SEC_k; the blob n['fc8-SEC']."""
    scores = []
    for k, dilation in enumerate((6, 12, 18, 24), start=1):
        x = conv(n, f"fc6_{k}", features, 1024, dilation=dilation)
        n[f"drop6_{k}"] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
        x = conv(n, f"fc7_{k}", x, 1024, kernel=1)
        n[f"drop7_{k}"] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
        scores.append(conv(n, f"fc8-SEC_{k}", x, classes, kernel=1, relu=False, param=NEW, **GAUSSIAN))
    n["fc8-SEC"] = L.Eltwise(*scores, operation=P.Eltwise.SUM)
    return n["fc8-SEC"]


def python(bottoms, layer, ntop=1, module="pylayers", param_str=None, **options):
    """A Python layer; `param_str` is a dict."""
    spec = dict(module=module, layer=layer)
    if param_str:
        spec["param_str"] = repr(param_str)
    return L.Python(*bottoms, ntop=ntop, python_param=spec, **options)


def photos(n, name, ids, size, batch, mirror, source="lists/input_list.txt"):
    """ImageData: photos resized to size x size whatever their aspect, BGR minus the mean; ids are list numbers."""
    n[name], n[ids] = L.ImageData(
        ntop=2, name="Input",
        transform_param=dict(mirror=mirror, mean_value=list(MEAN_BGR)),
        image_data_param=dict(root_folder="data/JPEGImages/", source=source, batch_size=batch,
                              new_height=size, new_width=size, shuffle=True))
    return n[name], n[ids]


def sec_cam(n, images, classes, train):
    """SEC's foreground localiser: VGG16 without pool4 and pool5 (41x41 maps), fc6_CAM, fc7_CAM, mean, scores."""
    x = trunk(n, images, stage4_pool=False, conv5_dilation=1)
    for name, relu in (("fc6_CAM", True), ("fc7_CAM", False)):
        x = conv(n, name, x, 1024, relu=relu, **GAUSSIAN)
        if train:
            n["drop" + name.removeprefix("fc")] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    n.pool_CAM = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    return _cam_scores(n, n.pool_CAM, classes)


def gap_cam(n, images, classes, train):
    """VGG16-GAP (Zhou et al., CVPR 2016): conv5_3 at stride 16, CAM_conv of 3x3 and 1024 in two groups, mean, scores.

    The weights vgg16CAM_train_iter_90000.caffemodel fit all but the scores. Inputs of 321 have maps of 21x21.
    """
    x = images
    for stage, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), start=1):
        for k in range(1, count + 1):
            x = conv(n, f"conv{stage}_{k}", x, outputs)
        if stage < 5:
            n[f"pool{stage}"] = x = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.CAM_conv = x = L.Convolution(x, num_output=1024, kernel_size=3, pad=1, group=2, param=PRETRAINED, **GAUSSIAN)
    n.CAM_relu = L.ReLU(x, in_place=True)
    n.CAM_pool = x = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    if train:
        n.CAM_drop = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    return _cam_scores(n, x, classes)


def deploy_net(n):
    """NetParameter of a net that is fed from outside: `input` and `input_shape` of the net in place of Input layers.

    Every Caffe reads these two fields; DeepLab-v2's has no layer type Input.
    """
    net = n.to_proto()
    for layer in [layer for layer in net.layer if layer.type == "Input"]:
        net.input.append(layer.top[0])
        net.input_shape.add().CopyFrom(layer.input_param.shape[0])
        net.layer.remove(layer)
    return net


def _cam_scores(n, pooled, classes):
    """Scores of the classes without background, one linear layer on pooled features."""
    n.scores = L.InnerProduct(pooled, num_output=classes - 1, bias_term=False,
                              param=[dict(lr_mult=10, decay_mult=1)], weight_filler=dict(type="gaussian", std=0.01))
    return n.scores


def cam_net(classes, size, batch=None, classifier=sec_cam):
    """Classifier of the cues: with `batch` the net that learns from image labels, without it the one to deploy.

    `classes` counts background; `classifier` is sec_cam or gap_cam.
    """
    n = caffe.NetSpec()
    if batch:
        photos(n, "images", "image_ids", size, batch, mirror=True, source=CAM_LIST)
        n.targets = python([n.image_ids], "ImageLabelLayer", param_str={"classes": classes}, name="Targets",
                           propagate_down=[0])
    else:
        n.images = L.Input(shape=dict(dim=[1, 3, size, size]))
    scores = classifier(n, n.images, classes, train=bool(batch))
    if batch:
        n.loss = L.SigmoidCrossEntropyLoss(scores, n.targets)
    return n.to_proto() if batch else deploy_net(n)


def annotated(n, cues, size, batch, classes=CLASSES, cue_size=CUE_SIZE, mirror=True, layer="AnnotationLayer"):
    """Photos with labels and cues, mirrored together; returns images, labels, cues."""
    photos(n, "images_origin", "image_ids", size, batch, mirror=False)
    keys = {"cues": cues, "mirror": mirror}
    if classes != CLASSES:
        keys["classes"] = classes
    if cue_size != CUE_SIZE:
        keys["size"] = cue_size
    n.labels, n.cues, n.images = python([n.image_ids, n.images_origin], layer, ntop=3, param_str=keys,
                                        name="Annotation", propagate_down=[0, 0])
    return n.images, n.labels, n.cues


def dsrg_supervision(n, scores, crf_scale=None, th1=0.99):
    """Softmax, CRF, region growing, balanced seed loss and constrain loss, under the original's names.

    `crf_scale`: scale_factor of both CRFs, where the maps have another size than the original's. `th1`: background
    grows above it; above what the floor of 1e-4 a class leaves to the largest probability, it does not grow.
    """
    crf_keys = {"scale": crf_scale} if crf_scale else {}
    n["fc8-SEC-Softmax"] = probs = python([scores], "SoftmaxLayer", name="Softmax", propagate_down=[1])
    n["fc8-SEC-CRF-log"] = crf = python([probs, n.images], "CRFLayer", name="CRF", propagate_down=[1, 0],
                                           param_str=crf_keys)
    n["cues-new"] = grown = python([n.labels, probs, n.cues, n.images], "DSRGLayer", name="update-seed",
                                   param_str={"th1": th1, "th2": 0.85, **crf_keys})
    n["loss-Seed"] = python([probs, grown], "BalancedSeedLossLayer", loss_weight=1)
    n["loss-Constrain"] = python([probs, crf], "ConstrainLossLayer", loss_weight=1)


def retraining_data(n, source, size, batch, classes):
    """Random crops and mirrors of whole photos with their label maps; returns images, label."""
    n.images, n.label = python([], "ImageSegDataLayer", ntop=2, module="pylayers.layer", name="data",
                               param_str={"source": source, "root_folder": ".", "batch_size": batch, "mirror": True,
                                          "crop_size": (size, size), "mean": MEAN_BGR, "phase": "Train",
                                          "classes": classes})
    return n.images, n.label


def retraining_loss(n, scores, label, stride=8):
    """Cross-entropy against the label map sampled at every 8th pixel (Interp), void ignored; accuracy for the log."""
    n.label_shrink = L.Interp(label, shrink_factor=stride, pad_beg=0, pad_end=0)
    n.loss = L.SoftmaxWithLoss(scores, n.label_shrink, loss_param=dict(ignore_label=255))
    n.accuracy = L.SegAccuracy(scores, n.label_shrink, seg_accuracy_param=dict(ignore_label=255))


def solver(net, prefix, snapshot, **fields):
    """SolverParameter of an experiment: SGD, momentum 0.9, weight decay 5e-4, seed 0 unless given."""
    message = caffe.proto.caffe_pb2.SolverParameter(
        train_net=net, snapshot_prefix=prefix, snapshot=snapshot, momentum=0.9, weight_decay=5e-4, random_seed=0,
        display=20, average_loss=20)
    for key, value in fields.items():
        setattr(message, key, value)
    return message


def write(folder, files, script):
    """Write {file name: message} as prototxts that name the script they come from."""
    from google.protobuf import text_format

    for name, message in files.items():
        head = f"# Written by prototxts/{Path(folder).name}/{script}: edit this file, or the script and run it again.\n"
        text = text_format.MessageToString(message, float_format=".6g").replace("\\'", "'")  # plain quotes in param_str
        (Path(folder) / name).write_text(head + text)
