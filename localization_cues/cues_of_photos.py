"""Cues of photos one by one: class maps, background and gate, merged into one map of cues."""

from dataclasses import dataclass

import numpy as np

from dsrg.cuefile.label_map import cues_from_map
from dsrg.io.errors import UserError
from dsrg.io.photos import load_image_bgr
from localization_cues.background_rules import Evidence, background_cells
from localization_cues.merge import merge
from localization_cues.saliency_prior import hidden_classes, weighted, with_remainders
from localization_cues.saliency_source import SaliencySource


@dataclass(frozen=True)
class Rules:
    """How class maps become cues.

    Attributes
    ----------
    threshold : float
        A cell is of a class above this fraction, 0 to below 1, of the class's maximum.
    background : sequence of background_rules rules
        All of them must hold for a cell of background.
    gate : rule or None
        No class may claim a cell for which it holds.
    overlap : str
        One of merge.OVERLAP_RULES.
    largest_cell : bool
        Whether a class that nowhere passes threshold and gate gets its largest cell.
    prior : str
        "saliency": class maps are weighted by it before they are cut; "none".
    remainder : float or None
        Where labels do not tell a class from its companion, it gets what is salient and of no other class, above this
        fraction of the maximum.
    companion : float or None
        Threshold of a companion on such a photo; None: that of any class.
    """

    threshold: float
    background: tuple
    gate: object
    overlap: str
    largest_cell: bool
    prior: str = "none"
    remainder: float | None = None
    companion: float | None = None

    @property
    def needs(self):
        """What the rules look at besides the class maps: a set of 'saliency' and 'gradient'."""
        rules = {rule.needs for rule in [*self.background, *([self.gate] if self.gate else [])]}
        return rules | ({"saliency"} if self.prior != "none" or self.remainder is not None else set())

    def cues(self, maps, labels, evidence, hidden):
        """The cues of one photo.

        Parameters
        ----------
        maps : array (k, H, W)
            Of its classes.
        labels : sequence of k int
        evidence : Evidence
        hidden : dict of int to set of int
            As of hidden_classes.

        Returns
        -------
        Merged
        """
        replaced = ()
        if self.prior == "saliency":
            maps = weighted(maps, evidence.saliency)
        if self.remainder is not None:
            maps, replaced = with_remainders(maps, labels, evidence.saliency, hidden)
        least = dict.fromkeys(labels, self.threshold)
        if self.companion is not None:
            least |= {label: self.companion for hidden_class in replaced for label in hidden[hidden_class]}
        least |= dict.fromkeys(replaced, self.remainder)
        gate = ~self.gate.below(evidence) if self.gate else None
        background = background_cells(self.background, evidence)
        thresholds = [least[label] for label in labels]
        return merge(maps, labels, background, thresholds, gate, self.overlap, self.largest_cell)


def map_size(net):
    """Height and width of a CamNet's maps at the input size that its prototxt names.

    Parameters
    ----------
    net : CamNet

    Returns
    -------
    (int, int)
    """
    return net.maps(np.zeros((3, *net.native_size), np.float32)).shape[1:]


def cues_of_photos(net, gradients, photos, labels, cue_size, rules, sizes, flip, mean, saliency_maps, workers):
    """Cues of each photo; saliency runs ahead of the net on all cores.

    Parameters
    ----------
    net : CamNet
    gradients : GradientNet or None
    photos : dict of int to ListedPhoto
    labels : dict of int to sequence of int
        Classes of each photo.
    cue_size : (int, int)
    rules : Rules
    sizes : sequence of int or None
        Sides of square inputs whose maps are averaged; None: the net's own input.
    flip : bool
        Average with the mirrored photo.
    mean : three floats, B, G, R
    saliency_maps : Path or None
        Folder of `<id>.png` to read instead of computing.
    workers : int

    Yields
    ------
    (image number, Merged)

    Raises
    ------
    UserError
        A photo that cannot be read, or class maps that are not finite.
    """
    shapes = [(side, side) for side in sizes] if sizes else [net.native_size]
    hidden = hidden_classes(labels.values())
    with SaliencySource(photos.values(), cue_size, saliency_maps, workers, "saliency" in rules.needs) as saliency_of:
        for number, photo in photos.items():
            image_bgr = load_image_bgr(photo.path)
            maps = net.image_maps(image_bgr, labels[number], shapes, cue_size, flip, mean)
            if not np.isfinite(maps).all():
                raise UserError(f"the class maps of {photo.path} are not finite; the training of these weights "
                                "diverged, train again with a lower learning rate")
            gradient = gradients.saliency(image_bgr, cue_size, mean) if gradients else None
            evidence = Evidence(maps, saliency_of(photo), gradient)
            yield number, rules.cues(maps, labels[number], evidence, hidden)


def written(merged, labels, writer):
    """Yield the (image number, Merged) pairs on, each after its cues went into the file of the CueWriter.

    Parameters
    ----------
    merged : iterable of (int, Merged)
    labels : dict of int to sequence of int
    writer : CueWriter

    Yields
    ------
    (int, Merged)
    """
    for number, result in merged:
        writer.add(number, labels[number], cues_from_map(result.label_map))
        yield number, result
