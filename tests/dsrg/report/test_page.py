"""The page of a run: well-formed, whole by itself, right where parts are missing."""

import html
import html.parser
import json
import re
import shutil

import caffe
import numpy as np
import pytest

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.report import curves
from dsrg.report import page as module
from dsrg.report.comparison import groups
from dsrg.report.comparison_page import comparison_page, differing_photos
from dsrg.report.page import page
from dsrg.report.run_results import read_run
from dsrg.report.sheets import write_sheets
from tests.dsrg.report.made_run import VAL, make_run, measure

VOID = {"meta", "link", "img", "br", "input", "hr"}
GROWTH = {"iterations": [0, 100, 200], "maps": {"a": np.stack([np.full((6, 8), k) for k in (-1, 0, 1)])}}


class Reader(html.parser.HTMLParser):
    """Notes elements, attributes and text; fails where a tag is closed that is not open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], "elements that nothing closes"

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def headings(self):
        return [attributes["id"] for tag, attributes in self.elements if tag == "h2"]


def assert_whole_by_itself(text):
    """Nothing in the page is loaded from anywhere, and every picture and control has words."""
    read = Reader(text)
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in read.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), f"<{tag} {name}={value[:60]}>"
            assert not value or not value.startswith("#") or value[1:] in ids, f"{value} leads nowhere"
        assert tag != "img" or "alt" in attributes
        assert tag != "svg" or attributes["aria-label"]
    assert not re.search(r"https?://|@import|url\((?!#|\"\$)", text)
    assert 'lang="en"' in text and "width=device-width" in text and "prefers-color-scheme: dark" in text
    return read


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("page") / "demo")


@pytest.fixture
def run(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "demo", symlinks=True)


@pytest.fixture
def undrawn(monkeypatch):
    """Charts without their lines, for tests of what stands around them: drawing takes most of a page's time."""
    def svg(figure, name, label):
        curves.plt.close(figure)
        return f'<svg role="img" aria-label="{html.escape(label)}"></svg>'

    monkeypatch.setattr(curves, "svg", svg)


def made(run, growth=None, **options):
    text = page(run, caffe.proto.caffe_pb2, growth, **options)
    return text, assert_whole_by_itself(text)


def test_the_page_of_a_whole_run(run):
    write_sheets(run, 1)
    text, read = made(run, GROWTH)
    assert read.headings() == ["warnings", "results", "classes", "reliability", "training", "seeds", "sheets",
                               "gallery-val", "gallery-train", "stages", "about"]
    record = json.loads((run / "calibration/f.json").read_text())
    miou = {name: 100 * value for name, value in read_run(run)["miou"].items()}
    share = 100 * miou["f"] / miou["full"]
    for words in (f"retrained, stage f val {miou['f']:.1f} {share:.1f} %", f"fully supervised val {miou['full']:.1f}",
                  "6 of 6 photos", "z worst 48.8 sheep <b>& as background, 15 % of the pixels",
                  "train-s done, resumed 1.6 min", "iteration 200", "solver-s.prototxt base_lr",
                  "4 train and 6 val photos",
                  "Fitted to pseudo-labels, on 2 photos that the net has not learned from",
                  "2 photos apart against pseudo-labels, net and CRF, 3000 pixels; 25.0 % have no class there",
                  *(f"{100 * one[when]['ece']:.1f} {one[when]['nll']:.3f}" for one in record["parts"]["crf"]["measured"]
                    for when in ("before", "after"))):
        assert words in read.text, words
    assert len(text.encode()) < module.LARGEST
    assert "the paper" not in read.text, "no paper reports this experiment"


def test_names_of_classes_are_escaped(run):
    text, read = made(run)
    assert "sheep <b>&" in read.text and "sheep <b>" not in text


def test_the_papers_numbers_are_labelled_as_theirs(run, undrawn):
    run = run.rename(run.with_name("voc12-vgg16-seed3"))
    _, read = made(run)
    assert "this project did not measure them" in read.text and "59.0 (DSRG paper)" in read.text
    assert "this run of the reference the paper's" in read.text


@pytest.mark.parametrize("gone, without", [
    (["masks", "data/SegmentationClass", "results/*"], ["classes"]),
    (["segmentations/static", "results/static.json", "logs/static.jsonl"], []),
    (["segmentations", "results/*"], ["classes", "gallery-val"]),
    (["logs"], ["training"]),
    (["calibration"], ["reliability"]),
    (["cues", "labels"], ["seeds", "gallery-train"]),
    (["stamps"], ["stages"]),
    (["data"], ["gallery-val", "gallery-train"]),
    (["lists", "segmentations", "labels", "cues", "logs", "stamps", "results/*", "calibration"],
     ["classes", "reliability", "training", "seeds", "gallery-val", "gallery-train", "stages"]),
    (["*.prototxt"], []),
])
def test_a_run_with_parts_missing_has_a_page_without_them(run, undrawn, gone, without):
    for pattern in gone:
        for path in run.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    _, read = made(run)
    sections = {"results", "classes", "reliability", "training", "seeds", "gallery-val", "gallery-train", "stages",
                "about"}
    assert set(read.headings()) - {"warnings"} == sections - set(without)
    unmasked = "data/SegmentationClass" in gone
    assert ("Nothing is measured yet" in read.text) == ("results/*" in gone and not unmasked)
    assert ("the data set has no true masks" in read.text) == unmasked


def test_a_folder_that_is_no_run_and_a_damaged_result_are_refused(run, tmp_path):
    with pytest.raises(UserError, match="has no results/; give the folder of a run"):
        page(tmp_path, caffe.proto.caffe_pb2)
    write_text(run / "results/f.json", "{")
    with pytest.raises(UserError, match="not a result file"):
        page(run, caffe.proto.caffe_pb2)


def test_a_page_that_grows_too_large_shows_fewer_photos(run, undrawn, monkeypatch):
    text, read = made(run)
    assert "4 of 4 photos" in read.text
    monkeypatch.setattr(module, "LARGEST", len(text.encode()) - 1)
    smaller, fewer = made(run)
    assert len(smaller.encode()) < len(text.encode()) and "3 of 4 photos" in fewer.text
    monkeypatch.setattr(module, "LARGEST", 1)
    _, none = made(run)
    assert "gallery-val" not in none.headings()


def test_warnings_stand_first(run, undrawn):
    lines = [{"iteration": k, "lr": 0.1, "seconds": 1, "losses": {"loss": 1 + k}} for k in range(60)]
    write_text(run / "logs/train-f.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    for image_id in VAL:
        shutil.copy(run / "segmentations/f/z.png", run / f"segmentations/full/{image_id}.png")
    measure(run, "full", run / "segmentations/full", VAL)
    _, read = made(run)
    assert read.headings()[0] == "warnings"
    assert "stage f: the loss did not fall" in read.text
    assert "it failed, and a ratio to it means nothing" in read.text and "of the reference" not in read.text


def test_several_runs_and_the_photos_they_differ_in(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other", symlinks=True)
    shutil.copy(other / "segmentations/f/z.png", other / "segmentations/f/u.png")   # 8 columns of u against 1 of z
    found = groups([run, other], caffe.proto.caffe_pb2)
    read = assert_whole_by_itself(comparison_page([run, other], found))
    assert read.headings() == ["results", "classes", "training", "photos"]
    shown, note, _ = differing_photos({"demo": run, "other": other}, 5)
    assert [row["id"] for row in shown] == ["u"], "the others are equal"
    # u shows a cow on 16 x 8 pixels of 24 x 32; the map of z has 16 x 1 pixels of sheep in it
    assert shown[0]["share"] == 16 * 8 / (24 * 32)
    # background is 640 of 752 pixels, nothing of the cow is found, and the sheep is not there
    titles = [picture["title"] for picture in shown[0]["pictures"]]
    assert titles == ["photo", "demo 100.0 %", f"other {100 * 640 / 752 / 3:.1f} %", "truth"]
    assert "over 6 val photos they differ in 2.8% of the pixels" in note


def test_runs_of_other_classes_are_not_compared_by_photo(run, tmp_path):
    other = shutil.copytree(run, tmp_path / "other", symlinks=True)
    write_text(other / "lists/classes.txt", "background\ncow\nhorse\n")
    assert "other classes" in differing_photos({"a": run, "b": other}, 5)[1]
    assert "two runs or more" in differing_photos({"a": run}, 5)[1]
    shutil.rmtree(other / "segmentations")
    write_text(other / "lists/classes.txt", (run / "lists/classes.txt").read_text())
    assert "No model has segmented" in differing_photos({"a": run, "b": other}, 5)[1]
