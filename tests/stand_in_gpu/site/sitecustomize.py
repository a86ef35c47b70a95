"""Every Python process that has this folder on PYTHONPATH gets the stand-in GPU as soon as it imports torch."""

import importlib.abc
import importlib.util
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))


class BeforeTorch(importlib.abc.MetaPathFinder):
    """Loads the device when torch is looked for, and shows it once torch is there."""

    def find_spec(self, name, path, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        from tests.stand_in_gpu import device

        device.load()
        spec = importlib.util.find_spec("torch")
        run = spec.loader.exec_module

        def run_and_show(module):
            run(module)
            device.show(module)

        spec.loader.exec_module = run_and_show
        return spec


sys.meta_path.insert(0, BeforeTorch())
