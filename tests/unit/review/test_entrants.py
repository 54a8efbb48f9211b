import json

import pytest
import yaml

from mmdl.review.entrants import fold
from mmdl.review.views import read_runs


@pytest.fixture
def add(tmp_path, folders):
    def write(run_id, seed=0, value=0.7, lr=0.01, commit="1", name="vqa", state="finished", **config):
        summary = {"test/vqa_accuracy": {"value": value, "n": 40, "ci95": None}} if value is not None else {}
        costs = {"time/fit_s": {"value": 9.0}, "cost/samples": {"value": 640.0}, "cost/flops": {"value": 1e9}}
        path = folders.write_run(tmp_path, run_id, name, "val/vqa_accuracy", summary | costs, seed)
        for file, change in (
            ("config.yaml", {"optimizer": {"lr": lr}, "run": {"id": run_id}, **config}),
            ("manifest.json", {"mmdl_git": {"commit": commit * 40}}),
            ("status.json", {"status": state}),
        ):
            load, dump = (
                (yaml.safe_load, yaml.safe_dump) if file.endswith("yaml") else (json.loads, json.dumps)
            )
            (path / file).write_text(dump(load((path / file).read_text()) | change))
        return path

    return write


def test_runs_that_differ_in_their_seed_only_are_one_entrant(add):
    paths = [add(f"s{seed}", seed, value) for seed, value in enumerate((0.70, 0.74, 0.72))]
    paths.append(add("other", lr=0.1))
    seeds, other = (found.entrant for found in fold(read_runs(paths)))
    assert (seeds.label, seeds.runs) == ("vqa lr=0.01", ["s0", "s1", "s2"])
    assert (seeds.mean, seeds.deviation) == (pytest.approx(0.72), pytest.approx(0.02))
    assert (seeds.n, seeds.seconds, seeds.samples, seeds.flops) == (40, [9.0] * 3, [640.0] * 3, [1e9] * 3)
    assert (other.label, other.mean, other.deviation) == ("other", 0.7, None)


def test_what_only_looks_does_not_tell_runs_apart(add):
    bar = {"bar": {"_target_": "mmdl.callbacks.progress.Progress"}}
    paths = [add("a", 0), add("b", 1, data={"num_workers": 3}, callbacks=bar, logger={"wandb": {"x": 1}})]
    paths[0].joinpath("config.yaml").write_text(
        paths[0].joinpath("config.yaml").read_text() + "data: {}\ncallbacks: {}\n"
    )
    assert [found.entrant.runs for found in fold(read_runs(paths))] == [["a", "b"]]


def test_quick_runs_and_whole_ones_are_apart(add):
    assert len(fold(read_runs([add("a", 0, quick=True), add("b", 1, quick=False)]))) == 2


def test_a_run_without_a_score_belongs_to_its_entrant(add):
    [found] = fold(read_runs([add("a", 0), add("b", 1, value=None, state="failed")]))
    assert (found.entrant.runs, found.entrant.values, found.entrant.deviation) == (["a", "b"], [0.7], None)


def test_a_repeated_seed_counts_once(add):
    [found] = fold(read_runs([add("killed", 0, value=None), add("a", 0), add("again", 0), add("b", 1)]))
    assert found.entrant.runs == ["a", "b"]
    assert [run.id for run in found.repeats] == ["again", "killed"]


def test_the_same_seed_with_other_code_is_a_comparison_of_code(add):
    paths = [
        add("x0", 0, commit="1"),
        add("x1", 1, commit="1"),
        add("y0", 0, commit="2"),
        add("y1", 1, commit="2"),
    ]
    assert [found.entrant.runs for found in fold(read_runs(paths))] == [["x0", "x1"], ["y0", "y1"]]
    # other seeds with other code are seeds of one configuration; the review says that the code differs
    assert [found.entrant.runs for found in fold(read_runs([paths[0], paths[3]]))] == [["x0", "y1"]]


def test_a_run_without_a_score_tells_no_code_apart(add):
    paths = [add("x0", 0, value=None, commit="1"), add("y0", 0, commit="2"), add("z1", 1, commit="3")]
    [found] = fold(read_runs(paths))
    assert found.entrant.runs == ["y0", "z1"]
    assert [run.id for run in found.repeats] == ["x0"]


def test_the_same_seed_on_other_training_data_is_a_comparison_of_data(add):
    paths = [add("x0", 0), add("x1", 1), add("y0", 0)]
    manifest = json.loads((paths[2] / "manifest.json").read_text())
    manifest["data"]["train"] = "other"
    (paths[2] / "manifest.json").write_text(json.dumps(manifest))
    assert [found.entrant.runs for found in fold(read_runs(paths))] == [["x0", "x1"], ["y0"]]


def test_labels_are_unique_and_say_what_differs(add):
    paths = [add(f"l{lr}s{seed}", seed, lr=lr) for lr in (0.1, 0.2) for seed in (0, 1)]
    paths += [add("single", lr=0.3)]
    assert [found.label for found in fold(read_runs(paths))] == ["vqa lr=0.1", "vqa lr=0.2", "single"]


def test_entrants_of_one_metric_stand_together(add, tmp_path, folders):
    digits = folders.classification(tmp_path, "digits")
    found = fold(read_runs([add("a"), digits, add("b", lr=0.2)]))
    assert [one.label for one in found] == ["a", "b", "digits"]


def test_runs_whose_configuration_is_lost_are_not_taken_for_the_same(add):
    paths = [add("a", 0), add("b", 1)]
    for path in paths:
        (path / "config.yaml").write_text("{")
    assert len(fold(read_runs(paths))) == 2
