"""Train photos set apart to judge the classifier of the cues by: it never sees them, and no mask is needed."""

import hashlib
from collections import Counter

SHARE = 10         # one photo of ten
MOST_OF_CLASS = 5  # and of no class more than one of five, so that a rare class keeps its photos to learn from


def set_apart(labels):
    """Choose the photos that the classifier does not learn from.

    Parameters
    ----------
    labels : dict of str to list of int
        Classes of each train photo.

    Returns
    -------
    set of str
        At most a tenth of the ids, fewer where classes are rare, none below ten photos. By a digest of the ids, so that
        the order of the photos does not matter.

    Examples
    --------
    >>> len(set_apart({f"photo {k}": [k % 3 + 1] for k in range(60)}))
    6
    """
    most = len(labels) // SHARE
    counts = Counter(label for classes in labels.values() for label in set(classes))
    apart, taken = set(), Counter()
    for image_id in sorted(labels, key=lambda image_id: hashlib.sha256(image_id.encode()).digest()):
        if len(apart) == most:
            break
        classes = set(labels[image_id])
        if classes and all(taken[label] < counts[label] // MOST_OF_CLASS for label in classes):
            apart.add(image_id)
            taken.update(classes)
    return apart
