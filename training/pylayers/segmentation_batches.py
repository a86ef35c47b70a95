"""Batches of photos with their label maps: cropped, mirrored, padded; read ahead by threads, yet repeatable.

Every choice is a function of the seed and the place in the stream, never of the order in which threads
finish: batch t holds the places t B ... t B + B - 1, epoch e the places e L ... e L + L - 1, B being the size
of a batch and L the length of the list.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_lines
from dsrg.io.photos import load_image_bgr
from dsrg.io.workers import available_cpus

ORDER, PLACE = 0, 1     # streams of random numbers: order of an epoch, choices for one place


def read_pairs(source, root_folder):
    """Paths of a list of "photo mask" lines; `root_folder` is put in front as it is, as Caffe does.

    Parameters
    ----------
    source : path
    root_folder : str

    Returns
    -------
    list of (str, str)

    Raises
    ------
    UserError
        A list that cannot be read, or a line that does not hold two paths.
    """
    pairs, faults = [], Faults(source)
    for number, line in read_lines(source, "list of photos and masks"):
        words = line.split()
        if len(words) == 2:
            pairs.append((root_folder + words[0], root_folder + words[1]))
        else:
            faults.add("lines that are not a photo and a mask", f"{source}:{number}: expected '<photo> <mask>', got "
                       f"'{line}'")
    faults.refuse()
    return pairs


def load_pair(photo_path, mask_path, classes=0, ignore_label=255):
    """Read one photo and its label map and check that they match.

    Parameters
    ----------
    photo_path, mask_path : path
    classes : int
        0: labels are not checked.
    ignore_label : int

    Returns
    -------
    image_bgr : uint8 array (H, W, 3)
    labels : uint8 array (H, W)

    Raises
    ------
    UserError
        A file that cannot be read, a mask of another size, a colour-coded mask, or (with `classes` above 0) a
        label that is neither below `classes` nor `ignore_label`. Each names the file.
    """
    image_bgr, labels = load_image_bgr(photo_path), load_label_png(mask_path)
    if labels.shape != image_bgr.shape[:2]:
        raise UserError(f"mask {mask_path} is {labels.shape}, its photo {photo_path} {image_bgr.shape[:2]} "
                        "(height, width); make the mask for this photo, turned upright as its EXIF orientation says")
    if classes:
        wrong = labels[(labels >= classes) & (labels != ignore_label)]
        if wrong.size:
            raise UserError(f"mask {mask_path} has label {wrong[0]}, expected 0..{classes - 1} or, for ignored, "
                            f"{ignore_label}; make it for these classes, or set classes of the data layer")
    return image_bgr, labels


def cut(image_bgr, labels, params, rng):
    """One training example: float32 (3, h, w) and (h, w) of size `params.crop_size`.

    Mean subtracted, times `scale`; resized by a random factor when `scale_jitter` is set; padded below and on
    the right with 0 and `ignore_label` where smaller than the crop; cropped at random (in the middle in phase
    Test); mirrored with probability 1/2 when `mirror` is set.

    Parameters
    ----------
    image_bgr : uint8 array (H, W, 3)
    labels : uint8 array (H, W)
    params : dataclass
        The layer's.
    rng : numpy.random.Generator

    Returns
    -------
    float32 array (3, h, w)
    float32 array (h, w)
    """
    low, high = params.scale_jitter
    if (low, high) != (1.0, 1.0):
        factor = rng.uniform(low, high)
        size = [max(1, round(side * factor)) for side in labels.shape[::-1]]    # cv2: width, height
        image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_LINEAR)
        labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)

    height, width = params.crop_size
    train = params.phase == "Train"
    spare = [max(0, have - want) for have, want in zip(labels.shape, params.crop_size, strict=True)]
    top, left = (int(rng.integers(s + 1)) if train else s // 2 for s in spare)
    window = np.s_[top:top + height, left:left + width]
    rows, columns = labels[window].shape

    image = np.zeros((height, width, 3), dtype=np.float32)      # the padding: 0 after the mean is taken off
    np.subtract(image_bgr[window], np.float32(params.mean), out=image[:rows, :columns])
    image *= np.float32(params.scale)
    mask = np.full((height, width), params.ignore_label, dtype=np.float32)
    mask[:rows, :columns] = labels[window]
    if params.mirror and rng.integers(2):
        image, mask = image[:, ::-1], mask[:, ::-1]
    return image.transpose(2, 0, 1), mask


class SegmentationBatches:
    """The stream of batches of one data layer.

    Parameters
    ----------
    params : object
        The fields of `ImageSegDataParams` (module pylayers.layer).
    seed : int
        Base of all choices.
    stride : int
        Distance to the batch that will be asked for next (the number of processes sharing the stream).

    Attributes
    ----------
    waited : float
        Seconds that `batch` has waited for photos that were not read yet.
    """

    def __init__(self, params, seed, stride=1):
        self._params, self._seed, self._stride = params, seed, stride
        self._pairs = read_pairs(params.source, params.root_folder)
        self._order = lru_cache(maxsize=2)(self._order_of)
        self.waited = 0.0
        self._start_reading()

    def _start_reading(self):
        # Batches are asked for by number, in any order (a run that goes on, a test net), not as one sequence in order.
        self._process = os.getpid()
        self._pool = ThreadPoolExecutor(max_workers=min(4, available_cpus()), thread_name_prefix="photos")
        self._ahead = {}        # tick -> futures of its examples

    def __len__(self):
        return len(self._pairs)

    def batch(self, tick):
        """Examples of batch `tick`, a list of (image (3, h, w), labels (h, w)); starts reading the next.

        Parameters
        ----------
        tick : int
            Number of the batch, from 0.

        Returns
        -------
        list of (float32 array (3, h, w), float32 array (h, w))
        """
        if self._process != os.getpid():
            self._start_reading()       # threads do not survive a fork
        futures = self._ahead.pop(tick, None) or self._start(tick)
        for stale in self._ahead:
            for future in self._ahead[stale]:
                future.cancel()
        self._ahead = {tick + self._stride: self._start(tick + self._stride)}
        started = time.monotonic()
        examples = [future.result() for future in futures]
        self.waited += time.monotonic() - started
        return examples

    def _start(self, tick):
        size = self._params.batch_size
        return [self._pool.submit(self._example, place) for place in range(tick * size, (tick + 1) * size)]

    def _example(self, place):
        p = self._params
        epoch, position = divmod(place, len(self._pairs))
        photo_path, mask_path = self._pairs[self._order(epoch)[position]]
        rng = np.random.default_rng([self._seed, PLACE, place])
        return cut(*load_pair(photo_path, mask_path, p.classes, p.ignore_label), p, rng)

    def _order_of(self, epoch):
        """Indices of the list in the order of an epoch: the file's order first, as in the original."""
        if epoch == 0:
            return range(len(self._pairs))
        return np.random.default_rng([self._seed, ORDER, epoch]).permutation(len(self._pairs))
