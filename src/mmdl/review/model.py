"""What a review of runs holds: the console's text, the page and the served list are three views of it.

Everything here is read from run folders and computed once; a view computes nothing of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

STATES = ("running", "finished", "failed", "stopped", "preempted", "killed", "unknown")
"""States of a run: as `status.json` has it; `killed` is one that says `running` and whose process is no more."""


class Figure(NamedTuple):
    """One figure of a run's summary.

    Attributes:
        value: The figure; None where it is missing or not a number.
        n: Over how many samples it was taken, where that is known.
        ci95: 95% interval (low, high), where one was computed.
    """

    value: float | None
    n: int | None = None
    ci95: tuple[float, float] | None = None


class Curve(NamedTuple):
    """One quantity over the training.

    Attributes:
        steps: `(P,)` int64 optimizer steps, not falling.
        values: `(P,)` float64; NaN and infinities are kept as they are.
        times: `(P,)` float64 seconds since 1970.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


@dataclass
class RunView:
    """What a review knows of a run folder, whatever is missing or damaged in it.

    Attributes:
        path: The run folder.
        id: Its name.
        state: One of `STATES`.
        name: Name of the experiment.
        seed: Its seed; None where unknown.
        metric: Name of the figure that is compared, such as `test/vqa_accuracy`; empty where unknown.
        monitor: Name of the validation figure that chose the weights.
        mode: `max` or `min`: which way is better.
        summary: Figures by full name.
        config: The configuration; empty where it can't be read.
        manifest: Commit, versions, hardware, data, command; empty where it can't be read.
        status: As in `status.json`.
        command: Words that reproduce the run in a shell, or an empty string.
        gaps: One sentence for each thing that is missing, damaged, or of an older version.
    """

    path: Path
    id: str
    state: str = "unknown"
    name: str = ""
    seed: int | None = None
    metric: str = ""
    monitor: str = ""
    mode: str = "max"
    summary: dict[str, Figure] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    gaps: list[str] = field(default_factory=list)


@dataclass
class Items:
    """The scored test items of a run, or of a baseline of it.

    Attributes:
        kind: `classification`, `vqa`, `retrieval` or `generation`.
        split: Such as `test`.
        metric: What `scores` average to: a name as in the summary, without the split: `vqa_accuracy`.
        ids: Id of each item, unique.
        scores: `(N,)` float64 in [0, 1]; NaN where there is no reference.
        clusters: Of each item; items of one cluster (the questions of an image) are not independent. None: all are.
        references: Of each item, as canonical JSON: what the score was taken against.
        records: Of each item, as the predictions file has it.
        gaps: One sentence for each thing that is damaged or was left out.
    """

    kind: str
    split: str
    metric: str
    ids: list[str]
    scores: NDArray[np.float64]
    clusters: list[str] | None
    references: list[str]
    records: list[dict[str, Any]]
    gaps: list[str] = field(default_factory=list)


class SignificanceTest(NamedTuple):
    """A test of the hypothesis that there is no difference.

    Attributes:
        name: Such as `McNemar, exact`.
        p: Its p-value.
        detail: What it was taken from, for a person.
    """

    name: str
    p: float
    detail: str


@dataclass
class Comparison:
    """One entrant (a group of runs that differ in their seed only, or a baseline) against another, on the same items.

    Attributes:
        first: Label of one.
        second: Label of the other.
        first_runs: Ids of its runs.
        second_runs: Ids of its runs.
        metric: Full name of the figure.
        verdict: One sentence for a person: which is better and by how much, `no difference shown`, or why the two are
            not compared.
        shown: Whether a difference is shown: the interval of the difference leaves out 0 after the correction for many
            comparisons.
        refused: Why scores are not compared, naming the items that differ; empty where they are.
        n: Items.
        clusters: Independent groups of items.
        values: Scores of the two, over the items.
        difference: First minus second.
        ci95: Paired 95% interval of the difference.
        tests: Tests on the same items.
        counts: Items that only the first, only the second, both, neither got right (score of at least 0.5).
        caveats: What the interval does not cover, such as the variation between seeds.
    """

    first: str
    second: str
    first_runs: list[str]
    second_runs: list[str]
    metric: str
    verdict: str
    shown: bool = False
    refused: str = ""
    n: int = 0
    clusters: int = 0
    values: tuple[float, float] | None = None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    tests: list[SignificanceTest] = field(default_factory=list)
    counts: tuple[int, int, int, int] | None = None
    caveats: list[str] = field(default_factory=list)


@dataclass
class Entrant:
    """What competes: runs that differ in nothing but their seed, or a baseline of one.

    Attributes:
        label: Short and unique in the review.
        runs: Ids of its runs; of a baseline, the runs that it was trained beside.
        baseline: Name of the baseline (`question_only`), or empty.
        metric: Full name of the figure.
        values: Its value in each run that has one.
        mean: Of `values`; None without any.
        deviation: Standard deviation of one run (N - 1); None with fewer than two.
        ci95: Interval of the mean over items, of a single run.
        n: Items.
        seconds: Training time of each run.
        samples: Training samples that each run has seen; None where unknown.
        flops: Floating-point operations of the training of each run; None where unknown.
    """

    label: str
    runs: list[str]
    baseline: str = ""
    metric: str = ""
    values: list[float] = field(default_factory=list)
    mean: float | None = None
    deviation: float | None = None
    ci95: tuple[float, float] | None = None
    n: int | None = None
    seconds: list[float | None] = field(default_factory=list)
    samples: list[float | None] = field(default_factory=list)
    flops: list[float | None] = field(default_factory=list)


class Difference(NamedTuple):
    """A key of the configuration whose value is not the same in all runs.

    Attributes:
        key: Dotted.
        values: Run id -> value as text; a run without the key is missing.
    """

    key: str
    values: dict[str, str]


@dataclass
class Review:
    """Everything that a review shows.

    Attributes:
        runs: In the order given.
        entrants: The best first, by `mean` and `mode`; those without a score last.
        comparisons: Of the first entrant, or the one asked for, with each other.
        differences: Keys of the configuration that differ, without those that don't change what is computed.
        notes: What a reader must know: what was left out, and why.
        made: When, ISO 8601.
        shared: What the sections of the page keep for each other, by the name of what made it.
    """

    runs: list[RunView]
    entrants: list[Entrant] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made: str = ""
    shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
