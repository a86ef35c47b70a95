"""caffe.Net: a graph that runs forward and backward, with the face of pycaffe's Net."""

import os

import numpy as np

from . import net_weights
from .errors import OpenError
from .net_batches import NetBatches
from .net_running import RunningGraph
from .proto import caffe_pb2
from .prototxt import read_net

TRAIN = caffe_pb2.TRAIN
TEST = caffe_pb2.TEST


class Net(RunningGraph, NetBatches):
    """A network of a prototxt.

    Parameters
    ----------
    network_file : str
        Prototxt. (Legacy order: ``Net(prototxt, weights, phase)``.)
    phase : int
        caffe.TRAIN or caffe.TEST.
    level : int
    stages : list of str
        Completes the NetState by which include and exclude rules are decided.
    weights : str
        .caffemodel or .h5 copied in by layer name.

    Raises
    ------
    RuntimeError
        A file that does not exist.
    caffe.PrototxtError, caffe.LayerError
        A net that cannot be built; the message names the file and the line where they are known.
    """

    def __init__(self, network_file, *args, phase=None, level=0, stages=None, weights=None):
        if len(args) == 2 and isinstance(args[0], (str, os.PathLike)):
            weights, phase = args
        elif args:
            phase, level, stages, weights = [*args, *(level, stages, weights)[len(args) - 1 :]]
        path = os.fspath(network_file)
        if phase not in (TRAIN, TEST):
            raise TypeError(f"Net({path!r}): give phase=caffe.TRAIN or phase=caffe.TEST, got {phase!r}")
        for file in (path, weights):
            if file is not None and not os.path.isfile(file):
                raise OpenError(f"Could not open file {file}")
        self._build(read_net(path), phase, level, stages or (), path)
        if weights is not None:
            self.copy_from(weights)

    @classmethod
    def from_param(cls, net_param, phase, level=0, stages=(), source="net"):
        """Net of a NetParameter message (solvers hold nets inline); `source` is the file it was read from, if any.

        Parameters
        ----------
        net_param : NetParameter
        phase, level, stages
            As of Net.
        source : str

        Returns
        -------
        Net
        """
        net = cls.__new__(cls)
        net._build(net_param, phase, level, stages, source)
        return net

    # -- pycaffe's forward and backward ------------------------------------------------------------------------
    def forward(self, blobs=None, start=None, end=None, **kwargs):
        """Run the net forward.

        Parameters
        ----------
        blobs : list of str
            Blobs to return beside the outputs.
        start, end : str
            First and last layer to run, by name; default all.
        **kwargs : array
            Values for the inputs: all of them or none, float, of the blobs' shapes.

        Returns
        -------
        dict
            Blob name -> float32 view of its data, for the outputs (or the tops of `end`) and `blobs`.

        Raises
        ------
        ValueError, KeyError
            An unknown layer or blob.
        Exception
            Values for other inputs, or of another batch (pycaffe's class and text).
        """
        first = 0 if start is None else self._layer_index(start)
        last = len(self._nodes) - 1 if end is None else self._layer_index(end)
        wanted = {*(self._output_names if end is None else self.top_names[end]), *(blobs or ())}
        shown = {name: self._named_blobs[name] for name in wanted}  # an unknown blob is a KeyError before anything runs
        if kwargs:
            if set(kwargs) != set(self._input_names):
                raise Exception("Input blob arguments do not match net inputs.")
            self._set(kwargs, "data", "Input is not batch sized")
        self._forward(first, last)
        return {name: blob.data for name, blob in shown.items()}

    def backward(self, diffs=None, start=None, end=None, **kwargs):
        """Run the net backward, from the later layer `start` to `end`.

        Gradients of parameters add up until :meth:`clear_param_diffs`.

        Parameters
        ----------
        diffs : list of str
            Blobs whose diffs to return beside those of the inputs.
        start, end : str
            First (later) and last (earlier) layer to run, by name; default all.
        **kwargs : array
            Diffs of the outputs: all of them or none, float, of the blobs' shapes.

        Returns
        -------
        dict
            Blob name -> float32 view of its diff, for the inputs (or the bottoms of `end`) and `diffs`.

        Raises
        ------
        ValueError, KeyError
            An unknown layer or blob.
        Exception
            Diffs of other blobs, or of another batch (pycaffe's class and text).
        """
        first = len(self._nodes) - 1 if start is None else self._layer_index(start)
        last = 0 if end is None else self._layer_index(end)
        wanted = {*(self._input_names if end is None else self.bottom_names[end]), *(diffs or ())}
        shown = {name: self._named_blobs[name] for name in wanted}
        if kwargs:
            if set(kwargs) != set(self._output_names):
                raise Exception("Top diff arguments do not match net outputs.")
            self._set(kwargs, "diff", "Diff is not batch sized")
        self._backward(first, last)
        return {name: blob.diff for name, blob in shown.items()}

    def _layer_index(self, name):
        if name not in self._layer_names:
            raise ValueError(f"'{name}' is not in list of layers: {', '.join(self._layer_names)}")
        return self._layer_names.index(name)

    def _set(self, arrays, what, mismatch):
        for name, values in arrays.items():
            blob = self._named_blobs[name]
            if np.shape(values)[:1] != blob.dims[:1]:
                raise Exception(mismatch)
            getattr(blob, what)[...] = values

    def set_input_arrays(self, data, labels):
        """Feed a net whose first layer is MemoryData.

        Parameters
        ----------
        data : numpy.ndarray, float32
            (M, C, H, W), C-contiguous, M a multiple of the layer's batch_size. Not copied.
        labels : numpy.ndarray, float32
            M values, C-contiguous. Not copied.

        Raises
        ------
        RuntimeError
            Another first layer, or arrays of another type, layout or shape.
        """
        if self._nodes[0].param.type != "MemoryData":
            raise RuntimeError("set_input_arrays may only be called if the first layer is a MemoryDataLayer")
        self._nodes[0].layer.set_arrays(data, labels)

    _set_input_arrays = set_input_arrays  # pycaffe's compiled half

    # -- weights -----------------------------------------------------------------------------------------------
    def share_with(self, other):
        """Use the parameter data of the equally named layers of `other` from now on; diffs stay apart.

        Parameters
        ----------
        other : Net

        Raises
        ------
        caffe.LayerError
            Shapes that differ, or no layer in common.
        """
        net_weights.share(self, other)

    def copy_from(self, path):
        """Copy weights from a .caffemodel or .h5 by layer name; layers that only one side has are left alone and named.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        RuntimeError, caffe.ModelFileError
            A file that is missing or damaged, or of which no layer fits.
        caffe.LayerError
            A shape that does not fit, or a name that several layers have. Nothing has been copied then.
        """
        net_weights.copy_from(self, path)

    def load_hdf5(self, path):
        """Copy weights from an HDF5 file.

        Parameters
        ----------
        path : str or os.PathLike
        """
        net_weights.copy_from(self, path)

    def save(self, path, family="merged"):
        """Write the net and its weights as a .caffemodel (atomically).

        Parameters
        ----------
        path : str or os.PathLike
        family : {"merged", "deeplab-v2"}
            Field numbers of Interp and SegAccuracy: those of the forks of DeepLab-v2 that were merged with BVLC Caffe,
            or those of its authors. They matter to programs that take the net, not only the weights, from the file.

        Raises
        ------
        caffe.ModelFileError, caffe.LayerError
            A file that cannot be written, or several layers of one name that have parameters.
        """
        net_weights.save(self, path, family=family)

    def save_hdf5(self, path):
        """Write the weights as HDF5: data/<layer>/<index> (atomically).

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        caffe.ModelFileError, caffe.LayerError
            As save; also layer names that HDF5 cannot keep.
        """
        net_weights.save_hdf5(self, path)
