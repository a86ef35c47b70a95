"""What nets learn from, as NetSpec pieces: DSRG's and SEC's supervision of stage s, the retraining's loss."""

from caffe import layers as L

from dsrg.experiments.netspec_pieces import python

#: the floor of 1e-4 a class of the softmax bounds the largest probability: background never grows above these
NEVER = {True: 0.999, False: 1}     # by whether there are 16 classes or more
BACKGROUND_ABOVE, FOREGROUND_ABOVE = 0.99, 0.85


def dsrg(n, nets, scores):
    """Softmax, CRF, region growing, balanced seed loss and constrain loss, under the original's names.

    Parameters
    ----------
    n : caffe.NetSpec
        With the blobs of `annotated`: images, labels, cues. Gets the losses.
    nets : description.Nets
    scores : caffe.net_spec.Top
        (N, C, h, w), before the softmax.
    """
    crf_keys = {"scale": nets.crf_scale} if nets.crf_scale else {}
    above = BACKGROUND_ABOVE if nets.background_grows else NEVER[nets.classes >= 16]
    probs = _softmax(n, scores)
    n["fc8-SEC-CRF-log"] = crf = python([probs, n.images], "CRFLayer", name="CRF", propagate_down=[1, 0],
                                        param_str=crf_keys)
    n["cues-new"] = grown = python([n.labels, probs, n.cues, n.images], "DSRGLayer", name="update-seed",
                                   param_str={"th1": above, "th2": FOREGROUND_ABOVE, **crf_keys})
    n["loss-Seed"] = python([probs, grown], "BalancedSeedLossLayer", loss_weight=1)
    n["loss-Constrain"] = python([probs, crf], "ConstrainLossLayer", loss_weight=1)


def sec(n, nets, scores):
    """SEC's seed, expand and constrain losses on fixed seeds.

    Parameters
    ----------
    n : caffe.NetSpec
        With the blobs of `annotated`: images, labels, cues. Gets the losses.
    nets : description.Nets
    scores : caffe.net_spec.Top
        (N, C, h, w), before the softmax.
    """
    crf_keys = {"scale": nets.crf_scale} if nets.crf_scale else {}
    probs = _softmax(n, scores)
    # -log p is the scores up to a constant of each pixel; no gradient comes back through the CRF
    n["fc8-SEC-CRF-log"] = crf = python([probs, n.images], "CRFLayer", name="CRF", propagate_down=[0, 0],
                                        param_str={"textbook": True, **crf_keys})
    n["loss-Seed"] = python([probs, n.cues], "SeedLossLayer", loss_weight=1)
    n["loss-Expand"] = python([probs, n.labels], "ExpandLossLayer", loss_weight=1)
    n["loss-Constrain"] = python([probs, crf], "ConstrainLossLayer", loss_weight=1)


def _softmax(n, scores):
    n["fc8-SEC-Softmax"] = python([scores], "SoftmaxLayer", name="Softmax", propagate_down=[1])
    return n["fc8-SEC-Softmax"]


def label_maps(n, nets, scores, label):
    """Cross-entropy against the label map sampled at every cell (Interp), void ignored; accuracy for the log.

    Parameters
    ----------
    n : caffe.NetSpec
        Gets loss and accuracy.
    nets : description.Nets
    scores : caffe.net_spec.Top
        (N, C, h, w), before the softmax.
    label : caffe.net_spec.Top
        (N, 1, H, W), class indices and 255.
    """
    n.label_shrink = L.Interp(label, shrink_factor=nets.stride, pad_beg=0, pad_end=0)
    n.loss = L.SoftmaxWithLoss(scores, n.label_shrink, loss_param=dict(ignore_label=255))
    n.accuracy = L.SegAccuracy(scores, n.label_shrink, seg_accuracy_param=dict(ignore_label=255))
