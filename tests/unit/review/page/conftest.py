"""Run folders and reviews that are written by hand: no training is needed to look at a page."""

import json
import math
import random
import time

import pytest
import yaml

from mmdl.review.model import Comparison, Difference, Entrant, Review, SignificanceTest
from mmdl.review.page.render import write_page
from mmdl.review.reading import read_run

METRIC = "vqa_accuracy"
START = 1_790_000_000.0


def write_run(root, name, seed=0, points=60, score=0.7, state="finished", lr=0.002, more=None, validations=8):
    """A run folder with curves as of a training that went well."""
    folder = root / name
    folder.mkdir(parents=True)
    drawn = random.Random(name)
    lines = []
    for number in range(points):
        step = 20 * (number + 1)
        share = (number + 1) / points
        row = {
            "step": step,
            "time": round(START + 1.7 * step, 3),
            "train/loss": 3.2 * math.exp(-4 * share) + 0.3 + drawn.gauss(0, 0.06),
            "train/learning_rate": lr * 0.5 * (1 + math.cos(math.pi * share)),
            "train/grad_norm": math.exp(drawn.gauss(-0.5 - share, 0.4)),
            "train/samples_per_s": 2400 + drawn.gauss(0, 90),
            "train/data_wait_share": 0.04 + 0.02 * drawn.random(),
            "epoch": int(8 * share),
        }
        lines.append(row | (more or {}))
        if validations and (number + 1) % max(1, points // validations) == 0:
            accuracy = score * (1 - math.exp(-5 * share)) + drawn.gauss(0, 0.008)
            parts = {f"val/{METRIC}/answer_type/{part}": accuracy + by for part, by in PARTS}
            lines.append(
                {
                    "step": step,
                    "time": row["time"] + 1,
                    "val/loss": 3 * math.exp(-3 * share) + 0.6,
                    f"val/{METRIC}": accuracy,
                }
                | parts
            )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config = {
        "name": "vqa",
        "seed": seed,
        "monitor": {"name": f"val/{METRIC}", "mode": "max"},
        "optimizer": {"name": "AdamW", "lr": lr, "betas": [0.9, 0.999]},
        "model": {"hidden_dim": 256, "dropout": 0.0},
        "data": {"batch_size": 64},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "status.json").write_text(
        json.dumps(
            {
                "status": state,
                "pid": 1,
                "host": "elsewhere",
                "name": "vqa",
                "time": time.time(),
                "monitor": f"val/{METRIC}",
            }
        )
    )
    manifest = {
        "started": "2026-11-28T12:52:22+0000",
        "command": ["/usr/bin/mmdl", "train", "+experiment=vqa", f"run.id={name}", f"optimizer.lr={lr}"],
        "git": {"commit": None, "dirty": None},
        "mmdl_git": {"commit": "4cc62c7c2a6f313ef878d2760031143370d9bc62", "dirty": seed == 1},
        "packages": {"python": "3.11.7", "torch": "2.15.0"},
        "hardware": {"cpu": "AMD EPYC", "cores": 2, "gpus": [], "system": "Linux"},
        "data": {"train": "adfa" * 16, "test": "5602" * 16},
        "marks": {"trained_on_val": False, "skipped": {}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if state == "finished":
        summary = {
            f"test/{METRIC}": {"value": score, "n": 1440, "ci95": [score - 0.02, score + 0.02]},
            "test/loss": {"value": 1.5 - score, "n": 1440, "ci95": None},
            "test/ece": {"value": float("nan"), "n": 1440, "ci95": None},
            "baseline/question_only/vqa_accuracy": {"value": 0.41, "n": 1440, "ci95": [0.39, 0.43]},
            "time/fit_s": {"value": 200.0 + 40 * seed, "n": None, "ci95": None},
            "parameters": {"value": 522648.0, "n": None, "ci95": None},
        }
        summary |= {
            f"test/{METRIC}/answer_type/{part}": {"value": score + by, "n": 480} for part, by in PARTS
        }
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


PARTS = (("number", -0.1), ("other", 0.02), ("yes_no", 0.08))


def review_of(folders, **changes):
    """A review of folders, each an entrant, the first compared with each other."""
    runs = [read_run(folder) for folder in folders]
    entrants = []
    for number, run in enumerate(runs):
        figure = run.summary.get(run.metric)
        entrants.append(
            Entrant(
                label=run.id,
                runs=[run.id],
                metric=f"test/{METRIC}",
                values=[figure.value] if figure else [],
                mean=figure.value if figure else None,
                ci95=figure.ci95 if figure else None,
                n=figure.n if figure else None,
                seconds=[run.summary["time/fit_s"].value if "time/fit_s" in run.summary else None],
                samples=[64_000.0 * (1 + number)],
                flops=[None],
            )
        )
    scored = sorted(
        (entrant for entrant in entrants if entrant.mean is not None), key=lambda entrant: -entrant.mean
    )
    comparisons = [compare(scored[0], other) for other in scored[1:]]
    keys = [
        Difference("optimizer.lr", {run.id: str(run.config["optimizer"]["lr"]) for run in runs if run.config})
    ]
    ordered = scored + [entrant for entrant in entrants if entrant.mean is None]
    found = Review(
        runs=runs,
        entrants=ordered,
        comparisons=comparisons,
        differences=keys,
        made="2026-11-28T13:00:00+00:00",
    )
    for name, value in changes.items():
        setattr(found, name, value)
    return found


def compare(first, second):
    difference = first.mean - second.mean
    ends = (difference - 0.025, difference + 0.025)
    shown = ends[0] > 0
    verdict = (
        f"{first.label} is better than {second.label} by {difference:+.4f} (95% interval [{ends[0]:+.4f}, {ends[1]:+.4f}])."
        if shown
        else f"No difference shown between {first.label} and {second.label}."
    )
    return Comparison(
        first=first.label,
        second=second.label,
        first_runs=first.runs,
        second_runs=second.runs,
        metric=first.metric,
        verdict=verdict,
        shown=shown,
        n=1440,
        clusters=288,
        values=(first.mean, second.mean),
        difference=difference,
        ci95=ends,
        tests=[SignificanceTest("McNemar, exact", 0.5 if not shown else 1e-7, "120 against 60 items")],
        counts=(120, 60, 900, 360),
        caveats=["One run of each: the interval does not cover the variation between seeds."],
    )


@pytest.fixture(scope="session")
def page_runs(tmp_path_factory):
    """Three finished runs, one that runs, one that was killed."""
    root = tmp_path_factory.mktemp("review-runs")
    return [
        write_run(root, "film", score=0.78),
        write_run(root, "film-seed-1", score=0.775, seed=1),
        write_run(root, "concat", score=0.61, lr=0.01, seed=2),
        write_run(root, "going", score=0.7, state="running", points=25),
        write_run(root, "ended", score=0.5, state="failed", points=9),
    ]


@pytest.fixture(scope="session")
def written(page_runs, tmp_path_factory):
    """The page of the five runs."""
    return write_page(review_of(page_runs), tmp_path_factory.mktemp("page") / "review.html")


@pytest.fixture(scope="session")
def make_run():
    return write_run


@pytest.fixture(scope="session")
def make_review():
    return review_of
