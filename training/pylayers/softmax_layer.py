"""SoftmaxLayer: probabilities with a floor."""

import caffe

from dsrg.supervision import floored_softmax, floored_softmax_backward

from .contract import NoParams, expect_blobs, expect_shape, read_params
from .tensor_face import tensor_losses


class SoftmaxLayer(caffe.Layer):
    """Softmax over classes plus 1e-4, normalised again.

    =========  =========  ============  ==================================================
    blob       name       shape         content
    =========  =========  ============  ==================================================
    bottom[0]  scores     (N, C, H, W)  any float; gradient: exact
    top[0]     softmax    (N, C, H, W)  probabilities, at least 1e-4 / (1 + C 1e-4)
    =========  =========  ============  ==================================================

    Takes no param_str.
    """

    def setup(self, bottom, top):
        read_params(self, NoParams)
        expect_blobs(self, bottom, top, ("scores",), ("softmax",))

    def reshape(self, bottom, top):
        expect_shape(self, bottom, 0, "scores", (None,) * 4, "(N, C, H, W)", "give it a score map")
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = floored_softmax(bottom[0].data)

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = floored_softmax_backward(top[0].data, top[0].diff)

    def forward_tensors(self, scores):
        self._probabilities = tensor_losses().floored_softmax(scores).float()
        return (self._probabilities,)

    def backward_tensors(self, top_diffs, propagate_down):
        return (tensor_losses().floored_softmax_backward(self._probabilities, top_diffs[0]).float(),)
