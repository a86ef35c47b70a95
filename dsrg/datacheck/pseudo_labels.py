"""The pseudo-labels of a run compared with their photos and labels."""

from dsrg.datacheck.picture_facts import Bad
from dsrg.io.image_ids import file_of
from dsrg.io.voc import IGNORE_LABEL


def check_pseudo_labels(content, folder, pictures, found):
    """Check the label maps that stage f learns from, one for each train photo; their number.

    Parameters
    ----------
    content : DataSet
        With `pictures` of the photos.
    folder : Path
        Of the label maps, <id>.png.
    pictures : PictureFacts
    found : Findings

    Returns
    -------
    int
        Label maps that are there, good or bad.
    """
    paths = {image_id: file_of(folder, image_id) for image_id in content.train}
    there = {image_id: path for image_id, path in paths.items() if path.is_file()}
    for image_id in (i for i in paths if i not in there):
        found.add("pseudo-label-missing", str(paths[image_id]), image_id)
    for image_id, fact in zip(there, pictures.look((path, True) for path in there.values()), strict=True):
        path = there[image_id]
        if isinstance(fact, Bad):
            found.add("pseudo-label-bad", fact.text, image_id)
            continue
        photo = content.pictures.get(image_id)
        if photo is not None and (fact.height, fact.width) != (photo.height, photo.width):
            found.add("pseudo-label-bad", f"{path} is {fact.width}x{fact.height}, its photo "
                      f"{photo.width}x{photo.height}", image_id)
        objects = {value for value in fact.values if 0 < value < IGNORE_LABEL}
        beyond = sorted(value for value in objects if value >= len(content.classes))
        if content.classes and beyond:
            found.add("pseudo-label-bad", f"{path} holds {beyond[0]}; expected 0 to {len(content.classes) - 1} or "
                      f"{IGNORE_LABEL}", image_id)
        labels = content.labels.classes.get(image_id)
        if labels is not None and (strange := sorted(objects - set(labels) - set(beyond))):
            found.add("pseudo-label-unlabelled", f"{path}: {', '.join(content.classes[c] for c in strange)}", image_id)
    return len(there)
