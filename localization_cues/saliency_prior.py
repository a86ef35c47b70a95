"""What saliency adds to class maps: a soft prior, and cells for a class that labels do not tell from its companion.

Neither is in SEC or DSRG, which threshold the class maps as they are.
"""

import numpy as np

from localization_cues.merge import relative_maps

#: of the photos of a class, the share on which another one must be for the first to count as hidden behind it
SHARE = 0.8


def weighted(maps, saliency):
    """Class maps times saliency: what a classifier lights up beside the object counts less, but is not cut off.

    Parameters
    ----------
    maps : array (k, H, W)
    saliency : array (H, W), 0 to 1

    Returns
    -------
    float64 array (k, H, W)
        Relative maps times saliency; a map of which nothing is left stays as it was.
    """
    result = relative_maps(maps) * saliency
    nothing = result.max(axis=(1, 2), keepdims=True) <= 0
    return np.where(nothing, maps, result)


def hidden_classes(labels, share=SHARE):
    """Classes whose maps show their companion, told by the labels alone.

    A class b is hidden behind a where a is never on a photo without b, but b is on some without a, and a is on at
    least `share` of b's photos: a classifier learns of both what a looks like (of body and face, the face).

    Parameters
    ----------
    labels : iterable of sequences of int
        Classes of each photo.
    share : float

    Returns
    -------
    dict of int to frozenset of int
        Hidden class -> its companions.

    Examples
    --------
    >>> hidden_classes([[1, 2]] * 4 + [[2], [3], [3, 2, 1]])
    {2: frozenset({1})}
    """
    photos = {}
    for place, classes in enumerate(labels):
        for label in classes:
            photos.setdefault(int(label), set()).add(place)
    found = {b: frozenset(a for a in photos if photos[a] < photos[b] and len(photos[a]) >= share * len(photos[b]))
             for b in sorted(photos)}
    return {b: companions for b, companions in found.items() if companions}


def with_remainders(maps, labels, saliency, hidden):
    """Class maps in which each hidden class has, beside a companion, what is salient and of no other class.

    Parameters
    ----------
    maps : array (k, H, W)
        Of the photo's classes.
    labels : sequence of k int
        Their classes.
    saliency : array (H, W), 0 to 1
    hidden : dict of int to set of int
        As of `hidden_classes`.

    Returns
    -------
    float64 array (k, H, W)
        Maps of hidden classes are saliency times (1 - the largest relative map of the classes that are not hidden);
        of several hidden ones of a photo all get the same. Where nothing is salient beside the others they stay
        as they are.
    set of int
        Classes whose maps were replaced.
    """
    present = {int(label) for label in labels}
    replaced = {label for label in present if hidden.get(label, frozenset()) & present}
    if not replaced:
        return maps, replaced
    is_replaced = np.array([int(label) in replaced for label in labels])
    others = relative_maps(maps)[~is_replaced].max(axis=0)
    remainder = saliency * (1 - others)
    if remainder.max() <= 0:
        return maps, set()
    return np.where(is_replaced[:, None, None], remainder, maps), replaced
