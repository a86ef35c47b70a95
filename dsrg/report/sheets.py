"""Sheets to look at: of each stage the val photos that it segments best, middling and worst, beside their truth."""

import base64
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.json_files import read_mapping
from dsrg.io.label_png import load_label_png
from dsrg.io.photos import find_image, load_image_bgr
from dsrg.io.regular_files import read_file
from dsrg.io.workers import in_threads
from dsrg.report.gallery import MEASURED, VAL_MAPS
from dsrg.report.page_pictures import mask_path
from dsrg.report.picture_legend import font
from dsrg.report.run_contents import read_data_set, spread
from dsrg.scoring.metrics import Result, confusion_matrix

FOLDER = "results/sheets"
RECORD = "sheets.json"
PHOTOS = 10             # of each group
WIDE, HIGH = 152, 116   # of the box that a picture is fitted into
LINE = 16               # height of a line of text
GAP = 14                # between photos, and between groups
JPEG_QUALITY = 88
LARGEST = 4_000_000     # bytes of a sheet that goes into the page


def write_sheets(run, photos=PHOTOS):
    """Draw a sheet of every stage that has segmented val photos with true masks.

    Parameters
    ----------
    run : path
        Folder of the run.
    photos : int
        Of each group, at most.

    Returns
    -------
    list of Path
        The sheets, results/sheets/<stage>.jpg; beside them sheets.json says what is on each.
    """
    run, data_set, written, record = Path(run), read_data_set(run), [], {}
    for stage, title in VAL_MAPS:
        if data_set is None or not (run / "segmentations" / stage).is_dir():
            continue
        groups = groups_of(ranked_photos(run, stage, data_set), photos)
        if not groups:
            continue
        path = run / FOLDER / f"{stage}.jpg"
        with atomic_write(path) as temporary:
            Image.fromarray(draw_sheet(run, stage, title, groups, data_set["classes"])).save(
                temporary, format="JPEG", quality=JPEG_QUALITY, optimize=True)
        written.append(path)
        record[stage] = {"title": title, "file": path.name, "groups": groups}
    if written:
        write_text(run / FOLDER / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return written


def read_sheets(run):
    """What `write_sheets` has left in a run, for its page.

    Parameters
    ----------
    run : path

    Returns
    -------
    list of dict
        "stage", "title", "groups" as of `groups_of`, "uri" (the sheet as a data URI), "alt". A sheet that is damaged is
        left out: the next report draws it anew.
    """
    folder, found = Path(run, FOLDER), []
    for stage, one in read_mapping(folder / RECORD).items():
        try:
            groups = {name: [{"id": str(photo["id"]), "iou": float(photo["iou"]), "wrong": str(photo["wrong"])}
                             for photo in one["groups"][name]] for name in ("worst", "median", "best")}
            sheet = read_file(folder / f"{stage}.jpg", "sheet", LARGEST)
        except (UserError, KeyError, TypeError, ValueError):
            continue
        said = "; ".join(f"{name}: " + ", ".join(f"{p['id']} {100 * p['iou']:.0f} %" for p in photos)
                         for name, photos in groups.items())
        found.append({"stage": stage, "title": str(one.get("title", stage)), "groups": groups, "alt": said,
                      "uri": "data:image/jpeg;base64," + base64.b64encode(sheet).decode("ascii")})
    return found


def ranked_photos(run, stage, data_set, measured=MEASURED):
    """Val photos by the mean IoU of a stage's label map over the classes of the photo, best first.

    Parameters
    ----------
    run : Path
    stage : str
    data_set : dict
        As from dsrg.report.run_contents.read_data_set.
    measured : int
        Of more photos, as many at even distances.

    Returns
    -------
    list of dict
        "id"; "iou", 0 to 1; "wrong": the largest confusion, in words, "" where nothing is wrong. Photos without mask or
        label map, or with one that cannot be read, are left out.
    """
    classes = data_set["classes"]

    def measure(image_id):
        try:
            truth, said = (load_label_png(path) for path in (mask_path(run, image_id),
                                                             file_of(run / "segmentations" / stage, image_id)))
            counts = confusion_matrix(truth, said, len(classes))
        except (UserError, ValueError):
            return None
        iou = Result(counts, 1).miou
        return {"id": image_id, "iou": iou, "wrong": largest_confusion(counts, classes)} if iou == iou else None

    found = filter(None, in_threads(measure, spread(data_set["val"], measured)))
    return sorted(found, key=lambda photo: -photo["iou"])


def largest_confusion(counts, classes):
    """The pair of classes that most of the pixels that count are confused in: "cow as sheep, 12 % of the pixels".

    Parameters
    ----------
    counts : int array (C, C + 1)
        As of confusion_matrix.
    classes : sequence of str

    Returns
    -------
    str
        "" where less than half a percent of the pixels is confused.

    Examples
    --------
    >>> largest_confusion(np.array([[70, 0, 0], [20, 10, 0]]), ["background", "cow"])
    'cow as background, 20 % of the pixels'
    """
    wrong = np.array(counts)
    np.fill_diagonal(wrong, 0)
    true, said = np.unravel_index(wrong.argmax(), wrong.shape)
    share = 100 * wrong[true, said] / max(1, np.sum(counts))
    return "" if share < 0.5 else f"{classes[true]} as {[*classes, 'nothing'][said]}, {share:.0f} % of the pixels"


def groups_of(ranked, photos=PHOTOS):
    """The two ends and the middle of a ranking, no photo in two of them.

    Parameters
    ----------
    ranked : list
        Best first.
    photos : int
        Of each group, at most; a third of the ranking where that is less.

    Returns
    -------
    dict of str to list
        "worst" (the worst first), "median" and "best"; {} of fewer than three photos.

    Examples
    --------
    >>> groups_of([9, 8, 7, 6, 5, 4, 3], 2)
    {'worst': [3, 4], 'median': [7, 6], 'best': [9, 8]}
    """
    count = min(photos, len(ranked) // 3)
    middle = (len(ranked) - count) // 2
    return {"worst": ranked[:-count - 1:-1], "median": ranked[middle:middle + count], "best": ranked[:count]} \
        if count else {}


def draw_sheet(run, stage, title, groups, classes):
    """A sheet: a column a group, a row a photo, each as photo, truth and label map; the classes' colours below.

    Parameters
    ----------
    run : Path
    stage, title : str
    groups : dict
        As of `groups_of`, of photos as of `ranked_photos`.
    classes : sequence of str

    Returns
    -------
    uint8 array (h, w, 3)
    """
    rows = max(map(len, groups.values()))
    part, row_height, top = 3 * WIDE + 2 * GAP, HIGH + 2 * LINE + GAP, 3 * LINE
    per_line = max(1, (len(groups) * part) // 150)
    width = len(groups) * part + GAP
    height = top + rows * row_height + (len(classes) // per_line + 2) * (LINE + 4)
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for column, (name, photos) in enumerate(groups.items()):
        left = GAP + column * part
        draw.text((left, 4), f"{title}: {name} of the val photos", "black", font(15))
        draw.text((left, LINE + 8), "photo, truth, label map; mean IoU", "#444444", font(12))
        for row, photo in enumerate(photos):
            _draw_photo(image, draw, (left, top + row * row_height), run, stage, photo)
    for index, name in enumerate(classes):
        left, line = GAP + index % per_line * 150, top + rows * row_height + index // per_line * (LINE + 4)
        draw.rectangle((left, line + 2, left + 18, line + LINE), tuple(voc.palette()[index].tolist()), "black")
        draw.text((left + 24, line + 2), name[:18], "black", font(12))
    return np.asarray(image)


def _draw_photo(image, draw, place, run, stage, photo):
    left, top = place
    draw.text((left, top), f"{photo['id'][-40:]}  {100 * photo['iou']:.1f} %", "black", font(12))
    draw.text((left, top + LINE), photo["wrong"][:60], "#444444", font(12))
    shown = (_photo(run, photo["id"]), _map(mask_path(run, photo["id"])),
             _map(file_of(run / "segmentations" / stage, photo["id"])))
    for k, picture in enumerate(shown):
        image.paste(Image.fromarray(picture), (left + k * (WIDE + GAP // 3), top + 2 * LINE))


def _photo(run, image_id):
    return _fitted(cv2.cvtColor(load_image_bgr(find_image(run / "data/JPEGImages", image_id)), cv2.COLOR_BGR2RGB),
                   cv2.INTER_AREA)


def _map(path):
    return _fitted(voc.palette()[load_label_png(path)], cv2.INTER_NEAREST_EXACT)


def _fitted(picture, interpolation):
    factor = min(WIDE / picture.shape[1], HIGH / picture.shape[0])
    size = tuple(max(1, round(factor * side)) for side in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=interpolation if factor < 1 else cv2.INTER_NEAREST_EXACT)
