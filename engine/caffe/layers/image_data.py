"""Pictures listed in a text file: ImageData, and ImageSegData of DeepLab-v2 with a label for every pixel."""

import os
import re

import cv2
import numpy as np

from ..errors import UnknownShapeError
from ..layer import register
from .data_layer import DataLayer, Order, read_source, resize_to, same_shapes, write_array, write_pictures
from .data_transformer import Transformer, refuse_old_fields
from .pictures import PictureCache, read_labels, read_picture


class _PictureList(DataLayer):
    """A source list, its order and its cache."""

    def read_settings(self):
        p = self.param = self._layer_param.image_data_param
        if p.batch_size < 1:
            raise self.error("batch_size is 0; expected at least 1")
        t = self._layer_param.transform_param
        if t.force_color or t.force_gray:
            raise self.error("force_color and force_gray are for databases; use is_color of image_data_param")
        refuse_old_fields(self, p, "scale", "mean_file", "crop_size", "mirror")
        self.size = resize_to(self, p)
        self.transformer = Transformer(self)

    def setup(self, bottom, top):
        self.read_settings()
        p = self.param
        self.lines = read_source(self, p.source, self.parse)
        self.order = Order(self, len(self.lines), p.batch_size, p.shuffle, p.rand_skip)
        self.cache = PictureCache()

    def configure(self, bottom, top):
        self.read_settings()
        extents = self.transformer.crop or (None if self.transformer.factors else self.size)
        if extents is None:
            raise UnknownShapeError("the size of its images is not fixed: there is no crop, no new_height and no "
                                    "new_width")
        self.shape_tops(top, 3 if self.param.is_color else 1, extents)

    def shape_tops(self, top, channels, extents):
        """Give the tops their shapes: pictures of so many channels, of the extents (height, width)."""
        raise NotImplementedError(f"{type(self).__name__} defines no shape_tops")

    def jobs(self, tick):
        choices = self.choices(self.transformer, tick, self.param.batch_size)
        pairs = zip(self.order.items(tick), choices, strict=True)
        return [lambda i=index, c=choice: self.item(i, c) for index, choice in pairs]

    def picture(self, path, place):
        full, color = self.param.root_folder + path, self.param.is_color
        return self.cache.get((path, "picture"), lambda: read_picture(self, full, place, color, self.size))

    def label_picture(self, path, place):
        full = self.param.root_folder + path
        return self.cache.get((path, "labels"), lambda: read_labels(self, full, place, self.size))


@register("ImageData")
class ImageData(_PictureList):
    """Pictures (N, C, H, W) and labels (N,) from lines "path label"; the path follows root_folder.

    Decoding and resizing (bilinear) are OpenCV's, as in Caffe. Without a size or a crop every batch takes the shape
    of its pictures.
    """

    tops = (2, 2)

    def setup(self, bottom, top):
        super().setup(bottom, top)
        (path, _), place = self.lines[self.order.items(0)[0]]
        height, width, channels = self.picture(path, place).shape
        self.shape_tops(top, channels, self.transformer.extents(height, width))

    def shape_tops(self, top, channels, extents):
        top[0].reshape(self.param.batch_size, channels, *extents)
        top[1].reshape(self.param.batch_size)

    @staticmethod
    def parse(line):
        path, *label = line.rsplit(None, 1)  # the path may hold blanks
        if not label:
            raise ValueError("expected 'path label'; the label is missing")
        label = label[0]
        try:
            return path, int(label)
        except ValueError:
            raise ValueError(f"expected 'path label'; the label '{label}' is not an integer") from None

    def item(self, index, choice):
        (path, label), place = self.lines[index]
        picture = self.picture(path, place)
        return self.transformer(picture, choice, f"{place}: '{path}'"), label, place

    def deliver(self, items, top):
        pictures, labels, places = zip(*items, strict=True)
        same_shapes(self, pictures, places)
        write_pictures(top[0], pictures)
        write_array(top[1], np.array(labels))


@register("ImageSegData")
class ImageSegData(_PictureList):
    """Pictures (N, C, H, W), labels (N, 1, H, W), and optionally sizes (N, 1, 1, 2), from lines "picture labels".

    label_type PIXEL: the second name is a gray or palette picture of labels, which gets the crop and the mirroring of
    its picture; IMAGE: it is one number for all pixels; NONE: all pixels are ignore_label. One of scale_factors, drawn
    for each picture, resizes it first, bilinearly, to int(extent * factor). A picture smaller than the crop is padded
    at the bottom and right, with the mean value and with ignore_label. The third top is the height and width of the
    picture as it was read, no larger than the crop. Label pictures are resized without blending (nearest).

    Names may hold blanks. The last blank of a line divides the two, unless an earlier one gives two files that exist.
    """

    tops = (2, 3)

    def read_settings(self):
        p = self._layer_param.image_data_param
        if self._layer_param.transform_param.mean_file:
            raise self.error("mean_file is not supported by ImageSegData; use mean_value")
        self.by_pixel, self.by_image = p.label_type == p.PIXEL, p.label_type == p.IMAGE
        super().read_settings()

    def setup(self, bottom, top):
        super().setup(bottom, top)
        self.deliver([job() for job in self.jobs(0)[:1]] * self.param.batch_size, top)

    def shape_tops(self, top, channels, extents):
        n = self.param.batch_size
        for blob, shape in zip(top, ((n, channels, *extents), (n, 1, *extents), (n, 1, 1, 2)), strict=False):
            blob.reshape(*shape)

    def parse(self, line):
        if not (self.by_pixel or self.by_image):  # a second name may follow; it is not read
            return (line if self._exists(line) else self._split(line)[0]), None
        path, label = self._split(line)
        if not label:
            raise ValueError("expected 'picture labels'; the second is missing")
        if self.by_image:
            try:
                return path, int(label)
            except ValueError:
                raise ValueError(f"label_type IMAGE expects an integer, got '{label}'") from None
        return path, label

    def _split(self, line):
        """The two names of a line; the second is empty if there is only one."""
        pairs = [(line[: m.start()], line[m.end() :]) for m in re.finditer(r"\s+", line)][::-1]
        if self.by_pixel and len(pairs) > 1:
            pairs = [pair for pair in pairs if all(map(self._exists, pair))] or pairs
        elif len(pairs) > 1 and not self.by_image:
            pairs = [pair for pair in pairs if self._exists(pair[0])] or pairs[::-1]
        return pairs[0] if pairs else (line, "")

    def _exists(self, name):
        return os.path.isfile(self.param.root_folder + name)

    def item(self, index, choice):
        (path, label), place = self.lines[index]
        picture = self.picture(path, place)
        height, width = picture.shape[:2]
        if self.by_pixel:
            labels = self.label_picture(label, place)
            if labels.shape[:2] != (height, width):
                raise self.error(f"{place}: the picture '{path}' is {height} x {width}, the labels '{label}' "
                                 f"{labels.shape[0]} x {labels.shape[1]}; expected one size")
        else:
            labels = np.full((height, width, 1), label if self.by_image else self.param.ignore_label, np.float32)
        read = height, width
        picture, labels = self.rescaled(picture, labels, choice.factor, f"{place}: '{path}'")
        height, width = picture.shape[:2]
        crop = self.transformer.extents(height, width)
        picture = self.padded(picture, crop, self.transformer.mean_value if self.transformer.mean_value.size else 0)
        labels = self.padded(labels, crop, self.param.ignore_label)
        place = f"{place}: '{path}'"
        out = self.transformer(picture, choice, place)
        labels = labels[self.transformer.window(*picture.shape[:2], choice, place)].astype(np.float32)
        labels = labels[:, ::-1] if choice.mirror else labels
        return out, labels, (min(read[0], crop[0]), min(read[1], crop[1])), place

    def rescaled(self, picture, labels, factor, what):
        """Picture and labels resized by one of scale_factors.

        Parameters
        ----------
        picture, labels : numpy.ndarray
            (H, W, C) uint8.
        factor : float
        what : str
            What messages call the picture.

        Returns
        -------
        (numpy.ndarray, numpy.ndarray)
        """
        if factor == 1:
            return picture, labels
        # the product of an integer and a C float, cut
        height, width = (int(np.float32(n) * np.float32(factor)) for n in picture.shape[:2])
        if min(height, width) < 1:
            raise self.error(f"{what} is {picture.shape[0]} x {picture.shape[1]}; the scale factor {factor:g} leaves "
                             "nothing of it")
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        labels = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST)
        return picture.reshape(height, width, -1), labels.reshape(height, width, 1)

    @staticmethod
    def padded(array, extents, value):
        """The array filled up at the bottom and at the right.

        Parameters
        ----------
        array : numpy.ndarray
            (H, W, C).
        extents : (int, int)
            Least height and width.
        value : float

        Returns
        -------
        numpy.ndarray
        """
        height, width, channels = array.shape
        out_h, out_w = max(height, extents[0]), max(width, extents[1])
        if (out_h, out_w) == (height, width):
            return array
        out = np.empty((out_h, out_w, channels), np.float32)
        out[...] = value
        out[:height, :width] = array
        return out

    def deliver(self, items, top):
        pictures, labels, sizes, places = zip(*items, strict=True)
        same_shapes(self, pictures, places)
        write_pictures(top[0], pictures)
        write_pictures(top[1], labels)
        if len(top) == 3:
            write_array(top[2], np.array(sizes, np.float32).reshape(-1, 1, 1, 2))
