"""A data root in which nothing is wrong, to be spoiled: 21 train photos and 2 val photos of each of two classes."""

import cv2
import numpy as np

from dsrg.io.label_png import save_label_png

CLASSES = ("background", "cow", "sheep")
SHAPE = (32, 48)
TRAIN = [f"p{n:02}" for n in range(42)]
VAL = [f"v{n}" for n in range(4)]


def make_root(root):
    """Photos, masks, lists, labels; every odd photo shows a sheep, every even one a cow."""
    (root / "JPEGImages").mkdir(parents=True)
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    for ids, name in ((TRAIN, "train"), (VAL, "val")):
        (root / f"ImageSets/Segmentation/{name}.txt").write_text("".join(f"{i}\n" for i in ids))
        for n, image_id in enumerate(ids):
            cv2.imwrite(str(root / f"JPEGImages/{image_id}.jpg"), np.full((*SHAPE, 3), 5 * n + len(name), np.uint8))
            write_mask(root, image_id, n % 2 + 1)
    (root / "image_labels.txt").write_text("".join(f"{i} {n % 2 + 1}\n" for i, n in numbered()))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))


def numbered():
    return [(image_id, n) for ids in (TRAIN, VAL) for n, image_id in enumerate(ids)]


def write_mask(root, image_id, value, shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[4:12, 4:12] = value
    save_label_png(root / f"SegmentationClass/{image_id}.png", mask)


def cues_of(size=(5, 7)):
    """Cues of the train photos: a cell of background, one of the photo's class."""
    return {n: (np.array([n % 2 + 1]), np.array([[0, n % 2 + 1], [0, size[0] - 1], [0, size[1] - 1]]))
            for n in range(len(TRAIN))}
