"""Readers of texts: lists, labels, class names, annotations, prototxts without an engine, settings of experiments."""

import contextlib
import functools

import numpy as np
from caffe.proto import caffe_pb2

from dsrg.datasets.colour_masks import read_colours
from dsrg.datasets.folder_labels import ids_of, index_labels, names_used, one_spelling
from dsrg.datasets.label_table import read_label_table
from dsrg.datasets.voc_annotations import labels_from_annotations, read_object_names
from dsrg.experiments.from_template import Wanted, new_settings
from dsrg.io import voc
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_ids, read_input_list
from dsrg.io.photo_lists import labels_of, read_photos
from dsrg.io.prototxt_text import read_prototxt
from dsrg.pipeline import prototxt_edits, prototxts
from dsrg.pipeline.settings import read_experiment
from dsrg.report.comparison import settings
from tests.conftest import EXPERIMENTS, ROOT
from tests.reliability.damaged_values import NAMES, yaml_value
from tests.reliability.engine_readers import NET, SOLVER, V1_NET
from tests.reliability.readers import reader

IDS = b"2007_000032\nsub/2007_000039\n2007_000063\na.b\n"
CLASSES = b"background\naeroplane\npotted plant\ncow\n"


def _names_in_lines(data, rng):
    """A word of a list replaced by an odd name, or a line doubled many times."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    if rng.random() < 0.2:
        return b"\n".join([*lines, *[lines[at] + b"%d" % n for n in range(rng.choice((100,) * 50 + (20000,)))]])
    words = lines[at].split(b" ")
    words[rng.randrange(len(words))] = rng.choice(
        (
            *NAMES,
            "\u3000",
            "\ufeff",
            "a\u2028b",
            "٣",
            "²",
            "1e3",
            "0x1",
            "-0",
            "9" * 5000,
            "a/./b",
            "//",
            ".",
            "..",
            "a/",
            "\u202egnp",
            "é",
            "e\u0301",
            '"',
            ",",
            ";;",
        )
    ).encode("utf-8", "surrogatepass")
    lines[at] = b" ".join(words)
    return b"\n".join(lines)


@reader(lambda: [IDS, IDS.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + IDS], UserError, ".txt", [_names_in_lines])
def ids(path):
    assert all(one.isprintable() and not one.startswith("/") for one in read_ids(path))


@reader(lambda: [b"/2007_000032.jpg 0\nsub/a.png 7\nb.jpg 12\n"], UserError, ".txt", [_names_in_lines])
def input_list(path):
    read_input_list(path)
    prototxts.listed_files(path.read_text(), ".")
    with contextlib.suppress(UserError):        # most photos are not there
        labels_of(read_photos(path, path.parent), path)


@reader(lambda: [b"2007_000032 1 2\nsub/a 3\nb\n", b"a aeroplane cow\nb 2\n"], UserError, ".txt", [_names_in_lines])
def image_labels(path):
    read_image_labels(path, classes=CLASSES.decode().split("\n")[:-1])
    read_image_labels(path, 21)


@reader(lambda: [CLASSES], UserError, ".txt", [_names_in_lines])
def class_names(path):
    assert all(name.isprintable() for name in read_classes(path))


@reader(lambda: [b"0 0 0\n128 0 0\n0 128 0\n"], UserError, ".txt", [_names_in_lines])
def colours(path):
    assert read_colours(path).dtype == np.uint8


@reader(
    lambda: [
        b'image,label\na.jpg,cow\nb.jpg,"sheep, cow"\n',
        b"a.jpg cow\nb sheep cow\nsub/c d.jpg;cow|sheep\n",
        b"# words\na.jpg\tcow\n",
        b"image,cow,sheep\na.jpg,1,0\nb.jpg,0,1\nsub/c d.jpg,1,1\n",
    ],
    UserError,
    ".csv",
    [_names_in_lines],
)
def folder_labels(path):
    names, faults = ["a.jpg", "b.jpg", "sub/c d.jpg"], Faults(path)
    table = read_label_table(path, path.parent, names, faults)
    words = one_spelling(table.words, (), [])
    index_labels(words, names_used(words, path), path, faults)
    ids_of(names, faults)
    faults.refuse()


@reader(
    lambda: [
        b"<annotation><filename>a.jpg</filename><size><width>9</width></size><object><name>cow</name><part><name>head</name></part>"
        b"</object><object><name>sheep</name></object></annotation>"
    ],
    UserError,
    ".xml",
    [
        lambda data, rng: data.replace(
            b"<object>",
            rng.choice(
                (
                    b"<object>" * 3000,
                    b"<a " + b"b='c' " * 9000 + b">",
                    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
                    b"&#0;",
                    b"&#27;[2J",
                    b"<![CDATA[\x1b]]>",
                    b"<?x?>",
                    b"<object xmlns:a='b'>",
                )
            ),
            1,
        ),
        _names_in_lines,
    ],
)
def annotation(path):
    read_object_names(path)
    labels_from_annotations(path.parent, [path.stem], list(voc.CLASSES))


# ---- prototxts ----------------------------------------------------------------------------------------------


def _odd_prototxt(data, rng):
    """A field put in that protobuf's own parser or ours may stumble over."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines) + 1)
    lines[at:at] = [
        rng.choice(
            (
                b"layer { " * 3000,
                b"name: '\\033[2J'",
                b"name: '" + b"x" * 100000 + b"'",
                b"layer { name: 'a' bottom: '\\0' }",
                b"# \x1b[2J",
                b"python_param { param_str: '{[]: 1}' }",
                b"layer { python_param { param_str: \"&a [*a]\" module: 'os' layer: 'x' } type: 'Python' }",
                b"layer { type: 'Python' python_param { param_str: '" + b"[" * 2000 + b"' } }",
                b"input_dim: " + b"9" * 400,
                b"[foo.bar]: 1",
                b"layer <>",
                b"layer: {}",
                b"layer { phase: 9999999999 }",
                b"hole: 1",
                b"name: \xff",
                b"name: 'a' 'b' \"c\"",
                b"base_lr: nan max_iter: -1",
                b"max_iter: 0x7f",
                b"layer { batch_norm_param { eps: 1e400 } }",
                b"net: '/etc/passwd'",
                b"snapshot_prefix: '../../a'",
                b"snapshot_prefix: '/tmp/x'",
                b"any { [type.googleapis.com/x] { } }",
                b'layer { name: "\\x1b" type: "\\777" }',
                b";" * 1000,
                b"{",
                b"}",
                b"layer [ {}, {} ]",
            )
        )
    ]
    return b"\n".join(lines)


@functools.cache
def _demo(name):
    return (ROOT / "prototxts" / "demo" / name).read_bytes()


@reader(lambda: [_demo("train-s.prototxt"), NET.encode(), V1_NET.encode()], UserError, ".prototxt", [_odd_prototxt])
def net_text(path):
    """A net as the pipeline, the comparison of runs and the commands read it without building it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    refused = None
    for way in (
        lambda: read_prototxt(path, caffe_pb2.NetParameter(), "net"),
        lambda: prototxts.net_files(text, path, lambda name: False),
        lambda: prototxt_edits.set_batch(prototxts.parse(text, "net", path), 3),
        lambda: settings(path.parent, caffe_pb2),
    ):
        try:
            way()
        except UserError as error:
            refused = error
    if refused is not None:
        raise refused


@reader(lambda: [_demo("solver-s.prototxt"), SOLVER.encode()], UserError, ".prototxt", [_odd_prototxt])
def solver_text(path):
    read_prototxt(path, caffe_pb2.SolverParameter(), "solver")
    prototxts.training(path.read_text(encoding="utf-8"), path)


@reader(lambda: [b"photos/a.jpg 0\n/b c.jpg /labels/b.png\nd.jpg\n"], (), ".txt", [_names_in_lines])
def listed_files(path):
    prototxts.listed_files(path.read_text(encoding="utf-8", errors="replace"), "/data")


# ---- YAML ---------------------------------------------------------------------------------------------------


@reader(
    lambda: [(folder / "settings.yaml").read_bytes() for folder in EXPERIMENTS],
    UserError,
    ".yaml",
    [yaml_value],
)
def experiment(path):
    """settings.yaml of an experiment."""
    path.rename(path.parent / "settings.yaml")
    found = read_experiment(path.parent)
    for kind in ("cam", "s", "f", "full"):
        assert isinstance(found.start_of(kind), str)


@reader(
    lambda: [path.read_bytes() for path in sorted((ROOT / "prototxts/ablations").glob("*.yaml"))],
    UserError,
    ".yaml",
    [yaml_value],
)
def ablation(path):
    texts = {path.name: path.read_text() for path in (ROOT / "prototxts/demo").glob("*.prototxt")}
    prototxt_edits.ablated(path, texts, path.parent)


@reader(
    lambda: [(folder / "settings.yaml").read_bytes() for folder in EXPERIMENTS],
    UserError,
    ".yaml",
    [yaml_value, _names_in_lines],
)
def experiment_template(path):
    """settings.yaml of an experiment that another one is made from."""
    text = path.read_bytes()
    path.rename(path.parent / "settings.yaml")
    template = read_experiment(path.parent)
    if template.nets is not None:
        new_settings(template, text.decode("utf-8"), "mine", Wanted(7, iterations={"s": 100}))
