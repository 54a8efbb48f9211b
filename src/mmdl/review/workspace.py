"""The review of a project in W&B, from code: a workspace with panels for a task, and a report."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from mmdl.errors import UserError
from mmdl.review.panels import STEP, TASKS, Panel, Section, review_sections

MISSING = "wandb-workspaces is not installed"
PER_ROW = 2
"""Panels beside each other in a report, whose grid has 24 columns."""


def _libraries() -> tuple[Any, Any]:
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "wandb_workspaces":
            raise
        raise UserError(
            MISSING, valid="the extra that has it", fix="pip install 'mmdl[workspace]'"
        ) from error
    return workspaces, reports


def _filter(task: str) -> str:
    """Trainings of a task; its evaluations are runs of their own, and would stand twice in each chart."""
    return f"Config('task_name') = '{task}' and Metric('JobType') != 'eval'"


def build_workspace(entity: str, project: str, task: str) -> Any:
    """The workspace of a task's review, as an object of `wandb-workspaces`; nothing is sent.

    Args:
        entity: User or team.
        project: Project.
        task: Of `mmdl.review.panels.TASKS`.

    Raises:
        UserError: if there is no such task, or the library is missing.
    """
    sections = review_sections(task)
    ws, wr = _libraries()
    score = f"test/{TASKS[task].score}"
    return ws.Workspace(
        entity=entity,
        project=project,
        name=f"mmdl review: {task}",
        sections=[
            ws.Section(
                name=section.title,
                panels=[_panel(wr, panel) for panel in section.panels],
                is_open=True,
                layout_settings=ws.SectionLayoutSettings(columns=3, rows=2),
            )
            for section in sections
        ],
        settings=ws.WorkspaceSettings(
            x_axis=STEP, max_runs=20, tooltip_number_of_runs="all_runs", group_by_prefix="first"
        ),
        runset_settings=ws.RunsetSettings(
            filters=_filter(task),
            order=[ws.Ordering(ws.Summary(score), ascending=False)],
            pinned_columns=[
                "run:displayName",
                f"summary:{score}",
                f"summary:{score}/ci95_low",
                f"summary:{score}/ci95_high",
                f"summary:{score}/n",
                "summary:time/fit_s",
                "config:model_name.value",
                "config:data_name.value",
                "config:seed.value",
            ],
        ),
        auto_generate_panels=True,  # everything else that a run logs, below
    )


def build_report(entity: str, project: str, task: str) -> Any:
    """The report of a task's review, likewise: text, and the same panels over the same runs."""
    sections = review_sections(task)
    _, wr = _libraries()
    score = f"test/{TASKS[task].score}"
    blocks: list[Any] = [
        wr.P(
            f"Runs of {project} on the task {task}, the best {score} first. An interval beside a score is over the test"
            " items of one run; whether two runs differ is said by `mmdl review`, which pairs them item by item."
        ),
        wr.TableOfContents(),
    ]
    for section in sections:
        blocks += [wr.H2(text=section.title), wr.P(section.text), _grid(wr, section, task, score)]
    return wr.Report(
        project=project,
        entity=entity,
        title=f"mmdl review: {task}",
        description=f"Built by mmdl for the project {project}",
        blocks=blocks,
        width="fluid",
    )


def _grid(wr: Any, section: Section, task: str, score: str) -> Any:
    wide = 24 // PER_ROW
    panels = []
    for number, panel in enumerate(section.panels):
        made = _panel(wr, panel)
        made.layout = wr.Layout(x=wide * (number % PER_ROW), y=10 * (number // PER_ROW), w=wide, h=10)
        panels.append(made)
    runs = wr.Runset(  # without entity and project: the report's own, which no server must be asked for
        name=f"Runs of the task {task}",
        filters=_filter(task),
        order=[wr.OrderBy(wr.SummaryMetric(score), ascending=False)],
    )
    return wr.PanelGrid(runsets=[runs], panels=panels)


def _panel(wr: Any, panel: Panel) -> Any:
    """A panel as the library has it."""
    names = list(panel.names)
    if panel.kind in ("line", "band"):
        grouped = {"groupby": "Group", "groupby_aggfunc": "mean", "groupby_rangefunc": "stddev"}
        return wr.LinePlot(
            title=panel.title,
            x=STEP,
            y=names,
            title_x="optimizer step",
            log_y=panel.is_log or None,
            **(grouped if panel.kind == "band" else {}),
        )
    if panel.kind == "bar":
        return wr.BarPlot(title=panel.title, metrics=[wr.Metric(name) for name in names], orientation="h")
    if panel.kind == "scatter":
        x, y = names
        return wr.ScatterPlot(
            title=panel.title, x=wr.SummaryMetric(x), y=wr.SummaryMetric(y), log_x=panel.is_log or None
        )
    if panel.kind == "table":
        return wr.WeavePanelSummaryTable(table_name=names[0])
    if panel.kind == "confusion":
        fields = {name: name for name in ("Actual", "Predicted", "nPredictions")}
        return wr.CustomChart(
            query={"summaryTable": {"tableKey": f"{names[0]}_table"}},
            chart_name="wandb/confusion_matrix/v1",
            chart_fields=fields,
            chart_strings={"title": panel.title},
        )
    if panel.kind == "media":
        return wr.MediaBrowser(title=panel.title, media_keys=names, num_columns=len(names))
    if panel.kind == "comparer":
        return wr.RunComparer(diff_only="split")
    columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(name)) for name in names[:-1]]
    columns.append(wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(names[-1])))
    return wr.ParallelCoordinatesPlot(title=panel.title, columns=columns)


def specs(entity: str, project: str, task: str) -> dict[str, Any]:
    """What would be sent: `workspace` and `report` in W&B's own form, as plain containers."""
    found = {}
    for name, made in (
        ("workspace", build_workspace(entity, project, task)),
        ("report", build_report(entity, project, task)),
    ):
        model = made._to_model()
        found[name] = json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
    return found


def outline(task: str) -> str:
    """The sections and panels of a review as text."""
    lines = []
    for section in review_sections(task):
        lines.append(f"{section.title}: {section.text}")
        lines += [f"  {panel.kind:12}{panel.title:52}{', '.join(panel.names)}" for panel in section.panels]
    return "\n".join(lines)


def save(entity: str, project: str, task: str) -> list[str]:
    """Save workspace and report in W&B.

    Returns:
        Their addresses.

    Raises:
        UserError: if W&B can't be reached, or the entity is not known.
    """
    review_sections(task)
    _libraries()
    from mmdl.runs.wandb_login import offline_reason

    reason = offline_reason()
    if reason is not None:
        raise UserError(
            f"a workspace can't be saved: {reason}",
            valid="an account of W&B, logged in and online",
            fix="wandb login; or --print or --json to see what would be saved",
        )
    if not entity:
        raise UserError(
            "a workspace can't be saved without --entity", valid="a user or team of W&B", fix="--entity NAME"
        )
    return [str(build(entity, project, task).save().url) for build in (build_workspace, build_report)]


def main(words: Sequence[str] | None = None) -> int:
    """The program `scripts/wandb_workspace.py`.

    Args:
        words: Of the command line, without the program.

    Returns:
        The exit code: 2 for a mistake of the user's.
    """
    parser = argparse.ArgumentParser(
        prog="wandb_workspace.py",
        description="Builds the review of a project in W&B: a workspace with panels for a task, and a report.",
    )
    parser.add_argument("--entity", default=os.environ.get("WANDB_ENTITY", ""), help="user or team of W&B")
    parser.add_argument(
        "--project", default=os.environ.get("WANDB_PROJECT", "mmdl"), help="default: %(default)s"
    )
    parser.add_argument("--task", default="vqa", help=f"{', '.join(TASKS)}; default: %(default)s")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--print", action="store_true", help="show sections and panels; send nothing")
    shown.add_argument("--json", action="store_true", help="show what would be sent, as JSON; send nothing")
    given = parser.parse_args(words)
    try:
        if given.print:
            print(outline(given.task))
        elif given.json:
            print(json.dumps(specs(given.entity or "ENTITY", given.project, given.task), indent=2))
        else:
            print("\n".join(save(given.entity, given.project, given.task)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0
