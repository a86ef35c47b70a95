"""Class counts of nets against those of data: every committed training net, and nets that have no opinion."""

import re

import pytest
from google.protobuf import text_format

from dsrg.find_caffe import the_caffe
from dsrg.io.errors import UserError
from dsrg.netinspect.class_counts import refuse_other_classes
from tests.conftest import EXPERIMENTS

#: every net that an experiment trains, with the number of classes its README names
CLASSES = {"demo": 7, "msrc15-squeezenet": 16, "voc12-vgg16": 21, "voc12-resnet101": 21, "voc12-sec": 21,
           "coco-vgg16": 81}
NETS = sorted(path for folder in EXPERIMENTS for path in folder.glob("*train*.prototxt")
              if not path.name.startswith("solver"))


@pytest.fixture
def parse(monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    return lambda text: text_format.Parse(text, the_caffe().proto.caffe_pb2.NetParameter())


def classes_file(folder, count):
    (folder / "lists").mkdir(exist_ok=True)
    (folder / "lists/classes.txt").write_text("\n".join(["background", *(f"class {k}" for k in range(1, count))]))


@pytest.mark.parametrize("path", NETS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_committed_nets_fit_their_data_and_no_other(path, parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net, count = parse(path.read_text()), CLASSES[path.parent.name]
    refuse_other_classes(net, path.name)        # no classes.txt, nothing to compare with
    classes_file(tmp_path, count)
    refuse_other_classes(net, path.name)
    for other in (count - 1, count + 1):
        classes_file(tmp_path, other)
        message = (rf"{re.escape(path.name)}: layer '.+' (is set to|scores) {count} classes with background, but the "
                   rf"data has {other} \(lists/classes\.txt\); .* python -m tools\.new_experiment NAME")
        with pytest.raises(UserError, match=message):
            refuse_other_classes(net, path.name)


SCORES = """
layer { name: "data" type: "ImageData" top: "photo" top: "label" image_data_param { source: "lists/train.txt" } }
layer { name: "fc8" type: "InnerProduct" bottom: "photo" top: "fc8" inner_product_param { num_output: 4 } }
layer { name: "relu" type: "ReLU" bottom: "fc8" top: "fc8" }
layer { name: "%s" type: "%s" bottom: "%s" bottom: "label" top: "loss" }
"""


def test_scores_alone_are_enough(parse, tmp_path, monkeypatch):
    """A net without our layers: 4 outputs are 4 classes of a softmax, and 5 of a classifier without background."""
    monkeypatch.chdir(tmp_path)
    for kind, right in (("SoftmaxWithLoss", 4), ("SigmoidCrossEntropyLoss", 5)):
        net = parse(SCORES % ("loss", kind, "fc8"))
        classes_file(tmp_path, right)
        refuse_other_classes(net, "net")
        classes_file(tmp_path, 7)
        with pytest.raises(UserError, match=f"layer 'fc8' scores {right} classes with background, but the data has 7"):
            refuse_other_classes(net, "net")


def test_nets_without_an_opinion_pass(parse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    classes_file(tmp_path, 7)
    refuse_other_classes(parse(SCORES % ("loss", "EuclideanLoss", "fc8")), "net")
    refuse_other_classes(parse(SCORES % ("loss", "SoftmaxWithLoss", "photo")), "net")
    unreadable = 'layer { name: "p" type: "Python" python_param { param_str: "not: [readable" } }'
    refuse_other_classes(parse(unreadable), "net")
