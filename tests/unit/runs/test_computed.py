from mmdl.runs.computed import OBSERVERS, SAME_RESULT, computed


def test_callbacks_that_look_exist(repo):
    files = {path.stem for path in (repo / "src" / "mmdl" / "callbacks").glob("*.py")}
    assert files >= OBSERVERS


def test_full_keys_are_left_out_where_they_stand_only():
    config = {
        "keep": 1,
        "callbacks": {"checkpoints": {"keep": 2, "monitor": "x"}},
        "data": {"num_workers": 4},
    }
    assert computed(config) == {"keep": 1, "callbacks": {"checkpoints": {"monitor": "x"}}, "data": {}}
    assert "data.num_workers" in SAME_RESULT


def test_other_peoples_callbacks_are_looked_at():
    config = {"callbacks": {"mine": {"_target_": "lab.callbacks.progress.Progress"}}}
    assert computed(config) == config


def test_quick_and_the_evaluators_are_computed():
    config = {"quick": True, "evaluator": {"a": {"k": 5, "resamples": 10, "seed": 3}}}
    assert computed(config) == {"quick": True, "evaluator": {"a": {"k": 5}}}
