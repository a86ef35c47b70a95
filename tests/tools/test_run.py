"""The command that runs experiments: what asks for nothing, or for two things at once, is told and not run."""

import pytest

from tools import run


@pytest.fixture
def demo(tmp_path, monkeypatch, capsys):
    """Run the demo with words and variables; status and what was said."""
    def main(*words, **variables):
        for name, value in {"WORK": str(tmp_path / "work"), "ENGINE": "embedded", "PRECISION": "fp32",
                            **variables}.items():
            monkeypatch.setenv(name, value)
        status = run.main(["demo", *words])
        return status, capsys.readouterr()

    for name in ("STAGES", "ABLATION", "DATA_ROOT", "CUES"):
        monkeypatch.delenv(name, raising=False)
    return main


@pytest.mark.parametrize("plan", [[], ["--plan"]])
@pytest.mark.parametrize(("words", "says"), [
    (["--stages", "cam", "--from", "label"], "--stages cam --from label: none of these stages comes at label or after"),
    (["--stages", ","], "--stages: expected a name, got ','"), (["--only", ""], "--stages: expected a name, got ''"),
    (["--from", ""], "--from: expected a name, got ''"), (["--ablation", " "], "--ablation: expected a name, got ' '"),
    (["--adopt", "--force"], "--force changes nothing with --adopt")])
def test_a_request_for_nothing_is_refused(demo, tmp_path, words, plan, says):
    status, said = demo(*words, *plan)
    assert (status, said.out) == (2, "") and said.err.removeprefix("error: ").startswith(says)
    assert len(said.err.splitlines()) == 1 and not (tmp_path / "work").exists()


def test_a_variable_that_names_no_stage_is_refused_and_one_that_is_empty_is_none(demo):
    status, said = demo("--plan", STAGES=" , ")
    assert status == 2 and "STAGES: expected a name, got ' , '" in said.err
    status, said = demo("--plan", STAGES="")
    assert status == 0 and "[1/23] data" in said.out
    status, said = demo("--plan", STAGES="lists, cues,")
    assert status == 0 and "[1/2] lists" in said.out and "[2/2] cues" in said.out
