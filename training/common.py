"""What every command needs: one-line errors, progress, whole files or none, lists, photos and label maps."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from training import voc

PHOTO_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG")


class UserError(Exception):
    """Something the user can put right; its text is one line: who, expected, got, what next."""


def run_main(main, argv=None):
    """Run a command and leave the process: status 0, or 1 with one line `error: ...` on stderr.

    Parameters
    ----------
    main : callable
        Takes `argv` (list of str, or None for the command line); returns None or an exit status.
    """
    try:
        status = main(argv) or 0
        sys.stdout.flush()
    except UserError as error:
        status = _complain(str(error))
    except BrokenPipeError:  # the reader of our output left, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        status = _complain("interrupted; the same command goes on from here") and 130
    sys.exit(status)


def _complain(text):
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return 1


def progress(iterable, desc, total=None):
    """Yield the items of `iterable` under a progress bar, or plain lines where stderr is not a terminal.

    Parameters
    ----------
    desc : str
        What is counted, in front of the bar.
    total : int, optional
        Number of items; by default `len(iterable)` where it has one.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if sys.stderr.isatty():
        yield from tqdm(iterable, desc=desc, total=total, dynamic_ncols=True)
        return
    started = last = time.monotonic()
    done = 0
    for done, item in enumerate(iterable, 1):
        yield item
        now = time.monotonic()
        if now - last >= 10:
            last = now
            print(_progress_line(desc, done, total, now - started), file=sys.stderr, flush=True)
    print(_progress_line(desc, done, total, time.monotonic() - started), file=sys.stderr, flush=True)


def _progress_line(desc, done, total, seconds):
    count = f"{done}/{total}" if total is not None else f"{done}"
    rate = f", {done / seconds:.1f}/s" if done and seconds > 0 else ""
    return f"{desc}: {count} in {seconds:.1f} s{rate}"


@contextlib.contextmanager
def atomic_write(path):
    """Give a temporary path beside `path`; when the block ends well, that file is synced and becomes `path`.

    Readers see the old file or the whole new one. When the block fails the temporary file is removed and
    `path` stays as it was. Missing folders are made. The temporary name keeps the suffix (np.savez and
    cv2.imwrite look at it) and is unique per process and thread.

    Raises
    ------
    UserError
        When the file cannot be written (disk full, no permission), naming it.

    Examples
    --------
    with atomic_write("results/val.txt") as temporary:
        temporary.write_text("whole")
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"cannot write {path}: {reason}; free space or choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_text(path, text):
    """Write `text` (UTF-8) to `path`, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_lines(path, what):
    """Lines of a text file as (number, stripped text), blank ones left out; `what` names it in errors."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {path} cannot be read as UTF-8 text: {error}") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise UserError(f"{what} {path} is empty")
    return lines


def read_ids(path):
    """Read a list of image ids, one a line.

    Returns
    -------
    list of str
        In file order, at least one, each once.

    Raises
    ------
    UserError
        Missing or empty file, more than one column, an id twice, or an id that leads out of its folder.
    """
    seen = {}
    for number, line in read_lines(path, "image list"):
        if len(line.split()) != 1:
            raise UserError(f"{path}:{number}: expected one image id a line, got '{line}'")
        parts = PurePosixPath(line).parts
        if line.startswith("/") or ".." in parts:
            raise UserError(f"{path}:{number}: id '{line}' leads out of the photo folder; give a plain name")
        if line in seen:
            raise UserError(f"{path}:{number}: id '{line}' is already on line {seen[line]}; keep one of them")
        seen[line] = number
    return list(seen)


def find_image(folder, image_id):
    """Path of photo `<folder>/<id>`, the first suffix of PHOTO_SUFFIXES that exists; UserError if none."""
    folder = Path(folder)
    for suffix in PHOTO_SUFFIXES:
        path = folder / (image_id + suffix)
        if path.is_file():
            return path
    if not folder.is_dir():
        raise UserError(f"photo folder {folder} does not exist")
    raise UserError(f"no photo for id '{image_id}' in {folder} (looked for {', '.join(PHOTO_SUFFIXES[:3])}); "
                    "add it or take the id out of the list")


def load_image_bgr(path):
    """Read a photo.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        Channels B, G, R; turned upright as its EXIF orientation says, as OpenCV and Caffe's ImageData do.

    Raises
    ------
    UserError
        Missing, not a picture, or cut off before its end (OpenCV alone would fill the rest with gray).
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"photo {path} does not exist") from None
    except OSError as error:
        raise UserError(f"photo {path} cannot be read: {error.strerror or error}") from None
    if not _has_end_marker(data):
        _refuse_truncated(path)
    image_bgr = None
    with contextlib.suppress(cv2.error):  # raised for an empty file; None for other garbage
        image_bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image_bgr is None:
        raise UserError(f"photo {path} is not a readable picture ({len(data)} bytes); "
                        "replace the file or take it out of the list")
    return image_bgr


def _has_end_marker(data):
    """Whether a JPEG or PNG ends as it should; other formats pass."""
    if data.startswith(b"\xff\xd8"):
        return data.rstrip(b"\0\r\n").endswith(b"\xff\xd9")
    if data.startswith(b"\x89PNG"):
        return data[-12:].startswith(b"\0\0\0\0IEND")
    return True


def _refuse_truncated(path):
    """Decode with PIL, which stops at a cut; files with other bytes after their end pass."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        raise UserError(f"photo {path} is cut off before its end; copy or download it again") from None


def save_label_png(path, labels, palette=None):
    """Write a label map as an index PNG with palette (mode P), whole or not at all.

    Parameters
    ----------
    labels : ndarray of integers, shape (H, W)
        Values 0..255; 255 is 'ignored'.
    palette : ndarray of uint8, shape (256, 3), optional
        Colours (R, G, B); the VOC colours by default. They are for the eye only: the indices count.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iub":
        raise ValueError(f"labels is {labels.shape} {labels.dtype}, expected (H, W) of integers")
    if labels.size and not (0 <= labels.min() and labels.max() <= 255):
        raise ValueError(f"labels go from {labels.min()} to {labels.max()}, expected 0 to 255")
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette((voc.palette() if palette is None else np.asarray(palette, np.uint8)).tobytes())
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG")


def load_label_png(path):
    """Read a label map as class indices.

    A palette PNG gives its indices, never its colours or their gray values (reading colours as gray changes
    every class number without a word); an 8-bit gray PNG gives its values.

    Returns
    -------
    ndarray of uint8, shape (H, W)

    Raises
    ------
    UserError
        Missing or unreadable file, no PNG, colours instead of indices, or a depth that is not 8 bits.
    """
    try:
        with Image.open(path) as image:
            if image.format != "PNG":
                raise UserError(f"label map {path} is a {image.format} file; expected a PNG of class indices")
            bits = _png_bit_depth(path)
            if image.mode in ("RGB", "RGBA", "LA", "PA"):
                raise UserError(f"label map {path} is colour-coded ({image.mode}); expected class indices "
                                "(mode P or 8-bit gray): convert the folder with python -m tools.index_masks")
            if image.mode != "P" and not (image.mode == "L" and bits == 8):
                raise UserError(f"label map {path} has mode {image.mode} with {bits} bits a pixel; "
                                "expected class indices in mode P or 8-bit gray")
            return np.array(image, np.uint8)
    except FileNotFoundError:
        raise UserError(f"label map {path} does not exist") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"label map {path} cannot be read ({error}); make or download it again") from None


def _png_bit_depth(path):
    """Bits per sample, byte 24 of a PNG (chunk IHDR): PIL stretches gray of fewer than 8 bits to 0..255."""
    with open(path, "rb") as file:
        return file.read(25)[24]


def git_commit():
    """Commit of this checkout with '+' when files differ from it, or 'unknown' outside a git checkout."""
    root = Path(__file__).resolve().parents[1]
    try:
        commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty=+", "--abbrev=12"],
                                capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return commit.stdout.strip() or "unknown"


def available_cpus():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
