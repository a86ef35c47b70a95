"""Charts as SVG that stands in an HTML page: text stays text, and takes the page's colour in light and dark mode."""

import io
import math
import re

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

#: colours that people with any kind of colour blindness tell apart, and that show on white and on black
#: (Okabe and Ito, Color Universal Design, 2008, without its black and yellow)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
INK = "#010203"         # stands for the page's colour of text
WIDTH = 5.2             # inches: letters stay legible where a drawing is shrunk to a phone
SMOOTHED = 100          # shown points of a smoothed curve
STYLE = {"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "text.color": INK,
         "axes.edgecolor": INK, "axes.labelcolor": INK, "axes.titlecolor": INK, "xtick.color": INK, "ytick.color": INK,
         "axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none", "legend.framealpha": 0,
         "axes.spines.top": False, "axes.spines.right": False, "grid.color": INK, "grid.alpha": 0.15,
         "lines.linewidth": 1.8}


def svg(figure, name, label):
    """The drawing of a figure, which is closed, to stand in HTML.

    Parameters
    ----------
    figure : matplotlib Figure
    name : str
        Goes before the ids within, so that drawings of one page do not share any.
    label : str
        What the drawing shows, for those who do not see it.

    Returns
    -------
    str
        <svg role="img" ...>, without a fixed size, metadata or references to anything outside.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href").replace(INK, "currentColor")
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    head = re.search(r'viewBox="[^"]*"', text).group()
    safe = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return re.sub(r"<svg[^>]*>", lambda _: f'<svg role="img" aria-label="{safe}" {head}>', text, count=1).strip()


def training_curves(name, title, log):
    """Losses and rate of a training over its iterations.

    Parameters
    ----------
    log : dict
        As from dsrg.report.run_contents.read_log.
    """
    with matplotlib.rc_context(STYLE):
        figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 3.6), sharex=True, height_ratios=(3, 1),
                                             layout="constrained")
        x = log["iteration"]
        for k, (loss, values) in enumerate(log["losses"].items()):
            colour = COLOURS[k % len(COLOURS)]
            if len(x) > 2 * SMOOTHED:
                top.plot(*thinned(x, values), color=colour, alpha=0.25, linewidth=0.8)
            top.plot(*smoothed(x, values), color=colour, linestyle=DASHES[k % len(DASHES)], label=loss)
        top.set_title(title, loc="left", fontsize=11)
        top.set_ylabel("loss")
        top.legend(loc="best", fontsize=9)
        bottom.plot(*thinned(x, log["lr"]), color=COLOURS[0], drawstyle="steps-post")
        bottom.set_ylabel("rate")
        bottom.set_ylim(bottom=0)
        bottom.set_xlabel("iteration")
        bottom.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        for axes in (top, bottom):
            axes.grid(True)
        figure.align_ylabels()
        ends = "; ".join(f"{loss} from {_short(values[:10])} to {_short(values[-10:])}"
                         for loss, values in log["losses"].items())
        return svg(figure, f"curve-{name}", f"{title}: losses over {len(x)} iterations. {ends}")


def several_curves(name, title, lines, ylabel="loss"):
    """One curve for each of several runs.

    Parameters
    ----------
    lines : dict of str to (iterations, values)
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 3), layout="constrained")
        for k, (run, (x, values)) in enumerate(lines.items()):
            axes.plot(*smoothed(np.asarray(x), np.asarray(values, float)), color=COLOURS[k % len(COLOURS)],
                      linestyle=DASHES[(k // len(COLOURS) + k) % len(DASHES)], label=run)
        axes.set_title(title, loc="left", fontsize=11)
        axes.set_xlabel("iteration")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axes.set_ylabel(ylabel)
        axes.grid(True)
        if ylabel == "%":
            axes.set_ylim(0, 100)
        axes.legend(loc="best", fontsize=9)
        ends = "; ".join(f"{run} ends at {_short(np.asarray(v, float)[-10:])}" for run, (_, v) in lines.items())
        return svg(figure, f"curve-{name}", f"{title} over iterations. {ends}")


def class_bars(name, title, classes, series, unit="IoU (%)", log=False):
    """Horizontal bars: for each class one of each series.

    Parameters
    ----------
    series : dict of str to sequence of float
        Values in class order; nan or None where there is none.
    """
    values = {key: np.array([math.nan if v is None else v for v in row], float) for key, row in series.items()}
    thick = 0.8 / len(values)
    with matplotlib.rc_context(STYLE):
        height = 1.1 + len(classes) * max(0.24, 0.11 * len(values) + 0.08)
        figure, axes = plt.subplots(figsize=(WIDTH, height), layout="constrained")
        places = np.arange(len(classes))
        for k, (key, row) in enumerate(values.items()):
            axes.barh(places - 0.4 + thick * (k + 0.5), np.nan_to_num(row), 0.9 * thick, label=key,
                      color=COLOURS[k % len(COLOURS)])
            if len(values) == 1:
                for place, value in zip(places, row, strict=True):
                    text = "–" if math.isnan(value) else f"{value:,.{0 if log else 1}f}"
                    axes.annotate(text, (np.nan_to_num(value), place), (4, 0), textcoords="offset points", va="center",
                                  fontsize=8)
        axes.set_yticks(places, [_math_free(c) for c in classes])
        axes.invert_yaxis()
        axes.set_ylim(len(classes) - 0.4, -0.6)
        axes.set_xlabel(unit)
        if log:
            axes.set_xscale("symlog", linthresh=1)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set_xlim(0, 8 * max(1, max(np.nanmax(row, initial=0) for row in values.values())))
        elif unit.endswith("(%)"):
            axes.set_xlim(0, 100)
        axes.grid(True, axis="x")
        axes.tick_params(axis="y", length=0)
        if len(values) > 1:
            figure.legend(loc="outside upper center", ncols=len(values), fontsize=9)
        best = "; ".join(f"{key}: {_extremes(classes, row, unit)}" for key, row in values.items())
        return svg(figure, f"bars-{name}", f"{title}. {best}")


def confusion_chart(name, title, classes, counts):
    """The confusion matrix, each row in percent of its true class.

    Parameters
    ----------
    counts : int array (C, C) or (C, C + 1)
        [true, predicted] pixels; a further column holds pixels that were predicted as nothing.
    """
    counts = np.asarray(counts, float)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    heads = [_math_free(c) for c in classes] + ["nothing"] * (counts.shape[1] - len(classes))
    if counts.shape[1] > len(classes) and not counts[:, -1].any():
        share, heads = share[:, :-1], heads[:-1]
    small = len(classes) > 30
    side = max(4.2, 1.3 + (0.16 if small else 0.36) * len(classes))
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
        axes.imshow(share, cmap="cividis", vmin=0, vmax=100, interpolation="nearest")
        axes.set_xticks(range(len(heads)), heads, rotation=90, fontsize=6 if small else 9)
        axes.set_yticks(range(len(classes)), heads[:len(classes)], fontsize=6 if small else 9)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.tick_params(length=0)
        for row, column in np.argwhere(share >= 0.5) if not small else ():
            value = share[row, column]
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                      color="#000000" if value > 55 else "#ffffff")
        off = share[:, :len(classes)].copy()
        np.fill_diagonal(off, -1)
        row, column = np.unravel_index(off.argmax(), off.shape)
        worst = f"Most often confused: {off[row, column]:.0f} % of {classes[row]} are called {classes[column]}"
        return svg(figure, f"confusion-{name}", f"{title}. {worst}")


def thinned(x, y, most=600):
    """At most `most` points of a curve, the last among them; nan and infinite values leave gaps."""
    keep = np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))
    return x[keep], np.where(np.isfinite(y[keep]), y[keep], math.nan)


def smoothed(x, y, points=SMOOTHED):
    """Means over equal stretches of a curve, at most `points` of them; what is not finite is left out of a mean."""
    if len(x) <= 2 * points:
        return thinned(x, y)
    places, means = [], []
    for part in np.array_split(np.arange(len(x)), points):
        finite = y[part][np.isfinite(y[part])]
        places.append(x[part].mean())
        means.append(finite.mean() if len(finite) else math.nan)
    return np.array(places), np.array(means)


def _short(values):
    finite = values[np.isfinite(values)]
    return f"{finite.mean():.3g}" if len(finite) else "not finite"


def _extremes(classes, row, unit):
    if np.isnan(row).all():
        return "no value"
    high, low = int(np.nanargmax(row)), int(np.nanargmin(row))
    return f"highest {classes[high]} {row[high]:.4g}, lowest {classes[low]} {row[low]:.4g} {unit}"


def _math_free(text):
    return text.replace("$", r"\$")
