"""Solvers: step, display, test, snapshot, restore (Caffe's solver.cpp and sgd_solvers.cpp).

What the engine adds to Caffe: gradients are averaged over processes under torchrun (parallel.py), and a restored
solver moves the engine's data layers and random streams to where the unbroken run would have them, so that a resumed
run equals it.
"""

import os
import time

import numpy as np
import torch

from . import device, log, parallel, serialization, updates
from .blob import NetVec
from .net import TEST, TRAIN, Net, _asum_mean
from .proto import caffe_pb2
from .prototxt import read_net, read_solver


class SolverError(ValueError):
    """A solver file or state that cannot be used: who, expected, got, what next."""


class Solver:
    """Optimises a net as a solver prototxt says.

    Parameters
    ----------
    solver_file : str
        Prototxt. The type of a subclass (SGDSolver, ...) wins over the file's `type`; :func:`get_solver` follows it.

    Attributes
    ----------
    net : Net
        The training net.
    test_nets : NetVec
        Test nets, sharing the weights of `net`.
    iter : int
        Updates done so far.
    param : SolverParameter
    """

    type_name = None

    def __init__(self, solver_file):
        path = os.fspath(solver_file)
        if not os.path.isfile(path):
            raise RuntimeError(f"Could not open file {path}")
        self._source = path
        self.param = read_solver(path)
        self.type_name = type(self).type_name or self.param.type or "SGD"
        if self.type_name not in updates.RULES:
            raise SolverError(f"{path}: solver type '{self.type_name}', expected one of {', '.join(updates.RULES)}")
        try:
            updates.check(self.param, self.type_name)
        except ValueError as error:
            raise SolverError(f"{path}: {error}") from error
        self._check_snapshot_folder()
        device.follow_solver_mode(self.param)
        parallel.start()
        if self.param.random_seed >= 0:
            device.set_random_seed(self.param.random_seed)
        self.iter = 0
        self._step_index = 0
        self._callbacks = []
        self._losses, self._smoothed = [], 0.0
        self.net = self._train_net()
        self.test_nets = NetVec(self._test_nets())
        self._rule, self._slots = updates.RULES[self.type_name]
        self._history = None
        parallel.share_weights(self.net)

    # -- nets ------------------------------------------------------------------------------------------------------
    def _check_snapshot_folder(self):
        if not self.param.snapshot:
            return
        folder = os.path.dirname(self.param.snapshot_prefix) or "."
        if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
            raise SolverError(f"{self._source}: snapshot_prefix '{self.param.snapshot_prefix}': folder '{folder}' does "
                              "not exist or cannot be written; create it")

    def _train_net(self):
        p = self.param
        given = [n for n in ("net", "net_param", "train_net", "train_net_param") if p.HasField(n)]
        if len(given) != 1:
            raise SolverError(f"{self._source}: give one of net, net_param, train_net, train_net_param; it has "
                              f"{', '.join(given) or 'none'}")
        message, source = self._net_message(given[0])
        return self._make_net(message, source, TRAIN, p.train_state)

    def _test_nets(self):
        p = self.param
        jobs = [(m, self._source) for m in p.test_net_param] + [(read_net(f), f) for f in p.test_net]
        generic = len(p.test_iter) - len(jobs) if len(p.test_iter) else 0
        if (p.HasField("net") or p.HasField("net_param")) and generic > 0:
            jobs += [self._net_message("net" if p.HasField("net") else "net_param")] * generic
        if len(jobs) != len(p.test_iter):
            raise SolverError(f"{self._source}: {len(p.test_iter)} test_iter for {len(jobs)} test net(s); give one each")
        if len(p.test_state) not in (0, len(jobs)):
            raise SolverError(f"{self._source}: {len(p.test_state)} test_state for {len(jobs)} test net(s); "
                              "give one each or none")
        if jobs and p.test_interval <= 0:
            raise SolverError(f"{self._source}: test nets need test_interval")
        states = list(p.test_state) or [caffe_pb2.NetState()] * len(jobs)
        return [self._make_net(m, s, TEST, state, self.net) for (m, s), state in zip(jobs, states, strict=True)]

    def _net_message(self, name):
        value = getattr(self.param, name)
        return (read_net(value), value) if isinstance(value, str) else (value, self._source)

    def _make_net(self, message, source, phase, state, share_with=None):
        level = state.level if state.HasField("level") else message.state.level
        stages = [*message.state.stage, *state.stage]
        return Net.from_param(message, phase, level, stages, source, share_with)

    # -- running ---------------------------------------------------------------------------------------------------
    @property
    def lr(self):
        """Learning rate of the coming update (float32, as Caffe reports it)."""
        index = updates.steps_passed(self.param, self.iter, self._step_index)
        return float(np.float32(updates.learning_rate(self.param, self.iter, index)))

    def step(self, iterations):
        """Do `iterations` updates: forward and backward iter_size times, then update, test and snapshot when due."""
        p, first = self.param, self.iter
        self._losses, self._smoothed = [], 0.0
        self._clock = (time.perf_counter(), self.iter)
        for _ in range(iterations):
            self.net.clear_param_diffs()
            if self.test_nets and self.iter % p.test_interval == 0 and (self.iter > 0 or p.test_initialization):
                self.test_all()
            for on_start, _ in self._callbacks:
                on_start()
            display = bool(p.display) and self.iter % p.display == 0
            self.net._debug_info = display and p.debug_info
            loss = 0.0
            for _ in range(p.iter_size):
                loss += self.net._forward()
                self.net._backward()
            self._smooth(loss / p.iter_size, first)
            if display and parallel.is_root():
                self._display()
            parallel.average_gradients(self.net)
            for _, on_gradients_ready in self._callbacks:
                on_gradients_ready()
            self.apply_update()
            if p.snapshot and self.iter % p.snapshot == 0:
                self.snapshot()

    def solve(self, resume_file=None):
        """Run to max_iter, with the last snapshot and test that Caffe does; `resume_file` is restored first."""
        if resume_file:
            self.restore(resume_file)
        log.info("solver.cpp", f"Solving {self.net.name}")
        log.info("solver.cpp", f"Learning Rate Policy: {self.param.lr_policy}")
        self.step(max(0, self.param.max_iter - self.iter))
        p = self.param
        if p.snapshot_after_train and not (p.snapshot and self.iter % p.snapshot == 0):
            self.snapshot()
        if p.display and self.iter % p.display == 0:
            log.info("solver.cpp", f"Iteration {self.iter}, loss = {self.net._forward():g}")
        if self.test_nets and self.iter % p.test_interval == 0:
            self.test_all()
        log.info("solver.cpp", "Optimization Done.")

    def add_callback(self, on_start, on_gradients_ready):
        """Call the two functions at the start of each iteration and when its gradients are complete."""
        self._callbacks.append((on_start, on_gradients_ready))

    def share_weights(self, net):
        """Make `net` use the weights of the training net."""
        net.share_trained_layers(self.net)

    def _smooth(self, loss, first):
        size = self.param.average_loss
        if len(self._losses) < size:
            self._losses.append(loss)
            n = len(self._losses)
            self._smoothed = (self._smoothed * (n - 1) + loss) / n
        else:
            k = (self.iter - first) % size
            self._smoothed += (loss - self._losses[k]) / size
            self._losses[k] = loss

    def _display(self):
        now, (then, since) = time.perf_counter(), self._clock
        seconds, done = now - then, self.iter - since
        rate = done / seconds if done and seconds > 0 else 0.0
        log.info("solver.cpp", f"Iteration {self.iter} ({rate:g} iter/s, {seconds:g}s/{self.param.display} iters), "
                               f"loss = {self._smoothed:g}")
        self._clock = (now, self.iter)
        self._log_outputs(self.net, "Train", {n: self.net.blobs[n].data for n in self.net.outputs})
        log.info("sgd_solver.cpp", f"Iteration {self.iter}, lr = {self.lr:g}")

    def _log_outputs(self, net, which, values):
        weights, index = net.blob_loss_weights, 0
        for name in net.outputs:
            for value in np.ravel(values[name]):
                weight = weights[name]
                tail = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
                log.info("solver.cpp", f"    {which} net output #{index}: {name} = {value:g}{tail}")
                index += 1

    def test_all(self):
        """Run every test net for its test_iter batches and log the mean of its outputs."""
        for index, (net, count) in enumerate(zip(self.test_nets, self.param.test_iter, strict=True)):
            log.info("solver.cpp", f"Iteration {self.iter}, Testing net (#{index})")
            sums, loss = {}, 0.0
            for _ in range(count):
                loss += net._forward()
                for name in net.outputs:
                    sums[name] = sums.get(name, 0.0) + net.blobs[name].data
            if self.param.test_compute_loss:
                log.info("solver.cpp", f"Test loss: {loss / count:g}")
            self._log_outputs(net, "Test", {name: value / count for name, value in sums.items()})

    # -- update ----------------------------------------------------------------------------------------------------
    def _zeros(self, where):
        shapes = [blob.dims for blob, *_ in self.net._learnable]
        return [tuple(torch.zeros(s, device=where) for _ in range(self._slots)) for s in shapes]

    @torch.no_grad()
    def apply_update(self):
        """Change the weights by the gradients that stand in the net; one iteration more."""
        p, where = self.param, device.current()
        self._step_index = updates.steps_passed(p, self.iter, self._step_index)
        rate = updates.learning_rate(p, self.iter, self._step_index)
        if self._history is None:
            self._history = self._zeros(where)
        scale = self._clip(where) / p.iter_size
        for k, (blob, lr_mult, decay_mult, _) in enumerate(self.net._learnable):
            weights = blob.data_memory.mutable(where)
            gradient = blob.diff_memory.read(where)
            if scale != 1:
                gradient = gradient * scale
            gradient = updates.regularize(gradient, weights, p.weight_decay * decay_mult, p.regularization_type)
            history = tuple(h if h.device == where else h.to(where) for h in self._history[k])
            change, self._history[k] = self._rule(gradient, history, rate * lr_mult, p, self.iter)
            weights.sub_(change)
            blob.diff_memory.write(change)
        if p.debug_info and p.display and self.iter % p.display == 0:
            self._log_update()
        self.iter += 1

    def _clip(self, where):
        """Factor that brings the norm of all gradients down to clip_gradients (before iter_size is divided out)."""
        limit = self.param.clip_gradients
        if limit < 0:
            return 1.0
        squares = [blob.diff_memory.read(where).pow(2).sum() for blob, *_ in self.net._learnable]
        norm = float(torch.stack(squares).sum().sqrt())
        return limit / norm if norm > limit else 1.0

    def _log_update(self):
        for k, (blob, _, _, name) in enumerate(self.net._learnable):
            log.info("net.cpp", f"    [Update] Layer {name}, param {k} data: {_asum_mean(blob.data_memory):g}; "
                                f"diff: {_asum_mean(blob.diff_memory):g}")

    # -- snapshots -------------------------------------------------------------------------------------------------
    def snapshot(self):
        """Write <prefix>_iter_<n>.caffemodel and .solverstate (.h5 for snapshot_format HDF5); state last."""
        if not parallel.is_root():
            return
        p = self.param
        hdf5 = p.snapshot_format == p.HDF5
        stem, suffix = f"{p.snapshot_prefix}_iter_{self.iter}", ".h5" if hdf5 else ""
        model = f"{stem}.caffemodel{suffix}"
        self.net.save_hdf5(model) if hdf5 else self.net.save(model)
        history = self._history or self._zeros(torch.device("cpu"))
        arrays = [h[s].cpu().contiguous().numpy() for s in range(self._slots) for h in history]
        serialization.save_solverstate(f"{stem}.solverstate{suffix}", self.iter, model, arrays, self._step_index)

    def restore(self, state_file):
        """Continue from a .solverstate (or .solverstate.h5): weights, history, iteration and learning rate step.

        Everything is checked before anything changes.
        """
        state_file = os.fspath(state_file)
        if not os.path.isfile(state_file):
            raise RuntimeError(f"Could not open file {state_file}")
        state = serialization.load_solverstate(state_file)
        self._check_history(state_file, state.history)
        if state.learned_net:
            self.net.copy_from(self._learned_net(state_file, state.learned_net))
        count = len(self.net._learnable)
        history = [torch.from_numpy(np.array(h, np.float32)) for h in state.history]
        if history:
            shapes = [blob.dims for blob, *_ in self.net._learnable]
            self._history = [tuple(history[s * count + k].reshape(shapes[k]) for s in range(self._slots))
                             for k in range(count)]
        self.iter, self._step_index = state.iter, state.current_step
        for layer in self.net.layers:
            if layer.type != "Python":
                layer.seek(self.iter * self.param.iter_size)

    def _check_history(self, state_file, history):
        blobs = self.net._learnable
        wanted = self._slots * len(blobs)
        if len(history) not in (0, wanted):
            raise SolverError(f"'{state_file}' holds {len(history)} history blobs, this {self.type_name} solver needs "
                              f"{wanted} ({self._slots} for each of {len(blobs)} parameters); it was written for another "
                              "net or solver type")
        for k, array in enumerate(history):
            blob, _, _, name = blobs[k % len(blobs)]
            if array.size != blob.count:
                raise SolverError(f"'{state_file}': history blob {k} is {array.shape}, but the parameter of layer "
                                  f"'{name}' is {blob.dims}; it was written for another net")

    @staticmethod
    def _learned_net(state_file, learned_net):
        beside = os.path.join(os.path.dirname(state_file), os.path.basename(learned_net))
        for path in (learned_net, beside):
            if os.path.isfile(path):
                return path
        raise RuntimeError(f"'{state_file}' names the weights '{learned_net}', which do not exist; neither does '{beside}'")


def _solver_class(name):
    return type(f"{name}Solver", (Solver,), {"type_name": name, "__doc__": f"Solver with the {name} update."})


SGDSolver = _solver_class("SGD")
NesterovSolver = _solver_class("Nesterov")
AdaGradSolver = _solver_class("AdaGrad")
RMSPropSolver = _solver_class("RMSProp")
AdaDeltaSolver = _solver_class("AdaDelta")
AdamSolver = _solver_class("Adam")

_CLASSES = {c.type_name: c for c in (SGDSolver, NesterovSolver, AdaGradSolver, RMSPropSolver, AdaDeltaSolver, AdamSolver)}


def get_solver(solver_file):
    """The solver of the class that the file's `type` names."""
    if not os.path.isfile(solver_file):
        raise RuntimeError(f"Could not open file {solver_file}")
    name = read_solver(os.fspath(solver_file)).type or "SGD"
    return _CLASSES.get(name, Solver)(solver_file)
