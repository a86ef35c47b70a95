"""Zooming, fusing and deciding against scipy and hand-made scores."""

import sys
import tracemalloc
import types

import numpy as np
import pytest
from scipy import ndimage, special

from dsrg.scoring import multiscale, resizing


@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (213, 320), (2, 9), (1, 4), (1, 1)])
@pytest.mark.parametrize("new_shape", [(41, 41), (7, 5), (1, 3), (213, 320)])
def test_zoom_equals_scipys_order_1(rng, shape, new_shape):
    image = rng.normal(0, 10, (*shape, 3)).astype(np.float32)
    factors = (new_shape[0] / shape[0], new_shape[1] / shape[1], 1)
    # mode 'nearest' where scipy's default puts zeros into a last corner that rounding moved outside
    expected = ndimage.zoom(image.astype(np.float64), factors, order=1, mode="nearest")
    result = resizing.zoom_linear(image, *new_shape)
    assert result.dtype == np.float32 and result.shape == (*new_shape, 3)
    np.testing.assert_allclose(result, expected, atol=2e-5)  # float32 steps of values up to 40


def test_zoom_reads_bytes_without_overflow():
    image = np.array([[[0], [255]]], np.uint8)
    assert resizing.zoom_linear(image, 1, 3)[0, :, 0].tolist() == [0.0, 127.5, 255.0]
    assert resizing.zoom_linear(image[:, ::-1], 1, 3)[0, :, 0].tolist() == [255.0, 127.5, 0.0]


def test_input_shapes_are_squares_or_rounded_factors():
    assert multiscale.input_shapes(213, 320, sizes=[241, 321]) == [(241, 241), (321, 321)]
    assert multiscale.input_shapes(213, 320, scales=[0.75, 1]) == [(160, 240), (213, 320)]


def test_input_is_bgr_minus_mean_channels_first():
    image_bgr = np.full((4, 6, 3), (110, 120, 130), np.uint8)
    blob = resizing.to_input(image_bgr, 5, 3, (104, 117, 123))
    assert blob.shape == (3, 5, 3) and blob.dtype == np.float32 and blob.flags.c_contiguous
    assert blob[:, 4, 2].tolist() == [6, 3, 7]


def test_scores_of_all_sizes_are_summed_at_the_photos_size(rng):
    maps = [rng.normal(size=(4, size, size)).astype(np.float32) for size in (3, 5)]
    expected = sum(ndimage.zoom(m.transpose(1, 2, 0), (6 / m.shape[1], 9 / m.shape[2], 1), order=1, mode="nearest")
                   for m in maps)
    np.testing.assert_allclose(multiscale.fuse_scores(maps, 6, 9), expected, atol=1e-5)


def test_probabilities_are_a_softmax_with_the_originals_floor():
    scores = np.array([[[0, 1, 2], [500, 0, -500]]], np.float32)
    expected = special.softmax(scores.astype(float), axis=2)
    np.testing.assert_allclose(multiscale.probabilities(scores), np.maximum(expected, 1e-5), rtol=1e-6)


def test_label_map_takes_the_first_of_equal_scores():
    scores = np.array([[[1, 1, 0], [0, 2, 2], [0, 1, 5]]], np.float32)
    labels = multiscale.label_map(scores)
    assert labels.dtype == np.uint8 and labels.tolist() == [[0, 1, 2]]


def test_label_map_holds_only_allowed_classes():
    scores = np.array([[[1, 9, 0], [0, 9, 2]]], np.float32)
    assert multiscale.label_map(scores, classes=[0, 2]).tolist() == [[0, 2]]
    assert multiscale.label_map(scores, classes=[0]).tolist() == [[0, 0]]


@pytest.fixture
def crf_calls(monkeypatch):
    """Put a recorder in the place of the dense CRF; it turns class probabilities around."""
    calls = []

    def record(image, unary, **settings):
        calls.append((image, unary, settings))
        return unary[:, :, ::-1]

    monkeypatch.setitem(sys.modules, "krahenbuhl2013", types.SimpleNamespace(CRF=record))
    return calls


def test_crf_gets_the_rgb_photo_and_log_p_of_the_allowed_classes(rng, crf_calls):
    scores = rng.normal(size=(4, 5, 6)).astype(np.float32)
    image_bgr = rng.integers(0, 256, (4, 5, 3), np.uint8)
    labels = multiscale.label_map(scores, image_bgr, classes=[0, 3, 5])
    (image, unary, settings), = crf_calls
    np.testing.assert_array_equal(image, image_bgr[:, :, ::-1])
    assert image.flags.c_contiguous and settings == {"scale_factor": 1.0, "threads": 1, "backend": None}
    np.testing.assert_allclose(unary, np.log(special.softmax(scores[:, :, [0, 3, 5]], axis=2)), atol=1e-6)
    np.testing.assert_array_equal(labels, np.array([5, 3, 0])[unary.argmax(axis=2)])


def test_crf_scale_and_backend_are_handed_on(rng, crf_calls):
    scores, image = rng.normal(size=(4, 5, 3)).astype(np.float32), np.zeros((4, 5, 3), np.uint8)
    multiscale.label_map(scores, image, crf_scale=3.0, crf_backend="pydensecrf")
    assert crf_calls[0][2] == {"scale_factor": 3.0, "threads": 1, "backend": "pydensecrf"}


def test_crf_is_not_asked_where_only_background_is_allowed(crf_calls):
    scores = np.zeros((4, 5, 6), np.float32)
    labels = multiscale.label_map(scores, np.zeros((4, 5, 3), np.uint8), classes=[0])
    assert not crf_calls and not labels.any()


def test_crf_moves_the_border_to_the_edge_in_the_photo():
    """Scores say left/right with a border two columns off; the photo has the true one."""
    pytest.importorskip("krahenbuhl2013", reason="the dense CRF is not built: bash setup.sh")
    image_bgr = np.zeros((24, 32, 3), np.uint8)
    image_bgr[:, 16:] = (40, 200, 220)
    truth = (np.arange(32) >= 16).astype(np.uint8) * np.ones((24, 1), np.uint8)
    scores = np.zeros((24, 32, 2), np.float32)
    scores[:, :14, 0] = scores[:, 14:, 1] = 1
    assert (multiscale.label_map(scores) != truth).sum() == 48
    np.testing.assert_array_equal(multiscale.label_map(scores, image_bgr), truth)


def test_large_photos_are_shrunk_by_area_means_and_others_left_alone(rng):
    image = rng.integers(0, 256, (6, 8, 3), np.uint8)
    large = np.repeat(np.repeat(image, 4, axis=0), 4, axis=1)
    np.testing.assert_array_equal(resizing.shrunk(large, 8), image)
    assert resizing.shrunk(large, 32) is large and resizing.shrunk(large, 0) is large
    assert resizing.shrunk(np.zeros((3000, 2, 3), np.uint8), 800).shape == (800, 1, 3)


@pytest.mark.parametrize("band", [1, 1 << 30])
def test_label_maps_of_another_size_are_the_largest_of_interpolated_scores(rng, monkeypatch, band):
    """Whatever the number of rows that are interpolated at a time."""
    monkeypatch.setattr(multiscale, "BAND_BYTES", band)
    scores = rng.normal(size=(5, 7, 4)).astype(np.float32)
    expected = resizing.zoom_linear(scores, 23, 31).argmax(axis=2)
    np.testing.assert_array_equal(multiscale.label_map(scores, size=(23, 31)), expected)
    np.testing.assert_array_equal(multiscale.label_map(scores, classes=[0, 3], size=(23, 31)),
                                  np.array([0, 3])[resizing.zoom_linear(scores[..., [0, 3]], 23, 31).argmax(axis=2)])


def test_memory_of_a_large_label_map_does_not_grow_with_the_classes():
    """12 million pixels and 40 classes: 1.9 GB of float32 scores, were they interpolated at once."""
    scores = np.zeros((60, 80, 40), np.float32)
    tracemalloc.start()
    try:
        multiscale.label_map(scores, size=(3000, 4000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 250 << 20


@pytest.mark.parametrize("least", [0.3, 0.5, 0.8])
def test_ignored_are_pixels_whose_class_the_net_itself_gives_too_little(rng, crf_calls, least):
    """Pixel by pixel by the rule's own words; the CRF here turns the classes around, so that it disagrees often."""
    scores = rng.normal(0, 4, (9, 7, 5)).astype(np.float32)
    allowed, maps = [0, 2, 4], 3
    photo = np.zeros((9, 7, 3), np.uint8)
    result = multiscale.label_map(scores, photo, allowed, ignore_below=least, summed=maps)
    for place in np.ndindex(9, 7):
        by_class = dict(zip(allowed, special.softmax(scores[place][allowed].astype(float) / maps), strict=True))
        # reversed: the CRF's class is the one opposite the net's
        decided = allowed[::-1][int(np.argmax(scores[place][allowed]))]
        assert result[place] == (decided if by_class[decided] >= least else 255)
    assert 255 in result and (result != 255).any()


def test_what_is_ignored_does_not_depend_on_the_number_of_equal_maps(rng):
    maps = rng.normal(0, 2, (1, 4, 5, 5)).astype(np.float32)
    one, three = (multiscale.label_map(multiscale.fuse_scores(np.repeat(maps, n, axis=0), 20, 20), ignore_below=0.6,
                                       summed=n) for n in (1, 3))
    np.testing.assert_array_equal(one, three)
    assert 0.05 < (one == 255).mean() < 0.95


def test_what_is_ignored_is_brought_to_the_size_of_the_photo_as_the_classes_are():
    scores = np.array([[[0, 9], [0, 9], [0, 0.5], [9, 0], [9, 0]]], np.float32)
    # halfway between two, the even one counts (nearest_aligned)
    row = [1, 1, 1, 255, 255, 255, 0, 0, 0]
    assert multiscale.label_map(scores, ignore_below=0.7, size=(2, 9)).tolist() == [row, row]


def test_marginals_are_probabilities_whose_largest_is_the_label_map(rng):
    scores = rng.normal(0, 2, (20, 24, 5)).astype(np.float32)
    image = rng.integers(0, 256, (20, 24, 3), np.uint8)
    for classes in (None, [0, 2, 3], [0]):
        refined = multiscale.marginals(scores, image, classes, 3.0)
        assert refined.dtype == np.float32 and refined.shape == scores.shape and refined.min() >= 0
        np.testing.assert_allclose(refined.sum(axis=2), 1, atol=1e-5)
        others = [c for c in range(5) if classes is not None and c not in classes]
        assert not refined[:, :, others].any()
        labels = multiscale.label_map(scores, image, classes, 3.0)
        np.testing.assert_array_equal(refined.argmax(axis=2), labels)
        np.testing.assert_array_equal(multiscale.label_map(scores, image, classes, refined=refined), labels)
