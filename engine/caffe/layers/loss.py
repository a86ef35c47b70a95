"""Loss layers: SoftmaxWithLoss, SigmoidCrossEntropyLoss, InfogainLoss, MultinomialLogisticLoss, EuclideanLoss,
HingeLoss, ContrastiveLoss.

Each makes one number of shape (). Labels are floats that hold integers, one for each place of the scores: for scores
(N, C, H, W) and axis 1 they are N H W numbers, (N, 1, H, W) or (N, H, W).

Normalisation of a sum over places: FULL divides by all places, VALID by those not ignored, BATCH_SIZE by the extents
before the axis, NONE by 1; never by less than 1.
"""

import math

import torch
import torch.nn.functional as F

from ..layer import register
from ..proto import caffe_pb2
from ..torch_layer import TorchLayer
from .bottom_checks import in_range, legacy_shape, read_binaryproto
from .surrogate_gradients import value_with_gradient_of

LOG_THRESHOLD = 1e-20  # least probability in the logarithms of InfogainLoss and MultinomialLogisticLoss
FLT_MIN = 1.1754943508222875e-38  # the same in SoftmaxWithLoss


class _Loss(TorchLayer):
    bottoms = (2, 2)
    loss = True
    auto_tops = True
    fp32 = True
    labels = (1,)

    def infer(self, first, second, *_):
        if not first or not second or first[0] != second[0]:
            raise self.error(f"bottom 0 is {first}, bottom 1 is {second}: they differ in the number of items")
        return ()

    def normalization(self, default=caffe_pb2.LossParameter.VALID):
        """The NormalizationMode in force; `normalize` is an older field, true for VALID, false for BATCH_SIZE."""
        p = self._layer_param.loss_param
        if p.HasField("normalization"):
            return p.normalization
        if p.HasField("normalize"):
            return p.VALID if p.normalize else p.BATCH_SIZE
        return default

    def ignored(self, labels):
        """Mask of the places whose label is ignore_label; None where there is no such label."""
        p = self._layer_param.loss_param
        return labels == p.ignore_label if p.HasField("ignore_label") else None

    def normalized(self, total, mode, outer, places, ignored):
        p = caffe_pb2.LossParameter
        if mode == p.VALID and ignored is not None:
            return total / (places - ignored.sum()).clamp(min=1)
        return total / max(1, {p.FULL: places, p.VALID: places, p.BATCH_SIZE: outer, p.NONE: 1}[mode])


class _LabelledLoss(_Loss):
    """Losses over a softmax along an axis, with one label a place."""

    tops = (1, 2)

    def axis_of(self):
        return self._layer_param.softmax_param.axis

    def reshape(self, bottom, top):
        self.with_prob = len(top) == 2
        super().reshape(bottom, top)

    def infer(self, scores, labels, *_):
        super().infer(scores, labels)
        at = self.at = self.axis(self.axis_of(), len(scores))
        self.outer, self.inner = math.prod(scores[:at]), math.prod(scores[at + 1 :])
        if math.prod(labels) != self.outer * self.inner:
            raise self.error(
                f"the scores are {scores}, the labels {labels}: expected one label for each place outside axis {at}, "
                f"{self.outer * self.inner} labels, not {math.prod(labels)}"
            )
        return [(), scores] if self.with_prob else ()

    def places(self, x, label):
        """log softmax as (outer, C, inner), labels (outer, inner) with ignored ones 0, and the mask of those."""
        log_prob = torch.log_softmax(x, self.at).reshape(self.outer, x.shape[self.at], self.inner)
        label = label.reshape(self.outer, self.inner).long()
        ignored = self.ignored(label)
        label = in_range(self, label, x.shape[self.at], "label",
                         "classes of the scores; ignore_label leaves some out", ignored)
        if ignored is not None:
            label = label.masked_fill(ignored, 0)
        return log_prob, label, ignored

    def result(self, nll, ignored, log_prob, shape):
        if ignored is not None:
            nll = nll.masked_fill(ignored, 0)
        loss = self.normalized(nll.sum(), self.normalization(), self.outer, self.outer * self.inner, ignored)
        return (loss, log_prob.detach().exp().reshape(shape)) if self.with_prob else loss


@register("SoftmaxWithLoss")
class SoftmaxWithLoss(_LabelledLoss):
    """Mean of -log(softmax(x)[label]); an optional second top holds the softmax.

    The probability in the logarithm is at least FLT_MIN; the gradient, softmax - 1[label], does not know that.
    """

    keeps = (0,)

    def compute(self, x, label):
        log_prob, label, ignored = self.places(x, label)
        nll = -log_prob.gather(1, label[:, None]).squeeze(1)
        nll = value_with_gradient_of(nll.clamp(max=-math.log(FLT_MIN)), nll)
        return self.result(nll, ignored, log_prob, x.shape)


@register("InfogainLoss")
class InfogainLoss(_LabelledLoss):
    """Mean of -sum_k H[label, k] log(softmax(x)[k]); H from a third bottom or the file `source` (binaryproto)."""

    bottoms = (2, 3)
    labels = (1, 2)
    keeps = (0,)

    def configure(self, bottom, top):
        if self._layer_param.loss_param.HasField("normalize"):
            raise self.error("loss_param.normalize, the old field, is not read by InfogainLoss; use normalization: "
                             "VALID (for true) or BATCH_SIZE (for false)")
        self.source = self._layer_param.infogain_loss_param.source
        if len(bottom) < 3 and not self.source:
            raise self.error("the matrix H is missing: give a third bottom, or its file as source")
        self.matrix = None

    def setup(self, bottom, top):
        self.configure(bottom, top)
        if len(bottom) < 3:
            self.matrix = self._read_matrix(self.source)

    def _read_matrix(self, path):
        values = read_binaryproto(self, path, "the matrix H")
        classes = math.isqrt(values.size)
        if classes**2 != values.size:
            raise self.error(f"'{path}' holds {values.size} values, which do not form a square matrix H")
        return torch.from_numpy(values.reshape(classes, classes))

    def axis_of(self):
        return self._layer_param.infogain_loss_param.axis

    def infer(self, scores, labels, matrix=None):
        out = super().infer(scores, labels)
        classes = scores[self.at]
        shape = matrix if self.matrix is None else tuple(self.matrix.shape)
        if shape is not None and math.prod(shape) != classes**2:  # a file's, which configure does not read
            raise self.error(f"H is {shape}; expected ({classes}, {classes}) for the scores {scores}")
        return out

    def compute(self, x, label, matrix=None):
        classes = x.shape[self.at]
        if matrix is None:
            matrix = self.matrix = self.matrix.to(x.device)
        log_prob, label, ignored = self.places(x, label)
        log_p = value_with_gradient_of(log_prob.clamp(min=math.log(LOG_THRESHOLD)), log_prob)
        rows = matrix.reshape(classes, classes)[label].movedim(-1, 1)  # (outer, C, inner)
        return self.result(-(rows.to(x.dtype) * log_p).sum(1), ignored, log_prob, x.shape)


@register("MultinomialLogisticLoss")
class MultinomialLogisticLoss(_Loss):
    """Mean of -log(max(p[label], 1e-20)) over the items of probabilities (N, C, 1, 1); gradient -1 / that maximum."""

    def infer(self, prob, label):
        super().infer(legacy_shape(self, prob, "bottom 0"), legacy_shape(self, label, "bottom 1"))
        if math.prod(label) != prob[0]:
            raise self.error(f"the probabilities are {prob}, the labels {label}: expected one label an item")
        return ()

    def compute(self, prob, label):
        prob, label = prob.reshape(len(prob), -1), label.flatten().long()
        label = in_range(self, label, prob.shape[1], "label", "classes")
        p = prob.gather(1, label[:, None])
        floor = p.detach().clamp(min=LOG_THRESHOLD)
        return value_with_gradient_of(-floor.log(), -p / floor).sum() / prob.shape[0]


@register("SigmoidCrossEntropyLoss")
class SigmoidCrossEntropyLoss(_Loss):
    """Sum of -t log(s) - (1 - t) log(1 - s), s = sigmoid(x), over all values, divided by N (BATCH_SIZE) by default.

    Targets t in [0, 1] have the shape of the scores; a target equal to ignore_label counts nothing.
    """

    keeps = (0,)

    def infer(self, scores, targets):
        if math.prod(scores) != math.prod(targets):
            raise self.error(f"the scores are {scores}, the targets {targets}: expected one target for each score")
        return super().infer(scores, targets)

    def compute(self, x, target):
        target = target.reshape(x.shape)
        loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
        ignored = self.ignored(target.trunc())
        if ignored is not None:
            loss = loss.masked_fill(ignored, 0)
        mode = self.normalization(default=caffe_pb2.LossParameter.BATCH_SIZE)
        return self.normalized(loss.sum(), mode, x.shape[0], x.numel(), ignored)


@register("EuclideanLoss")
class EuclideanLoss(_Loss):
    """Sum of squared differences / (2 N); both bottoms get gradients."""

    labels = ()
    keeps = (0, 1)

    def infer(self, a, b):
        super().infer(legacy_shape(self, a, "bottom 0"), b)
        if math.prod(a) != math.prod(b):
            raise self.error(f"bottom 0 is {a}, bottom 1 is {b}: expected the same size")
        return ()

    def compute(self, a, b):
        return (a - b.reshape(a.shape)).square().sum() / a.shape[0] / 2


@register("HingeLoss")
class HingeLoss(_Loss):
    """Sum of max(0, 1 - s x) (L1) or its square (L2) / N, with s = 1 at the label and -1 elsewhere; scores (N, C)."""

    keeps = (0,)

    def infer(self, scores, label):
        super().infer(legacy_shape(self, scores, "bottom 0"), label)
        if math.prod(label) != scores[0]:
            raise self.error(f"the scores are {scores}, the labels {label}: expected one label an item")
        return ()

    def compute(self, x, label):
        n, label = x.shape[0], label.flatten().long()
        x = x.reshape(n, -1)
        label = in_range(self, label, x.shape[1], "label", "classes")
        sign = torch.ones_like(x).scatter_(1, label[:, None], -1)
        margin = 1 + sign * x
        margin = torch.where(margin > 0, margin, 0)  # a score that is NaN counts nothing, as in Caffe
        p = self._layer_param.hinge_loss_param
        return (margin.square() if p.norm == p.L2 else margin).sum() / n


@register("ContrastiveLoss")
class ContrastiveLoss(_Loss):
    """Pairs (N, C), (N, C) with similarity y (N,): sum of y d^2 + (1 - y) max(margin - d, 0)^2, over 2 N.

    d is the distance of a pair. legacy_version uses max(margin - d^2, 0) for pairs that differ. The gradient divides by
    d + 1e-4, as Caffe's does, so that equal pairs do no harm.
    """

    bottoms = (3, 3)
    labels = (2,)
    keeps = (0, 1)

    def infer(self, a, b, similar):
        if a != b or not 1 <= len(a) <= 4 or math.prod(a[2:]) != 1:
            raise self.error(f"bottom 0 is {a}, bottom 1 is {b}; expected two of one shape (N, C)")
        if legacy_shape(self, similar, "bottom 2") != (a[0], 1, 1, 1):
            raise self.error(f"bottom 2, the similarities, is {similar}; expected {a[0]} values, ({a[0]},)")
        return ()

    def compute(self, a, b, similar):
        margin = self._layer_param.contrastive_loss_param.margin
        squared = (a - b).reshape(len(a), -1).square().sum(1)
        if self._layer_param.contrastive_loss_param.legacy_version:
            apart = F.relu(margin - squared)
        else:
            distance = squared.detach().sqrt()
            gap = F.relu(margin - distance)
            apart = value_with_gradient_of(gap.square(), -gap / (distance + 1e-4) * squared)
        return torch.where(similar.flatten().long() != 0, squared, apart).sum() / a.shape[0] / 2

    def backward(self, top, propagate_down, bottom):
        super().backward(top, [*propagate_down[:2], False], bottom)  # Caffe ignores the similarities
