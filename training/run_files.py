"""The files of a training run: the resolved solver and net it was made with, its snapshots, its last state."""

import contextlib
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

import yaml
from google.protobuf import text_format

from dsrg import layer_modules
from dsrg.io.atomic_files import TEMPORARY, write_text
from dsrg.io.errors import UserError, note, warn
from dsrg.io.json_files import read_mapping
from dsrg.io.param_str import parse_param_str
from dsrg.io.prototxt_text import read_prototxt
from dsrg.io.yaml_text import parse_yaml
from training.snapshot_check import fault

MODEL_SUFFIXES = (".caffemodel", ".caffemodel.h5")


@dataclass
class RunFiles:
    """A run as it will be made: the messages and texts of solver and net, and where they are written.

    Attributes
    ----------
    solver : SolverParameter
        With all overrides applied.
    solver_text, net_text : str
        What is written; the net's own text where nothing in it was changed.
    """

    solver: object
    solver_text: str
    net_text: str

    @property
    def prefix(self):
        """str: snapshot_prefix.
        """
        return self.solver.snapshot_prefix

    @property
    def solver_path(self):
        """Path: the resolved solver, beside the snapshots.
        """
        return Path(f"{self.prefix}_solver.prototxt")

    @property
    def net_path(self):
        """Path: the resolved net, beside the snapshots.
        """
        return Path(f"{self.prefix}_net.prototxt")

    @property
    def machine_path(self):
        """Path: the record of the precision in force.
        """
        return Path(f"{self.prefix}_machine.json")

    def write(self, precision):
        """Write the resolved solver and net beside the snapshots, and the precision in force.

        Parameters
        ----------
        precision : str
        """
        write_text(self.net_path, self.net_text)
        write_text(self.solver_path, self.solver_text)
        write_text(self.machine_path, json.dumps({"precision": precision}) + "\n")

    def earlier_precision(self):
        """The precision that an earlier part of the run was computed in, or None where nothing tells."""
        found = read_mapping(self.machine_path).get("precision")
        return found if isinstance(found, str) else None

    def differs(self):
        """Name of a resolved file that an earlier run left with another content, or None."""
        for path, text in ((self.net_path, self.net_text), (self.solver_path, self.solver_text)):
            if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
                return path
        return None

    def finished(self):
        """Path of the weights after max_iter, or None."""
        return self._model(self.solver.max_iter)

    def _model(self, iteration):
        paths = (Path(f"{self.prefix}_iter_{iteration}{suffix}") for suffix in MODEL_SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def snapshots(self):
        """Snapshots under the prefix that have both weights and state, newest first: (iteration, state's path)."""
        folder, stem = Path(self.prefix).parent, re.escape(Path(self.prefix).name)
        found = []
        for path in folder.glob("*.solverstate*"):
            match = re.fullmatch(stem + r"_iter_(\d+)\.solverstate(\.h5)?", path.name)
            if match and path.with_name(path.name.replace(".solverstate", ".caffemodel")).is_file():
                found.append((int(match[1]), path))
        return sorted(found, reverse=True)

    @property
    def lock_path(self):
        """What a training locks, so that no other writes the same snapshots."""
        return self.solver_path.with_name(f".{Path(self.prefix).name}.lock")

    def remove_rests(self):
        """Remove what killed trainings of this prefix were writing; for the one that holds its lock.

        What a process that lives is writing stays: of several that share a training, another may be further.
        """
        own = re.compile(rf"\.{re.escape(Path(self.prefix).name)}_(iter_\d+|solver|net|machine)\..+")
        for path in Path(self.prefix).parent.glob(".*"):
            if own.fullmatch(path.name) and TEMPORARY.fullmatch(path.name) and not _is_being_written(path):
                with contextlib.suppress(OSError):      # no reason to end a training
                    path.unlink()

    def keep_newest(self, count, caffe_pb2):
        """Remove the snapshots that are older than the newest `count` whole ones.

        A snapshot that this solver could not go on from does not count: so long as there are fewer that it could,
        nothing is removed. One that lies there in both formats counts once. A file that cannot be removed is told.

        Parameters
        ----------
        count : int
            1 or more.
        caffe_pb2 : module
        """
        whole = sorted({iteration for iteration, path in self.snapshots() if self._fault(path, caffe_pb2) is None},
                       reverse=True)[:count]
        if len(whole) < count:
            return
        folder, stem = Path(self.prefix).parent, re.escape(Path(self.prefix).name)
        for path in sorted(folder.glob("*"), key=lambda path: ".solverstate" not in path.name):     # states first
            match = re.fullmatch(stem + r"_iter_(\d+)\.(caffemodel|solverstate)(\.h5)?", path.name)
            if match and int(match[1]) < whole[-1]:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:        # no reason to end a training
                    warn(f"{path} is not needed any more and cannot be removed: {error.strerror}")

    def _fault(self, path, caffe_pb2):
        return fault(path, caffe_pb2, self.solver.type or "SGD")

    def refuse_other_type(self, caffe_pb2):
        """UserError where there are snapshots of a solver of another type: their history would mean something else.

        Parameters
        ----------
        caffe_pb2 : module
        """
        if not (self.snapshots() and self.solver_path.is_file()):
            return
        try:
            earlier = read_prototxt(self.solver_path, caffe_pb2.SolverParameter(), "solver")[0].type
        except UserError:       # damaged: nothing is known of it
            return
        if (earlier or "SGD") != (self.solver.type or "SGD"):
            raise UserError(f"{self.snapshots()[0][1]} was made by a solver of type {earlier or 'SGD'}, and now type "
                            f"is {self.solver.type or 'SGD'}, to which its history means something else; keep the "
                            "type, or give another --snapshot-prefix to train from the start")

    def refuse_own_snapshots(self, weights):
        """UserError for initial weights that have the name of a snapshot: the training would write over or remove them.

        Parameters
        ----------
        weights : sequence of path
        """
        own = re.compile(re.escape(Path(self.prefix).name) + r"_iter_\d+\.caffemodel(\.h5)?")
        for path in map(Path, weights):
            if own.fullmatch(path.name) and path.parent.resolve() == Path(self.prefix).parent.resolve():
                raise UserError(f"{path} would be written over by the snapshots of snapshot_prefix {self.prefix}; "
                                "rename it, or choose another prefix")

    def newest_complete(self, caffe_pb2):
        """The newest whole snapshot, or None; later ones that are not whole are named on stderr.

        Parameters
        ----------
        caffe_pb2 : module

        Returns
        -------
        (int, Path) or None
            Iteration and .solverstate.
        """
        for iteration, path in self.snapshots():
            wrong = self._fault(path, caffe_pb2)
            if wrong is None:
                return iteration, path
            note(f"note: snapshot of iteration {iteration} is left out: {wrong}")
        return None


def resolve(caffe_pb2, solver_path, seed=None, max_iter=None, changes=(), snapshot_prefix=None, processes=1):
    """Read a solver and its net, apply the command line.

    Parameters
    ----------
    caffe_pb2 : module
        Caffe's messages.
    seed : int, optional
        Overrides `random_seed`. Where neither gives one, the seed of an earlier run under the same prefix is
        taken, so that it can be resumed, or else a new one is drawn; it stands in the resolved solver.
    max_iter : int, optional
        Overrides `max_iter`.
    changes : sequence of str
        "LAYER.key=value": edits of the param_str of a Python layer.
    snapshot_prefix : str, optional
        Overrides `snapshot_prefix`: a variant of a run beside it.
    processes : int
        How many train together; they need one seed, so none of several draws its own.

    Returns
    -------
    RunFiles

    Raises
    ------
    UserError
        Files that are missing or not readable, a solver without snapshot_prefix or net, or whose snapshot_prefix, or
        a file that its net writes, leads where it may not; an edit that fits no layer.
    """
    solver, given_solver = read_prototxt(solver_path, caffe_pb2.SolverParameter(), "solver")
    written_by_this = given_solver == text_format.MessageToString(solver)
    if snapshot_prefix is not None:
        solver.snapshot_prefix = snapshot_prefix
    if not solver.snapshot_prefix:
        raise UserError(f"{solver_path}: no snapshot_prefix; give it one, it says where the weights go")
    if "\0" in solver.snapshot_prefix:
        raise UserError(f"{solver_path}: snapshot_prefix '{solver.snapshot_prefix}' holds a NUL character, as the name "
                        "of no file does; give a plain one")
    _put_in_folder(solver, solver_path)
    if snapshot_prefix is None:
        layer_modules.check_output(solver.snapshot_prefix, f"{solver_path}: snapshot_prefix")
    field = next((name for name in ("net", "train_net") if solver.HasField(name)), None)
    if field is None:
        raise UserError(f"{solver_path}: neither net nor train_net; give it the file of the net")
    net_path = getattr(solver, field)
    net, given_net = read_prototxt(net_path, caffe_pb2.NetParameter(), "net")
    net_text = given_net
    layer_modules.check(net, net_path)
    for change in changes:
        _change_param(net, net_path, change)
        net_text = text_format.MessageToString(net)

    if max_iter is not None:
        solver.max_iter = max_iter
    if solver.max_iter < 1:
        raise UserError(f"{solver_path}: max_iter is {solver.max_iter}, expected 1 or more")
    run = RunFiles(solver, "", net_text)
    if seed is not None:
        solver.random_seed = seed
    elif solver.random_seed < 0:
        solver.random_seed = _earlier_seed(caffe_pb2, run.solver_path, processes)
    setattr(solver, field, str(run.net_path))
    run.solver_text = text_format.MessageToString(solver)
    if not written_by_this:
        _refuse_own_file(run.solver_path, run.solver_text, solver_path, given_solver, run.prefix)
    _refuse_own_file(run.net_path, net_text, net_path, given_net, run.prefix)
    return run


def _refuse_own_file(path, text, given_path, given, prefix):
    """Refuse to write over the very file that was read, which may have comments, and paths of its own."""
    if text != given and path.is_file() and path.samefile(given_path):
        raise UserError(f"{given_path} would be written over: beside the snapshots of snapshot_prefix {prefix} lies "
                        f"what they were made with, as {path.name}; rename the file, or choose another prefix")


def _put_in_folder(solver, solver_path):
    """A snapshot_prefix that is a folder gets the solver file's name, as in Caffe; the path itself ends in a name."""
    prefix = Path(solver.snapshot_prefix)
    if prefix.is_dir():
        solver.snapshot_prefix = str(prefix / Path(solver_path).stem)
    elif solver.snapshot_prefix.endswith("/"):
        raise UserError(f"{solver_path}: snapshot_prefix '{solver.snapshot_prefix}' is a folder that does not exist; "
                        "make it, or end the prefix in a name")


def _earlier_seed(caffe_pb2, path, processes):
    """The seed in the resolved solver of an earlier run, else a new one."""
    if path.is_file():
        return read_prototxt(path, caffe_pb2.SolverParameter(), "solver")[0].random_seed
    if processes > 1:
        raise UserError("several processes need one seed: give --seed, or random_seed in the solver")
    return secrets.randbelow(2**31)


def _change_param(net, net_path, change):
    """Apply one "LAYER.key=value" to the net in place; the layer's name may hold dots, the key may not."""
    match = re.fullmatch(r"(.+)\.([A-Za-z_]\w*)=(.*)", change, re.DOTALL)
    if match is None:
        raise UserError(f"--set {change}: expected LAYER.key=value, such as update-seed.grow=false")
    name, key, text = match.groups()
    layers = [layer for layer in net.layer if layer.type == "Python"]
    chosen = [layer for layer in layers if layer.name == name]
    if not chosen:
        known = ", ".join(layer.name for layer in layers) or "none"
        raise UserError(f"--set {change}: {net_path} has no Python layer '{name}'; its Python layers: {known}")
    for layer in chosen:
        try:
            params = dict(parse_param_str(layer.python_param.param_str))
            params[key] = parse_yaml(text)
        except (ValueError, TypeError):
            raise UserError(f"--set {change}: the value or the param_str of layer '{name}' is not readable") from None
        layer.python_param.param_str = yaml.safe_dump(params, default_flow_style=True, width=10**6).strip()


def _is_being_written(temporary):
    """Whether the process in a temporary file's name, .<stem>.<process>-<thread>.<suffix>, lives on this machine."""
    found = re.search(r"\.(\d+)-\d+(\.[^.]+)?$", temporary.name)
    if found is None:
        return False
    try:
        os.kill(int(found[1]), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
