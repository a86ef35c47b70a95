"""Pictures of every kind as upright RGB bytes, against arrays known beforehand and Pillow's own EXIF transposition."""


import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from dsrg.io import pictures
from dsrg.io.errors import UserError
from dsrg.io.orientation import upright
from dsrg.io.photos import load_image_bgr
from dsrg.io.pictures import as_in_file, read_picture


@pytest.fixture
def rgb(rng):
    """5 x 7 pixels of smooth colours, uint8."""
    return cv2.resize(rng.integers(0, 256, (3, 4, 3), np.uint8), (7, 5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_pillows(rgb, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(tmp_path / "a.png")
    assert picture.orientation == orientation
    np.testing.assert_array_equal(picture.rgb, expected)
    np.testing.assert_array_equal(upright(rgb, orientation), expected)
    np.testing.assert_array_equal(as_in_file(picture.rgb, orientation), rgb)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".webp", ".gif", ".ppm", ".JPG", ".jpeg", ".jp2", ".tga"])
def test_suffixes_of_pillow_and_opencv(rgb, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    options = {".webp": {"lossless": True}, ".JPG": {"quality": 100, "subsampling": 0},
               ".jpeg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(rgb).save(path, **options)
    assert suffix.lower() in pictures.suffixes()
    tolerance = {".JPG": 4, ".jpeg": 4, ".gif": 60, ".jp2": 8}.get(suffix, 0)
    assert np.abs(read_picture(path).rgb.astype(int) - rgb).max() <= tolerance


def test_hdr_is_read_by_opencv(tmp_path):
    cv2.imwrite(str(tmp_path / "a.hdr"), np.full((4, 6, 3), 0.5, np.float32))
    assert read_picture(tmp_path / "a.hdr").rgb.shape == (4, 6, 3)


def test_photos_of_a_data_set_are_the_same_to_the_bit(rng, tmp_path):
    """Else a prediction differs from the run's own segmentation of the same photo."""
    image = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (64, 48))
    cv2.imwrite(str(tmp_path / "a.jpg"), image)
    cv2.imwrite(str(tmp_path / "gray.jpg"), image[..., 0])
    for name in ("a.jpg", "gray.jpg"):
        np.testing.assert_array_equal(read_picture(tmp_path / name).rgb, load_image_bgr(tmp_path / name)[:, :, ::-1])


def test_gray_of_8_and_16_bits_and_floats(tmp_path):
    gray = np.array([[0, 100], [200, 255]], np.uint8)
    expected = np.repeat(gray[..., None], 3, axis=2)
    Image.fromarray(gray).save(tmp_path / "8.png")
    cv2.imwrite(str(tmp_path / "16.png"), gray.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "16.tif"), gray.astype(np.uint16) * 257)
    Image.fromarray(gray.astype(np.float32) / 255).save(tmp_path / "float.tif")
    for name in ("8.png", "16.png", "16.tif", "float.tif"):
        np.testing.assert_array_equal(read_picture(tmp_path / name).rgb, expected, err_msg=name)
    Image.fromarray(gray.astype(np.float32) - 300).save(tmp_path / "negative.tif")
    with pytest.raises(UserError, match=r"negative\.tif holds values from -300 to -45; expected 0 to 255"):
        read_picture(tmp_path / "negative.tif")


def test_colours_of_16_bits(rgb, tmp_path):
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), rgb[:, :, ::-1].astype(np.uint16) * 257)
        assert np.abs(read_picture(tmp_path / name).rgb.astype(int) - rgb).max() <= 1, name


def test_cmyk(tmp_path):
    """Cyan ink alone swallows red: (255, 0, 0, 0) in CMYK is RGB (0, 255, 255)."""
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(read_picture(tmp_path / "a.jpg").rgb.astype(int) - (0, 255, 255)).max() <= 3


def test_transparent_pixels_show_white(rgb, tmp_path):
    """What lies under them may be anything; on paper and on a page they are white."""
    alpha = np.full(rgb.shape[:2], 255, np.uint8)
    alpha[:2], alpha[2] = 0, 128
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "a.png")
    expected = rgb.astype(float)
    expected[:2] = 255
    expected[2] = rgb[2] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(read_picture(tmp_path / "a.png").rgb - expected).max() <= 1
    Image.fromarray(np.dstack([rgb[..., 0], alpha])).save(tmp_path / "la.png")
    assert (read_picture(tmp_path / "la.png").rgb[:2] == 255).all()
    palette = Image.fromarray(rgb).quantize(8)
    palette.save(tmp_path / "p.png", transparency=int(np.asarray(palette)[0, 0]))
    assert (read_picture(tmp_path / "p.png").rgb[0, 0] == 255).all()


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".tif"])
def test_of_an_animation_or_of_pages_the_first(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue", "lime")]
    options = {".webp": {"lossless": True}}.get(suffix, {})
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **options)
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.n_frames == 3
    np.testing.assert_array_equal(read_picture(tmp_path / f"a{suffix}").rgb, np.full((6, 8, 3), (255, 0, 0), np.uint8))


def test_arrays_and_pil_images(rgb):
    np.testing.assert_array_equal(read_picture(rgb).rgb, rgb)
    np.testing.assert_array_equal(read_picture(Image.fromarray(rgb)).rgb, rgb)
    assert read_picture(rgb[..., 0]).rgb.shape == (5, 7, 3)
    for wrong in (rgb / 255, rgb[..., :2], rgb[None]):
        with pytest.raises(UserError, match=r"expected uint8 \(H, W, 3\), RGB, or \(H, W\)"):
            read_picture(wrong)


def test_what_is_no_picture_is_refused(rgb, tmp_path):
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    with pytest.raises(UserError, match=r"page\.jpg is not a readable picture"):
        read_picture(tmp_path / "page.jpg")
    with pytest.raises(UserError, match=r"none\.jpg does not exist"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "turned.jpg", "cmyk.jpg", "alpha.png", "a.png"])
def test_what_is_cut_off_is_refused(rng, tmp_path, name):
    image = Image.fromarray(rng.integers(0, 256, (60, 60, 4), np.uint8))
    mode = {"cmyk.jpg": "CMYK", "alpha.png": "RGBA"}.get(name, "RGB")
    exif = Image.Exif()
    exif[0x0112] = 6 if name == "turned.jpg" else 1
    image.convert(mode).save(tmp_path / name, exif=exif)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:len(data) // 2])
    with pytest.raises(UserError, match=name):
        read_picture(tmp_path / name)


def test_what_is_too_large_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    Image.new("1", (400, 300)).save(tmp_path / "a.png")
    for limit in ("0.1", "0.01"):       # Pillow itself raises above twice its limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
        monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", limit)
        with pytest.raises(UserError, match=rf"a\.png has (400x300|far too many).* at most {limit} megapixels"):
            read_picture(tmp_path / "a.png")
    monkeypatch.setenv("DSRG_MAX_MEGAPIXELS", "0.2")
    assert read_picture(tmp_path / "a.png").rgb.shape == (300, 400, 3)
