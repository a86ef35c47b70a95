"""The 93 features: by hand on images of two regions, and against loops over pixels on noise."""

from unittest.mock import patch

import cv2
import numpy as np
import pytest

from dsrg.saliency.drfi import features, pixels
from dsrg.saliency.drfi.features import FEATURE_NAMES, chi_square, region_features

INDEX = {name: n for n, name in enumerate(FEATURE_NAMES)}


def two_halves(height=40, width=60, split=20):
    """Left part (0.2, 0.4, 0.6) in B, G, R, the rest (0.8, 0.4, 0.2); and their regions."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, :split] = (51, 102, 153)
    image[:, split:] = (204, 102, 51)
    regions = np.zeros((height, width), np.int64)
    regions[:, split:] = 1
    return image, regions


def flat_pixel_data(image, variant="clean"):
    """Pixel data without the blur, so that regions are of one colour."""
    with patch.object(cv2, "GaussianBlur", lambda image, *_: image):
        return pixels.pixel_data(image, variant)


def test_names_are_93_in_the_order_of_the_cpp_program():
    assert len(FEATURE_NAMES) == len(INDEX) == 93
    assert INDEX["contrast B"] == 0 and INDEX["contrast texture 0"] == 9 and INDEX["contrast BGR histogram"] == 24
    assert INDEX["backgroundness B"] == 29 and INDEX["backgroundness LBP histogram"] == 57
    first = 58
    assert {name: INDEX[name] - first for name in ("mean x", "left", "perimeter", "aspect", "variance B",
                                                   "variance texture 0", "variance LBP", "area", "neighbour area")} \
        == {"mean x": 0, "left": 2, "perimeter": 6, "aspect": 7, "variance B": 8, "variance texture 0": 17,
            "variance LBP": 32, "area": 33, "neighbour area": 34}


def test_two_regions_by_hand():
    """The left third, 800 of 2400 pixels; border strip 2 pixels wide (0.0375 * 60 = 2.25)."""
    image, regions = two_halves()
    rows = region_features(flat_pixel_data(image), regions)
    assert rows.shape == (2, 93)
    left = {name: rows[0, n] for name, n in INDEX.items()}
    right = {name: rows[1, n] for name, n in INDEX.items()}
    # One other region: the contrast is the difference itself.
    assert left["contrast B"] == pytest.approx(0.6) and right["contrast B"] == pytest.approx(0.6)
    assert left["contrast G"] == pytest.approx(0, abs=1e-7) and left["contrast R"] == pytest.approx(0.4)
    for name in ("BGR", "Lab", "HSV"):
        assert left[f"contrast {name} histogram"] == pytest.approx(1)        # no bin in common
    # The strip: 2 rows above and below, 2 columns at each side. 36 rows remain between.
    strip_left, strip_all = 4 * 20 + 36 * 2, 4 * 60 + 36 * 4
    mean_b = (0.2 * strip_left + 0.8 * (strip_all - strip_left)) / strip_all
    assert left["backgroundness B"] == pytest.approx(mean_b - 0.2)
    share = strip_left / strip_all                                          # own bin: 1 against the share
    expected = 0.5 * ((1 - share) ** 2 / (1 + share) + (1 - share))
    assert left["backgroundness BGR histogram"] == pytest.approx(expected, rel=1e-5)
    # Properties.
    assert left["mean x"] == pytest.approx(9.5 / 60) and left["mean y"] == pytest.approx(19.5 / 40)
    assert right["mean x"] == pytest.approx(39.5 / 60)
    # 800 pixels: number 80 and 720. By columns of 40: column 2 and 18; by rows of 20: row 4 and 36.
    assert [left[name] for name in ("left", "top", "right", "bottom")] == pytest.approx(
        [2 / 60, 4 / 40, 18 / 60, 36 / 40])
    assert left["aspect"] == pytest.approx((16 / 60) / (32 / 40))
    # Outline: two rows of 20, two columns of 40, corners once.
    assert left["perimeter"] == pytest.approx((2 * 20 + 2 * 38) / 100)
    assert right["perimeter"] == pytest.approx((2 * 40 + 2 * 38) / 100)
    assert left["variance B"] == pytest.approx(0, abs=1e-12)
    assert left["area"] == pytest.approx(100 / 3) and right["area"] == pytest.approx(200 / 3)
    assert left["neighbour area"] == pytest.approx(200 / 3)


def test_two_regions_by_hand_as_the_authors_count():
    """Own region within the weights, neighbours counted instead of measured."""
    image, regions = two_halves()
    rows = region_features(flat_pixel_data(image, "authors"), regions)
    near = np.exp(-(30 / 60) ** 2 / 0.4)                    # centroids half a width apart
    assert rows[0, INDEX["contrast B"]] == pytest.approx(0.6 * near * 1600 / (800 + near * 1600))
    assert rows[1, INDEX["contrast B"]] == pytest.approx(0.6 * near * 800 / (1600 + near * 800))
    np.testing.assert_allclose(rows[:, INDEX["neighbour area"]], 10 * 1 / 2400)


def test_variance_by_hand():
    image, regions = two_halves()
    image[::2, :20, 0] = 102                                # half of the left pixels at 0.4, half at 0.2
    rows = region_features(flat_pixel_data(image), regions)
    assert rows[0, INDEX["variance B"]] == pytest.approx(0.01 * 800 / 799, rel=1e-5)


def test_photo_of_one_region_has_no_contrast():
    image = np.full((30, 30, 3), 90, np.uint8)
    for variant in pixels.VARIANTS:
        rows = region_features(pixels.pixel_data(image, variant), np.zeros((30, 30), np.int64))
        assert rows.shape == (1, 93) and np.isfinite(rows).all()
        np.testing.assert_allclose(rows[0, :58], 0, atol=1e-9)
        assert rows[0, INDEX["neighbour area"]] == 0 and rows[0, INDEX["area"]] == pytest.approx(100)


def loops(data, regions):
    """The same features pixel by pixel and pair by pair, from the text of the method."""
    height, width = regions.shape
    values = data.moments[:, :25] + data.offset
    clean = data.variant == "clean"
    count = regions.max() + 1
    members = [np.flatnonzero(regions.ravel() == n) for n in range(count)]
    members.append(np.flatnonzero(pixels.border_strip(regions.shape).ravel()))
    means = [values[m].mean(0) for m in members]
    histograms = [[np.bincount(w[m], minlength=b) / len(m) for w, b in zip(data.words, pixels.BINS, strict=True)]
                  for m in members]

    def difference(i, j):
        distance = [0.5 * sum((a - b) ** 2 / (a + b) for a, b in zip(p, q, strict=True) if a + b > 0)
                    for p, q in zip(histograms[i], histograms[j], strict=True)]
        return np.concatenate([np.abs(means[i] - means[j])[:24], distance])

    centre = [np.array([np.mean(m % width) / width, np.mean(m // width) / height]) for m in members]
    rows = []
    for i in range(count):
        weights = {j: np.exp(-((centre[i] - centre[j]) ** 2).sum() / 0.4) * len(members[j])
                   for j in range(count) if not clean or j != i}
        contrast = sum(w * difference(i, j) for j, w in weights.items()) / sum(weights.values())
        by_row, by_column = np.sort(members[i] // width), np.sort(members[i] % width)
        first, last = (int(np.rint(share * len(members[i]))) for share in (0.1, 0.9))
        left, top, right, bottom = (by_column[first] / width, by_row[first] / height, by_column[last] / width,
                                    by_row[last] / height)
        outline, beside = 0, set()
        for row, column in zip(members[i] // width, members[i] % width, strict=True):
            around = [(row, column + 1), (row + 1, column), (row, column - 1), (row - 1, column)]
            inside = [(r, c) for r, c in around if 0 <= r < height and 0 <= c < width]
            others = {int(regions[r, c]) for r, c in inside} - {i}
            outline += len(inside) < 4 or bool(others)
            beside |= others
        spread = values[members[i]].var(0, ddof=1)
        spread[24] *= 1e-4
        area = len(members[i])
        if clean:
            next_to = 100 * sum(len(members[j]) for j in beside) / regions.size
            aspect = (right - left) / max(bottom - top, 1 / height)
        else:
            next_to = 10 * len(beside) / regions.size
            aspect = (right - left) / (bottom - top + 1e-200)
        rows.append(np.concatenate([
            contrast, difference(i, count), centre[i], [left, top, right, bottom],
            [outline / (width + height), aspect], spread, [100 * area / regions.size, next_to]]))
    return np.array(rows)


@pytest.mark.parametrize("variant", pixels.VARIANTS)
def test_against_loops(variant, rng):
    image = rng.integers(0, 256, (33, 41, 3), dtype=np.uint8)
    image[10:25, 5:30] //= 3
    regions = rng.integers(0, 7, (33, 41))
    regions[:12] = 7                                        # a compact one among scattered ones
    data = pixels.pixel_data(image, variant)
    np.testing.assert_allclose(region_features(data, regions), loops(data, regions), rtol=2e-5, atol=2e-6)


def test_histograms_of_many_regions_are_compared_in_blocks(rng, monkeypatch):
    histograms = rng.random((9, 30)).astype(np.float32) * (rng.random((9, 30)) < 0.4)
    histograms[:, 0] += 0.1
    histograms /= histograms.sum(1, keepdims=True)
    a, b = histograms[:, None].astype(float), histograms[None].astype(float)
    expected = 0.5 * ((a - b) ** 2 / np.where(a + b > 0, a + b, 1)).sum(-1)
    for block in (1, 70, 1 << 16):
        monkeypatch.setattr(features, "_BLOCK", block)
        np.testing.assert_allclose(chi_square(histograms), expected, atol=1e-6)
        np.testing.assert_allclose(chi_square(histograms, histograms[:4]), expected[:, :4], atol=1e-6)


def test_histograms_of_nothing_in_common_are_1_apart():
    np.testing.assert_allclose(chi_square(np.eye(3, dtype=np.float32)), 1 - np.eye(3), atol=1e-7)


def test_adjacency_counts_sides_not_corners():
    regions = np.array([[0, 0, 1],
                        [0, 2, 1],
                        [3, 3, 3]])
    adjacent, outline = features.adjacency(regions, 4)
    expected = {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    assert {(int(i), int(j)) for i, j in zip(*np.nonzero(adjacent), strict=True) if i < j} == expected
    np.testing.assert_array_equal(outline, [3, 2, 1, 3])
    adjacent, _ = features.adjacency(np.array([[0, 1], [2, 3]]), 4)
    assert not adjacent[0, 3] and not adjacent[1, 2]
