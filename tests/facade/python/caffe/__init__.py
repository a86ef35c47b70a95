"""pycaffe to the letter in front of the embedded engine (see README.md two folders up)."""

import importlib
import os
import sys
from types import SimpleNamespace

from google.protobuf import text_format

from .nccl import RECORD, record
from .schema import TYPES, check_net
from .strict import VERSION, Layer, Net, Strict, Vec, caffe_pb2, engine, expect

__version__ = {"1.0": "1.0.0", "2016": "1.0.0-rc3"}[VERSION]
TRAIN, TEST = engine.TRAIN, engine.TEST

for _name in ("io", "net_spec"):
    sys.modules[f"caffe.{_name}"] = importlib.import_module(f"embedded_engine.{_name}")
io, net_spec = engine.io, engine.net_spec
proto = sys.modules["caffe.proto"] = SimpleNamespace(caffe_pb2=caffe_pb2)
sys.modules["caffe.proto.caffe_pb2"] = caffe_pb2
NetSpec, layers, params, to_proto = engine.NetSpec, engine.layers, engine.params, engine.to_proto

__all__ = ["Layer", "Net", "NetSpec", "TEST", "TRAIN", "io", "layers", "net_spec", "params", "proto", "to_proto"]


if RECORD:      # the processes work side by side on the CPU, each for itself
    engine.parallel.start = lambda: None


def set_mode_cpu():
    engine.set_mode_cpu()


def set_mode_gpu():
    record("set_mode_gpu()") if RECORD else engine.set_mode_gpu()


def set_device(*args):
    expect("set_device", args, int)
    record(f"set_device{args}".replace(",", "")) if RECORD else engine.set_device(*args)


def layer_type_list():
    return Vec([name for name in engine.layer_type_list() if name not in TYPES[VERSION]], str)


class Solver(Strict):
    """caffe.SGDSolver and its like."""

    __slots__ = ("_net",)
    NAMES = ("iter",)
    NAMES_OF_1_0 = ("lr",)

    def __init__(self, *args):
        expect("get_solver", args, str)
        check_solver(args[0])
        super().__init__(engine.get_solver(*args))
        object.__setattr__(self, "_net", Net(self._behind.net))

    def __getattr__(self, name):
        if VERSION == "1.0" and name in self.NAMES_OF_1_0:
            return getattr(self._behind, name)
        if VERSION == "1.0" and name == "param":
            return SolverParameter(self._behind.param)
        if VERSION == "1.0" and name == "add_callback":
            return self._add_callback
        return super().__getattr__(name)

    @property
    def net(self):
        return self._net

    @property
    def test_nets(self):
        return Vec(self._behind.test_nets, Net)

    def step(self, *args):
        expect("step", args, int)
        self._behind.step(*args)

    def solve(self, *args):
        expect("solve", args, *[str] * len(args))
        self._behind.solve(*args)

    def restore(self, *args):
        expect("restore", args, str)
        self._behind.restore(*args)

    def snapshot(self):
        if os.environ.get("RANK", "0") != "0":
            raise SystemExit("Check failed: Caffe::root_solver()")      # there the process aborts
        self._behind.snapshot()

    def _add_callback(self, *args):
        if len(args) == 1 and hasattr(args[0], "noted"):        # an NCCL
            args[0].noted("add_callback(nccl)")
        elif len(args) == 2 and all(map(callable, args)):
            self._behind.add_callback(*args)
        else:
            raise TypeError("Boost.Python.ArgumentError: add_callback(on_start, on_gradients_ready), or an NCCL")


def check_solver(path):
    """The solver and its net as this Caffe reads them."""
    solver = caffe_pb2.SolverParameter()
    with open(path, encoding="utf-8") as file:
        text_format.Parse(file.read(), solver)
    check_net(solver.net or solver.train_net, caffe_pb2, VERSION)


class SolverParameter(Strict):
    """solver.param."""

    __slots__ = ()
    NAMES = ("max_iter", "display", "layer_wise_reduce", "base_lr")


SGDSolver = NesterovSolver = AdaGradSolver = RMSPropSolver = AdaDeltaSolver = AdamSolver = get_solver = Solver

if VERSION == "1.0":
    from .nccl import NCCL  # noqa: F401 (a name of the module)

    def set_random_seed(*args):
        expect("set_random_seed", args, int)
        engine.set_random_seed(*args)

    def solver_count():
        return engine.solver_count()

    def solver_rank():
        return engine.solver_rank()

    def set_solver_count(*args):
        expect("set_solver_count", args, int)
        engine.set_solver_count(*args)
        if RECORD:
            record(f"set_solver_count({args[0]})")

    def set_solver_rank(*args):
        expect("set_solver_rank", args, int)
        engine.set_solver_rank(*args)
        if RECORD:
            record(f"set_solver_rank({args[0]})")

    def set_multiprocess(*args):
        expect("set_multiprocess", args, bool)
        record(f"set_multiprocess({args[0]})") if RECORD else None

    def has_nccl():
        return RECORD is not None

    def init_log(*args):
        expect("init_log", args, *[int] * len(args))

    def log(*args):
        expect("log", args, str)
