"""Background cues of SEC: places that the scores of a classifier hardly depend on.

Kolesnikov and Lampert, "Seed, Expand and Constrain", ECCV 2016, after Simonyan et al., "Deep Inside Convolutional
Networks", 2013. The gradient of all class scores together is sent back to an early convolution; a place is as
salient as the largest absolute gradient among its channels, cleaned by a 3x3 median. Only calls of pycaffe are used.
"""

import numpy as np
from scipy import ndimage

from dsrg.io.errors import UserError
from dsrg.scoring.resizing import to_input, zoom_linear
from dsrg.scoring.score_net import ScoreNet
from localization_cues.class_scores import producer, score_layer

BLOB = "conv4_1"  # SEC's, 512 channels of 41x41


class GradientNet:
    """A classifier as a source of SEC's gradient saliency.

    Parameters
    ----------
    net : caffe.Net
        Loaded for testing with force_backward, one image input, one output. Nothing is asked of the classifier but
        scores.
    blob : str
        Where the gradient is read, shape (N, K, h, w). A layer that works on it in place (a ReLU) counts as above
        it, as in the blob's diff after pycaffe's backward.
    """

    def __init__(self, net, blob=BLOB):
        self._net, self._blob = net, blob
        if blob not in net.blobs:
            maps = [name for name in net.blobs if len(net.blobs[name].shape) == 4]
            raise UserError(f"the background net has no blob '{blob}'; choose with --background-blob one of "
                            f"{', '.join(maps)}")
        if len(net.blobs[blob].shape) != 4 or blob in net.inputs:
            raise UserError(f"blob '{blob}' is {tuple(net.blobs[blob].shape)}; --background-blob must be made by a "
                            "layer and have shape (N, channels, height, width)")
        self._scorer = ScoreNet(net, blob)  # checks the input, and runs the net forward
        self._top = score_layer(net)
        made_at = next(i for i, name in enumerate(net._layer_names) if blob in net.top_names[name])
        if made_at >= self._top.index or producer(net, blob, self._top.index + 1) == self._top.index:
            raise UserError(f"blob '{blob}' is not below the scores '{self._top.blob}'; choose an earlier one with "
                            "--background-blob")
        self._first = net._layer_names[made_at]
        self.native_size = tuple(net.blobs[self._scorer.input_blob].shape[2:])

    def gradient(self, image):
        """d(sum of all scores) / d(blob), float32 (K, h, w), of one input (3, H, W).

        Parameters
        ----------
        image : float32 array (3, H, W)
            BGR minus the mean.

        Returns
        -------
        float32 array (K, h, w)
        """
        self._scorer.scores(image)
        self._net.blobs[self._blob].diff[...] = 0
        self._net.blobs[self._top.blob].diff[...] = 1
        self._net.backward(start=self._top.name, end=self._first)
        return np.array(self._net.blobs[self._blob].diff[0], np.float32)

    def saliency(self, image_bgr, cue_size, mean_bgr):
        """Saliency of one photo at the cue size, larger where the scores depend more on the place.

        Parameters
        ----------
        image_bgr : (H, W, 3) uint8 array
        cue_size : (int, int)
            Height and width; SEC's map needs no resizing, others are brought to it bilinearly.
        mean_bgr : sequence of 3 numbers

        Returns
        -------
        (height, width) float32 array, not negative
        """
        gradient = self.gradient(to_input(image_bgr, *self.native_size, mean_bgr))
        if not gradient.any():
            raise UserError(f"no gradient of the scores '{self._top.blob}' reaches blob '{self._blob}': the net was "
                            "opened without force_backward, or its weights are not what this prototxt needs")
        values = ndimage.median_filter(np.abs(gradient).max(axis=0), size=3)
        return zoom_linear(values[:, :, None], *cue_size)[:, :, 0]
