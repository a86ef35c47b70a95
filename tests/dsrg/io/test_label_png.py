"""dsrg.io.label_png."""



import cv2
import numpy as np
import pytest
from PIL import Image

from dsrg.io import label_png, voc
from dsrg.io.errors import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_label_png_round_trip_keeps_indices_under_a_palette(tmp_path):
    path = tmp_path / "a.png"
    label_png.save_label_png(path, LABELS)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    loaded = label_png.load_label_png(path)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, LABELS)


def test_label_png_takes_another_palette(tmp_path):
    label_png.save_label_png(tmp_path / "a.png", LABELS, np.full((256, 3), 9, np.uint8))
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [9, 9, 9]
    np.testing.assert_array_equal(label_png.load_label_png(tmp_path / "a.png"), LABELS)


def test_palette_png_is_never_read_as_gray(tmp_path):
    """The fault behind many wrong scores: OpenCV's gray reading of a palette gives brightness."""
    label_png.save_label_png(tmp_path / "a.png", LABELS)
    gray = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_GRAYSCALE)
    assert gray[0, 1] != 1
    assert label_png.load_label_png(tmp_path / "a.png")[0, 1] == 1


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_palettes_of_few_bits_are_read_as_indices(tmp_path, bits):
    labels = np.arange(8).reshape(2, 4) % (1 << bits)
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc.palette().tobytes())
    image.save(tmp_path / "a.png", bits=bits)
    assert (tmp_path / "a.png").read_bytes()[24] == bits
    np.testing.assert_array_equal(label_png.load_label_png(tmp_path / "a.png"), labels)


def test_gray_label_png_is_read_as_indices(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.png")
    np.testing.assert_array_equal(label_png.load_label_png(tmp_path / "a.png"), LABELS)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_coded_label_maps_are_refused_with_the_remedy(tmp_path, mode):
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=rf"a\.png is colour-coded \({mode}\).*tools\.index_masks"):
        label_png.load_label_png(tmp_path / "a.png")


@pytest.mark.parametrize(("mode", "bits"), [("1", 1), ("I;16", 16)])
def test_label_maps_of_other_depth_are_refused(tmp_path, mode, bits):
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=f"with {bits} bits a pixel; expected class indices"):
        label_png.load_label_png(tmp_path / "a.png")


def test_label_maps_that_are_no_png_or_broken_are_refused(tmp_path):
    Image.fromarray(LABELS).save(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="is a JPEG file; expected a PNG"):
        label_png.load_label_png(tmp_path / "a.jpg")
    label_png.save_label_png(tmp_path / "a.png", np.arange(4000).reshape(40, 100) % 251)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:-30])
    with pytest.raises(UserError, match=r"label map .*a\.png cannot be read"):
        label_png.load_label_png(tmp_path / "a.png")
    with pytest.raises(UserError, match="does not exist"):
        label_png.load_label_png(tmp_path / "b.png")


def test_save_label_png_refuses_what_is_no_label_map(tmp_path):
    with pytest.raises(ValueError, match="expected \\(H, W\\) of integers"):
        label_png.save_label_png(tmp_path / "a.png", LABELS.astype(float))
    with pytest.raises(ValueError, match="from 0 to 256"):
        label_png.save_label_png(tmp_path / "a.png", np.array([[0, 256]]))
    assert list(tmp_path.iterdir()) == []
