import json
import statistics

import pytest

from mmdl.commands.ls import main
from mmdl.runs.folder import RunFolder, run_ids
from mmdl.runs.seeds import seed_groups

VALUES = {0: 0.81, 1: 0.84, 2: 0.80}


@pytest.fixture
def root(tmp_path):
    def add(run_id, seed, lr, value):
        run = RunFolder(tmp_path, run_id)
        run.create()
        folder = {"checkpoints": {"folder": f"{tmp_path}/{run_id}"}}
        config = {"name": "x", "seed": seed, "data": {"seed": seed}, "optimizer": {"lr": lr}}
        run.write_config(config | {"callbacks": folder, "run": {"id": run_id}})
        run.write_status("finished", monitor="val/accuracy")
        if value is not None:
            run.write_summary({"test/accuracy": {"value": value, "n": 10, "ci95": None}})

    for seed, value in VALUES.items():
        add(f"s{seed}", seed, 0.1, value)
    add("other", 0, 0.2, 0.5)
    add("unfinished", 3, 0.1, None)
    return tmp_path


def test_runs_that_differ_in_their_seed_only_are_one_group(root):
    other, seeds = seed_groups(RunFolder(root, run_id) for run_id in run_ids(root))
    assert (other.runs, other.mean, other.deviation) == (["other"], 0.5, 0.0)
    assert sorted(seeds.runs) == ["s0", "s1", "s2"]
    assert seeds.mean == pytest.approx(statistics.mean(VALUES.values()))
    assert seeds.deviation == pytest.approx(statistics.stdev(VALUES.values()))


def test_ls_prints_mean_and_deviation(root, capsys):
    assert main(["--seeds", "--root", str(root)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "x  test/accuracy 0.8167 +- 0.0208 (3 runs, 0.8000 to 0.8400, seeds 0, 1, 2)"
    main(["--seeds", "--json", "--root", str(root)])
    assert json.loads(capsys.readouterr().out)[-1]["mean"] == pytest.approx(0.81666, abs=1e-4)
