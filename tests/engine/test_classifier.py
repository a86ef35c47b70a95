"""caffe.classifier and caffe.detector on nets whose answers are known in the head."""

import numpy as np
import pytest
from caffe.classifier import Classifier
from caffe.detector import Detector
from skimage.io import imsave

# Global mean of each channel: the prediction is the mean colour of what the net sees.
NET = """
name: "mean colour"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 4 dim: 4 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
        convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "constant" } } }
layer { name: "pool" type: "Pooling" bottom: "one" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "flat" type: "Flatten" bottom: "pool" top: "flat" }
"""


@pytest.fixture
def files(tmp_path):
    """Prototxt and weights of a net that passes channels on."""
    import caffe

    prototxt, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    prototxt.write_text(NET)
    net = caffe.Net(str(prototxt), caffe.TEST)
    net.params["one"][0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
    net.save(str(weights))
    return str(prototxt), str(weights)


def halves():
    """An 8x8 picture, left half red, right half blue."""
    image = np.zeros((8, 8, 3), np.float32)
    image[:, :4, 0] = 1
    image[:, 4:, 2] = 1
    return image


def test_centre_crop(files):
    classifier = Classifier(*files, image_dims=(8, 8))
    image = halves()
    image[:2] = image[6:] = 9  # outside of the centre
    predictions = classifier.predict([image, halves()], oversample=False)
    np.testing.assert_allclose(predictions, [[0.5, 0, 0.5]] * 2, atol=1e-6)


def test_oversample_averages_ten_crops(files):
    classifier = Classifier(*files, image_dims=(8, 8), raw_scale=10, channel_swap=(2, 1, 0))
    image = halves()
    image[:, :2] = 0  # the left crops see half the red
    predictions = classifier.predict([image])
    # red in BGR is channel 2: left crops (4 of 10) see 5, right crops 0, centres (2 of 10) see 5
    np.testing.assert_allclose(
        predictions, [[6 * 0.5 * 0 + (4 * 10 + 2 * 5) / 10, 0, (4 * 5 + 2 * 5) / 10]], atol=1e-5
    )


def test_preprocessing_is_the_transformers(files):
    classifier = Classifier(*files, mean=np.array([1.0, 2.0, 3.0]), input_scale=2)
    predictions = classifier.predict([np.full((4, 4, 3), 5.0)], oversample=False)
    np.testing.assert_allclose(predictions, [[8, 6, 4]], atol=1e-5)
    with pytest.raises(ValueError, match="no pictures given"):
        classifier.predict([])


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "halves.png"
    imsave(path, (halves() * 255).astype(np.uint8), check_contrast=False)
    return str(path)


def test_windows(files, photo):
    found = Detector(*files).detect_windows([(photo, [(0, 0, 8, 4), (0, 4, 8, 8)]), (photo, [(0, 0, 8, 8)])])
    assert [entry["window"] for entry in found] == [(0, 0, 8, 4), (0, 4, 8, 8), (0, 0, 8, 8)]
    assert {entry["filename"] for entry in found} == {photo}
    predictions = np.stack([entry["prediction"] for entry in found])  # shrinking smooths, and darkens the rim
    np.testing.assert_allclose(predictions, [[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5]], atol=0.06)
    assert Detector(*files).detect_windows([]) == []


def test_context_padding_shows_the_surroundings_and_the_mean_outside(files):
    detector = Detector(
        *files, context_pad=1, mean=np.array([4.0, 5.0, 6.0]), raw_scale=2, channel_swap=(2, 1, 0)
    )
    np.testing.assert_allclose(detector.crop_mean[0, 0], [3, 2.5, 2])  # RGB, unscaled
    crop = detector.crop(np.ones((20, 20, 3), np.float32), (8, 8, 11, 11))
    assert crop.shape == (4, 4, 3)
    np.testing.assert_allclose(crop, 1)  # all of the context is inside the picture
    corner = detector.crop(np.ones((20, 20, 3), np.float32), (0, 0, 7, 7))
    np.testing.assert_allclose(corner[0, 0], [3, 2.5, 2])
    np.testing.assert_allclose(corner[-1, -1], 1)
    with pytest.raises(ValueError, match="does not meet the picture of 20x20"):
        detector.crop(np.ones((20, 20, 3), np.float32), (50, 50, 53, 53))


def test_unusable_context_padding_is_refused(files):
    with pytest.raises(ValueError, match="context_pad 2 leaves nothing of an input of 4 pixels"):
        Detector(*files, context_pad=2)


def test_selective_search_is_refused_with_the_alternative(files, photo):
    with pytest.raises(NotImplementedError, match="give them to detect_windows"):
        Detector(*files).detect_selective_search([photo])
