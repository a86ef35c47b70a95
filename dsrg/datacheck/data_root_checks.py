"""The lists, labels, photos and masks of a data root, each checked, and all of them against each other."""

from collections import Counter

from dsrg.datacheck.picture_facts import Bad
from dsrg.datasets.class_photos import FEW_PHOTOS, photos_of_classes
from dsrg.datasets.photo_names import folded
from dsrg.io.copies import copies
from dsrg.io.counts import counted
from dsrg.io.image_ids import file_of
from dsrg.io.photos import files_of_ids
from dsrg.io.voc import IGNORE_LABEL

TINY = 32           # pixels of a side


def check_ids(content, found):
    """Photos in both lists, and ids that some disks do not tell apart.

    Parameters
    ----------
    content : DataSet
    found : Findings
    """
    val = set(content.val)
    for image_id in content.train:
        if image_id in val:
            found.add("id-train-and-val", f"'{image_id}'", image_id)
    spellings = {}
    for image_id in content.ids:
        first = spellings.setdefault(folded(image_id), image_id)
        if first != image_id:
            found.add("id-case", f"'{image_id}' and '{first}'", image_id)


def check_labels(content, found):
    """Train photos without labels, rows without a class, and classes with few photos.

    Parameters
    ----------
    content : DataSet
    found : Findings
    """
    if not content.classes or not content.labels.source:
        return
    labels, source, train = content.labels.classes, content.labels.source, set(content.train)
    for image_id in content.train:
        if image_id not in labels:
            found.add("label-none", f"'{image_id}' in {source}", image_id)
        elif labels[image_id] == []:
            found.add("label-row-empty", f"'{image_id}' in {source}", image_id)
    for image_id, classes in labels.items():
        if classes == [] and image_id not in train:
            found.add("label-row-empty-elsewhere", f"'{image_id}' in {source}", image_id)
    if content.train:
        _check_classes(content, found)


def _check_classes(content, found):
    """Classes on no train photo, on few, or never alone on one."""
    labels = content.labels.classes
    counts, alone = photos_of_classes(labels.get(image_id) or [] for image_id in content.train)
    for index, name in enumerate(content.classes[1:], 1):
        if not counts.get(index):
            found.add("class-no-photo", f"{name} (class {index})")
            continue
        if counts[index] < FEW_PHOTOS:
            found.add("class-few-photos", f"{name} (class {index}): {counted(counts[index], 'photo')}")
        if not alone.get(index):
            found.add("class-never-alone", f"{name} (class {index}): {_companion(index, content)}")


def _companion(index, content):
    """Which class is on how many of the train photos of a class."""
    with_it = [known for i in content.train if index in (known := content.labels.classes.get(i) or [])]
    (other, number), = Counter(c for known in with_it for c in known if c != index).most_common(1)
    return f"{content.classes[other]} is on {number} of its {counted(len(with_it), 'photo')}"


# ---- photos and masks --------------------------------------------------------------------------------------------


def check_photos(content, data, pictures, found):
    """Every listed photo is there once and can be read.

    Parameters
    ----------
    content : DataSet
        Gets `photos` and, of those that can be read, `pictures`.
    data : Path
    pictures : PictureFacts
    found : Findings
    """
    files = files_of_ids(data / "JPEGImages", content.ids)
    for image_id, paths in files.items():
        if not paths:
            found.add("photo-missing", f"{data / 'JPEGImages' / image_id}", image_id)
            continue
        content.photos[image_id] = paths[0]
        if len(paths) > 1:
            found.add("photo-same-id", f"'{image_id}': {', '.join(path.name for path in paths)}", image_id)
    for image_id, fact in zip(content.photos, pictures.look((path, False) for path in content.photos.values()),
                              strict=True):
        if isinstance(fact, Bad):
            found.add(fact.kind, fact.text, image_id)
            continue
        content.pictures[image_id] = fact
        if min(fact.height, fact.width) < TINY:
            found.add("photo-tiny", f"{content.photos[image_id]} is {fact.width}x{fact.height}", image_id)


def check_copies(content, found):
    """Val photos of the same bytes as a train photo, under another id.

    Parameters
    ----------
    content : DataSet
        With `photos` and `pictures`.
    found : Findings
    """
    train, val = set(content.train), set(content.val)
    for names in copies({i: content.photos[i] for i in content.pictures}, of=val):
        learned = [i for i in names if i in train]
        for image_id in (i for i in names if learned and i in val and i not in train):
            found.add("photo-copied", f"'{image_id}' and '{learned[0]}'", image_id)


def check_masks(content, folder, pictures, found):
    """The masks that there are, each against its photo and the classes, and all of them against the labels.

    Parameters
    ----------
    content : DataSet
        With `photos` and `pictures`; gets `masks`.
    folder : Path
        Of the masks; nothing is checked where it is missing.
    pictures : PictureFacts
    found : Findings
    """
    if not folder.is_dir():
        return
    paths = {image_id: path for image_id in content.photos if (path := mask_file(folder, image_id)) is not None}
    for image_id, fact in zip(paths, pictures.look((path, True) for path in paths.values()), strict=True):
        if isinstance(fact, Bad):
            found.add(fact.kind, fact.text, image_id)
        elif _fits(paths[image_id], fact, content.pictures.get(image_id), found, image_id):
            content.masks[image_id] = fact
            _check_values(paths[image_id], fact, content, found, image_id)
    for name, ids in (("train", content.train), ("val", content.val)):
        there = [i for i in ids if i in content.photos]
        bare = [i for i in there if i not in paths]
        if 0 < len(bare) < len(there):
            found.add("mask-missing", f"{name}: {len(bare)} of {counted(len(there), 'photo')}, '{bare[0]}' first")
    _check_against_labels(content, paths, found)


def mask_file(folder, image_id):
    """The mask of an id, .png or .PNG; None where there is none.

    Parameters
    ----------
    folder : Path
    image_id : str

    Returns
    -------
    Path or None
        A link that leads nowhere counts as there.
    """
    for suffix in (".png", ".PNG"):
        path = file_of(folder, image_id, suffix)
        if path.exists() or path.is_symlink():
            return path
    return None


def _fits(path, mask, photo, found, image_id):
    """Whether a mask has the size of its photo; unknown where the photo cannot be read."""
    if photo is None or (mask.height, mask.width) == (photo.height, photo.width):
        return True
    sizes = f"{path} is {mask.width}x{mask.height}, its photo {photo.width}x{photo.height}"
    if photo.orientation >= 5 and (mask.width, mask.height) == (photo.height, photo.width):
        found.add("mask-not-turned", f"{sizes} by EXIF orientation {photo.orientation}", image_id)
    else:
        found.add("mask-size", sizes, image_id)
    return False


def _check_values(path, mask, content, found, image_id):
    """Numbers that are no class."""
    count = len(content.classes)
    beyond = [value for value in mask.values if count <= value < IGNORE_LABEL]
    if count and beyond:
        shown = ", ".join(map(str, beyond[:5])) + (", .." if len(beyond) > 5 else "")
        found.add("mask-beyond-classes", f"{path} holds {shown}; expected 0 to {count - 1} or {IGNORE_LABEL}", image_id)


def _check_against_labels(content, paths, found):
    """Masks without an object, and classes that only the mask or only the row of labels has."""
    objects = {i: {v for v in mask.values if 0 < v < IGNORE_LABEL} for i, mask in content.masks.items()}
    bare = [i for i, mask in content.masks.items() if not objects[i] and IGNORE_LABEL in mask.values]
    all_bare = 2 * len(bare) > len(content.masks)
    holders, strangers = Counter(), {}
    for image_id, held in objects.items():
        labels = content.labels.classes.get(image_id)
        if image_id in bare:
            if all_bare or labels:
                found.add("mask-0-and-255" if all_bare else "mask-some-0-and-255", str(paths[image_id]), image_id)
            continue
        if not labels:
            continue
        held = {value for value in held if value < len(content.classes)}
        holders.update(held)
        for kind, rest in (("mask-lacks-label", set(labels) - held), ("mask-unlabelled", held - set(labels))):
            if rest:
                found.add(kind, f"{paths[image_id]}: {', '.join(content.classes[c] for c in sorted(rest))}", image_id)
        for index in held - set(labels):
            strangers.setdefault(index, []).append(image_id)
    for index, ids in sorted(strangers.items()):
        if len(ids) > 1 and 2 * len(ids) > holders[index]:
            seen = Counter(c for i in ids for c in content.labels.classes[i])
            mostly = f", most of these {content.classes[seen.most_common(1)[0][0]]}" if seen else ""
            found.add("mask-order", f"{content.classes[index]} (class {index}) is in {holders[index]} masks, of which "
                      f"{len(ids)} photos are not labelled so{mostly}")
