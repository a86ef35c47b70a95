"""dsrg.datasets.from_folder: messy folders become a data root, or are refused for all that is wrong with them."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, save_label_png
from tools import make_dataset, make_lists


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    return tmp_path


def write_photos(folder, names, shape=(12, 16), orientation=None):
    rng = np.random.default_rng(len(names))
    for name in names:
        path = folder / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 256, (*shape, 3), np.uint8))
        exif = image.getexif()
        if orientation:
            exif[0x112] = orientation
        image.save(path, exif=exif)


def write_labels(folder, text):
    (folder / "labels.txt").write_text(text)


def command(*extra, out="data"):
    make_dataset.main(["--photos", "photos", "--labels", "labels.txt", "--out", out, *extra])


def shown(capsys):
    said = capsys.readouterr()
    return said.out + said.err


def test_all_faults_are_told_in_one_go(folder):
    write_photos(folder, [f"p{n}.jpg" for n in range(8)])
    for n in range(2):
        (folder / f"photos/p{n}.jpg").write_bytes(b"no picture")
    for n in range(2, 5):
        save_label_png(folder / f"masks/p{n}.png", np.full((12, 16 if n < 4 else 15), 7))
    (folder / "names.txt").write_text("background\ncow\nsheep\n")
    write_labels(folder, "p0 cow\np1 cow\np2 sheep\np3 sheep\np4 cow\np5 horse\nx9 cow\n")
    first = "^photos and labels.txt: 9 faults, the first: labels.txt:7: 'x9' is not a photo"
    with pytest.raises(UserError, match=first) as caught:
        command("--classes", "names.txt", "--masks", "masks")
    text = "\n".join(caught.value.details)
    for part in ("lines that name no photo: 1", "labels that are not classes: 1", "photo 'p5.jpg' has label horse",
                 "photos without a label: 2", "photo 'p7.jpg' has no label in labels.txt",
                 "photos that cannot be read: 2", "photo photos/p1.jpg is not a readable picture",
                 "masks that do not fit: 3",
                 "mask masks/p3.png has class 7", "mask masks/p4.png is 12x15, its photo 12x16"):
        assert part in text, part
    assert not (folder / "data").exists()


def test_every_suffix_is_taken_and_what_is_left_out_is_counted(folder, capsys):
    names = ["a.Jpg", "b.bmp", "c.tif", "d.webp", "e.TIFF", "f.JPEG", "g.png", "h.ppm", "i.jfif"]
    for name in names:
        Image.new("RGB", (16, 12), (10, 20, 30)).save(
            folder / "photos" / name, format={"jfif": "JPEG", "jpg": "JPEG"}.get(name[2:].lower()))
    for name in ("x.gif", "y.txt", "._a.Jpg", "z.heic", "w.txt"):
        (folder / "photos" / name).write_bytes(b"x")
    write_labels(folder, "".join(f"{name} {'cow' if k % 2 else 'sheep'}\n" for k, name in enumerate(names[:-1])))
    command("--skip-unlabelled")
    out = shown(capsys)
    for part in ("1 .bmp", "1 .tif,", "1 .tiff", "1 .webp", "left out: 2 .txt files", "1 .gif file,", "1 hidden file,",
                 "1 .heic file,", "1 photo without a label",
                 "note: photos of kinds that are not read are left out: 1 .gif, 1 .heic; convert them to .jpg"):
        assert part in out, part
    made = sorted(path.name for path in (folder / "data/JPEGImages").iterdir())
    assert made == ["a.jpg", "b.bmp", "c.tif", "d.webp", "e.tiff", "f.jpeg", "g.png", "h.ppm"]


def test_counts_of_each_class_are_printed(folder, capsys):
    write_photos(folder, [f"p{n}.jpg" for n in range(6)])
    (folder / "val.txt").write_text("p5\n")
    write_labels(folder, "p0 cow\np1 cow\np2 sheep\np3 sheep cow\np4 sheep\np5 cow\n")
    command("--val-list", "val.txt")
    lines = [line.split() for line in shown(capsys).splitlines()]
    assert ["class", "train", "val"] in lines and ["cow", "3", "1"] in lines and ["sheep", "3", "0"] in lines


def test_classes_of_few_train_photos_and_never_alone_are_named(folder, capsys):
    """Val photos do not count: nothing is learned of them."""
    names = [f"p{n}.jpg" for n in range(24)]
    write_photos(folder, names)
    write_labels(folder, "".join(f"{name} cow{' grass' * (n < 21)}\n" for n, name in enumerate(names)))
    (folder / "val.txt").write_text("p0\np1\n")
    command("--val-list", "val.txt")
    said = shown(capsys)
    assert "note: under 20 train photos show grass: what is learned of so few" in said
    assert "note: no train photo shows grass alone: labels do not tell it" in said and "show cow" not in said


def test_labels_that_differ_in_case_are_one_class_unless_both_are_named(folder, capsys):
    write_photos(folder, [f"p{n}.jpg" for n in range(7)])
    write_labels(folder, "p0,cow\np1,Cow\np2,cow\np3,big  dog\np4,Big dog\np5,big dog\np6,big dog\n")
    command(out="one")
    assert (folder / "one/classes.txt").read_text() == "background\nbig dog\ncow\n"
    said = shown(capsys)
    assert "labels that differ in case or spaces are one class: 'Cow' (1) as 'cow'" in said
    assert "'Big dog' (1) as 'big dog'" in said
    (folder / "names.txt").write_text("background\ncow\nCow\nbig dog\n")
    command("--classes", "names.txt", out="two")
    assert (folder / "two/image_labels.txt").read_text().split("\n")[:4] == ["p0 1", "p1 2", "p2 1", "p3 3"]


def test_a_class_that_no_photo_shows_is_refused(folder):
    write_photos(folder, [f"p{n}.jpg" for n in range(4)])
    write_labels(folder, "p0 cow\np1 cow\np2 cow\np3 cow\n")
    (folder / "names.txt").write_text("background\ncow\nsheep\n")
    with pytest.raises(UserError, match=r"no photo is labelled with 1 of the classes of names.txt \(sheep\)"):
        command("--classes", "names.txt")
    command("--classes", "names.txt", "--unused-classes")
    assert (folder / "data/classes.txt").read_text() == "background\ncow\nsheep\n"


def masks(folder, values, shape=(12, 16)):
    """Masks p<n>.png whose upper left corner has the value."""
    for n, value in values.items():
        mask = np.zeros(shape, int)
        mask[:4, :6] = value
        save_label_png(folder / f"masks/p{n}.png", mask)


@pytest.mark.parametrize(("classes", "remedy"), [
    ("cow", "index_masks --gray 0 255 turns 255 into class 1"),
    ("cow sheep", "do not say which of the 2 classes an object is"),
])
def test_masks_of_0_and_255_are_refused(folder, classes, remedy):
    """255 means ignored, so no object would count in evaluation or training."""
    write_photos(folder, [f"p{n}.jpg" for n in range(4)])
    write_labels(folder, "".join(f"p{n} {classes}\n" for n in range(4)))
    masks(folder, dict.fromkeys(range(4), 255))
    with pytest.raises(UserError, match=f"4 of 4 masks hold 0 and 255 alone, and 255 means ignored.*{remedy}"):
        command("--masks", "masks")
    masks(folder, {0: 1})
    with pytest.raises(UserError, match="3 of 4 masks hold 0 and 255 alone"):
        command("--masks", "masks")


def test_a_few_masks_of_0_and_255_are_counted(folder, capsys):
    write_photos(folder, [f"p{n}.jpg" for n in range(4)])
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(4)))
    masks(folder, {0: 255, 1: 1, 2: 1, 3: 1})
    command("--masks", "masks")
    assert "note: 1 mask holds 0 and 255 (ignored) alone (p0.jpg)" in shown(capsys)


def test_masks_in_another_class_order_are_refused(folder, capsys):
    """cow is 1 and sheep 2 by the alphabet; the masks have it the other way round."""
    write_photos(folder, [f"p{n}.jpg" for n in range(8)])
    write_labels(folder, "".join(f"p{n} {'cow' if n % 2 else 'sheep'}\n" for n in range(8)))
    masks(folder, {n: 2 if n % 2 else 1 for n in range(8)})
    with pytest.raises(UserError, match=r"8 of 8 masks hold a class that their photo is not labelled with: class \d "
                                        r"\(\w+\) is in 4 masks, of which 4 photos are not labelled so but mostly "
                                        r"\w+; the masks seem to number the classes in another order"):
        command("--masks", "masks")
    command("--masks", "masks", "--trust-masks")
    assert "8 masks hold a class" in shown(capsys)


def test_masks_right_but_for_a_missing_label_are_taken_with_a_count(folder, capsys):
    write_photos(folder, [f"p{n}.jpg" for n in range(8)])
    write_labels(folder, "".join(f"p{n} {'cow' if n % 2 else 'sheep'}\n" for n in range(8)))
    masks(folder, {n: 1 if n % 2 or n == 0 else 2 for n in range(8)})
    command("--masks", "masks")
    said = shown(capsys)
    assert "note: 1 mask holds a class that the photo is not labelled with (p0.jpg)" in said
    assert "masks: 6 of 6 train photos, 2 of 2 val photos; pixels in %: 0 background 87.5" in said


def test_masks_of_some_photos_are_taken_and_those_photos_measured(folder, capsys):
    """The val photos are drawn among those with a mask, so that all of them can be measured."""
    write_photos(folder, [f"p{n}.jpg" for n in range(12)])
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(12)))
    masks(folder, {3: 1, 7: 1, 8: 1})
    masks(folder, {99: 1})
    command("--masks", "masks")
    val = (folder / "data/ImageSets/Segmentation/val.txt").read_text().split()
    assert len(val) == 2 and set(val) <= {"p3", "p7", "p8"}
    assert sorted(p.stem for p in (folder / "data/SegmentationClass").iterdir()) == ["p3", "p7", "p8"]
    said = shown(capsys)
    assert "masks: 1 of 10 train photos, 2 of 2 val photos" in said
    assert "1 file of masks without a photo that was taken, the first is masks/p99.png" in said


def test_masks_of_no_photo_at_all_are_refused(folder):
    write_photos(folder, [f"p{n}.jpg" for n in range(3)])
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(3)))
    save_label_png(folder / "masks/p0_mask.png", np.ones((12, 16), int))
    with pytest.raises(UserError, match=r"no mask in masks, which begins with masks/p0_mask\.png, is named as a photo; "
                                        r"the first would be masks/p0\.png"):
        command("--masks", "masks")


def test_folders_and_labels_that_are_not_there(folder):
    write_photos(folder, ["p0.jpg"])
    write_labels(folder, "p0\n")
    (folder / "names.txt").write_text("background\ncow\n")
    with pytest.raises(UserError, match=r"labels\.txt gives no photo a label"):
        command("--classes", "names.txt", "--skip-unlabelled")
    with pytest.raises(UserError, match="mask folder masks does not exist"):
        command("--masks", "masks")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_masks_name_the_remedy(folder, mode):
    write_photos(folder, [f"p{n}.jpg" for n in range(3)])
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(3)))
    (folder / "masks").mkdir()
    Image.new(mode, (16, 12)).save(folder / "masks/p0.png")
    with pytest.raises(UserError, match=rf"p0\.png is colour-coded \({mode}\).* python -m tools\.index_masks"):
        command("--masks", "masks")


@pytest.mark.parametrize(("orientation", "shape"),
                         [(3, (12, 16)), (2, (12, 16)), (4, (12, 16)), (6, (12, 12)), (8, (12, 12))])
def test_orientations_that_sizes_cannot_tell_are_warned_of_once_with_a_count(folder, capsys, orientation, shape):
    write_photos(folder, [f"p{n}.jpg" for n in range(4)], shape, orientation)
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(4)))
    masks(folder, dict.fromkeys(range(4), 1), shape)
    command("--masks", "masks")
    said = shown(capsys)
    assert said.count("EXIF orientation") == 1
    assert "4 photos with a mask are turned upright by their EXIF orientation (p0.jpg first)" in said
    assert "pass --masks-stored if" in said
    assert (load_label_png("data/SegmentationClass/p0.png") == load_label_png("masks/p0.png")).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_of_the_stored_pixels_are_turned_as_their_photos(folder, capsys, orientation):
    """Pillow turns the mask by the same tag; OpenCV turns the photo: object and mask stay on each other."""
    mask = np.zeros((12, 16), np.uint8)
    mask[:4, :6] = 1
    for n in range(3):
        image = Image.fromarray(np.where(mask[..., None] == 1, 250, 5).astype(np.uint8).repeat(3, 2))
        exif = image.getexif()
        exif[0x112] = orientation
        image.save(folder / f"photos/p{n}.png", exif=exif)
        save_label_png(folder / f"masks/p{n}.png", mask)
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(3)))
    command("--masks", "masks", "--masks-stored")
    made = load_label_png("data/SegmentationClass/p0.png")
    tagged = Image.fromarray(mask)
    exif = tagged.getexif()
    exif[0x112] = orientation
    tagged.save("tagged.png", exif=exif)
    with Image.open("tagged.png") as image:
        np.testing.assert_array_equal(made, np.array(ImageOps.exif_transpose(image)))
    photo = cv2.imread("data/JPEGImages/p0.png")
    np.testing.assert_array_equal(made == 1, photo[..., 0] > 100)
    assert ("are turned alike" in shown(capsys)) == (orientation != 1)


def test_a_mask_of_the_stored_pixels_that_sizes_tell_names_the_flag(folder):
    write_photos(folder, [f"p{n}.jpg" for n in range(3)], (12, 16), 6)
    write_labels(folder, "".join(f"p{n} cow\n" for n in range(3)))
    masks(folder, {0: 1, 1: 1, 2: 1})
    with pytest.raises(UserError, match=r"p0\.png is 12x16, its photo 16x12 \(height x width\); the photo's EXIF "
                                        r"orientation \(6\) .* pass --masks-stored"):
        command("--masks", "masks")
    command("--masks", "masks", "--masks-stored")
    assert load_label_png("data/SegmentationClass/p0.png").shape == (16, 12)


def test_escape_sequences_in_names_reach_neither_lists_nor_terminal(folder, capsys):
    write_photos(folder, ["a\x1b[31m.jpg", "b.jpg", "c.jpg"])
    write_labels(folder, "b cow\nc cow\n")
    with pytest.raises(SystemExit):
        from dsrg.io.errors import run_main
        run_main(make_dataset.main, ["--photos", "photos", "--labels", "labels.txt", "--out", "data"])
    said = capsys.readouterr().err
    assert "\x1b" not in said and "'a\\x1b[31m.jpg'" in said
    write_labels(folder, "b cow\nc cow\na\x1b[31m cow\n")
    command()
    assert "a_[31m 1" in (folder / "data/image_labels.txt").read_text()


@pytest.mark.parametrize("word", ["background", "Background", "BACKGROUND "])
def test_background_is_no_label_in_any_spelling(folder, word):
    write_photos(folder, ["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    write_labels(folder, f"a.jpg,cow\nb.jpg,cow\nc.jpg,dog\nd.jpg,{word}\n")
    with pytest.raises(UserError, match="background is in every photo and is no label; take it out"):
        command()


def test_what_is_no_photo_or_hardly_one_is_named(folder, capsys):
    """Links that lead nowhere, photos of one pixel, names that no list holds as they are; nothing set apart."""
    write_photos(folder, ["p0.jpg", "-p1.JPG", "sub/gr\u00f6\u00dfe 2.jpg", "new\nline.jpg"], (32, 32))
    write_photos(folder, ["one.png"], (1, 1))
    (folder / "photos/broken.jpg").symlink_to("nothing.jpg")
    (folder / "photos/loop").symlink_to(".")
    (folder / "photos/again.jpg").symlink_to("p0.jpg")
    write_labels(folder, "p0,cow\n-p1,cow\nsub/gr\u00f6\u00dfe 2.jpg,cow\none,cow\nagain,cow\n")
    with pytest.raises(UserError, match=r"^photo 'new\\nline.jpg' has no label in labels.txt"):
        command()
    command("--skip-unlabelled", "--val", "0")
    out = shown(capsys)
    for part in ("data: 5 train photos and 0 val photos",
                 "left out: 1 link to a photo that is not there, 1 photo without a label", "no photo is set apart",
                 "1 photo of the same content as another ('again.jpg' and 'p0.jpg', for one)",
                 "1 photo with a side under 32 pixels (one.png first)",
                 "1 photo with a space or a folder in the name is called otherwise"):
        assert part in out, part
    assert sorted(path.name for path in (folder / "data/JPEGImages").iterdir()) == [
        "-p1.jpg", "again.jpg", "one.png", "p0.jpg", "sub_gr\u00f6\u00dfe_2.jpg"]
    assert not (folder / "data/ImageSets/Segmentation/val.txt").exists()
    make_lists.main(["--data", "data", "--out", "lists"])
    assert (folder / "lists/val_id.txt").read_text() == ""


def test_class_folders_are_the_labels_that_a_file_would_give(folder):
    write_photos(folder, ["cow/a.jpg", "cow/trip 1/b.png", "horse/a.jpg", "horse/c.jpg"])
    write_labels(folder, "cow/a.jpg, cow\ncow/trip 1/b.png, cow\nhorse/a.jpg, horse\nhorse/c.jpg, horse\n")
    command()
    make_dataset.main(["--photos", "photos", "--class-folders", "--out", "by-folder"])
    sets = "ImageSets/Segmentation"
    for name in ("image_labels.txt", "classes.txt", f"{sets}/train.txt", f"{sets}/val.txt"):
        assert (folder / "by-folder" / name).read_text() == (folder / "data" / name).read_text()
    assert (folder / "by-folder/image_labels.txt").read_text().splitlines()[1:3] == ["cow_trip_1_b 1", "horse_a 2"]


def test_class_folders_that_name_no_class_are_refused(folder):
    def made(*extra):
        make_dataset.main(["--photos", "photos", "--class-folders", "--out", "data", *extra])

    write_photos(folder, ["a.jpg"])
    with pytest.raises(UserError, match="photos holds no folder with photos; expected one for each class"):
        made()
    write_photos(folder, ["train/cow/a.jpg", "val/cow/b.jpg"])
    with pytest.raises(UserError, match="train, val, parts of a data set and not classes; give --photos photos/train"):
        made()
    write_photos(folder, ["cow/a.jpg"])
    (folder / "names.txt").write_text("background\ncow\n")
    with pytest.raises(UserError) as caught:
        made("--classes", "names.txt")
    assert "photo 'a.jpg' lies in no class folder of photos; move it into one" in "\n".join(caught.value.details)
    assert "photos: photo 'train/cow/a.jpg' has label train" in "\n".join(caught.value.details)


def test_copies_with_different_labels_are_named(folder, capsys):
    write_photos(folder, ["a.jpg", "b.jpg"], (32, 32))
    for name in ("c.jpg", "d.jpg"):
        (folder / "photos" / name).write_bytes((folder / "photos/a.jpg").read_bytes())
    write_labels(folder, "a cow\nb horse\nc cow\nd horse\n")
    command()
    assert "copies of one photo have different labels ('a.jpg' cow, 'c.jpg' cow, 'd.jpg' horse)" in shown(capsys)
