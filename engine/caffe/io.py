"""caffe.io: pictures into nets (Transformer, load_image, resize_image, oversample) and arrays into messages.

The functions and results are pycaffe's; pictures are (H, W, K) float32 RGB in [0, 1] until a Transformer makes
a net's input of them. What pycaffe changes in its argument (preprocess scales a float32 picture in place) is left
unchanged here.
"""

import math

import numpy as np

from .proto import caffe_pb2
from .serialization import ModelFileError, array_to_blob, blob_shape, blob_to_array


def __getattr__(name):
    """`resize`, `zoom` and `skimage`, which pycaffe's module lets through to its users; imported at the first use."""
    if name == "resize":
        from skimage.transform import resize as value
    elif name == "zoom":
        from scipy.ndimage import zoom as value
    elif name == "skimage":
        import skimage as value
        import skimage.io
        import skimage.transform
    else:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return value


# ---- arrays and messages ------------------------------------------------------------------------------


def blobproto_to_array(blob, return_diff=False):
    """Convert a BlobProto into an array.

    Parameters
    ----------
    blob : BlobProto
    return_diff : bool
        Take its diff instead of its data.

    Returns
    -------
    numpy.ndarray, float32
        In the blob's shape; old blobs have four axes.

    Raises
    ------
    ValueError
        The blob holds another number of values than its shape needs.
    """
    try:
        return blob_to_array(blob, return_diff)
    except ModelFileError:
        shape = blob_shape(blob)
        held = len(blob.diff if return_diff else blob.data)
        raise ValueError(f"the BlobProto's shape {shape} needs {math.prod(shape)} numbers, it holds {held}") from None


def array_to_blobproto(arr, diff=None):
    """Convert an array into a BlobProto.

    Parameters
    ----------
    arr : array_like
        Any shape; stored as float32.
    diff : array_like, optional
        Of the same shape, stored as the blob's diff.

    Returns
    -------
    BlobProto

    Raises
    ------
    ValueError
        A diff of another shape.
    """
    blob = array_to_blob(np.asarray(arr))
    if diff is not None:
        if np.shape(diff) != np.shape(arr):
            raise ValueError(f"diff is {np.shape(diff)}, expected {np.shape(arr)} like the data")
        blob.diff.extend(np.asarray(diff, np.float32).ravel().tolist())
    return blob


def arraylist_to_blobprotovector_str(arraylist):
    """Serialized BlobProtoVector of a list of arrays."""
    vector = caffe_pb2.BlobProtoVector()
    for array in arraylist:
        array_to_blob(np.asarray(array), vector.blobs.add())
    return vector.SerializeToString()


def blobprotovector_str_to_arraylist(str):
    """List of arrays of a serialized BlobProtoVector."""
    return [blobproto_to_array(blob) for blob in caffe_pb2.BlobProtoVector.FromString(str).blobs]


def array_to_datum(arr, label=None):
    """Convert an array into a Datum.

    Parameters
    ----------
    arr : array_like
        (C, H, W). uint8 is stored as bytes, any other dtype as float_data.
    label : int, optional

    Returns
    -------
    Datum

    Raises
    ------
    ValueError
        Another number of axes.
    """
    arr = np.asarray(arr)
    if arr.ndim != 3:
        raise ValueError(f"Incorrect array shape: {arr.shape}, expected (channels, height, width)")
    datum = caffe_pb2.Datum(channels=arr.shape[0], height=arr.shape[1], width=arr.shape[2])
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(np.float64).ravel().tolist())
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum):
    """Convert a Datum into an array.

    Returns
    -------
    numpy.ndarray
        (C, H, W): uint8 of its bytes, or float64 of its float_data.

    Raises
    ------
    ValueError
        An encoded picture, or another number of values than the extents need.
    """
    if datum.encoded:
        raise ValueError("the Datum holds an encoded picture; decode its data with cv2.imdecode or PIL")
    shape = (datum.channels, datum.height, datum.width)
    numbers = np.frombuffer(datum.data, np.uint8) if datum.data else np.array(datum.float_data, np.float64)
    if numbers.size != np.prod(shape):
        raise ValueError(f"the Datum says {shape} but holds {numbers.size} numbers")
    return numbers.reshape(shape).copy()


# ---- pictures -----------------------------------------------------------------------------------------


def load_image(filename, color=True):
    """Read a picture.

    Parameters
    ----------
    filename : str
    color : bool
        True: (H, W, 3), gray pictures repeated. False: (H, W, 1), luminance (skimage's weights).

    Returns
    -------
    numpy.ndarray, float32
        RGB in [0, 1]; an alpha channel is dropped.
    """
    import skimage  # slow to import, and only pictures need it
    import skimage.color
    import skimage.io

    image = skimage.img_as_float(skimage.io.imread(filename))
    if image.ndim == 3 and image.shape[2] in (2, 4):  # gray or colour, and alpha
        image = image[:, :, :-1]
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    if color and image.shape[2] == 1:
        image = np.tile(image, (1, 1, 3))
    elif not color and image.shape[2] == 3:
        image = skimage.color.rgb2gray(image)[:, :, np.newaxis]
    return image.astype(np.float32)


def resize_image(im, new_dims, interp_order=1):
    """Resize a picture.

    Parameters
    ----------
    im : numpy.ndarray
        (H, W, K).
    new_dims : (int, int)
        Height and width.
    interp_order : int
        Order of the spline; 1 is bilinear.

    Returns
    -------
    numpy.ndarray, float32
        (*new_dims, K). One or three channels go through skimage (which smooths before it shrinks), any other
        number through scipy's zoom, as in pycaffe.
    """
    if im.shape[-1] not in (1, 3):
        from scipy.ndimage import zoom

        factors = np.asarray(new_dims, np.float64) / im.shape[:2]
        return zoom(im, (*factors, 1), order=interp_order).astype(np.float32)
    low, high = im.min(), im.max()
    if high <= low:
        return np.full((*new_dims, im.shape[-1]), low, np.float32)
    from skimage.transform import resize

    # skimage clips to the range of its input, which is cleanest in [0, 1].
    unit = resize((im - low) / (high - low), tuple(new_dims), order=interp_order, mode="constant")
    return (unit * (high - low) + low).astype(np.float32)


def oversample(images, crop_dims):
    """Ten crops of every picture: top left, top right, bottom left, bottom right, centre, then their mirrors.

    Parameters
    ----------
    images : sequence of numpy.ndarray
        (H, W, K), all of one size.
    crop_dims : (int, int)
        Height and width of a crop.

    Returns
    -------
    numpy.ndarray, float32
        (10 * len(images), *crop_dims, K).

    Raises
    ------
    ValueError
        Crops larger than the pictures.
    """
    height, width, channels = np.shape(images[0])
    crop_h, crop_w = (int(dim) for dim in crop_dims)
    rows, cols = (0, height - crop_h), (0, width - crop_w)
    if min(rows[1], cols[1]) < 0:
        raise ValueError(f"crops of {crop_h}x{crop_w} do not fit into pictures of {height}x{width}")
    corners = [(row, col) for row in rows for col in cols] + [(rows[1] // 2, cols[1] // 2)]
    crops = np.empty((len(images), 2, 5, crop_h, crop_w, channels), np.float32)
    for n, image in enumerate(images):
        for k, (row, col) in enumerate(corners):
            crops[n, 0, k] = image[row : row + crop_h, col : col + crop_w]
    crops[:, 1] = crops[:, 0, :, :, ::-1]
    return crops.reshape(-1, crop_h, crop_w, channels)


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
        """Set the factor of input `in_` before the mean: 255 for pictures in [0, 1] and a net that takes 0..255."""
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
        """Set the factor of input `in_` after the mean."""
        self._check_input(in_)
        self.input_scale[in_] = scale
