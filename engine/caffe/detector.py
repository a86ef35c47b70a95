"""caffe.Detector: classifies windows of pictures, with R-CNN's context padding (Girshick et al. 2014)."""

import numpy as np

from . import io
from .classifier import make_transformer
from .net import TEST, Net


class Detector(Net):
    """Classifies windows of pictures.

    Parameters
    ----------
    model_file, pretrained_file : str
        Deploy prototxt and weights.
    mean, input_scale, raw_scale, channel_swap : optional
        As in caffe.io.Transformer.
    context_pad : int, optional
        Pixels of the net's input that show what surrounds the window; outside the picture they hold the mean.
    """

    def __init__(
        self,
        model_file,
        pretrained_file,
        mean=None,
        input_scale=None,
        raw_scale=None,
        channel_swap=None,
        context_pad=None,
    ):
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = make_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(self, images_windows):
        """Classify windows.

        Parameters
        ----------
        images_windows : iterable of (str, sequence)
            File of a picture and its windows (ymin, xmin, ymax, xmax).

        Returns
        -------
        list of dict
            'window', 'prediction' (array of the net's first output) and 'filename' of every window, in order.
        """
        found, crops = [], []
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                crops.append(self.crop(image, np.asarray(window)))
                found.append({"window": window, "filename": filename})
        if not found:
            return []
        name = self.inputs[0]
        batch = np.stack([self.transformer.preprocess(name, crop) for crop in crops])
        predictions = self.forward_all(**{name: batch})[self.outputs[0]]
        for entry, prediction in zip(found, predictions, strict=True):
            entry["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames):
        """pycaffe calls MATLAB's selective search here; not part of this engine.

        Parameters
        ----------
        image_fnames : list of str
            Paths of pictures.
        """
        raise NotImplementedError(
            "selective search needs MATLAB in pycaffe and is not part of this engine; make windows with a tool of "
            "your choice (skimage.segmentation, cv2.ximgproc) and give them to detect_windows"
        )

    def configure_crop(self, context_pad):
        """Set the context padding, and the mean picture that fills what lies outside.

        Parameters
        ----------
        context_pad : int or None
            Pixels of context on each side of a window, as it enters the net.

        Raises
        ------
        ValueError
            An input that is not square, or that leaves no room for the padding.
        """
        name = self.inputs[0]
        channels, height, width = self.blobs[name].data.shape[1:]
        self.crop_dims = np.array((height, width, channels))
        self.context_pad = context_pad
        if not context_pad:
            return
        if height != width:
            raise ValueError(f"context_pad needs a square input, '{name}' is {height}x{width}")
        if not 0 < 2 * context_pad < height:
            raise ValueError(f"context_pad {context_pad} leaves nothing of an input of {height} pixels")
        mean = self.transformer.mean.get(name)
        if mean is None:
            self.crop_mean = np.zeros(self.crop_dims, np.float32)
            return
        # The mean in the picture's own axes, channels and scale, so that preprocess takes it to zero.
        mean = np.broadcast_to(mean, (channels, height, width)).transpose(1, 2, 0)
        order = self.transformer.channel_swap.get(name)
        if order is not None:
            mean = mean[:, :, np.argsort(order)]
        self.crop_mean = np.array(mean, np.float32) / (self.transformer.raw_scale.get(name) or 1)

    def crop(self, im, window):
        """The part of a picture in a window, with context if configured.

        Parameters
        ----------
        im : numpy.ndarray
            (H, W, K).
        window : sequence of int
            ymin, xmin, ymax, xmax.

        Returns
        -------
        numpy.ndarray
            (h, w, K), as the window is; with context of the size of the net's input.

        Raises
        ------
        ValueError
            A window outside the picture, with context.
        """
        window = np.asarray(window)
        if not self.context_pad:
            return im[window[0] : window[2], window[1] : window[3]]
        size = int(self.crop_dims[0])
        # The window grows about its centre until it fills all but context_pad of the input on each side.
        half = (window[2:] - window[:2] + 1) / 2
        grown = half * size / (size - 2 * self.context_pad)
        centre = window[:2] + half
        low, high = np.round(centre - grown), np.round(centre + grown)
        factor = size / (high - low + 1)
        offset = np.round(np.maximum(0, -low) * factor).astype(int)
        limit = np.array(im.shape[:2])
        low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
        inside = np.minimum(np.round((high - low + 1) * factor).astype(int), size - offset)
        (top, left), (bottom, right) = low.astype(int), high.astype(int)
        if bottom <= top or right <= left:
            raise ValueError(f"window {window.tolist()} does not meet the picture of {limit[0]}x{limit[1]}")
        part = io.resize_image(im[top:bottom, left:right], tuple(inside))
        result = self.crop_mean.copy()
        result[offset[0] : offset[0] + inside[0], offset[1] : offset[1] + inside[1]] = part
        return result
