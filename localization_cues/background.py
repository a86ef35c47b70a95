"""Which cells of a photo are background: rules chosen on the command line as ``name:threshold``.

``cam-low:T``    no class of the image reaches T of its maximum there (needs nothing but the class maps).
``saliency:T``   the saliency is below T. DSRG takes 0.06 of a DRFI map; here the map is that of
                 localization_cues.saliency, or one read from files.

A new rule is one entry in ``RULES``: a function of the evidence and the threshold.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from localization_cues.merge import relative_maps


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at, all at the cue size (H, W).

    maps: class activation maps (k, H, W) of the image's classes. saliency: (H, W) in [0, 1], None when no rule
    in use asked for it.
    """

    maps: np.ndarray
    saliency: np.ndarray | None = None


@dataclass(frozen=True)
class Rule:
    """A rule by name with its threshold; ``below(evidence)`` is bool (H, W), True where the value is under it."""

    name: str
    threshold: float
    values: Callable = field(repr=False, compare=False)
    needs_saliency: bool = False

    def below(self, evidence):
        return self.values(evidence) < self.threshold

    def __str__(self):
        return f"{self.name}:{self.threshold:g}"


RULES = {
    "cam-low": (lambda evidence: relative_maps(evidence.maps).max(axis=0), False),
    "saliency": (lambda evidence: evidence.saliency, True),
}


def parse_rule(text, names=tuple(RULES)):
    """Read ``name:threshold`` into a Rule; ``ValueError`` says what is wrong and which names there are.

    Examples
    --------
    >>> str(parse_rule("saliency:0.06"))
    'saliency:0.06'
    """
    name, _, number = text.partition(":")
    if name not in names:
        raise ValueError(f"unknown rule '{name}' in '{text}'; there are {', '.join(names)}")
    try:
        threshold = float(number)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        raise ValueError(f"rule '{text}': expected {name}:T with T from 0 to 1")
    values, needs_saliency = RULES[name]
    return Rule(name, threshold, values, needs_saliency)


def background_cells(rules, evidence):
    """Cells every one of the rules calls background, bool (H, W); no rules, no background."""
    cells = [rule.below(evidence) for rule in rules]
    return np.logical_and.reduce(cells) if cells else np.zeros(evidence.maps.shape[1:], bool)
