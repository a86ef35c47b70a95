"""What a run is asked for: settings from the experiment's name, run.sh's variables and the machine at hand."""

import importlib.util
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from dsrg.caffe_device import PRECISIONS, device_numbers
from dsrg.crf_backend import CRF_BACKENDS, OWN
from dsrg.find_caffe import ENGINE_FOLDER, folder_of_caffe
from dsrg.io.errors import UserError
from dsrg.io.python_path import python_path
from dsrg.pipeline.settings import WEIGHT_VARIABLES, Settings, UsageError, experiment_names

ROOT = Path(__file__).resolve().parents[2]
PROTOTXTS = ROOT / "prototxts"
ABLATIONS = PROTOTXTS / "ablations"
#: variables that hold a path, and what must be there
PATHS = {"DATA_ROOT": "folder", "CUES": "file", "INPUT_LIST": "file", **dict.fromkeys(WEIGHT_VARIABLES, "file")}
#: the others, with their defaults
VARIABLES = {"EXPERIMENT": "demo", "MASKS": "SegmentationClass", "ENGINE": "auto", "CAFFE_ROOT": "", "DEVICE": "cpu",
             "PRECISION": "auto", "SEED": "0", "MAX_ITER": "", "BATCH": "", "WORK": "work", "STAGES": "",
             "ABLATION": "", "SNAPSHOT_KEEP": "", "SKIP_BAD": "", "CRF_BACKEND": OWN,
             "TENSORBOARD": "", "LIVE_PAGE": "1", "NPROC": ""}


def settings_of(experiment, ablation, variables, skip_bad=False):
    """Settings of what was asked for.

    Parameters
    ----------
    experiment, ablation : str
        Names of a folder of prototxts/ and of a file of prototxts/ablations/ ("" for none).
    variables : dict of str to str
        Every name of PATHS and VARIABLES; "" where a variable is not set.
    skip_bad : bool
        Whether photos with faults are left out.

    Returns
    -------
    Settings

    Raises
    ------
    UsageError
        A name or a value that does not fit.
    UserError
        A path that is not there.
    """
    def number(name, least):
        text = variables[name]
        if not re.fullmatch(r"\d{0,18}", text) or (text and not least <= int(text) < 2**31):
            raise UsageError(f"{name}={text[:40]}: expected a whole number, {least} or more, below 2^31")
        return int(text) if text else None

    if experiment not in experiment_names(PROTOTXTS):
        raise UsageError(f"unknown experiment '{experiment}'; expected one of: "
                         f"{' '.join(experiment_names(PROTOTXTS))}")
    known = sorted(path.stem for path in ABLATIONS.glob("*.yaml"))
    if ablation and ablation not in known:
        raise UsageError(f"unknown ablation '{ablation}'; expected one of: {' '.join(known)}")
    for name, allowed in (("ENGINE", ("auto", "embedded", "caffe")), ("PRECISION", PRECISIONS),
                          ("CRF_BACKEND", CRF_BACKENDS), ("TENSORBOARD", ("", "0", "1")), ("LIVE_PAGE", ("", "0", "1")),
                          ("SKIP_BAD", ("", "0", "1"))):
        if variables[name] not in allowed:
            raise UsageError(f"{name}={variables[name]}: expected {', '.join(filter(None, allowed[:-1]))} or "
                             f"{allowed[-1]}")
    try:
        device_numbers(variables["DEVICE"])
    except UserError as error:
        raise UsageError(str(error).replace("--device ", "DEVICE=")) from None
    tensorboard = variables["TENSORBOARD"] == "1"
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise UserError("TENSORBOARD=1: the package tensorboard is not installed; pip install -r requirements.txt, or "
                        "run without")
    numbers = {"seed": number("SEED", 0) or 0, "max_iter": number("MAX_ITER", 0) or None,
               "batch": number("BATCH", 1), "snapshot_keep": number("SNAPSHOT_KEEP", 1),
               "nproc": number("NPROC", 1)}
    paths = {name: _existing(name, variables[name], kind) for name, kind in PATHS.items()}
    data = paths["DATA_ROOT"]
    if data is not None and not (data / "JPEGImages").is_dir():
        raise UserError(f"DATA_ROOT={data} has no folder JPEGImages; expected VOC layout (see README, Your data)")
    weights = {name: paths[name] for name in WEIGHT_VARIABLES if paths[name] is not None}
    return Settings(experiment, Path(variables["WORK"]).absolute(), ablation, data, paths["CUES"],
                    paths["INPUT_LIST"], weights, variables["MASKS"], variables["ENGINE"], None,
                    variables["CAFFE_ROOT"], variables["PRECISION"], variables["DEVICE"],
                    variables["CRF_BACKEND"], tensorboard=tensorboard, live_page=variables["LIVE_PAGE"] != "0",
                    skip_bad=skip_bad, **numbers)


def _existing(name, text, kind):
    """The absolute path that a variable names, or None."""
    if not text:
        return None
    path = Path(text).absolute()
    if not (path.is_dir() if kind == "folder" else path.is_file()):
        raise UserError(f"{name}={text}: no such {kind}")
    return path


def resolved(settings):
    """The settings with engine and precision as they will be, where they were left to the machine.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    Settings

    Raises
    ------
    UserError
        A Caffe that is not there, or a precision or device that it lacks.
    """
    folder = folder_of_caffe(settings.engine, settings.caffe_root)
    if folder != ENGINE_FOLDER:
        if settings.precision not in ("auto", "fp32"):
            raise UserError(f"PRECISION={settings.precision}: pycaffe computes in fp32 only; leave it out, or set "
                            "ENGINE=embedded")
        return replace(settings, engine="caffe", caffe=folder / "caffe", precision="fp32")
    settings = replace(settings, engine="embedded")
    if settings.precision == "auto":
        settings = replace(settings, precision=_native_precision(settings.device))
    return settings


def _native_precision(device):
    """bf16 or fp32, asked of the engine in a process of its own: torch is slow to load and large to keep."""
    code = ("from training.findcaffe import find_caffe; from dsrg.caffe_device import use_machine; import sys; "
            "print(use_machine(find_caffe('embedded'), sys.argv[1], 'auto'))")
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": python_path(os.environ)})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        told = last.removeprefix("dsrg.io.errors.UserError: ")
        if told != last:
            raise UserError(told.replace("--device ", "DEVICE="))
        raise UserError(f"PRECISION=auto: the engine could not report the precision for DEVICE={device} ({last}); "
                        "choose another DEVICE, or set PRECISION")
    return done.stdout.split()[-1]
