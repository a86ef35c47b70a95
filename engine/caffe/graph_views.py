"""What pycaffe shows of a net: its layers, blobs and parameters by name and by place."""

from collections import OrderedDict
from functools import cached_property

from .blob import BlobVec, LayerVec


class GraphViews:
    """The public faces of a Graph, made of its nodes."""

    @property
    def nodes(self):
        """list of Node: the layers with their wiring, in order."""
        return self._nodes

    @property
    def learnable(self):
        """list of Learnable: the parameter blobs as a solver sees them, shared ones once, with their owners."""
        return self._learnable

    @property
    def blobs(self):
        """OrderedDict: blob name -> Blob, in order of creation, with those of automatic splits."""
        return self._named_blobs

    @cached_property
    def layers(self):
        """LayerVec of all layers in order, with Input and Split layers; a Python layer is the user's own object."""
        return LayerVec(n.layer for n in self._nodes)

    @cached_property
    def layer_dict(self):
        """OrderedDict: layer name -> layer."""
        return OrderedDict((n.param.name, n.layer) for n in self._nodes)

    @cached_property
    def params(self):
        """OrderedDict: layer name -> BlobVec, for layers that have parameters."""
        return OrderedDict((n.param.name, n.layer.blobs) for n in self._nodes if n.layer.blobs)

    @cached_property
    def top_names(self):
        """OrderedDict: layer name -> names of its tops."""
        return OrderedDict((n.param.name, n.top_names) for n in self._nodes)

    @cached_property
    def bottom_names(self):
        """OrderedDict: layer name -> names of its bottoms, those of automatic splits."""
        return OrderedDict((n.param.name, n.bottom_names) for n in self._nodes)

    @cached_property
    def _layer_names(self):
        return [n.param.name for n in self._nodes]

    @property
    def _blob_names(self):
        return list(self._named_blobs)

    @property
    def _blobs(self):
        """All blobs by place, as pycaffe's: ``net._blobs[net._top_ids(i)[0]]``."""
        return BlobVec(self._named_blobs.values())

    @property
    def _inputs(self):
        """Places in `_blobs` of the inputs."""
        return self._ids(self._input_names)

    @property
    def _outputs(self):
        """Places in `_blobs` of the outputs."""
        return self._ids(self._output_names)

    @property
    def _blob_loss_weights(self):
        """Weights in the loss, by place in `_blobs`."""
        return list(self.blob_loss_weights.values())

    def _top_ids(self, layer_index):
        """Places in `blobs` of a layer's tops; programs that draw or count nets ask for them."""
        return self._ids(self._nodes[layer_index].top_names)

    def _bottom_ids(self, layer_index):
        return self._ids(self._nodes[layer_index].bottom_names)

    @cached_property
    def _places(self):
        return {name: k for k, name in enumerate(self._named_blobs)}

    def _ids(self, names):
        return [self._places[name] for name in names]

    @property
    def inputs(self):
        """Names of the tops of Input layers."""
        return list(self._input_names)

    @property
    def outputs(self):
        """Names of the blobs that no layer reads, sorted as Caffe sorts them."""
        return list(self._output_names)

    @property
    def blob_loss_weights(self):
        """OrderedDict: blob name -> its weight in the loss."""
        weights = OrderedDict.fromkeys(self._named_blobs, 0.0)
        for node in self._nodes:
            weights.update(zip(node.top_names, node.loss_weights, strict=True))
        return weights
