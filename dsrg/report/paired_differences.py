"""Whether runs differ by more than chance: differences of the same seeds, with a confidence interval.

Seeds that two settings share start from the same fillers, order of photos and dropout, so that their differences vary
less than their values do. The interval is Student's: mean of the differences ± t times their standard error, with one
degree of freedom less than there are pairs.
"""

import math
import statistics

from dsrg.report.comparison import HEADS
from dsrg.report.run_results import ROWS

CONFIDENCE = 0.95
WANTED = 3          # pairs; of two the interval is over four times as wide for the same spread


def paired_difference(base, other):
    """The mean difference of the seeds that both have.

    Parameters
    ----------
    base, other : dict of int to float
        Values by seed.

    Returns
    -------
    dict
        "pairs": number of seeds in both; "mean" (other - base; None without a pair); "low", "high": bounds of the
        interval, None of fewer than two pairs; "verdict": "more", "less", "none" (the interval contains 0), "unknown".
    """
    seeds = sorted(base.keys() & other.keys())
    differences = [other[seed] - base[seed] for seed in seeds]
    if len(differences) < 2:
        return {"pairs": len(seeds), "mean": differences[0] if differences else None, "low": None, "high": None,
                "verdict": "unknown"}
    low, high = confidence_interval(differences)
    verdict = "more" if low > 0 else "less" if high < 0 else "none"
    return {"pairs": len(seeds), "mean": statistics.fmean(differences), "low": low, "high": high, "verdict": verdict}


def confidence_interval(values, confidence=CONFIDENCE):
    """Student's interval of the mean of two values or more.

    Parameters
    ----------
    values : sequence of float
    confidence : float

    Returns
    -------
    (float, float)
    """
    mean, spread = statistics.fmean(values), statistics.stdev(values)
    if not spread:
        return mean, mean
    from scipy import stats  # a second to load, which a table of single runs does not need

    low, high = stats.t.interval(confidence, len(values) - 1, loc=mean, scale=spread / math.sqrt(len(values)))
    return float(low), float(high)


def differences_to_the_first(found):
    """Every group against the first, by what is measured.

    Parameters
    ----------
    found : dict
        As from dsrg.report.comparison.groups.

    Returns
    -------
    list of dict
        "name", "against", "miou": {row of dsrg.report.run_results.ROWS: as from `paired_difference`, of shares 0..1} of
        what both have measured.
    """
    (first, base), *others = found.items()
    return [{"name": name, "against": first,
             "miou": {column: paired_difference(_by_seed(base, column), _by_seed(group, column))
                      for column, *_ in ROWS if _by_seed(base, column) and _by_seed(group, column)}}
            for name, group in others]


def _by_seed(group, column):
    return {run["seed"]: run["miou"][column] for run in group["runs"] if column in run["miou"]}


def difference_rows(found):
    """The table of differences as text.

    Parameters
    ----------
    found : dict
        As from dsrg.report.comparison.groups.

    Returns
    -------
    list of str
        Names of the columns; [] of a single group.
    list of (str, list of str)
        Name of each group and what its cells say, "" where a stage is not measured in both.
    list of str
        What is to be known of the table.
    """
    compared = differences_to_the_first(found)
    columns = [name for name, *_ in ROWS if any(name in row["miou"] for row in compared)]
    lines = [(row["name"], [difference_text(row["miou"].get(name)) for name in columns]) for row in compared]
    pairs = {cell["pairs"] for row in compared for cell in row["miou"].values()}
    notes = []
    if compared and max(pairs, default=0) < 2:
        notes.append("Nothing can be said of these differences: that takes two seeds or more that both have, and three "
                     "are wanted (SEED=1, SEED=2)")
    elif pairs and min(pairs) < WANTED:
        notes.append("Of two seeds the interval is wide, and of one there is none: three are wanted (SEED=1, SEED=2)")
    return columns, lines, notes


def difference_text(difference):
    """A cell of the table, in points of mIoU.

    Parameters
    ----------
    difference : dict or None
        As from `paired_difference`, of shares 0..1.

    Returns
    -------
    str
        '+2.0 (0.4 to 3.6; 3 seeds)', 'none: +0.3 (-0.5 to 1.1; 3 seeds)', 'unknown: +2.0 (1 seed)', ''.
    """
    if difference is None:
        return ""
    pairs = f"{difference['pairs']} seed{'s' if difference['pairs'] != 1 else ''}"
    if difference["mean"] is None:
        return "unknown: no seed in common"
    mean = f"{100 * difference['mean']:+.1f}"
    if difference["low"] is None:
        return f"unknown: {mean} ({pairs})"
    said = f"{mean} ({100 * difference['low']:.1f} to {100 * difference['high']:.1f}; {pairs})"
    return f"none: {said}" if difference["verdict"] == "none" else said


def difference_lines(found):
    """Lines of a Markdown table of the differences, with what is to be known of it; [] of a single group.

    Parameters
    ----------
    found : dict
        As from dsrg.report.comparison.groups.

    Returns
    -------
    list of str
    """
    columns, lines, notes = difference_rows(found)
    if not columns:
        return []
    heads = [f"difference to {next(iter(found))}", *(f"{HEADS[name]} (points)" for name in columns)]
    text = ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    text += [f"| {' | '.join([name, *cells])} |" for name, cells in lines]
    text += ["", f"Mean difference of the same seeds, with its {CONFIDENCE:.0%} confidence interval (Student's t); one "
             "that contains 0 is no difference."]
    return [*text, *(f"{note}." for note in notes)]
