"""Secrets by key, by form, and by the environment."""

import pytest

from mmdl.runs.redact import REDACTED, redact, redact_argument


@pytest.mark.parametrize(
    "key",
    ["api_key", "hub.token", "AWS_SECRET_ACCESS_KEY", "password", "DB-PASSWORD", "passphrase", "slurm_jwt"],
)
def test_by_key(key):
    assert redact({key: "abc"}) == {key: REDACTED}


@pytest.mark.parametrize("key", ["tokenizer", "max_tokens", "author", "keys", "secretary"])
def test_other_keys_stay(key):
    assert redact({key: "abc"}) == {key: "abc"}


@pytest.mark.parametrize(
    "text",
    [
        "hf_abcdefghijklmnopqrst",
        "AKIAABCDEFGHIJKLMNOP",
        "github_pat_11ABCDEFG0abcdefghijkl",
        "wandb_v1_abcdefghijklmnopqrstuvw",
        "eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl",
    ],
)
def test_by_form(text):
    assert redact(f"a {text} b") == f"a {REDACTED} b"


def test_logins_of_addresses():
    assert redact("https://token@host/x") == f"https://{REDACTED}@host/x"
    assert redact("ssh://me:word@host/x") == f"ssh://{REDACTED}@host/x"
    assert redact("ssh://git@host/x") == "ssh://git@host/x"


def test_values_of_secret_variables_anywhere(monkeypatch):
    monkeypatch.setenv("SOME_PASSWORD", "planted-word")
    monkeypatch.setenv("SHORT_TOKEN", "abc")
    monkeypatch.setenv("PWD", "/home/somebody")
    found = redact({"a": ["x planted-word y", "abc", "/home/somebody/data"], "n": 3})
    assert found == {"a": [f"x {REDACTED} y", "abc", "/home/somebody/data"], "n": 3}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("+a.token=x", f"+a.token={REDACTED}"),
        ("--api-key=x", f"--api-key={REDACTED}"),
        ("+a={password: x, b: y}", f"+a={{password: {REDACTED}, b: y}}"),
        ("+url=https://h/x?token=abc&b=1", f"+url=https://h/x?token={REDACTED}&b=1"),
        ("data.tokenizer=word", "data.tokenizer=word"),
        ("task.freeze=[image_tower*]", "task.freeze=[image_tower*]"),
    ],
)
def test_arguments(argument, expected):
    assert redact_argument(argument) == expected
