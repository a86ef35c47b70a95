"""Nets in forked processes: what fork leaves behind that no thread serves any more is put right in the child.

A fork copies one thread. The worker threads of OpenMP, which torch computes with, and those that read ahead for data
layers do not exist in the child, and whoever waits for them waits for ever (multiprocessing's Pool, workers in the
manner of DataLoader). Once a net has been built in a process, its forked children compute with one thread each, as
torch's own DataLoader workers do, and objects given to :func:`reset_in_child` start afresh.

Not put right: CUDA, and backward passes where torch sees a GPU and the parent has run one; torch refuses both in a
forked child with an error (start the process with "spawn" there, or hide the GPU: CUDA_VISIBLE_DEVICES=).
"""

import os
import weakref

import torch

_resettable = weakref.WeakSet()
_state = {"net_built": False}


def note_net():
    """A net is being built: from now on OpenMP's threads may exist."""
    _state["net_built"] = True


def reset_in_child(thing):
    """Call ``thing.after_fork()`` in every forked child, as long as the object lives there.

    Parameters
    ----------
    thing : object
        With a method `after_fork`; it is not kept alive.
    """
    _resettable.add(thing)


def _in_child():
    if _state["net_built"]:
        torch.set_num_threads(1)  # a parallel region of one thread asks nothing of the threads that are gone
    for thing in list(_resettable):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not where processes cannot fork
    os.register_at_fork(after_in_child=_in_child)
