"""The annotated regions of a COCO file, read one by one and kept on disk, as label maps."""

import sqlite3

import ijson
import numpy as np

from dsrg.datasets.coco_masks import region_counts, region_mask, run_lengths
from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.progress_bar import progress
from dsrg.io.regular_files import open_regular


def items(path, prefix):
    """Yield the members of one list of a JSON file without holding the file.

    Parameters
    ----------
    path : Path
    prefix : str
        ijson's name of the members, such as "images.item".

    Yields
    ------
    object
        A member as JSON gives it, numbers with a fraction as float.

    Raises
    ------
    UserError
        A file that is truncated or no JSON.
    """
    try:
        with open_regular(path, "annotations") as file:
            yield from ijson.items(file, prefix, use_float=True)
    except ijson.JSONError as error:
        raise UserError(f"{path}: truncated, or not JSON ({error}); download it again") from None


class Regions:
    """The regions of one set in a file of their own, so that memory stays flat: a context manager."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        self._path.unlink(missing_ok=True)  # of a run that was cut off
        self._base = sqlite3.connect(self._path)
        self._base.execute("PRAGMA synchronous = OFF")
        columns = "image INTEGER, crowd INTEGER, area INTEGER, class INTEGER, counts BLOB"
        self._base.execute(f"CREATE TABLE regions ({columns})")
        return self

    def __exit__(self, *exception):
        self._base.close()
        self._path.unlink(missing_ok=True)

    def read(self, path, images, classes):
        """Store the regions of a file's annotations.

        Parameters
        ----------
        path : Path
        images : dict of int to (str, int, int)
            As of `read_images`.
        classes : dict of int to int
            Category -> class index.

        Returns
        -------
        dict of int to set of int
            Image id -> classes.

        Raises
        ------
        UserError
            An annotation that lacks a field, names what is not listed, or has a damaged region.
        """
        labels = {number: set() for number in images}
        for annotation in progress(items(path, "annotations.item"), f"annotations of {path.name}"):
            if not isinstance(annotation, dict):
                raise UserError(f"{path}: an annotation is a {type(annotation).__name__}, expected an object")
            try:
                number, category = int(annotation["image_id"]), int(annotation["category_id"])
                segmentation, crowd = annotation["segmentation"], int(annotation.get("iscrowd", 0))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise UserError(f"{path}: annotation {annotation.get('id')} lacks a field ({error!r})") from None
            if crowd not in (0, 1):
                raise UserError(f"{path}: annotation {annotation.get('id')} has iscrowd {str(crowd)[:20]}, expected 0 "
                                "or 1")
            if number not in images or category not in classes:
                raise UserError(f"{path}: annotation {annotation.get('id')} is of image {number} and category "
                                f"{category}, which the file does not list")
            labels[number].add(classes[category])
            _, height, width = images[number]
            try:
                counts = region_counts(segmentation, height, width)
            except ValueError as error:
                raise UserError(f"{path}: annotation {annotation.get('id')} of image {number}: {error}") from None
            if counts is not None:
                row = (number, crowd, int(run_lengths(counts)[1::2].sum()), classes[category], counts)
                self._base.execute("INSERT INTO regions VALUES (?, ?, ?, ?, ?)", row)
        self._base.execute("CREATE INDEX of_image ON regions (image)")
        self._base.commit()
        return labels

    def label_map(self, number, height, width):
        """Label map uint8 (height, width) of one image: crowds first, then objects from large to small.

        Parameters
        ----------
        number : int
            Image id.
        height, width : int

        Returns
        -------
        numpy.ndarray of uint8, shape (height, width)
        """
        labels = np.zeros((height, width), np.uint8)
        order = "SELECT crowd, class, counts FROM regions WHERE image = ? ORDER BY crowd DESC, area DESC, rowid"
        for crowd, label, counts in self._base.execute(order, (number,)):
            labels[region_mask(counts, height, width)] = voc.IGNORE_LABEL if crowd else label
        return labels
