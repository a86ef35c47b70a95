"""Segmentations: the compiled module against scikit-image and by hand; smoothing; levels."""

import numpy as np
import pytest

from dsrg.saliency.drfi import segmentation
from dsrg.saliency.drfi.segmentation import Level, segmentations, smooth

graph_segmentation = pytest.importorskip(
    "graph_segmentation", reason="bash setup.sh builds dsrg/saliency/drfi/native")


def test_levels_are_the_authors():
    assert len(segmentation.ALL_LEVELS) == 25 and len(set(segmentation.ALL_LEVELS)) == 25
    assert len(segmentation.LEVELS) == 15 and segmentation.LEVELS[0] == Level(0.8, 100, 150)


def test_smoothing_is_felzenszwalbs():
    """Weights exp(-d^2 / 2 sigma^2) to a distance of ceil(4 sigma), edges repeated."""
    image = np.zeros((1, 11, 3), np.float32)
    image[0, 5] = 1
    weights = np.exp(-0.5 * (np.arange(-4, 5) / 0.8) ** 2)
    weights /= weights.sum()
    np.testing.assert_allclose(smooth(image, 0.8)[0, 1:10, 0], weights, atol=1e-6)
    flat = np.full((4, 5, 3), 0.3, np.float32)
    np.testing.assert_allclose(smooth(flat, 1.0), flat, rtol=1e-6)


def blobs(rng, height=70, width=90):
    """Smooth colour fields with noise: no two edges of equal weight."""
    image = smooth(rng.random((height, width, 3)).astype(np.float32), 6)
    image = (image - image.min()) / np.ptp(image)
    return smooth((image + rng.normal(0, 0.03, image.shape)).astype(np.float32), 0.8)


def test_compiled_module_gives_scikit_images_regions(rng):
    levels = [Level(0.8, k, least) for k in (20, 100, 600) for least in (1, 30, 200)]
    image = blobs(rng)
    ours, theirs = segmentation.by_graph_segmentation(image, levels), segmentation.by_scikit_image(image, levels)
    assert len({int(regions.max()) for regions in ours}) > 4               # the levels differ
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_photo_without_the_compiled_module(rng, monkeypatch):
    image = (255 * blobs(rng)).clip(0, 255).astype(np.uint8)
    levels = (Level(0.9, 100, 50), Level(0.8, 300, 50), Level(0.9, 300, 20))
    with_it = segmentations(image, levels)
    monkeypatch.setattr(segmentation, "graph_segmentation", None)
    for one, other in zip(with_it, segmentations(image, levels), strict=True):
        assert np.array_equal(one, other) or (one == other).mean() > 0.9   # 8 bits: edges of equal weight


def test_merging_by_hand():
    """A row of five pixels, steps 0.1, 0.3, 0.05, 0.4. With scale 0.25 the step 0.05 merges first, then 0.1; the
    pairs' limits are 0.05 + 0.25 / 2 and 0.1 + 0.25 / 2, both below 0.3; the last pixel stays alone (0.4 > 0.175)."""
    image = np.cumsum([0, 0.1, 0.3, 0.05, 0.4]).astype(np.float32).reshape(1, 5, 1)
    regions = graph_segmentation.felzenszwalb(image, [(0.25, 1), (0.25, 2), (0.4, 1), (0.0, 1)])
    assert regions.dtype == np.int32
    np.testing.assert_array_equal(regions[:, 0], [[0, 0, 1, 1, 2],
                                                  [0, 0, 1, 1, 1],         # one pixel is too small
                                                  [0, 0, 1, 1, 2],         # 0.3 is not below 0.1 + 0.4 / 2
                                                  [0, 1, 2, 3, 4]])        # nothing is below 0


def test_diagonal_neighbours_are_connected_even_across_each_other():
    image = np.ones((3, 3, 3), np.float32)
    image[[0, 1, 2], [2, 1, 0]] = 0
    regions = graph_segmentation.felzenszwalb(image, [(0.1, 1)])[0]
    np.testing.assert_array_equal(regions, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


def test_segmentation_drops_small_regions():
    image = np.full((40, 60, 3), 40, np.uint8)
    image[:, 30:] = 200
    image[5:8, 5:8] = 250                                   # 9 pixels, below min_size
    coarse, fine = segmentations(image, [Level(0.01, 100, 20), Level(0.01, 100, 4)])
    assert coarse.max() == 1 and len(np.unique(coarse[:, :30])) == 1 and coarse[0, 0] != coarse[0, 59]
    assert fine.max() == 2 and (fine == fine[6, 6]).sum() == 9


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (2, 2)])
@pytest.mark.parametrize("compiled", [True, False])
def test_tiny_photos_segment(shape, compiled, rng, monkeypatch):
    if not compiled:
        monkeypatch.setattr(segmentation, "graph_segmentation", None)
    for regions in segmentations(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)):
        assert regions.shape == shape and regions.max() == 0


@pytest.mark.parametrize(("image", "levels", "message"), [
    (np.zeros((4, 4, 3)), [(1, 1)], "image: expected a C-contiguous float32 array .*got float64 of 3 dimensions"),
    (np.zeros((4, 4), np.float32), [(1, 1)], "got float32 of 2 dimensions"),
    (np.zeros((4, 6, 3), np.float32)[:, ::2], [(1, 1)], "C-contiguous"),
    (np.zeros((0, 6, 3), np.float32), [(1, 1)], "expected 1 to .* pixels, got 0 x 6"),
    (np.zeros((4, 6, 3), np.float32), [(-1, 1)], "scale: expected a finite number from 0"),
    (np.zeros((4, 6, 3), np.float32), [(np.nan, 1)], "scale: expected a finite number from 0"),
])
def test_other_arrays_are_refused(image, levels, message):
    with pytest.raises(ValueError, match=message):
        graph_segmentation.felzenszwalb(image, levels)
