"""A batch spread over the cores: the maths of each image is its own, and numpy and scipy let other threads run."""

import numpy as np

from dsrg.io.workers import available_cpus, in_threads

WORTH = 100_000         # numbers in a batch from which threads pay for their start, about 0.1 ms


def by_images(function, *batches):
    """Call `function` with consecutive images of each batch, a thread a core, and yield the results in order.

    Parameters
    ----------
    function : callable
        Takes a part of each batch, (n, ...) with n images.
    *batches : arrays (N, ...)
        All of one N.

    Yields
    ------
    object
        What the function returned of one part; a single one for a small batch, or where there is one core.
    """
    count = len(batches[0])
    parts = min(available_cpus(), count) if sum(map(np.size, batches)) >= WORTH else 1
    if parts < 2:
        yield function(*batches)
        return
    ends = [count * k // parts for k in range(parts + 1)]
    slices = [slice(*pair) for pair in zip(ends, ends[1:], strict=False)]
    yield from in_threads(lambda part: function(*(batch[part] for batch in batches)), slices)


def image_by_image(function, out, *batches):
    """Fill a batch image by image, so that what is computed between stays in the cache.

    Parameters
    ----------
    function : callable
        Takes one image of each batch and one of `out`, which it fills.
    out : array (N, ...)
    *batches : arrays (N, ...)

    Returns
    -------
    array (N, ...)
        `out`.
    """
    def of_part(*part):
        for images in zip(*part, strict=True):
            function(*images)

    for _ in by_images(of_part, *batches, out):
        pass
    return out


def joined(function, *batches):
    """As by_images, the results in one array.

    Parameters
    ----------
    function : callable
        Gives an array of as many images as it is given.
    *batches : arrays (N, ...)

    Returns
    -------
    array (N, ...)
    """
    results = list(by_images(function, *batches))
    return results[0] if len(results) == 1 else np.concatenate(results)
