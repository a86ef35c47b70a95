"""Pictures as arrays for pycaffe's preprocessing: read, resized, cropped; (H, W, K) float32 RGB in [0, 1]."""

import io
import os

import numpy as np

from . import picture_files
from .errors import PictureError
from .limits import TooMuch

BAND = 1 << 20  # pixels that are floats of 64 bits at a time


def load_image(filename, color=True):
    """Read a picture.

    Parameters
    ----------
    filename : str
    color : bool
        True: (H, W, 3), gray pictures repeated. False: (H, W, 1), luminance (skimage's weights).

    Returns
    -------
    numpy.ndarray, float32
        RGB in [0, 1]; an alpha channel is dropped.

    Raises
    ------
    PictureError
        A file whose header names more pixels than :func:`caffe.allow_megapixels` says, that is cut short, or that
        holds several pictures.
    OSError
        No such file, or no regular one.
    """
    import skimage  # slow to import, and only pictures need it
    import skimage.color
    import skimage.io

    if os.path.exists(filename):  # skimage reads addresses, too
        _check(filename)
    pixels = skimage.io.imread(filename)
    if pixels.ndim == 4 and len(pixels) == 1:  # a GIF of one picture
        pixels = pixels[0]
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):  # gray or colour, and alpha
        pixels = pixels[:, :, :-1]
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    to_gray = not color and pixels.shape[2] == 3
    channels = 1 if to_gray else 3 if color and pixels.shape[2] == 1 else pixels.shape[2]
    image = np.empty((*pixels.shape[:2], channels), np.float32)
    rows = max(1, BAND // pixels.shape[1])
    for top in range(0, len(pixels), rows):  # in float64 all of it would take eight times the file's pixels
        band = skimage.img_as_float(pixels[top : top + rows])
        image[top : top + rows] = skimage.color.rgb2gray(band)[:, :, np.newaxis] if to_gray else band
    return image


def _check(filename):
    """Refuse a file that skimage would decode whatever its size, or fill up with gray."""
    if not os.path.isfile(filename):  # a pipe would wait for ever
        raise OSError(f"cannot read the picture '{filename}': it is not a regular file")
    with open(filename, "rb") as file:
        data = file.read()
    try:
        picture_files.decodable(data)  # of formats not known there Pillow refuses the largest
    except TooMuch as error:
        raise PictureError(f"the picture '{filename}' ({len(data)} bytes) is refused: {error}") from error
    if picture_files.cut_short(data):
        raise PictureError(f"the picture '{filename}' ({len(data)} bytes) is cut short; copy or download it again")
    if _several_pictures(data):
        raise PictureError(f"the picture '{filename}' ({len(data)} bytes) is several pictures, an animation or pages; "
                           "save the one that is meant")


def _several_pictures(data):
    """Whether skimage would read a stack of pictures, each of which takes the memory of the first."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("GIF", "TIFF", "PNG")) as image:
            image.seek(1)
    except Exception:  # no second picture, or none that Pillow reads
        return False
    return True


def resize_image(im, new_dims, interp_order=1):
    """Resize a picture.

    Parameters
    ----------
    im : numpy.ndarray
        (H, W, K).
    new_dims : (int, int)
        Height and width.
    interp_order : int
        Order of the spline; 1 is bilinear.

    Returns
    -------
    numpy.ndarray, float32
        (*new_dims, K). One or three channels go through skimage (which smooths before it shrinks), any other
        number through scipy's zoom, as in pycaffe.
    """
    if im.shape[-1] not in (1, 3):
        from scipy.ndimage import zoom

        factors = np.asarray(new_dims, np.float64) / im.shape[:2]
        return zoom(im, (*factors, 1), order=interp_order).astype(np.float32)
    low, high = im.min(), im.max()
    if high <= low:
        return np.full((*new_dims, im.shape[-1]), low, np.float32)
    from skimage.transform import resize

    # skimage clips to the range of its input, which is cleanest in [0, 1].
    unit = resize((im - low) / (high - low), tuple(new_dims), order=interp_order, mode="constant")
    return (unit * (high - low) + low).astype(np.float32)


def oversample(images, crop_dims):
    """Ten crops of every picture: top left, top right, bottom left, bottom right, centre, then their mirrors.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        (H, W, K), all of one size.
    crop_dims : (int, int)
        Height and width of a crop.

    Returns
    -------
    numpy.ndarray, float32
        (10 * len(images), *crop_dims, K).

    Raises
    ------
    ValueError
        Crops larger than the pictures.
    """
    height, width, channels = np.shape(images[0])
    crop_h, crop_w = (int(dim) for dim in crop_dims)
    rows, cols = (0, height - crop_h), (0, width - crop_w)
    if min(rows[1], cols[1]) < 0:
        raise ValueError(f"crops of {crop_h}x{crop_w} do not fit into pictures of {height}x{width}")
    corners = [(row, col) for row in rows for col in cols] + [(rows[1] // 2, cols[1] // 2)]
    crops = np.empty((len(images), 2, 5, crop_h, crop_w, channels), np.float32)
    for n, image in enumerate(images):
        for k, (row, col) in enumerate(corners):
            crops[n, 0, k] = image[row : row + crop_h, col : col + crop_w]
    crops[:, 1] = crops[:, 0, :, :, ::-1]
    return crops.reshape(-1, crop_h, crop_w, channels)
