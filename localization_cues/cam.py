"""Class activation maps from any classifier with a global pooling next to its class scores, before or behind them.

Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: what a class adds to its score
at each place. Where the deploy net computes them as a blob (the 1x1 convolution before the pooling), that blob
is read; where the classifier comes after the pooling, M_c(y, x) = sum_k w_ck f_k(y, x) is formed here from the
features and the classifier's weights. Only calls of pycaffe are used.
"""

import numpy as np

from dsrg.io.errors import UserError
from dsrg.scoring.resizing import to_input, zoom_linear
from dsrg.scoring.score_net import ScoreNet
from localization_cues.class_scores import CamSource, find_cam
from localization_cues.merge import relative_maps


class CamNet:
    """A classifier as a source of class activation maps.

    Parameters
    ----------
    net : caffe.Net
        Loaded for testing, with one image input.
    maps_blob : str, optional
        Blob of the maps, (N, classes, h, w). Not with `classifier`. By default maps, or features and classifier, are
        looked for from the net's output upwards (class_scores.find_cam).
    classifier : str, optional
        Layer (InnerProduct or 1x1 Convolution) that scores pooled features.
    features_blob : str, optional
        Features (N, K, h, w) before the pooling, K being the inputs of `classifier`.
    """

    def __init__(self, net, maps_blob=None, classifier=None, features_blob=None):
        if (classifier is None) != (features_blob is None) or (classifier and maps_blob):
            raise UserError("name either the blob of the maps (--maps-blob), or both the features and the "
                            "classifier (--features-blob, --classifier)")
        given = maps_blob or classifier
        source = CamSource(maps_blob, features_blob, classifier) if given else find_cam(net)
        self._net = ScoreNet(net, source.features_blob or source.maps_blob)
        self._weights = None
        if (classifier := source.classifier) is not None:
            if classifier not in net.params:
                raise UserError(f"the net has no layer '{classifier}' with weights; it has {', '.join(net.params)}")
            weights = np.array(net.params[classifier][0].data, np.float32)
            self._weights = weights.reshape(len(weights), -1)                    # (classes, K)
        self.native_size = tuple(net.blobs[self._net.input_blob].shape[2:])

    def maps(self, image, flip=False):
        """Maps (classes, h, w) float32 of one input (3, H, W); with `flip` the mean with the mirrored one's.

        Parameters
        ----------
        image : float32 array (3, H, W)
            BGR minus the mean.
        flip : bool

        Returns
        -------
        float32 array (classes, h, w)
        """
        try:
            values = self._net.scores(image, flip)
        except (ValueError, RuntimeError) as error:
            size = "x".join(map(str, image.shape[1:]))
            raise UserError(f"the net does not take an input of {size}: {error}. Where a pooling has a fixed kernel, "
                            "write global_pooling: true instead") from None
        if self._weights is None:
            return values
        if len(values) != self._weights.shape[1]:
            raise UserError(f"blob '{self._net.output_blob}' has {len(values)} channels, but the classifier weighs "
                            f"{self._weights.shape[1]}; name the features just before its pooling")
        return np.tensordot(self._weights, values, axes=1)

    def image_maps(self, image_bgr, labels, sizes, cue_size, flip, mean_bgr):
        """Maps of the classes of one photo at the cue size, several input sizes averaged.

        Parameters
        ----------
        image_bgr : (H, W, 3) uint8 array
        labels : sequence of int
            Classes from 1; class c is channel c - 1 of the maps.
        sizes : sequence of (int, int)
            Heights and widths of the net's input; the photo's aspect is ignored, as ImageData does.
        cue_size : (int, int)
        flip : bool
        mean_bgr : sequence of 3 numbers

        Returns
        -------
        (k, height, width) float64 array
            Each size's maps are cut at 0 and divided by their maximum before the mean, so that no size
            outweighs another; for a single size without positive values, the raw map, so that its largest cell
            is known. Raises UserError for a class the net does not have.
        """
        channels = [label - 1 for label in labels]
        raw = []
        for height, width in sizes:
            values = self.maps(to_input(image_bgr, height, width, mean_bgr), flip)
            if max(channels) >= len(values):
                raise UserError(f"label {max(labels)}: the net has {len(values)} classes besides background; it was "
                                "made for other data, or the labels are wrong")
            small = zoom_linear(values[channels].transpose(1, 2, 0), *cue_size)
            raw.append(small.transpose(2, 0, 1))
        averaged = np.mean([relative_maps(maps) for maps in raw], axis=0)
        nothing = averaged.max(axis=(1, 2), keepdims=True) <= 0
        return np.where(nothing, np.mean(raw, axis=0), averaged)
