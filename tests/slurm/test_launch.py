"""How jobs start on a real Slurm: the template, a script of one's own, and ranks that would wait for each other."""

import json
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = (
    "quick=true",
    "logger=none",
    "evaluator=[vqa_accuracy]",
    "data.scenes_train=96",
    "trainer.accelerator=cpu",
)
MINI = {"MASTER_ADDR": "198.51.100.2", "GLOO_SOCKET_IFNAME": "eth0", "OMP_NUM_THREADS": "1"}


def sbatch(here, *words):
    """Submit, with the hosts' network and this Python as `python`; returns the job's id."""
    env = MINI | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"}
    return here.cluster.run("sbatch", "--parsable", *words, cwd=here.folder, env=env).strip()


def test_the_template(lab, repo):
    """Two nodes; fewer tasks a node, and no GPU."""
    here = lab("linuxproc")
    smaller = ("--ntasks-per-node=1", "--gpus-per-node=0", "--cpus-per-task=1")
    job = sbatch(here, *smaller, str(repo / "scripts" / "train.sbatch"), *QUICK)
    assert here.ended(job)["JobState"] == "COMPLETED", here.log()
    run = here.folder / "runs" / f"slurm-{job}"
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    assert [path.name for path in run.parent.iterdir()] == [run.name]


def test_ranks_that_do_not_fit_are_refused(lab):
    """In a script of one's own, by one error, and not started again."""
    here = lab("linuxproc")
    script = here.folder / "job.sh"
    command = f"python -m mmdl train +experiment=vqa {' '.join(QUICK)}"
    script.write_text(
        "#!/bin/bash\n#SBATCH -N2 --ntasks-per-node=1 -o job.out\n"
        f"srun --kill-on-bad-exit=1 {command} trainer.num_nodes=1\necho code $?\n"
        f"srun -N1 -n1 {command} trainer.devices=2\necho code $?\n"
        f"{command} trainer.num_nodes=2\necho code $?\n"
    )
    here.ended(sbatch(here, str(script)))
    said = here.log()
    assert said.count("error: srun has started 1 tasks on each of 2 nodes") == 1, said
    assert said.count("error: srun has started 1 tasks on each of 1 nodes") == 1
    assert said.count("error: trainer.num_nodes=2, and nothing has started ranks on other nodes") == 1
    assert "code 0" not in said
    assert "Traceback" not in said
    assert not (here.folder / "runs").exists()


def test_a_mistake_is_not_started_again(lab):
    """Also where only the first rank finds it, and srun ends the other by TERM, whose code it returns."""
    here = lab("cgroup")
    job = here.submit("cluster.nodes=2", "logger=none", at="start-up", rank=0, by_mistake=1)
    facts = here.ended(job)
    assert (facts["JobState"], facts["ExitCode"], here.restarts(job)) == ("FAILED", "2:0", 0), here.log()
    assert here.log().count("error: a mistake of the user's") == 1
    assert not list(here.folder.glob("runs/submitted/*/*.failures"))
