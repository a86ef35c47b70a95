"""Caffe by import: `from training.findcaffe import caffe` gives what dsrg.find_caffe finds."""

from dsrg.find_caffe import ENGINE_FOLDER, ENGINES, ROOT, find_caffe, folder_of_caffe, import_caffe, the_caffe

__all__ = ["ENGINES", "ENGINE_FOLDER", "ROOT", "find_caffe", "folder_of_caffe", "import_caffe"]


def __getattr__(name):
    """`caffe`, found when it is first asked for."""
    if name == "caffe":
        globals()["caffe"] = module = the_caffe()
        return module
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
