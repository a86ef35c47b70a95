"""Change what Caffe of 2016 to 2020 needs on a tool chain of today.

    python3 docker/patch_caffe.py CAFFE_ROOT

For DeepLab-v2's Caffe, BVLC's (1.0 and its last commit) and forks between them. Each step says why, changes the text
that it finds by its structure, and is content when the change is there already or when this Caffe has nothing of the
kind; a step that meets its subject in a form it cannot change ends the command before anything is written. --check
reports the same step by step and writes nothing; --list shows the steps. Only Python's own library is used: the command
runs where Caffe is built.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class PatchError(Exception):
    """A folder is no checkout of Caffe, or holds a step's subject in a form that the step cannot change."""


#: comments, literals, and braces outside them
TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|[{}]', re.DOTALL)


def block_end(text, opening):
    """Index behind the brace that closes the one at text[opening], None if none does."""
    depth = 0
    for token in TOKENS.finditer(text, opening):
        depth += {"{": 1, "}": -1}.get(token[0], 0)
        if depth == 0 and token[0] == "}":
            return token.end()
    return None


def conditions(text, position):
    """Lines of the preprocessor's conditions (#if and #else alike) that hold at text[position]."""
    stack = []
    for line in text[:position].splitlines():
        directive = re.match(r"\s*#\s*(if|el|endif)", line)
        if directive is None:
            continue
        if directive[1] == "if":
            stack.append(line)
        elif stack and directive[1] == "el":
            stack[-1] += "\n" + line
        elif stack:
            stack.pop()
    return stack


ATOMIC_ADD = re.compile(r"^[ \t]*(?:(?:static|inline|__inline__|__forceinline__|__device__)\s+)+double\s+atomicAdd\s*"
                        r"\(\s*double\s*\*\s*\w+\s*,\s*(?:const\s+)?double\s+\w+\s*\)\s*\{", re.MULTILINE)


def guard_atomic_add(text):
    """The function atomicAdd for doubles, to its own closing brace, for compute capability below 6.0 alone."""
    for match in reversed(list(ATOMIC_ADD.finditer(text))):
        end = block_end(text, match.end() - 1)
        if end is None or any("__CUDA_ARCH__" in line for line in conditions(text, match.start())):
            continue
        text = (f"{text[:match.start()]}#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600\n{text[match.start():end]}\n"
                f"#endif  // compute capability below 6.0{text[end:]}")
    return text


def has_bare_atomic_add(text):
    """A definition that every architecture sees, on one line as in a template's."""
    return next((m.start() for m in re.finditer(r"\bdouble\s+atomicAdd\s*\(\s*double\s*\*[^;{}]*\{", text)
                 if not any("__CUDA_ARCH__" in line for line in conditions(text, m.start()))), None)


def substitute(*changes):
    """A function of text that applies regular expressions in order."""
    def change(text):
        for pattern, replacement in changes:
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        return text
    return change


def search(pattern):
    """A function of text: where the expression first fits, or None."""
    def where(text):
        match = re.search(pattern, text, re.MULTILINE)
        return match and match.start()
    return where


def register_layer(text):
    """Registration of shared_ptr<Layer> before the vectors, where there is none."""
    if re.search(r"(register_ptr_to_python\s*<\s*shared_ptr\s*<|BP_REGISTER_SHARED_PTR_TO_PYTHON\()\s*Layer\b", text):
        return text
    return re.sub(r"^(\s*// vector wrappers)", r"  bp::register_ptr_to_python<shared_ptr<Layer<Dtype> > >();\n\1", text,
                  count=1, flags=re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes
    ----------
    name, why : str
    files : tuple of str
        Patterns below CAFFE_ROOT.
    change : function of text
        The new text; of a new text, that text itself.
    old : function of text
        Where the old form, which must not remain, stands in a text, or None.
    new : str
        Regular expression of the new form: "there already".
    absent : str
        What it means when neither form is there.
    """

    name: str
    why: str
    files: tuple
    change: Callable
    old: Callable
    new: str
    absent: str


SOURCES = tuple(f"{folder}/**/*.{suffix}" for folder in ("src/caffe", "include/caffe", "tools", "examples")
                for suffix in ("cpp", "cu", "hpp", "cuh")) + ("python/caffe/*.cpp",)
GONE_NAMES = (r"\bCV_(?:LOAD_IMAGE_\w+|IMWRITE_\w+|INTER_(?:NN|LINEAR|CUBIC|AREA|LANCZOS4)|CAP_PROP_\w+|FOURCC"
              r"|(?:BGR|RGB|GRAY|HSV|Lab|YCrCb)2[A-Za-z]+)\b|#include\s*<opencv2/highgui/highgui_c\.h>")
GONE_PROPERTIES = r"\bprop\.(?:clockRate|deviceOverlap|kernelExecTimeoutEnabled)\b"

STEPS = (
    Step("atomic-add", "compute capability 6.0 has an atomicAdd for doubles of its own; a second one does not compile",
         ("include/caffe/**/*.cuh", "include/caffe/**/*.hpp", "src/caffe/**/*.cu", "src/caffe/**/*.cuh"),
         guard_atomic_add, has_bare_atomic_add,
         r"\bdouble\s+atomicAdd\s*\(\s*double", "BVLC's Caffe defines none for doubles"),
    Step("opencv4-names", "OpenCV 4 has no C names and no C headers",
         SOURCES,
         substitute((r"\bCV_LOAD_IMAGE_(COLOR|GRAYSCALE|UNCHANGED|ANYDEPTH|ANYCOLOR)\b", r"cv::IMREAD_\1"),
                    (r"\bCV_IMWRITE_([A-Z0-9_]+)\b", r"cv::IMWRITE_\1"),
                    (r"\bCV_INTER_NN\b", "cv::INTER_NEAREST"),
                    (r"\bCV_INTER_(LINEAR|CUBIC|AREA|LANCZOS4)\b", r"cv::INTER_\1"),
                    (r"\bCV_((?:BGR|RGB|GRAY|HSV|Lab|YCrCb)2[A-Za-z]+)\b", r"cv::COLOR_\1"),
                    (r"\bCV_CAP_PROP_([A-Z_]+)\b", r"cv::CAP_PROP_\1"),
                    (r"\bCV_FOURCC\s*\(", "cv::VideoWriter::fourcc("),
                    (r"#include\s*<opencv2/highgui/highgui_c\.h>", "#include <opencv2/imgcodecs.hpp>")),
         search(GONE_NAMES), r"\bcv::IMREAD_\w+", "no image is read with OpenCV's C names"),
    Step("byte-limit", "protobuf's SetTotalBytesLimit takes the limit alone",
         ("src/caffe/**/*.cpp", "tools/*.cpp"),
         substitute((r"\bSetTotalBytesLimit\(\s*([^(),]+?)\s*,[^(),]*\)", r"SetTotalBytesLimit(\1)")),
         search(r"\bSetTotalBytesLimit\([^()]*,"), r"\bSetTotalBytesLimit\([^,()]*\)", "the limit is nowhere set"),
    Step("no-gpu", "a build with CUDA must run where no GPU is visible: reading threads ask for one in any mode",
         ("src/caffe/internal_thread.cpp",),
         substitute((r"^([ \t]*)CUDA_CHECK\(\s*cudaGetDevice\((.*?)\)\s*\)\s*;",
                     r"\1if (Caffe::mode() == Caffe::GPU) { CUDA_CHECK(cudaGetDevice(\2)); }"),
                    (r"^([ \t]*)CUDA_CHECK\(\s*cudaSetDevice\((.*?)\)\s*\)\s*;",
                     r"\1if (mode == Caffe::GPU) { CUDA_CHECK(cudaSetDevice(\2)); }")),
         search(r"^[ \t]*CUDA_CHECK\(\s*cuda[GS]etDevice"), r"Caffe::GPU\) \{ CUDA_CHECK\(cuda[GS]etDevice",
         "its reading threads ask for no device"),
    Step("device-query", "three fields of cudaDeviceProp are gone in CUDA 13; DeviceQuery prints them",
         ("src/caffe/**/*.cpp", "tools/*.cpp"),
         substitute((r"^[ \t]*(?:LOG\(INFO\)\s*<<|printf\()[^;]*"
                     r"\bprop\.(?:clockRate|kernelExecTimeoutEnabled)\b[^;]*;[ \t]*\n", ""),
                    (r"\bprop\.deviceOverlap\b", "prop.asyncEngineCount")),
         search(GONE_PROPERTIES), r"\bprop\.asyncEngineCount\b", "nothing prints them"),
    Step("shared-ptr", "boost 1.60 and newer hand a Layer to Python only when its pointer is registered; with 1.74 and "
                       "1.81 that one is enough, and DeepLab-v2's and BVLC's Caffe register it",
         ("python/caffe/_caffe.cpp",),
         register_layer, lambda text: None if register_layer(text) == text else 0,
         r"register_ptr_to_python\s*<\s*shared_ptr\s*<\s*Layer|BP_REGISTER_SHARED_PTR_TO_PYTHON\(\s*Layer",
         "no place for it was found: python/caffe/_caffe.cpp has no vectors"),
    Step("python3", "pycaffe's own Python for Python 3, today's numpy and scikit-image",
         ("python/caffe/*.py",),
         substitute((r"^(from itertools import )izip_longest[ \t]*$", r"\1zip_longest as izip_longest"),
                    (r"(?<!six)\.iteritems\(\)", ".items()"),
                    (r"(?<![\w.])([\w.]+)\.itervalues\(\)\.next\(\)", r"next(iter(\1.values()))"),
                    (r"(?<!six)\.itervalues\(\)", ".values()"),
                    (r"\bxrange\(", "range("),
                    (r"\bnum\s*/\s*batch_size\b", "num // batch_size"),
                    (r"\bnp\.fromstring\(", "np.frombuffer("),
                    (r"\.tostring\(\)", ".tobytes()"),
                    (r"\bas_grey=", "as_gray=")),
         search(r"^from itertools import izip_longest\b|\b(?!six)\w+\.iter(?:items|values)\(\)|\bxrange\("
                r"|\.values\(\)\.next\(\)|\bnum\s*/\s*batch_size\b|\bas_grey=|\bnp\.fromstring\("),
         r"\bnum\s*//\s*batch_size\b|\bzip_longest\b|\bas_gray=", "it has nothing of Python 2"),
    Step("netspec-fields", "dir() of a message names no fields with protobuf 4, its descriptor does: for NetSpec",
         ("python/caffe/net_spec.py",),
         substitute((r"\bdir\((\w+)\)(?=\s+if\s+\w+\.endswith\(\s*(['\"])_param\2\s*\))",
                     r"\1.DESCRIPTOR.fields_by_name")),
         search(r"\bin\s+dir\(\w+\)\s+if\s+\w+\.endswith"), r"\.DESCRIPTOR\.fields", "this Caffe has no NetSpec"),
    Step("opencv-library", "OpenCV's functions for image files are a library of their own",
         ("Makefile",),
         lambda text: text if "opencv_imgcodecs" in text else
         re.sub(r"\bopencv_imgproc\b", "opencv_imgproc opencv_imgcodecs", text),
         lambda text: None if "opencv_imgcodecs" in text else search(r"\bopencv_imgproc\b")(text),
         r"\bopencv_imgcodecs\b", "this Makefile does not link OpenCV"),
    Step("hdf5-library", "hdf5's libraries have their plain names in conda, and in Debian's folder hdf5/serial",
         ("Makefile",),
         substitute((r"\bhdf5_serial_hl\b", "hdf5_hl"), (r"\bhdf5_serial\b", "hdf5")),
         search(r"\bhdf5_serial"), r"\bhdf5_hl\s+hdf5\b", "this Makefile does not link hdf5"),
    Step("python-library", "Makefile.config names Python's libraries; the Makefile must not overrule it",
         ("Makefile",),
         substitute((r"^(PYTHON_LIBRARIES)\s*:?=", r"\1 ?=")),
         search(r"^PYTHON_LIBRARIES\s*:?="), r"^PYTHON_LIBRARIES\s*\?=", "this Makefile names none"),
)


@dataclass(frozen=True)
class Outcome:
    """What a step finds: `state` is changed, already, absent or missed, `files` {path: new text} what it writes."""

    step: Step
    state: str
    said: str
    files: dict


def examine(step, root, texts):
    """Outcome of a step; `texts` holds {path: text} that earlier steps changed."""
    paths = sorted({path for pattern in step.files for path in Path(root).glob(pattern) if path.is_file()})
    changed, missed, already = {}, [], False
    for path in paths:
        before = texts.get(path) or path.read_bytes().decode("utf-8", "surrogateescape")
        text = step.change(before)
        name = path.relative_to(root)
        where = step.old(text)
        if where is not None:
            number = text[:where].count("\n") + 1
            missed.append(f"{name}:{number}: {text.splitlines()[number - 1].strip()}")
        elif text != before:
            changed[path] = text
        elif re.search(step.new, text, re.MULTILINE):
            already = True
    if missed:
        return Outcome(step, "missed", "in a form that this step does not know: " + "; ".join(missed), {})
    if changed:
        return Outcome(step, "changed", ", ".join(str(path.relative_to(root)) for path in changed), changed)
    if already:
        return Outcome(step, "already", "there already", {})
    return Outcome(step, "absent", f"not needed here: {step.absent}" if paths else
                   f"not needed here: no {' or '.join(step.files)}", {})


def examine_all(root):
    """Outcomes of all steps on a checkout, nothing written; PatchError when it is none."""
    for name in ("Makefile", "src/caffe/proto/caffe.proto", "python/caffe/_caffe.cpp"):
        if not (Path(root) / name).is_file():
            raise PatchError(f"{root}: no {name} in it; expected a checkout of Caffe")
    texts, outcomes = {}, []
    for step in STEPS:
        outcomes.append(examine(step, root, texts))
        texts.update(outcomes[-1].files)
    return outcomes


def write(outcomes):
    """Write every file that the steps changed."""
    texts = {path: text for outcome in outcomes for path, text in outcome.files.items()}
    for path, text in texts.items():
        beside = path.with_name(path.name + ".new")
        beside.write_bytes(text.encode("utf-8", "surrogateescape"))
        shutil.copymode(path, beside)
        beside.replace(path)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, metavar="CAFFE_ROOT", help="checkout of Caffe")
    parser.add_argument("--check", action="store_true", help="report what each step finds, write nothing; status 1 "
                                                             "where one cannot be done")
    parser.add_argument("--list", action="store_true", help="show the steps and their reasons, change nothing")
    args = parser.parse_args(argv)
    if args.list:
        print("\n".join(f"{step.name}: {step.why}" for step in STEPS))
        return 0
    if args.root is None:
        parser.error("give the checkout to change, or --list")
    try:
        outcomes = examine_all(args.root)
    except PatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    missed = [outcome for outcome in outcomes if outcome.state == "missed"]
    verb = "to change: " if args.check or missed else "changed "
    for outcome in outcomes:
        print(f"{outcome.step.name}: {'MISSED ' if outcome in missed else verb if outcome.state == 'changed' else ''}"
              f"{outcome.said}")
    if missed:
        print(f"error: {args.root}: {len(missed)} of {len(STEPS)} steps cannot change what they meet "
              f"({', '.join(outcome.step.name for outcome in missed)}); nothing was written: change these places by "
              "hand (--list says what for) and run this again", file=sys.stderr)
        return 1
    if not args.check:
        write(outcomes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
