"""WindowData: boxes of pictures warped to one size, foreground and background in a fixed share (R-CNN)."""

import re
from dataclasses import dataclass

import cv2
import numpy as np

from ..errors import UnknownShapeError
from ..layer import register
from ..regular_files import is_special
from ..text_files import read_lines_of
from .data_layer import DataLayer, write_array, write_pictures
from .data_transformer import Transformer, refuse_old_fields
from .pictures import PictureCache, read_picture
from .random_streams import CHOICES, generator, shard


@dataclass(frozen=True)
class Window:
    """A box x1, y1, x2, y2 (both ends inside) of picture number `picture`, with its class, and its line."""

    picture: int
    label: int
    box: tuple
    line: int


@register("WindowData")
class WindowData(DataLayer):
    """Windows (N, C, crop, crop) and labels (N,) from a window file.

    The file holds, for each picture: "# index", path, channels, height, width, the number of windows, and for each of
    those "class overlap x1 y1 x2 y2". A path may hold blanks: it reaches to the end of its line, or to the numbers
    there. A window whose overlap reaches fg_threshold is foreground, one below bg_threshold background (label 0). Of
    each batch, fg_fraction are foreground, after the background ones, drawn at random.
    crop_mode "warp" squeezes the box, "square" the square around it; context_pad leaves that many pixels of its
    surroundings on each side of the result.
    """

    tops = (2, 2)

    def read_settings(self):
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

    def configure(self, bottom, top):
        self.read_settings()
        raise UnknownShapeError("the number of channels is stored in its window file")

    def setup(self, bottom, top):
        self.read_settings()
        p = self.param
        self.pictures, self.foreground, self.background, self.channels = self._read(p.source)
        fg = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))
        self.counts = (p.batch_size - fg, fg)
        for count, windows, what in ((self.counts[0], self.background, "background"),
                                     (fg, self.foreground, "foreground")):
            if count and not windows:
                raise self.error(f"'{p.source}' has no {what} windows; a batch needs {count} (see fg_threshold "
                                 f"{p.fg_threshold:g}, bg_threshold {p.bg_threshold:g}, fg_fraction)")
        self.cache = PictureCache()
        top[0].reshape(p.batch_size, self.channels, self.crop, self.crop)
        top[1].reshape(p.batch_size)

    def _read(self, path):
        """The window file: paths, foreground windows, background windows, channels."""
        if not path:
            raise self.error("source is missing: the window file")
        pictures, windows, channels = [], ([], []), {}
        if is_special(path):
            raise self.error(f"cannot read the window file '{path}': it is not a regular file")
        try:
            words = WindowWords(read_lines_of(path))
        except OSError as error:
            raise self.error(f"cannot read the window file '{path}': {error.strerror}") from error
        except ValueError as error:
            raise self.error(f"cannot read the window file '{path}': {error}") from None
        try:
            while words.more():
                self._read_picture(words, path, pictures, windows, channels)
        except ValueError as error:
            raise self.error(f"{path}:{words.line}: not a window file: {error}") from None
        if not pictures:
            raise self.error(f"the window file '{path}' is empty")
        if set(channels) not in ({1}, {3}):
            lines = ", ".join(f"{n} (line {line})" for n, line in channels.items())
            raise self.error(f"'{path}' gives channels as {lines}; expected 1 or 3, the same for all pictures")
        return pictures, windows[1], windows[0], next(iter(channels))

    def _read_picture(self, words, path, pictures, windows, channels):
        """Read what the file says of the next picture."""
        if (mark := words.next()) != "#":
            raise ValueError(f"expected '#' before picture {len(pictures)}, found '{mark}'")
        words.next()  # the picture's own number
        name = words.name()
        pictures.append((self.param.root_folder + name, f"{path}:{words.line}"))
        channels.setdefault(words.number(int, "channels"), words.line)
        for extent in ("height", "width"):
            words.number(int, extent)  # the picture itself says it
        for _ in range(words.number(int, "number of windows")):
            self._read_window(words, pictures, windows)

    def _read_window(self, words, pictures, windows):
        """Sort the next window into windows[0], background, or windows[1], foreground, or leave it out."""
        label, overlap = words.number(int, "class"), np.float32(words.number(float, "overlap"))
        box = tuple([words.number(int, end) for end in ("x1", "y1", "x2", "y2")])
        if overlap >= self.param.fg_threshold:
            if label < 1:
                raise ValueError(f"a foreground window of '{pictures[-1][0]}' has class {label}; expected 1 or more")
            windows[1].append(Window(len(pictures) - 1, label, box, words.line))
        elif overlap < self.param.bg_threshold:
            windows[0].append(Window(len(pictures) - 1, 0, box, words.line))

    def jobs(self, tick):
        random = generator(self, CHOICES, tick, shard(self)[0])
        jobs = []
        for count, windows in zip(self.counts, (self.background, self.foreground), strict=True):
            for index, flip in zip(random.integers(max(1, len(windows)), size=count),
                                   random.integers(2, size=count), strict=True):
                jobs.append(lambda w=windows[index], m=bool(flip) and self.mirror: (self.warped(w, m), w.label))
        return jobs

    def warped(self, window, mirror):
        """A window as (crop, crop, C) float32; what lies outside the picture is 0 after the mean is subtracted.

        Parameters
        ----------
        window
            One line of the window file.
        mirror : bool

        Returns
        -------
        numpy.ndarray, float32
        """
        path, place = self.pictures[window.picture]
        picture = self.cache.get(path, lambda: read_picture(self, path, place, self.channels == 3))
        (x1, y1, x2, y2), pads, size = place_window(
            window.box, picture.shape, self.crop, self.param.context_pad, self.param.crop_mode == "square"
        )
        part = picture[y1 : y2 + 1, x1 : x2 + 1]
        if not part.size:
            raise self.error(f"{self.param.source}:{window.line}: the window {window.box} lies outside '{path}', of "
                             f"width {picture.shape[1]} and height {picture.shape[0]}")
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


class WindowWords:
    """The words of a window file, one after the other; `line` is that of the word last taken, from 1."""

    def __init__(self, lines):
        self._lines, self._words = enumerate(lines, 1), []  # the words left of a line, the last one first
        self.line = 1

    def more(self):
        """Whether a word is left."""
        while not self._words:
            self._number, self._text = next(self._lines, (None, None))
            if self._text is None:
                return False
            self._words = list(re.finditer(r"\S+", self._text))[::-1]
        return True

    def _next(self):
        if not self.more():
            raise ValueError("the file ends in the middle of an image's entry")
        self.line = self._number
        return self._words.pop()

    def next(self):
        """The next word.

        Returns
        -------
        str
        """
        return self._next()[0]

    def number(self, kind, what):
        """The next word as a number.

        Parameters
        ----------
        kind : type
            int or float.
        what : str
            What messages call it.

        Returns
        -------
        int or float
        """
        word = self.next()
        try:
            return kind(word)
        except ValueError:
            raise ValueError(f"expected a number, the {what}, found '{word}'") from None

    def name(self):
        """The next word with those behind it on its line, but for numbers at the line's end."""
        first = last = self._next()
        numbers = next((k for k, word in enumerate(self._words) if not word[0].isdigit()), len(self._words))
        if numbers < len(self._words):
            last = self._words[numbers]
        del self._words[numbers:]
        return self._text[first.start() : last.end()]


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
