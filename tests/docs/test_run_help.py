"""`bash run.sh --help` before anything is set up: all stages, options, variables, experiments, ablations."""

import re
import subprocess

import pytest

from dsrg.pipeline.run_request import PATHS, VARIABLES
from dsrg.pipeline.stages import GROUPS
from tests.conftest import PATIENCE, ROOT


@pytest.fixture(scope="module")
def chapters():
    """{title: {name: text}} of the help, from a shell in which nothing was set; its variables with their defaults."""
    done = subprocess.run(["bash", ROOT / "run.sh", "--help"], env={"PATH": "/usr/bin:/bin"}, capture_output=True,
                          text=True, timeout=PATIENCE)
    assert done.returncode == 0 and done.stderr == ""
    assert max(map(len, done.stdout.splitlines())) <= 130
    found = {}
    for part in done.stdout.split("\n\n"):
        title, _, lines = part.partition("\n")
        rows = re.findall(r"^ {2,4}(\S+(?: \S+)*) {2,}(\S.*)$", lines, re.MULTILINE)
        found[title.split()[0].rstrip(",")] = dict(rows)
    return found


def test_stages_are_those_of_the_table_in_its_order(chapters):
    assert list(chapters["Stages"]) == list(GROUPS)


def test_options_are_those_of_the_parser(chapters, capsys):
    from tools.run import parse_args

    with pytest.raises(SystemExit):
        parse_args(["--help"], dict.fromkeys(VARIABLES, ""))
    of_parser = re.findall(r"^  (?:-h, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE)
    assert len(of_parser) > 8
    assert sorted(word.replace("-h, ", "").split()[0] for word in chapters["Options"]) == sorted(of_parser)


def test_variables_are_those_that_a_run_reads_with_their_defaults(chapters):
    shown = {name.split(" [")[0]: name.partition("[")[2].rstrip("]") for name in chapters["Variables"]}
    of_parsers = {"ALLOW_MODULES": "", "ALLOW_OUTPUT": ""}      # defaults of every command's options
    assert shown == dict.fromkeys(PATHS, "") | VARIABLES | of_parsers


def test_experiments_and_ablations_are_all_there_and_say_what_they_are(chapters):
    for title, paths in (("Experiments", (ROOT / "prototxts").glob("*/settings.yaml")),
                         ("Ablations", (ROOT / "prototxts/ablations").glob("*.yaml"))):
        names = sorted(path.parent.name if title == "Experiments" else path.stem for path in paths)
        assert sorted(chapters[title]) == names
        assert all(len(text) > 5 for text in chapters[title].values())
