"""Photos of a run side by side with what each stage made of them: which are shown, and their rows."""

from dsrg.cuefile.label_map import map_from_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.report.page_pictures import cell_picture, judged_picture, map_picture, mask_path, photo_iou, photo_picture
from dsrg.report.run_contents import photo_numbers, spread

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
