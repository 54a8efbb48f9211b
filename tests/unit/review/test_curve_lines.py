"""Columns of `metrics.jsonl` are the same whichever way its lines are read."""

import json
import random

import numpy as np
import pytest

from mmdl.review import curve_lines
from mmdl.review.curve_lines import parsed, parsed_plainly


def same(found, expected):
    np.testing.assert_array_equal(found.steps, expected.steps)
    np.testing.assert_array_equal(found.times, expected.times)
    assert found.damaged == expected.damaged
    # one may know a column without any value, as of booleans
    names = {name for name, (rows, _) in expected.columns.items() if len(rows)}
    assert {name for name, (rows, _) in found.columns.items() if len(rows)} == names
    for name in names:
        np.testing.assert_array_equal(found.columns[name][0], expected.columns[name][0])
        # to the last bit, the sign of zero too
        np.testing.assert_array_equal(
            found.columns[name][1].view(np.int64), expected.columns[name][1].view(np.int64)
        )


NUMBERS = (
    0,
    -0.0,
    1,
    -3,
    2**53 + 1,
    2**63 - 1,
    2**63,
    10**25,
    0.1,
    1e-320,
    1.7976931348623157e308,
    1 / 3,
    -1e22,
)
ODD = (None, True, "nan", "-inf", "text", "2026-01-01", "12", "")


def random_lines(rng, odd):
    names = ["loss", "val/accuracy", "epoch", "a b", "x" * 50]
    lines = []
    for step in range(rng.randrange(1, 30)):
        row = {"step": step, "time": rng.choice([step * 1.5, step, 1795870344.28])}
        for name in rng.sample(names, rng.randrange(len(names))):
            value = (
                rng.choice(NUMBERS)
                if rng.random() > 0.5
                else rng.uniform(-1, 1) * 10 ** rng.randrange(-30, 30)
            )
            row[name] = rng.choice(ODD) if odd and rng.random() < 0.2 else value
        if rng.random() < 0.1:
            row.pop(rng.choice(list(row)))
        if rng.random() < 0.05:
            row["step"] = None
        lines.append(json.dumps(row))
    return "".join(f"{line}\n" for line in lines).encode()


@pytest.mark.parametrize("odd", [False, True])
def test_random_lines_are_read_as_json_reads_them(odd):
    rng = random.Random(0)
    for _ in range(300):
        content = random_lines(rng, odd)
        same(parsed(content), parsed_plainly(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"{}\n",
        b'{"step": 1, "a": 1}\n\n{"step": 2, "a": 2}\n',
        b'{"step": 1, "a": 1}{"step": 2, "a": 2}\n',
        b'{"step": 1,\n"a": 1}\n',
        b'{"step": 1, "a": 1}\n{"step": 2, "a"\n{"step": 3, "a": 3}\n',
        b'{"step": 1, "a": 1},{"step": 2, "a": 1}\n',
        b'{"step": 1, "a": 1, "a": 2}\n',
        b'{"step": 1, "a": NaN, "b": Infinity, "c": -Infinity}\n',
        b'{"step": 1, "a": 1e400, "b": -1e400, "c": 1e-400}\n',
        b'{"step": 1, "a": 01}\n{"step": 2, "a": +1}\n{"step": 3, "a": .5}\n{"step": 5, "a": 5}\n',
        b'{"step": 5.0, "a": 1}\n{"step": "6", "a": 1}\n{"step": true, "a": 1}\n{"step": 1e30, "a": 1}\n',
        b'{"step": 9223372036854775808, "a": 1}\n{"step": -5, "a": 1}\n',
        b'{"step": 1, "time": "12.5", "a": 1}\n{"step": 1, "time": "soon", "a": 1}\n',
        b'{"step": 1, "time": null, "a": null}\n',
        b'{"step": 1, "a": {"b": 2}, "c": [1, 2], "d": 3}\n',
        b'{"step": 1, "a": 2, "n": {"a": 10, "b": 0}}\n{"step": 2, "a": 3, "n": {"a": 10}, "c": 1}\n',
        b'{"step": 1, "a": 2, "n": 5}\n{"step": 1, "a": 2, "n": 5, "n": {"a": 10}}\n',
        b'{"step": 1, "a": 2, "n": {"a": 010}}\n{"step": 1, "a": 2, "n": {"a" 1}}\n{"step": 1, "a": 2, "n": {}}\n',
        b'{"step": 1, "a": 2, "n": {"a": 1}\n{"step": 1, "a": 2, "n": {"a": {"b": 1}}}\n{"step": 1, "n": {"a": "1"}}\n',
        b'{"n": {"a": 1}, "step": 1, "a": 2}\n{"a": {"b": 1, "n": {"a": 1}}, "step": 1}\n',
        b'{"step": 1, "a": ", "n": {"a": 1}}\n{"step": 1, "a": 2, "n": {"a": 1}, "n": {"b": 1}}\n',
        b'{"step": 1, "a{": 2}\n{"step": 1, "b": "}"}\n',
        '{"step": 1, "ä": 2, "\\u00fc": 3}\n'.encode(),
        b'{"step": 1, "a\\ud800": 2}\n',
        b'{"step": 1, "\xff": 2}\n{"step": 2, "b": 3}\n',
        b'\xef\xbb\xbf{"step": 1, "a": 2}\n',
        b'{"step": 1, "a": 2}\r\n{"step": 2, "a": 3}\r\n',
        b' {"step": 1, "a": 2} \n',
        b'{"step": 1, "a": 2}\n[1, 2]\n3\nnull\n"x"\n',
        b'{"step": 1, "a": 2}\n{"step": 2, "a": 2} x\n',
        b'{"step": 1, "a": "0x10"}\n{"step": 2, "a": "1_0"}\n',
        b'{"step": 1, "a": "2026-01-01 10:00:00"}\n',
        b'{"": 1, "step": 1}\n',
        b'{"a": 1, "step": 1}\x00\n',
        b"[" * 100_000 + b"\n" + b'{"a": 1}\n',
        b'{"a":' * 100_000 + b"\n" + b'{"a": 1}\n',
    ],
)
def test_odd_lines_are_read_as_json_reads_them(content):
    same(parsed(content), parsed_plainly(content))


def test_damaged_lines_are_counted_and_the_others_read():
    found = parsed(b'{"step": 1, "a": 1}\n{"step": 2, "a\n{"step": 3, "a": "nan"}\n\n')
    assert found.damaged == 2
    assert found.steps.tolist() == [1, 3]
    rows, values = found.columns["a"]
    assert rows.tolist() == [0, 1]
    assert values[0] == 1
    assert np.isnan(values[1])


def test_lines_of_the_logger_take_the_fast_way(monkeypatch):
    monkeypatch.setattr(curve_lines, "parsed_plainly", None)
    content = b"".join(
        json.dumps({"step": step, "time": step / 3, "loss": 1 / (step + 1)}).encode() + b"\n"
        for step in range(50)
    )
    assert parsed(content).columns["loss"][1].tolist() == [1 / (step + 1) for step in range(50)]
    counts = b'{"step": 50, "time": 17, "val/loss": 0.5, "n": {"val/loss": 144, "val/accuracy": 144}}\n'
    assert parsed(content + counts).columns["val/loss"][1].tolist() == [0.5]
    with_text = content + b'{"step": 50, "time": 17, "loss": "nan"}\n'
    assert np.isnan(parsed(with_text).columns["loss"][1][-1])
