"""Change what DeepLab-v2's Caffe (2016) needs on a tool chain of today: python3 docker/patch_caffe.py CAFFE_ROOT

Each step says why, changes text that it must find, and is content when the change is there already; a step that finds
neither ends the command, since then this is another Caffe than the one it was written for. Only Python's own library
is used: the command runs where Caffe is built. --list shows the steps.
"""

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path


class PatchError(Exception):
    """A checkout does not hold the text that a step changes."""


@dataclass(frozen=True)
class Patch:
    """One step.

    Attributes
    ----------
    name, why : str
    files : tuple of str
        Patterns below CAFFE_ROOT.
    changes : tuple of (pattern, replacement)
        Regular expressions, tried in order in every file.
    done : str
        Regular expression of the changed text; files that fit are left alone where `once` is set.
    once : bool
        The new text holds the old one, so that a second run would change it again.
    """

    name: str
    why: str
    files: tuple
    changes: tuple
    done: str
    once: bool = False


SOURCES = ("src/caffe/**/*.cpp", "src/caffe/**/*.cu", "include/caffe/**/*.hpp", "include/caffe/**/*.cuh",
           "tools/*.cpp", "python/caffe/*.cpp")

PATCHES = (
    Patch("atomic-add", "compute capability 6.0 has an atomicAdd for doubles of its own; a second one does not compile",
          ("include/caffe/**/*.cuh", "src/caffe/**/*.cu", "src/caffe/**/*.cuh"),
          ((r"(?ms)^([ \t]*static __inline__ __device__ double atomicAdd\(double ?\* ?address, double val\) ?\{"
            r".*?^[ \t]*\})",
            r"#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600\n\1\n#endif  // compute capability below 6.0"),),
          r"__CUDA_ARCH__ (>=|<) 600", once=True),
    Patch("opencv4-names", "OpenCV 4 has no C names and no C headers",
          SOURCES,
          ((r"\bCV_LOAD_IMAGE_(COLOR|GRAYSCALE|UNCHANGED|ANYDEPTH|ANYCOLOR)\b", r"cv::IMREAD_\1"),
           (r"\bCV_IMWRITE_([A-Z0-9_]+)\b", r"cv::IMWRITE_\1"),
           (r"\bCV_INTER_(NN|LINEAR|CUBIC|AREA|LANCZOS4)\b",
            lambda m: "cv::INTER_" + {"NN": "NEAREST"}.get(m[1], m[1])),
           (r"\bCV_((?:BGR|RGB|GRAY|HSV|Lab|YCrCb)2[A-Za-z]+)\b", r"cv::COLOR_\1"),
           (r"\bCV_CAP_PROP_([A-Z_]+)\b", r"cv::CAP_PROP_\1"),
           (r"#include <opencv2/highgui/highgui_c\.h>", "#include <opencv2/imgcodecs.hpp>")),
          r"cv::IMREAD_COLOR"),
    Patch("byte-limit", "protobuf's SetTotalBytesLimit takes the limit alone",
          ("src/caffe/util/*.cpp",),
          ((r"SetTotalBytesLimit\((\w+),\s*\w+\)", r"SetTotalBytesLimit(\1)"),),
          r"SetTotalBytesLimit\(\w+\)"),
    Patch("shared-ptr", "boost 1.60 and newer hand a shared_ptr to Python only when its type was registered",
          ("python/caffe/_caffe.cpp",),
          ((r"(?m)^(  // vector wrappers for all the vector types we use)",
            "".join(f"  bp::register_ptr_to_python<shared_ptr<{name}<Dtype> > >();\n"
                    for name in ("Net", "Blob", "Layer", "Solver")) + r"\1"),),
          r"register_ptr_to_python|BP_REGISTER_SHARED_PTR_TO_PYTHON", once=True),
    Patch("python3", "pycaffe's own Python for Python 3; skimage's as_gray",
          ("python/caffe/*.py",),
          ((r"(?m)^from itertools import izip_longest$", "from itertools import zip_longest as izip_longest"),
           (r"\.iteritems\(\)", ".items()"),
           (r"([\w.]+)\.itervalues\(\)\.next\(\)", r"next(iter(\1.values()))"),
           (r"\bas_grey=", "as_gray=")),
          r"zip_longest|\bsix\b"),
    Patch("opencv-library", "OpenCV's functions for image files are a library of their own",
          ("Makefile",),
          ((r"(?m)^(\s*LIBRARIES \+= opencv_core opencv_highgui opencv_imgproc)[ \t]*$", r"\1 opencv_imgcodecs"),),
          r"opencv_imgcodecs", once=True),
    Patch("hdf5-library", "conda's hdf5 has its plain names",
          ("Makefile",),
          ((r"\bhdf5_serial_hl\b", "hdf5_hl"), (r"\bhdf5_serial\b", "hdf5")),
          r"\bhdf5_hl hdf5\b"),
)


def apply(patch, root):
    """Apply one step below `root`; a line that says what was done.

    Raises
    ------
    PatchError
        Neither the text to change nor the changed one is there.
    """
    files = sorted({path for pattern in patch.files for path in Path(root).glob(pattern) if path.is_file()})
    if not files:
        raise PatchError(f"{patch.name}: no {' or '.join(patch.files)} in {root}; expected a checkout of Caffe")
    places, changed, done = 0, [], False
    for path in files:
        before = path.read_text(encoding="utf-8", errors="surrogateescape")
        already = re.search(patch.done, before) is not None
        done |= already
        if already and patch.once:
            continue
        text = before
        for pattern, replacement in patch.changes:
            text, count = re.subn(pattern, replacement, text)
            places += count
        if text != before:
            path.write_text(text, encoding="utf-8", errors="surrogateescape")
            changed.append(path.relative_to(root))
    if changed:
        return f"{patch.name}: {places} places in {', '.join(map(str, changed))}"
    if done:
        return f"{patch.name}: there already"
    raise PatchError(f"{patch.name}: found nothing to change in {' '.join(patch.files)} of {root}; this is another "
                     "Caffe than DeepLab-v2's, see what the step is for (--list) and whether this one needs it")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", type=Path, metavar="CAFFE_ROOT", help="checkout of Caffe")
    parser.add_argument("--list", action="store_true", help="show the steps and their reasons, change nothing")
    args = parser.parse_args(argv)
    if args.list:
        print("\n".join(f"{patch.name}: {patch.why}" for patch in PATCHES))
        return 0
    if args.root is None:
        parser.error("give the checkout to change, or --list")
    try:
        for patch in PATCHES:
            print(apply(patch, args.root))
    except PatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
