"""Caffe's upgrade tools: ``python -m caffe upgrade_net_proto_text SOURCE TARGET`` and its like."""

import os

from . import prototxt
from .caffemodel_files import read_net_binary, save_caffemodel
from .modelfile import write_atomic


def net_text(source, target):
    """Write the net prototxt `source` in today's form to `target`.

    Parameters
    ----------
    source, target : str or os.PathLike
    """
    net = prototxt.parse_net(prototxt.read_text(source), os.fspath(source))
    write_atomic(target, prototxt.to_text(net).encode())


def net_binary(source, target, family="merged"):
    """Write the caffemodel `source` in today's form to `target`.

    `family` says whose numbers DeepLab-v2's parameters get, see caffemodel_files.save_caffemodel.

    Parameters
    ----------
    source, target : str or os.PathLike
    family : str
    """
    save_caffemodel(target, read_net_binary(source), family=family)


def solver_text(source, target):
    """Write the solver prototxt `source` in today's form to `target`.

    Parameters
    ----------
    source, target : str or os.PathLike
    """
    solver = prototxt.parse_solver(prototxt.read_text(source), os.fspath(source))
    write_atomic(target, prototxt.to_text(solver).encode())
