"""What a data root was made of, in lines for the user."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np

from dsrg.io.photo_folder import kinds_text
from dsrg.io.voc import IGNORE_LABEL


def members_of(found):
    """'train' and 'val' -> their photos, in order."""
    return {"train": [name for name in found.labels if name not in found.val],
            "val": [name for name in found.labels if name in found.val]}


def summary(found, out):
    """Lines for the user: photos by suffix, what was left out, photos of each class, masks with their pixels."""
    members = members_of(found)
    kinds = Counter(PurePosixPath(name).suffix.lower() for name in found.labels)
    lines = [f"{out}: {len(members['train'])} train and {len(members['val'])} val photos, {len(found.classes)} classes "
             f"with background ({', '.join(found.classes[1:])})",
             f"photos: {kinds_text(kinds)}"
             + (f"; {len(found.turned)} turned upright by EXIF" if found.turned else "")
             + (f"; left out: {kinds_text(found.left_out)}" if found.left_out else "")]
    width = max(map(len, [*found.classes, "class"]))
    lines.append(f"{'class':{width}}  train    val")
    for index, title in enumerate(found.classes[1:], 1):
        train, val = (sum(index in found.labels[name] for name in names) for names in members.values())
        lines.append(f"{title:{width}}  {train:5}  {val:5}")
    if found.masks:
        having = {part: sum(name in found.masks for name in names) for part, names in members.items()}
        of = ", ".join(f"{having[part]} of {len(members[part])} {part} photos" for part in members)
        titles = [*found.classes, *[""] * (IGNORE_LABEL - len(found.classes)), "ignored"]
        shares = 100 * found.counts.pixels / max(1, found.counts.pixels.sum())
        pixels = ", ".join(f"{titles[v]} {shares[v]:.1f}" for v in np.flatnonzero(found.counts.pixels))
        lines.append(f"masks: {of}; pixels in %: {pixels}")
    return lines
