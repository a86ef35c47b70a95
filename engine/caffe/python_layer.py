"""``type: "Python"`` layers: the user's class, found by module and name, run with Caffe's contract.

The object in ``net.layer_dict[name]`` is the user's own; nothing of the engine is stored in it but what pycaffe
documents (blobs, param_str, phase, type).
"""

import importlib

from . import permissions
from .layer import Layer, LayerError


def make_python_layer(layer_param):
    """Construct the Python layer that a LayerParameter names.

    Parameters
    ----------
    layer_param : LayerParameter

    Returns
    -------
    Layer

    Raises
    ------
    LayerError
        When the module is not allowed (permissions.py), cannot be found, ends the process as it is imported, or lacks
        the class. Other exceptions of the module and the constructor pass unchanged.
    """
    spec = layer_param.python_param
    who = f"layer '{layer_param.name}' (Python)"
    if not spec.module or not spec.layer:
        raise LayerError(f"{who}: python_param needs both module and layer")
    try:
        permissions.check_module(spec.module)
    except ValueError as error:
        raise LayerError(f"{who}: {error}") from None
    module = _imported(spec.module, who)
    cls = getattr(module, spec.layer, None)
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        has = "is not a subclass of caffe.Layer" if cls is not None else "does not exist"
        place = getattr(module, "__file__", None) or "without a file"
        raise LayerError(f"{who}: {spec.layer} in module '{spec.module}' ({place}) {has}")
    return cls(layer_param)


def _imported(name, who):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise LayerError(f"{who}: no module '{name}' on sys.path; put its folder on PYTHONPATH") from error
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:  # a script that is not a module of layers calls sys.exit
        raise LayerError(f"{who}: module '{name}' ends with {type(error).__name__}({error}) as it is imported; a "
                         "module of layers only defines them") from error
