"""caffe.Classifier: a net and its preprocessing in one object, for whole pictures."""

import numpy as np

from . import io
from .net import TEST, Net


class Classifier(Net):
    """Classifies pictures, by their centre or by ten crops.

    Parameters
    ----------
    model_file, pretrained_file : str
        Deploy prototxt and weights.
    image_dims : (int, int), optional
        Height and width that pictures are resized to before they are cropped to the net's input; the net's
        input size without it.
    mean, input_scale, raw_scale, channel_swap : optional
        As in caffe.io.Transformer.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        image_dims=None,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
    ):
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].data.shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else np.array(image_dims)

    def predict(self, inputs, oversample=True):
        """Class probabilities of pictures.

        Parameters
        ----------
        inputs : iterable of numpy.ndarray
            (H, W, K) pictures.
        oversample : bool
            Average over ten crops (corners, centre, mirrors); False: the centre alone.

        Returns
        -------
        numpy.ndarray, float32
            (number of pictures, classes).

        Raises
        ------
        ValueError
            No pictures.
        """
        inputs = list(inputs)
        if not inputs:
            raise ValueError("predict: no pictures given")
        resized = np.stack([io.resize_image(image, self.image_dims) for image in inputs])
        if oversample:
            crops = io.oversample(resized, self.crop_dims)
        else:
            top, left = (self.image_dims - self.crop_dims) // 2
            crops = resized[:, top : top + self.crop_dims[0], left : left + self.crop_dims[1]]
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(**{name: batch})[self.outputs[0]]
        if oversample:
            predictions = predictions.reshape(len(inputs), 10, -1).mean(1)
        return predictions


def make_transformer(net, mean=None, input_scale=None, raw_scale=None, channel_swap=None):
    """Transformer for a net's first input that takes (H, W, K) pictures.

    Parameters
    ----------
    net : Net
    mean, input_scale, raw_scale, channel_swap
        As in io.Transformer's set_mean, set_input_scale, set_raw_scale and set_channel_swap; None: not set.

    Returns
    -------
    io.Transformer
    """
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer
