"""Old files made new: V0 and V1 `layers`, legacy inputs, old data transformations, BatchNorm, solver_type.

The order is Caffe's UpgradeNetAsNeeded: V0 -> V1 -> data transformation -> V2 -> inputs -> BatchNorm. The
upgrades work in place on the messages.
"""

from .proto import caffe_pb2, is_repeated
from .upgrade_v0 import UpgradeError, upgrade_v0

V1 = caffe_pb2.V1LayerParameter

# V1 enum name -> type of today.
V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL", "CONCAT":
    "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData", "ELTWISE":
    "Eltwise", "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA":
    "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA":
    "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN",
    "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SLICE": "Slice",
    "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "TANH": "TanH",
    "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip

SOLVER_TYPES = {0: "SGD", 1: "Nesterov", 2: "AdaGrad", 3: "RMSProp", 4: "AdaDelta", 5: "Adam"}


# ---- which format is it -------------------------------------------------------------------------------


def needs_v0_upgrade(net):
    """Whether a net has V0 layers (``layers { layer { ... } }``).

    Parameters
    ----------
    net : NetParameter

    Returns
    -------
    bool
    """
    return any(layer.HasField("layer") for layer in net.layers)


def needs_v1_upgrade(net):
    """Whether a net has `layers` instead of `layer`.

    Parameters
    ----------
    net : NetParameter

    Returns
    -------
    bool
    """
    return len(net.layers) > 0


# ---- nets ---------------------------------------------------------------------------------------------


def upgrade_net(net, weights_only=False):
    """Turn a NetParameter of any age into today's form, in place.

    Parameters
    ----------
    net : NetParameter
    weights_only : bool
        The net is read for its blobs: what only matters for running it (an input without a shape, a V0
        field that its layer never read) is not an error.

    Returns
    -------
    NetParameter
        The same.

    Raises
    ------
    UpgradeError
        What Caffe drops with a log line: a mixture of old and new layers, a field its layer does not read.
    """
    if needs_v0_upgrade(net):
        upgrade_v0(net, weights_only)
    if needs_v1_upgrade(net):
        upgrade_data_transformation(net)
        upgrade_v1(net)
    if len(net.input):
        upgrade_inputs(net, weights_only)
    for layer in net.layer:
        if _old_batch_norm(layer):
            for spec in layer.param:
                spec.lr_mult = 0
                spec.decay_mult = 0
    return net


def upgrade_data_transformation(net):
    """Move scale, mean_file, crop_size and mirror of V1 data layers to transform_param, in place.

    Parameters
    ----------
    net : NetParameter
    """
    params = {V1.DATA: "data_param", V1.IMAGE_DATA: "image_data_param", V1.WINDOW_DATA: "window_data_param"}
    for layer in net.layers:
        if layer.type not in params or not layer.HasField(params[layer.type]):
            continue
        param = getattr(layer, params[layer.type])
        for field in ("scale", "mean_file", "crop_size", "mirror"):
            if param.HasField(field):
                setattr(layer.transform_param, field, getattr(param, field))
                param.ClearField(field)


def upgrade_v1(net):
    """V1 `layers` to `layer`, in place: enum types to strings, blobs_lr and weight_decay to param.

    Parameters
    ----------
    net : NetParameter

    Raises
    ------
    UpgradeError
        Both `layer` and `layers`.
    """
    if len(net.layer):
        raise UpgradeError("has both `layer` and the old `layers`; write every layer as `layer`")
    for old in net.layers:
        new = net.layer.add()
        for field, value in old.ListFields():
            if field.name in _V1_SPECIAL:
                continue
            if is_repeated(field):
                getattr(new, field.name).extend(value)
            elif field.message_type is not None:
                getattr(new, field.name).CopyFrom(value)
            else:
                setattr(new, field.name, value)
        new.type = V1_TYPES[V1.LayerType.Name(old.type)]
        _param_specs(old, new)
    del net.layers[:]


_V1_SPECIAL = {"type", "param", "blob_share_mode", "blobs_lr", "weight_decay", "layer"}


def upgrade_inputs(net, weights_only=False):
    """`input` with `input_shape` or `input_dim` to an Input layer in front, in place.

    Parameters
    ----------
    net : NetParameter
    weights_only : bool
        As of upgrade_net.

    Raises
    ------
    UpgradeError
        Inputs without shapes, or of another number.
    """
    count, shapes, dims = len(net.input), len(net.input_shape), len(net.input_dim)
    if shapes or dims:
        if shapes and shapes != count:
            raise UpgradeError(f"{count} input but {shapes} input_shape; give one input_shape for each input")
        if not shapes and dims != 4 * count:
            raise UpgradeError(f"{count} input but {dims} input_dim; give four for each input (N C H W)")
        layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
        for i in range(count):
            dim = net.input_shape[i].dim if shapes else net.input_dim[4 * i : 4 * i + 4]
            layer.input_param.shape.add(dim=dim)
        rest = list(net.layer)
        del net.layer[:]
        net.layer.append(layer)
        net.layer.extend(rest)
    elif not weights_only:
        raise UpgradeError(
            f"input '{net.input[0]}' has no shape; add input_shape {{ dim: N dim: C dim: H dim: W }} "
            "or write an Input layer"
        )
    net.ClearField("input")
    net.ClearField("input_shape")
    net.ClearField("input_dim")


def _old_batch_norm(layer):
    """BatchNorm once declared its three statistics as parameters that must not learn."""
    return layer.type == "BatchNorm" and len(layer.param) == 3


def _param_specs(old, new):
    """Names, share modes, blobs_lr and weight_decay of a V1 layer as ParamSpec, one a blob."""
    count = max(map(len, (old.param, old.blob_share_mode, old.blobs_lr, old.weight_decay)))
    for _ in range(count):
        new.param.add()
    for spec, name in zip(new.param, old.param, strict=False):
        spec.name = name
    for spec, mode in zip(new.param, old.blob_share_mode, strict=False):
        spec.share_mode = mode
    for spec, rate in zip(new.param, old.blobs_lr, strict=False):
        spec.lr_mult = rate
    for spec, decay in zip(new.param, old.weight_decay, strict=False):
        spec.decay_mult = decay


# ---- solvers ------------------------------------------------------------------------------------------


def upgrade_solver(solver):
    """`solver_type: ADAM` to ``type: "Adam"``, and nets inside the solver, in place.

    Parameters
    ----------
    solver : SolverParameter

    Returns
    -------
    SolverParameter
        The same.

    Raises
    ------
    UpgradeError
        Both `type` and `solver_type`, or a net that cannot be upgraded.
    """
    if solver.HasField("solver_type"):
        if solver.HasField("type"):
            raise UpgradeError("has both `type` and the old `solver_type`; keep `type`")
        solver.type = SOLVER_TYPES[solver.solver_type]
        solver.ClearField("solver_type")
    for field in ("net_param", "train_net_param"):
        if solver.HasField(field):
            upgrade_net(getattr(solver, field))
    for net in solver.test_net_param:
        upgrade_net(net)
    return solver
