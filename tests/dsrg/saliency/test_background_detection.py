"""Saliency on made photos: an object in the middle, two tones of ground, an object at the border, no object."""

import cv2
import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.saliency.background_detection import SaliencyOptions, photo_saliency, region_saliency, saliency_map
from localization_cues import saliency as command

OPTIONS = SaliencyOptions()


def auc(values, mask):
    """Chance that a pixel of the object is above one of the ground, ties counting half."""
    inside, outside = np.sort(values[mask]), np.sort(values[~mask])
    below = np.searchsorted(outside, inside, "left") + np.searchsorted(outside, inside, "right")
    return below.mean() / 2 / len(outside)


def photo(rng, height=90, width=120):
    """Noisy ground of two tones (grass below sky), uint8 (H, W, 3)."""
    image = np.empty((height, width, 3))
    image[:height // 3] = (200, 160, 120)
    image[height // 3:] = (60, 130, 70)
    return image, rng


def noisy(image, rng):
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def test_an_object_in_the_middle_stands_out(rng):
    image, _ = photo(rng)
    mask = np.zeros(image.shape[:2], bool)
    mask[35:65, 45:80] = True
    image[mask] = (30, 40, 180)
    values = saliency_map(noisy(image, rng))
    assert values.dtype == np.float32 and values.shape == mask.shape
    assert values.min() == 0 and values.max() == 1
    assert auc(values, mask) > 0.97
    assert values[mask].mean() > values[~mask].mean() + 0.5


def test_ground_that_reaches_the_border_is_not_salient_however_bright(rng):
    """Boundary connectivity: the sky differs from most of the photo, but lies along its border."""
    image, _ = photo(rng)
    mask = np.zeros(image.shape[:2], bool)
    mask[40:60, 50:75] = True
    image[mask] = (30, 40, 180)
    values = saliency_map(noisy(image, rng))
    assert values[:25].mean() < 0.35 * values[mask].mean()


def test_an_object_cut_by_the_border_is_still_found(rng):
    image, _ = photo(rng)
    mask = np.zeros(image.shape[:2], bool)
    mask[40:90, 50:80] = True
    image[mask] = (30, 40, 180)
    assert auc(saliency_map(noisy(image, rng)), mask) > 0.9


@pytest.mark.parametrize("shape", [(40, 60), (1, 1), (3, 50)])
def test_a_photo_of_one_colour_has_no_saliency(shape):
    values = saliency_map(np.full((*shape, 3), 90, np.uint8))
    np.testing.assert_array_equal(values, np.zeros(shape))


def test_large_photos_are_looked_at_shrunk(rng):
    """Time and memory follow the pixels: a photo of 4000x2700 took 146 s and 1.8 GB, for a map of 41x41 cells."""
    image = noisy(*photo(rng))
    large = np.repeat(np.repeat(image, 10, axis=0), 10, axis=1)
    expected = cv2.resize(saliency_map(image), (1200, 900), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(saliency_map(large, SaliencyOptions(max_side=120)), expected)
    np.testing.assert_array_equal(saliency_map(image, SaliencyOptions(max_side=120)), saliency_map(image))
    assert SaliencyOptions().max_side >= 640, "VOC's and COCO's photos stay as they are"


def test_region_saliency_by_hand():
    """Four columns of one region each, the second another colour: border regions all belong to the ground."""
    regions = np.repeat(np.arange(5)[None], 5, axis=0)
    regions[0], regions[-1] = 0, 4
    lab = np.zeros((5, 5, 3))
    lab[regions == 2] = (50, 40, 0)
    values = region_saliency(lab, regions, OPTIONS)
    assert values.argmax() == 2 and values[2] == 1
    assert np.delete(values, 2).max() < 0.3


def test_mirrored_photo_mirrors_the_regions_result(rng):
    regions = np.arange(12).reshape(3, 4).repeat(4, 0).repeat(4, 1)
    lab = rng.uniform(0, 60, (12, 16, 3))
    values = region_saliency(lab, regions, OPTIONS)[regions]
    mirrored = region_saliency(lab[:, ::-1], regions[:, ::-1], OPTIONS)[regions[:, ::-1]]
    np.testing.assert_allclose(mirrored[:, ::-1], values, atol=1e-9)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W, 3\)"):
        saliency_map(image)


def test_command_writes_a_map_for_each_photo_and_make_cues_reads_it(rng, tmp_path, capsys):
    image, _ = photo(rng)
    image[35:65, 45:80] = (30, 40, 180)
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.jpg"):
        assert cv2.imwrite(str(tmp_path / "photos" / name), noisy(image, rng))
    command.main(["--images", str(tmp_path / "photos"), "--out", str(tmp_path / "maps"), "--workers", "1"])
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png", "b.png"]
    for name in ("a.png", "b.jpg"):
        computed = photo_saliency(tmp_path / "photos" / name, (9, 12))
        read = photo_saliency(tmp_path / "photos" / name, (9, 12), tmp_path / "maps" / f"{name[0]}.png")
        assert computed.shape == (9, 12)
        np.testing.assert_allclose(read, computed, atol=0.5 / 255 + 1e-6)       # 8 bits


def test_maps_of_another_size_or_missing_are_refused(rng, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), noisy(*photo(rng)))
    maps = tmp_path / "maps"
    maps.mkdir()
    with pytest.raises(UserError, match="no saliency map"):
        photo_saliency(tmp_path / "a.png", (9, 12), maps / "a.png")
    cv2.imwrite(str(maps / "a.png"), np.zeros((90, 110), np.uint8))
    with pytest.raises(UserError, match="is 90x110, its photo 90x120"):
        photo_saliency(tmp_path / "a.png", (9, 12), maps / "a.png")


def test_folder_without_photos(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="no photo in"):
        command.main(["--images", str(tmp_path / "photos"), "--out", str(tmp_path / "o")])
