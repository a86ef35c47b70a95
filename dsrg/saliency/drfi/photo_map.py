"""The map of one photo: features and forest of each level, mean of the levels, stretched to 0..1."""

import cv2
import numpy as np

from dsrg.saliency.background_detection import as_photo
from dsrg.saliency.drfi.features import ground_statistics, region_features
from dsrg.saliency.drfi.pixels import pixel_data
from dsrg.saliency.drfi.segmentation import segmentations


def photo_features(image_bgr, model_like):
    """Segmentations of a photo and the features of their regions.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
    model_like : Model, or anything else with levels, variant and filters

    Returns
    -------
    list of (H, W) integer array, one a level
    list of (R, 93) float64 array, one a level
    """
    pixels = pixel_data(image_bgr, model_like.variant, model_like.filters)
    levels = segmentations(image_bgr, model_like.levels)
    ground = ground_statistics(pixels)
    return levels, [region_features(pixels, regions, ground) for regions in levels]


def saliency_map(image_bgr, model, enhance=False):
    """Saliency of every pixel by a trained DRFI.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
    model : Model
    enhance : bool
        Sharpen each level before the mean, as the authors' MATLAB program does: stretch to 0..1, exp(1.25 x), stretch.

    Returns
    -------
    (H, W) float32 array in [0, 1]
        1 where the photo is most salient, 0 where least; all 0 where the forest sees no difference.
    """
    image_bgr = as_photo(image_bgr)
    levels, features = photo_features(shrunk(image_bgr, model.max_side), model)
    scores = np.split(model.forest.predict(np.concatenate(features)), np.cumsum([len(f) for f in features])[:-1])
    if enhance:
        scores = [_unit(np.exp(1.25 * _unit(level))) for level in scores]
    total = sum(score[regions] for score, regions in zip(scores, levels, strict=True))
    values = _unit(total).astype(np.float32)
    if values.shape != image_bgr.shape[:2]:
        values = cv2.resize(values, image_bgr.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return values


def shrunk(image, max_side, interpolation=cv2.INTER_AREA):
    """The image with its longer side cut down to `max_side`; untouched when it is not longer, or for 0.

    Parameters
    ----------
    image : array (H, W) or (H, W, 3)
    max_side : int
        0: never.
    interpolation : int
        OpenCV's.

    Returns
    -------
    array (h, w) or (h, w, 3)
    """
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if not max_side or scale >= 1:
        return image
    return cv2.resize(image, (max(round(width * scale), 1), max(round(height * scale), 1)),
                      interpolation=interpolation)


def _unit(values):
    """Stretch to [0, 1]; equal values become 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)
