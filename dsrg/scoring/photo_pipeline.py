"""The flow of photos through a net: read ahead, score, finish on all cores, a bounded number under way."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from dsrg.io import free_memory, voc
from dsrg.io.errors import UserError
from dsrg.io.photos import load_image_bgr
from dsrg.io.workers import MemoryBudget, ahead
from dsrg.scoring.multiscale import input_shapes
from dsrg.scoring.resizing import shrunk, to_input

WINDOW = 8  # images whose square inputs of one size go through the net before it is reshaped for the next
GIVE_BACK = 100  # photos after which freed memory goes back to the system
FINISHING_BYTES = 40  # a pixel and class while an image is fused, refined and labelled (27 to 40 measured)


def load_listed(image_id, path):
    """The photo of a data set.

    Parameters
    ----------
    image_id : str
    path : path

    Returns
    -------
    uint8 array (H, W, 3)
        Channels B, G, R.

    Raises
    ------
    UserError
        A photo that cannot be read.
    """
    return load_image_bgr(path)


@dataclass(frozen=True)
class Photo:
    """A photo as it is scored, uint8 (h, w, 3) BGR, and its own height and width, those of its label map."""

    image_bgr: np.ndarray
    size: tuple


def prepared(image_bgr, recipe):
    """The Photo that a recipe scores, and its network inputs, float32 (3, h, w), one a size.

    Parameters
    ----------
    image_bgr : uint8 array (H, W, 3)
    recipe : Recipe

    Returns
    -------
    Photo
    list of float32 array (3, h, w)
    """
    photo = Photo(shrunk(image_bgr, recipe.max_side), image_bgr.shape[:2])
    shapes = input_shapes(*photo.image_bgr.shape[:2], recipe.sizes, recipe.scales)
    return photo, [to_input(photo.image_bgr, *shape, recipe.mean) for shape in shapes]


def score_photos(net, photos, finish, recipe, workers, load=load_listed, on_unreadable=None):
    """Score photos and hand each to `finish`, which runs in a pool of threads while the net goes on.

    Parameters
    ----------
    net : ScoreNet
    photos : dict of str to path
        Photo of each image id.
    finish : callable
        Called as finish(image_id, photo, maps): a Photo, score maps float32 (C, h, w), one a size.
    recipe : Recipe
    workers : int
        Threads that finish images; at most twice as many images wait for them, and fewer work at a time where
        their scores would fill the memory.
    load : callable
        Reads a photo: load(image_id, path) is uint8 (H, W, 3) BGR.
    on_unreadable : callable, optional
        Called as on_unreadable(image_id, error) for a photo that `load` refuses, which is then left out; without it
        the error ends the work.

    Yields
    ------
    str
        Each id, in order, when it is finished.
    """
    budget = MemoryBudget()
    # a Path keeps its text once it was asked for it: as text from the start the photos take no more as they pass
    photos = {image_id: os.fspath(path) for image_id, path in photos.items()}

    def load_one(image_id):
        try:
            return image_id, *prepared(load(image_id, photos[image_id]), recipe)
        except UserError as error:
            if on_unreadable is None:
                raise
            on_unreadable(image_id, error)
            return None

    def finish_one(item):
        image_id, photo, maps = item
        pixels, classes = photo.image_bgr[..., 0].size, len(maps[0])
        with budget.claim(pixels * classes * FINISHING_BYTES):
            finish(image_id, photo, maps)
        return image_id

    window = WINDOW if recipe.sizes else 1  # scaled photos seldom share a shape and may be large
    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(workers) as finishers:
        try:
            loaded = filter(None, ahead(readers, load_one, photos, max(2, window)))
            scored = _score(net, loaded, window, recipe.flip)
            for count, image_id in enumerate(ahead(finishers, finish_one, scored, 2 * workers), 1):
                if not count % GIVE_BACK:
                    free_memory.give_back()
                yield image_id
        except BaseException:
            readers.shutdown(cancel_futures=True)  # what is scored already is still finished and kept
            raise


def _score(net, loaded, size, flip):
    """Put score maps in place of the inputs in (id, photo, inputs); inputs of one shape follow each other.

    Each image is a forward pass of its own, so its scores do not depend on its company, and a resumed run
    writes the same maps.
    """
    while window := list(islice(loaded, size)):
        work = [(i, k) for i, (_, _, inputs) in enumerate(window) for k in range(len(inputs))]
        work.sort(key=lambda pair: window[pair[0]][2][pair[1]].shape)
        maps = [[None] * len(inputs) for _, _, inputs in window]
        for i, k in work:
            maps[i][k] = net.scores(window[i][2][k], flip)
        for (image_id, photo, _), scores in zip(window, maps, strict=True):
            check_scores(image_id, scores)
            yield image_id, photo, scores


def check_scores(image_id, maps):
    """UserError for score maps that cannot become a label map.

    Parameters
    ----------
    image_id : str
    maps : list of float array (C, h, w)

    Raises
    ------
    UserError
        More classes than an index PNG holds, or scores that are not finite.
    """
    if len(maps[0]) > voc.IGNORE_LABEL:
        raise UserError(f"the net scores {len(maps[0])} classes; index PNGs hold at most {voc.IGNORE_LABEL}")
    if not all(np.isfinite(scores).all() for scores in maps):
        raise UserError(f"the scores of image '{image_id}' are not finite: the training of these weights "
                        "diverged; train again with a lower learning rate")
