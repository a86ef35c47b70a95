"""A folder of photos and a labels file become a data root that make_lists takes; bad ones are refused in one line."""

import cv2
import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from tools import make_dataset, make_lists

LABELS = "a.jpg, cow\nsub/b b.png, sheep, big dog\nc,cow\nd.jpg;sheep;cow\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos a.jpg, 'sub/b b.png', c.jpg, d.jpg of several sizes, and their labels; chdir into the folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for k, name in enumerate(("a.jpg", "sub/b b.png", "c.jpg", "d.jpg")):
        cv2.imwrite(f"photos/{name}", np.full((10 + k, 20, 3), 50, np.uint8))
    (tmp_path / "labels.txt").write_text(LABELS)
    return tmp_path


def command(*extra, labels="labels.txt"):
    make_dataset.main(["--photos", "photos", "--labels", labels, "--out", "data", *extra])


def read(path):
    return path.read_text().splitlines()


def test_data_root_by_hand(folder, capsys):
    (folder / "val.txt").write_text("d\n")
    command("--val-list", "val.txt")
    data = folder / "data"
    assert read(data / "classes.txt") == ["background", "big dog", "cow", "sheep"]
    assert read(data / "image_labels.txt") == ["a 2", "c 2", "d 2 3", "sub_b_b 1 3"]
    assert read(data / "ImageSets/Segmentation/train.txt") == ["a", "c", "sub_b_b"]
    assert read(data / "ImageSets/Segmentation/val.txt") == ["d"]
    assert (data / "JPEGImages/sub_b_b.png").resolve() == (folder / "photos/sub/b b.png").resolve()
    shown = capsys.readouterr()
    assert "data: 3 train photos and 1 val photo, 4 classes with background (big dog, cow, sheep)" in shown.out
    assert "data holds links to photos where they lie now" in shown.out
    assert "1 photo with a space or a folder in the name is called otherwise" in shown.err
    assert "no photo is set apart" not in shown.err
    assert "'sub/b b' is 'sub_b_b'" in shown.err and "no val photo shows big dog (1 photo in all)" in shown.err
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_make_lists_takes_it(folder):
    command("--copy")
    make_lists.main(["--data", "data", "--out", "lists"])
    assert len(read(folder / "lists/train_id.txt")) == 3 and len(read(folder / "lists/val_id.txt")) == 1
    assert not (folder / "data/JPEGImages/a.jpg").is_symlink()


def test_every_class_keeps_a_photo_to_learn_from(folder):
    """'big dog' is on one photo alone, which never goes to val; half of four photos do."""
    for seed in range(8):
        make_dataset.main(["--photos", "photos", "--labels", "labels.txt", "--out", f"data{seed}", "--val", "0.5",
                           "--seed", str(seed)])
        val = read(folder / f"data{seed}/ImageSets/Segmentation/val.txt")
        assert "sub_b_b" not in val and 1 <= len(val) <= 2


def test_numbers_with_a_class_list_and_several_lines_a_photo(folder):
    (folder / "numbers.txt").write_text("a 2\na 1\nc 1\nd sheep 2\n")
    (folder / "names.txt").write_text("background\ncow\nsheep\n")
    command("--classes", "names.txt", "--skip-unlabelled", labels="numbers.txt")
    assert read(folder / "data/image_labels.txt") == ["a 1 2", "c 1", "d 2"]
    assert not (folder / "data/JPEGImages/sub_b_b.png").exists()


def test_masks_are_taken_along(folder):
    (folder / "masks/sub").mkdir(parents=True)
    for k, name in enumerate(("a", "sub/b b", "c", "d")):
        save_label_png(f"masks/{name}.png", np.full((10 + k, 20), k))
    command("--masks", "masks")
    assert sorted(p.name for p in (folder / "data/SegmentationClass").iterdir()) == ["a.png", "c.png", "d.png",
                                                                                    "sub_b_b.png"]


@pytest.mark.parametrize(("labels", "message"), [
    ("a cow\nc sheep\nd cow\n", "photo 'sub/b b.png' has no label in labels.txt; label it, or leave such photos out"),
    (LABELS + "e.jpg,cow\n", "labels.txt:5: 'e.jpg' is not a photo below the photo folder"),
    ("c cow\nd 2024\na.jpg 1\n", "labels.txt:2: photo 'd.jpg' has label 2024, and numbers name no class; give their "
                                  "names with --classes"),
    ("c,cow\na,2.0\n", "labels.txt:2: photo 'a.jpg' has label 2.0, and numbers name no class"),
    ("c,cow\na," + "x" * 201 + "\n", "labels.txt:2: photo 'a.jpg' has label 'x{200}', which is of 201 characters"),
    ("c,cow\na,c\1ow\n", r"labels.txt:2: photo 'a.jpg' has label 'c\\x01ow', which holds a control character"),
    ('c,cow\na,"big\ndog"\n', 'labels.txt:2: "big opens a quote that this line does not close'),
    ("image,cow,cow\na,1,0\nc,0,1\n", "two columns are called cow; keep one of them"),
    ("a.jpg\n", "gives no photo a label"),
    ("", "labels labels.txt is empty"),
])
def test_labels_that_do_not_fit(folder, labels, message):
    (folder / "labels.txt").write_text(labels)
    with pytest.raises(UserError, match=message):
        command()
    assert not (folder / "data").exists()


def test_a_label_that_is_not_in_classes_txt(folder):
    (folder / "names.txt").write_text("background\ncow\nshep\nbig dog\n")
    with pytest.raises(UserError, match=r"labels.txt:2: photo 'sub/b b.png' has label sheep; it is none of the 3 "
                                        r"object classes of classes.txt, did you mean 'shep'\?"):
        command("--classes", "names.txt")
    (folder / "labels.txt").write_text("a " + "9" * 5000 + "\nc shep\n")
    with pytest.raises(UserError, match=r"labels.txt:1: photo 'a.jpg' has label 9+; indices go from 1 to 3"):
        command("--classes", "names.txt", "--skip-unlabelled")


def test_photos_that_do_not_serve(folder):
    (folder / "photos/c.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match="photo photos/c.jpg is not a readable picture"):
        command()
    (folder / "photos/c.png").write_bytes(b"")
    with pytest.raises(UserError, match="^labels.txt:3: 'c' are several photos"):     # told once: not as unlabelled too
        command()
    cv2.imwrite("photos/sub_b b.png", np.zeros((4, 4, 3), np.uint8))
    (folder / "photos/c.png").unlink()
    (folder / "labels.txt").write_text(LABELS + "sub_b b,cow\n")
    with pytest.raises(UserError, match="would both be called 'sub_b_b'; rename one"):
        command()


def test_a_mask_that_is_a_broken_link_is_told(folder):
    """Else its photo would have none without a word."""
    (folder / "masks").mkdir()
    save_label_png("masks/a.png", np.full((10, 20), 2))
    (folder / "masks/c.png").symlink_to("moved.png")
    with pytest.raises(UserError, match="masks/c.png"):
        command("--masks", "masks")


@pytest.mark.parametrize(("change", "message"), [
    ({}, "the 3 masks hold background alone"),
    ({"c": np.zeros((12, 19), int)}, r"mask masks/c.png is 12x19, its photo 12x20 \(height x width\)"),
    ({"c": np.full((12, 20), 4)}, "mask masks/c.png has class 4, expected 0 to 3 or 255"),
])
def test_masks_that_do_not_fit(folder, change, message):
    (folder / "masks/sub").mkdir(parents=True)
    masks = {"a": np.zeros((10, 20), int), "sub/b b": np.zeros((11, 20), int), "d": np.zeros((13, 20), int), **change}
    for name, mask in masks.items():
        save_label_png(f"masks/{name}.png", mask)
    with pytest.raises(UserError, match=message):
        command("--masks", "masks")
    assert not (folder / "data").exists()


def test_what_is_there_stays(folder):
    (folder / "data").mkdir()
    with pytest.raises(UserError, match="data exists; choose another --out"):
        command()


def test_nothing_left_to_evaluate_or_to_learn_from(folder):
    with pytest.raises(UserError, match="4 photos with --val 0.1 leave none to set apart"):
        command("--val", "0.1")
    (folder / "val.txt").write_text("a\nc\nd\n")
    (folder / "labels.txt").write_text("a,cow\nc,cow\nd,cow\n")
    with pytest.raises(UserError, match="val.txt names every photo"):
        command("--val-list", "val.txt", "--skip-unlabelled")
