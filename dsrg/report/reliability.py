"""How far a run's probabilities can be believed, for its page: reliability diagrams, and their figures as tables."""

import matplotlib

from dsrg.calibration.record import FOLDER, read_record
from dsrg.calibration.temperature import BINS
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number
from dsrg.report import curves
from dsrg.report.curves import COLOURS, STYLE, WIDTH, plt
from dsrg.scoring.run_model import TITLES

LEAST_PIXELS = 50       # of a bin that is drawn
PARTS = {"net": "net alone", "crf": "net and CRF"}


def read_reliability(run):
    """What a run has measured of its probabilities.

    Parameters
    ----------
    run : Path
        Folder of the run.

    Returns
    -------
    list of dict
        One a stage that was calibrated, in the order of run_model.TITLES: "stage" and "title"; "photos", "labels" and
        "says" (what it was fitted on, and whether the net had learned from it); "parts", net alone, and net and CRF:
        "title", "temperature" and "rows", which are those of the record's `measured` with "title", "svg" and "bins". A
        bin has "from", "to", and "before" and "after": a row of the record, with "share", or None.

    Raises
    ------
    UserError
        A record that cannot be read.
    """
    return [_stage(stage, title, record) for stage, title in TITLES.items()
            if (record := read_record(run / FOLDER / f"{stage}.json")) is not None]


def _stage(stage, title, record):
    learned = record["fitted_on"]["learned_from"]
    says = "that the net has not learned from" if learned == 0 else \
        "that the net may have learned from" if learned is None else f"of which the net has learned from {learned}"
    try:
        parts = [{"title": PARTS[name], "temperature": float(part["temperature"]),
                  "rows": [_row(f"{stage}-{name}-{place}", f"{title}, {PARTS[name]}", one)
                           for place, one in enumerate(part["measured"])]} for name, part in record["parts"].items()]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{FOLDER}/{stage}.json: not what tools.calibrate writes ({error!r}); remove it, and fit "
                        "again") from None
    return {"stage": stage, "title": title, "says": says, "parts": parts, "photos": record["fitted_on"]["photos"],
            "labels": record["fitted_on"]["labels"]}


def _row(name, title, one):
    one = {**{key: str(one[key]) for key in ("name", "labels")}, **_numbers(one, "photos", "pixels", "left_out"),
           **{when: {**_numbers(one[when], "nll", "ece", "confidence", "right"),
                     "bins": [_numbers(row, "from", "to", "pixels", "confidence", "right")
                              for row in one[when]["bins"]]}
              for when in ("before", "after")}}
    labels = f"{one['name']}, {one['labels']}"
    return {**one, "title": labels, "bins": _bins(one), "svg": reliability_chart(name, f"{title}: {labels}", one)}


def _numbers(values, *keys):
    """Finite numbers of a mapping; ValueError where one is none, or so large that nothing could be drawn of it."""
    found = {key: values[key] for key in keys}
    if not all(is_number(value) and abs(value) < 1e12 for value in found.values()):
        raise ValueError("no number")
    return found


def _bins(one):
    found = {}
    for when in ("before", "after"):
        for row in one[when]["bins"]:
            found.setdefault(round(BINS * row["from"]), {})[when] = {
                **row, "share": row["pixels"] / max(1, one["pixels"])}
    return [{"from": k / BINS, "to": (k + 1) / BINS, "before": found[k].get("before"), "after": found[k].get("after")}
            for k in sorted(found)]


def reliability_chart(name, title, one):
    """Reliability diagram: how often the net is right by how sure it is, and below how many pixels that are.

    Parameters
    ----------
    name : str
        Of the drawing.
    title : str
    one : dict
        An entry of `measured` in a record.

    Returns
    -------
    str
        SVG.
    """
    with matplotlib.rc_context(STYLE):
        figure, (top, bottom) = plt.subplots(2, 1, figsize=(WIDTH, 4.6), sharex=True, height_ratios=(3, 1),
                                             layout="constrained")
        top.plot((0, 100), (0, 100), color=STYLE["text.color"], linewidth=0.8, linestyle=":", label="as sure as right")
        for k, (when, label) in enumerate((("before", "T = 1"), ("after", "with temperature"))):
            bins = one[when]["bins"]
            sure, right = ([100 * row[key] for row in bins if row["pixels"] >= LEAST_PIXELS]
                           for key in ("confidence", "right"))
            top.plot(sure, right, color=COLOURS[k], marker="os"[k], markersize=4, linestyle=("--", "-")[k],
                     label=f"{label}: error {100 * one[when]['ece']:.1f} %")
            centres = [50 * (row["from"] + row["to"]) + (k - 0.5) * 44 / BINS for row in bins]
            bottom.bar(centres, [100 * row["pixels"] / max(1, one["pixels"]) for row in bins], 40 / BINS,
                       color=COLOURS[k])
        top.set_title(title, loc="left", fontsize=11)
        top.set_ylabel("right (%)")
        top.set_ylim(0, 101)
        top.legend(loc="upper left", fontsize=9)
        bottom.set_ylabel("pixels (%)")
        bottom.set_xlabel("how sure of the likeliest class (%)")
        bottom.set_xlim(0, 101)
        for axes in (top, bottom):
            axes.grid(True)
        figure.align_ylabels()
        before, after = one["before"], one["after"]
        return curves.svg(figure, f"reliability-{name}",
                          f"Reliability of {title}. Right on {100 * after['right']:.1f} % of the pixels; sure "
                          f"{100 * before['confidence']:.1f} % without and {100 * after['confidence']:.1f} % with the "
                          f"temperature; expected calibration error {100 * before['ece']:.1f} % and "
                          f"{100 * after['ece']:.1f} %")
