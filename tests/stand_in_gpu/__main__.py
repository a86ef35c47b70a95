"""Runs a command whose Python processes see a stand-in GPU.

    python -m tests.stand_in_gpu bash benchmarks/gpu.sh
    python -m tests.stand_in_gpu python -m pytest -m gpu
"""

import os
import sys
from pathlib import Path

from tests.stand_in_gpu import device

SITE = Path(__file__).with_name("site")


def environment():
    """The variables of this process with the stand-in's folder first on PYTHONPATH."""
    paths = [str(SITE), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__.strip())
    device.library()
    os.execvpe(sys.argv[1], sys.argv[1:], environment())
