"""Layer types and messages as each Caffe has them: what one lacks is no field of its LayerParameter either."""

import os
import re
import sys
from types import SimpleNamespace

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message

#: what FACADE=1.0 (BVLC's Caffe 1.0) and FACADE=2016 (DeepLab-v2's, from before BVLC's rc4) lack
TYPES = {"1.0": {"Interp", "SegAccuracy", "ImageSegData"},
         "2016": {"Input", "Crop", "Parameter", "Clip", "Swish", "LSTM", "RNN", "LSTMUnit"}}
FIELDS = {
    "1.0": {"LayerParameter": {"interp_param", "seg_accuracy_param"},
            "ImageDataParameter": {"ignore_label", "label_type"},
            "TransformationParameter": {"scale_factors", "crop_width", "crop_height"},
            "BatchNormParameter": {"update_global_stats"}},
    "2016": {"LayerParameter": {"input_param", "crop_param", "parameter_param", "clip_param", "swish_param",
                                "recurrent_param"},
             "SolverParameter": {"layer_wise_reduce", "weights"}},
}
#: these are of DeepLab-v2 where the engine's messages have them, with its own numbers in its own files
NUMBERS = {"2016": {"interp_param": 143, "seg_accuracy_param": 144}}


def messages(ours, version):
    """A module `caffe_pb2` with the messages of a version, made from the engine's."""
    file = descriptor_pb2.FileDescriptorProto()
    ours.DESCRIPTOR.CopyToProto(file)
    for message in file.message_type:
        gone = FIELDS[version].get(message.name, ())
        kept = [field for field in message.field if field.name not in gone]
        for field in kept:
            if message.name == "LayerParameter":
                field.number = NUMBERS.get(version, {}).get(field.name, field.number)
        del message.field[:]
        message.field.extend(kept)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{name}"))
             for name in ours.DESCRIPTOR.message_types_by_name}
    values = {name: value for name, value in vars(ours).items()
              if not name.startswith("_") and not (isinstance(value, type) and issubclass(value, Message))}
    return SimpleNamespace(**{**values, **names, "DESCRIPTOR": pool.FindFileByName(file.name)})


def abort(text):
    """As glog's CHECK: no exception, the process ends."""
    print(f"F {text}", file=sys.stderr, flush=True)
    os.abort()


def check_net(path, caffe_pb2, version):
    """Read a net as this Caffe does; the process ends at a field or a layer type that it lacks. The message."""
    net = caffe_pb2.NetParameter()
    try:
        with open(path, encoding="utf-8") as file:
            text_format.Parse(file.read(), net)
    except OSError as error:
        raise RuntimeError(f"Could not open file {path}") from error
    except text_format.ParseError as error:
        abort(f"Error parsing text-format caffe.NetParameter: {error}")
    for layer in net.layer:
        if layer.type in TYPES[version]:
            abort(f"Check failed: registry.count(type) == 1 (0 vs. 1) Unknown layer type: {layer.type}")
        if version == "2016" and layer.type == "ImageData" and os.path.isfile(layer.image_data_param.source):
            with open(layer.image_data_param.source, encoding="utf-8") as file:
                if any(len(line.split()) != 2 or not re.fullmatch(r"-?\d+", line.split()[1]) for line in file):
                    abort(f"{layer.image_data_param.source}: a name with a blank: the label after it is no number")
    return net


def breaks_batch_norm(net):
    """Whether DeepLab-v2's BatchNorm would end the process: FACADE_BATCH_NORM=deeplab, and statistics of the batch."""
    return os.environ.get("FACADE_BATCH_NORM") == "deeplab" and any(
        layer.type == "BatchNorm" and not layer.batch_norm_param.use_global_stats for layer in net.layer)


def renumber(path, ours, theirs, version):
    """Give the fields of a caffemodel that the engine wrote the numbers that this Caffe writes (NUMBERS)."""
    names = NUMBERS.get(version, ())
    with open(path, "rb") as file:
        data = file.read()
    before, after = ours.NetParameter.FromString(data), theirs.NetParameter.FromString(data)
    found = False
    for layer, other in zip(before.layer, after.layer, strict=True):
        for name in names:
            if layer.HasField(name):
                found = True
                other.DiscardUnknownFields()
                getattr(other, name).ParseFromString(getattr(layer, name).SerializeToString())
    if found:
        with open(path, "wb") as file:
            file.write(after.SerializeToString())
