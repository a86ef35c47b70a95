"""WindowData: boxes of pictures warped to one size, foreground and background in a fixed share (R-CNN)."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..layer import register
from .data_transformer import Transformer, refuse_old_fields
from .pictures import PictureCache, read_picture
from .reading import DataLayer, write_array, write_pictures
from .streams import CHOICES, generator, shard


@dataclass(frozen=True)
class Window:
    """A box x1, y1, x2, y2 (both ends inside) of picture number `picture`, with its class."""

    picture: int
    label: int
    box: tuple


@register("WindowData")
class WindowData(DataLayer):
    """Windows (N, C, crop, crop) and labels (N,) from a window file.

    The file holds, for each picture: "# index", path, channels, height, width, the number of windows, and for each of
    those "class overlap x1 y1 x2 y2". A window whose overlap reaches fg_threshold is foreground, one below bg_threshold
    background (label 0). Of each batch, fg_fraction are foreground, after the background ones, drawn at random.
    crop_mode "warp" squeezes the box, "square" the square around it; context_pad leaves that many pixels of its
    surroundings on each side of the result.
    """

    tops = (2, 2)

    def setup(self, bottom, top):
        p = self.param = self._layer_param.window_data_param
        t = self._layer_param.transform_param
        self.crop = t.crop_size or p.crop_size
        if p.batch_size < 1 or self.crop < 1:
            raise self.error(f"batch_size is {p.batch_size}, crop_size (transform_param) {self.crop}: both must be at "
                             "least 1")
        if p.crop_mode not in ("warp", "square"):
            raise self.error(f"crop_mode is '{p.crop_mode}'; expected 'warp' or 'square'")
        if 2 * p.context_pad >= self.crop:
            raise self.error(f"context_pad {p.context_pad} leaves nothing of a crop of {self.crop}")
        refuse_old_fields(self, p, "mean_file")
        self.mirror, self.scale = t.mirror or p.mirror, t.scale * p.scale
        self.transformer = Transformer(self)
        self.pictures, self.foreground, self.background, self.channels = self._read(p.source)
        fg = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        self.counts = (p.batch_size - fg, fg)
        for count, windows, what in ((self.counts[0], self.background, "background"),
                                     (fg, self.foreground, "foreground")):
            if count and not windows:
                raise self.error(f"'{p.source}' has no {what} windows; a batch wants {count} (see fg_threshold "
                                 f"{p.fg_threshold:g}, bg_threshold {p.bg_threshold:g}, fg_fraction)")
        self.cache = PictureCache()
        top[0].reshape(p.batch_size, self.channels, self.crop, self.crop)
        top[1].reshape(p.batch_size)

    def _read(self, path):
        """The window file: paths, foreground windows, background windows, channels."""
        if not path:
            raise self.error("source is missing: the window file")
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as f:
                words = iter(f.read().split())
        except OSError as error:
            raise self.error(f"cannot read the window file '{path}': {error.strerror}") from error
        self._words, pictures, windows, channels = words, [], ([], []), set()
        try:
            for mark in words:
                if mark != "#":
                    raise ValueError(f"expected '#' before picture {len(pictures)}, found '{mark}'")
                self._word()  # the picture's own number
                pictures.append(self.param.root_folder + self._word())
                channels.add(int(self._word()))
                self._word(), self._word()  # height and width: read from the picture
                for _ in range(int(self._word())):
                    self._read_window(pictures, windows)
        except ValueError as error:
            raise self.error(f"'{path}' is not a window file: {error}") from None
        if not pictures:
            raise self.error(f"the window file '{path}' is empty")
        if channels not in ({1}, {3}):
            raise self.error(f"'{path}' says {sorted(channels)} channels; expected 1 or 3, the same for all pictures")
        return pictures, windows[1], windows[0], channels.pop()

    def _word(self):
        word = next(self._words, None)
        if word is None:
            raise ValueError("the file ends within a picture")
        return word

    def _read_window(self, pictures, windows):
        """Sort the next window into windows[0], background, or windows[1], foreground, or leave it out."""
        label, overlap = int(self._word()), np.float32(self._word())
        box = tuple([int(self._word()) for _ in range(4)])
        if overlap >= self.param.fg_threshold:
            if label < 1:
                raise ValueError(f"a foreground window of '{pictures[-1]}' has class {label}")
            windows[1].append(Window(len(pictures) - 1, label, box))
        elif overlap < self.param.bg_threshold:
            windows[0].append(Window(len(pictures) - 1, 0, box))

    def jobs(self, tick):
        random = generator(self, CHOICES, tick, shard(self)[0])
        jobs = []
        for count, windows in zip(self.counts, (self.background, self.foreground), strict=True):
            for index, flip in zip(random.integers(max(1, len(windows)), size=count),
                                   random.integers(2, size=count), strict=True):
                jobs.append(lambda w=windows[index], m=bool(flip) and self.mirror: (self.warped(w, m), w.label))
        return jobs

    def warped(self, window, mirror):
        """A window as (crop, crop, C) float32; what lies outside the picture is 0 after the mean is subtracted."""
        path = self.pictures[window.picture]
        picture = self.cache.get(path, lambda: read_picture(self, path, self.param.source, self.channels == 3))
        (x1, y1, x2, y2), pads, size = place_window(
            window.box, picture.shape, self.crop, self.param.context_pad, self.param.crop_mode == "square"
        )
        part = picture[y1 : y2 + 1, x1 : x2 + 1]
        if not part.size:
            raise self.error(f"the window {window.box} lies outside '{path}', {picture.shape[1]} x {picture.shape[0]}")
        left, top = pads[2] if mirror else pads[0], pads[1]
        width, height = min(size[0], self.crop - left), min(size[1], self.crop - top)  # rounding may exceed the crop
        out = np.zeros((self.crop, self.crop, picture.shape[2]), np.float32)
        if width > 0 and height > 0:
            part = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
            part = part[:, ::-1] if mirror else part
            place = slice(top, top + height), slice(left, left + width)
            out[place] = (part - self._mean(place, part.shape[2])) * np.float32(self.scale)
        return out

    def _mean(self, place, channels):
        mean, values = self.transformer.mean, self.transformer.mean_value
        if mean is None:
            return values if values.size in (1, channels) else np.float32(0)
        off = (mean.shape[1] - self.crop) // 2  # the middle of the mean picture lies under the crop
        return mean[off : off + self.crop, off : off + self.crop][place]

    def deliver(self, items, top):
        pictures, labels = zip(*items, strict=True)
        write_pictures(top[0], pictures)
        write_array(top[1], np.array(labels))


def place_window(box, shape, crop, context, square):
    """Where a box, enlarged by its context, lies in the picture and in the result.

    Parameters
    ----------
    box : x1, y1, x2, y2, both ends inside
    shape : shape of the picture, height first
    crop : extent of the result; `context` of its pixels on each side are surroundings
    square : take the square around the box

    Returns
    -------
    box : clipped to the picture
    pads : pixels of the result left, above, right of it that lie outside the picture
    size : (width, height) to which the clipped box is warped
    """
    x1, y1, x2, y2 = box
    if not context and not square:
        return box, (0, 0, 0), (crop, crop)
    scale = crop / (crop - 2 * context)
    half_h, half_w = (y2 - y1 + 1) / 2, (x2 - x1 + 1) / 2
    center_x, center_y = x1 + half_w, y1 + half_h
    if square:
        half_h = half_w = max(half_h, half_w)
    x1, x2 = _round(center_x - half_w * scale), _round(center_x + half_w * scale)
    y1, y2 = _round(center_y - half_h * scale), _round(center_y + half_h * scale)
    scale_x, scale_y = crop / (x2 - x1 + 1), crop / (y2 - y1 + 1)
    left, above = max(0, -x1), max(0, -y1)
    right, below = max(0, x2 - shape[1] + 1), max(0, y2 - shape[0] + 1)
    x1, y1, x2, y2 = x1 + left, y1 + above, x2 - right, y2 - below
    width, height = _round((x2 - x1 + 1) * scale_x), _round((y2 - y1 + 1) * scale_y)
    left, above, right = _round(left * scale_x), _round(above * scale_y), _round(right * scale_x)
    return (x1, y1, x2, y2), (left, above, right), (width, height)


def _round(value):
    """C's round: halves away from zero."""
    return int(np.floor(abs(value) + 0.5) * np.sign(value))
