"""Pictures of any kind as photos: whatever Pillow or OpenCV reads, upright, 8 bits a channel, RGB.

The photos of a data set are read by dsrg.io.photos, as the nets' data layers read them; here is what a person hands
over. Where both can, both give the same pixels.
"""

import contextlib
import io
import os
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dsrg.io.errors import UserError
from dsrg.io.orientation import orientation_in, upright
from dsrg.io.photos import decode_bgr, decode_photo
from dsrg.io.picture_files import MOST_BYTES, most_megapixels, refuse_scans, refuse_size, too_large
from dsrg.io.regular_files import read_file

#: formats of Pillow that are not photos, or are read by starting another program
NOT_PHOTOS = {"BUFR", "EPS", "FPX", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
OPENCV_SUFFIXES = {".exr", ".hdr", ".pfm", ".pic", ".pxm", ".ras", ".sr"}  # read by OpenCV alone
OF_DATA_SETS = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "WEBP")  # decoded as data sets' photos are, to the bit
WHITE = (255, 255, 255)  # what shows through transparent pixels
BAND = 1 << 20  # pixels brought to RGB at a time


@dataclass(frozen=True)
class Picture:
    """A picture as it is looked at.

    Attributes
    ----------
    rgb : ndarray of uint8, shape (H, W, 3)
        Upright.
    orientation : int
        EXIF's, 1 to 8: how the file's own rows and columns lie.
    """

    rgb: np.ndarray
    orientation: int = 1


def as_in_file(array, orientation):
    """The inverse of `upright`: a map of the scene in the rows and columns of the file.

    Parameters
    ----------
    array : array (H, W, ..)
        Of the upright scene.
    orientation : int
        1 to 8, of the file.

    Returns
    -------
    array (H, W, ..) or (W, H, ..)
    """
    return upright(array, {6: 8, 8: 6}.get(orientation, orientation))


def suffixes():
    """Suffixes, in small letters, of the pictures that are read."""
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in _formats()}
    return known | OPENCV_SUFFIXES


def read_picture(source, name="picture"):
    """Read a picture.

    Transparent pixels become white, as on paper; gray is repeated; CMYK, palettes and 16 bits are brought to RGB of
    8 bits (of several frames the first).

    Parameters
    ----------
    source : path, bytes of a file, PIL.Image.Image, or ndarray of uint8 (H, W, 3) RGB or (H, W) gray
    name : str, optional
        What errors call a picture that is given by its bytes.

    Returns
    -------
    Picture

    Raises
    ------
    UserError
        Missing, cut off, no picture, or more pixels than dsrg.io.picture_files takes (100 megapixels unless set).
    """
    if isinstance(source, np.ndarray):
        return Picture(_checked_array(source))
    if isinstance(source, Image.Image):
        return _from_pillow(source, "image", orientation_in(source))
    if isinstance(source, bytes):
        return _from_file(source, name)
    if not isinstance(source, str | os.PathLike):
        raise UserError(f"image is {type(source).__name__}; expected a path, the bytes of a file, a PIL image, or an "
                        "array of uint8, (H, W, 3) RGB or (H, W)")
    return _from_file(read_file(source, "photo", MOST_BYTES), source)


def _from_file(data, path):
    most = most_megapixels()
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, int(most * 1e6)) or None      # as picture_files
    refuse_scans(data, path, "photo")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            refuse_size(image, data, path, "photo")
            orientation = orientation_in(image, data)
            plain = image.format in OF_DATA_SETS and image.mode in ("L", "RGB") and orientation == 1
            if plain and "transparency" not in image.info:
                with contextlib.suppress(UserError):        # cut off, or of a kind that Pillow alone reads
                    return Picture(np.ascontiguousarray(decode_photo(data, path)[:, :, ::-1]))
            return _from_pillow(image, path, orientation)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError(too_large(path, "photo", "far too many pixels", most)) from None
    except Image.UnidentifiedImageError:
        return Picture(_of_opencv_alone(data, path))
    except UserError:
        raise
    except Exception as error:  # each format of Pillow's has errors of its own for damaged bytes
        raise UserError(f"photo {path} cannot be read ({error}); copy or download it again") from None


def _formats():
    Image.init()
    return [name for name in Image.OPEN if name not in NOT_PHOTOS]


def _checked_array(array):
    axes_fit = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not axes_fit or not array.size:
        raise UserError(f"image is an array {array.shape} of {array.dtype}; expected uint8 (H, W, 3), RGB, or (H, W)")
    return np.repeat(array[:, :, None], 3, axis=2) if array.ndim == 2 else array


def _of_opencv_alone(data, path):
    """A picture of OPENCV_SUFFIXES, (H, W, 3) RGB; of the compressed kind, Radiance's, the header is checked first."""
    size = re.search(rb"[-+]Y (\d+) [-+]X (\d+)\n", data[:4096])
    if size and int(size[1]) * int(size[2]) > most_megapixels() * 1e6:
        raise UserError(too_large(path, "photo", f"{int(size[2])}x{int(size[1])} pixels", most_megapixels()))
    pixels = decode_bgr(data)
    if pixels is None:
        raise UserError(f"photo {path} is not a readable picture ({len(data)} bytes); replace the file or leave it out")
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _from_pillow(image, name, orientation):
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        rgb = np.repeat(_to_bytes(np.asarray(image), name)[:, :, None], 3, axis=2)
    else:
        image.load()
        rgb = np.empty((image.height, image.width, 3), np.uint8)
        for top in range(0, image.height, rows := max(1, BAND // image.width)):
            band = image.crop((0, top, image.width, min(top + rows, image.height)))
            rgb[top:top + rows] = np.asarray(_on_paper(band, image.info).convert("RGB"))
    return Picture(np.ascontiguousarray(upright(rgb, orientation)), orientation)


def _on_paper(band, info):
    """A band of a picture over white where it is transparent; `info` is the picture's."""
    if band.mode not in ("LA", "PA", "RGBA", "RGBa", "La") and "transparency" not in info:
        return band
    band = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", band.size, WHITE), band)


def _to_bytes(values, name):
    """Gray of 16 or 32 bits or floats as bytes: 0 to 255 as it is, 0 to 65535 and floats of 0 to 1 stretched."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    top = 1 if values.dtype.kind == "f" and high <= 1 else 65535 if values.dtype == np.uint16 or high > 255 else 255
    if not (low >= 0 and high <= top):     # NaN fails too
        raise UserError(f"photo {name} holds values from {low:g} to {high:g}; expected 0 to 255, 0 to 65535, or floats "
                        "from 0 to 1: convert it to 8 bits")
    return np.rint(values.astype(np.float32) * (255 / top)).astype(np.uint8)
