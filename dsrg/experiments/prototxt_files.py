"""The prototxts of an experiment from its numbers: nets put together from backbone, head, classifier and losses."""

import functools

import caffe
from caffe import layers as L
from google.protobuf import text_format

from dsrg.experiments import losses, resnet101, small_net, squeezenet, vgg16
from dsrg.experiments.netspec_pieces import annotated, fed_images, fed_net, photos, photos_with_masks, python
from dsrg.io.atomic_files import write_text
from dsrg.io.prototxt_text import read_text

TRUNKS = {
    "vgg16": vgg16.trunk,
    "resnet101": resnet101.trunk,
    "resnet101-torchvision": functools.partial(resnet101.trunk, stride_in_3x3=True),
    "squeezenet": squeezenet.trunk,
    "small": small_net.trunk,
}
HEADS = {"aspp": vgg16.aspp, "large-fov": vgg16.large_fov, "deeplab-v2": resnet101.head, "squeezenet": squeezenet.head,
         "small": small_net.head}
CLASSIFIERS = {"vgg16-sec": vgg16.sec_classifier, "vgg16-gap": vgg16.gap_classifier,
               "squeezenet": squeezenet.classifier, "small": small_net.classifier}
SUPERVISIONS = {"dsrg": losses.dsrg, "sec": losses.sec}
#: what the classifier learns from: a tenth of the train photos is set apart to judge it
CAM_LIST = "lists/cam_train.txt"
#: fields of every solver, unless the experiment says otherwise
SOLVER = dict(momentum=0.9, weight_decay=5e-4, random_seed=0, display=20, average_loss=20)


def prototxts(nets, cue_file):
    """The messages of an experiment.

    Parameters
    ----------
    nets : description.Nets
    cue_file : str
        Where stage s reads the cues, relative to the run.

    Returns
    -------
    dict of str to NetParameter or SolverParameter
        By file name.
    """
    makers = {"cam": cam_net, "s": functools.partial(train_s, cue_file=cue_file), "f": train_f}
    found = {"cam-deploy.prototxt": cam_net(nets, train=False), "deploy.prototxt": deploy(nets)}
    for kind, numbers in nets.solvers.items():
        name = f"{kind}-train.prototxt" if kind == "cam" else f"train-{kind}.prototxt"
        found[name] = makers[kind](nets)
        found[f"solver-{kind}.prototxt"] = caffe.proto.caffe_pb2.SolverParameter(
            train_net=name, snapshot_prefix=f"models/{kind}", **{**SOLVER, **numbers})
    return found


def cam_net(nets, train=True):
    """Classifier of the cues: the net that learns from image labels, or the one to deploy.

    Parameters
    ----------
    nets : description.Nets
    train : bool

    Returns
    -------
    NetParameter
    """
    n = caffe.NetSpec()
    if train:
        photos(n, "images", "image_ids", nets.size, nets.batch["cam"], mirror=True, source=CAM_LIST)
        n.targets = python([n.image_ids], "ImageLabelLayer", param_str={"classes": nets.classes}, name="Targets",
                           propagate_down=[0])
    else:
        fed_images(n, nets.size)
    scores = CLASSIFIERS[nets.classifier](n, n.images, nets.classes, train)
    if not train:
        return fed_net(n)
    n.loss = L.SigmoidCrossEntropyLoss(scores, n.targets)
    return n.to_proto()


def train_s(nets, cue_file):
    """Stage s: seeds, grown or not.

    Parameters
    ----------
    nets : description.Nets
    cue_file : str
        Relative to the run.

    Returns
    -------
    NetParameter
    """
    n = caffe.NetSpec()
    annotated(n, nets, cue_file)
    SUPERVISIONS[nets.supervision](n, nets, _scores(n, nets, train=True))
    return n.to_proto()


def train_f(nets):
    """Stage f: cross-entropy on label maps. The reference trains the same net on another list.

    Parameters
    ----------
    nets : description.Nets

    Returns
    -------
    NetParameter
    """
    n = caffe.NetSpec()
    photos_with_masks(n, nets, "lists/train_f.txt")
    losses.label_maps(n, nets, _scores(n, nets, train=True), n.label)
    return n.to_proto()


def deploy(nets):
    """Scores fc8-SEC of photos of any size.

    Parameters
    ----------
    nets : description.Nets

    Returns
    -------
    NetParameter
    """
    n = caffe.NetSpec()
    fed_images(n, nets.size)
    _scores(n, nets, train=False)
    return fed_net(n)


def _scores(n, nets, train):
    return HEADS[nets.head](n, TRUNKS[nets.backbone](n, n.images), nets.classes, train)


def texts(messages, name):
    """The messages as the text of prototxts that name the experiment they belong to, by file name.

    Parameters
    ----------
    messages : dict of str to NetParameter or SolverParameter
        By file name.
    name : str
        Of the experiment.

    Returns
    -------
    dict of str to str
    """
    head = (f"# Written by python -m tools.make_nets prototxts/{name}: edit this file, or settings.yaml and write it "
            "again.\n")
    # plain quotes in param_str
    return {file: head + text_format.MessageToString(message, float_format=".6g").replace("\\'", "'")
            for file, message in messages.items()}


def write(folder, contents):
    """Write prototxts into a folder; the names of those that changed, sorted.

    Parameters
    ----------
    folder : Path
    contents : dict of str to str
        By file name.

    Returns
    -------
    list of str
    """
    changed = differing(folder, contents)
    for name in changed:
        write_text(folder / name, contents[name])
    return changed


def differing(folder, contents):
    """Names of the prototxts whose file in the folder is missing or another, sorted.

    Parameters
    ----------
    folder : Path
    contents : dict of str to str
        By file name.

    Returns
    -------
    list of str
    """
    return sorted(name for name, text in contents.items()
                  if not (folder / name).is_file() or read_text(folder / name) != text)
