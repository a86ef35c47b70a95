"""dsrg.io.photos."""



import cv2
import numpy as np
import pytest
from PIL import Image

from dsrg.io import photos
from dsrg.io.errors import UserError

LABELS = np.array([[0, 1, 2, 255], [3, 4, 20, 254]], np.uint8)


def test_find_image_looks_at_suffixes_in_order(tmp_path):
    (tmp_path / "a.png").touch()
    assert photos.find_image(tmp_path, "a").name == "a.png"
    (tmp_path / "a.jpg").touch()
    assert photos.find_image(tmp_path, "a").name == "a.jpg"
    with pytest.raises(UserError, match="no photo for id 'b' in"):
        photos.find_image(tmp_path, "b")
    with pytest.raises(UserError, match="photo folder .*none does not exist"):
        photos.find_image(tmp_path / "none", "b")


@pytest.fixture
def photo(tmp_path, rng):
    """A JPEG of noise, large enough to be cut."""
    path = tmp_path / "photo.jpg"
    cv2.imwrite(str(path), rng.integers(0, 256, (40, 60, 3), np.uint8))
    return path


def test_load_image_gives_bgr(tmp_path):
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "a.png")
    image_bgr = photos.load_image_bgr(tmp_path / "a.png")
    assert image_bgr.shape == (2, 3, 3) and image_bgr.dtype == np.uint8
    assert image_bgr[0, 0].tolist() == [30, 20, 10]


def test_load_image_makes_three_channels_of_gray(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    assert (photos.load_image_bgr(tmp_path / "a.png") == 7).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_load_image_refuses_truncated_files_that_opencv_would_fill_with_gray(photo, tmp_path, suffix):
    path = tmp_path / f"cut{suffix}"
    cv2.imwrite(str(path), cv2.imread(str(photo)))
    data = path.read_bytes()
    path.write_bytes(data[:len(data) * 2 // 3])
    with pytest.raises(UserError, match=rf"photo .*cut\{suffix} is cut off before its end; copy or download"):
        photos.load_image_bgr(path)


def test_load_image_takes_a_jpeg_with_bytes_after_its_end(photo):
    whole = photos.load_image_bgr(photo)
    photo.write_bytes(photo.read_bytes() + b"trailer of some camera")
    np.testing.assert_array_equal(photos.load_image_bgr(photo), whole)


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_load_image_refuses_other_files(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r"photo .*a\.jpg is not a readable picture"):
        photos.load_image_bgr(tmp_path / "a.jpg")
    with pytest.raises(UserError, match="does not exist"):
        photos.load_image_bgr(tmp_path / "b.jpg")
