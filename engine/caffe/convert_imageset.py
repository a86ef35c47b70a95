"""Caffe's convert_imageset: an LMDB of the pictures of a list."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import cv2
import numpy as np

from . import glog
from .datum_database import COMMIT, Writer
from .errors import DatabaseError
from .layers.data_layer import read_source
from .layers.pictures import decode_picture, read_picture
from .proto import caffe_pb2


class _Tool:
    """What the readers of lists and pictures ask of a layer: to make their errors."""

    @staticmethod
    def error(message):
        return DatabaseError(message)


def convert_imageset(root, source, path, gray=False, shuffle=False, size=None, check_size=False, encoded=False,
                     encode_type=""):
    """Make an LMDB of pictures.

    Parameters
    ----------
    root : str
        Put before each name as it is.
    source : str
        List of "name label" lines; a name may hold blanks.
    path : str
        The new database. Keys are "<eight digits>_<name>".
    gray : bool
        One channel instead of three (B, G, R).
    shuffle : bool
        Another order than the list's (the same one every time).
    size : (int, int), optional
        Height and width to resize to.
    check_size : bool
        Refuse pictures of several sizes.
    encoded : bool
        Store the pictures compressed: the file as it is where possible.
    encode_type : str
        Compression, as a suffix ("png", "jpg"); without it that of the file.

    Raises
    ------
    DatabaseError
        With the line of the list. (Caffe leaves out what it cannot read.)
    """
    items = read_source(_Tool, source, _name_and_label)
    if shuffle:
        glog.info("convert_imageset", "Shuffling data")
        items = [items[k] for k in np.random.default_rng(0).permutation(len(items))]
    glog.info("convert_imageset", f"A total of {len(items)} images.")
    read = partial(_picture_datum, root, color=not gray, size=size, encoding=encode_type if encoded else None)
    first, done = None, 0
    with Writer(path) as database, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
        remaining = iter(items)
        while chunk := list(islice(remaining, COMMIT)):
            for ((name, _), place), (datum, shape) in zip(chunk, threads.map(read, chunk), strict=True):
                first = first or (shape, place)
                if check_size and shape != first[0]:
                    raise DatabaseError(f"{place}: '{root}{name}' is {shape[0]} x {shape[1]} with {shape[2]} channels, "
                                        f"the picture of {first[1]} {first[0][0]} x {first[0][1]} with {first[0][2]}; "
                                        "give --resize_height and --resize_width")
                database.put(f"{done:08d}_{name}", datum)
                done += 1
            glog.info("convert_imageset", f"Processed {done} files.")


def _name_and_label(line):
    name, _, label = line.rpartition(" ")
    try:
        return name.rstrip(), int(label)
    except ValueError:
        raise ValueError("expected a name and a whole number, separated by a blank") from None


def _picture_datum(root, item, color, size, encoding):
    """Datum of an item of the list, and the picture's shape (H, W, C)."""
    (name, label), place = item
    path = root + name
    picture = read_picture(_Tool, path, place, color, size)
    datum = caffe_pb2.Datum(label=label)
    if encoding is None:
        datum.channels, datum.height, datum.width = picture.shape[2], *picture.shape[:2]
        datum.data = picture.transpose(2, 0, 1).tobytes()
        return datum, picture.shape
    suffix = os.path.splitext(name)[1][1:].lower()
    kind = encoding.lower().lstrip(".") or suffix
    same = {kind, suffix} <= {"jpg", "jpeg"} or kind == suffix
    datum.encoded = True
    if same and size is None and color == _has_colours(path):
        with open(path, "rb") as file:
            datum.data = file.read()
        return datum, picture.shape
    try:
        good, data = cv2.imencode(f".{kind}", picture)
    except cv2.error:
        good = False
    if not good:
        raise DatabaseError(f"{place}: '{path}' cannot be stored as '{kind}'; give --encode_type png or jpg")
    datum.data = data.tobytes()
    return datum, picture.shape


def _has_colours(path):
    with open(path, "rb") as file:
        picture = decode_picture(file.read(), cv2.IMREAD_UNCHANGED)
    return picture is not None and picture.ndim == 3 and picture.shape[2] == 3
