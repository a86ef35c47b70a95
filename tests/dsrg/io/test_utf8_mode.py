"""Names with letters beyond ASCII, in a locale that knows none of them."""

import json
import os
import subprocess
import sys

import numpy as np

from dsrg.io.label_png import save_label_png
from tests.conftest import PATIENCE, ROOT

#: as Python is set by those who switch off what it does about such a locale by itself
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(*words, **options):
    path = os.pathsep.join(map(str, (ROOT, ROOT / "engine")))
    return subprocess.run([sys.executable, *words], env={**os.environ, **ASCII, "PYTHONPATH": path}, timeout=PATIENCE,
                          capture_output=True, encoding="utf-8", check=False, **options)


def test_names_are_utf8_in_a_locale_of_ascii(tmp_path):
    """As a word of the command, in a list, on the disk and in a result."""
    for name in ("gt", "pred"):
        save_label_png(tmp_path / f"{name}/grün.png", np.eye(9, dtype=np.uint8))
    (tmp_path / "prüfung.txt").write_text("grün\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("background\nkühe\n", encoding="utf-8")
    done = run("-m", "tools.evaluate", "--quiet", "--gt", "gt", "--pred", "pred", "--list", "prüfung.txt",
               "--classes", "classes.txt", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "kühe" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


def test_the_engines_command_reads_such_names_too(tmp_path):
    save_label_png(tmp_path / "grün.png", np.eye(9, dtype=np.uint8))
    (tmp_path / "für.txt").write_text("grün.png 1\n", encoding="utf-8")
    done = run("-m", "caffe", "convert_imageset", "./", "für.txt", "datenbank-für", cwd=tmp_path)
    assert (done.returncode, (tmp_path / "datenbank-für").is_dir()) == (0, True), done.stderr


def test_a_program_that_imports_the_packages_stays_as_it_was_started():
    done = run("-c", "import sys, tools, training, localization_cues, caffe; print(sys.flags.utf8_mode)")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
