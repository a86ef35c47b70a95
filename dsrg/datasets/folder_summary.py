"""What a data root was made of, in lines for the user."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from dsrg.io.counts import counted
from dsrg.io.photo_folder import BROKEN_LINK, kinds_text
from dsrg.io.voc import IGNORE_LABEL


def members_of(found):
    """'train' and 'val' -> their photos, in order.

    Parameters
    ----------
    found : PhotoSet

    Returns
    -------
    dict of str to list of str
    """
    return {"train": [name for name in found.labels if name not in found.val],
            "val": [name for name in found.labels if name in found.val]}


#: reasons why files were left out, for several
PLURALS = {"photo without a label": "photos without a label", BROKEN_LINK: "links to photos that are not there"}


def summary(found, out, links=True):
    """Lines for the user: photos by suffix, what was left out, photos of each class, masks with their pixels.

    Parameters
    ----------
    found : PhotoSet
    out : Path
        The data root.
    links : bool
        Whether it holds links to the photos, not copies.

    Returns
    -------
    list of str
    """
    members = members_of(found)
    kinds = Counter(PurePosixPath(name).suffix.lower() for name in found.labels)
    lines = [f"{out}: {counted(len(members['train']), 'train photo')} and {counted(len(members['val']), 'val photo')}, "
             f"{len(found.classes)} classes with background ({', '.join(found.classes[1:])})",
             f"photos: {kinds_text(kinds)}"
             + (f"; {len(found.turned)} turned upright by EXIF" if found.turned else "")
             + (f"; left out: {_left_out(found.left_out)}" if found.left_out else "")]
    width = max(map(len, [*found.classes, "class"]))
    lines.append(f"{'class':{width}}  train    val" + ("  masks" if found.masks else ""))
    for index, title in enumerate(found.classes[1:], 1):
        train, val = (sum(index in found.labels[name] for name in names) for names in members.values())
        masks = f"  {len(found.counts.holders.get(index, ())):5}" if found.masks else ""
        lines.append(f"{title:{width}}  {train:5}  {val:5}{masks}")
    if found.masks:
        having = {part: sum(name in found.masks for name in names) for part, names in members.items()}
        of = ", ".join(f"{having[part]} of {counted(len(members[part]), f'{part} photo')}" for part in members)
        titles = [*found.classes, *[""] * (IGNORE_LABEL - len(found.classes)), "ignored"]
        shares = 100 * found.counts.pixels / max(1, found.counts.pixels.sum())
        pixels = ", ".join(f"{v} {titles[v]} {shares[v]:.1f}" for v in np.flatnonzero(found.counts.pixels))
        lines.append(f"masks: {of}; pixels in %: {pixels}")
    if links:
        lines.append(f"{out} holds links to photos{' and masks' if found.masks else ''} where they lie now, by "
                     "absolute path: keep them there, or make it with --copy")
    return lines


def _left_out(reasons):
    order = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(counted(number, reason, PLURALS.get(reason)) for reason, number in order[:10])
