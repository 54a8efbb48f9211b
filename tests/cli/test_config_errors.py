from __future__ import annotations

import pytest

from mmdl.__main__ import dispatch, main
from mmdl.errors import UserError, UserErrors


def refused(*words: str) -> UserError:
    with pytest.raises(UserError) as caught:
        dispatch(list(words))
    error = caught.value
    return error.errors[0] if isinstance(error, UserErrors) and len(error.errors) == 1 else error


@pytest.mark.parametrize(
    ("words", "given", "valid", "fix"),
    [
        (["+experiment=vqaa"], "unknown experiment 'vqaa'", "vqa", "python -m mmdl ls experiment"),
        (["data=plane"], "unknown data 'plane'", "plain, other", "python -m mmdl ls data"),
        (["+experimnt=vqa"], "unknown config group 'experimnt'", "experiment, data", "+experiment=vqa"),
        (["+data=other"], "'+data=other' adds a second data", "", "data=other"),
        (
            ["data.batch_sze=3"],
            "unknown config key 'data.batch_sze'",
            "data.batch_size",
            "data.batch_size=3, or +",
        ),
        (["data.inner.dep=3"], "unknown config key 'data.inner.dep'", "data.inner.deep", "data.inner.deep=3"),
        (["dta.batch_size=3"], "unknown config key 'dta.batch_size'", "data", "data.batch_size=3"),
        (["sed=3"], "unknown config key 'sed'", "seed", "seed=3"),
        (["data.root=[1,2"], "can't read the override 'data.root=[1,2'", "key=value", ""),
        (["data.root=it's, so"], "can't read the override", "key=value", "data.root='\"it's, so\"'"),
        (["data.root"], "can't read the override 'data.root': missing EQUAL", "key=value", ""),
        (["seed=1,2"], "Ambiguous value for argument 'seed=1,2'", "seed=[1,2] (a list)", "-m seed=1,2"),
        (["data=3"], "data=3: a config group takes a name", "", "python -m mmdl ls"),
        (["+data.batch_size=4"], "Could not append to config", "", "data.batch_size=4"),
        (["~data.nope"], "Could not delete from config. 'data.nope' does not exist.", "", ""),
        (["hydra/launcher=joblibb"], "unknown hydra/launcher 'joblibb'", "", ""),
        (["data.root=???"], "data.root has no value", "", "data.root=VALUE"),
        (
            ["data.root=${data.batchsize}"],
            "data.root: ${data.batchsize} refers to a key",
            "data.batch_size",
            "",
        ),
        (["--config-dir", "nowhere"], "--config-dir nowhere: no such folder", "", ""),
        (["--config-name", "nowhere"], "Cannot find primary config 'nowhere'", "", "--info searchpath"),
        (["--multirum"], "unrecognized arguments: --multirum", "--multirun", ""),
        (["--cfg", "jobs"], "argument --cfg/-c: invalid choice", "", ""),
        (["--trust", "my-lab"], "--trust my-lab: not a package name", "", ""),
        (["--experimental-rerun", "x.pkl"], "--experimental-rerun would unpickle", "", "resume=RUN_ID"),
        (["--cfg", "job", "-m"], "only one of", "", ""),
    ],
)
def test_every_mistake_says_what_was_given_what_is_valid_and_what_to_run(place, words, given, valid, fix):
    error = refused("train", *words)
    assert error.given.startswith(given)
    assert error.valid.startswith(valid)
    assert fix in error.fix


def test_an_unknown_key_names_the_file_of_its_node(place):
    assert "packaged/data/other.yaml)" in refused("train", "+experiment=vqa", "data.batch_sze=3").given
    assert "packaged/data/plain.yaml)" in refused("train", "data.batch_sze=3").given


def test_a_syntax_error_points_at_its_place(place):
    lines = refused("train", "data.root=it's").given.splitlines()
    assert lines[1:] == ["    data.root=it's", "    " + " " * len("data.root=it") + "^"]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("root: x\n  n: 3\n", "conf/data/mine.yaml:2:4: malformed YAML: mapping values are not allowed here"),
        ("root: 1\nroot: 2\n", "conf/data/mine.yaml:2:1: malformed YAML: found duplicate key root"),
        ("root:\n\tx: 1\n", "conf/data/mine.yaml:2:1: malformed YAML: found character"),
        ("root: caf\udce9\n", "not UTF-8 text: conf/data/mine.yaml"),
        ("# Mine\n# @package _global_\nx: 1\n", "conf/data/mine.yaml: Hydra ignores '# @package _global_'"),
        ("defaults:\n  - /dta: a\n", "unknown dta 'a' (in data/mine.yaml)"),
    ],
)
def test_a_broken_config_of_the_callers_is_named_with_its_line(place, text, given):
    (place.caller / "conf" / "data").mkdir(parents=True)
    (place.caller / "conf" / "data" / "mine.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert refused("train", "data=mine").given.startswith(given)


def test_all_missing_values_are_listed_at_once(place):
    error = refused("train", "data.root=???", "seed=???", "+note=${nope}")
    assert isinstance(error, UserErrors)
    assert [one.given.split()[0].rstrip(":") for one in error.errors] == ["data.root", "seed", "note"]


def test_check_gets_a_config_with_missing_values(place, capsys):
    assert dispatch(["check", "data.root=???"]) == 0
    assert '"root": "???"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["train", "ask=user_error"], 2, "error: no such thing\n  valid: a thing\n  try:   look for it\n"),
        (["train", "ask=interrupt"], 130, "interrupted\n"),
        (["train", "ask=full_disk"], 2, "error: no space left on the device (or over quota): last.ckpt\n"),
        (["trian"], 2, "error: unknown verb 'trian'\n"),
    ],
)
def test_exit_code_and_one_error_without_a_traceback(place, monkeypatch, capsys, words, code, text):
    monkeypatch.setattr("sys.argv", ["mmdl", *words])
    assert main() == code
    assert capsys.readouterr().err.startswith(text)
    monkeypatch.setenv("MMDL_DEBUG", "1")
    assert main() == code
    assert ("Traceback" in capsys.readouterr().err) == (code == 2)


def test_several_errors_are_numbered(place, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mmdl", "train", "data.root=???", "seed=???"])
    assert main() == 2
    assert capsys.readouterr().err.startswith("2 errors\n1. data.root has no value (???)\n")


def test_a_bug_keeps_its_traceback(place):
    done = place.run("train", "ask=bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stderr.rstrip().endswith("RuntimeError: a bug")


def test_a_reader_that_goes_away_is_no_error(place, monkeypatch):
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("mmdl.__main__.dispatch", gone)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("sys.stdout", __import__("sys").__stdout__)
    assert main() == 141


def test_a_wrong_name_in_a_list_of_choices_gives_the_nearest():
    error = refused("check", "+experiment=mnist", "augment@data.augment=[crop,cutot]")
    assert error.given == "unknown augment 'cutot'"
    assert error.valid.startswith("cutout, ")
    error = refused("check", "+experiment=mnist", "callbacks=[default,emma]")
    assert error.given == "unknown callbacks 'emma'"
    assert error.valid.startswith("ema, ")
