"""Photos of a folder and their masks, and work on many of them with all cores."""

import multiprocessing
from collections import deque
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np

from training.common import PHOTO_SUFFIXES, UserError, find_image, read_ids


def photos_of(folder, id_list=None):
    """Photos of a folder by id (name without suffix), sorted, or those of a list in its order; UserError if none."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    if id_list is not None:
        return {image_id: find_image(folder, image_id) for image_id in read_ids(id_list)}
    photos = {}
    for path in sorted(folder.iterdir()):
        if path.suffix in PHOTO_SUFFIXES and photos.setdefault(path.stem, path) != path:
            raise UserError(f"{photos[path.stem]} and {path.name} have the same id; rename one or give a --list")
    if not photos:
        raise UserError(f"no photo in {folder} ({', '.join(PHOTO_SUFFIXES[:3])})")
    return photos


def read_mask(path, size):
    """Mask of the salient object, bool (H, W).

    A gray PNG of the photo's size: 255 on the object, 0 beside it (values from 128 count as object), or 1 and 0.

    Raises
    ------
    UserError
        Missing, no picture, colours, another size than the photo, or class numbers.
    """
    if not path.is_file():
        raise UserError(f"no mask {path}; each photo needs a mask of its name (.png), or take it out of the list")
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise UserError(f"mask {path} is not a readable picture")
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise UserError(f"mask {path} is {mask.dtype} {mask.shape}, expected 8-bit gray: 255 on the object, 0 beside "
                        "it")
    if mask.shape != tuple(size):
        raise UserError(f"mask {path} is {mask.shape[0]}x{mask.shape[1]}, its photo {size[0]}x{size[1]} "
                        "(height x width); make it for this photo")
    highest = mask.max(initial=0)
    if 1 < highest < 128:
        raise UserError(f"mask {path} holds values up to {highest}, expected 255 (or 1) on the object and 0 beside it")
    return mask >= 128 if highest > 1 else mask > 0


def in_order(function, jobs, workers, setup=None, setup_arguments=()):
    """Yield function(job) for each job, in order, from processes; few results wait at a time.

    Parameters
    ----------
    function, setup : module-level functions
        `setup(*setup_arguments)` runs once in each process before its first job.
    jobs : iterable
    workers : int
        1 works in this process.
    """
    if workers == 1:
        if setup:
            setup(*setup_arguments)
        yield from map(function, jobs)
        return
    # Threads of the libraries do not survive a fork, so the processes start afresh.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=setup,
                               initargs=setup_arguments)
    waiting = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
