# PYTHON_ARGCOMPLETE_OK
"""Train a net.

    python -m training.train --solver solver-s.prototxt --weights init.caffemodel --resume

Runs a Caffe solver to its max_iter on whatever Caffe `training.findcaffe` finds, and ends with
<snapshot_prefix>_iter_<max_iter>.caffemodel. Beside the snapshots it writes the solver and net it ran with, all
overrides applied (<prefix>_solver.prototxt, <prefix>_net.prototxt), so a finished run holds what made it.

Ctrl-C, SIGTERM and SIGHUP end the iteration, take a snapshot and say how to go on. Two trainings never write one
snapshot_prefix at a time. A resumed run equals the unbroken one: the embedded engine rewinds its data and dropout, our
Python layers are told where to go on; real Caffe does not rewind its own data layers.
"""

import contextlib
import os
import random
import shlex
import signal
import sys
import time
import warnings

import numpy as np
from tqdm import tqdm

from dsrg import crf_backend
from dsrg.caffe_device import refuse_missing_gpus, use_machine
from dsrg.io import collector, free_memory
from dsrg.io.command_line import command_parser
from dsrg.io.errors import UserError, note, run_main
from dsrg.io.overwriting import refuse_overwriting
from dsrg.io.prototxt_text import parse_prototxt
from dsrg.netinspect.class_counts import refuse_other_classes
from dsrg.pipeline.locks import Lock
from dsrg.pipeline.processes import die_with_parent
from training import batch_norm, multi_gpu
from training.caffe_log import CaffeLog
from training.device_flags import add_flags
from training.findcaffe import ENGINES, find_caffe
from training.initial_weights import copy_weights
from training.loss_log import LossLog, Progress
from training.loss_watch import LossWatch, NotFinite
from training.multi_gpu import is_root
from training.ranks import LOST, end_quietly
from training.run_files import resolve
from training.shared_flags import not_negative, positive, whole
from training.snapshot_check import weights_fault
from training.tensorboard_log import TensorboardLog


def parse_args(argv):
    parser = command_parser("training.train", __doc__)
    parser.add_argument("--solver", required=True, help="solver prototxt; its paths are relative to the current folder")
    parser.add_argument("--weights", default="", help="initial weights, copied by layer name; several with commas")
    parser.add_argument("--resume", action="store_true", help="go on from the newest snapshot, if there is one")
    parser.add_argument("--seed", type=whole, help="random seed (default: the solver's random_seed)")
    add_flags(parser)
    parser.add_argument("--set", action="append", default=[], metavar="LAYER.key=value", dest="changes",
                        help="change the param_str of a Python layer, e.g. update-seed.grow=false")
    parser.add_argument("--snapshot-prefix", metavar="PREFIX", help="where the weights go (default: the solver's)")
    parser.add_argument("--max-iter", type=not_negative, help="iterations (default: the solver's max_iter)")
    parser.add_argument("--snapshot-keep", type=positive, metavar="N",
                        help="keep the newest N snapshots, and the last; earlier ones are removed (default: all)")
    parser.add_argument("--go-on", metavar="COMMAND", help="what a stopped run says to go on with (default: its own "
                        "command; '' for nothing, where a pipeline says it)")
    parser.add_argument("--log", metavar="FILE", help="write the losses of every iteration there, as JSON lines")
    parser.add_argument("--caffe-log", metavar="FILE", help="write lines there as Caffe logs them, for parse_log.py "
                        "and the like")
    parser.add_argument("--tensorboard", metavar="DIR", help="write scalars and pictures there for TensorBoard")
    parser.add_argument("--engine", choices=ENGINES, default=os.environ.get("ENGINE", "auto"),
                        help="which Caffe (default: the variable ENGINE, or auto)")
    crf_backend.add_flag(parser, "the dense CRF of the layers")
    args = parser.parse_args(argv)
    return args


def main(argv=None):
    args = parse_args(argv)
    weights = [path for path in args.weights.split(",") if path]
    refuse_overwriting(args, {"--log": [args.log], "--caffe-log": [args.caffe_log]}, [args.solver, *weights])
    if multi_gpu.is_one_of_several():
        die_with_parent()                               # the launcher, should it be killed
    os.environ.setdefault("GLOG_minloglevel", "1")      # the bar and the plain lines stand for Caffe's own
    caffe = find_caffe(args.engine, os.environ.get("CAFFE_ROOT"))
    caffe_pb2 = caffe.proto.caffe_pb2
    run = resolve(caffe_pb2, args.solver, args.seed, args.max_iter, args.changes, args.snapshot_prefix,
                  multi_gpu.process_count())
    if _already_done(run, caffe_pb2):
        return 0
    refuse_missing_gpus(caffe, args.device)             # once, not by each of several processes
    status = multi_gpu.relaunch(caffe, args.device, run.solver.random_seed)
    if status is not None:
        return status
    precision = use_machine(caffe, args.device, _precision(run, args), multi_gpu.local_rank())
    crf_backend.use_crf_backend(args.crf_backend)
    multi_gpu.announce(caffe)
    refuse_other_classes(parse_prototxt(run.net_text, caffe_pb2.NetParameter(), args.solver), args.solver)
    batch_norm.refuse_what_it_cannot_train(caffe, run.net_text, args.device)
    with contextlib.ExitStack() as held:
        if is_root():
            held.enter_context(Lock(run.lock_path, f"snapshot_prefix {run.prefix}"))
            run.remove_rests()
        held.enter_context(warnings.catch_warnings())       # what the engine says of BatchNorm was asked above
        warnings.filterwarnings("ignore", r".*\(BatchNorm\).*its statistics are learned")
        status = _train(caffe, caffe_pb2, run, args, precision)
    return end_quietly() if status == LOST else status


def _already_done(run, caffe_pb2):
    """Whether the run is finished; an answer that would hide changed settings is refused."""
    weights = run.finished()
    if weights is None:
        return False
    other = run.differs()
    if other is not None:
        raise UserError(f"{weights} exists, but was made with other settings than asked for now (see {other}); "
                        "remove it to train again, or change snapshot_prefix")
    _refuse_unusable(weights, caffe_pb2)
    note(f"nothing to do: {weights} exists")
    return True


def _refuse_unusable(weights, caffe_pb2):
    """UserError for the weights of a finished training that are damaged or not finite: no later stage could use them.

    The loss is looked at before each update, and tells nothing of the last one.
    """
    if wrong := weights_fault(weights, caffe_pb2):
        raise UserError(f"{wrong}; lower base_lr or set clip_gradients in the solver if the training came to that, "
                        f"remove the file, and go on with --resume from the snapshot before it")


def _precision(run, args):
    """The precision to ask for: of a run that goes on, 'auto' means what it meant before, on another machine too."""
    earlier = run.earlier_precision() if args.resume and run.snapshots() else None
    if earlier and args.precision not in ("auto", earlier):
        _tell(f"note: goes on in {args.precision}, the snapshot was made in {earlier}")
    return earlier if earlier and args.precision == "auto" else args.precision


def _train(caffe, caffe_pb2, run, args, precision):
    """Build the solver, restore or initialise it, step to the end; the exit status."""
    seed = run.solver.random_seed
    np.random.seed(seed % 2**32)  # noqa: NPY002 (Python layers draw from the global generator in setup)
    random.seed(seed)
    state = _snapshot_to_resume(run, caffe_pb2, args.resume)
    if state is not None and run.differs():
        note(f"note: {run.differs()} differs from what the snapshot was made with")
    run.write(precision)                                # by all of them, alike: each reads it next
    solver = caffe.get_solver(str(run.solver_path))
    if hasattr(solver.net, "keep_blobs"):
        solver.net.keep_blobs = False                   # nothing here looks at what lies between layers
    if state is not None:
        _restore(solver, run, state)
    elif args.weights:
        run.refuse_own_snapshots(args.weights.split(","))
        for line in copy_weights(solver.net, args.weights.split(","), caffe_pb2):
            _tell(line)
    nccl = multi_gpu.join(caffe, solver)  # noqa: F841 (lives as long as the solver works)
    with collector.settled(), contextlib.ExitStack() as opened:
        logs = [opened.enter_context(contextlib.closing(log)) for log in _logs(solver, run, args, caffe_pb2)]
        return _steps(solver, run, logs, args, caffe_pb2, getattr(caffe, "ProcessLost", ()))


def _logs(solver, run, args, caffe_pb2):
    """Open the logs that are asked for, one after another; of several processes one keeps them."""
    if not is_root():
        return
    net = parse_prototxt(run.net_text, caffe_pb2.NetParameter(), args.solver)
    if args.log:
        yield LossLog(args.log, solver.iter)
    if args.caffe_log:
        yield CaffeLog(args.caffe_log, solver, net.name, solver.iter, run.solver.display, run.solver.average_loss)
    if args.tensorboard:
        yield TensorboardLog(args.tensorboard, solver, net, solver.iter, run.solver.max_iter)


def _snapshot_to_resume(run, caffe_pb2, resume):
    """Path of the newest snapshot, or None to start afresh; snapshots of an earlier run are never overwritten."""
    if not resume:
        if run.snapshots():
            raise UserError(f"{run.snapshots()[0][1]} is there from an earlier run; add --resume to go on from it, "
                            f"or remove {run.prefix}_iter_* to train from the start")
        return None
    run.refuse_other_type(caffe_pb2)
    newest = run.newest_complete(caffe_pb2)
    if newest is None:
        return None
    iteration, path = newest
    if iteration > run.solver.max_iter:
        raise UserError(f"{path} is beyond max_iter {run.solver.max_iter}; raise it, or remove the later snapshots")
    return path


def _restore(solver, run, path):
    """Restore the solver and tell every layer that has a `seek` how many forwards were done."""
    solver.restore(str(path))
    for layer in solver.net.layers:
        if hasattr(layer, "seek"):
            layer.seek(solver.iter * run.solver.iter_size)
    note(f"resumed from {path}")


def _steps(solver, run, logs, args, caffe_pb2, lost=()):
    """Step to max_iter and take the last snapshot; the exit status.

    Where another process of several is `lost` (an exception class), the last whole iteration is the end.
    """
    end, alone = run.solver.max_iter, False
    watch = LossWatch(solver)
    timed = next((log for log in logs if isinstance(log, LossLog)), None)
    progress = Progress(os.path.basename(run.prefix), solver.iter, end, run.solver.average_loss, run.solver.display,
                        silent=not is_root(), earlier=timed.earlier if timed else 0.0)
    with contextlib.closing(progress), StopSignal(multi_gpu.launcher()) as stop:
        while solver.iter < end and not stop.wanted:
            # DeepLab-v2's Caffe does not expose the learning rate
            iteration, rate, started = solver.iter, getattr(solver, "lr", None), time.monotonic()
            try:
                watch.step()
            except NotFinite:
                progress.close()
                raise UserError(_not_finite(run, iteration, rate, watch)) from None
            except lost:
                alone = True
                break
            progress.step(solver.iter, rate, watch.losses)
            seconds = time.monotonic() - started
            for log in logs:
                log.write(iteration, rate, watch.losses, seconds)
            if run.solver.snapshot and not solver.iter % run.solver.snapshot:
                if args.snapshot_keep and is_root():
                    run.keep_newest(args.snapshot_keep, caffe_pb2)
                free_memory.give_back()         # the gaps that it leaves are not filled again
        progress.close()
        if is_root() and solver.iter not in dict(run.snapshots()):
            solver.snapshot()
        if args.snapshot_keep and is_root():
            run.keep_newest(args.snapshot_keep, caffe_pb2)
    if solver.iter < end:
        again = _resume_command(args)
        hint = f"; go on with\n  {again}" if again else ""
        _tell(f"stopped after iteration {solver.iter}, snapshot written{hint}")
        return LOST if alone else 128 + stop.wanted
    if is_root():
        _refuse_unusable(run.finished(), caffe_pb2)
    _tell(f"trained: {run.finished()}" + (f" in {tqdm.format_interval(timed.elapsed())}" if timed else ""))
    return 0


def _tell(text):
    """Print a line for the user; of several processes only one does."""
    if is_root():
        note(text)


def _not_finite(run, iteration, rate, watch):
    shown = ", ".join(f"{name} {value}" for name, value in watch.losses.items())
    weights = "the weights were left as they were" if watch.in_time else "the weights in memory are spoilt"
    kept = f"the last snapshot is {run.snapshots()[0][1]}" if run.snapshots() else "there is no snapshot yet"
    at = "" if rate is None else f" at lr {rate:g}"
    return (f"iteration {iteration}: {shown}{at}; {weights} and {kept}. "
            "Lower base_lr, or set clip_gradients in the solver, and run again")


class StopSignal:
    """Ctrl-C, SIGTERM and SIGHUP (a terminal that closes) set `wanted` to their number, for the loop to end between two
    iterations; a second one ends the process at once. Under nohup SIGHUP stays ignored.

    Of several processes the first alone stops so, since the others wait for it in every iteration.

    Parameters
    ----------
    launcher : int, optional
        Process that is told instead.
    """

    def __init__(self, launcher=None):
        self._launcher = launcher

    def __enter__(self):
        self.wanted = 0
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in numbers}
        return self

    def _note(self, number, frame):
        if self._launcher is not None:
            os.kill(self._launcher, number)
            return
        if self.wanted:
            raise KeyboardInterrupt
        if is_root():
            self.wanted = number

    def __exit__(self, *exc_info):
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _resume_command(args):
    """What goes on with this run when it is typed where this one was."""
    if args.go_on is not None:
        return args.go_on
    words = sys.argv[1:] if args.resume else [*sys.argv[1:], "--resume"]
    start = [os.path.basename(sys.orig_argv[0]), "-m", "training.train"]
    if os.sep in sys.orig_argv[0] and not multi_gpu.is_one_of_several():
        start[0] = sys.orig_argv[0]
    return shlex.join([*start, *words])


if __name__ == "__main__":
    run_main(main)
