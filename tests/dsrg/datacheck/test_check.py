"""Every kind of fault, made once in a data root in which nothing else is wrong, is found with its count and remedy."""

import json
import os
import shutil
import time
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from dsrg.cuefile.format import save_cues
from dsrg.datacheck.check import check, places_of_data_root, places_of_run
from dsrg.datacheck.kinds import FAULT, KINDS, WARNING
from dsrg.datacheck.picture_facts import PictureFacts
from dsrg.datasets.left_out import read_left_out
from dsrg.io import regular_files
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from tests.conftest import ROOT
from tests.dsrg.datacheck.made_root import SHAPE, TRAIN, VAL, cues_of, make_root, write_mask
from tools import check_data

SETS = "ImageSets/Segmentation"


@pytest.fixture
def root(tmp_path):
    make_root(tmp_path / "data")
    return tmp_path / "data"


def found_in(root, skip_bad=False, **more):
    places = places_of_data_root(root)
    for name, value in more.items():
        object.__setattr__(places, name, value)
    return check("data", places, skip_bad=skip_bad)


def counts(result):
    return {record["kind"]: record["count"] for record in result.found.records()}


# ---- spoiling it -------------------------------------------------------------------------------------------------


def edit(name, old, new, times=1):
    def spoil(root):
        path = root / name
        text = path.read_text()
        assert text.count(old) >= times
        path.write_bytes(text.replace(old, new, times).encode())
    return spoil


def cut(root):
    path = root / "JPEGImages/p03.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:2000])
    write_mask(root, "p03", 2, (90, 90))


def photo(name, content=None, **how):
    def spoil(root):
        path = root / "JPEGImages" / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.new("RGB", content[::-1]).save(path, **how)
    return spoil


def turned(root):
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("RGB", SHAPE[::-1]).save(root / "JPEGImages/p04.jpg", exif=exif)


def mask(image_id, value=1, shape=SHAPE):
    return lambda root: write_mask(root, image_id, value, shape)


def colours(root):
    for image_id, mode in (("p05", "RGB"), ("p06", "RGBA"), ("p07", "I;16")):
        Image.new(mode, SHAPE[::-1]).save(root / f"SegmentationClass/{image_id}.png")


def all_masks(change):
    def spoil(root):
        for n, image_id in enumerate(TRAIN + VAL):
            write_mask(root, image_id, change(n % 2 + 1))
    return spoil


def large(root):
    """A PNG whose header promises 11,000x11,000 pixels."""
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[16:24] = (11000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (root / "JPEGImages/p08.jpg").write_bytes(bytes(data))


def without_class(root):
    (root / "classes.txt").write_text("background\ncow\nsheep\ngoat\n")


def seldom(root):
    """Two of the 21 sheep are cows."""
    text = (root / "image_labels.txt").read_text()
    for image_id in ("p01", "p03"):
        text = text.replace(f"{image_id} 2", f"{image_id} 1")
        write_mask(root, image_id, 1)
    (root / "image_labels.txt").write_text(text)


def never_alone(root):
    (root / "image_labels.txt").write_text((root / "image_labels.txt").read_text().replace(" 2\n", " 1 2\n"))
    for n, image_id in enumerate(TRAIN + VAL):
        values = np.zeros(SHAPE, np.uint8)
        values[:4], values[8:12] = 1, n % 2 + 1
        save_label_png(root / f"SegmentationClass/{image_id}.png", values)


SPOILT = {
    "file-unusable": (edit("classes.txt", "background", "grass"), 1, "the first class must be 'background'"),
    "line-no-id": (edit(f"{SETS}/train.txt", "p02\n", "p02 p02\n../p02\n"), 2, "train.txt:3: 'p02 p02'"),
    "id-twice": (edit(f"{SETS}/train.txt", "p02\n", "p02\np02\np02\n"), 2, "train.txt:4: 'p02', also on line 3"),
    "id-train-and-val": (edit(f"{SETS}/val.txt", "v0\n", "v0\np01\np02\n"), 2, "'p01'"),
    "id-case": (lambda root: [edit(f"{SETS}/val.txt", "v3", "P03")(root), *(
        os.rename(root / f"{folder}/v3.{suffix}", root / f"{folder}/P03.{suffix}")
        for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")))], 1, "'P03' and 'p03'"),
    "list-byte-order-mark": (edit(f"{SETS}/train.txt", "p00", "\ufeffp00"), 1, "train.txt"),
    "list-crlf": (edit("image_labels.txt", "\n", "\r\n", 46), 1, "image_labels.txt"),
    "list-blank-lines": (edit(f"{SETS}/train.txt", "p02\n", "p02\n\n \n"), 1, "train.txt: line 4, 5"),
    "photo-missing": (lambda root: [os.remove(root / f"JPEGImages/{i}.jpg") for i in ("p00", "v1")], 2,
                      "JPEGImages/p00"),
    "photo-same-id": (photo("p02.png", SHAPE), 1, "'p02': p02.jpg, p02.png"),
    "photo-empty": (photo("p02.jpg", b""), 1, "p02.jpg"),
    "photo-damaged": (photo("p02.jpg", b"this is text"), 1, "p02.jpg is not a readable picture"),
    "photo-cut-off": (cut, 1, "p03.jpg"),
    "photo-too-large": (large, 1, "expected at most 100 megapixels; shrink it"),
    "photo-copied": (lambda root: shutil.copy(root / "JPEGImages/p06.jpg", root / "JPEGImages/v1.jpg"), 1,
                     "'v1' and 'p06'"),
    "photo-tiny": (lambda root: [photo("p02.jpg", (1, 1))(root), mask("p02", 1, (1, 1))(root),
                                 save_label_png(root / "SegmentationClass/p02.png", np.ones((1, 1), int))], 1,
                   "p02.jpg is 1x1"),
    "label-none": (edit("image_labels.txt", "p02 1\n", ""), 1, "'p02' in"),
    "label-row-empty": (edit("image_labels.txt", "p02 1\n", "p02\n"), 1, "'p02' in"),
    "label-row-empty-elsewhere": (edit("image_labels.txt", "p02 1\n", "p02 1\nx9\n"), 1, "'x9' in"),
    "label-twice": (edit("image_labels.txt", "p02 1\n", "p02 1\np02 1\n"), 1, "image_labels.txt:4: 'p02', also on"),
    "label-unknown": (edit("image_labels.txt", "p02 1\n", "p02 1 7 cows\n"), 2, "'p02' has label 7: indices go"),
    "mask-size": (mask("p02", 1, (32, 47)), 1, "p02.png is 47x32, its photo 48x32"),
    "mask-not-turned": (turned, 1, "p04.png is 48x32, its photo 32x48 by EXIF orientation 6"),
    "mask-beyond-classes": (mask("p02", 3), 1, "p02.png holds 3; expected 0 to 2 or 255"),
    "mask-of-colours": (colours, 3, "p05.png is colour-coded (RGB)"),
    "mask-damaged": (lambda root: [(root / f"SegmentationClass/{i}.png").write_bytes(data) for i, data in
                                   (("p02", b""), ("p03", b"text"))], 2, "p02.png"),
    "mask-0-and-255": (all_masks(lambda c: 255), 46, "p00.png"),
    "mask-order": (all_masks(lambda c: 3 - c), 2, "cow (class 1) is in 23 masks, of which 23 photos are not labelled"),
    "mask-some-0-and-255": (mask("p02", 255), 1, "p02.png"),
    "mask-lacks-label": (edit("image_labels.txt", "p02 1\n", "p02 1 2\n"), 1, "p02.png: sheep"),
    "mask-unlabelled": (lambda root: [mask("p02", 2)(root), edit("image_labels.txt", "p02 1\n", "p02 1\n")(root)], 1,
                        "p02.png: sheep"),
    "mask-missing": (lambda root: os.remove(root / "SegmentationClass/v1.png"), 1, "val: 1 of 4 photos, 'v1' first"),
    "class-no-photo": (without_class, 1, "goat (class 3)"),
    "class-few-photos": (seldom, 1, "sheep (class 2): 19 photos"),
    "class-never-alone": (never_alone, 1, "sheep (class 2): cow is on 21 of its 21 photos"),
}
#: what comes with a kind by its nature
BESIDE = {
    "mask-order": {"mask-lacks-label": 46, "mask-unlabelled": 46},
    "mask-unlabelled": {"mask-lacks-label": 1},
    "mask-beyond-classes": {"mask-lacks-label": 1},
}


@pytest.mark.parametrize("kind", SPOILT)
def test_each_kind_is_found_with_its_count_and_remedy(root, kind):
    spoil, count, text = SPOILT[kind]
    spoil(root)
    result = found_in(root)
    assert counts(result) == {kind: count, **BESIDE.get(kind, {})}
    record = next(one for one in result.found.records() if one["kind"] == kind)
    assert any(text in line for line in record["examples"]), record["examples"]
    assert record["remedy"] == KINDS[kind].remedy and record["says"].split()[0] == str(count)
    assert result.stops == any(KINDS[k].severity == FAULT for k in counts(result))
    shown = "\n".join(result.text())
    assert f"{KINDS[kind].severity}: {record['says']}" in shown and f"-> {KINDS[kind].remedy}" in shown


def test_nothing_is_found_where_nothing_is_wrong(root):
    result = found_in(root)
    assert counts(result) == {} and not result.stops
    assert result.text() == ["data: 42 train photos and 4 val photos, 3 classes with background, 46 masks",
                             "nothing is wrong with it"]


def test_lists_of_a_stranger_are_told_without_harm(root):
    """Escape sequences, names longer than any file's, bytes that are no text, lines without end."""
    edit(f"{SETS}/train.txt", "p02\n", "p02\na\x1b[31m\n" + "n" * 300 + "\n" + "l " * 5000 + "\n")(root)
    (root / f"{SETS}/val.txt").write_bytes(b"v0\n\xff\xfe\n")
    result = found_in(root)
    assert counts(result) == {"file-unusable": 1, "line-no-id": 3}
    text = "\n".join(result.text())
    assert "'a\\x1b[31m' holds a control character" in text and "\x1b" not in text
    assert "val.txt cannot be read as UTF-8 text" in text and max(map(len, result.text())) < 2100


def test_photos_that_permissions_forbid(root, monkeypatch):
    """Told apart from damage; whoever runs the tests may be allowed to read everything."""
    opened = os.open

    def forbidden(path, *rest):
        if str(path).endswith(("p02.jpg", "p05.png")):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, *rest)

    monkeypatch.setattr(regular_files.os, "open", forbidden)
    (root / "JPEGImages/p03.jpg").unlink()
    os.mkfifo(root / "JPEGImages/p03.jpg")
    result = found_in(root)
    assert counts(result) == {"photo-unreadable": 2, "mask-unreadable": 1}
    assert "Permission denied" in "\n".join(result.text()) and "is a FIFO" in "\n".join(result.text())


def test_a_photo_turned_by_exif_with_an_upright_mask_is_fine(root):
    turned(root)
    write_mask(root, "p04", 1, SHAPE[::-1])
    assert counts(found_in(root)) == {}


def test_labels_of_vocs_annotations(root):
    """No file, one that is no XML, a class that classes.txt lacks, no object; difficult objects count."""
    (root / "image_labels.txt").unlink()
    (root / "Annotations").mkdir()
    for n, image_id in enumerate(TRAIN):
        name = ("cow", "sheep")[n % 2]
        (root / f"Annotations/{image_id}.xml").write_text(
            f"<annotation><object><name>{name}</name><difficult>1</difficult></object></annotation>")
    assert counts(found_in(root)) == {}
    (root / "Annotations/p00.xml").unlink()
    (root / "Annotations/p02.xml").write_text("<annotation>")
    (root / "Annotations/p03.xml").write_text("<annotation><object><name>yak</name></object></annotation>")
    (root / "Annotations/p05.xml").write_text("<annotation></annotation>")
    result = found_in(root)
    assert counts(result) == {"label-none": 1, "label-unknown": 2, "label-row-empty": 1, "class-few-photos": 2}
    assert set(found_in(root, skip_bad=True).left_out) == {"p00", "p02", "p03", "p05"}


# ---- cues and pseudo-labels --------------------------------------------------------------------------------------


def spoilt_cues(change):
    cues = cues_of()
    change(cues)
    return cues


def out_of_range(cues):
    cues[2] = (np.array([1]), np.array([[1], [5], [0]]))
    cues[4] = (np.array([1]), np.array([[3, 1], [0, 0], [0, 7]]))


CUES = {
    "cue-out-of-range": (out_of_range, 3, "image 4 ('p04') has class 3, expected 0 to 2"),
    "cue-no-photo": (lambda cues: cues.update({77: cues[0]}), 1, "image 77 of"),
    "photo-no-cue": (lambda cues: [cues.pop(3), cues.update({5: (np.array([2]), np.zeros((3, 0), int))})], 2,
                     "'p03' has number 3, which"),
    "cue-other-labels": (lambda cues: cues.update({2: (np.array([1, 2]), cues[2][1])}), 1,
                         "image 2: [1, 2] there, [1]"),
    "class-no-cue": (lambda cues: cues.update({n: (labels, cells[:, :1] if n % 2 else cells)
                                               for n, (labels, cells) in cues.items()}), 1, "sheep (class 2)"),
}


@pytest.mark.parametrize("suffix", ["npz", "pickle"])
def test_good_cues(root, suffix):
    save_cues(root.parent / f"cues.{suffix}", cues_of())
    result = found_in(root, cues=root.parent / f"cues.{suffix}", cue_size=(5, 7))
    assert counts(result) == {} and result.cues == 42


@pytest.mark.parametrize("kind", CUES)
def test_each_kind_of_wrong_cues_is_found(root, kind):
    change, count, text = CUES[kind]
    save_cues(root.parent / "cues.npz", spoilt_cues(change))
    result = found_in(root, cues=root.parent / "cues.npz", cue_size=(5, 7))
    assert counts(result) == {kind: count}
    assert any(text in line for line in result.found.records()[0]["examples"]), result.text()


def test_cues_go_by_the_numbers_of_their_own_list(root):
    save_cues(root.parent / "cues.npz", {n + 1000: pair for n, pair in cues_of().items()})
    (root.parent / "numbers.txt").write_text("".join(f"{i}.jpg {n + 1000}\n" for n, i in enumerate(TRAIN)))
    given = {"cues": root.parent / "cues.npz", "cue_size": (5, 7)}
    assert counts(found_in(root, numbers=root.parent / "numbers.txt", **given)) == {}
    assert counts(found_in(root, **given)) == {"photo-no-cue": 42, "cue-no-photo": 42}


def test_a_cue_file_of_something_else_is_one_fault_beside_others(root):
    (root.parent / "cues.pickle").write_bytes(b"no pickle")
    photo("p02.jpg", b"")(root)
    assert counts(found_in(root, cues=root.parent / "cues.pickle")) == {"file-unusable": 1, "photo-empty": 1}


def test_pseudo_labels_of_a_run(root):
    """By the lists of the run, in which one photo was left out."""
    run = root.parent / "run"
    (run / "lists").mkdir(parents=True)
    for name, ids in (("train", TRAIN[1:]), ("val", VAL)):
        (run / f"lists/{name}_id.txt").write_text("".join(f"{i}\n" for i in ids))
    for name in ("image_labels.txt", "classes.txt"):
        (run / "lists" / name).write_text((root / name).read_text().replace("p00 1\n", ""))
    (run / "lists/input_list.txt").write_text("".join(f"{i}.jpg {n}\n" for n, i in enumerate(TRAIN) if n))
    (run / "data").symlink_to(root)
    (run / "masks").symlink_to("data/SegmentationClass")
    (root / "JPEGImages/p00.jpg").unlink()
    (run / "labels").mkdir()
    for image_id in TRAIN[1:]:
        os.link(root / f"SegmentationClass/{image_id}.png", run / f"labels/{image_id}.png")
    result = check("run", places_of_run(run))
    assert counts(result) == {} and result.pseudo_labels == 41
    for name in ("p01", "p02", "p03", "p04"):
        (run / f"labels/{name}.png").unlink()
    save_label_png(run / "labels/p02.png", np.zeros((32, 47), int))
    save_label_png(run / "labels/p03.png", np.full(SHAPE, 9))
    save_label_png(run / "labels/p04.png", np.full(SHAPE, 2))
    assert counts(check("run", places_of_run(run))) == {
        "pseudo-label-missing": 1, "pseudo-label-bad": 2, "pseudo-label-unlabelled": 1}


# ---- leaving photos out, the command, its JSON -------------------------------------------------------------------


def test_photos_with_faults_are_left_out_and_what_that_does_not_mend_stops(root):
    for name in ("p01", "v1"):
        photo(f"{name}.jpg", b"")(root)
    edit("image_labels.txt", "p02 1\n", "p02\n")(root)
    result = found_in(root, skip_bad=True)
    assert result.left_out == {"p01": ["photo-empty"], "p02": ["label-row-empty"], "v1": ["photo-empty"]}
    assert not result.stops and found_in(root).stops and found_in(root).left_out == {}
    edit(f"{SETS}/train.txt", "p05\n", "p05 x\n")(root)
    assert found_in(root, skip_bad=True).stops
    for name in VAL:
        photo(f"{name}.jpg", b"")(root)
    assert counts(found_in(root, skip_bad=True))["nothing-left"] == 1


def test_the_command_and_its_json(root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["data", "--cache", "pictures.json"]
    assert check_data.main(words) == 0 and capsys.readouterr().out.endswith("nothing is wrong with it\n")
    photo("p01.jpg", b"")(root)
    assert check_data.main([*words, "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert {name: type(value).__name__ for name, value in record.items()} == {
        "format": "int", "target": "str", "ok": "bool", "faults": "int", "warnings": "int", "photos": "dict",
        "masks": "int", "cues": "NoneType", "pseudo_labels": "NoneType", "pictures_read": "int", "classes": "list",
        "findings": "list", "left_out": "dict"}
    assert record["classes"][1] == {"index": 1, "name": "cow", "train": 21, "val": 2, "masks": 23}
    (finding,) = record["findings"]
    assert finding == {"kind": "photo-empty", "severity": FAULT, "count": 1, "says": "1 photo has 0 bytes",
                       "remedy": KINDS["photo-empty"].remedy, "examples": ["data/JPEGImages/p01.jpg"],
                       "photos": ["p01"]}
    assert check_data.main([*words, "--skip-bad", "--out", "check"]) == 0
    assert "left out of the run: 1 photo (--skip-bad)" in capsys.readouterr().out
    assert read_left_out("check/left_out.txt") == {"p01": ["photo-empty"]}
    assert json.loads((tmp_path / "check/data.json").read_text())["left_out"] == {"p01": ["photo-empty"]}
    assert check_data.main([*words, "--out", "check"]) == 1 and not (tmp_path / "check/left_out.txt").exists()
    with pytest.raises(UserError, match="would write into data/JPEGImages"):
        check_data.main([*words, "--out", "data/JPEGImages/check"])
    with pytest.raises(UserError, match="nowhere: no such data root or run"):
        check_data.main(["nowhere"])


def test_good_pictures_are_read_once(root, tmp_path):
    for path in root.rglob("*.*"):
        os.utime(path, (1, 1))
    cache = tmp_path / "cache.json"

    def read(clock):
        pictures = PictureFacts(cache)
        result = check("data", places_of_data_root(root), pictures)
        return result, pictures.read

    # the inode changed a moment ago, and may change again within the clock's tick: not kept yet
    assert read(0)[1] == 92 and not cache.exists()
    moved = time.time_ns() + 10 * 10**9
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dsrg.datacheck.picture_facts.time.time_ns", lambda: moved)
        assert read(0)[1] == 92
    assert read(0)[1] == 0
    photo("p02.jpg", b"")(root)
    mask("p03", 7)(root)
    result, count = read(0)
    assert count == 2 and counts(result) == {"photo-empty": 1, "mask-beyond-classes": 1, "mask-lacks-label": 1}
    cache.write_text("{")
    assert read(0)[1] == 92, "a cache that is none counts as empty"


def test_every_kind_has_a_test():
    tried = {*SPOILT, *CUES, "photo-unreadable", "mask-unreadable", "nothing-left", "pseudo-label-missing",
             "pseudo-label-bad", "pseudo-label-unlabelled"}
    assert tried == set(KINDS)
    assert {kind.severity for kind in KINDS.values()} == {FAULT, WARNING}


def test_the_document_lists_every_kind_and_field(root):
    text = (ROOT / "docs/reliability.md").read_text()
    for name, kind in KINDS.items():
        severity = kind.severity + (", can be left out" if kind.of_photos else "")
        assert f"| `{name}` | {severity} | {kind.many} | {kind.remedy} |" in text
    record = found_in(root).record()
    fields = {*record, *record["classes"][0], "kind", "severity", "count", "says", "remedy", "examples"}
    assert {name for name in fields if f"`{name}`" not in text.split("`--json` prints")[1]} == set()
