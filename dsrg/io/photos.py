"""Photos: found by id, decoded as Caffe decodes them, refused when cut off."""

import contextlib
import os
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from PIL import ImageOps

from dsrg.io.atomic_files import atomic_write
from dsrg.io.counts import few_of
from dsrg.io.errors import UserError
from dsrg.io.picture_files import open_picture, read_picture

#: suffixes of photos, in any case; of one id in several formats the first here is taken
PHOTO_SUFFIXES = (".jpg", ".png", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".ppm", ".pgm",
                  ".pnm")
SUFFIXES_TEXT = "jpg, png, webp, tif, bmp and the like"
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)    # an error line tells of each fault


class CutOff(UserError):
    """A photo that ends before its last pixel."""


def is_photo(name):
    """Whether a file's name ends as a photo's does; upper and lower case are the same.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return PurePosixPath(name).suffix.lower() in PHOTO_SUFFIXES


def find_images(folder, ids):
    """Files of photos by id; each folder is listed once, whatever the number of photos.

    Parameters
    ----------
    folder : path
    ids : sequence of str

    Returns
    -------
    dict of str to Path
        In the order of the ids. Of several suffixes the first of PHOTO_SUFFIXES counts.

    Raises
    ------
    UserError
        An id without a photo; names the first and says how many.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"photo folder {folder} does not exist")
    files = files_of_ids(folder, ids)
    found = {image_id: paths[0] for image_id, paths in files.items() if paths}
    missing = [image_id for image_id, paths in files.items() if not paths]
    if missing:
        raise UserError(f"{few_of(missing, ids, 'id')} no photo in {folder}, the first is '{missing[0]}' "
                        f"(looked for {SUFFIXES_TEXT}); add the photos or take the ids out of the list")
    return found


def find_image(folder, image_id):
    """Path of photo `<folder>/<id>`, the first suffix of PHOTO_SUFFIXES that exists; UserError if none.

    Parameters
    ----------
    folder : path
    image_id : str

    Returns
    -------
    Path

    Raises
    ------
    UserError
        No such folder, or no photo of this id in it.
    """
    folder = Path(folder)
    path = folder / f"{image_id}{PHOTO_SUFFIXES[0]}"    # nearly all photos, without listing a folder of many
    if path.is_file():
        return path
    with contextlib.suppress(UserError):
        return find_images(folder, [image_id])[image_id]
    if not folder.is_dir():
        raise UserError(f"photo folder {folder} does not exist")
    raise UserError(f"no photo for id '{image_id}' in {folder} (looked for {SUFFIXES_TEXT}); "
                    "add it or take the id out of the list")


def files_of_ids(folder, ids):
    """All photo files of each id, the preferred one first; [] where there is none.

    Each folder is listed once. What is not there, or may not be listed, holds no photo.

    Parameters
    ----------
    folder : path
    ids : iterable of str

    Returns
    -------
    dict of str to list of Path
    """
    folder, parts, found = Path(folder), {}, {}
    for image_id in ids:
        part, _, stem = image_id.rpartition("/")
        if part not in parts:
            parts[part] = _photos_by_stem(folder / part)
        found[image_id] = [folder / part / name for name in parts[part].get(stem, ())]
    return found


def _photos_by_stem(folder):
    """Name without suffix -> file names, the preferred first, of the photos right in a folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if is_photo(entry.name)]
    except OSError:
        return {}
    found = {}
    for name in sorted(names, key=_preference):
        found.setdefault(PurePosixPath(name).stem, []).append(name)
    return found


def _preference(name):
    """Photos of one id in the order in which they are preferred: by format, lower case first."""
    suffix = PurePosixPath(name).suffix
    return PHOTO_SUFFIXES.index(suffix.lower()), suffix != suffix.lower(), name


def load_image_bgr(path):
    """Read a photo.

    Parameters
    ----------
    path : path

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Channels B, G, R; turned upright as its EXIF orientation says, as OpenCV and Caffe's ImageData do.

    Raises
    ------
    UserError
        Missing, no regular file, not a picture, too many pixels, or cut off before its end (OpenCV alone would fill
        the rest with gray).
    """
    return decode_photo(read_picture(path, "photo"), path)


def decode_photo(data, path):
    """As load_image_bgr, of the bytes of a file whose size was checked; `path` is what errors call it.

    Parameters
    ----------
    data : bytes
    path : path

    Returns
    -------
    uint8 array (H, W, 3)
        Channels B, G, R.

    Raises
    ------
    UserError
        As of load_image_bgr.
    """
    if not _has_end_marker(data):
        _refuse_truncated(data, path)
    image_bgr = decode_bgr(data)
    if image_bgr is None:
        image_bgr = _decode_with_pillow(data, path)
    return image_bgr


def load_gray(path, what):
    """Read a picture as gray, uint8 (H, W); UserError as of load_image_bgr, with `what` in front of its path.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.

    Returns
    -------
    uint8 array (H, W)
    """
    return _load(path, what, cv2.IMREAD_GRAYSCALE)


def load_unchanged(path, what):
    """Read a picture as it is stored, (H, W) or (H, W, channels), 8 or 16 bits; UserError as of load_gray.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.

    Returns
    -------
    uint8 or uint16 array (H, W) or (H, W, channels)
    """
    return _load(path, what, cv2.IMREAD_UNCHANGED)


def _load(path, what, flags):
    pixels = _decode(read_picture(path, what, flat=True), flags)
    if pixels is None:
        raise UserError(f"{what} {path} is not a readable picture; make it again")
    return pixels


def decode_bgr(data):
    """The pixels of a picture file's bytes as OpenCV gives them, uint8 (H, W, 3), upright; None where it gives none.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    uint8 array (H, W, 3) or None
    """
    return _decode(data, cv2.IMREAD_COLOR)


def _decode(data, flags):
    with contextlib.suppress(cv2.error, MemoryError):  # raised for some garbage; None for other
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None


def _decode_with_pillow(data, path):
    """What OpenCV does not decode (rare compressions of TIFF), upright, (H, W, 3) in B, G, R."""
    with open_picture(data, path, "photo") as image:
        try:
            if image.format in ("JPEG", "PNG") or image.mode.startswith(("I", "F")):
                raise ValueError(f"a damaged {image.format} of mode {image.mode}")
            return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[:, :, ::-1])
        except (OSError, SyntaxError, ValueError, MemoryError) as error:
            raise UserError(f"photo {path} is not a readable picture ({error}, {len(data)} bytes); replace the file or "
                            "take it out of the list") from None


def write_picture(path, pixels, *parameters):
    """Write uint8 pixels, (H, W) or (H, W, 3) B, G, R, whole or not at all, in the format that the suffix names.

    OpenCV's own writer reports success where the disk is full, and leaves a file that is cut off.

    Parameters
    ----------
    parameters : ints
        cv2.imencode's, such as cv2.IMWRITE_JPEG_QUALITY, 95.

    Raises
    ------
    UserError
        A suffix of no format, or a file that cannot be written.
    """
    path = Path(path)
    try:
        encoded = cv2.imencode(path.suffix, pixels, parameters)[1]
    except cv2.error:
        raise UserError(f"cannot write {path}: '{path.suffix}' is not a format of pictures; use .png or .jpg") from None
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _has_end_marker(data):
    """Whether a JPEG or PNG ends as it should; other formats pass."""
    if data.startswith(b"\xff\xd8"):
        return data.rstrip(b"\0\r\n").endswith(b"\xff\xd9")
    if data.startswith(b"\x89PNG"):
        return data[-12:].startswith(b"\0\0\0\0IEND")
    return True


def _refuse_truncated(data, path):
    """Decode with Pillow, which stops at a cut; files with other bytes after their end pass."""
    try:
        with open_picture(data, path, "photo") as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        raise CutOff(f"photo {path} is cut off before its end; copy or download it again") from None
