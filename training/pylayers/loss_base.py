"""What the losses share: a scalar top, gradients kept from forward, the loss weight applied in backward."""

import caffe

from .contract import NoParams, expect_blobs, read_params


class LossLayer(caffe.Layer):
    """A loss of the supervision: subclasses name their bottoms and compute value and gradients.

    `compute` returns the value and one gradient per bottom, None where the bottom gets none. A bottom
    without gradient has its diff set to zero when Caffe asks for it, so that nothing stale flows on.
    """

    BOTTOMS = ()

    def setup(self, bottom, top):
        read_params(self, NoParams)
        expect_blobs(self, bottom, top, self.BOTTOMS, ("loss",))
        self._gradients = ()

    def reshape(self, bottom, top):
        self.check_shapes(bottom)
        top[0].reshape(1)

    def forward(self, bottom, top):
        value, *self._gradients = self.compute(*(bottom[k].data for k in range(len(self.BOTTOMS))))
        top[0].data[...] = value

    def backward(self, top, propagate_down, bottom):
        loss_weight = float(top[0].diff[0])
        for k, gradient in enumerate(self._gradients):
            if propagate_down[k]:
                bottom[k].diff[...] = 0 if gradient is None else loss_weight * gradient

    def check_shapes(self, bottom):
        """Raise UserError when the bottoms do not fit together."""
        raise NotImplementedError

    def compute(self, *arrays):
        """(value, gradient of bottom[0], gradient of bottom[1])."""
        raise NotImplementedError
