"""Numbers of an experiment for other data than its template's: rules, each with its reason.

They start from numbers that were tried on the template's data (`chosen_for` of its settings.yaml) and change them as
little as the other data ask for. Where a rate is concerned they only ever go down: above the tried one the fresh
branches of a net may die in its first steps.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from dsrg.datasets.class_photos import photos_of_classes
from dsrg.datasets.voc_lists import SETS, check_data_root, collect_labels, first_train_set, label_source
from dsrg.io.counts import counted
from dsrg.io.lists import read_ids
from dsrg.io.photos import find_images
from dsrg.io.picture_files import open_picture
from dsrg.io.regular_files import read_file

#: a training is never shorter than this share of the template's, ..
LEAST_SHARE = 0.6
#: .. but for a template that shows more photos: so many, and not its share, are enough for fresh layers to settle
MOST_LEAST_SHOWN = 8000
#: times that the photos of the rarest class are to be shown in a training (msrc15's rarest, 16 photos: 124 and 388)
LEAST_OF_RAREST = {"cam": 100, "s": 300, "f": 300}
#: a training is made at most so much longer for its rarest class
MOST_FOR_RAREST = 2.0
#: and never longer than the original's longest
MOST_ITERATIONS = 20000
#: photos within this share of the template's size keep its CRF
SAME_SIZE = 0.25
PHOTOS_MEASURED = 50


@dataclass(frozen=True)
class OwnData:
    """What of a data set the numbers depend on.

    Attributes
    ----------
    photos : int
        To train on.
    classes : list of str
        With background.
    counts, alone : dict of int to int
        Class -> train photos labelled with it, and with it alone.
    side : float
        The middle longer side of the photos, in pixels.
    """

    photos: int
    classes: list
    counts: dict
    alone: dict
    side: float


@dataclass
class Numbers:
    """Numbers chosen for a data set.

    Attributes
    ----------
    iterations : dict of str to int
    rates : dict of str to float
        base_lr by training.
    crf_factor : float
        What the template's CRF scale is multiplied by; 1 leaves it.
    reasons : list of str
        A line for each choice.
    """

    iterations: dict = field(default_factory=dict)
    rates: dict = field(default_factory=dict)
    crf_factor: float = 1.0
    reasons: list = field(default_factory=list)


def read_own_data(data):
    """What the rules need to know of a data root.

    Parameters
    ----------
    data : Path

    Returns
    -------
    OwnData

    Raises
    ------
    UserError
        Lists, labels or photos that cannot be read.
    """
    check_data_root(data)
    train = read_ids(data / SETS / f"{first_train_set(data)}.txt")
    source, classes = label_source(data, "auto")
    labels = collect_labels(data, source, classes, train, [])
    counts, alone = photos_of_classes(labels[image_id] for image_id in train)
    return OwnData(len(train), classes, counts, alone, typical_side(data / "JPEGImages", train))


def typical_side(folder, ids):
    """The middle longer side of a sample of photos, in pixels.

    Parameters
    ----------
    folder : Path
        Of the photos.
    ids : list of str

    Returns
    -------
    float
    """
    sample = [ids[k] for k in np.unique(np.linspace(0, len(ids) - 1, PHOTOS_MEASURED).astype(int))]
    sides = []
    for path in find_images(folder, sample).values():
        with open_picture(read_file(path, "photo"), path, "photo") as image:
            sides.append(max(image.size))
    return float(np.median(sides))


def choose_numbers(nets, chosen_for, data, batch=None, given=None):
    """Numbers for a data set.

    Parameters
    ----------
    nets : Nets
        The template's.
    chosen_for : dict
        "photos" and "side" of the data that the template's numbers were chosen on.
    data : OwnData
    batch : int, optional
        Images a step that were asked for.
    given : dict of str to int, optional
        Iterations that were asked for, by training: these are taken.

    Returns
    -------
    Numbers
    """
    found = Numbers()
    for kind, solver in nets.solvers.items():
        old, new = nets.batch[kind], batch or nets.batch[kind]
        found.iterations[kind] = iterations_for(kind, solver["max_iter"], old, new, chosen_for["photos"], data)
        found.rates[kind] = rate_for(kind, solver["base_lr"], old, new, nets.classes, len(data.classes))
    found.iterations |= given or {}
    found.crf_factor = crf_factor(chosen_for["side"], data.side)
    found.reasons = list(_reasons(found, nets, chosen_for, data, batch, given or {}))
    return found


def iterations_for(kind, iterations, old_batch, batch, old_photos, data):
    """Iterations of a training.

    Every photo is shown as often as in the template. Of fewer photos each is shown more often, for layers that begin
    with nothing need their steps (LEAST_SHARE, MOST_LEAST_SHOWN), and so are the photos of a class that is rare
    (LEAST_OF_RAREST).

    Parameters
    ----------
    kind : str
        Of TRAININGS.
    iterations, old_batch : int
        The template's.
    batch : int
        Images a step.
    old_photos : int
        Train photos that the template's numbers were chosen for.
    data : OwnData

    Returns
    -------
    int
        A multiple of 10, from 10 to MOST_ITERATIONS.

    Examples
    --------
    >>> data = OwnData(660, ["background", "cow"], {1: 660}, {1: 660}, 320.0)
    >>> iterations_for("s", 500, 16, 16, 330, data), iterations_for("s", 500, 16, 8, 330, data)
    (1000, 2000)
    """
    template = iterations * old_batch
    shown = max(template * data.photos / old_photos, min(LEAST_SHARE * template, MOST_LEAST_SHOWN))
    rarest = min(data.counts.values(), default=data.photos)
    wanted = LEAST_OF_RAREST[kind] * data.photos / max(1, rarest)
    shown = max(shown, min(wanted, MOST_FOR_RAREST * shown))
    return max(10, 10 * round(min(shown / batch, MOST_ITERATIONS) / 10))


def rate_for(kind, rate, old_batch, batch, old_classes, classes):
    """base_lr of a training, never above the template's.

    A step of fewer images is as much smaller: its gradient is the noisier. The classifier's loss is a sum over classes,
    whose gradients in the shared layers add up as things do that have little to do with each other, by the root of
    their number; the other losses are means over the map.

    Parameters
    ----------
    kind : str
        Of TRAININGS.
    rate : float
        The template's base_lr.
    old_batch, batch : int
        Images a step, the template's and here.
    old_classes, classes : int
        With background.

    Returns
    -------
    float
        Two significant digits.

    Examples
    --------
    >>> rate_for("s", 0.001, 16, 8, 16, 61), rate_for("cam", 0.001, 16, 16, 16, 61)
    (0.0005, 0.0005)
    >>> rate_for("cam", 0.001, 16, 32, 16, 4)
    0.001
    """
    factor = min(1.0, batch / old_batch)
    if kind == "cam":
        factor *= min(1.0, math.sqrt((old_classes - 1) / (classes - 1)))
    return float(f"{rate * factor:.2g}")


def crf_factor(old_side, side):
    """What the CRF's scale is multiplied by, so that its widths keep their share of the photo.

    Parameters
    ----------
    old_side, side : float
        Typical longer side of a photo in pixels, the template's and here.

    Returns
    -------
    float

    Examples
    --------
    >>> crf_factor(320, 640), crf_factor(320, 300)
    (0.5, 1.0)
    """
    factor = old_side / side
    return 1.0 if abs(factor - 1) <= SAME_SIZE else round(factor, 2 if factor >= 0.1 else 3)


def _reasons(found, nets, chosen_for, data, batch, given):
    """A line on each choice."""
    old = {kind: solver["max_iter"] for kind, solver in nets.solvers.items()}
    yield (f"iterations: {_by_kind(found.iterations)} (the template's {_by_kind(old)} are for "
           f"{counted(chosen_for['photos'], 'photo')}, here are {data.photos}"
           + (f"; the rarest class is on {min(data.counts.values())}" if data.counts else "")
           + (f"; batch {batch}" if batch else "")
           + (f"; {_by_kind(given)} as asked for" if given else "") + ")")
    rates = {kind: solver["base_lr"] for kind, solver in nets.solvers.items()}
    changed = {kind: rate for kind, rate in found.rates.items() if rate != rates[kind]}
    yield (f"rates: {_by_kind(changed)} (the template's {_by_kind(rates)} are for {nets.classes} classes and batch "
           f"{_by_kind(nets.batch)})" if changed else "rates: the template's")
    yield (f"CRF: its scale times {found.crf_factor:g} (photos of {data.side:.0f} pixels, the template's have "
           f"{chosen_for['side']})" if found.crf_factor != 1 else
           f"CRF: the template's (photos of {data.side:.0f} pixels, the template's have {chosen_for['side']})")


def _by_kind(numbers):
    return ", ".join(f"{kind} {number:g}" for kind, number in numbers.items())
