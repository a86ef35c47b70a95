"""Measures without gradient: Accuracy, and SegAccuracy of DeepLab-v2."""

import math

import torch

from ..layer import register
from ..torch_layer import TorchLayer
from .bottom_checks import in_range, legacy_shape


@register("Accuracy")
class Accuracy(TorchLayer):
    """Share of labels among the top_k scores along `axis`; an optional second top: the same for each class.

    A score equal to the label's counts against it. Labels equal to ignore_label are left out; a class without labels
    has accuracy 0.
    """

    bottoms = (2, 2)
    tops = (1, 2)
    labels = (0, 1)
    fp32 = True

    def reshape(self, bottom, top):
        self.per_class = len(top) == 2
        super().reshape(bottom, top)

    def infer(self, scores, labels):
        p = self._layer_param.accuracy_param
        at = self.at = self.axis(p.axis, len(scores))
        self.outer, self.inner = math.prod(scores[:at]), math.prod(scores[at + 1 :])
        if math.prod(labels) != self.outer * self.inner:
            raise self.error(
                f"the scores are {scores}, the labels {labels}: expected one label for each place outside axis {at}, "
                f"{self.outer * self.inner} labels, not {math.prod(labels)}"
            )
        if p.top_k > scores[at]:
            raise self.error(f"top_k is {p.top_k}; the scores have {scores[at]} classes on axis {at}")
        return [(), (scores[at],)] if self.per_class else ()

    def compute(self, x, label):
        p = self._layer_param.accuracy_param
        classes = x.shape[self.at]
        x = x.detach().reshape(self.outer, classes, self.inner)
        label = label.reshape(self.outer, self.inner).long()
        ignored = label == p.ignore_label if p.HasField("ignore_label") else torch.zeros_like(label, dtype=torch.bool)
        label = in_range(self, label, classes, "label", "classes of the scores; ignore_label leaves some out", ignored)
        label = label.masked_fill(ignored, 0)
        better = (x >= x.gather(1, label[:, None])).sum(1) - 1  # without the label's own score
        correct = ((better < p.top_k) & ~ignored).float()
        valid = (~ignored).float()
        accuracy = correct.sum() / valid.sum().clamp(min=1)
        if not self.per_class:
            return accuracy
        sums = torch.zeros(2, classes, device=x.device)
        sums.index_add_(1, label.flatten(), torch.stack([correct.flatten(), valid.flatten()]))
        return accuracy, sums[0] / sums[1].clamp(min=1)


@register("SegAccuracy")
class SegAccuracy(TorchLayer):
    """Scores (N, C, H, W) and labels (N, 1, H, W) -> (1, 1, 1, 3):

    pixel accuracy, mean recall over the classes present in the labels, and mean intersection over union over all C
    classes, where a class with intersection equal to union, 0 / 0 included, counts 1. Of equal scores the highest class
    is taken. ignore_label may be repeated. With reset: false the counts accumulate over forwards; without any label
    that counts, all but the last figure are 0.
    """

    bottoms = (2, 2)
    labels = (0, 1)
    fp32 = True

    def setup(self, bottom, top):
        self.confusion = None

    def infer(self, scores, labels):
        n, _, height, width = self.extents = legacy_shape(self, scores, "bottom 0, the scores,")
        if legacy_shape(self, labels, "bottom 1, the labels,") != (n, 1, height, width):
            raise self.error(f"the scores are {scores}, the labels {labels}; expected (N, C, H, W) and "
                             f"{(n, 1, height, width)}")
        return (1, 1, 1, 3)

    def compute(self, x, label):
        p = self._layer_param.seg_accuracy_param
        n, classes, height, width = self.extents
        x, label = x.reshape(self.extents), label.reshape(n, 1, height, width)
        guess = classes - 1 - x.detach().flip(1).argmax(1)
        label = label.squeeze(1).long()
        ignored = torch.zeros_like(label, dtype=torch.bool)
        for value in p.ignore_label:
            ignored |= label == value
        label = in_range(self, label, classes, "label", "classes of the scores; ignore_label leaves some out", ignored)
        # ignored pixels are counted in one more cell, so that no shape depends on the data
        cells = (label * classes + guess).masked_fill(ignored, classes**2).flatten()
        # bincount would have a GPU asked for the largest cell
        counts = cells.new_zeros(classes**2 + 1).scatter_add_(0, cells, torch.ones_like(cells))
        counts = counts[:-1].reshape(classes, classes).double()
        if not p.reset and self.confusion is not None:
            counts += self.confusion
        self.confusion = counts
        return self._figures(counts).float().reshape(1, 1, 1, 3)

    @staticmethod
    def _figures(counts):
        """The three figures of a confusion matrix (label, guess)."""
        hit, truth = counts.diagonal(), counts.sum(1)
        union = truth + counts.sum(0) - hit
        accuracy = hit.sum() / truth.sum().clamp(min=1)
        recall = (hit / truth.clamp(min=1)).sum() / (truth > 0).sum().clamp(min=1)
        jaccard = torch.where(hit == union, 1.0, hit / union.clamp(min=1)).mean()
        return torch.stack([accuracy, recall, jaccard])
