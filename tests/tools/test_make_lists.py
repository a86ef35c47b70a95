"""Lists from a data root in VOC layout, with labels from either source; bad data roots refused."""

import shutil

import pytest

from dsrg.io import voc
from dsrg.io.errors import UserError
from tools import make_lists

XML = "<annotation><filename>{id}.jpg</filename>{objects}</annotation>"
OBJECT = "<object><name>{}</name><difficult>1</difficult><part><name>head</name></part></object>"


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data root `data` with photos a, b (train) and c (val), labels in image_labels.txt; cwd is beside it.

    The photos are empty files: making lists opens none of them.
    """
    root = tmp_path / "data"
    (root / "JPEGImages").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for name in ("a.jpg", "b.png", "c.jpg"):
        (root / "JPEGImages" / name).touch()
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("b\na\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("c\n")
    (root / "image_labels.txt").write_text("a 2 1\nc 1\nb 1 1\nelsewhere 2\n")
    (root / "classes.txt").write_text("background\ncow\nsheep\n")
    monkeypatch.chdir(tmp_path)
    return root


def annotate(data, **objects):
    (data / "Annotations").mkdir(exist_ok=True)
    for image_id, names in objects.items():
        text = XML.format(id=image_id, objects="".join(map(OBJECT.format, names)))
        (data / "Annotations" / f"{image_id}.xml").write_text(text)


def test_writes_every_list_in_the_order_of_the_train_set(data, tmp_path, capsys):
    make_lists.main([])
    lists = {path.name: path.read_text() for path in (tmp_path / "lists").iterdir()}
    assert lists == {
        "input_list.txt": "b.png 0\na.jpg 1\n",
        "train_id.txt": "b\na\n",
        "val_id.txt": "c\n",
        "train_f.txt": "/data/JPEGImages/b.png /labels/b.png\n/data/JPEGImages/a.jpg /labels/a.png\n",
        "image_labels.txt": "b 1\na 1 2\nc 1\n",
        "cam_train.txt": "b.png 0\na.jpg 1\n",
        "cam_quality.txt": "",
        "classes.txt": "background\ncow\nsheep\n",
    }
    assert "2 train images (train.txt), 1 val image (val.txt), 3 classes, labels from image_labels.txt" \
        in capsys.readouterr().out


def test_photos_left_out_are_in_no_list_and_the_others_keep_their_numbers(data, tmp_path, capsys):
    """Whatever is wrong with them: listed twice, without a photo, labelled twice or with what is no class."""
    (data / "ImageSets/Segmentation/train.txt").write_text("x\nb\nx\na\n")
    (data / "ImageSets/Segmentation/val.txt").write_text("c\ny\n")
    (data / "image_labels.txt").write_text("a 2 1\nx 1\nx 2\ny horse\nc 1\nb 1 1\n")
    (tmp_path / "bad.txt").write_text("x id-twice label-twice\ny label-unknown\n")
    make_lists.main(["--leave-out", "bad.txt"])
    lists = {path.name: path.read_text() for path in (tmp_path / "lists").iterdir()}
    assert (lists["train_id.txt"], lists["val_id.txt"]) == ("b\na\n", "c\n")
    assert lists["input_list.txt"] == "b.png 1\na.jpg 2\n" and lists["image_labels.txt"] == "b 1\na 1 2\nc 1\n"
    assert lists["left_out.txt"] == (tmp_path / "bad.txt").read_text()
    assert "note: 2 photos left out of the lists as bad.txt says" in capsys.readouterr().err
    (tmp_path / "bad.txt").write_text("c photo-missing\ny label-unknown\nx id-twice\n")
    with pytest.raises(UserError, match=r"val\.txt: every photo of it is left out for its faults"):
        make_lists.main(["--leave-out", "bad.txt"])


def test_without_val_photos_there_is_an_empty_list(data, tmp_path, capsys):
    (data / "ImageSets/Segmentation/val.txt").unlink()
    make_lists.main([])
    assert (tmp_path / "lists/val_id.txt").read_text() == ""
    assert "val.txt does not exist: no photo is segmented or measured at the end" in capsys.readouterr().err


def numbered(data, text, *arguments):
    (data.parent / "numbers.txt").write_text(text)
    make_lists.main(["--numbers", "numbers.txt", *arguments])
    return (data.parent / "lists" / "input_list.txt").read_text()


def test_numbers_are_those_of_the_list_that_came_with_the_cues(data):
    """Photos of other sets in it do no harm; SEC's lists begin names with '/'."""
    assert numbered(data, "/a.jpg 7\nother.jpg 3\nb.png 16777216\n") == "b.png 16777216\na.jpg 7\n"


def test_the_data_root_may_number_its_photos(data):
    (data / "image_ids.txt").write_text("a.jpg 139\nb.png 25\nc.jpg 285\n")
    make_lists.main([])
    assert (data.parent / "lists" / "input_list.txt").read_text() == "b.png 25\na.jpg 139\n"
    assert numbered(data, "a.jpg 1\nb.png 2\n") == "b.png 2\na.jpg 1\n"


@pytest.mark.parametrize(("text", "message"), [
    ("a.jpg 7\n", "1 of 2 train photos has no number in numbers.txt, the first is 'b.png'"),
    ("a.jpg 7\nb.png 7\n", "number 7 is given twice"),
    ("a.jpg seven\n", "expected '<photo> <number>'"),
    ("a.jpg 1\nb.png 16777217\n", "'b.png' has number 16777217; nets carry numbers as float32"),
])
def test_numbers_that_do_not_fit_are_refused(data, text, message):
    with pytest.raises(UserError, match=message):
        numbered(data, text)


def test_masks_of_another_folder(data):
    (data / "SegmentationClassAug").mkdir()
    make_lists.main(["--masks", "data/SegmentationClassAug"])
    assert "/data/SegmentationClassAug/a.png" in (data.parent / "lists" / "train_full.txt").read_text()


def test_labels_may_be_names(data, tmp_path):
    (data / "image_labels.txt").write_text("a sheep cow\nc 1\nb cow 1\n")
    make_lists.main([])
    assert (tmp_path / "lists" / "image_labels.txt").read_text() == "b 1\na 1 2\nc 1\n"


def test_masks_change_no_list_but_the_references(data, tmp_path):
    """Masks are not opened: weak training stands on labels alone."""
    make_lists.main(["--out", "without"])
    (data / "SegmentationClass").mkdir()
    (data / "SegmentationClass" / "a.png").write_bytes(b"no picture")
    make_lists.main(["--out", "with"])
    lists = {folder: {path.name: path.read_text() for path in (tmp_path / folder).iterdir()}
             for folder in ("with", "without")}
    assert lists["with"].pop("train_full.txt") == ("/data/JPEGImages/b.png /data/SegmentationClass/b.png\n"
                                                   "/data/JPEGImages/a.jpg /data/SegmentationClass/a.png\n")
    assert lists["with"] == lists["without"]


def test_the_list_of_masks_goes_with_their_folder(data, tmp_path):
    (data / "SegmentationClass").mkdir()
    make_lists.main([])
    assert (tmp_path / "lists/train_full.txt").is_file()
    (data / "SegmentationClass").rmdir()
    make_lists.main([])
    assert not (tmp_path / "lists/train_full.txt").exists()


def test_labels_from_annotations_with_vocs_own_classes(data, tmp_path):
    (data / "image_labels.txt").unlink()
    (data / "classes.txt").unlink()
    annotate(data, a=["person", "horse", "person"], b=["tvmonitor"])  # c, a val image, has none: that is fine
    make_lists.main([])
    assert (tmp_path / "lists" / "image_labels.txt").read_text() == "b 20\na 13 15\n"
    assert (tmp_path / "lists" / "classes.txt").read_text().split() == list(voc.CLASSES)


def test_labels_from_annotations_follow_classes_txt(data, tmp_path):
    annotate(data, a=["sheep"], b=["cow", "sheep"], c=["cow"])
    make_lists.main(["--labels", "xml"])
    assert (tmp_path / "lists" / "image_labels.txt").read_text() == "b 1 2\na 2\nc 1\n"


def test_annotation_with_an_unknown_class_is_named(data):
    annotate(data, a=["sheep"], b=["cat"])
    with pytest.raises(UserError, match=r"b\.xml has an object 'cat', none of the 2 object classes"):
        make_lists.main(["--labels", "xml"])


def test_all_annotations_that_do_not_fit_are_told_in_one_go(data):
    annotate(data, a=["dog"], b=["cat"])
    with pytest.raises(UserError, match="2 faults, the first: annotation .*b.xml has an object 'cat'") as caught:
        make_lists.main(["--labels", "xml"])
    assert any("a.xml has an object 'dog'" in line for line in caught.value.details)


def test_numbers_go_by_the_id_whatever_the_suffix_of_the_photo(data):
    """A list of another copy of the photos, converted since."""
    assert numbered(data, "a.png 7\n/b.jpg 5\n") == "b.png 5\na.jpg 7\n"


def test_photos_in_folders_with_suffixes_in_any_case(data, tmp_path):
    for name in ("one/x.Jpg", "two/x.webp", "two/y.TIF"):
        (data / "JPEGImages" / name).parent.mkdir(exist_ok=True)
        (data / "JPEGImages" / name).touch()
    (data / "ImageSets/Segmentation/train.txt").write_text("one/x\ntwo/x\n")
    (data / "ImageSets/Segmentation/val.txt").write_text("two/y\n")
    (data / "image_labels.txt").write_text("one/x 1\ntwo/x 2\ntwo/y 1\n")
    make_lists.main([])
    lists = tmp_path / "lists"
    assert (lists / "input_list.txt").read_text() == "one/x.Jpg 0\ntwo/x.webp 1\n"
    assert (lists / "image_labels.txt").read_text() == "one/x 1\ntwo/x 2\ntwo/y 1\n"
    assert "/data/JPEGImages/two/x.webp /labels/two/x.png" in (lists / "train_f.txt").read_text()


def test_a_data_root_with_a_space_is_refused_since_lists_go_by_spaces(data, tmp_path):
    data.rename(tmp_path / "my data")
    with pytest.raises(UserError, match="my data .*has a space in its name, and lists go by spaces; give a link"):
        make_lists.main(["--data", "my data"])


@pytest.mark.parametrize(("text", "message"), [
    ("<annotation><object>", r"a\.xml is not well-formed XML"),
    ('<!DOCTYPE a [<!ENTITY e "cow">]><annotation><object><name>&e;</name></object></annotation>',
     r"a\.xml declares a document type"),
    (None, r"a\.xml does not exist"),
])
def test_bad_annotations_are_refused(data, text, message):
    annotate(data, b=["cow"])
    if text is not None:
        (data / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(UserError, match=message):
        make_lists.main(["--labels", "xml"])


def test_no_labels_when_asked(data, tmp_path):
    (data / "image_labels.txt").unlink()
    with pytest.raises(UserError, match="neither image_labels.txt nor Annotations.*--labels none"):
        make_lists.main([])
    make_lists.main(["--labels", "none"])
    assert not (tmp_path / "lists" / "image_labels.txt").exists()


def test_larger_train_set_is_taken_where_it_exists(data, tmp_path):
    (data / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("a\n")
    make_lists.main([])
    assert (tmp_path / "lists" / "train_id.txt").read_text() == "a\n"
    make_lists.main(["--train-set", "train"])
    assert (tmp_path / "lists" / "train_id.txt").read_text() == "b\na\n"


def test_train_images_in_val_are_pointed_out(data, capsys):
    (data / "ImageSets" / "Segmentation" / "val.txt").write_text("c\na\n")
    make_lists.main([])
    assert "note: 1 image is both in train.txt and in val.txt" in capsys.readouterr().err


def test_ids_in_subfolders_find_their_photos(data, tmp_path):
    (data / "JPEGImages" / "more").mkdir()
    (data / "JPEGImages" / "more" / "d.jpg").touch()
    (data / "ImageSets" / "Segmentation" / "val.txt").write_text("more/d\n")
    make_lists.main([])
    assert (tmp_path / "lists" / "val_id.txt").read_text() == "more/d\n"


def test_missing_and_empty_data_roots_are_answered_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="data root nowhere does not exist; set DATA_ROOT"):
        make_lists.main(["--data", "nowhere"])
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="data root data is empty; set DATA_ROOT"):
        make_lists.main([])
    (tmp_path / "data" / "photos").mkdir()
    with pytest.raises(UserError, match="data root data has no folder JPEGImages"):
        make_lists.main([])


def test_missing_photos_are_counted_and_the_first_named(data):
    (data / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nx\ny\n")
    with pytest.raises(UserError, match="2 of 4 ids have no photo in data/JPEGImages, the first is 'x'"):
        make_lists.main([])


@pytest.mark.parametrize(("labels", "message"), [
    ("a 1\n", "1 of 2 train images has no label in data/image_labels.txt, the first is 'b'"),
    ("a 1\nb\n", "1 of 2 train images has no label"),
    ("a 1\nb 3\n", r"image_labels\.txt:2: image 'b' has class 3; indices go from 1 to 2"),
    ("a 0 1\nb 1\n", r"image_labels\.txt:1: image 'a' has class 0"),
    ("a 1\nb cwo\n", r"image_labels\.txt:2: image 'b' has class cwo; it is none of the 2 object classes of "
                     r"classes\.txt, did you mean 'cow'\?"),
    ("a 1\nb background\n", r"has class background; background is in every photo and is no label"),
    ("a 1\nb 0\n", r"has class 0; indices go from 1 to 2"),
    ("a 1\nb 1\na 2\n", r"image_labels\.txt:3: image 'a' is listed twice"),
])
def test_bad_image_labels_are_refused(data, labels, message):
    (data / "image_labels.txt").write_text(labels)
    with pytest.raises(UserError, match=message):
        make_lists.main([])


@pytest.mark.parametrize(("classes", "message"), [
    ("cow\nsheep\nboat\n", r"classes\.txt:1: the first class must be 'background'"),
    ("background\ncow\ncow\n", r"classes\.txt: class 'cow' is listed more than once"),
    ("background\n", r"classes\.txt: 1 classes; expected background and 1 to 254 more"),
])
def test_bad_class_lists_are_refused(data, classes, message):
    (data / "classes.txt").write_text(classes)
    with pytest.raises(UserError, match=message):
        make_lists.main([])


def test_failure_leaves_earlier_lists(data, tmp_path):
    make_lists.main([])
    before = {path.name: path.read_text() for path in (tmp_path / "lists").iterdir()}
    shutil.rmtree(data / "JPEGImages")
    with pytest.raises(UserError):
        make_lists.main([])
    assert before == {path.name: path.read_text() for path in (tmp_path / "lists").iterdir()}


def test_a_tenth_of_the_train_photos_is_set_apart_from_the_classifier(data, tmp_path):
    """Both lists together are the input list, with its numbers; stage s and the cues go by all of it."""
    ids = [f"p{k}" for k in range(40)]
    for image_id in ids:
        (data / "JPEGImages" / f"{image_id}.jpg").touch()
    (data / "ImageSets/Segmentation/train.txt").write_text("\n".join(ids))
    (data / "image_labels.txt").write_text("".join(f"p{k} {k % 2 + 1}\n" for k in range(40)))
    make_lists.main([])
    whole, train, apart = ((tmp_path / "lists" / f"{name}.txt").read_text().splitlines()
                           for name in ("input_list", "cam_train", "cam_quality"))
    assert len(apart) == 4 and len(train) == 36 and not set(train) & set(apart)
    assert sorted([*train, *apart]) == sorted(whole) and len(whole) == 40
    names = {line.split()[0].removesuffix(".jpg") for line in apart}
    assert (tmp_path / "lists/train_f.txt").read_text().count("\n") == 40
    assert not (tmp_path / "lists/calibration_id.txt").exists(), "stage f learns from all of it"
    (data / "SegmentationClass").mkdir()
    make_lists.main(["--calibrate"])
    lists = {name: (tmp_path / f"lists/{name}.txt").read_text() for name in
             ("train_f", "train_full", "input_list", "calibration_id")}
    assert set(lists["calibration_id"].split()) == names
    assert lists["train_f"].splitlines() == [f"/data/JPEGImages/{i}.jpg /labels/{i}.png" for i in ids if i not in names]
    assert lists["train_full"].count("\n") == 40 and lists["input_list"].splitlines() == whole
    make_lists.main(["--labels", "none"])
    assert (tmp_path / "lists/cam_quality.txt").read_text() == ""
    assert not (tmp_path / "lists/calibration_id.txt").exists()
