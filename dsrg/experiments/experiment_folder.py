"""The folder of an experiment below prototxts/: what its settings.yaml makes there."""

from dsrg.find_caffe import import_caffe
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.whole_folders import whole_folder
from dsrg.pipeline.settings import read_experiment


def prototxts_of(folder):
    """Texts of the prototxts of an experiment, made from the numbers in its settings.yaml by the embedded engine.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to str
        By file name.

    Raises
    ------
    UserError
        No `nets` in its settings.yaml, or numbers that do not fit.
    """
    experiment = read_experiment(folder)
    if experiment.nets is None:
        raise UserError(f"{folder / 'settings.yaml'} has no `nets` to make prototxts from; edit the prototxts, or "
                        "begin anew with python -m tools.new_experiment")
    import_caffe("embedded")
    from dsrg.experiments import prototxt_files  # it builds with the module caffe

    messages = prototxt_files.prototxts(experiment.nets, experiment.cue_file)
    return prototxt_files.texts(messages, folder.name)


def make_experiment(folder, settings, template):
    """Write the folder of a new experiment, whole or not at all: settings.yaml, README.md and the prototxts.

    Parameters
    ----------
    folder : Path
        Not there yet; its name is the experiment's.
    settings : str
        Text of its settings.yaml, with `nets`.
    template : str
        Name of the experiment that it is made from.

    Returns
    -------
    Nets

    Raises
    ------
    UserError
        Settings that do not fit, or a folder that cannot be written.
    """
    with whole_folder(folder) as partial:       # a failure leaves no half experiment for run.sh to find
        write_text(partial / "settings.yaml", settings)
        nets = read_experiment(partial).nets
        write_text(partial / "README.md", _readme(folder.name, template, nets))
        for name, content in prototxts_of(partial).items():
            write_text(partial / name, content)
    return nets


def _readme(name, template, nets):
    return (f"# {name}\n\n{nets.classes} classes with background, inputs {nets.size}x{nets.size}, maps "
            f"{nets.cells}x{nets.cells}. Made from [{template}](../{template}/README.md)\nby `python -m "
            "tools.new_experiment`; `python -m tools.make_nets` makes the prototxts from settings.yaml.\n\n"
            "Time and result: not run.\n")
