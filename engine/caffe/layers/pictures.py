"""Pictures from files: decoded by OpenCV as Caffe does, cut-short files found, decoded ones kept in memory."""

import threading
import zlib

import cv2
import numpy as np

from .. import forks
from ..limits import TooMuch
from ..picture_files import PNG, cut_short, decodable
from ..regular_files import is_special

CACHE_BYTES = 512 << 20  # decoded pictures kept in memory, of all layers together


def read_picture(layer, path, place, color=True, size=None):
    """A picture as (H, W, C) uint8: B, G, R, or one gray channel; resized bilinearly to `size` (height, width).

    Parameters
    ----------
    layer : NativeLayer
        Whose `error` makes the errors.
    path, place : str
        The file; where it is named, for messages.
    color : bool
        Three channels, or one.
    size : (int, int), optional

    Returns
    -------
    numpy.ndarray, uint8

    Raises
    ------
    LayerError
        A file that is missing, cut short, too large or not a picture.
    """
    data = _read_file(layer, path, place)
    picture = _decoded(layer, path, place, data, cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise _undecodable(layer, path, place, data)
    if size is not None and picture.shape[:2] != size:
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR)
    return picture if picture.ndim == 3 else picture[:, :, None]


def read_labels(layer, path, place, size=None):
    """A picture of labels as (H, W, 1): gray values, or the indices of a palette PNG; resized without blending.

    Caffe reads a palette PNG as the gray values of its colours, which are not labels.

    Parameters
    ----------
    layer : NativeLayer
        Whose `error` makes the errors.
    path, place : str
        The file; where it is named, for messages.
    size : (int, int), optional
        Height and width.

    Returns
    -------
    numpy.ndarray, uint8 or uint16

    Raises
    ------
    LayerError
        A file that is missing, cut short, too large, in colours or not a picture.
    """
    data = _read_file(layer, path, place)
    labels = _decoded(layer, path, place, _palette_to_gray(data), cv2.IMREAD_UNCHANGED, flat=True)
    if labels is None:
        raise _undecodable(layer, path, place, data)
    if labels.ndim == 3:
        raise layer.error(f"{place}: '{path}' is a colour picture; expected labels as a gray or palette PNG of indices")
    if size is not None and labels.shape != size:
        labels = cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST)
    return labels[:, :, None]


def _decoded(layer, path, place, data, flags, flat=False):
    try:
        return decode_picture(data, flags, flat)
    except TooMuch as error:
        raise layer.error(f"{place}: the picture '{path}' ({len(data)} bytes) is refused: {error}") from error


def _read_file(layer, path, place):
    if is_special(path):
        raise layer.error(f"{place}: cannot read the picture '{path}': it is not a regular file")
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as error:
        raise layer.error(f"{place}: cannot read the picture '{path}': {error.strerror}") from error


def _undecodable(layer, path, place, data):
    return layer.error(f"{place}: '{path}' ({len(data)} bytes) is truncated or not an image that can be decoded; "
                       "replace the file (JPEG, PNG, BMP, GIF, TIFF, WebP or PNM) or remove the line")


def _palette_to_gray(data):
    """An 8-bit palette PNG declared to be gray, so that decoders give its indices; other files as they are."""
    header = data[12:29]  # IHDR: width, height, depth, colour type, ...
    if data[:8] != PNG or len(data) < 33 or header[12:14] != b"\x08\x03":
        return data
    header = header[:13] + b"\0" + header[14:]
    out, at = [data[:12], header, zlib.crc32(header).to_bytes(4, "big")], 33
    while at + 12 <= len(data):  # chunks: length, name, content, checksum
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in (b"PLTE", b"tRNS", b"bKGD", b"hIST"):
            out.append(data[at:end])
        at = end
    return b"".join(out)


def decode_picture(data, flags, flat=False):
    """An encoded picture as cv2 decodes it; None where it cannot, or where the file ends too early.

    Parameters
    ----------
    data : bytes
    flags : int
        OpenCV's.
    flat : bool
        Whether few bytes a pixel are expected, as of maps.

    Returns
    -------
    numpy.ndarray or None

    Raises
    ------
    TooMuch
        A header that says more pixels than are allowed, or a JPEG of too many scans.
    """
    if not data or cut_short(data) or not decodable(data, flat):
        return None
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        return None


class PictureCache:
    """Decoded pictures by key, kept while all caches together stay under CACHE_BYTES; the rest is read again."""

    total_nbytes = 0  # of all caches
    _lock = threading.Lock()

    def __init__(self):
        self._pictures, self.nbytes = {}, 0
        forks.reset_in_child(self)

    def get(self, key, read):
        """The picture of `key`, from memory, or read by calling `read()`.

        Parameters
        ----------
        key : hashable
        read : callable
            Without arguments; gives the picture.

        Returns
        -------
        numpy.ndarray
        """
        picture = self._pictures.get(key)
        if picture is not None:
            return picture
        picture = read()
        with PictureCache._lock:
            if key not in self._pictures and PictureCache.total_nbytes + picture.nbytes <= CACHE_BYTES:
                self._pictures[key] = picture
                self.nbytes += picture.nbytes
                PictureCache.total_nbytes += picture.nbytes
        return picture

    def after_fork(self):
        """In a forked child: a thread of the parent may have held the lock."""
        PictureCache._lock = threading.Lock()

    def __del__(self):
        PictureCache.total_nbytes -= self.nbytes
