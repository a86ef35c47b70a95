"""What the losses share: a scalar top, gradients kept from forward, the loss weight applied in backward."""

import caffe

from .contract import NoParams, expect_blobs, read_params
from .tensor_face import tensor_losses


class LossLayer(caffe.Layer):
    """A loss of the supervision: subclasses name their bottoms and compute value and gradients.

    `compute` returns the value and one gradient per bottom, None where the bottom gets none. A bottom
    without gradient has its diff set to zero when Caffe asks for it, so that nothing stale flows on.
    `compute_tensors` does the same on tensors, for the engine on a GPU.
    """

    BOTTOMS = ()
    tensor_pairs = (("compute", "compute_tensors"),)

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

    def forward_tensors(self, *bottoms):
        value, *self._gradients = self.compute_tensors(tensor_losses(), *bottoms)
        return (value.float().reshape(1),)

    def backward_tensors(self, top_diffs, propagate_down):
        return [None if gradient is None else (top_diffs[0].double() * gradient).float()
                for gradient in self._gradients]

    def check_shapes(self, bottom):
        """Raise UserError when the bottoms do not fit together."""
        raise NotImplementedError

    def compute(self, *arrays):
        """(value, gradient of bottom[0], gradient of bottom[1])."""
        raise NotImplementedError

    def compute_tensors(self, losses, *tensors):
        """The same of tensors; `losses` is the module dsrg.supervision.tensor_losses.

        A loss without it is computed on the host.
        """
        raise NotImplementedError
