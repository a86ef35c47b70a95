"""HDF5Data reads arrays of any shape from HDF5 files, HDF5Output writes them."""

import h5py
import numpy as np

from .. import device
from ..layer import NativeLayer, register
from .common import legacy_shape
from .reading import Order, read_source, write_array
from .streams import ORDER, generator


@register("HDF5Data")
class HDF5Data(NativeLayer):
    """Rows of the datasets named like the tops, from the HDF5 files that `source` lists, one a line.

    Batches run on over the ends of files. shuffle puts the files, and the rows within each, in a new order every
    epoch. A file is held in memory while its rows are read.
    """

    bottoms = (0, 0)
    tops = (1, None)
    reads_data = True

    def setup(self, bottom, top):
        p = self.param = self._layer_param.hdf5_data_param
        if p.batch_size < 1:
            raise self.error("batch_size is missing or 0; expected at least 1")
        if self._layer_param.HasField("transform_param"):
            raise self.error("HDF5Data does not transform its data: take out transform_param")
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

    def _file(self, path, place):
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise self.error(f"{place}: cannot read the HDF5 file '{path}': {error}") from error

    def _shapes(self, path, place):
        with self._file(path, place) as f:
            for name in self.names:
                if not isinstance(f.get(name), h5py.Dataset):
                    raise self.error(f"{place}: '{path}' has no dataset '{name}' (a top's name); it has: "
                                     f"{', '.join(f) or 'none'}")
                if f[name].dtype.kind not in "fiub":
                    raise self.error(f"{place}: dataset '{name}' of '{path}' holds {f[name].dtype}; expected numbers")
            shapes = [f[name].shape for name in self.names]
        if any(not s or s[0] != shapes[0][0] for s in shapes):
            raise self.error(f"{place}: '{path}': datasets {dict(zip(self.names, shapes, strict=True))} differ in rows")
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
            with self._file(path, place) as f:
                try:
                    arrays = [np.asarray(f[name], np.float32) for name in self.names]
                except (KeyError, OSError) as error:
                    raise self.error(f"{place}: '{path}' has changed or is damaged: {error}") from error
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
    """Writes its two bottoms as datasets "data" and "label", of four axes; every forward adds rows (axis 0)."""

    bottoms = (2, 2)
    tops = (0, 0)

    def setup(self, bottom, top):
        self.path = self._layer_param.hdf5_output_param.file_name
        if not self.path:
            raise self.error("file_name is missing: the HDF5 file to write")
        try:
            h5py.File(self.path, "w").close()
        except OSError as error:
            raise self.error(f"cannot write the HDF5 file '{self.path}': {error}") from error

    def reshape(self, bottom, top):
        self.shapes = [legacy_shape(self, blob.dims, f"bottom {k}") for k, blob in enumerate(bottom)]
        if self.shapes[0][0] != self.shapes[1][0]:
            raise self.error(f"bottom 0 is {bottom[0].dims}, bottom 1 {bottom[1].dims}: they differ in rows")

    def forward(self, bottom, top):
        with h5py.File(self.path, "a") as f:
            for name, blob, shape in zip(("data", "label"), bottom, self.shapes, strict=True):
                rows = blob.data_memory.read(device.current()).float().cpu().numpy().reshape(shape)
                if name not in f:
                    f.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]), chunks=True)
                elif f[name].shape[1:] != rows.shape[1:]:
                    raise self.error(f"'{self.path}' holds rows of {f[name].shape[1:]}, now come {rows.shape[1:]}")
                else:
                    f[name].resize(len(f[name]) + len(rows), 0)
                    f[name][-len(rows) :] = rows
