"""Public docstrings of library and engine say what goes in and out: Parameters, Returns or Yields, where there is any.

What Caffe calls on a layer is told by the table of blobs in the docstring of its class, what a command takes by its
help. A property, or a function without parameters, may say what it gives in its first line. A method that a base class
in the same folder defines is told there.
"""

import ast
import re

import pytest

from tests.conftest import ROOT

FOLDERS = ("dsrg/io", "dsrg/cuefile", "dsrg/supervision", "dsrg/saliency", "dsrg/scoring", "dsrg/calibration",
           "dsrg/pipeline", "dsrg/datasets", "dsrg/datacheck", "dsrg/experiments", "dsrg/initweights", "dsrg/export",
           "dsrg/webpage", "dsrg/netinspect", "training", "localization_cues", "tools", "CRF/python", "engine/caffe")
#: called by Caffe, and what the layers and losses of this project share behind that
LAYER_METHODS = {"setup", "configure", "reshape", "forward", "backward", "forward_tensors", "backward_tensors", "seek",
                 "compute", "compute_tensors", "check_shapes"}
#: what the engine's layers define: TorchLayer, DataLayer and ImageData tell the contract, the class its formula
ENGINE_METHODS = {"infer", "gradient", "step", "jobs", "deliver", "item", "parse", "read_settings", "shape_tops",
                  "operation", "axis_of", "message", "allow_force_backward"}
#: classes that stand in for another's, whose methods tell what they take
STAND_INS = {"Reshaped", "NoMemory"}
COMMAND = {"main", "parse_args"}
GENERATED = "caffe_pb2.py"


def faults(text, methods=None):
    """Names of public functions in a module's text, with what their docstrings lack; `methods` as of methods_of."""
    return sorted(_faults(ast.parse(text).body, "", methods_of(text) if methods is None else methods))


def methods_of(*texts):
    """Class -> names of its methods, of the classes at the top of modules."""
    return {node.name: {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
            for text in texts for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}


def _faults(body, prefix, methods):
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name.startswith("_"):
            continue
        doc = ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef):
            if not doc:
                yield f"{prefix}{node.name}: no docstring"
            if node.name not in STAND_INS:
                told = set().union(*(methods.get(base.id, ()) for base in node.bases if isinstance(base, ast.Name)))
                own = [n for n in node.body if not (isinstance(n, ast.FunctionDef) and n.name in told)]
                yield from _faults(own, f"{prefix}{node.name}.", methods)
        elif node.name not in LAYER_METHODS | ENGINE_METHODS | COMMAND:
            yield from (f"{prefix}{node.name}: {lack}" for lack in _lacks(node, doc))


def _lacks(function, doc):
    if not doc:
        return ["no docstring"]
    sections = set(re.findall(r"^(\w+)\n-+$", doc, re.MULTILINE))
    arguments = function.args
    names = {arg.arg for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)} - {"self", "cls"}
    if not names:
        return []
    missing = ["Parameters"] if "Parameters" not in sections else []
    own = list(_own_nodes(function))
    if any(isinstance(node, ast.Return) and node.value is not None for node in own) and "Returns" not in sections:
        missing.append("Returns")
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own) and "Yields" not in sections:
        missing.append("Yields")
    return missing


def _own_nodes(scope):
    """Nodes of a function without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.Lambda):
            yield child
            yield from _own_nodes(child)


@pytest.mark.parametrize("folder", FOLDERS)
def test_public_docstrings_say_what_goes_in_and_out(folder):
    paths = sorted(path for path in (ROOT / folder).rglob("*.py") if path.name != GENERATED)
    assert paths
    texts = [path.read_text() for path in paths]
    methods = methods_of(*texts)
    assert [f"{path.relative_to(ROOT)}: {fault}" for path, text in zip(paths, texts, strict=True)
            for fault in faults(text, methods)] == []


def test_the_check_sees_what_is_missing():
    text = '''
def bare(a): return a
def told():
    """A number."""
    return 1
def half(a):
    """Half of it.

    Parameters
    ----------
    a : int
    """
    return a / 2
def several(a):
    """Several.

    Parameters
    ----------
    a : int

    Returns
    -------
    int
    """
    def inner():
        return 1
    yield inner()
class Thing:
    def method(self): pass
    def forward(self, bottom, top): pass
    def _hidden(self, a): return a
class Other(Thing):
    """Another."""
    def method(self, a): return a
    def further(self, a): return a
'''
    assert faults(text) == ["Other.further: no docstring", "Thing.method: no docstring", "Thing: no docstring",
                            "bare: no docstring", "half: Returns", "several: Yields"]
