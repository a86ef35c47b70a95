"""What DRFI needs of each pixel, computed once for a photo and shared by all its segmentations."""

from dataclasses import dataclass

import cv2
import numpy as np

from dsrg.saliency.drfi import filters

# The variants of the features. "clean" says what the paper means; "authors" copies the authors' C++ program, its
# slips included, because a forest trained on its numbers must be given the same ones (README.md lists them).
VARIANTS = ("clean", "authors")

COLOURS = 9                      # B, G, R, L, a, b, H, S, V
BINS = (216, 245, 256, 15, 256)  # of the histograms: BGR, Lab, HSV, texture word, LBP
# Directions of the LBP's bits 0 to 7: E, SE, S, SW, W, NW, N, NE as (row, column) steps.
_LBP_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
BORDER = 0.0375                  # width of the pseudo-background strip over the photo's longer side


@dataclass(frozen=True)
class PixelData:
    """Of a photo of N = H * W pixels.

    shape : (H, W). variant : one of VARIANTS.
    offset : (25,) float64, mean over the photo of 9 colours, 15 texture responses and the LBP code.
    moments : (N, 50) float64, those values less the offset, then their squares; sums of them over a region give
        its means and variances.
    words : (5, N) int64, bin of each of the five histograms.
    """

    shape: tuple[int, int]
    variant: str
    offset: np.ndarray
    moments: np.ndarray
    words: np.ndarray


def pixel_data(image_bgr, variant="clean", bank=None):
    """Colours, texture responses and histogram bins of every pixel of a photo.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
    variant : {"clean", "authors"}
    bank : (19, 19, 15) array, optional
        Texture filters (`filters.texture_filters` by default).

    Returns
    -------
    PixelData
    """
    blurred = cv2.GaussianBlur(image_bgr, (5, 5), 0)
    bgr = blurred.astype(np.float32) / 255
    gray = cv2.cvtColor(blurred, cv2.COLOR_BGR2GRAY)
    # The C++ program declares its B, G, R data to be R, G, B.
    to_lab, to_hsv = ((cv2.COLOR_BGR2Lab, cv2.COLOR_BGR2HSV) if variant == "clean"
                      else (cv2.COLOR_RGB2Lab, cv2.COLOR_RGB2HSV))
    lab, hsv = cv2.cvtColor(bgr, to_lab), cv2.cvtColor(bgr, to_hsv)
    responses = texture_responses(gray, filters.texture_filters() if bank is None else bank, variant)
    codes = binary_patterns(gray, variant)
    words = [bgr_bins(bgr), lab_bins(lab), hsv_bins(hsv), texture_words(responses, variant), codes]

    count = gray.size
    values = np.empty((count, COLOURS + filters.COUNT + 1))
    for start, colours in zip((0, 3, 6), (bgr, lab, hsv), strict=True):
        values[:, start:start + 3] = colours.reshape(-1, 3)
    values[:, COLOURS:-1] = responses.reshape(-1, filters.COUNT)
    values[:, -1] = codes.ravel()
    offset = values.mean(0)
    moments = np.empty((count, 2 * values.shape[1]))
    np.subtract(values, offset, out=moments[:, :values.shape[1]])
    np.square(moments[:, :values.shape[1]], out=moments[:, values.shape[1]:])
    return PixelData(gray.shape, variant, offset, moments, np.stack([bins.ravel() for bins in words]))


def texture_responses(gray, bank, variant):
    """Responses of gray (H, W) uint8 to each filter, (H, W, 15) float32.

    "clean": magnitude of the centred filter. "authors": the filter hangs down and right of the pixel, and each
    response is stretched to 0..10 over the photo.

    Parameters
    ----------
    gray : uint8 array (H, W)
    bank : float array (19, 19, 15)
    variant : str
        "clean" or "authors".

    Returns
    -------
    float32 array (H, W, 15)
    """
    gray = gray.astype(np.float32) / 255
    anchor = (-1, -1) if variant == "clean" else (0, 0)
    responses = np.empty((*gray.shape, bank.shape[2]), np.float32)
    for n in range(bank.shape[2]):
        kernel = np.ascontiguousarray(bank[:, :, n], np.float32)
        response = cv2.filter2D(gray, cv2.CV_32F, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE)
        if variant == "clean":
            np.abs(response, out=responses[..., n])
        else:
            low, high = response.min(), response.max()
            responses[..., n] = (response - low) * (10 / (high - low) if high > low else 0)
    return responses


def texture_words(responses, variant):
    """Strongest filter at each pixel (the first among equals), (H, W) int64.

    Parameters
    ----------
    responses : float32 array (H, W, 15)
    variant : str
        "clean" or "authors".

    Returns
    -------
    int64 array (H, W), 0 to 14
    """
    words = responses.argmax(-1)
    if variant == "clean":
        words[responses.max(-1) < 1e-5] = 0  # flat ground: the rest is rounding
    return words


def binary_patterns(gray, variant):
    """Local binary pattern of gray (H, W) uint8: bit i set where neighbour i is brighter, (H, W) int64.

    Neighbours beyond the photo repeat its edge ("clean") or count as not brighter ("authors").

    Parameters
    ----------
    gray : uint8 array (H, W)
    variant : str
        "clean" or "authors".

    Returns
    -------
    int64 array (H, W)
    """
    padded = np.pad(gray, 1, mode="edge") if variant == "clean" else np.pad(gray, 1)  # 0 is brighter than nothing
    height, width = gray.shape
    codes = np.zeros(gray.shape, np.int64)
    for bit, (down, right) in enumerate(_LBP_STEPS):
        neighbour = padded[1 + down:1 + down + height, 1 + right:1 + right + width]
        codes |= (neighbour > gray).astype(np.int64) << bit
    return codes


def bgr_bins(bgr):
    """6 x 6 x 6 bins of colours in 0..1, 0 to 215.

    Parameters
    ----------
    bgr : float array (H, W, 3), 0 to 1

    Returns
    -------
    int array (H, W), 0 to 215
    """
    steps = (bgr * np.float32(5.9999)).astype(np.int64)
    return steps @ np.array([36, 6, 1])


def lab_bins(lab):
    """5 x 7 x 7 bins of L in 0..100, a and b in -127..127: 0 to 244.

    Parameters
    ----------
    lab : float array (H, W, 3)

    Returns
    -------
    int array (H, W), 0 to 244
    """
    lightness = (lab[..., 0] / np.float32(100.0001) * 5).astype(np.int64)
    chroma = ((lab[..., 1:] + 127) / np.float32(254.0001) * 7).astype(np.int64)
    return lightness + chroma @ np.array([5, 35])


def hsv_bins(hsv):
    """15 x 4 x 4 bins of H in 0..360, S and V in 0..1: 0 to 239; 16 grays where S < 0.1: 240 to 255.

    Parameters
    ----------
    hsv : float array (H, W, 3)

    Returns
    -------
    int array (H, W), 0 to 255
    """
    hue, saturation, value = hsv[..., 0] / 360.001, hsv[..., 1] / 1.001, hsv[..., 2] / 1.001
    gray = 240 + (value * 16).astype(np.int64)
    chroma = np.maximum((saturation - 0.1) / 0.9 * 4, 0).astype(np.int64)
    coloured = (hue * 15).astype(np.int64) * 16 + chroma * 4 + (value * 4).astype(np.int64)
    return np.where(saturation < 0.1, gray, coloured)


def border_strip(shape):
    """The pixels taken for background: a strip along the photo's edge, bool (H, W).

    Parameters
    ----------
    shape : tuple of int
        Begins with height and width.

    Returns
    -------
    bool array (H, W)
    """
    width = max(int(np.rint(BORDER * max(shape))), 1)
    strip = np.ones(shape, bool)
    strip[width:-width, width:-width] = False
    return strip
