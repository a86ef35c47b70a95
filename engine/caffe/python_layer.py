"""``type: "Python"`` layers: the user's class, found by module and name, run with Caffe's contract.

The object in ``net.layer_dict[name]`` is the user's own; nothing of the engine is stored in it but what pycaffe
documents (blobs, param_str, phase, type).
"""

import importlib

from .layer import Layer, LayerError


def make_python_layer(layer_param):
    """Construct the Python layer that a LayerParameter names.

    Raises
    ------
    LayerError
        When the module cannot be found or lacks the class. What the module or the constructor raises passes unchanged.
    """
    spec = layer_param.python_param
    who = f"layer '{layer_param.name}' (Python)"
    if not spec.module or not spec.layer:
        raise LayerError(f"{who}: python_param needs both module and layer")
    try:
        module = importlib.import_module(spec.module)
    except ModuleNotFoundError as error:
        if error.name and not (spec.module == error.name or spec.module.startswith(error.name + ".")):
            raise
        raise LayerError(
            f"{who}: no module '{spec.module}' on sys.path; put its folder on PYTHONPATH"
        ) from error
    cls = getattr(module, spec.layer, None)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        has = "is not a subclass of caffe.Layer" if cls is not None else "does not exist"
        place = getattr(module, "__file__", None) or "without a file"
        raise LayerError(f"{who}: {spec.layer} in module '{spec.module}' ({place}) {has}")
    return cls(layer_param)
