"""LMDB databases of Datum records and the tools that make and read them: convert_imageset, compute_image_mean,
extract_features (``python -m caffe TOOL``), with Caffe's flags, keys and records.
"""

import contextlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice

import cv2
import lmdb
import numpy as np

from . import device, glog
from .errors import DatabaseError
from .layers.data_layer import read_source
from .layers.datum import values_of as datum_values
from .layers.pictures import decode_picture, read_picture
from .lmdb_files import open_database
from .modelfile import write_atomic
from .net import TEST, Net
from .proto import caffe_pb2

COMMIT = 1000  # records a transaction, and lines of progress


class _Tool:
    """What the readers of lists and pictures ask of a layer: to make their errors."""

    @staticmethod
    def error(message):
        return DatabaseError(message)


# ---- databases ------------------------------------------------------------------------------------------


class Writer:
    """A new LMDB: ``put(key, datum)``; a context manager that puts the whole in its place at the end, or removes it.

    Raises
    ------
    DatabaseError
        Where `path` exists, or cannot be written.
    """

    def __init__(self, path):
        self.path = os.fspath(path).rstrip("/")
        if os.path.lexists(self.path):
            raise DatabaseError(f"'{self.path}' exists; remove it, or give the database another name")
        self._temporary = os.path.join(os.path.dirname(self.path), f".{os.path.basename(self.path)}.{os.getpid()}.tmp")
        self._pending = []

    def __enter__(self):
        try:
            self._env = lmdb.open(self._temporary, map_size=1 << 24)
        except (lmdb.Error, OSError) as error:
            raise DatabaseError(f"cannot write the database '{self.path}': {error}") from error
        return self

    def put(self, key, datum):
        """Add a record; keys come in the order in which they are to be read."""
        self._pending.append((key.encode(errors="surrogateescape"), datum.SerializeToString()))
        if len(self._pending) == COMMIT:
            self._write()

    def _write(self):
        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
                break
            except lmdb.MapFullError:
                self._env.set_mapsize(2 * self._env.info()["map_size"])
            except lmdb.Error as error:
                raise DatabaseError(f"cannot write the database '{self.path}': {error}") from error
        self._pending = []

    def __exit__(self, kind, error, traceback):
        try:
            with self._env:
                if kind is None:
                    self._write()
            if kind is None:
                os.rename(self._temporary, self.path)
        finally:
            shutil.rmtree(self._temporary, ignore_errors=True)


def records(path):
    """Every record of an LMDB as (name for messages, Datum), in the order of the keys.

    Raises
    ------
    DatabaseError
        No database, an empty one, or a record that is not a Datum.
    """
    env = open_database(path, readahead=True)
    with env, env.begin() as transaction:
        if not env.stat()["entries"]:
            raise DatabaseError(f"the LMDB '{path}' is empty")
        for key, value in _items(path, transaction.cursor()):
            what = f"record '{key.decode(errors='replace')}' of '{path}'"
            try:
                yield what, caffe_pb2.Datum.FromString(value)
            except Exception as error:
                raise DatabaseError(f"{what} is not a Datum message") from error


def _items(path, cursor):
    """Keys and values, the library's complaints told as ours."""
    try:
        yield from cursor
    except lmdb.Error as error:
        raise DatabaseError(f"the LMDB '{path}' is damaged: {error}; make or copy it again") from error


def values_of(what, datum):
    """A record's values, (C, H, W): uint8, or float32 where it holds floats."""
    try:
        return datum_values(datum, cv2.IMREAD_UNCHANGED)
    except ValueError as error:
        raise DatabaseError(f"{what} {error}") from error


# ---- convert_imageset -----------------------------------------------------------------------------------


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


# ---- compute_image_mean ---------------------------------------------------------------------------------


def compute_image_mean(path, target=None):
    """Mean over the records of an LMDB, written as a binaryproto of shape (1, C, H, W) where `target` is given.

    Returns
    -------
    numpy.ndarray, float64
        (C, H, W).

    Raises
    ------
    DatabaseError
        Records of several sizes.
    """
    total, count = None, 0
    for what, datum in records(path):
        values = values_of(what, datum)
        if total is None:
            total = np.zeros(values.shape, np.float64)
        if values.shape != total.shape:
            raise DatabaseError(f"{what} is {values.shape}, those before it {total.shape}: a mean needs pictures of "
                                "one size; give convert_imageset --resize_height and --resize_width")
        total += values
        count += 1
        if count % 10000 == 0:
            glog.info("compute_image_mean", f"Processed {count} files.")
    glog.info("compute_image_mean", f"Processed {count} files.")
    mean = total / count
    if target:
        blob = caffe_pb2.BlobProto(num=1, channels=mean.shape[0], height=mean.shape[1], width=mean.shape[2])
        blob.data.extend(mean.astype(np.float32).ravel())
        glog.info("compute_image_mean", f"Write to {target}")
        write_atomic(target, blob.SerializeToString())
    glog.info("compute_image_mean", f"Number of channels: {len(mean)}")
    for channel, value in enumerate(mean.mean((1, 2))):
        glog.info("compute_image_mean", f"mean_value channel [{channel}]: {value:g}")
    return mean


# ---- extract_features -----------------------------------------------------------------------------------


def extract_features(weights, model, blobs, paths, batches):
    """Run a net that feeds itself and store blobs: one LMDB for each, one record of floats (C, H, W) an item.

    Parameters
    ----------
    weights, model : str
        Weights and prototxt (phase TEST).
    blobs, paths : sequence of str
        Names of blobs, and for each the database to make. Keys are ten digits.
    batches : int
        Forwards to run.

    Raises
    ------
    DatabaseError
        Unknown blobs, or another number of databases.
    """
    if len(blobs) != len(paths) or len(set(paths)) != len(paths):
        raise DatabaseError(f"{len(blobs)} blob(s), but {len(set(paths))} database(s); give one for each")
    net = Net(model, TEST, weights=weights)
    for name in blobs:
        if name not in net.blobs:
            raise DatabaseError(f"the net '{net.name}' has no blob '{name}'; it has {', '.join(net.blobs)}")
        if len(net.blobs[name].dims) > 4:
            raise DatabaseError(f"blob '{name}' is {net.blobs[name].dims}: a record has three axes at most, after the "
                                "item's")
    glog.info("extract_features", "Extracting Features")
    counts = dict.fromkeys(paths, 0)
    with contextlib.ExitStack() as stack:
        databases = [stack.enter_context(Writer(path)) for path in paths]
        for _ in range(batches):
            net._forward()
            for name, database, path in zip(blobs, databases, paths, strict=True):
                blob = net.blobs[name]
                shape = (blob.channels, blob.height, blob.width)
                for values in blob.data_memory.array().reshape(blob.num, -1):
                    datum = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2])
                    datum.float_data.extend(values)
                    database.put(f"{counts[path]:010d}", datum)
                    counts[path] += 1
    for name, path in zip(blobs, paths, strict=True):
        glog.info("extract_features", f"Extracted features of {counts[path]} query images for feature blob {name}")


def use_device(mode, device_id):
    """CPU or GPU of extract_features' last two words."""
    if mode == "GPU":
        device.set_device(device_id)
        device.set_mode_gpu()
