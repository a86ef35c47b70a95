"""Trained networks for other programs: ONNX, TorchScript, safetensors, PyTorch's checkpoints, and caffemodels of these.

    from dsrg.export import export_run, export_net, convert
    export_run("work/demo", "demo.onnx")                  # stage and format by name: stage="f", form="onnx"
    export_net("deploy.prototxt", "f.caffemodel", "f.pt", form="torchscript")
    convert("f.caffemodel", "f.safetensors")              # and back

docs/export.md shows what the files hold and how one is run.
"""

from pathlib import Path

from dsrg.calibration.record import Calibration
from dsrg.export.metadata import metadata
from dsrg.export.weights import convert
from dsrg.io.errors import UserError
from dsrg.io.overwriting import refuse_files_of, refuse_written_over
from dsrg.scoring.run_model import find_model

__all__ = ["PROGRAMS", "WEIGHTS", "convert", "export_net", "export_run"]

#: suffixes of what an export writes and no stage of a run does
OWN_SUFFIXES = (".onnx", ".pt", ".pth", ".safetensors")
PROGRAMS = ("onnx", "torchscript")                  # net and weights
WEIGHTS = ("safetensors", "pth", "caffemodel")      # weights alone


def export_run(run, target, stage=None, form="onnx"):
    """Export the network of a run.

    Parameters
    ----------
    run : path
        Folder of a run that has come to the stages label or segment.
    target : path
        File to write.
    stage : str, optional
        As of dsrg.load.
    form : str
        One of PROGRAMS or WEIGHTS.

    Raises
    ------
    UserError
        As of dsrg.load; a layer that cannot be exported, by name; a file that cannot be written, or that is the
        run's.
    """
    refuse_files_of(run, target, lambda path: path.suffix in OWN_SUFFIXES)
    found = find_model(run, stage)
    refuse_written_over({"--out": [target]}, [found.net, found.weights])
    if form in WEIGHTS:
        convert(found.weights, target, form)
    else:
        export_net(found.net, found.weights, target, form, found.recipe, found.class_names,
                   temperature=Calibration.of_run(run, found.stage, found).temperature(found.recipe, crf=False))


def export_net(net_file, weights, target, form="onnx", recipe=None, class_names=(), output_blob=None, allow_random=(),
               temperature=None):
    """Export a deploy net.

    Parameters
    ----------
    net_file, weights : path
        Deploy prototxt; .caffemodel or .caffemodel.h5.
    target : path
    form : str
        onnx or torchscript.
    recipe : Recipe, optional
        How photos become inputs, for the metadata.
    class_names : sequence of str
    output_blob : str, optional
        The only output; by default the recipe's, else all outputs of the net.
    allow_random : sequence of str
        Layers with parameters that may lack weights.
    temperature : Temperature, optional
        Of the probabilities, for the metadata.

    Returns
    -------
    TorchNet
        What was written.
    """
    from dsrg.export import programs, torch_net

    if form not in PROGRAMS:
        raise UserError(f"format '{form}': expected {', '.join(PROGRAMS)} for a net, {', '.join(WEIGHTS)} for weights")
    output_blob = output_blob or (recipe and recipe.output_blob)
    net = torch_net.torch_net(Path(net_file), Path(weights), output_blob, allow_random)
    write = programs.write_onnx if form == "onnx" else programs.write_torchscript
    write(target, net, metadata(net, recipe, class_names, temperature))
    return net
