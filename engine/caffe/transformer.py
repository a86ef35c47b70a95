"""caffe.io.Transformer: pictures into a net's input blobs, and back."""

import numpy as np

from .picture_arrays import resize_image


class Transformer:
    """Makes net inputs of pictures and pictures of net inputs.

    Order of `preprocess`: float32, resize to the input's height and width, transpose, channel swap, times raw
    scale, minus mean, times input scale.

    Parameters
    ----------
    inputs : dict
        Input name -> shape (N, C, H, W), as in ``{"data": net.blobs["data"].data.shape}``.
    """

    def __init__(self, inputs):
        self.inputs = inputs
        self.transpose = {}
        self.channel_swap = {}
        self.raw_scale = {}
        self.mean = {}
        self.input_scale = {}

    def _check_input(self, in_):
        if in_ not in self.inputs:
            raise Exception(f"{in_} is not one of the net inputs: {self.inputs}")  # pycaffe's class and text

    def preprocess(self, in_, data):
        """Turn a picture into a net's input.

        Parameters
        ----------
        in_ : str
            Name of the input.
        data : array_like
            (H, W, K); not changed.

        Returns
        -------
        numpy.ndarray, float32
            (K, H', W') with the usual transpose (2, 0, 1); H', W' are those of the input.

        Raises
        ------
        Exception
            `in_` is not an input (pycaffe's class and text).
        """
        self._check_input(in_)
        result = np.array(data, np.float32)  # a copy: the caller's picture stays as it is
        height_width = tuple(self.inputs[in_][2:])
        if result.shape[:2] != height_width:
            result = resize_image(result, height_width)
        if in_ in self.transpose:
            result = result.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            result = result[list(self.channel_swap[in_]), :, :]
        if self.raw_scale.get(in_) is not None:
            result *= self.raw_scale[in_]
        if self.mean.get(in_) is not None:
            result -= self.mean[in_]
        if self.input_scale.get(in_) is not None:
            result *= self.input_scale[in_]
        return result

    def deprocess(self, in_, data):
        """Turn a net's input back into a picture: the inverse of preprocess except for the resize.

        Parameters
        ----------
        in_ : str
            Name of the input.
        data : array_like, float
            (1, K, H, W) or (K, H, W); not changed.

        Returns
        -------
        numpy.ndarray
            (H, W, K) with the usual transpose, in the dtype of `data`.

        Raises
        ------
        Exception
            `in_` is not an input.
        """
        self._check_input(in_)
        result = np.array(data).squeeze()
        if self.input_scale.get(in_) is not None:
            result /= self.input_scale[in_]
        if self.mean.get(in_) is not None:
            result += self.mean[in_]
        if self.raw_scale.get(in_) is not None:
            result /= self.raw_scale[in_]
        if in_ in self.channel_swap:
            result = result[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            result = result.transpose(np.argsort(self.transpose[in_]))
        return result

    def set_transpose(self, in_, order):
        """Set the order of the picture's axes in input `in_`: (2, 0, 1) turns (H, W, K) into (K, H, W).

        Parameters
        ----------
        in_ : str
            Name of the input.
        order : sequence of int

        Raises
        ------
        Exception
            `in_` is not an input, or `order` has another number of axes.
        """
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise Exception("Transpose order needs to have the same number of dimensions as the input.")
        self.transpose[in_] = order

    def set_channel_swap(self, in_, order):
        """Set the order of the channels of input `in_`: (2, 1, 0) turns RGB into BGR.

        Parameters
        ----------
        in_ : str
            Name of the input.
        order : sequence of int

        Raises
        ------
        Exception
            `in_` is not an input, or `order` has another number of channels.
        """
        self._check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise Exception("Channel swap needs to have the same number of dimensions as the input channels.")
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_, scale):
        """Set the factor of input `in_` before the mean: 255 for pictures in [0, 1] and a net that takes 0..255.

        Parameters
        ----------
        in_ : str
            Name of the input.
        scale : float
        """
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_, mean):
        """Set the mean that is subtracted from input `in_`.

        Parameters
        ----------
        in_ : str
            Name of the input.
        mean : array_like
            (K,), one number for each channel; (K, H, W), resized if its size differs from the input's; or (H, W).

        Raises
        ------
        ValueError
            Another number of channels or axes.
        """
        self._check_input(in_)
        mean = np.asarray(mean)
        shape = tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if len(mean) != shape[0]:
                raise ValueError("Mean channels incompatible with input.")
            self.mean[in_] = mean[:, np.newaxis, np.newaxis]
            return
        if mean.ndim == 2:
            mean = mean[np.newaxis]
        if mean.ndim != 3:
            raise ValueError("Mean shape invalid")
        if mean.shape != shape:
            mean = resize_image(mean.transpose(1, 2, 0), shape[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_, scale):
        """Set the factor of input `in_` after the mean.

        Parameters
        ----------
        in_ : str
            Name of the input.
        scale : float
        """
        self._check_input(in_)
        self.input_scale[in_] = scale
