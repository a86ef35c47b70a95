"""Data: pictures or arrays with labels from an LMDB database of Datum records."""

import os
import weakref

import cv2
import lmdb
import numpy as np

from ..errors import DatabaseError, UnknownShapeError
from ..layer import register
from ..lmdb_files import open_database
from .data_layer import DataLayer, Order, same_shapes, write_array, write_pictures
from .data_transformer import Transformer, refuse_old_fields
from .datum import read_datum

_open = weakref.WeakValueDictionary()  # LMDB allows one handle a file and process: layers share it


class _Database:
    """A read-only LMDB environment."""

    def __init__(self, path):
        self.env = open_database(path)


@register("Data")
class Data(DataLayer):
    """Records of an LMDB in the order of their keys, round after round: (N, C, H, W), and labels (N,).

    A record holds uint8 or float values (C, H, W), or an encoded picture, which force_color, force_gray or the
    picture itself gives three channels or one.
    """

    tops = (1, 2)

    def read_settings(self):
        p = self.param = self._layer_param.data_param
        t = self._layer_param.transform_param
        if p.batch_size < 1:
            raise self.error("batch_size is missing or 0; expected at least 1")
        if t.force_color and t.force_gray:
            raise self.error("give either force_color or force_gray, not both")
        if p.backend != p.LMDB:
            raise self.error(f"LevelDB is not supported (source '{p.source}'; it is what a data_param without backend "
                             "means): convert the data to LMDB (convert_imageset -backend lmdb) and set backend: LMDB")
        refuse_old_fields(self, p, "scale", "mean_file", "crop_size", "mirror")
        color = t.force_color or p.force_encoded_color
        self.flags = cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE if t.force_gray else cv2.IMREAD_UNCHANGED
        self.transformer = Transformer(self)

    def configure(self, bottom, top):
        self.read_settings()
        if self.transformer.crop is None:
            raise UnknownShapeError("the size of its images is not fixed: there is no crop")
        if self.flags == cv2.IMREAD_UNCHANGED:
            raise UnknownShapeError("whether its records have colours is stored in the database")
        self._shape_tops(top, 3 if self.flags == cv2.IMREAD_COLOR else 1, self.transformer.crop)

    def setup(self, bottom, top):
        self.read_settings()
        p = self.param
        self._connect(p.source)
        self.order = Order(self, self.count, p.batch_size, rand_skip=p.rand_skip)
        height, width, channels = self.picture(*self._record(self.order.items(0)[0]))[0].shape
        self._shape_tops(top, channels, self.transformer.extents(height, width))

    def _shape_tops(self, top, channels, extents):
        top[0].reshape(self.param.batch_size, channels, *extents)
        for blob in top[1:]:
            blob.reshape(self.param.batch_size)

    def _connect(self, source):
        path = self.path = os.path.realpath(getattr(self, "path", source))  # after a fork: the same, wherever we are
        try:
            self.database = _open.get(path) or _Database(path)
        except DatabaseError as error:
            raise self.error(str(error)) from error
        _open[path] = self.database
        self.count = self.database.env.stat()["entries"]
        if not self.count:
            raise self.error(f"the LMDB '{source}' is empty")
        self.cursor = self.database.env.begin().cursor()
        self.place = None  # of the cursor

    def _record(self, place):
        """Key and value of the record at a place, counted from 0 in the order of keys."""
        if self.database is None:
            self._connect(self.param.source)
        try:
            if self.place is None or place < self.place:
                self.cursor.first()
                self.place = 0
            while self.place < place:
                self.cursor.next()
                self.place += 1
            return self.cursor.item()
        except lmdb.Error as error:
            raise self.error(f"record {place} of '{self.param.source}', counted from 0, cannot be read: {error}; the "
                             "database is damaged, make it again") from error

    def picture(self, key, value):
        """A record's picture (H, W, C) and label.

        Parameters
        ----------
        key, value : bytes
            Of the record.

        Returns
        -------
        (numpy.ndarray, int)

        Raises
        ------
        LayerError
        """
        what = f"record '{key.decode(errors='replace')}' of '{self.param.source}'"
        try:
            values, label = read_datum(value, self.flags)
        except ValueError as error:
            raise self.error(f"{what} {error}") from error
        return values.transpose(1, 2, 0), label, what

    def after_fork(self):
        """In a forked child: LMDB's handles belong to the process that opened them; the next record opens anew."""
        super().after_fork()
        _open.clear()
        self.database = self.cursor = None

    def jobs(self, tick):
        choices = self.choices(self.transformer, tick, self.param.batch_size)
        records = [self._record(place) for place in self.order.items(tick)]
        return [lambda r=r, c=c: self.item(r, c) for r, c in zip(records, choices, strict=True)]

    def item(self, record, choice):
        picture, label, what = self.picture(*record)
        return self.transformer(picture, choice, what), label, what

    def deliver(self, items, top):
        pictures, labels, names = zip(*items, strict=True)
        same_shapes(self, pictures, names)
        write_pictures(top[0], pictures)
        if len(top) > 1:
            write_array(top[1], np.array(labels))
