"""Which cells of a photo are background: rules chosen on the command line as ``name:number``.

``cam-low:T``        no class of the image reaches T of its maximum there (needs nothing but the class maps).
``saliency:T``       the saliency is below T. DSRG takes 0.06 of a DRFI map; here the map is that of
                     localization_cues.saliency, or one read from files.
``sec-gradient:F``   among the share F of cells that the scores of a classifier depend on least: below the value of
                     rank int(F * cells). SEC takes 0.1 (localization_cues.gradient).
``none``             no cell is background.

A new rule is one entry in ``RULES``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from localization_cues.merge import relative_maps


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at, all at the cue size (H, W).

    maps: class activation maps (k, H, W) of the image's classes. saliency: (H, W) in [0, 1]. gradient: (H, W), not
    negative. The last two are None when no rule in use asked for them.
    """

    maps: np.ndarray
    saliency: np.ndarray | None = None
    gradient: np.ndarray | None = None


@dataclass(frozen=True)
class Rule:
    """A rule by name with its number; ``below(evidence)`` is bool (H, W), True where the value is under the limit.

    needs: what of the Evidence besides the maps it looks at, 'saliency', 'gradient' or nothing. The limit is the
    number itself, or for a rule of rank the value that this share of the cells lies below.
    """

    name: str
    threshold: float = 0.0
    values: Callable = field(default=None, repr=False, compare=False)
    needs: str = ""
    rank: bool = False

    def below(self, evidence):
        """Where the rule's value is under its limit.

        Parameters
        ----------
        evidence : Evidence

        Returns
        -------
        bool array (H, W)
        """
        if self.values is None:
            return np.zeros(evidence.maps.shape[1:], bool)
        values = self.values(evidence)
        limit = np.sort(values, axis=None)[int(self.threshold * values.size)] if self.rank else self.threshold
        return values < limit

    def __str__(self):
        return self.name if self.values is None else f"{self.name}:{self.threshold:g}"


RULES = {
    "cam-low": dict(values=lambda evidence: relative_maps(evidence.maps).max(axis=0)),
    "saliency": dict(values=lambda evidence: evidence.saliency, needs="saliency"),
    "sec-gradient": dict(values=lambda evidence: evidence.gradient, needs="gradient", rank=True),
    "none": {},
}


def parse_rule(text, names=tuple(RULES)):
    """Read ``name:number`` into a Rule; ``ValueError`` says what is wrong and which names there are.

    Parameters
    ----------
    text : str
    names : sequence of str
        Rules that are allowed.

    Returns
    -------
    Rule

    Raises
    ------
    ValueError

    Examples
    --------
    >>> str(parse_rule("saliency:0.06"))
    'saliency:0.06'
    """
    name, colon, number = text.partition(":")
    if name not in names:
        raise ValueError(f"unknown rule '{name}' in '{text}'; there are {', '.join(names)}")
    if not RULES[name]:
        if colon:
            raise ValueError(f"rule '{text}': {name} takes no number")
        return Rule(name)
    try:
        threshold = float(number)
    except ValueError:
        threshold = -1.0
    rank = RULES[name].get("rank", False)
    if not 0 <= threshold <= 1 or (rank and threshold == 1):
        wanted = f"{name}:F with F from 0 to below 1" if rank else f"{name}:T with T from 0 to 1"
        raise ValueError(f"rule '{text}': expected {wanted}")
    return Rule(name, threshold, **RULES[name])


def background_cells(rules, evidence):
    """Cells every one of the rules calls background, bool (H, W); no rules, no background.

    Parameters
    ----------
    rules : sequence of Rule
    evidence : Evidence

    Returns
    -------
    bool array (H, W)
    """
    cells = [rule.below(evidence) for rule in rules]
    return np.logical_and.reduce(cells) if cells else np.zeros(evidence.maps.shape[1:], bool)
