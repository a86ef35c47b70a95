"""The temperatures of a run's stage: fitted to pseudo-labels of photos kept apart, measured on true masks, too.

The record is calibration/<stage>.json; docs/probabilities.md says what its numbers mean.
"""

from pathlib import Path

from dsrg.calibration.fit import LabelledPhotos, calibrated
from dsrg.calibration.learned_photos import learned_photos
from dsrg.io.errors import UserError, warn
from dsrg.io.image_ids import file_of
from dsrg.io.lists import read_ids

TITLES = {"net": "the net", "crf": "net and CRF"}
APART = "lists/calibration_id.txt"


def calibrate(run, model, photos=None, labels=None, workers=None):
    """Fit and measure.

    Parameters
    ----------
    run : path
        Folder of the run.
    model : dsrg.model.Model
        Of the run.
    photos : path, optional
        List of ids to fit on; by default those that the run has kept apart from stage f.
    labels : path, optional
        Folder of their label maps; by default the run's pseudo-labels.
    workers : int, optional

    Returns
    -------
    dict
        As of dsrg.calibration.fit.calibrated, and "fitted_on": "photos", "learned_from" (how many of them the net has
        learned from, None where that is not known), "labels" (what they are), "folder" (of these).

    Raises
    ------
    UserError
        No list or label maps.
    """
    run, says = Path(run), f"label maps of {labels}" if labels else "pseudo-labels"
    name, photos, labels = "photos of the list" if photos else "photos apart", Path(photos or run / APART), \
        Path(labels or run / "labels")
    if not photos.is_file():
        raise UserError(f"{photos} does not exist: this run has kept no photo apart from stage f (calibrate: true in "
                        "settings.yaml does); name photos with --list, and their label maps with --labels")
    fitting = LabelledPhotos(name, says, read_ids(photos), run / "data/JPEGImages", labels)
    missing = [one for one in fitting.ids if not file_of(labels, one).is_file()]
    if missing:
        raise UserError(f"{labels} has no label map of '{missing[0]}', which {photos} names; run the stage label first")
    record = calibrated(model, fitting, list(_with_masks(run, fitting.ids)), workers)
    known = learned_photos(run, model.files.weights)
    record["fitted_on"] = {"photos": len(fitting.ids), "labels": says, "folder": str(labels),
                           "learned_from": None if known is None else len(known & set(fitting.ids))}
    for name, part in record["parts"].items():
        if part["at_bound"]:
            warn(f"warning: the temperature of {TITLES[name]} ended at {part['temperature']:.3g}, the bound of the "
                 "search: the scores say all of these label maps, or nothing; such probabilities mean little")
    return record


def _with_masks(run, fitted):
    """The val photos that have true masks, where there are any; not those that are fitted on."""
    masks, ids = run / "masks", run / "lists/val_id.txt"
    masks = masks if masks.is_dir() else run / "data/SegmentationClass"
    if ids.is_file() and ids.stat().st_size:
        fitted = set(fitted)
        having = [one for one in read_ids(ids) if one not in fitted and file_of(masks, one).is_file()]
        if having:
            yield LabelledPhotos("val photos", "true masks", having, run / "data/JPEGImages", masks)


def measured_lines(record):
    """What a record has measured, for people.

    Parameters
    ----------
    record : dict

    Returns
    -------
    list of str
    """
    lines = []
    for name, part in record["parts"].items():
        lines.append(f"{TITLES[name]}: temperature {part['temperature']:.3f}")
        for one in part["measured"]:
            before, after = one["before"], one["after"]
            lines.append(f"  {one['photos']} {one['name']} against {one['labels']}: calibration error "
                         f"{100 * before['ece']:.1f} -> {100 * after['ece']:.1f} %, negative log-likelihood "
                         f"{before['nll']:.3f} -> {after['nll']:.3f}; right on {100 * after['right']:.1f} % of the "
                         f"pixels, sure {100 * before['confidence']:.1f} -> {100 * after['confidence']:.1f} %")
    return lines
