"""How many train photos show each class, and what that lets hope for."""

from collections import Counter

FEW_PHOTOS = 20     # train photos of a class under which it is named


def photos_of_classes(labels):
    """Photos that show each class, and photos that show it alone.

    Parameters
    ----------
    labels : iterable of sequence of int
        Classes of each train photo.

    Returns
    -------
    dict of int to int
    dict of int to int
    """
    counts, alone = Counter(), Counter()
    for classes in labels:
        counts.update(set(classes))
        alone.update(set(classes) if len(set(classes)) == 1 else ())
    return dict(counts), dict(alone)


def class_warnings(classes, counts, alone):
    """Lines on classes of which little will be learned.

    Parameters
    ----------
    classes : sequence of str
        With background.
    counts, alone : dict of int to int
        As of `photos_of_classes`.

    Yields
    ------
    str

    Examples
    --------
    >>> list(class_warnings(["background", "cow", "grass"], {1: 30, 2: 40}, {2: 10}))  # doctest: +ELLIPSIS
    ['no train photo shows cow alone: ...']
    """
    def named(indices, most=10):
        return ", ".join(classes[c] for c in indices[:most]) + (", .." if len(indices) > most else "")

    objects = range(1, len(classes))
    none = [c for c in objects if not counts.get(c)]
    few = [c for c in objects if 0 < counts.get(c, 0) < FEW_PHOTOS]
    together = [c for c in objects if counts.get(c) and not alone.get(c)]
    if none:
        yield f"no train photo shows {named(none)}: nothing can be learned of it"
    if few:
        yield (f"under {FEW_PHOTOS} train photos show {named(few)}: what is learned of so few is mostly their "
               "backgrounds; add photos")
    if together:
        yield (f"no train photo shows {named(together)} alone: labels do not tell it from what always goes with it; "
               "add photos of it without")
