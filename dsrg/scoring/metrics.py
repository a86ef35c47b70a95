"""Segmentation measures, all from one confusion matrix."""

from dataclasses import dataclass

import numpy as np

from dsrg.io import voc
from dsrg.io.counts import counted


def confusion_matrix(gt, pred, num_classes):
    """Count pixels by true and predicted class.

    Parameters
    ----------
    gt, pred : ndarray of uint8, same shape
        Class indices; pixels with gt 255 are left out.
    num_classes : int
        At most 255.

    Returns
    -------
    ndarray of int64, shape (num_classes, num_classes + 1)
        [g, p] pixels of class g predicted as p; the last column holds those predicted as 255 (nothing), which
        are misses of class g and nobody's false alarm.

    Raises
    ------
    ValueError
        Shapes that differ, or an index that is neither below num_classes nor 255.

    Examples
    --------
    >>> gt = np.array([[0, 0, 1], [1, 255, 1]], np.uint8)
    >>> pred = np.array([[0, 1, 1], [255, 0, 1]], np.uint8)
    >>> confusion_matrix(gt, pred, 2).tolist()
    [[1, 1, 0], [0, 2, 1]]
    """
    if gt.shape != pred.shape:
        sizes = ["x".join(map(str, labels.shape)) for labels in (pred, gt)]
        raise ValueError(f"prediction is {sizes[0]}, ground truth {sizes[1]} (height x width)")
    parts = [np.array_split(labels.ravel(), max(1, labels.size >> 20)) for labels in (gt, pred)]    # bincount widens
    pairs = sum(np.bincount(true.astype(np.uint16) << 8 | said, minlength=1 << 16)
                for true, said in zip(*parts, strict=True)).reshape(256, 256)
    for what, totals in (("ground truth", pairs.sum(axis=1)), ("prediction", pairs.sum(axis=0))):
        outside = np.flatnonzero(totals[num_classes:voc.IGNORE_LABEL])
        if outside.size:
            raise ValueError(f"{what} has class index {num_classes + outside[-1]}, out of range for "
                             f"{num_classes} classes")
    return pairs[:num_classes][:, [*range(num_classes), voc.IGNORE_LABEL]].astype(np.int64)


@dataclass(frozen=True)
class Result:
    """Measures of a set of label maps.

    Attributes
    ----------
    confusion : ndarray of int64, shape (C, C + 1)
        Sum of `confusion_matrix` over the images.
    images : int
        Number of images counted.
    """

    confusion: np.ndarray
    images: int

    @property
    def hits(self):
        """Pixels of each class predicted as that class, int64 (C,)."""
        return np.diagonal(self.confusion).copy()

    @property
    def gt_pixels(self):
        """Pixels of each true class, int64 (C,)."""
        return self.confusion.sum(axis=1)

    @property
    def pred_pixels(self):
        """Pixels predicted as each class (where ground truth counts), int64 (C,)."""
        return self.confusion[:, :-1].sum(axis=0)

    @property
    def iou(self):
        """Intersection over union of each class, float64 (C,); nan for a class in neither maps."""
        return _ratio(self.hits, self.gt_pixels + self.pred_pixels - self.hits)

    @property
    def precision(self):
        """Share of the predicted pixels of each class that are right; nan for a class never predicted."""
        return _ratio(self.hits, self.pred_pixels)

    @property
    def recall(self):
        """Share of the true pixels of each class that are found; nan for a class not in the ground truth."""
        return _ratio(self.hits, self.gt_pixels)

    @property
    def miou(self):
        """Mean IoU over all classes in ground truth or prediction; a class missed altogether counts as 0."""
        return _mean(self.iou)

    @property
    def miou_nonzero_diagonal(self):
        """Mean IoU as the original's evaluate.py takes it: classes without a hit are left out."""
        return _mean(self.iou[self.hits > 0])

    @property
    def pixel_accuracy(self):
        """Share of all pixels that are right."""
        return float(_ratio(self.hits.sum(), self.gt_pixels.sum()))

    @property
    def mean_accuracy(self):
        """Mean recall over the classes in the ground truth."""
        return _mean(self.recall)

    def as_dict(self, classes):
        """Everything, ready for JSON: fractions 0..1, None where a measure is undefined (0 / 0).

        Parameters
        ----------
        classes : sequence of str
            Names in index order.

        Returns
        -------
        dict
        """
        per_class = [
            {"index": i, "name": name, "iou": _or_none(self.iou[i]), "precision": _or_none(self.precision[i]),
             "recall": _or_none(self.recall[i]), "gt_pixels": int(self.gt_pixels[i]),
             "pred_pixels": int(self.pred_pixels[i])}
            for i, name in enumerate(classes)
        ]
        means = {name: _or_none(getattr(self, name)) for name in
                 ("miou", "miou_nonzero_diagonal", "pixel_accuracy", "mean_accuracy")}
        return {**means, "images": self.images, "classes": per_class, "confusion": self.confusion.tolist()}

    def table(self, classes):
        """Text for people: a line a class, then the means, in percent.

        Parameters
        ----------
        classes : sequence of str
            Names in index order.

        Returns
        -------
        str
        """
        width = max(len(name) for name in [*classes, "pixel accuracy"])
        lines = [f"{'class':{width}}     IoU  precision  recall"]
        rows = zip(classes, self.iou, self.precision, self.recall, strict=True)
        lines += [f"{name:{width}}  {_percent(a)}     {_percent(b)}  {_percent(c)}" for name, a, b, c in rows]
        absent = int(np.isnan(self.iou).sum())
        note = f"  ({absent} in neither ground truth nor prediction left out)" if absent else ""
        over = counted(len(classes) - absent, "class", "classes")
        hit = counted(int((self.hits > 0).sum()), "class", "classes")
        lines += [
            "",
            f"{'mean IoU':{width}}  {_percent(self.miou)}  over {over}{note}",
            f"{'':{width}}  {_percent(self.miou_nonzero_diagonal)}  over the {hit} with a hit "
            "(non-zero diagonal only, as the original's evaluate.py)",
            f"{'pixel accuracy':{width}}  {_percent(self.pixel_accuracy)}",
            f"{'mean accuracy':{width}}  {_percent(self.mean_accuracy)}",
            f"{'images':{width}}  {self.images:6d}",
        ]
        return "\n".join(lines) + "\n"


def _ratio(part, whole):
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def _mean(values):
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _or_none(value):
    return None if np.isnan(value) else float(value)


def _percent(value):
    return "     -" if np.isnan(value) else f"{100 * value:6.2f}"
