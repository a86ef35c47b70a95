"""What the data layers share: the order of items, reading ahead in threads, source lists.

Everything is a function of the layer's seed and its number of forwards, so that a layer set to a forward (``seek``)
goes on exactly as one that has run until there. Of several processes in phase TRAIN, rank r of n takes the items
r, r + n, r + 2n, ... of the common order.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from .. import device, forks
from ..host_copies import remember
from ..layer import NativeLayer
from ..limits import require_memory
from ..regular_files import is_special
from ..text_files import read_lines_of
from .random_streams import CHOICES, ORDER, SKIP, generator, shard

LONGEST_LINE = 10_000  # characters of an item: two paths as long as systems take them
AHEAD = 2  # batches read ahead


class Order:
    """Which item comes when: epoch after epoch over `count` items, each epoch shuffled by itself on request."""

    def __init__(self, layer, count, batch, shuffle=False, rand_skip=0):
        require_memory(64 * batch, f"batch_size {batch}")
        self.layer, self.count, self.batch, self.shuffle = layer, count, batch, shuffle
        self.skip = int(generator(layer, SKIP).integers(rand_skip)) if rand_skip else 0
        self._epochs = {}

    def positions(self, tick):
        """Places in the endless sequence of the items of forward `tick`.

        Parameters
        ----------
        tick : int

        Returns
        -------
        numpy.ndarray, int
        """
        rank, processes = shard(self.layer)
        return self.skip + (tick * self.batch + np.arange(self.batch)) * processes + rank

    def items(self, tick):
        """Item indices of forward `tick`, (batch,) int.

        Parameters
        ----------
        tick : int

        Returns
        -------
        list of int
        """
        return [self._item(*divmod(int(p), self.count)) for p in self.positions(tick)]

    def _item(self, epoch, place):
        if not self.shuffle:
            return place
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e >= epoch - 1}
            self._epochs[epoch] = generator(self.layer, ORDER, epoch).permutation(self.count)
        return int(self._epochs[epoch][place])


class DataLayer(NativeLayer):
    """A layer without bottoms that reads batches ahead. Subclasses define ``jobs`` and ``deliver``.

    Attributes
    ----------
    waited : float
        Seconds that its forwards have waited for a batch that was not read yet.
    """

    bottoms = (0, 0)
    reads_data = True

    def __init__(self, layer_param):
        super().__init__(layer_param)
        self._pending = {}
        self.waited = 0.0
        forks.reset_in_child(self)

    def jobs(self, tick):
        """Functions without arguments, one an item of forward `tick`; they run in threads, in any order.

        Parameters
        ----------
        tick : int
        """
        raise NotImplementedError(f"{type(self).__name__} defines no jobs")

    def deliver(self, items, top):
        """Put the jobs' results into the tops.

        Parameters
        ----------
        items : list
            What the jobs returned, in order.
        top : RawBlobVec
        """
        raise NotImplementedError(f"{type(self).__name__} defines no deliver")

    def choices(self, transformer, tick, count):
        """Random choices for the pictures of forward `tick`, other ones for each rank.

        Parameters
        ----------
        transformer : Transformer
        tick, count : int

        Returns
        -------
        list
            As Transformer.draw.
        """
        return transformer.draw(generator(self, CHOICES, tick, shard(self)[0]), count)

    def reshape(self, bottom, top):
        pass  # the tops take the shape of what was read, in setup and in each forward

    def forward(self, bottom, top):
        for tick in range(self.tick, self.tick + 1 + AHEAD):
            if tick not in self._pending:
                self._pending[tick] = [_threads.submit(job) for job in self.jobs(tick)]
        started = time.monotonic()
        items = [f.result() for f in self._pending.pop(self.tick)]
        self.waited += time.monotonic() - started
        self.deliver(items, top)

    def seek(self, forwards):
        super().seek(forwards)
        for futures in self._pending.values():
            for future in futures:
                future.cancel()
        self._pending.clear()

    def after_fork(self):
        """In a forked child: read again what the parent's threads were reading (a batch is a function of its tick)."""
        self._pending = {}


class _Threads:
    """The threads that read ahead, of all data layers of a process together."""

    def __init__(self):
        self.executor = None
        forks.reset_in_child(self)

    def submit(self, job):
        if self.executor is None:
            self.executor = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="caffe-data")
        return self.executor.submit(job)

    def after_fork(self):
        self.executor = None


_threads = _Threads()


def write_pictures(blob, pictures):
    """Put (H, W, C) float32 pictures of one shape into a blob (N, C, H, W); in memory they stay channels_last.

    Parameters
    ----------
    blob : Blob
    pictures : sequence of numpy.ndarray
    """
    batch = np.stack(pictures)
    write_array(blob, batch, (0, 3, 1, 2) if batch.ndim == 4 else None)


def write_array(blob, array, axes=None):
    """Put a numpy array into a blob, on the current device, its axes permuted.

    Parameters
    ----------
    blob : Blob
        Reshaped.
    array : numpy.ndarray
    axes : tuple of int, optional
    """
    array = np.ascontiguousarray(array, np.float32)
    tensor = torch.from_numpy(array)
    where = device.current()
    if where.type == "cuda":
        tensor = tensor.pin_memory().to(where, non_blocking=True)
    if axes is not None:
        tensor = tensor.permute(axes)
    elif where.type == "cuda":
        remember(tensor, array)     # labels and numbers of images, which layers read on the host
    blob.reshape(*tensor.shape)
    blob.data_memory.write(tensor)


def same_shapes(layer, pictures, names):
    """Refuse pictures of different shapes in one batch.

    Parameters
    ----------
    layer : NativeLayer
    pictures : sequence of numpy.ndarray
    names : sequence of str
        What messages call them.

    Raises
    ------
    LayerError
    """
    for picture, name in zip(pictures, names, strict=True):
        if picture.shape != pictures[0].shape:
            raise layer.error(
                f"{name} is {picture.shape[0]} x {picture.shape[1]}, {names[0]} {pictures[0].shape[0]} x "
                f"{pictures[0].shape[1]}: the pictures of a batch need one size; set new_height and new_width, a crop, "
                "or batch_size: 1"
            )


def read_source(layer, path, parse):
    """The lines of a source list as parsed items; blanks around a line, empty lines and a byte order mark are dropped.

    Parameters
    ----------
    parse : function
        Line -> item; a ValueError's text becomes part of the error message.

    Returns
    -------
    list of (item, str)
        With each item its place, ``file:line``, for messages.
    """
    if not path:
        raise layer.error("source is missing: the file that lists the items, one a line")
    if is_special(path):
        raise layer.error(f"cannot read the source list '{path}': it is not a regular file")
    try:
        lines = read_lines_of(path)
    except OSError as error:
        raise layer.error(f"cannot read the source list '{path}': {error.strerror}") from error
    except ValueError as error:
        raise layer.error(f"cannot read the source list '{path}': {error}") from None
    items = []
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            raise layer.error(f"{path}:{number}: a line of {len(line)} characters; expected one item, {LONGEST_LINE} "
                              "at most")
        if line.strip():
            try:
                items.append((parse(line.strip()), f"{path}:{number}"))
            except ValueError as error:
                raise layer.error(f"{path}:{number}: '{line.strip()}': {error}") from None
    if not items:
        raise layer.error(f"the source list '{path}' is empty; expected one item a line")
    return items


def resize_to(layer, param):
    """(new_height, new_width) of a parameter message, None where pictures keep their size.

    Parameters
    ----------
    layer : NativeLayer
    param : ImageDataParameter or the like

    Returns
    -------
    (int, int) or None

    Raises
    ------
    LayerError
        One of the two alone.
    """
    if bool(param.new_height) != bool(param.new_width):
        raise layer.error(f"new_height {param.new_height}, new_width {param.new_width}: give both or neither")
    return (param.new_height, param.new_width) if param.new_height else None
