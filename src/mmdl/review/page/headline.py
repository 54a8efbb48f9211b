"""The sentences on top of the page: what the comparisons say, in a few words."""

from __future__ import annotations

from collections.abc import Sequence

from mmdl.review.model import Comparison, Review
from mmdl.review.page.numbers import interval_words, score_words

NAMED = 4
"""Entrants that a sentence names; of more it gives the number."""
FEW = 3
"""Up to so many comparisons stand as they are; more are told in one sentence first."""


LARGE = 2
"""Sentences in large letters."""


def headlines(review: Review) -> tuple[list[str], list[str]]:
    """Sentences in large letters, and those that follow.

    Args:
        review: Its comparisons have their verdicts. What was compared is told before what was not, and a score before
            baselines that it could not be compared with.
    """
    told = [found for found in review.comparisons if found.verdict]
    made = [sentence(found.verdict) for found in told if not found.refused]
    refused = [found for found in told if found.refused]
    not_made = [sentence(found.verdict) for found in refused]
    together = _together(review) if told else ""
    if together:
        return [together], made + not_made
    if made:
        return made[:LARGE], made[LARGE:] + not_made
    baselines = {entrant.label for entrant in review.entrants if entrant.baseline}
    between_runs = [sentence(found.verdict) for found in refused if found.second not in baselines]
    if between_runs:
        return between_runs[:1], [words for words in not_made if words != between_runs[0]]
    return [_alone(review)], not_made


def sentence(words: str) -> str:
    """A verdict with its capital letter and full stop; the name of a run at its beginning stays as it is.

    >>> sentence("no difference shown between a and b"), sentence("a is better than b.")
    ('No difference shown between a and b.', 'a is better than b.')
    """
    words = words.strip()
    if words.lower().startswith("no difference"):
        words = "N" + words[1:]
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _together(review: Review) -> str:
    """One sentence on an entrant that was compared with many others, without its baselines."""
    baselines = {entrant.label for entrant in review.entrants if entrant.baseline}
    first = review.comparisons[0].first
    found = [pair for pair in review.comparisons if pair.first == first and pair.second not in baselines]
    if len(found) <= FEW:
        return ""
    better = [pair for pair in found if pair.shown and (pair.difference or 0) > 0]
    worse = [pair for pair in found if pair.shown and (pair.difference or 0) < 0]
    if review.runs and _mode(review, first) == "min":
        better, worse = worse, better
    even = [pair for pair in found if not pair.shown and not pair.refused]
    refused = [pair for pair in found if pair.refused]
    parts = [
        f"better than {_names(better, len(found))}" if better else "",
        f"worse than {_names(worse, len(found))}" if worse else "",
        f"no difference shown to {_names(even, len(found), 'any')}" if even else "",
        f"not compared with {_names(refused, len(found), 'any')}" if refused else "",
    ]
    value = next((pair.values[0] for pair in found if pair.values is not None), None)
    score = f" ({score_words(value)} {found[0].metric})" if value is not None else ""
    return f"{first}{score}, against {len(found)} others: {'; '.join(part for part in parts if part)}."


def _mode(review: Review, label: str) -> str:
    names = {run for entrant in review.entrants if entrant.label == label for run in entrant.runs}
    return next((run.mode for run in review.runs if run.id in names), "max")


def _names(pairs: Sequence[Comparison], among: int, every: str = "all") -> str:
    if len(pairs) == among:
        return f"{every} of them"
    if len(pairs) > NAMED:
        return f"{len(pairs)} of them"
    return ", ".join(pair.second for pair in pairs)


def _alone(review: Review) -> str:
    """The sentence where nothing was compared."""
    scored = [entrant for entrant in review.entrants if entrant.mean is not None and not entrant.baseline]
    if not scored:
        states = sorted({run.state for run in review.runs})
        if len(review.runs) == 1:
            return f"{review.runs[0].id} has no score yet: it is {states[0]}."
        return f"No run has a score yet ({', '.join(states) or 'no run'})."
    best = scored[0]
    range_words = f", 95% interval {interval_words(best.ci95)}" if best.ci95 else ""
    others = "" if len(scored) == 1 else " Nothing was compared on the same items."
    return f"{best.label} reaches {score_words(best.mean)} {best.metric}{range_words}.{others}"
