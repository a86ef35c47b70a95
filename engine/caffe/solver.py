"""Solvers: step, display, test, update (Caffe's solver.cpp and sgd_solver.cpp).

What the engine adds to Caffe: gradients are averaged over processes under torchrun (parallel.py), and a restored
solver moves the engine's data layers and random streams to where the unbroken run would have them, so that a resumed
run equals it.
"""

import os

import numpy as np
import torch

from . import device, glog, net_weights, parallel, snapshots, solver_nets, update_rules
from .blob import NetVec
from .errors import SolverError
from .prototxt import read_solver
from .solver_log import SolverLog


class Solver:
    """Optimises a net as a solver prototxt says.

    Parameters
    ----------
    solver_file : str
        Prototxt. The type of a subclass (SGDSolver, ...) wins over the file's `type`; :func:`get_solver` follows it.
    level : int
    stages : sequence of str
        Added to the file's `train_state`.

    Attributes
    ----------
    net : Net
        The training net.
    test_nets : NetVec
        Test nets, sharing the weights of `net`.
    iter : int
        Updates done so far.
    param : SolverParameter
    request : str or None
        Set it (from a signal handler, say) to 'snapshot' or 'stop': done after the iteration under way.
    """

    type = None

    def __init__(self, solver_file, level=0, stages=()):
        self._source = os.fspath(solver_file)
        self.param = read_solver(self._source)
        if level:
            self.param.train_state.level = level
        self.param.train_state.stage.extend(stages)
        self.type = type(self).type or self.param.type
        if self.type not in update_rules.RULES:
            raise SolverError(f"{self._source}: solver type '{self.type}', expected one of "
                              + ", ".join(update_rules.RULES))
        try:
            update_rules.check(self.param, self.type)
        except ValueError as error:
            raise SolverError(f"{self._source}: {error}") from error
        snapshots.check_folder(self._source, self.param)
        device.follow_solver_mode(self.param)
        parallel.start()
        if self.param.random_seed >= 0:
            device.set_random_seed(self.param.random_seed)
        parallel.share_seeds()
        self.iter = self.current_step = 0
        self.request, self._stopped = None, False
        self._rule, self.slots = update_rules.RULES[self.type]
        self._history = None
        self._callbacks = []
        self._log = SolverLog(self.param.average_loss)
        self.net = solver_nets.net_to_train(self._source, self.param)
        if self.param.snapshot:
            snapshots.check_names(self)
        self.test_nets = NetVec(solver_nets.nets_to_test(self._source, self.param))
        for net in self.test_nets:
            self.share_weights(net)
        parallel.share_weights(self.net)

    def share_weights(self, net):
        """Make `net` use the weights of the training net.

        Parameters
        ----------
        net : Net
        """
        net_weights.share(net, self.net)

    # -- running -------------------------------------------------------------------------------------------------
    @property
    def lr(self):
        """Learning rate of the coming update (float32, as Caffe reports it)."""
        step = update_rules.steps_passed(self.param, self.iter, self.current_step)
        return float(np.float32(update_rules.learning_rate(self.param, self.iter, step)))

    def step(self, iterations):
        """Do `iterations` updates: forward and backward iter_size times, then update, test and snapshot when due.

        Parameters
        ----------
        iterations : int
        """
        p, stop = self.param, self.iter + iterations
        self._stopped = False
        self._log.begin(self.iter)
        while self.iter < stop:
            self.net.clear_param_diffs()
            if p.test_interval > 0 and self.iter % p.test_interval == 0 and (self.iter > 0 or p.test_initialization):
                self.test_all()
            for on_start, _ in self._callbacks:
                on_start()
            display = p.display > 0 and self.iter % p.display == 0
            self.net.debug_info = display and p.debug_info
            self._log.add_loss(self._gradients() / p.iter_size)
            if display:
                self._log.display(self.net, self.iter, p.display)
            parallel.average_gradients(self.net)
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            if self.iter == stop or display:    # where the caller, or the line just printed, has the loss read
                self.net.raise_late()
            request, self.request = self.request, None
            if (p.snapshot > 0 and self.iter % p.snapshot == 0) or request == "snapshot":
                self.snapshot()
            if request == "stop":
                self._stopped = True
                break

    def _gradients(self):
        """Forward and backward iter_size times; the sum of the losses."""
        loss = 0.0
        for _ in range(self.param.iter_size):
            loss = loss + self.net.run_forward()
            self.net.run_backward()
        return loss

    def solve(self, resume_file=None):
        """Run to max_iter, with the last snapshot and test that Caffe does; `resume_file` is restored first.

        Parameters
        ----------
        resume_file : str or os.PathLike, optional
        """
        p = self.param
        glog.info("solver.cpp", f"Solving {self.net.name}")
        glog.info("solver.cpp", f"Learning Rate Policy: {p.lr_policy}")
        if p.snapshot_after_train:
            snapshots.check_names(self)
        if resume_file:
            glog.info("solver.cpp", f"Restoring previous solver status from {resume_file}")
            self.restore(resume_file)
        self.step(max(0, p.max_iter - self.iter))
        if p.snapshot_after_train and not (p.snapshot > 0 and self.iter % p.snapshot == 0):
            self.snapshot()
        if self._stopped:
            glog.info("solver.cpp", "Optimization stopped early.")
            return
        if p.display > 0 and self.iter % p.display == 0:
            self._log.add_loss(self.net.run_forward())
            self._log.line(f"Iteration {self.iter}, loss = {self._log.smoothed_loss():g}")
        if p.test_interval > 0 and self.iter % p.test_interval == 0:
            self.test_all()
        glog.info("solver.cpp", "Optimization Done.")

    def add_callback(self, on_start, on_gradients_ready):
        """Call the two functions at the start of each iteration and when its gradients are complete.

        Parameters
        ----------
        on_start, on_gradients_ready : callable
            Without arguments.
        """
        self._callbacks.append((on_start, on_gradients_ready))

    def test_all(self):
        """Run every test net for its test_iter batches and log the mean of its outputs."""
        if not parallel.is_root():
            return
        for index, (net, count) in enumerate(zip(self.test_nets, self.param.test_iter, strict=True)):
            self._log.line(f"Iteration {self.iter}, Testing net (#{index})")
            self.share_weights(net)
            sums, loss = {}, 0.0
            for _ in range(count):
                loss += net._forward()
                for name in net.outputs:
                    sums[name] = sums.get(name, 0.0) + net.blobs[name].data_memory.array()
            if self.param.test_compute_loss:
                self._log.line(f"Test loss: {loss / count:g}")
            self._log.outputs(net, "Test", {name: value / count for name, value in sums.items()})

    # -- update --------------------------------------------------------------------------------------------------
    def history(self):
        """The update rule's memory: for each parameter a tuple of `slots` tensors of its shape."""
        if self._history is None:
            where = device.current()
            self._history = [tuple(torch.zeros_like(p.blob.data_memory.read(where)) for _ in range(self.slots))
                             for p in self.net.learnable]
        return self._history

    @torch.no_grad()
    def apply_update(self):
        """Update the weights by the net's gradients and advance one iteration."""
        p, where = self.param, device.current()
        passed, self.current_step = self.current_step, update_rules.steps_passed(p, self.iter, self.current_step)
        rate = update_rules.learning_rate(p, self.iter, self.current_step)
        if p.lr_policy == "multistep" and self.current_step > passed:
            self._log.line(f"MultiStep Status: Iteration {self.iter}, step = {self.current_step}", "sgd_solver.cpp")
        if p.display > 0 and self.iter % p.display == 0:
            self._log.line(f"Iteration {self.iter}, lr = {rate:g}", "sgd_solver.cpp")
        scale = self._clip(where) / p.iter_size
        for param, history in zip(self.net.learnable, self.history(), strict=True):
            values, spec = param.blob.data_memory.mutable(where), param.spec
            gradient = param.blob.diff_memory.read(where)
            if scale != 1 or gradient.data_ptr() == history[0].data_ptr():  # an update that was not cleared
                gradient = gradient * scale
            gradient = update_rules.regularize(gradient, values, p.weight_decay * spec.decay_mult,
                                               p.regularization_type)
            change = self._rule(gradient, history, rate * spec.lr_mult, p, self.iter)
            values.sub_(change)
            param.blob.diff_memory.write(change)
        self.iter += 1

    def _clip(self, where):
        """Factor that brings the norm of all gradients down to clip_gradients (before iter_size is divided out)."""
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        squares = [p.blob.diff_memory.read(where).pow(2).sum() for p in self.net.learnable]
        norm = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
        if not norm > limit:
            return 1.0
        self._log.line(f"Gradient clipping: scaling down gradients (L2 norm {norm:g} > {limit:g}) by scale factor "
                  f"{limit / norm:g}", "sgd_solver.cpp")
        return limit / norm

    # -- snapshots -----------------------------------------------------------------------------------------------
    def snapshot(self):
        """Write <prefix>_iter_<n>.caffemodel and .solverstate (.h5 for snapshot_format HDF5); state last."""
        self.net.raise_late()
        snapshots.write(self)

    def restore(self, state_file):
        """Continue from a .solverstate (or .solverstate.h5): weights, history, iteration and learning rate step.

        Parameters
        ----------
        state_file : str or os.PathLike

        Raises
        ------
        RuntimeError, caffe.ModelFileError
            A file that is missing or damaged.
        caffe.SolverError, caffe.LayerError
            A state of another net or solver type. Nothing has changed then.
        """
        snapshots.read(self, state_file)


def _solver_class(name):
    return type(f"{name}Solver", (Solver,), {"type": name, "__doc__": f"Solver with the {name} update."})


SGDSolver = _solver_class("SGD")
NesterovSolver = _solver_class("Nesterov")
AdaGradSolver = _solver_class("AdaGrad")
RMSPropSolver = _solver_class("RMSProp")
AdaDeltaSolver = _solver_class("AdaDelta")
AdamSolver = _solver_class("Adam")

_CLASSES = {c.type: c for c in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)}


def get_solver(solver_file, level=0, stages=()):
    """The solver of the class that the file's `type` names.

    Parameters
    ----------
    solver_file : str or os.PathLike
    level, stages
        As of Solver.

    Returns
    -------
    Solver

    Raises
    ------
    OpenError, PrototxtError, SolverError
    """
    return _CLASSES.get(read_solver(solver_file).type, Solver)(solver_file, level, stages)
