"""What torchrun tells the processes that it starts, in their environment."""

import os


def world_size():
    """Number of processes; 1 without torchrun.

    Returns
    -------
    int
    """
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank():
    """Place of this process among those of its machine: the number of its GPU.

    Returns
    -------
    int or None
        None without torchrun.
    """
    rank = os.environ.get("LOCAL_RANK")
    return None if rank is None else int(rank)


def meeting_place():
    """Where the processes find each other, for messages.

    Returns
    -------
    str
        "address:port".
    """
    return f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
