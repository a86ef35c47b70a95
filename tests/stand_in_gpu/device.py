"""A CUDA device that is none: torch without CUDA sees one, with the host's memory and arithmetic and a GPU's rules.

    with device.waits() as found:
        solver.step(1)
    print(found)        # what would have made the host wait for a real one, in order

README.md beside this file says what it is for and what it cannot show.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

SOURCE = Path(__file__).with_name("device.cpp")
CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
MEMORY = 16 << 30       # bytes that it says it has
ON_CUDA = {"CUDA", "CompositeImplicitAutograd", "CompositeExplicitAutograd", "CompositeExplicitAutogradNonFunctional"}
_loaded = []            # the library, once


def torch_folder():
    """Folder of the installed torch, which is not imported."""
    return Path(importlib.util.find_spec("torch").origin).parent


def library():
    """Path of the compiled device for the installed torch; compiled (some 15 s) where it is not there yet."""
    torch = torch_folder()
    key = hashlib.sha256(f"{version('torch')} {torch}".encode() + SOURCE.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"stand-in-gpu-{os.getuid()}-{key}")
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / "device.so"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)        # the workers of one run compile once
        if not target.is_file():
            part = folder / "part.so"
            subprocess.run([os.environ.get("CXX", "g++"), "-std=c++20", "-O0", "-shared", "-fPIC", "-w",
                            f"-I{torch}/include", str(SOURCE), f"-L{torch}/lib", "-lc10", "-ltorch_cpu",
                            "-o", str(part)], check=True)
            part.replace(target)
    return target


def kernels():
    """Names of the operators that a CUDA build of torch has kernels for, from the list that torch's build reads."""
    import yaml

    listed = torch_folder().with_name("torchgen") / "packaged/ATen/native/native_functions.yaml"
    names = []
    for entry in yaml.load(listed.read_text(), yaml.CSafeLoader):
        given = {key.strip() for keys in entry.get("dispatch") or () for key in keys.split(",")}
        # without kernels of its own it is made of others, or generated for every device
        if entry.get("structured_delegate") or entry.get("ufunc_inner_loop") or not given or given & ON_CUDA:
            names.append(entry["func"].split("(")[0])
    return names


def load():
    """Load the device before torch, which asks once and for all what devices there are."""
    if not _loaded:
        ctypes.CDLL(str(torch_folder() / "lib/libtorch_cpu.so"), ctypes.RTLD_GLOBAL)
        made = ctypes.CDLL(str(library()), ctypes.RTLD_GLOBAL)
        for name in ("stand_in_held", "stand_in_peak"):
            getattr(made, name).restype = ctypes.c_int64
        made.stand_in_kernels("\n".join(kernels()).encode())
        _loaded.append(made)
    return _loaded[0]


def show(torch):
    """Have torch.cuda tell of the device: those of its functions that the project uses.

    Parameters
    ----------
    torch : module
        Just imported.
    """
    made, cuda = load(), torch.cuda

    def set_device(index):
        if index != 0:
            raise RuntimeError("CUDA error: invalid device ordinal")

    for name, function in {
        "_lazy_init": lambda: None, "is_available": lambda: True, "device_count": lambda: 1,
        "current_device": lambda: 0, "set_device": set_device,
        "synchronize": lambda device=None: made.stand_in_synchronize(),
        "get_device_properties": lambda device=0: SimpleNamespace(
            name="stand-in", total_memory=MEMORY, major=9, minor=0, multi_processor_count=1),
        "is_bf16_supported": lambda including_emulation=True: True,
        "memory_allocated": lambda device=None: made.stand_in_held(),
        "max_memory_allocated": lambda device=None: made.stand_in_peak(),
        "reset_peak_memory_stats": lambda device=None: made.stand_in_reset_peak(),
        "Event": lambda enable_timing=False: torch.Event("cuda", enable_timing=enable_timing),
    }.items():
        setattr(cuda, name, function)


def is_loaded():
    """Whether this process sees the stand-in."""
    return bool(_loaded)


@contextlib.contextmanager
def waits():
    """Collect what would make the host wait for all that the device has to do: a list of str, in order.

    An event that is waited for is none of these.
    """
    found = []
    callback = CALLBACK(lambda what: found.append(what.decode()))
    load().stand_in_on_wait(callback)
    try:
        yield found
    finally:
        load().stand_in_on_wait(CALLBACK())
