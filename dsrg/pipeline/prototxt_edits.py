"""Edits of a run's prototxts: an ablation (prototxts/ablations/NAME.yaml) and another batch size.

An ablation says, for each prototxt, which layers change and how, and which arguments of commands take the place of the
experiment's (with `cues` the ablation makes cues of its own, by the plain run's classifier):

    says: one line for tables
    train-s.prototxt:
      update-seed: {param_str: {grow: false}}    # keys of a Python layer's param_str
      loss-Seed: {python: SeedLossLayer}         # another class of Python layer, same bottoms and tops
      CRF: remove
      loss-Constrain: {loss_weight: [0.5]}       # any field of the layer, as it stands in the prototxt
      loss-Expand: {add: {type: Python, ...}}    # a new layer, put last
    arguments:
      cues: --threshold 0.4                      # of make_cues, as in settings.yaml
"""

from pathlib import Path
from typing import NamedTuple

from google.protobuf import json_format, text_format

from dsrg.io.errors import UserError
from dsrg.io.param_str import shown
from dsrg.io.prototxt_text import params_of
from dsrg.io.text_files import read_text
from dsrg.io.yaml_text import parse_yaml
from dsrg.pipeline.allowed_values import read_arguments
from dsrg.pipeline.prototxts import parse


class Ablation(NamedTuple):
    """An ablation's file: one line for tables; file name -> layer name -> 'remove' or a mapping of changes; command ->
    its arguments."""

    says: str
    layers: dict
    arguments: dict

    def takes(self):
        """What it does not change, and takes from the plain run: cam; cues; s, of which it is then no ablation."""
        if "cues" in self.arguments:
            return {"cam"}
        return {"cam", "cues"} if "train-s.prototxt" in self.layers else {"cam", "cues", "s"}


def read_ablation(path):
    """The content of an ablation's file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Ablation

    Raises
    ------
    UserError
        Missing file, no YAML, no `says`, or changes that are not of the form above.
    """
    if not Path(path).exists():
        known = ", ".join(sorted(p.stem for p in Path(path).parent.glob("*.yaml"))) or "none there"
        raise UserError(f"ablation {path} does not exist; known: {known}")
    try:
        content = parse_yaml(read_text(path, "ablation"))
    except ValueError as error:
        raise UserError(f"ablation {path} is not valid YAML: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("says"), str):
        raise UserError(f"ablation {path}: expected a mapping with the line 'says: what changes'")
    says = content.pop("says")
    arguments = read_arguments(content.pop("arguments", {}), f"ablation {path}: arguments")
    for name, layers in content.items():
        fits = isinstance(layers, dict) and all(v == "remove" or isinstance(v, dict) for v in layers.values())
        if not (isinstance(name, str) and name.endswith(".prototxt") and fits):
            raise UserError(f"ablation {path}: '{name}': expected FILE.prototxt: {{LAYER: remove or {{field: value}}}}")
    return Ablation(says, content, arguments)


def ablated(path, texts, folder):
    """Prototxts with the ablation in file `path`.

    Parameters
    ----------
    texts : dict of str to str
        File name -> text.
    folder : path
        Where the prototxts lie, for errors.

    Returns
    -------
    Ablation
    changed : dict of str to str
        The prototxts that changed.

    Raises
    ------
    UserError
        An ablation that cannot be read, or that does not fit: nothing is changed then.
    """
    ablation = read_ablation(path)
    changed = {}
    for name, layers in ablation.layers.items():
        if name not in texts:
            raise UserError(f"ablation {Path(path).stem}: {Path(folder, name)} does not exist; this experiment has no "
                            "such net")
        net = parse(texts[name], "net", Path(folder, name), lenient=False)
        apply_changes(net, layers, f"ablation {Path(path).stem}: {name}")
        head = f"# {name} with the ablation {Path(path).stem}: {ablation.says}\n"
        changed[name] = head + text_format.MessageToString(net)
    return ablation, changed


def apply_changes(net, layers, who):
    """Change a NetParameter in place.

    Parameters
    ----------
    net : NetParameter
    layers : dict
        Layer name -> 'remove' or mapping of changes (see the module's text).
    who : str
        What errors name: ablation and file.

    Raises
    ------
    UserError
        A layer that is not there (or, to be added, is), a field or value that does not fit.
    """
    for name, change in layers.items():
        chosen = [layer for layer in net.layer if layer.name == name]
        if change != "remove" and "add" in change:
            if chosen or len(change) > 1:
                raise UserError(f"{who}: layer '{name}' cannot be added: it already exists, or has other changes too")
            added = change["add"]
            fields = {"name": name, **added} if isinstance(added, dict) else added
            _merge(net.layer.add(), fields, f"{who}: layer '{name}'")
            continue
        if not chosen:
            raise UserError(f"{who}: the net has no layer '{name}'; its layers: {', '.join(x.name for x in net.layer)}")
        for layer in chosen:
            if change == "remove":
                net.layer.remove(layer)
            else:
                _change(layer, dict(change), f"{who}: layer '{name}'")


def _change(layer, change, who):
    params, python = change.pop("param_str", None), change.pop("python", None)
    if (params is not None or python) and layer.type != "Python":
        raise UserError(f"{who}: is a {layer.type} layer; param_str and python are for Python layers")
    if params is not None:
        if not isinstance(params, dict):
            raise UserError(f"{who}: param_str: expected a mapping, got {shown(params)}")
        layer.python_param.param_str = repr({**params_of(layer, who), **params})
    if python is not None:
        if not isinstance(python, str):
            raise UserError(f"{who}: python: expected the name of a class, got {shown(python)}")
        layer.python_param.layer = python
    _merge(layer, change, who)


def _merge(layer, fields, who):
    """Set fields of a LayerParameter; a list takes the place of the old one."""
    if not isinstance(fields, dict) or not all(isinstance(field, str) for field in fields):
        raise UserError(f"{who}: expected fields of a layer with their values, got {shown(fields)}")
    for field in fields:
        known = layer.DESCRIPTOR.fields_by_name.get(field)
        if known is not None and known.label == known.LABEL_REPEATED:
            layer.ClearField(field)
    try:
        json_format.ParseDict(fields, layer)
    except (json_format.ParseError, TypeError, ValueError, AttributeError, OverflowError) as error:
        # the last four for values that YAML has and JSON has not: dates, bytes, sets
        raise UserError(f"{who}: {error}") from None


def set_batch(net, batch):
    """Set batch_size of every data layer of a NetParameter, be it a field or a key of param_str; how many there are.

    Parameters
    ----------
    net : NetParameter
        Changed in place.
    batch : int
        1 or more.

    Returns
    -------
    int
    """
    found = 0
    for layer in net.layer:
        for field, value in layer.ListFields():
            if field.name.endswith("_param") and "batch_size" in value.DESCRIPTOR.fields_by_name:
                value.batch_size = batch
                found += 1
        if layer.type == "Python" and "batch_size" in (params := params_of(layer, "batch_size")):
            layer.python_param.param_str = repr({**params, "batch_size": batch})
            found += 1
    return found


def with_batch(texts, batch, folder):
    """The nets of `texts` (file name -> text) that have a batch_size, with another one.

    Parameters
    ----------
    texts : dict of str to str
    batch : int
        1 or more.
    folder : path
        Named in errors.

    Returns
    -------
    dict of str to str

    Raises
    ------
    UserError
        A net that cannot be parsed, or no batch_size anywhere.
    """
    changed = {}
    for name, text in sorted(texts.items()):
        if name.startswith("solver"):
            continue
        net = parse(text, "net", Path(folder, name), lenient=False)
        if set_batch(net, batch):
            changed[name] = f"# {name} with {batch} photos an iteration\n{text_format.MessageToString(net)}"
    if not changed:
        raise UserError(f"{folder}: no prototxt with a batch_size there; give the folder of a run")
    return changed
