"""The flow of photos through a net: read ahead, score, finish on all cores, a bounded number under way."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np

from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.photos import load_image_bgr
from dsrg.scoring.multiscale import input_shapes
from dsrg.scoring.resizing import to_input

WINDOW = 8  # images whose square inputs of one size go through the net before it is reshaped for the next


def score_photos(net, photos, finish, recipe, workers):
    """Score photos and hand each to `finish`, which runs in a pool of threads while the net goes on.

    Parameters
    ----------
    net : ScoreNet
    photos : dict of str to path
        Photo of each image id.
    finish : callable
        Called as finish(image_id, image_bgr, maps): photo uint8 (H, W, 3), score maps
        float32 (C, h, w), one a size.
    recipe : Namespace
        sizes or scales of the inputs, mean (B, G, R) and flip, as on the command line of tools.segment.
    workers : int
        Threads that finish images; at most twice as many images wait for them.

    Yields
    ------
    str
        Each id, in order, when it is finished.
    """
    def load(image_id):
        image_bgr = load_image_bgr(photos[image_id])
        shapes = input_shapes(*image_bgr.shape[:2], recipe.sizes, recipe.scales)
        return image_id, image_bgr, [to_input(image_bgr, *shape, recipe.mean) for shape in shapes]

    def finish_one(item):
        finish(*item)
        return item[0]

    window = WINDOW if recipe.sizes else 1  # scaled photos seldom share a shape and may be large
    with ThreadPoolExecutor(2) as readers, ThreadPoolExecutor(workers) as finishers:
        try:
            loaded = _ahead(readers, load, photos, max(2, window))
            scored = _score(net, loaded, window, recipe.flip)
            yield from _ahead(finishers, finish_one, scored, 2 * workers)
        except BaseException:
            readers.shutdown(cancel_futures=True)  # what is scored already is still finished and kept
            raise


def _ahead(pool, function, items, depth):
    """Results of `function` over `items` in order, with at most `depth` of them under way in the pool."""
    waiting = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


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
        for (image_id, image_bgr, _), scores in zip(window, maps, strict=True):
            _check_scores(image_id, scores)
            yield image_id, image_bgr, scores


def _check_scores(image_id, maps):
    if len(maps[0]) > voc.IGNORE_LABEL:
        raise UserError(f"the net scores {len(maps[0])} classes; index PNGs hold at most {voc.IGNORE_LABEL}")
    if not all(np.isfinite(scores).all() for scores in maps):
        raise UserError(f"the scores of image '{image_id}' are not finite: the training of these weights "
                        "diverged; train again with a lower learning rate")
