"""No command writes over a file that it reads: each output of each command, tried on each file that the command reads.

What a command reads is taken from its parser, so that a new option is tried without being named here.
"""

import argparse
import functools
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from dsrg.datasets.voc_lists import WRITTEN as LISTS
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.io.overwriting import refuse_files_of, refuse_written_over
from dsrg.pipeline.run_folder import link
from dsrg.scoring.picture_folder import PictureFolder
from tests.parsers import command, commands, parser_of, subparsers
from training.run_files import RunFiles

#: dests of options and arguments that say where to write; all others that take a path are read
OUTPUTS = {"out", "scores", "draw", "montage", "html", "cache", "target"}
#: `folder` is changed in place by tools.make_nets, set_batch and ablate
READ = {"ablation", "background_net", "background_weights", "classes", "colours", "cues", "data", "diff", "file",
        "folder", "gt", "images", "labels", "leave_out", "list", "masks", "model", "net", "numbers", "photos", "pred",
        "run", "runs", "saliency_maps", "sbd", "source", "train", "train_photos", "val", "val_list", "val_photos",
        "weights"}
#: command, and word of its subcommand -> option, {what is given: what is then written}, words that have to be there
TABLE = {"out": {"k.json": ["k.json", "k.txt"]}}
FILE = {"out": {"k.txt": ["k.txt"]}}
PHOTO = {"out": {".": ["a.png"]}}
CASES = {
    ("tools.evaluate",): (TABLE, ["--pred", "p", "--gt", "g", "--list", "l", "--classes", "c"]),
    ("tools.export",): ({"out": {"k.onnx": ["k.onnx"], "k.prototxt": ["k.prototxt"]}},
                        ["w.caffemodel", "--format", "onnx", "--net", "n"]),
    ("tools.compare",): ({"out": {"k": ["k.md", "k.png"]}, "html": {"k.html": ["k.html"]}}, ["run"]),
    ("tools.make_init",): ({"out": {"k.caffemodel": ["k.caffemodel"]}}, ["--net", "n", "--from", "f"]),
    ("tools.inspect_net",): ({"draw": {"k.svg": ["k.svg"]}}, ["n"]),
    ("tools.check_data",): ({"out": {".": ["data.json", "data.txt", "left_out.txt"]}, "cache": {"k": ["k"]}}, ["data"]),
    ("tools.make_lists",): ({"out": {".": list(LISTS)}}, ["--data", "data"]),
    ("tools.make_coco",): ({"out": {".": ["classes.txt", "image_labels.txt", "image_ids.txt", "made-from.json"]}},
                           ["--train", "t", "--train-photos", "p", "--val", "v", "--val-photos", "p"]),
    ("tools.index_masks",): (PHOTO, ["--masks", "photos"]),
    ("tools.segment",): ({"out": {".": ["a.png", "settings.json"]}, "scores": {".": ["a.npz"]}},
                         ["--net", "n", "--weights", "w", "--list", "ids", "--images", "photos", "--out", "o"]),
    ("localization_cues.classifier_quality",): (TABLE, ["--net", "n", "--weights", "w", "--list", "l", "--images", "i",
                                                        "--labels", "b", "--classes", "c"]),
    ("localization_cues.evaluate_cues",): (TABLE, ["--cues", "u", "--list", "l", "--masks", "m", "--classes", "c"]),
    ("localization_cues.predict_labels",): (FILE, ["--net", "n", "--weights", "w", "--list", "l", "--images", "i",
                                                     "--classes", "c"]),
    ("localization_cues.make_cues",): (
        {"out": {"k.npz": ["k.npz", "k.json"], "classes.pickle": ["classes.pickle", "classes.json"]}},
        ["--net", "n", "--weights", "w", "--list", "l", "--images", "i", "--labels", "b"]),
    ("localization_cues.convert_cues",): ({"target": {"k.npz": ["k.npz"]}}, ["s"]),
    ("localization_cues.inspect_cues",): ({"out": FILE["out"], "draw": {".": ["a.png"]}},
                                          ["k.npz", "--list", "inputs", "--images", "photos", "--draw", "d"]),
    ("localization_cues.drfi", "train"): ({"out": {"k.npz": ["k.npz"]}}, ["--images", "photos", "--masks", "m"]),
    ("localization_cues.drfi", "apply"): (PHOTO, ["--images", "photos", "--model", "m"]),
    ("localization_cues.drfi", "evaluate"): ({"out": FILE["out"], "montage": {"k.png": ["k.png"]}},
                                             ["--images", "photos", "--masks", "m", "--maps", "x=p"]),
}
#: what an option needs beside it
WITH = {"background_net": ["--background-weights", "w", "--background", "sec-gradient:0.1"],
        "background_weights": ["--background-net", "n", "--background", "sec-gradient:0.1"],
        "saliency_maps": ["--background", "saliency:0.1"]}
#: what a file holds that is read before it is known what is written; else an id
NET = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 9, 9] } } }'
INPUTS = "a.png 0\n"
CONTENT = {("tools.segment", "net"): NET, ("localization_cues.inspect_cues", "list"): INPUTS}
#: (command, dest) that this is no matter of, and why
LEFT_OUT = {
    ("tools.make_dataset", None): "--out must not exist",
    ("tools.make_demo_data", None): "reads nothing",
    ("tools.make_voc_sample", None): "reads no file that is named",
    ("localization_cues.saliency", None): "reads photos alone: see below",
    ("tools.inspect_net", "diff"): "not with --draw",
    ("tools.segment", "run"): "not with --net: see below",
    ("tools.segment", "photos"): "not with --net: see below",
    ("localization_cues.inspect_cues", "images"): "with --draw alone: see below",
    ("tools.index_masks", "masks"): "a folder that is searched: see below",
    ("tools.segment", "images"): "a folder that is listed: see below",
    ("localization_cues.drfi", "images"): "a folder that is searched: see below",
    ("tools.make_lists", "data"): "a folder that is looked into first",
    ("tools.make_lists", "masks"): "a folder, which may be missing",
    ("tools.make_coco", "train_photos"): "a folder", ("tools.make_coco", "val_photos"): "a folder",
}


@functools.cache
def parsers():
    """(command, *word of a subcommand) -> its parser."""
    found = {}
    for name in commands():
        if not name.startswith(("benchmarks.", "docker.", "training.")):
            parser = parser_of(command(name))
            found |= {(name, word): sub for word, sub in subparsers(parser).items()} or {(name,): parser}
    return found


def paths_of(parser):
    return [action for action in parser._actions if action.type is Path]


def cases():
    found = parsers()
    for key, (outputs, words) in CASES.items():
        for action in paths_of(found[key]):
            if action.dest in OUTPUTS or (key[0], action.dest) in LEFT_OUT:
                continue
            for output, names in outputs.items():
                yield from [(key, words, action.dest, output, given, written)
                            for given, several in names.items() for written in several]


def words_with(parser, words, dest, value):
    """The words with an argument put to the value, in its place or behind them."""
    action = next(action for action in parser._actions if action.dest == dest)
    if not action.option_strings:
        place = [a for a in parser._actions if not a.option_strings and a.nargs != argparse.PARSER].index(action)
        return [*words[:place], value, *words[place + 1:]]
    words = list(words)
    for option in set(action.option_strings) & set(words):
        place = words.index(option)
        del words[place:place + 2]
    return [*words, action.option_strings[-1], value]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to work in, with a photo, a list of it and a data root; what else is named below does not exist."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINE", "embedded")
    save_label_png("photos/a.png", np.eye(8, dtype=int))
    Path("ids").write_text("a\n")
    Path("inputs").write_text(INPUTS)
    Path("n").write_text(NET)
    for name in ("data/JPEGImages", "data/ImageSets/Segmentation", "run/results", "run/stamps"):
        Path(name).mkdir(parents=True)
    Path("data/classes.txt").write_text("background\ncow\n")
    return tmp_path


@pytest.mark.parametrize(("key", "words", "dest", "output", "given", "written"), list(cases()), ids=lambda value: (
    "-".join(value) if isinstance(value, tuple) else value if isinstance(value, str) else ""))
def test_a_command_refuses_to_write_over_what_it_reads(here, key, words, dest, output, given, written):
    parser = parsers()[key]
    content = CONTENT.get((key[0], dest), "a\n")
    Path("real").write_text(content)
    for disguise in ("itself", "link", "hard link"):
        Path(written).unlink(missing_ok=True)
        read = {"itself": written, "link": "linked", "hard link": "real"}[disguise]
        if disguise == "hard link":
            Path(written).hardlink_to("real")
        else:
            Path(written).write_text(content)
        if disguise == "link":
            Path("linked").symlink_to(written)
        argv = words_with(parser, [*words, *(WITH.get(dest, []))], dest, read)
        argv = words_with(parser, argv, output, given)
        with pytest.raises(UserError, match=rf"would write (\./)?{re.escape(written)}.* over what is read"):
            command(key[0]).main([*key[1:], *argv])
        assert Path(written).read_text() == content, disguise


def test_every_command_that_reads_files_and_writes_is_tried_here():
    found = parsers()
    missing = [key for key, parser in found.items() if OUTPUTS & {a.dest for a in paths_of(parser)}
               and key not in CASES and (key[0], None) not in LEFT_OUT]
    assert missing == []
    for key, (outputs, _) in CASES.items():
        assert set(outputs) == OUTPUTS & {action.dest for action in paths_of(found[key])}, key
    assert {(name, dest) for name, dest in LEFT_OUT if dest} <= {
        (key[0], action.dest) for key, parser in found.items() for action in paths_of(parser)}


def test_every_option_that_takes_a_path_is_known_to_be_read_or_written():
    """So that a new output is not taken for something that is read, in a command that had none."""
    dests = {action.dest for parser in parsers().values() for action in paths_of(parser)}
    assert dests == READ | OUTPUTS


def photo(path, value=1):
    save_label_png(path, np.full((12, 12), value))
    return path


@pytest.mark.parametrize("argv", [
    ("localization_cues.saliency", "--images", "links", "--out", "photos", "--workers", "1"),
    ("localization_cues.saliency", "--images", "x", "--out", ".", "--workers", "1"),
    ("localization_cues.drfi", "apply", "--model", "m", "--images", "links", "--out", "photos", "--workers", "1"),
    ("tools.index_masks", "--masks", "links", "--out", "photos"),
    ("localization_cues.inspect_cues", "k.npz", "--list", "inputs", "--images", "links", "--draw", "photos")])
def test_results_are_not_written_over_photos_that_are_links(here, argv):
    """The folder of the links is another one than that of the photos; and a folder may lie in one of its own name."""
    Path("links").mkdir()
    Path("links/a.png").symlink_to("../photos/a.png")
    for name in ("x/a.png", "x/x/a.png"):       # the map of x/x/a.png, whose id is x/a, is ./x/a.png
        photo(name)
    before = {path: path.read_bytes() for path in here.rglob("*.png")}
    with pytest.raises(UserError, match=r"^--(out|draw) would write .*a\.png.* over what is read"):
        command(argv[0]).main(list(argv[1:]))
    assert {path: path.read_bytes() for path in here.rglob("*.png")} == before


def test_maps_are_not_written_over_photos_that_are_links_nor_into_overlays_that_are_read(here):
    Path("links").mkdir()
    Path("links/a.png").symlink_to("../photos/a.png")
    net, weights = Path("n"), Path("w")
    weights.write_bytes(b"")
    segment = command("tools.segment")
    with pytest.raises(UserError, match="would write .*photos/a.png, which is .*, over what is read"):
        segment.main(["--net", str(net), "--weights", str(weights), "--list", "ids", "--images", "links", "--out",
                      "photos", "--no-crf", "--overwrite"])
    folder = PictureFolder("out", {}, {}, {"a": Path("out/overlays/a.jpg")}, ["background"])
    with pytest.raises(UserError, match="would write out/overlays/a.jpg over what is read"):
        refuse_written_over({"--out": folder.written(["a"])}, [Path("out/overlays/a.jpg")], hard_links=False)


def test_two_outputs_of_one_name(here):
    for argv in (("tools.compare", "run", "--out", "k", "--html", "./k.md"),
                 ("localization_cues.inspect_cues", "k.npz", "--out", "d/a.png", "--list", "inputs", "--images",
                  "photos", "--draw", "d"),
                 ("localization_cues.drfi", "evaluate", "--images", "photos", "--masks", "m", "--maps", "p", "--out",
                  "k", "--montage", "here/../k"),
                 ("training.train", "--solver", "s", "--log", "k", "--caffe-log", "k")):
        with pytest.raises(UserError, match=r"^--[a-z-]+ and --[a-z-]+ would both write .*; choose two names$"):
            command(argv[0]).main(list(argv[1:]))


def test_logs_of_a_training_are_not_written_over_what_it_reads(here):
    for option in ("--log", "--caffe-log"):
        for name in ("s", "v"):
            with pytest.raises(UserError, match=f"^{option} would write {name} over what is read"):
                command("training.train").main(["--solver", "s", "--weights", "w,v", option, name])


def test_weights_that_the_snapshots_would_replace_are_refused(tmp_path):
    """With --resume and no whole snapshot a training begins with them, and its own snapshot of 9 has their name."""
    run = RunFiles(SimpleNamespace(snapshot_prefix=f"{tmp_path}/models/s.1"), "", "")
    for name in ("s.1_iter_9.caffemodel", "s.1_iter_12.caffemodel.h5"):
        with pytest.raises(UserError, match=f"{name} would be written over by the snapshots of snapshot_prefix"):
            run.refuse_own_snapshots([f"{tmp_path}/init.caffemodel", f"{tmp_path}/models/../models/{name}"])
    run.refuse_own_snapshots([f"{tmp_path}/models/s.1_iter_9.solverstate", f"{tmp_path}/models/s_iter_9.caffemodel",
                              f"{tmp_path}/models/sx1_iter_9.caffemodel", f"{tmp_path}/other/s.1_iter_9.caffemodel"])


@pytest.mark.parametrize("name", ["models/s_iter_3.caffemodel", "deploy.prototxt", "results/s.json", "linked"])
def test_an_export_replaces_no_file_of_the_run(here, name):
    """Nor one that a run of another name has linked; an earlier export may be replaced."""
    for path in ("run/models/s_iter_3.caffemodel", "run/deploy.prototxt", "run/results/s.json", "run/old.onnx"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text("kept")
    Path("run/linked").symlink_to("../ids")
    Path("outside").symlink_to("run/deploy.prototxt")
    export = command("tools.export")
    for out in (f"run/{name}", f"data/../run/{name}", *(["outside"] if name == "deploy.prototxt" else [])):
        with pytest.raises(UserError, match="would write over a file of the run run"):
            export.main(["run", "--format", "safetensors", "--out", out])
    assert Path("run", name).read_text() == ("a\n" if name == "linked" else "kept")
    refuse_files_of("run", Path("run/old.onnx"), lambda path: path.suffix == ".onnx")
    refuse_files_of("run", Path("run/new.json"), lambda path: False)
    refuse_files_of("run", Path("ids"), lambda path: False)


@pytest.mark.parametrize(("option", "name", "written"), [
    ("--html", "run/train-s.prototxt", "run/train-s.prototxt"), ("--html", "run/report.html", "run/report.html"),
    ("--html", "other/results/s.json", "other/results/s.json"),
    ("--out", "run/results/report", "run/results/report.md"), ("--out", "run/sheet", "run/sheet.png")])
def test_a_comparison_replaces_no_file_of_the_runs_but_its_own(here, option, name, written):
    for path in ("train-s.prototxt", "report.html", "results/report.md", "sheet.png"):
        Path("run", path).write_text("kept")
    Path("other/results").mkdir(parents=True)
    Path("other/results/s.json").write_text("kept")
    compare = command("tools.compare")
    with pytest.raises(UserError, match=f"^{option} {written} would write over a file of the run"):
        compare.main(["run", "other", option, name])
    assert Path(written).read_text() == "kept"


def test_a_run_whose_cues_are_its_own_link_keeps_it(here):
    """CUES=work/demo/cues/localization_cues.npz after a run with CUES=elsewhere.npz."""
    Path("work/cues").mkdir(parents=True)
    Path("other").symlink_to("work")
    cues = here / "work/cues/c.npz"
    link(here / "ids", cues)
    for given in (cues, here / "other/cues/c.npz", here / "work/../work/cues/c.npz"):
        link(given, cues)
        assert cues.read_text() == "a\n"
    link(here / "inputs", cues)
    assert cues.read_text() == INPUTS
