"""HDF5Data reads arrays of any shape from HDF5 files, HDF5Output writes them."""

import contextlib
import os

import h5py
import numpy as np

from .. import device, hdf5_files, permissions
from ..errors import ModelFileError, OpenError, UnknownShapeError
from ..layer import NativeLayer, register
from ..modelfile import atomic_path
from .bottom_checks import legacy_shape
from .data_layer import Order, read_source, write_array
from .random_streams import ORDER, generator


@register("HDF5Data")
class HDF5Data(NativeLayer):
    """Rows of the datasets named like the tops, from the HDF5 files that `source` lists, one a line.

    Batches run on over the ends of files. shuffle puts the files, and the rows within each, in a new order every
    epoch. A file is held in memory while its rows are read.
    """

    bottoms = (0, 0)
    tops = (1, None)
    reads_data = True

    def read_settings(self):
        p = self.param = self._layer_param.hdf5_data_param
        if p.batch_size < 1:
            raise self.error("batch_size is missing or 0; expected at least 1")
        if self._layer_param.HasField("transform_param"):
            raise self.error("HDF5Data does not transform its data: remove transform_param")

    def configure(self, bottom, top):
        self.read_settings()
        raise UnknownShapeError("the shapes are stored in its HDF5 files")

    def setup(self, bottom, top):
        self.read_settings()
        p = self.param
        self.names = list(self._layer_param.top)
        self.files = read_source(self, p.source, str)  # (path, file:line)
        shapes = [self._shapes(*file) for file in self.files]
        for (path, place), found in zip(self.files, shapes, strict=True):
            for name, a, b in zip(self.names, found, shapes[0], strict=True):
                if a[1:] != b[1:]:
                    raise self.error(f"{place}: dataset '{name}' has rows of {a[1:]} in '{path}', {b[1:]} in "
                                     f"'{self.files[0][0]}'")
        self.rows = np.array([found[0][0] for found in shapes])
        if not self.rows.sum():
            raise self.error(f"the files of '{p.source}' have no rows")
        self.order = Order(self, int(self.rows.sum()), p.batch_size)
        self._loaded, self._epoch = {}, None
        for blob, shape in zip(top, shapes[0], strict=True):
            blob.reshape(p.batch_size, *shape[1:])

    @contextlib.contextmanager
    def _datasets(self, path, place):
        """The open file and its datasets of the tops' names."""
        try:
            with hdf5_files.reading(path, "data file") as file:
                found = [file.find(name) for name in self.names]
                for name, dataset in zip(self.names, found, strict=True):
                    if not isinstance(dataset, h5py.Dataset):
                        raise self.error(f"{place}: '{path}' has no dataset '{name}' (a top's name); it has: "
                                         f"{', '.join(file.names(file.root)) or 'none'}")
                    if dataset.dtype.kind not in "fiub":
                        raise self.error(f"{place}: dataset '{name}' of '{path}' holds {dataset.dtype}; expected "
                                         "numbers")
                yield file, found
        except (ModelFileError, OpenError) as error:
            raise self.error(f"{place}: cannot read the HDF5 file '{path}': {error}") from error

    def _shapes(self, path, place):
        with self._datasets(path, place) as (file, found):
            shapes = [file.check(dataset)[0] for dataset in found]
        if any(not s or s[0] != shapes[0][0] for s in shapes):
            shown = dict(zip(self.names, shapes, strict=True))
            raise self.error(f"{place}: '{path}': datasets {shown} differ in their number of rows")
        return shapes

    def _sequence(self, epoch):
        """Files in the order of an epoch, and the row at which each begins."""
        if self._epoch is None or self._epoch[0] != epoch:
            files = np.arange(len(self.files))
            if self.param.shuffle:
                files = generator(self, ORDER, epoch).permutation(len(self.files))
            self._epoch = (epoch, files, np.cumsum([0, *self.rows[files]]))
        return self._epoch[1:]

    def _rows_of(self, epoch, file):
        """The datasets of a file, as float32, in the epoch's order of rows."""
        key = (epoch if self.param.shuffle else 0, file)
        if key not in self._loaded:
            path, place = self.files[file]
            with self._datasets(path, place) as (opened, found):
                arrays = [opened.numbers(dataset) for dataset in found]
            if any(len(array) != self.rows[file] for array in arrays):
                raise self.error(f"{place}: '{path}' has changed since the net was made: {len(arrays[0])} rows, it had "
                                 f"{self.rows[file]}")
            if self.param.shuffle:
                rows = generator(self, ORDER, epoch, file).permutation(self.rows[file])
                arrays = [a[rows] for a in arrays]
            self._loaded = {key: arrays}
        return self._loaded[key]

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        parts = [[] for _ in self.names]
        for position in self.order.positions(self.tick):
            epoch, row = divmod(int(position), self.order.count)
            files, starts = self._sequence(epoch)
            at = int(np.searchsorted(starts, row, side="right")) - 1
            for part, array in zip(parts, self._rows_of(epoch, int(files[at])), strict=True):
                part.append(array[row - starts[at]])
        for blob, part in zip(top, parts, strict=True):
            write_array(blob, np.stack(part))

    def seek(self, forwards):
        super().seek(forwards)
        self._loaded, self._epoch = {}, None


@register("HDF5Output")
class HDF5Output(NativeLayer):
    """Writes its two bottoms as datasets "data" and "label", of four axes; every forward adds rows (axis 0).

    The first forward puts a new file in the place of an older one, whole or not at all; a net that is only built
    touches nothing. Outside the current folder it writes where `caffe.permissions` lets it.
    """

    bottoms = (2, 2)
    tops = (0, 0)

    def configure(self, bottom, top):
        self.path = self._layer_param.hdf5_output_param.file_name
        if not self.path:
            raise self.error("file_name is missing: the HDF5 file to write")

    def setup(self, bottom, top):
        self.configure(bottom, top)
        if os.path.lexists(self.path) and not os.path.isfile(self.path):
            raise self.error(f"cannot write the HDF5 file '{self.path}': it exists and is not a regular file")
        folder = os.path.dirname(self.path) or "."
        if not (os.path.isdir(folder) and os.access(folder, os.W_OK)):
            raise self.error(f"cannot write the HDF5 file '{self.path}': folder '{folder}' does not exist or cannot be "
                             "written; create it")
        self.path = os.path.abspath(self.path)  # wherever the program is by then
        try:
            permissions.check_output(self.path)
        except ValueError as error:
            raise self.error(str(error)) from None
        self.begun = False

    def reshape(self, bottom, top):
        self.shapes = [legacy_shape(self, blob.dims, f"bottom {k}") for k, blob in enumerate(bottom)]
        if self.shapes[0][0] != self.shapes[1][0]:
            raise self.error(f"bottom 0 is {bottom[0].dims}, bottom 1 {bottom[1].dims}: their numbers of rows differ")

    def forward(self, bottom, top):
        rows = {name: blob.data_memory.read(device.current()).float().cpu().numpy().reshape(shape)
                for name, blob, shape in zip(("data", "label"), bottom, self.shapes, strict=True)}
        try:
            if self.begun:
                with h5py.File(self.path, "a") as file:
                    self._append(file, rows)
            else:
                with atomic_path(self.path) as temporary, h5py.File(temporary, "w") as file:
                    for name, values in rows.items():
                        file.create_dataset(name, data=values, maxshape=(None, *values.shape[1:]), chunks=True)
                self.begun = True
        except (OSError, ModelFileError) as error:
            raise self.error(f"cannot write the HDF5 file '{self.path}': {error}") from error

    def _append(self, file, rows):
        for name, values in rows.items():
            if file[name].shape[1:] != values.shape[1:]:
                raise self.error(f"'{self.path}' holds rows of {file[name].shape[1:]}, but this forward gives "
                                 f"{values.shape[1:]}")
        for name, values in rows.items():
            file[name].resize(len(file[name]) + len(values), 0)
            file[name][-len(values) :] = values
