"""Nets of Caffe's first format (V0, ``layers { layer { ... } }``) made V1 (``layers { ... }``)."""

from .errors import UpgradeError
from .proto import caffe_pb2, is_repeated

V1 = caffe_pb2.V1LayerParameter

# V0 type string -> V1 enum name.
V0_TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN", "hdf5_data":
    "HDF5_DATA", "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT", "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING", "relu": "RELU",
    "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS", "split": "SPLIT", "tanh":
    "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

# V0 field -> {V0 layer type: (V1 message, field)}; "*" stands for every type.
V0_FIELDS = {
    "num_output": {"conv": "convolution_param.num_output", "innerproduct": "inner_product_param.num_output"},
    "biasterm": {"conv": "convolution_param.bias_term", "innerproduct": "inner_product_param.bias_term"},
    "weight_filler": {
        "conv": "convolution_param.weight_filler", "innerproduct": "inner_product_param.weight_filler",
    },
    "bias_filler": {
        "conv": "convolution_param.bias_filler", "innerproduct": "inner_product_param.bias_filler",
    },
    "pad": {"conv": "convolution_param.pad", "pool": "pooling_param.pad"},
    "kernelsize": {"conv": "convolution_param.kernel_size", "pool": "pooling_param.kernel_size"},
    "group": {"conv": "convolution_param.group"},
    "stride": {"conv": "convolution_param.stride", "pool": "pooling_param.stride"},
    "pool": {"pool": "pooling_param.pool"},
    "dropout_ratio": {"dropout": "dropout_param.dropout_ratio"},
    "local_size": {"lrn": "lrn_param.local_size"},
    "alpha": {"lrn": "lrn_param.alpha"},
    "beta": {"lrn": "lrn_param.beta"},
    "k": {"lrn": "lrn_param.k"},
    "source": {
        "data": "data_param.source", "hdf5_data": "hdf5_data_param.source",
        "images": "image_data_param.source", "window_data": "window_data_param.source",
        "infogain_loss": "infogain_loss_param.source",
    },
    "scale": {"*": "transform_param.scale"},
    "meanfile": {"*": "transform_param.mean_file"},
    "batchsize": {
        "data": "data_param.batch_size", "hdf5_data": "hdf5_data_param.batch_size",
        "images": "image_data_param.batch_size", "window_data": "window_data_param.batch_size",
    },
    "cropsize": {"*": "transform_param.crop_size"},
    "mirror": {"*": "transform_param.mirror"},
    "rand_skip": {"data": "data_param.rand_skip", "images": "image_data_param.rand_skip"},
    "shuffle_images": {"images": "image_data_param.shuffle"},
    "new_height": {"images": "image_data_param.new_height"},
    "new_width": {"images": "image_data_param.new_width"},
    "concat_dim": {"concat": "concat_param.concat_dim"},
    "det_fg_threshold": {"window_data": "window_data_param.fg_threshold"},
    "det_bg_threshold": {"window_data": "window_data_param.bg_threshold"},
    "det_fg_fraction": {"window_data": "window_data_param.fg_fraction"},
    "det_context_pad": {"window_data": "window_data_param.context_pad"},
    "det_crop_mode": {"window_data": "window_data_param.crop_mode"},
    "hdf5_output_param": {"hdf5_output": "hdf5_output_param"},
}  # fmt: skip


def upgrade_v0(net, weights_only=False):
    """V0 layers to V1, in place: padding layers become their reader's pad, fields go to typed messages.

    Parameters
    ----------
    net : NetParameter
    weights_only : bool
        As of upgrade.upgrade_net.

    Raises
    ------
    UpgradeError
        An unknown type, or a field that its layer does not read.
    """
    old = caffe_pb2.NetParameter()
    old.CopyFrom(net)
    _fold_padding(old)
    del net.layers[:]
    for connection in old.layers:
        net.layers.append(_v0_to_v1(connection, weights_only))


def _fold_padding(net):
    """Drop V0 padding layers and give their pad to the convolution or pooling that reads them, in place."""
    last = dict.fromkeys(net.input)  # blob -> layer that makes it, None for an input
    kept = []
    for old in net.layers:
        layer = V1()
        layer.CopyFrom(old)
        for j, blob in enumerate(old.bottom):
            if blob not in last:
                raise UpgradeError(f"layer '{_v0_name(old)}': unknown bottom blob '{blob}'", _v0_name(old))
            source = last[blob]
            if source is None or source.layer.type != "padding":
                continue
            if old.layer.type not in ("conv", "pool") or len(old.bottom) != 1 or len(source.bottom) != 1:
                raise UpgradeError(
                    f"layer '{_v0_name(old)}': reads the padding layer '{_v0_name(source)}', expected a conv "
                    "or pool layer with one bottom; set pad in the layer itself",
                    _v0_name(old),
                )
            layer.layer.pad = source.layer.pad
            layer.bottom[j] = source.bottom[0]
        for blob in old.top:
            last[blob] = old
        if old.layer.type != "padding":
            kept.append(layer)
    del net.layers[:]
    net.layers.extend(kept)


def _v0_name(connection):
    return connection.layer.name or connection.name


def _v0_to_v1(connection, weights_only):
    """One V0 layer (``layers { layer { } bottom top }``) as a V1 layer."""
    old = connection.layer
    if not connection.HasField("layer"):
        return connection  # a file that mixes V0 and V1: already V1
    new = V1(bottom=connection.bottom, top=connection.top)
    if old.HasField("name"):
        new.name = old.name
    if old.type not in V0_TYPES:
        raise UpgradeError(
            f"layer '{old.name}': unknown V0 layer type '{old.type}', known are {', '.join(V0_TYPES)}",
            old.name,
        )
    new.type = V1.LayerType.Value(V0_TYPES[old.type])
    new.blobs.extend(old.blobs)
    new.blobs_lr.extend(old.blobs_lr)
    new.weight_decay.extend(old.weight_decay)
    for field, value in old.ListFields():
        if field.name in ("name", "type", "blobs", "blobs_lr", "weight_decay"):
            continue
        targets = V0_FIELDS.get(field.name, {})
        target = targets.get(old.type, targets.get("*"))
        if target:
            _assign(new, target, value)
        elif not weights_only:
            raise UpgradeError(
                f"layer '{old.name}' ({old.type}): field '{field.name}' is not read by this layer; remove it",
                old.name,
            )
    return new


def _assign(message, path, value):
    """Set message.a.b to a scalar or message; a repeated field gets the value appended."""
    *parents, name = path.split(".")
    for parent in parents:
        message = getattr(message, parent)
    field = message.DESCRIPTOR.fields_by_name[name]
    if is_repeated(field):
        getattr(message, name).append(value)
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    else:
        setattr(message, name, value)
