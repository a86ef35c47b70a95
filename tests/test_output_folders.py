"""No command writes into a folder that it reads photos or masks from: each command, each such option, each disguise."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dsrg.io import output_folders
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.io.output_folders import refuse_inputs_as_output
from tests.parsers import command, commands, parser_of, subparsers
from tools import evaluate
from training.shared_flags import positive

#: command: (option that names where to write, a file name below it or "", options of folders that are read, the rest)
COMMANDS = {
    "localization_cues.saliency": [("--out", "", ["--images"], [])],
    "localization_cues.drfi": [
        ("--out", "model.npz", ["--images", "--masks"], ["train"]),
        ("--out", "", ["--images"], ["apply", "--model", "model.npz"]),
        ("--out", "scores.json", ["--images", "--masks", "--maps"], ["evaluate"]),
        ("--montage", "sheet.png", ["--images", "--masks", "--maps"], ["evaluate"]),
    ],
    "localization_cues.make_cues": [
        ("--out", "cues.npz", ["--images", "--saliency-maps"],
         ["--net", "n", "--weights", "w", "--list", "list.txt", "--labels", "labels.txt"])],
    "localization_cues.classifier_quality": [
        ("--out", "quality.json", ["--images"],
         ["--net", "n", "--weights", "w", "--list", "list.txt", "--labels", "labels.txt", "--classes", "classes.txt"])],
    "localization_cues.predict_labels": [
        ("--out", "labels.txt", ["--images"],
         ["--net", "n", "--weights", "w", "--list", "ids.txt", "--classes", "classes.txt"])],
    "localization_cues.evaluate_cues": [
        ("--out", "cues.json", ["--masks"], ["--cues", "c.npz", "--list", "list.txt", "--classes", "classes.txt"])],
    "localization_cues.inspect_cues": [
        ("--draw", "", ["--images"], ["c.npz", "--list", "list.txt"]),
        ("--out", "summary.json", ["--images"], ["c.npz", "--list", "list.txt", "--draw", "drawn"])],
    "tools.segment": [
        ("--out", "", ["--images"], ["--net", "n", "--weights", "w", "--list", "ids.txt"]),
        ("--scores", "", ["--images"], ["--net", "n", "--weights", "w", "--list", "ids.txt", "--out", "o"])],
    "tools.evaluate": [
        ("--out", "result.json", ["--gt", "--pred"], ["--list", "ids.txt", "--classes", "classes.txt"])],
    "tools.check_data": [("--out", "check", ["--masks"], ["data"])],
    "tools.index_masks": [("--out", "", ["--masks"], [])],
    "tools.make_dataset": [("--out", "new", ["--photos", "--masks"], ["--labels", "labels.txt"])],
    "tools.make_lists": [("--out", "", ["--masks"], ["--data", "data"])],
}
#: commands whose output has fixed names in a data root; tested below by links from there
BY_LINK = {"tools.make_coco", "tools.make_sbd"}
READ = {"--images", "--photos", "--masks", "--gt", "--pred", "--maps", "--saliency-maps", "--sbd"}
WRITTEN = {"--out", "--scores", "--draw", "--montage"}
CASES = [(module, option, name, read, rest, place) for module, entries in COMMANDS.items()
         for option, name, folders, rest in entries for read in folders for place in ("same", "link", "below")]


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A photo and a mask in each of three folders, links to them, an empty data root; chdir beside them."""
    monkeypatch.chdir(tmp_path)
    for k in range(3):
        folder = tmp_path / f"read{k}"
        save_label_png(folder / "a.png", np.eye(8, dtype=int))
        (tmp_path / f"link{k}").symlink_to(folder)
    (tmp_path / "data/JPEGImages").mkdir(parents=True)
    (tmp_path / "data/ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "labels.txt").write_text("a cow\n")
    return tmp_path


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("module", "option", "name", "read", "rest", "place"), CASES)
def test_a_command_refuses_to_write_where_it_reads(folders, module, option, name, read, rest, place):
    reads = next(names for o, n, names, r in COMMANDS[module] if (o, n, r) == (option, name, rest))
    argv, target = list(rest), None
    for k, other in enumerate(reads):
        argv += [other, f"read{k}"]
        if other == read:
            target = folders / {"same": f"read{k}", "link": f"link{k}", "below": f"read{k}/deeper"}[place]
    before = content(folders)
    with pytest.raises(UserError, match=f"^{option} .* would write into .*read., whose photos or masks are read"):
        importlib.import_module(module).main([*argv, option, str(target / name)])
    assert content(folders) == before and not (folders / "read0/deeper").exists()


def test_make_lists_writes_nothing_into_the_photos(folders):
    with pytest.raises(UserError, match="would write into .*JPEGImages"):
        importlib.import_module("tools.make_lists").main(["--data", "data", "--out", "data/JPEGImages"])


def test_make_sbd_does_not_write_into_the_masks_of_voc(folders):
    (folders / "data/SegmentationClassAug").symlink_to(folders / "read0")
    (folders / "data/SegmentationClass").symlink_to(folders / "read0")
    with pytest.raises(UserError, match="SegmentationClassAug .* would write into .*SegmentationClass"):
        importlib.import_module("tools.make_sbd").main(["--sbd", "sbd", "--data", "data"])


def test_make_coco_does_not_write_masks_into_the_photos(folders):
    (folders / "data/SegmentationClass").symlink_to(folders / "read0")
    argv = ["--train", "t.json", "--train-photos", "read0", "--val", "v.json", "--val-photos", "read1", "--out", "data"]
    with pytest.raises(UserError, match="would write into read0"):
        importlib.import_module("tools.make_coco").main(argv)


def test_every_command_that_reads_photos_or_masks_and_writes_is_tried_here():
    missing = []
    for name in commands():
        if name.split(".")[0] not in ("tools", "localization_cues"):
            continue
        parser = parser_of(command(name))
        paths = {word for part in (parser, *subparsers(parser).values()) for action in part._actions
                 for word in action.option_strings if action.type not in (int, positive) and not action.choices}
        if READ & paths and WRITTEN & paths and name not in {*COMMANDS, *BY_LINK}:
            missing.append(name)
    assert missing == []


def test_compare_and_check_data_do_not_write_into_photos_that_they_read(folders):
    """What they read follows from a run or a data root, which no option names."""
    (folders / "run/results").mkdir(parents=True)
    (folders / "run/stamps").mkdir()
    (folders / "run/data").symlink_to(folders / "data")
    (folders / "run/masks").symlink_to(folders / "read0")
    (folders / "inside").symlink_to(folders / "data/JPEGImages")
    save_label_png(folders / "data/JPEGImages/a.png", np.eye(8, dtype=int))
    before = content(folders)
    compare, check_data = (importlib.import_module(f"tools.{name}") for name in ("compare", "check_data"))
    for module, option, place in ((compare, "--html", "read0/a.png"), (compare, "--out", "inside/a"),
                                   (check_data, "--out", "inside"), (check_data, "--out", "read0/check"),
                                   (check_data, "--cache", "inside/a.png")):
        with pytest.raises(UserError, match=f"^{option} .* would write into run/.*, whose photos or masks are read"):
            module.main(["run", option, place])
    assert content(folders) == before


def test_a_hard_link_to_a_photo_is_replaced_and_the_photo_stays(folders):
    """Files are written beside and renamed, so that what was linked under the name is not written through."""
    (folders / "maps").mkdir()
    (folders / "maps/a.png").hardlink_to(folders / "read0/a.png")
    (folders / "maps2").mkdir()
    (folders / "maps2/a.png").symlink_to(folders / "read0/a.png")
    before = content(folders / "read0")
    for place in ("maps", "maps2"):
        argv = ["--images", "read0", "--out", place, "--workers", "1"]
        importlib.import_module("localization_cues.saliency").main(argv)
        assert (folders / place / "a.png").read_bytes() != before[folders / "read0/a.png"]
    assert content(folders / "read0") == before


def test_one_folder_under_two_names_of_a_disk_that_ignores_case(tmp_path, monkeypatch):
    """Such a disk says that both are one file; their resolved paths differ."""
    (tmp_path / "JPEGImages").mkdir()
    monkeypatch.setattr(output_folders.os.path, "samefile", lambda a, b: str(a).lower() == str(b).lower())
    with pytest.raises(UserError, match="would write into"):
        refuse_inputs_as_output(tmp_path / "jpegimages/maps", tmp_path / "JPEGImages")
    refuse_inputs_as_output(tmp_path / "maps", tmp_path / "JPEGImages")


def test_folders_beside_each_other_and_above_are_fine(tmp_path):
    (tmp_path / "data/JPEGImages").mkdir(parents=True)
    refuse_inputs_as_output(tmp_path / "data/maps", tmp_path / "data/JPEGImages")
    refuse_inputs_as_output(tmp_path / "data/JPEGImages2", tmp_path / "data/JPEGImages")
    refuse_inputs_as_output(tmp_path / "data/list.txt", tmp_path / "data/JPEGImages", None, tmp_path / "none")
    refuse_inputs_as_output(None, tmp_path)
    with pytest.raises(UserError, match="would write into"):        # the same folder by another name
        refuse_inputs_as_output(tmp_path / "data/maps/../JPEGImages/maps", tmp_path / "data/JPEGImages")


@pytest.mark.parametrize("module", ["localization_cues.saliency", "localization_cues.drfi"])
def test_photos_that_would_share_a_map_are_refused(tmp_path, module):
    (tmp_path / "photos/sub").mkdir(parents=True)
    for name in ("sub/a.jpg", "sub/a.PNG", "b.jpg"):
        Image.new("RGB", (9, 9)).save(tmp_path / "photos" / name)
    model = ["apply", "--model", "none.npz"] if module.endswith("drfi") else []
    argv = [*model, "--images", str(tmp_path / "photos"), "--out", str(tmp_path / "maps")]
    with pytest.raises(UserError, match=r"photos 'sub/a\.PNG' and 'sub/a\.jpg' have the same id 'sub/a'"):
        importlib.import_module(module).main(argv)
    assert not (tmp_path / "maps").exists()


def test_a_result_is_not_written_over_the_list_it_is_of(tmp_path, monkeypatch):
    """The table goes beside the JSON as .txt, as the lists are called; a folder has no name for either."""
    monkeypatch.chdir(tmp_path)
    Path("masks").mkdir()
    save_label_png("masks/a.png", np.zeros((3, 4), np.uint8))
    Path("ids.txt").write_text("a\n")
    Path("classes.txt").write_text("background\ncow\n")
    for out, message in (("ids.json", "would write ids.txt over what is read"), ("ids.txt", "over what is read"),
                         ("classes.x", "would write classes.txt over"), (".", "is a folder; give a file, such as")):
        with pytest.raises(UserError, match=message):
            evaluate.main(["--pred", "masks", "--gt", "masks", "--list", "ids.txt", "--classes", "classes.txt",
                           "--out", out])
    assert Path("ids.txt").read_text() == "a\n" and sorted(os.listdir()) == ["classes.txt", "ids.txt", "masks"]
