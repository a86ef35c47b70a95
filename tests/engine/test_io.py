"""caffe.io against what pycaffe's Transformer made of the same pictures, and its other helpers."""

import caffe.io
import numpy as np
import pytest
from caffe.proto import caffe_pb2
from PIL import Image

SHAPE = (1, 3, 6, 5)


@pytest.fixture
def golden(data_files):
    return np.load(data_files / "transformer.npz")


@pytest.fixture
def transformer():
    """The settings the golden was made with."""
    result = caffe.io.Transformer({"data": SHAPE})
    result.set_transpose("data", (2, 0, 1))
    result.set_channel_swap("data", (2, 1, 0))
    result.set_raw_scale("data", 255)
    result.set_mean("data", np.array([104.0, 117.0, 123.0]))
    result.set_input_scale("data", 0.5)
    return result


def test_preprocess_and_deprocess_equal_pycaffe(golden, transformer):
    image = golden["im"].copy()
    out = transformer.preprocess("data", image)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, golden["out"], rtol=1e-6, atol=1e-5)
    assert np.array_equal(image, golden["im"])  # pycaffe may scale the caller's picture, this one does not
    np.testing.assert_allclose(
        transformer.deprocess("data", golden["out"][np.newaxis]), golden["deprocessed"], atol=1e-6
    )


def test_preprocess_resizes_like_pycaffe(golden, transformer):
    out = transformer.preprocess("data", golden["im_big"])
    np.testing.assert_allclose(out, golden["out_big"], rtol=1e-6, atol=1e-4)


def test_plain_transformer_only_casts_and_copies(rng):
    image = rng.random((6, 5, 3)).astype(np.float32)
    plain = caffe.io.Transformer({"data": (1, 3, 6, 5)})
    out = plain.preprocess("data", image)
    assert np.array_equal(out, image)
    assert not np.shares_memory(out, image)


def test_bad_settings_raise_like_pycaffe(transformer):
    with pytest.raises(Exception, match="^zz is not one of the net inputs: {'data': \\(1, 3, 6, 5\\)}$"):
        transformer.preprocess("zz", np.zeros((6, 5, 3)))
    with pytest.raises(
        Exception, match="^Transpose order needs to have the same number of dimensions as the input"
    ):
        transformer.set_transpose("data", (0, 1))
    with pytest.raises(
        Exception, match="^Channel swap needs to have the same number of dimensions as the input ch"
    ):
        transformer.set_channel_swap("data", (0, 1))
    with pytest.raises(ValueError, match="^Mean channels incompatible with input.$"):
        transformer.set_mean("data", np.zeros(4))
    with pytest.raises(ValueError, match="^Mean shape invalid$"):
        transformer.set_mean("data", np.zeros((1, 3, 6, 5)))


def test_mean_pictures(transformer, rng):
    mean = rng.random((3, 6, 5))
    transformer.set_mean("data", mean)
    assert np.array_equal(transformer.mean["data"], mean)
    transformer.set_mean("data", np.full((3, 12, 10), 7.0))  # of another size: resized
    np.testing.assert_allclose(transformer.mean["data"], np.full((3, 6, 5), 7.0))
    one = caffe.io.Transformer({"data": (1, 1, 4, 4)})
    one.set_mean("data", np.ones((4, 4)))
    assert one.mean["data"].shape == (1, 4, 4)


def test_load_image(data_files):
    color = caffe.io.load_image(str(data_files / "t.png"))
    assert (color.shape, color.dtype) == ((4, 5, 3), np.float32)
    assert color.max() == pytest.approx(0.9254902005195618)
    assert caffe.io.load_image(str(data_files / "t.png"), color=False).shape == (4, 5, 1)
    gray = caffe.io.load_image(str(data_files / "g.png"))
    assert gray.shape == (4, 5, 3)
    assert np.array_equal(gray[..., 0], gray[..., 2])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_load_image_of_every_kind_of_png(mode, tmp_path, rng):
    """Alpha is dropped, gray is repeated, and gray of a colour picture is its luminance (ITU-R BT.709)."""
    pixels = rng.integers(0, 256, (6, 5, 4)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture = picture.convert("RGB").quantize(8) if mode == "P" else picture.convert(mode)
    picture.save(tmp_path / "p.png")
    rgb = np.asarray(picture.convert("RGB") if mode in "P1" else picture, np.float64) / 255
    rgb = rgb[..., None] if rgb.ndim == 2 else rgb[..., :1] if mode == "LA" else rgb[..., :3]
    gray = rgb @ [[0.2125], [0.7154], [0.0721]] if rgb.shape[2] == 3 else rgb
    for color, expected in ((True, np.broadcast_to(rgb, (6, 5, 3))), (False, gray)):
        found = caffe.io.load_image(str(tmp_path / "p.png"), color)
        assert found.shape == expected.shape and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_resize_image(channels, rng):
    image = rng.random((4, 5, channels)).astype(np.float32)
    out = caffe.io.resize_image(image, (8, 7))
    assert (out.shape, out.dtype) == ((8, 7, channels), np.float32)
    assert image.min() - 1e-6 <= out.min() and out.max() <= image.max() + 1e-6
    flat = caffe.io.resize_image(np.full((4, 5, channels), 3.0), (2, 9))
    np.testing.assert_allclose(flat, np.full((2, 9, channels), 3.0), rtol=1e-6)


def test_oversample_takes_corners_centre_and_mirrors():
    image = np.arange(6 * 7, dtype=np.float32).reshape(6, 7, 1)
    crops = caffe.io.oversample([image, image + 100], (4, 4))
    assert crops.shape == (20, 4, 4, 1)
    assert [int(crop[0, 0, 0]) for crop in crops[:5]] == [0, 3, 14, 17, 8]  # top left pixel of each crop
    assert np.array_equal(crops[5:10], crops[:5, :, ::-1])
    assert np.array_equal(crops[10:], crops[:10] + 100)
    with pytest.raises(ValueError, match="crops of 8x4 do not fit into pictures of 6x7"):
        caffe.io.oversample([image], (8, 4))


def test_blobproto_round_trip(rng):
    array = rng.standard_normal((2, 3, 4)).astype(np.float32)
    blob = caffe.io.array_to_blobproto(array, diff=array * 2)
    assert list(blob.shape.dim) == [2, 3, 4]
    assert np.array_equal(caffe.io.blobproto_to_array(blob), array)
    assert np.array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), array * 2)
    old = caffe_pb2.BlobProto(num=1, channels=2, height=1, width=2, data=[1, 2, 3, 4])
    assert caffe.io.blobproto_to_array(old).tolist() == [[[[1, 2]], [[3, 4]]]]
    with pytest.raises(ValueError, match=r"diff is \(2,\), expected \(3,\)"):
        caffe.io.array_to_blobproto(np.zeros(3), np.zeros(2))


def test_a_blobproto_whose_shape_and_numbers_differ_is_a_value_error():
    """The class that numpy's reshape raises in pycaffe."""
    for blob, why in ((caffe_pb2.BlobProto(data=[0] * 100), r"shape \(\) needs 1 numbers, it holds 100"),
                      (caffe_pb2.BlobProto(num=1, channels=2, height=1, width=3, data=[0] * 5),
                       r"shape \(1, 2, 1, 3\) needs 6 numbers, it holds 5")):
        with pytest.raises(ValueError, match=why):
            caffe.io.blobproto_to_array(blob)
        with pytest.raises(ValueError, match=why):
            caffe.io.blobprotovector_str_to_arraylist(caffe_pb2.BlobProtoVector(blobs=[blob]).SerializeToString())
    with pytest.raises(ValueError, match=r"needs 1 numbers, it holds 0"):
        caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[1]), return_diff=True)


def test_blobprotovector_round_trip(rng):
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in [(2, 3), (4,), ()]]
    again = caffe.io.blobprotovector_str_to_arraylist(caffe.io.arraylist_to_blobprotovector_str(arrays))
    assert all(np.array_equal(a, b) for a, b in zip(arrays, again, strict=True))


def test_datum_round_trip(rng):
    pixels = rng.integers(0, 256, (3, 2, 4)).astype(np.uint8)
    datum = caffe.io.array_to_datum(pixels, label=7)
    assert (datum.label, datum.channels, datum.height, datum.width) == (7, 3, 2, 4)
    again = caffe.io.datum_to_array(datum)
    assert again.dtype == np.uint8
    assert np.array_equal(again, pixels)
    floats = rng.standard_normal((1, 2, 2)).astype(np.float32)
    assert np.array_equal(caffe.io.datum_to_array(caffe.io.array_to_datum(floats)), floats)
    with pytest.raises(ValueError, match="Incorrect array shape"):
        caffe.io.array_to_datum(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="encoded picture; decode its data"):
        caffe.io.datum_to_array(caffe_pb2.Datum(encoded=True))
    with pytest.raises(ValueError, match=r"says \(1, 2, 2\) but holds 1"):
        caffe.io.datum_to_array(caffe_pb2.Datum(channels=1, height=2, width=2, float_data=[1]))
