"""A short run of the fuzzer, its own machinery, and every input that ever failed."""

import json
import os
import random
import signal
import time
import zlib

import caffe
import cv2
import numpy as np
import pytest

from tests.reliability.damaged_pictures import png_chunks
from tests.reliability.damaged_values import json_value
from tests.reliability.fuzz import KEPT, damaged, kept_inputs, main, run, smaller, table
from tests.reliability.mutations import mutate
from tests.reliability.readers import Reader, all_readers
from tests.reliability.workers import run_batch

READERS = all_readers()
#: those that draw
SLOW = ("report_page", "drawn_log", "calibration")


def outcomes_of(read, inputs, refuses=ValueError):
    outcomes = []
    run_batch(read, refuses, inputs, outcomes)
    return outcomes


@pytest.mark.parametrize("name", READERS)
def test_readers_read_what_is_whole_and_damage_ends_in_a_line(name):
    reader = READERS[name]
    seeds, cases = (reader.seeds[:1], 2) if name in SLOW else (reader.seeds, 40)
    inputs = [damaged(reader, seeds, 20180618, number) for number in range(cases)]
    outcomes = outcomes_of(reader.read, [*seeds, *inputs], reader.refuses)
    assert [outcome for outcome in outcomes if not isinstance(outcome, str)] == []
    assert "read" in outcomes[:len(seeds)] and (name in SLOW or not reader.refuses or "refused" in outcomes)


@pytest.mark.parametrize("name", sorted(path.name for path in KEPT.iterdir()))
def test_inputs_that_failed_once(name):
    reader, inputs = READERS[name], kept_inputs(KEPT, name)
    outcomes = outcomes_of(reader.read, inputs, reader.refuses)
    assert inputs and [outcome for outcome in outcomes if not isinstance(outcome, str)] == []


def test_every_kept_input_has_a_reader():
    assert {path.name for path in KEPT.iterdir() if path.is_dir()} <= READERS.keys()


def test_every_way_to_fail_is_told_and_the_rest_goes_on():
    def read(data):
        if data == b"refuse":
            raise ValueError("one line")
        if data == b"long":
            raise ValueError("x" * 5000)
        if data == b"codes":
            raise ValueError("a\x1b[2J")
        if data == b"bug":
            raise KeyError("k")
        if data == b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if data == b"exit":
            os._exit(0)
        if data == b"memory":
            bytearray(3 << 30)

    inputs = [b"a", b"refuse", b"long", b"codes", b"bug", b"crash", b"exit", b"memory", b"a"]
    found = outcomes_of(read, inputs)
    assert found[:2] == ["read", "refused"] and found[-1] == "read" and len(found) == len(inputs)
    for outcome, text in zip(found[2:-1], ("5000 characters", "control codes", "KeyError in test_fuzz.py", "SIGSEGV",
                                           "status 0 without an answer", "MemoryError"), strict=True):
        assert outcome[0] == "fault" and text in outcome[1]


@pytest.mark.parametrize("wait", [lambda: [0 for _ in iter(int, 1)], lambda: time.sleep(60)], ids=["busy", "asleep"])
def test_a_reader_without_end_is_ended(monkeypatch, wait):
    monkeypatch.setattr("tests.reliability.workers.SECONDS", 0.2)
    monkeypatch.setattr("tests.reliability.workers.QUIET", 5.0)
    found = outcomes_of(lambda data: wait(), [b"a"])
    assert found[0][0] == "fault" and ("more than 0.2 s" in found[0][1] or "no answer for 5 s" in found[0][1])


def test_failing_inputs_are_made_small_and_kept(tmp_path, monkeypatch, capsys):
    def function(path):
        if b"Q" in path.read_bytes():
            raise KeyError("Q")

    reader = Reader("letters", function, lambda: [b"abcQdefghijk" * 20], (ValueError,), "")
    assert smaller(reader, b"abc" * 50 + b"Q" + b"def" * 50) == b"Q"
    monkeypatch.setattr("tests.reliability.fuzz.KEPT", tmp_path)
    monkeypatch.setattr("tests.reliability.fuzz.all_readers", lambda: {"letters": reader})
    assert main(["--cases", "50"]) == 1
    assert kept_inputs(tmp_path, "letters")[0] == b"Q" and "| letters | 50 | " in capsys.readouterr().out


def test_damage_is_a_function_of_the_seed_and_keeps_messages_readable():
    seed = caffe.proto.caffe_pb2.NetParameter(name="n", layer=[{"name": "a", "type": "ReLU"}] * 5).SerializeToString()
    damaged = [mutate(seed, [seed], random.Random(n)) for n in range(300)]
    assert damaged == [mutate(seed, [seed], random.Random(n)) for n in range(300)]
    parsed = 0
    for data in damaged:
        try:
            caffe.proto.caffe_pb2.NetParameter.FromString(data)
            parsed += data != seed
        except Exception:
            continue
    assert parsed > 40, 'edits that know the fields leave a message that parses'


def test_an_input_follows_from_seed_and_number():
    reader = Reader("bytes", lambda path: None, lambda: [bytes(range(200))], (ValueError,), "")
    first = [damaged(reader, reader.seeds, 0, n) for n in range(50)]
    assert len(set(first)) > 25 and first == [damaged(reader, reader.seeds, 0, n) for n in range(50)]
    assert first != [damaged(reader, reader.seeds, 1, n) for n in range(50)]


def test_counts_are_kept_by_commit_and_gone_on_from(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tests.reliability.fuzz.all_readers", lambda: {"datum": READERS["datum"]})
    counts = str(tmp_path / "counts.json")
    assert main(["--cases", "60", "--no-keep", "--counts", counts]) == 0
    assert main(["--cases", "150", "--no-keep", "--counts", counts, "--seed", "3"]) == 0
    runs = json.loads((tmp_path / "counts.json").read_text())["runs"]
    assert [sum(run["readers"]["datum"].values()) for run in runs] == [60, 90]
    assert [run["seed"] for run in runs] == [0, 3] and all(run["commit"] for run in runs)
    assert "| all | 150 | " in capsys.readouterr().out.splitlines()[-1]


def test_damage_that_knows_the_form_keeps_it():
    rng = random.Random(0)
    texts = {json_value(b'{"a": [1, {"b": "c"}], "d": 2.5}', rng) for _ in range(200)}
    assert len(texts) > 100
    for text in texts:
        json.loads(text.decode("utf-8", "surrogatepass"))
    picture = cv2.imencode(".png", np.zeros((5, 4), np.uint8))[1].tobytes()
    pictures = {png_chunks(picture, rng) for _ in range(100)}
    assert len(pictures) > 50 and len({data[16:24] for data in pictures}) > 10, "sizes differ"
    for data in pictures:
        at = 8
        while at < len(data):
            length = int.from_bytes(data[at:at + 4], "big")
            end = at + 8 + length
            assert zlib.crc32(data[at + 4:end]) == int.from_bytes(data[end:end + 4], "big")
            at += 12 + length


def test_the_table_adds_up():
    counts, _ = run([READERS["param_str"], READERS["datum"]], cases=200)
    lines = list(table(counts))
    cases = [int(line.split("|")[2].replace(",", "")) for line in lines[2:]]
    assert lines[2].startswith("| param_str | ") and cases[0] + cases[1] == cases[2] == 200 and min(cases) >= 20
