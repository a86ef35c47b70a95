"""Several processes that share one list of photos, as torch's launcher starts them.

    torchrun --nproc-per-node 4 -m tools.segment work/run photos/ --out out/

Process r of n takes the items r, r + n, r + 2 n, ...; what one process would have made is made, file by file, and the
first process writes what there is once. A process that dies takes the others with it (the launcher ends them); the next
run goes on with the files that are there. Several machines: the launcher's own --nnodes and --rdzv-endpoint.
"""

import contextlib
import datetime
import os
from dataclasses import dataclass
from itertools import islice, zip_longest

import numpy as np

from dsrg.io.errors import UserError

LONGEST_WAIT = datetime.timedelta(days=7)   # for the slowest process
TOGETHER = 64           # results that each process sends to the first at a time
_NOTHING = object()


@dataclass(frozen=True)
class Ranks:
    """This process among those that share the work; alone it needs no torch.

    Attributes
    ----------
    rank, count : int
        Number of this process, from 0, and of all.
    local_rank, local_count : int
        The same among those of this machine.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_first(self):
        """Whether this process writes and prints what there is once."""
        return self.rank == 0

    def share(self, items):
        """The items of this process.

        Parameters
        ----------
        items : list or dict

        Returns
        -------
        list or dict
            In the same order.
        """
        if isinstance(items, dict):
            return dict(list(items.items())[self.rank::self.count])
        return list(items)[self.rank::self.count]

    def part_of(self, cores):
        """Of the cores of this machine those of this process.

        Parameters
        ----------
        cores : int

        Returns
        -------
        int
            1 or more.
        """
        return max(1, cores // self.local_count)

    def device(self, text):
        """The device of this process, of those that --device names: each takes another, in turn.

        Parameters
        ----------
        text : str
            cpu, the number of a GPU, or several with commas.

        Returns
        -------
        str
        """
        numbers = text.split(",")
        return numbers[self.local_rank % len(numbers)]

    def wait(self):
        """Go on when all processes have come here."""
        if self.count > 1:
            with self._together() as group:
                group.barrier()

    def sum(self, counts):
        """The sum of an array over all processes.

        Parameters
        ----------
        counts : int64 array
            Of one shape in all processes.

        Returns
        -------
        int64 array
            The same in each process.

        Raises
        ------
        UserError
            In the first process, where another has ended.
        """
        if self.count == 1:
            return counts
        import torch

        total = torch.from_numpy(np.array(counts, np.int64))
        with self._together() as group:
            group.all_reduce(total)
        return total.numpy()

    def gathered(self, items):
        """What all processes yield from their shares, in the order of the whole list.

        Every process has to read it to its end. A few results wait at a time, however long the list is.

        Parameters
        ----------
        items : iterable
            Results of this process's share, in order; they are pickled.

        Yields
        ------
        object
            In the first process the results of all; in the others nothing.

        Raises
        ------
        UserError
            In the first process, where another has ended.
        """
        if self.count == 1:
            yield from items
            return
        items, ended = iter(items), False
        while not ended:
            some = list(islice(items, TOGETHER))
            parts = [None] * self.count if self.is_first else None
            with self._together() as group:
                group.gather_object(some, parts)
            ended = self._all(len(some) < TOGETHER)
            for row in zip_longest(*parts or (), fillvalue=_NOTHING):
                yield from (item for item in row if item is not _NOTHING)

    def _all(self, flag):
        """Whether a flag is set in every process."""
        return int(self.sum(np.array([not flag]))[0]) == 0

    @contextlib.contextmanager
    def _together(self):
        """torch.distributed, for something that all processes do; where another has gone the first one says so."""
        import torch.distributed as distributed

        try:
            if not distributed.is_initialized():
                distributed.init_process_group("gloo", timeout=LONGEST_WAIT)
            yield distributed
        except RuntimeError:
            if not self.is_first:
                raise SystemExit(1) from None
            raise UserError("another of the processes that share the photos has ended; what it said stands above. Run "
                            "the command again: files that are there are kept") from None


#: a process that shares with none
ALONE = Ranks()


def ranks_here():
    """This process as the launcher's variables number it: RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE.

    Returns
    -------
    Ranks
    """
    def number(name, default):
        return int(os.environ.get(name) or default)

    count = number("WORLD_SIZE", 1)
    return Ranks(number("RANK", 0), count, number("LOCAL_RANK", 0), number("LOCAL_WORLD_SIZE", count))


def launched(command, processes):
    """A command `python -m module ..` as torch's launcher runs it in several processes of this machine.

    Parameters
    ----------
    command : list of str
    processes : int
        1: the command as it is.

    Returns
    -------
    list of str
    """
    if processes == 1:
        return command
    python, flag, *rest = command
    # "--": the launcher would take options of the module for its own
    return [python, flag, "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", flag, "--", *rest]
