"""Writes the data root of a folder of photos: links or copies, masks, lists, labels."""

import os
import shutil
from pathlib import PurePosixPath

from dsrg.datasets.folder_summary import members_of
from dsrg.datasets.mask_checks import check_mask
from dsrg.io.atomic_files import write_text
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import save_label_png
from dsrg.io.photos import load_image_bgr


def write_root(root, options, found):
    """Write the data root; photos keep their suffix, in lower case.

    Parameters
    ----------
    root : Path
    options : FolderOptions
    found : PhotoSet
    """
    place = shutil.copyfile if options.copy else lambda source, target: os.symlink(source.resolve(), target)
    (root / "JPEGImages").mkdir(parents=True)
    for name in found.labels:
        place(options.photos / name, root / "JPEGImages" / (found.ids[name] + PurePosixPath(name).suffix.lower()))
    if found.masks:
        (root / "SegmentationClass").mkdir()
    for name, path in found.masks.items():
        target = file_of(root / "SegmentationClass", found.ids[name])
        if options.masks_stored and name in found.turned:
            shape = load_image_bgr(options.photos / name).shape[:2]
            save_label_png(target, check_mask(path, shape, found.turned[name], len(found.classes), True))
        else:
            place(path, target)
    sets = root / "ImageSets" / "Segmentation"
    for part, members in members_of(found).items():
        if members:
            write_text(sets / f"{part}.txt", "".join(f"{found.ids[name]}\n" for name in members))
    write_text(root / "image_labels.txt", "".join(" ".join([found.ids[name], *map(str, classes)]) + "\n"
                                                  for name, classes in found.labels.items()))
    write_text(root / "classes.txt", "".join(f"{name}\n" for name in found.classes))
