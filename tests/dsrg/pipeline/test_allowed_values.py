"""settings.yaml may be a stranger's: it chooses how commands compute, not where they write or whose code they run."""

import pytest

from dsrg.io.errors import UserError
from dsrg.pipeline.allowed_values import ARGUMENTS
from dsrg.pipeline.settings import read_experiment
from tests.parsers import command, parser_of

COMMAND_OF = {"cues": "localization_cues.make_cues", "label": "tools.segment", "segment-s": "tools.segment",
              "segment-f": "tools.segment"}


def experiment(folder, text):
    (folder / "settings.yaml").write_text(text)
    return read_experiment(folder)


@pytest.mark.parametrize("module", ["prototxts.evil.payload", "this", "os", "toolsx", "-c", "tools.", "tools..x",
                                    "tools.make demo", "/tmp/x", "../x"])
def test_data_are_made_by_this_projects_tools_alone(tmp_path, module):
    with pytest.raises(UserError, match="settings.yaml: make_data: module .* is not allowed"):
        experiment(tmp_path, f"make_data: '{module}'\n")


def test_a_module_that_the_user_allows_makes_data(tmp_path, monkeypatch):
    monkeypatch.setenv("ALLOW_MODULES", "mydata.make")
    assert experiment(tmp_path, "make_data: mydata.make\n").make_data == "mydata.make"
    assert experiment(tmp_path, "make_data: tools.make_demo_data\n").make_data == "tools.make_demo_data"


@pytest.mark.parametrize("name", ["/tmp/x.pickle", "../x.pickle", "cues/../../x.pickle", "train-s.prototxt", "cues",
                                  "data/JPEGImages/a.npz", '"cues/a\\0b"', '"cues/\\e[31m"', "stamps/lists.json"])
def test_cues_lie_in_the_folder_of_cues(tmp_path, name):
    with pytest.raises(UserError, match="settings.yaml: cue_file: .* is not a file of the run's folder cues"):
        experiment(tmp_path, f"cue_file: {name}\n")


@pytest.mark.parametrize("which", ARGUMENTS)
@pytest.mark.parametrize("words", ["--out /tmp/x", "--ou /tmp/x", "--out=/tmp/x", "--allow-module evil",
                                   "--allow-m evil", "--list /etc/passwd", "--threshol=1", "-h", "--",
                                   "--sizes 9 --weights x"])
def test_arguments_say_how_and_not_where(tmp_path, which, words):
    with pytest.raises(UserError, match=f"settings.yaml: arguments: {which}: .* is not for an experiment to choose"):
        experiment(tmp_path, f"arguments: {{{which}: '{words}'}}\n")


@pytest.mark.parametrize("which", ARGUMENTS)
def test_arguments_that_are_allowed_are_the_commands(tmp_path, which):
    options = {text for action in parser_of(command(COMMAND_OF[which]))._actions for text in action.option_strings}
    assert set(ARGUMENTS[which]) <= options
    words = "--mean -1 -.5 3 --sizes 9 17"
    assert experiment(tmp_path, f"arguments: {{{which}: '{words}'}}\n").arguments[which] == tuple(words.split())


@pytest.mark.parametrize(("words", "says"), [
    ("no-dashes", "expected an option such as --sizes first, got 'no-dashes'"),
    ("--flip --flip", "--flip is given twice; keep one of them"),
    ("--sizes=33 --sizes 65", "--sizes is given twice; keep one of them"),
    ("--crf --sizes 33 --no-crf", "--crf and --no-crf contradict each other; keep one of them")])
def test_an_option_is_given_once(tmp_path, words, says):
    with pytest.raises(UserError, match=f"settings.yaml: arguments: label: {says}$"):
        experiment(tmp_path, f"arguments: {{label: '{words}'}}\n")


@pytest.mark.parametrize("which", ARGUMENTS)
def test_an_option_with_an_equals_sign_is_two_words(tmp_path, which):
    found = experiment(tmp_path, f"arguments: {{{which}: '--mean=-1 2 3 --sizes=9 17'}}\n").arguments[which]
    assert found == ("--mean", "-1", "2", "3", "--sizes", "9", "17")
