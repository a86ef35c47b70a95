"""dsrg.io.photos."""



import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dsrg.io import orientation as orientation_of_files
from dsrg.io import photos
from dsrg.io.errors import UserError


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


@pytest.mark.parametrize("name", ["a.Jpg", "a.BMP", "a.tif", "a.TIFF", "a.webp", "a.JPEG", "a.jfif", "a.Ppm"])
def test_every_suffix_that_opencv_and_pillow_read_is_found_in_any_case(tmp_path, name):
    (tmp_path / "sub").mkdir()
    kind = {"jpg": "JPEG", "jfif": "JPEG"}.get(name[2:].lower())
    Image.new("RGB", (3, 2), (10, 20, 30)).save(tmp_path / "sub" / name, format=kind)
    assert photos.find_image(tmp_path, "sub/a").name == name
    assert photos.find_images(tmp_path, ["sub/a"]) == {"sub/a": tmp_path / "sub" / name}
    np.testing.assert_allclose(photos.load_image_bgr(tmp_path / "sub" / name), np.full((2, 3, 3), (30, 20, 10)), atol=3)


def test_of_several_suffixes_the_first_is_taken_whatever_the_order_of_the_folder(tmp_path):
    for name in ("a.bmp", "a.tif", "a.jpeg", "a.PNG", "a.gif"):
        (tmp_path / name).touch()
    assert photos.find_images(tmp_path, ["a"])["a"].name == "a.PNG"
    (tmp_path / "a.JPG").touch()
    assert photos.find_image(tmp_path, "a").name == photos.find_images(tmp_path, ["a"])["a"].name == "a.JPG"
    (tmp_path / "a.jpg").touch()
    assert photos.find_image(tmp_path, "a").name == photos.find_images(tmp_path, ["a"])["a"].name == "a.jpg"


def test_ids_without_a_photo_are_counted(tmp_path):
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match=r"2 of 3 ids have no photo in .*, the first is 'no/b' \(looked for jpg"):
        photos.find_images(tmp_path, ["a", "no/b", "c"])


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_of_every_format_are_turned_upright_as_pillow_turns_them(tmp_path, rng, suffix, orientation):
    pixels = np.kron(rng.integers(0, 256, (2, 3, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"tiffinfo": exif} if suffix == "tif" else {"exif": exif}),
               **({"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}))
    with Image.open(path) as stored:
        upright = np.array(ImageOps.exif_transpose(stored).convert("RGB"))[..., ::-1]
    assert orientation_of_files.exif_orientation(path) == orientation
    np.testing.assert_allclose(photos.load_image_bgr(path).astype(int), upright, atol=6 if suffix == "jpg" else 0)
    np.testing.assert_array_equal(orientation_of_files.upright(pixels, orientation),
                                  np.array(ImageOps.exif_transpose(tagged(pixels, orientation))))


def tagged(pixels, orientation):
    image = Image.fromarray(pixels)
    image.getexif()[0x112] = orientation
    return image


def test_what_opencv_does_not_decode_pillow_does(tmp_path, monkeypatch, rng):
    pixels = rng.integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    np.testing.assert_array_equal(photos.load_image_bgr(tmp_path / "a.tif"), pixels[..., ::-1])


def test_a_folder_says_what_it_leaves_out(tmp_path, capsys):
    from dsrg.io.photo_folder import photos_of

    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("sub/a.Jpg", "b.webp", "c.gif", "d.txt", "e.txt", "._b.webp", ".hidden/f.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "sub/loop").symlink_to("..")
    assert photos_of(tmp_path) == {"b": tmp_path / "b.webp", "sub/a": tmp_path / "sub/a.Jpg"}
    assert "4 other files left out (2 .txt, 1 .gif, 1 hidden)" in capsys.readouterr().err


def test_what_opencv_does_not_decode_is_told_once(tmp_path, capfd):
    """OpenCV would write a warning of its own for each photo, with the lines of its source."""
    Image.fromarray(np.zeros((6, 8), np.float32)).save(tmp_path / "f.tif", tiffinfo={}, compression="tiff_lzw")
    Image.new("LAB", (8, 6)).save(tmp_path / "lab.tif")
    assert photos.load_image_bgr(tmp_path / "lab.tif").shape == (6, 8, 3)
    with pytest.raises(UserError, match=r"f\.tif is not a readable picture"):
        photos.load_image_bgr(tmp_path / "f.tif")
    assert capfd.readouterr() == ("", "")
