"""Applies an ablation, a few lines of prototxts/ablations/NAME.yaml, to the prototxts of a run's folder.

    python -m tools.ablate prototxts/ablations/static.yaml work/demo-static

The file says, for each prototxt, which layers change and how:

    says: one line for tables
    train-s.prototxt:
      update-seed: {param_str: {grow: false}}    # keys of a Python layer's param_str
      loss-Seed: {python: SeedLossLayer}         # another class of Python layer, same bottoms and tops
      CRF: remove
      loss-Constrain: {loss_weight: [0.5]}       # any field of the layer, as it stands in the prototxt
      loss-Expand: {add: {type: Python, ...}}    # a new layer, put last
"""

import argparse
from pathlib import Path

import yaml
from google.protobuf import json_format, text_format

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.param_str import parse_param_str


def read_ablation(path):
    """The content of an ablation's file.

    Returns
    -------
    says : str
    changes : dict
        File name -> layer name -> 'remove' or a mapping of changes.

    Raises
    ------
    UserError
        Missing file, no YAML, no `says`, or changes that are not of the form above.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in Path(path).parent.glob("*.yaml"))) or "none there"
        raise UserError(f"ablation {path} does not exist; known: {known}") from None
    except yaml.YAMLError as error:
        raise UserError(f"ablation {path} is no YAML: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("says"), str):
        raise UserError(f"ablation {path}: expected a mapping with the line 'says: what changes'")
    says = content.pop("says")
    for name, layers in content.items():
        fits = isinstance(layers, dict) and all(v == "remove" or isinstance(v, dict) for v in layers.values())
        if not (name.endswith(".prototxt") and fits):
            raise UserError(f"ablation {path}: '{name}': expected FILE.prototxt: {{LAYER: remove or {{field: value}}}}")
    return says, content


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
                raise UserError(f"{who}: layer '{name}' cannot be added: it is there, or has other changes too")
            _merge(net.layer.add(), {"name": name, **change["add"]}, f"{who}: layer '{name}'")
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
            raise UserError(f"{who}: param_str: expected a mapping, got {params!r}")
        layer.python_param.param_str = repr({**parse_param_str(layer.python_param.param_str), **params})
    if python:
        layer.python_param.layer = python
    _merge(layer, change, who)


def _merge(layer, fields, who):
    """Set fields of a LayerParameter; a list takes the place of the old one."""
    for field in fields:
        known = layer.DESCRIPTOR.fields_by_name.get(field)
        if known is not None and known.label == known.LABEL_REPEATED:
            layer.ClearField(field)
    try:
        json_format.ParseDict(fields, layer)
    except json_format.ParseError as error:
        raise UserError(f"{who}: {error}") from None


def ablate(path, folder):
    """Apply the ablation in file `path` to the prototxts in `folder`; returns what it says."""
    from training.findcaffe import caffe

    says, changes = read_ablation(path)
    results = {}
    for name, layers in changes.items():
        target = Path(folder) / name
        net = caffe.proto.caffe_pb2.NetParameter()
        try:
            text_format.Parse(target.read_text(encoding="utf-8"), net)
        except FileNotFoundError:
            raise UserError(f"ablation {Path(path).stem}: {target} does not exist; this experiment has no such net") \
                from None
        except text_format.ParseError as error:
            raise UserError(f"{target}:{error}") from None
        apply_changes(net, layers, f"ablation {Path(path).stem}: {name}")
        results[target] = net
    for target, net in results.items():  # none is written unless all can be
        head = f"# {target.name} with the ablation {Path(path).stem}: {says}\n"
        write_text(target, head + text_format.MessageToString(net))
    return says


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.ablate", description=__doc__.split("\n\n")[0])
    parser.add_argument("ablation", type=Path, help="the ablation's file, prototxts/ablations/NAME.yaml")
    parser.add_argument("folder", type=Path, help="folder of the run whose prototxts change")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    says = ablate(args.ablation, args.folder)
    write_text(args.folder / "ablation.txt", f"{args.ablation.stem}: {says}\n")
    print(f"== ablation {args.ablation.stem}: {says}")


if __name__ == "__main__":
    run_main(main)
