"""A CUDA driver that shows as many GPUs as a test wants."""

import shutil
import subprocess

SOURCE = """
#include <stdlib.h>
int cuInit(unsigned flags) { return atoi(getenv("PRETENDED_GPUS")) > 0 ? 0 : 100; }
int cuDeviceGetCount(int* count) { *count = atoi(getenv("PRETENDED_GPUS")); return 0; }
"""


def pretended_driver(folder, count):
    """Environment of a process that finds this libcuda.so.1 before any other; made in `folder`."""
    library = folder / "driver" / "libcuda.so.1"
    if not library.is_file():
        library.parent.mkdir(parents=True, exist_ok=True)
        source = library.with_name("driver.c")
        source.write_text(SOURCE)
        compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("g++")
        subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    return {"LD_LIBRARY_PATH": str(library.parent), "PRETENDED_GPUS": str(count)}
