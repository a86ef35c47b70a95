"""Photos of a run side by side with what each stage made of them, as data URIs that need no other file."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

from dsrg.cuefile.label_map import map_from_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io import voc
from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png
from dsrg.io.photos import find_image, load_image_bgr
from dsrg.report.cue_overlay import overlay
from dsrg.report.run_contents import photo_numbers, spread
from dsrg.scoring.metrics import Result, confusion_matrix

SIDE = 320              # longer side of the pictures
JPEG_QUALITY = 80
MEASURED = 1000         # val photos whose IoU is taken; of more, as many at even distances
VAL_MAPS = (("static", "static seeds"), ("s", "stage s"), ("f", "stage f"), ("full", "supervised"))


def val_rows(run, data_set, most, measured=MEASURED):
    """Val photos with the segmentations of each model, best, median and worst first among those chosen.

    Photos are ranked by the last model of the weak pipeline that segmented them. Where there are more than `most`, a
    third each comes from the top, the middle and the end of the ranking, and every class is shown where it can be.

    Parameters
    ----------
    run : Path
    data_set : dict
        As from dsrg.report.run_contents.read_data_set.
    most, measured : int
        Photos that are shown, and photos whose IoU is taken to choose them.

    Returns
    -------
    list of dict
        "id", "iou" (0..1, None without a mask), "rank" ("best", "median", "worst" or ""), "classes": names,
        "pictures": list of {"title", "uri", "alt", "kind": "photo" or "map"}.
    """
    folders = [(folder, title) for folder, title in VAL_MAPS if (run / "segmentations" / folder).is_dir()]
    if not folders or not data_set["val"]:
        return []
    judged = next((f for f in ("f", "s", "static", "full") if f in dict(folders)), None)
    classes = data_set["classes"]

    def row(image_id, iou, shown, rank):
        pictures = [photo_picture(run, image_id)]
        for folder, title in folders:
            path = file_of(run / "segmentations" / folder, image_id)
            pictures.append(judged_picture(path, title, mask_path(run, image_id), classes))
        pictures.append(map_picture(mask_path(run, image_id), "truth", classes))
        return _row(image_id, iou, rank, shown, classes, pictures)

    return _chosen_rows(spread(data_set["val"], measured), most, row, data_set, lambda i: (
        file_of(run / "segmentations" / judged, i), mask_path(run, i)))


def train_rows(run, data_set, cues, growth, most, measured=MEASURED):
    """Train photos with cues, grown seeds where they were followed, pseudo-label and truth, as `val_rows`.

    Parameters
    ----------
    cues : Cues or None
    growth : dict or None
        As from dsrg.report.seed_growth: its photos come first.
    """
    numbers = photo_numbers(run)
    followed = growth["maps"] if growth else {}
    if not data_set["train"] or (cues is None and not (run / "labels").is_dir()):
        return []
    classes = data_set["classes"]
    size = size_of_map(cues.source, cues) if cues is not None else None

    def row(image_id, iou, shown, rank):
        number = numbers.get(image_id)
        pictures = [photo_picture(run, image_id)]
        if cues is not None and number in cues:
            pictures.append(cell_picture(run, image_id, map_from_cues(cues[number][1], size), "cues", classes))
        if image_id in followed:
            pictures.append(cell_picture(run, image_id, followed[image_id][-1], "grown seeds", classes))
        pictures += [map_picture(file_of(run / "labels", image_id), "pseudo-label", classes),
                     map_picture(mask_path(run, image_id), "truth", classes)]
        return _row(image_id, iou, rank, shown, classes, pictures)

    ids = list(dict.fromkeys([*followed, *spread(data_set["train"], measured)]))
    return _chosen_rows(ids, most, row, data_set,
                        lambda i: (file_of(run / "labels", i), mask_path(run, i)), first=list(followed))


def photo_iou(predicted, truth, count):
    """Mean IoU over the classes of one photo's label maps, and which classes its truth (else its prediction) shows.

    Returns
    -------
    (float or None, list of int)
        None without a true mask.

    Raises
    ------
    UserError
        A map that cannot be read.
    """
    labels = load_label_png(predicted) if predicted.is_file() else None
    if not truth.is_file():
        return None, [] if labels is None else _present(labels, count)
    mask = load_label_png(truth)
    if labels is None:
        return None, _present(mask, count)
    try:
        return Result(confusion_matrix(mask, labels, count), 1).miou, _present(mask, count)
    except ValueError as error:
        raise UserError(f"{predicted}: {error}") from None


def legend(classes, counts=None):
    """[{"name", "colour": "#rrggbb", "count"}] of the classes in index order."""
    return [{"name": name, "colour": "#{:02x}{:02x}{:02x}".format(*voc.palette()[index].tolist()),
             "count": None if counts is None else int(counts[index])} for index, name in enumerate(classes)]


def cell_picture(run, image_id, label_map, title, classes):
    """Cues or grown seeds, int (h, w) with -1 for none, over the photo in gray."""
    image = _small(cv2.cvtColor(_load(run, image_id), cv2.COLOR_BGR2RGB))
    cells = int((label_map >= 0).sum())
    words = f"{title}: {cells / label_map.size:.0%} of the map, {_shares(label_map, classes)}"
    return {"title": title, "uri": jpeg_uri(overlay(image, label_map, voc.palette())), "kind": "photo", "alt": words}


def jpeg_uri(image_rgb):
    """data: URI of a photo, uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def map_uri(labels, side=SIDE):
    """data: URI of a label map, uint8 (H, W), in the colours of its classes, shrunk by dropping pixels."""
    factor = side / max(labels.shape)
    if factor < 1:
        labels = nearest_aligned(labels, *(max(1, round(factor * length)) for length in labels.shape))
    image = Image.fromarray(np.ascontiguousarray(labels.astype(np.uint8)))
    image.putpalette(voc.palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def photo_picture(run, image_id):
    """The photo, as a picture of a row."""
    image = _small(cv2.cvtColor(_load(run, image_id), cv2.COLOR_BGR2RGB))
    return {"title": "photo", "uri": jpeg_uri(image), "kind": "photo", "alt": f"photo {image_id}"}


def map_picture(path, title, classes):
    """A label map as a picture of a row; None where there is none."""
    if not path.is_file():
        return None
    labels = load_label_png(path)
    return {"title": title, "uri": map_uri(labels), "kind": "map", "alt": f"{title}: {_shares(labels, classes)}"}


def judged_picture(path, title, truth, classes):
    """A label map as `map_picture`, its mean IoU behind the title where there is a true mask."""
    picture, (iou, _) = map_picture(path, title, classes), photo_iou(path, truth, len(classes))
    if picture is not None and iou is not None and iou == iou:
        picture["title"] += f" {100 * iou:.1f} %"
    return picture


def mask_path(run, image_id):
    """Where the true mask of a photo lies, if anywhere."""
    folder = "masks" if (run / "masks").is_dir() else "data/SegmentationClass"
    return file_of(run / folder, image_id)


def _chosen_rows(ids, most, row, data_set, paths, first=()):
    """Rows of the ids chosen, made by `row(id, iou, classes, rank)`; `first` are chosen in any case."""
    count = len(data_set["classes"])
    known = {}
    for image_id in ids:
        try:
            known[image_id] = photo_iou(*paths(image_id), count)
        except UserError:
            continue                # what is damaged is said by the stage that reads it
    ranked = sorted((i for i in known if known[i][0] is not None and known[i][0] == known[i][0]),
                    key=lambda i: -known[i][0])
    measured = set(ranked)
    rest = [i for i in known if i not in measured]
    chosen, ranks = _choose(ranked, rest, {i: known[i][1] for i in known}, most, [i for i in first if i in known])
    rows = []
    for image_id in chosen:
        iou, shown = known[image_id]
        try:
            rows.append(row(image_id, iou if image_id in measured else None, shown, ranks.get(image_id, "")))
        except UserError:
            continue
    return rows


def _choose(ranked, rest, shown, most, first):
    """Ids to show in order of their rank, and {id: "best", "median" or "worst"}."""
    third = max(1, most // 3)
    middle = max(0, (len(ranked) - third) // 2)
    ranks = {}
    for name, part in (("best", ranked[:third]), ("worst", ranked[-third:][::-1]),
                       ("median", ranked[middle:middle + third])):
        for one in part:
            ranks.setdefault(one, name)
    if len(ranked) <= most:
        ranks = {one: ("best", "median", "worst")[3 * place // len(ranked)] for place, one in enumerate(ranked)}
    chosen = list(dict.fromkeys([*first, *ranks]))[:max(most, len(first))]
    chosen += [i for i in spread(rest, max(0, most - len(chosen))) if i not in chosen]
    for image_id in [*ranked, *rest]:        # one photo of each class that none of those shows
        if set(shown[image_id]) - {0} - {c for i in chosen for c in shown[i]}:
            chosen.append(image_id)
    place = {one: k for k, one in enumerate([*ranked, *rest])}
    return sorted(set(chosen), key=place.__getitem__), ranks


def _row(image_id, iou, rank, shown, classes, pictures):
    return {"id": image_id, "iou": iou, "rank": rank, "classes": [classes[c] for c in shown if c],
            "pictures": [one for one in pictures if one]}


def _shares(labels, classes):
    """'background 80 %, cow 20 %' of a label map; what is below half a percent is left out."""
    counts = np.bincount(labels[(labels >= 0) & (labels != voc.IGNORE_LABEL)].ravel().astype(np.int64),
                         minlength=len(classes))[:len(classes)]
    shares = 100 * counts / max(1, counts.sum())
    said = [f"{classes[c]} {shares[c]:.0f} %" for c in np.argsort(-shares, kind="stable") if shares[c] >= 0.5]
    return ", ".join(said) or "no class"


def _present(labels, count):
    return [int(c) for c in np.unique(labels) if c < count]


def _load(run, image_id):
    return load_image_bgr(find_image(run / "data/JPEGImages", image_id))


def _small(image):
    factor = SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    size = tuple(max(1, round(factor * side)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
