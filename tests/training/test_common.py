"""Errors in one line, whole files or none, photos and label maps read as what they are."""

import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from training import common, voc
from training.common import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def run(main):
    with pytest.raises(SystemExit) as stop:
        common.run_main(main, [])
    return stop.value.code


def raiser(error):
    def main(argv):
        raise error
    return main


def test_run_main_turns_user_errors_into_one_line_and_status_1(capsys):
    assert run(raiser(UserError("list a.txt\nis empty"))) == 1
    assert capsys.readouterr().err == "error: list a.txt is empty\n"


def test_run_main_names_the_file_of_an_os_error(capsys):
    assert run(raiser(PermissionError(13, "Permission denied", "/data/x.jpg"))) == 1
    assert capsys.readouterr().err == "error: /data/x.jpg: Permission denied\n"


def test_run_main_passes_status_on_and_lets_programming_errors_show():
    assert run(lambda argv: None) == 0
    assert run(lambda argv: 3) == 3
    with pytest.raises(ZeroDivisionError):
        common.run_main(lambda argv: 1 / 0, [])


def test_run_main_answers_ctrl_c_with_status_130():
    assert run(raiser(KeyboardInterrupt())) == 130


def test_progress_prints_plain_lines_where_stderr_is_no_terminal(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(common.progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    line = stream.getvalue()
    assert line.startswith("letters: 3/3 in ") and line.count("\n") == 1 and "\r" not in line


def test_atomic_write_replaces_the_file_only_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new" / "a.npz"
    with common.atomic_write(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == ".npz"
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(RuntimeError), common.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["a.npz"]


def test_atomic_write_names_the_file_that_cannot_be_written(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: No space left on device; free space"), \
            common.atomic_write(path):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        common.write_text(tmp_path / "file" / "a.txt", "x")


def test_read_ids_keeps_the_order_and_drops_blank_lines(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbfb\r\n\r\na\r\nfolder/c\r\n")
    assert common.read_ids(path) == ["b", "a", "folder/c"]


@pytest.mark.parametrize(("text", "message"), [
    ("a\nb\na\n", r":3: id 'a' is already on line 1"),
    ("a 1\n", r":1: expected one image id a line, got 'a 1'"),
    ("../a\n", r":1: id '\.\./a' leads out"),
    ("\n", "is empty"),
    (None, "does not exist"),
])
def test_read_ids_refuses_bad_lists(tmp_path, text, message):
    path = tmp_path / "ids.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        common.read_ids(path)


def test_find_image_looks_at_suffixes_in_order(tmp_path):
    (tmp_path / "a.png").touch()
    assert common.find_image(tmp_path, "a").name == "a.png"
    (tmp_path / "a.jpg").touch()
    assert common.find_image(tmp_path, "a").name == "a.jpg"
    with pytest.raises(UserError, match="no photo for id 'b' in"):
        common.find_image(tmp_path, "b")
    with pytest.raises(UserError, match="photo folder .*none does not exist"):
        common.find_image(tmp_path / "none", "b")


@pytest.fixture
def photo(tmp_path, rng):
    """A JPEG of noise, large enough to be cut."""
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), rng.integers(0, 256, (40, 60, 3), np.uint8))
    return path


def test_load_image_gives_bgr(tmp_path):
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "a.png")
    image_bgr = common.load_image_bgr(tmp_path / "a.png")
    assert image_bgr.shape == (2, 3, 3) and image_bgr.dtype == np.uint8
    assert image_bgr[0, 0].tolist() == [30, 20, 10]


def test_load_image_makes_three_channels_of_gray(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    assert (common.load_image_bgr(tmp_path / "a.png") == 7).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_load_image_refuses_truncated_files_that_opencv_would_fill_with_gray(photo, tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    cv2.imwrite(str(path), cv2.imread(str(photo)))
    data = path.read_bytes()
    path.write_bytes(data[:len(data) * 2 // 3])
    with pytest.raises(UserError, match=rf"photo .*cut\{suffix} is cut off before its end; copy or download"):
        common.load_image_bgr(path)


def test_load_image_takes_a_jpeg_with_bytes_after_its_end(photo):
    whole = common.load_image_bgr(photo)
    photo.write_bytes(photo.read_bytes() + b"trailer of some camera")
    np.testing.assert_array_equal(common.load_image_bgr(photo), whole)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_load_image_refuses_other_files(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r"photo .*a\.jpg is not a readable picture"):
        common.load_image_bgr(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="does not exist"):
        common.load_image_bgr(tmp_path / "b.jpg")


def test_label_png_round_trip_keeps_indices_under_a_palette(tmp_path):
    path = tmp_path / "a.png"
    common.save_label_png(path, LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    loaded = common.load_label_png(path)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, LABELS)


def test_label_png_takes_another_palette(tmp_path):
    common.save_label_png(tmp_path / "a.png", LABELS, np.full((256, 3), 9, np.uint8))
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [9, 9, 9]
    np.testing.assert_array_equal(common.load_label_png(tmp_path / "a.png"), LABELS)


def test_palette_png_is_never_read_as_gray(tmp_path):
    """The fault behind many wrong scores: OpenCV's gray reading of a palette gives brightness."""
    common.save_label_png(tmp_path / "a.png", LABELS)
    gray = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE)
    assert gray[0, 1] != 1
    assert common.load_label_png(tmp_path / "a.png")[0, 1] == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palettes_of_few_bits_are_read_as_indices(tmp_path, bits):
    labels = np.arange(8).reshape(2, 4) % (1 << bits)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc.palette().tobytes())
    image.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24] == bits
    np.testing.assert_array_equal(common.load_label_png(tmp_path / "a.png"), labels)


def test_gray_label_png_is_read_as_indices(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.png")
    np.testing.assert_array_equal(common.load_label_png(tmp_path / "a.png"), LABELS)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_coded_label_maps_are_refused_with_the_remedy(tmp_path, mode):
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=rf"a\.png is colour-coded \({mode}\).*tools\.index_masks"):
        common.load_label_png(tmp_path / "a.png")


@pytest.mark.parametrize(("mode", "bits"), [("1", 1), ("I;16", 16)])
def test_label_maps_of_other_depth_are_refused(tmp_path, mode, bits):
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"with {bits} bits a pixel; expected class indices"):
        common.load_label_png(tmp_path / "a.png")


def test_label_maps_that_are_no_png_or_broken_are_refused(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="is a JPEG file; expected a PNG"):
        common.load_label_png(tmp_path / "a.jpg")
    common.save_label_png(tmp_path / "a.png", np.arange(4000).reshape(40, 100) % 251)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:-30])
    with pytest.raises(UserError, match=r"label map .*a\.png cannot be read"):
        common.load_label_png(tmp_path / "a.png")
    with pytest.raises(UserError, match="does not exist"):
        common.load_label_png(tmp_path / "b.png")


def test_save_label_png_refuses_what_is_no_label_map(tmp_path):
    with pytest.raises(ValueError, match="expected \\(H, W\\) of integers"):
        common.save_label_png(tmp_path / "a.png", LABELS.astype(float))
    with pytest.raises(ValueError, match="from 0 to 256"):
        common.save_label_png(tmp_path / "a.png", np.array([[0, 256]]))
    assert list(tmp_path.iterdir()) == []


def test_palette_has_256_distinct_colours_and_vocs_own():
    colours = voc.palette()
    assert len({tuple(colour) for colour in colours.tolist()}) == 256
    assert colours[20].tolist() == [0, 64, 128] and colours[255].tolist() == [224, 224, 192]
    assert len(voc.CLASSES) == 21
