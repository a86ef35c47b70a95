"""The demo data: VOC layout, the same bytes for the same seed, and as hard as it claims to be."""

import hashlib
import resource

import numpy as np
import pytest
from PIL import Image

from dsrg.datasets import demo_data
from dsrg.datasets.demo_scenes import CLASSES, VOID, draw_scene
from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids
from dsrg.io.photos import load_image_bgr
from dsrg.scoring.metrics import confusion_matrix
from tools import make_demo_data, make_lists

ARGS = ["--train", "24", "--val", "8", "--seed", "3"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo") / "data"
    make_demo_data.main(["--out", str(root), *ARGS])
    return root


@pytest.fixture(scope="module")
def scenes():
    """40 scenes: (image, labels, heads)."""
    return [draw_scene(np.random.default_rng([5, k]), 128, 160) for k in range(40)]


def digests(root):
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}


def test_any_number_of_processes_makes_the_same_bytes(tmp_path):
    made = []
    for workers in ("1", "3"):
        out = tmp_path / workers
        make_demo_data.main(["--out", str(out), "--train", "3", "--val", "2", "--seed", "3", "--workers", workers])
        made.append(digests(out))
    assert made[0] == made[1] and sum(name.endswith(".jpg") for name in made[0]) == 5


def test_layout_as_voc(root):
    sets = root / "ImageSets" / "Segmentation"
    train, val = read_ids(sets / "train.txt"), read_ids(sets / "val.txt")
    assert (len(train), len(val)) == (24, 8) and not set(train) & set(val)
    assert {path.stem for path in (root / "JPEGImages").glob("*.jpg")} == {*train, *val}
    assert {path.stem for path in (root / "SegmentationClass").glob("*.png")} == {*train, *val}
    assert (root / "classes.txt").read_text().split() == list(CLASSES)


def test_masks_are_index_pngs_that_agree_with_photos_and_labels(root):
    for image_id, labels in read_image_labels(root / "image_labels.txt", len(CLASSES)).items():
        path = root / "SegmentationClass" / f"{image_id}.png"
        with Image.open(path) as image:
            assert image.mode == "P"
        mask = load_label_png(path)
        assert mask.shape == load_image_bgr(root / "JPEGImages" / f"{image_id}.jpg").shape[:2]
        assert set(np.unique(mask).tolist()) == {0, *labels, VOID}


def test_lists_are_made_from_it(root, tmp_path):
    make_lists.main(["--data", str(root), "--out", str(tmp_path)])
    assert len(read_ids(tmp_path / "train_id.txt")) == 24
    assert len((tmp_path / "input_list.txt").read_text().splitlines()) == 24


def test_the_same_seed_makes_the_same_bytes_and_replaces_its_own_folder(root, tmp_path):
    out = tmp_path / "again"
    make_demo_data.main(["--out", str(out), "--train", "2", "--val", "1", "--seed", "4"])
    other = digests(out)
    make_demo_data.main(["--out", str(out), *ARGS])
    assert digests(out) == digests(root)
    assert other["JPEGImages/train_0000.jpg"] != digests(root)["JPEGImages/train_0000.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_photo_does_not_depend_on_how_many_there_are(root, tmp_path):
    make_demo_data.main(["--out", str(tmp_path / "few"), "--train", "2", "--val", "1", "--seed", "3"])
    few, many = digests(tmp_path / "few"), digests(root)
    assert {k: v for k, v in few.items() if k.endswith((".jpg", ".png"))}.items() <= many.items()


def test_a_folder_of_someone_else_is_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not made by this command"):
        make_demo_data.main(["--out", str(tmp_path), *ARGS])
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_an_interrupted_run_leaves_no_half_data_set(tmp_path, monkeypatch):
    def full_disk(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo_data, "write_picture", full_disk)
    with pytest.raises(UserError, match="No space left"):
        make_demo_data.main(["--out", str(tmp_path / "data"), *ARGS, "--workers", "1"])
    assert not (tmp_path / "data").exists()


def test_a_process_that_cannot_write_ends_the_command(tmp_path):
    """No file may be longer than 3000 bytes, which every photo is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        with pytest.raises(UserError, match=r"cannot write .*train_0000"):
            make_demo_data.main(["--out", str(tmp_path / "data"), *ARGS, "--workers", "2"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("flags", [["--train", "0"], ["--val", "0"], ["--seed", "-1"], ["--workers", "0"]])
def test_numbers_that_are_too_small_are_refused(flags, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        make_demo_data.main(["--out", str(tmp_path / "data"), *flags])
    assert stop.value.code == 2
    least = 0 if flags[0] == "--seed" else 1
    assert f"argument {flags[0]}: expected a whole number, {least} or more, got '{flags[1]}'" in capsys.readouterr().err


def test_heads_are_a_part_of_the_creatures(scenes):
    inside = [(heads & (labels > 0)).sum() / heads.sum() for _, labels, heads in scenes]
    share = [heads.sum() / (labels > 0).sum() for _, labels, heads in scenes]
    assert min(inside) > 0.99
    assert 0.2 < np.mean(share) < 0.4


def test_every_class_occurs_and_classes_touch(scenes):
    present = [set(np.unique(labels).tolist()) - {0, VOID} for _, labels, _ in scenes]
    assert set.union(*present) == set(range(1, len(CLASSES)))
    assert np.mean([len(classes) > 1 for classes in present]) > 0.3
    grown = [[np.pad(labels == c, 2)[2 + dy:labels.shape[0] + 2 + dy, 2 + dx:labels.shape[1] + 2 + dx]
              for c in classes for dy in (-2, 0, 2) for dx in (-2, 0, 2)]
             for (_, labels, _), classes in zip(scenes, present, strict=True)]
    touching = sum(np.stack(masks).reshape(len(classes), 9, -1).any(axis=1).sum(axis=0).max() > 1
                   for masks, classes in zip(grown, present, strict=True))
    assert touching >= 5


def test_colour_alone_does_not_tell_the_classes(scenes):
    """The most likely class of each of 4096 colours, learnt from masks of 30 photos, fails on the other 10."""
    def colours(image_bgr):
        return (image_bgr // 16).astype(int) @ [256, 16, 1]

    votes = np.zeros((4096, len(CLASSES)))
    for image_bgr, labels, _ in scenes[:30]:
        known = labels != VOID
        np.add.at(votes, (colours(image_bgr)[known], labels[known]), 1)
    for weights in (1, 1 / votes.sum(axis=0)):      # pixels alike (mostly background), classes alike
        guess = (votes * weights).argmax(axis=1).astype(np.uint8)
        confusion = sum(confusion_matrix(labels, guess[colours(image_bgr)], len(CLASSES))
                        for image_bgr, labels, _ in scenes[30:])[:, :-1]
        hits = np.diag(confusion)
        assert np.mean(hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)) < 0.25
