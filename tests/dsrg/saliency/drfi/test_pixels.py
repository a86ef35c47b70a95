"""Pixel data of DRFI: filters, texture words, local binary patterns, histogram bins, border strip."""

import colorsys

import cv2
import numpy as np
import pytest

from dsrg.saliency.drfi import filters, pixels


def noise(rng, height=24, width=31):
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_filters_have_mean_0_norm_1_and_the_symmetries_of_their_kind():
    bank = filters.texture_filters()
    assert bank.shape == (19, 19, 15)
    np.testing.assert_allclose(bank.mean((0, 1)), 0, atol=1e-15)
    np.testing.assert_allclose(np.abs(bank).sum((0, 1)), 1)
    turned = bank[::-1, ::-1]
    np.testing.assert_allclose(turned[..., :6], -bank[..., :6], atol=1e-15)   # first derivatives are odd
    np.testing.assert_allclose(turned[..., 6:], bank[..., 6:], atol=1e-15)
    np.testing.assert_allclose(bank[..., 3], bank[..., 0].T[::-1, ::-1], atol=1e-12)   # 90 degrees from orientation 0
    for n in (12, 13, 14):                                                    # round ones
        np.testing.assert_allclose(bank[..., n], bank[..., n].T, atol=1e-15)


def test_filter_values_by_formula():
    """Orientation 0: a Gaussian of 3 sqrt 2 along the row times the derivative of one of sqrt 2 up the column."""
    bank = filters.texture_filters()
    column, up, variance = 2, 3, 2.0
    first = -up * np.exp(-up**2 / (2 * variance)) * np.exp(-column**2 / (2 * 9 * variance))
    one = np.exp(-1 / (2 * variance)) * -1 * np.exp(0)
    assert bank[9 - up, 9 + column, 0] / bank[9 - 1, 9, 0] == pytest.approx(first / one)
    log = {r: (r**2 - 2 * variance) * np.exp(-r**2 / (2 * variance)) for r in (0, 1)}
    mean = np.mean([(x**2 + y**2 - 4) * np.exp(-(x**2 + y**2) / 4) for x in range(-9, 10) for y in range(-9, 10)])
    assert bank[9, 9, 13] / bank[9, 10, 13] == pytest.approx((log[0] - mean) / (log[1] - mean))


@pytest.mark.parametrize("variant", pixels.VARIANTS)
def test_texture_responses_against_loops(variant, rng):
    gray = noise(rng, 12, 15)[..., 0]
    bank = filters.texture_filters()
    expected = np.zeros((12, 15, 15))
    first = -9 if variant == "clean" else 0                # the anchor: centre or top left corner
    for row in range(12):
        for column in range(15):
            rows = np.clip(row + first + np.arange(19), 0, 11)
            columns = np.clip(column + first + np.arange(19), 0, 14)
            expected[row, column] = (bank * (gray[np.ix_(rows, columns)] / 255)[..., None]).sum((0, 1))
    if variant == "clean":
        expected = np.abs(expected)
    else:
        low, high = expected.min((0, 1)), expected.max((0, 1))
        expected = (expected - low) / (high - low) * 10
    np.testing.assert_allclose(pixels.texture_responses(gray, bank, variant), expected, atol=2e-5)


def test_texture_word_is_the_strongest_filter_the_first_among_equals():
    responses = np.zeros((1, 4, 15), np.float32)
    responses[0, 0, 7] = 1
    responses[0, 1, [3, 9]] = 2
    responses[0, 2, 5] = 1e-7                              # rounding on flat ground
    np.testing.assert_array_equal(pixels.texture_words(responses, "clean"), [[7, 3, 0, 0]])
    np.testing.assert_array_equal(pixels.texture_words(responses, "authors"), [[7, 3, 5, 0]])


def test_local_binary_pattern_by_hand():
    """Bits: E 1, SE 2, S 4, SW 8, W 16, NW 32, N 64, NE 128; equal is not brighter."""
    gray = np.array([[9, 1, 5],
                     [5, 5, 7],
                     [1, 8, 2]], np.uint8)
    for variant in pixels.VARIANTS:
        codes = pixels.binary_patterns(gray, variant)
        assert codes[1, 1] == 1 + 4 + 32
        assert codes[0, 1] == 1 + 2 + 4 + 8 + 16 + (32 + 128 if variant == "clean" else 0)
    assert pixels.binary_patterns(gray, "authors")[2, 0] == 1 + 64 + 128
    assert pixels.binary_patterns(gray, "clean")[2, 0] == 1 + 2 + 64 + 128 + 32   # edge repeated: S row again, W column
    flat = np.full((3, 4), 7, np.uint8)
    for variant in pixels.VARIANTS:
        assert not pixels.binary_patterns(flat, variant).any()


def test_colours_are_real_lab_and_hsv_and_the_authors_swap_channels():
    image = np.full((30, 40, 3), (30, 90, 200), np.uint8)   # B, G, R
    clean, swapped = (pixels.pixel_data(image, variant).offset for variant in pixels.VARIANTS)
    np.testing.assert_allclose(clean[:3], np.array([30, 90, 200]) / 255, rtol=1e-6)
    hue, saturation, value = colorsys.rgb_to_hsv(200 / 255, 90 / 255, 30 / 255)
    np.testing.assert_allclose(clean[6:9], [360 * hue, saturation, value], rtol=1e-5)
    assert clean[4] > 20 and clean[5] > 20                  # orange: reddish, yellowish
    hue, saturation, value = colorsys.rgb_to_hsv(30 / 255, 90 / 255, 200 / 255)
    np.testing.assert_allclose(swapped[:3], clean[:3])
    np.testing.assert_allclose(swapped[6:9], [360 * hue, saturation, value], rtol=1e-5)
    assert swapped[5] < -20                                 # blue


def test_bins_by_hand():
    colours = np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.2, 0.99]], np.float32)
    np.testing.assert_array_equal(pixels.bgr_bins(colours), [0, 215, 2 * 36 + 1 * 6 + 5])
    lab = np.array([[0, -127, -127], [100, 127, 127], [50, 0, 20]], np.float32)
    np.testing.assert_array_equal(pixels.lab_bins(lab), [0, 4 + 5 * 6 + 35 * 6, 2 + 5 * 3 + 35 * 4])
    hsv = np.array([[0, 0, 1], [359.99, 1, 1], [0, 0, 0], [120, 0.5, 0.3]], np.float32)
    np.testing.assert_array_equal(pixels.hsv_bins(hsv), [255, 14 * 16 + 3 * 4 + 3, 240, 4 * 16 + 1 * 4 + 1])


@pytest.mark.parametrize("variant", pixels.VARIANTS)
def test_every_colour_falls_into_a_bin(variant):
    levels = np.array([0, 1, 64, 127, 128, 200, 254, 255], np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 3)
    image = cube.repeat(49, 0).reshape(512, 49, 3).repeat(5, 0)   # large flat patches survive the blur
    data = pixels.pixel_data(image, variant)
    for words, bins in zip(data.words, pixels.BINS, strict=True):
        assert words.min() >= 0 and words.max() < bins


def test_moments_are_values_less_their_mean_and_squares(rng):
    data = pixels.pixel_data(noise(rng))
    np.testing.assert_allclose(data.moments[:, :25].mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(data.moments[:, 25:], data.moments[:, :25] ** 2)
    assert data.shape == (24, 31) and data.words.shape == (5, 24 * 31)


def test_border_strip():
    strip = pixels.border_strip((100, 200))                 # 0.0375 * 200 = 7.5, to even: 8
    assert strip[:8].all() and strip[-8:].all() and strip[:, :8].all() and strip[:, -8:].all()
    assert not strip[8:-8, 8:-8].any()
    assert pixels.border_strip((3, 5)).sum() == 15 - 3      # never narrower than a pixel
    assert pixels.border_strip((2, 2)).all()


def test_data_of_a_photo_is_that_of_its_blurred_copy(rng):
    image = noise(rng)
    data = pixels.pixel_data(image)
    blurred = cv2.GaussianBlur(image, (5, 5), 0) / 255
    np.testing.assert_allclose(data.moments[:, :3] + data.offset[:3], blurred.reshape(-1, 3), atol=1e-6)
