"""Photos: found by id, decoded as Caffe decodes them, refused when cut off."""

import contextlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from dsrg.io.errors import UserError

PHOTO_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG")


def find_image(folder, image_id):
    """Path of photo `<folder>/<id>`, the first suffix of PHOTO_SUFFIXES that exists; UserError if none."""
    folder = Path(folder)
    for suffix in PHOTO_SUFFIXES:
        path = folder / (image_id + suffix)
        if path.is_file():
            return path
    if not folder.is_dir():
        raise UserError(f"photo folder {folder} does not exist")
    raise UserError(f"no photo for id '{image_id}' in {folder} (looked for {', '.join(PHOTO_SUFFIXES[:3])}); "
                    "add it or take the id out of the list")


def load_image_bgr(path):
    """Read a photo.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Channels B, G, R; turned upright as its EXIF orientation says, as OpenCV and Caffe's ImageData do.

    Raises
    ------
    UserError
        Missing, not a picture, or cut off before its end (OpenCV alone would fill the rest with gray).
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"photo {path} does not exist") from None
    except OSError as error:
        raise UserError(f"photo {path} cannot be read: {error.strerror or error}") from None
    if not _has_end_marker(data):
        _refuse_truncated(path)
    image_bgr = None
    with contextlib.suppress(cv2.error):  # raised for an empty file; None for other garbage
        image_bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image_bgr is None:
        raise UserError(f"photo {path} is not a readable picture ({len(data)} bytes); "
                        "replace the file or take it out of the list")
    return image_bgr


def _has_end_marker(data):
    """Whether a JPEG or PNG ends as it should; other formats pass."""
    if data.startswith(b"\xff\xd8"):
        return data.rstrip(b"\0\r\n").endswith(b"\xff\xd9")
    if data.startswith(b"\x89PNG"):
        return data[-12:].startswith(b"\0\0\0\0IEND")
    return True


def _refuse_truncated(path):
    """Decode with PIL, which stops at a cut; files with other bytes after their end pass."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"photo {path} is cut off before its end; copy or download it again") from None
