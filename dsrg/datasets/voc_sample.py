"""Photos in the layout of VOC 2012 with shapes of 20 classes, drawn for tests and benchmarks of the full-size nets."""

import cv2
import numpy as np
from PIL import Image

from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.label_png import save_label_png
from dsrg.io.photos import write_picture

OUTLINES = ("ellipse", "box", "diamond", "bar")  # with five colours: 20 classes
COLOURS_BGR = ((40, 60, 220), (60, 190, 60), (220, 110, 40), (40, 200, 230), (200, 60, 190))
BORDER = 3  # width of the ignored border, pixels


def draw_sample(number, height, width, rng):
    """Draw one photo.

    Parameters
    ----------
    number : int
        Its first object is of class 1 + number % 20, so that 20 photos hold every class.

    Returns
    -------
    image_bgr : ndarray of uint8, shape (height, width, 3)
    mask : ndarray of uint8, shape (height, width)
        Class indices, borders 255.
    objects : list of (int, (int, int, int, int))
        Class and box of each object: first and last column and row as (xmin, ymin, xmax, ymax), from 1 up.
    """
    row, column = np.mgrid[:height, :width]
    stripes = 20 * np.sin((row * rng.uniform(-1, 1) + column * rng.uniform(-1, 1)) / rng.uniform(4, 12))
    image = rng.uniform(70, 180, 3) + stripes[:, :, None]
    mask = np.zeros((height, width), np.uint8)
    objects = []
    for k in range(rng.integers(1, 4)):
        label = 1 + number % 20 if k == 0 else int(rng.integers(1, 21))
        half_height, half_width = rng.uniform(0.12, 0.3, 2) * (height, width)
        middle_row = rng.uniform(half_height, height - half_height)
        middle_column = rng.uniform(half_width, width - half_width)
        down, right = (row - middle_row) / half_height, (column - middle_column) / half_width
        inside = _outline(OUTLINES[(label - 1) % 4], down, right) & (mask == 0)  # earlier objects lie in front
        if inside.sum() < 50:
            continue
        image[inside] = COLOURS_BGR[(label - 1) // 4]
        border = cv2.dilate(inside.astype(np.uint8), np.ones((BORDER, BORDER), np.uint8)).astype(bool) & ~inside
        mask[inside] = label
        mask[border] = voc.IGNORE_LABEL
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        objects.append((label, (columns[0] + 1, rows[0] + 1, columns[-1] + 1, rows[-1] + 1)))
    image += rng.normal(0, 6, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8), mask, objects


def _outline(name, down, right):
    """Points inside an outline of half-size 1 around the origin."""
    if name == "ellipse":
        return down ** 2 + right ** 2 <= 1
    if name == "diamond":
        return np.abs(down) + np.abs(right) <= 1
    narrow = 0.45 if name == "bar" else 1.0
    return (np.abs(down) <= narrow) & (np.abs(right) <= 1)


def write_sample(out, image_id, image_bgr, mask, objects, of_voc=True):
    """Write photo, annotation and masks of one id into a data root; a photo not `of_voc` has SBD's mask alone.

    Parameters
    ----------
    out : Path
        The data root.
    image_id : str
    image_bgr : numpy.ndarray of uint8, shape (H, W, 3)
    mask : numpy.ndarray of uint8, shape (H, W)
        Class indices and 255.
    objects : list of (int, (int, int, int, int))
        Class index, and box as xmin, ymin, xmax, ymax in pixels.
    of_voc : bool
    """
    write_picture(out / "JPEGImages" / f"{image_id}.jpg", image_bgr)
    if of_voc:
        save_label_png(out / "SegmentationClass" / f"{image_id}.png", mask)
    else:
        mask = np.where(mask == voc.IGNORE_LABEL, 0, mask).astype(np.uint8)  # SBD marks no borders
    with atomic_write(out / "SegmentationClassAug" / f"{image_id}.png") as temporary:
        Image.fromarray(mask).save(temporary)
    height, width = mask.shape
    lines = ["<annotation>", f"\t<filename>{image_id}.jpg</filename>",
             f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
             "\t<segmented>1</segmented>"]
    for label, box in objects:
        corners = "".join(f"<{tag}>{value}</{tag}>"
                          for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        lines.append(f"\t<object><name>{voc.CLASSES[label]}</name><difficult>0</difficult>"
                     f"<bndbox>{corners}</bndbox></object>")
    write_text(out / "Annotations" / f"{image_id}.xml", "\n".join([*lines, "</annotation>"]) + "\n")
