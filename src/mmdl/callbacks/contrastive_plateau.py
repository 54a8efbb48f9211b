"""Why a contrastive loss does not fall: which of the known causes the figures of the last steps show."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from mmdl.optim.learning_parts import frozen_towers

LEAST_FALL = 0.01
"""A loss whose mean fell by a smaller share than this, from one half of the looked-at steps to the other, is flat."""

LEAST_GAIN = 0.25
"""Flat is a plateau only where less than this share of the way from the chance level to the floor is done."""

NEAR_CHANCE = 0.98
"""A loss above this share of the chance level counts as at it."""

EXPLAINED = 0.8
"""A limit is a cause where it is this share of the loss or more."""

UNMOVED, OVERSHOT = 1e-3, 30.0
"""Change of the weights over their size that is too little, and too much."""

EXPLODED, VANISHED = 100.0, 0.03
"""Gradient over that of the first step that is too much, and too little where the embeddings have collapsed."""

COLLAPSED = 0.9
"""Mean cosine of different images from which on they count as alike."""


class Reading(NamedTuple):
    """The figures of one logged step.

    Attributes:
        step: Optimizer steps that were done.
        loss: Mean training loss since the last reading.
        chance: `LossBounds.chance` of the batch; likewise the next three.
        floor: With its repeated captions.
        distinct_floor: Without them.
        scale_floor: At the present scale.
        repeated_captions: Share of captions whose text describes another image of the batch too.
        scale: Factor on the similarities.
        at_clamp: The scale is within 5% of its largest allowed value.
        positive: Mean cosine of images with their own captions.
        negative: Mean cosine of images with captions of others.
        alike: Mean cosine of different images with each other.
        learning_rate: The largest of the groups.
        peak_rate: Its largest value in the schedule as far as it is known.
        gradient: Norm of the gradient of the towers.
        first_gradient: The same in the first step of the run.
        moved: Change of the weights since the start over their size, by tower; without towers that don't learn.
        learning: What learns: any of `image tower`, `text tower`, `projections`.
    """

    step: int
    loss: float
    chance: float
    floor: float
    distinct_floor: float
    scale_floor: float
    repeated_captions: float
    scale: float
    at_clamp: bool
    positive: float
    negative: float
    alike: float
    learning_rate: float
    peak_rate: float
    gradient: float
    first_gradient: float
    moved: dict[str, float]
    learning: list[str]


class Cause(NamedTuple):
    """One cause.

    Attributes:
        name: One of `frozen towers`, `learning rate`, `repeated captions`, `temperature at its clamp`, `chance level`.
        evidence: The figure that shows it.
        remedy: What to change.
    """

    name: str
    evidence: str
    remedy: str


class Plateau(NamedTuple):
    """A loss that does not fall.

    Attributes:
        first: Step at which the looked-at readings begin.
        last: Step of the last one.
        loss: Mean over the later half.
        chance: The chance level.
        causes: Those that are seen, the likeliest first.
    """

    first: int
    last: int
    loss: float
    chance: float
    causes: list[Cause]

    def line(self) -> str:
        """All of it in one line."""
        at = "at" if self.loss >= NEAR_CHANCE * self.chance else "below"
        head = (
            f"the training loss does not fall: {self.loss:.4g} over steps {self.first} to {self.last}, {at} the chance "
            f"level of {self.chance:.4g}"
        )
        if not self.causes:
            return f"{head}; none of the known causes is seen: look at the data, and try another optimizer.lr"
        named = [f"({n}) {c.name}: {c.evidence}: {c.remedy}" for n, c in enumerate(self.causes, 1)]
        return f"{head}; seen: {' '.join(named)}"


def find_plateau(readings: Sequence[Reading]) -> Plateau | None:
    """The plateau of the loss over some readings, with its causes; None where it falls, or has fallen far enough.

    It is one where the mean of the later half is less than 1% below that of the earlier, and no more uncertain than
    that, or both are at the chance level; and besides, less than a quarter of the way from the chance level to the
    lowest possible loss is done, or what is left is set by repeated captions or by the clamp of the temperature.

    Args:
        readings: In the order of the steps, over the steps that count.
    """
    half = len(readings) // 2
    if not half:
        return None
    early, late = readings[:half], readings[half:]
    before, after = _mean([r.loss for r in early]), _mean([r.loss for r in late])
    noise = sum(_variance([r.loss for r in part]) / len(part) for part in (early, late)) ** 0.5
    chance, distinct = _mean([r.chance for r in late]), _mean([r.distinct_floor for r in late])
    at_chance = all(_mean([r.loss / r.chance for r in part]) >= NEAR_CHANCE for part in (early, late))
    if not at_chance and (after < before * (1 - LEAST_FALL) or noise > before * LEAST_FALL):
        return None
    limits = [cause for cause in (_repeats(late, after), _clamp(late, after)) if cause is not None]
    if not (limits or after >= chance - LEAST_GAIN * (chance - distinct)):
        return None
    rate = _rate(readings, at_chance and not limits)
    causes = [cause for cause in (_frozen(late), rate, *limits) if cause is not None]
    uninformed = _uninformed(late) if at_chance else None
    if uninformed is not None:
        causes.append(uninformed._replace(remedy="as long as that lasts") if causes else uninformed)
    return Plateau(readings[0].step, readings[-1].step, after, chance, causes)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)


def _frozen(late: Sequence[Reading]) -> Cause | None:
    said = frozen_towers(late[-1].learning)
    return (
        None
        if said is None
        else Cause("frozen towers", said, "freeze one at most: task.freeze=[image_tower*]")
    )


def _rate(readings: Sequence[Reading], unexplained: bool) -> Cause | None:
    """Zero, near zero in the schedule, too small to move the weights, or so large that it threw them away.

    A rate that is too high shows in weights far from their start, in a gradient that exploded, or, at a chance level
    that nothing else explains, in one that vanished because all embeddings became the same.
    """
    now = readings[-1]
    if not now.moved:  # nothing learns that could be moved
        return None
    least, most = min(now.moved.values()), max(now.moved.values())
    moved = ", ".join(f"{name.replace('_', ' ')} {value:.2g}" for name, value in now.moved.items())
    rate = f"{now.learning_rate:.2g}"
    if now.learning_rate == 0 == now.peak_rate:
        return Cause("learning rate", "it is 0", "optimizer.lr=1e-3, say")
    rising = now.learning_rate > readings[0].learning_rate
    if rising and now.learning_rate < 0.01 * now.peak_rate:
        return Cause(
            "learning rate",
            f"{rate} of {now.peak_rate:.2g}, still in its warm-up",
            "a shorter schedule.warmup",
        )
    # the last steps of a schedule that falls to zero are no cause
    if all(r.learning_rate < 0.001 * r.peak_rate for r in readings):
        return Cause(
            "learning rate",
            f"{rate} of {now.peak_rate:.2g}: its schedule has ended",
            "a schedule.floor, or a schedule over the whole run",
        )
    gradient = median(r.gradient for r in readings[len(readings) // 2 :])
    exploded = gradient > EXPLODED * now.first_gradient > 0
    vanished = unexplained and gradient < VANISHED * now.first_gradient and now.alike > COLLAPSED
    if most > OVERSHOT or exploded or (vanished and most > UNMOVED):
        return Cause(
            "learning rate",
            f"{rate} is too high: the weights moved by {moved} times their size, and the gradient's norm went from "
            f"{now.first_gradient:.2g} in the first step to {gradient:.2g}",
            "optimizer.lr ten times smaller, a longer schedule.warmup, trainer.gradient_clip_val=1.0",
        )
    if most < UNMOVED:
        return Cause(
            "learning rate",
            f"{rate} is too low: the weights moved by {moved} times their size since the start",
            "optimizer.lr ten times larger",
        )
    # one tower alone: per-tower rates
    if least < UNMOVED and len(now.moved) > 1:
        tower = min(now.moved, key=lambda name: now.moved[name])
        return Cause(
            "learning rate",
            f"that of the {tower.replace('_', ' ')} is too low: the weights moved by {moved} times their size",
            "a larger factor in task.learning_rate_scale",
        )
    return None


def _explains(limit: float, distinct: float, loss: float, chance: float) -> bool:
    return limit - distinct >= max(EXPLAINED * (loss - distinct), 0.1 * chance)


def _repeats(late: Sequence[Reading], loss: float) -> Cause | None:
    floor, distinct = _mean([r.floor for r in late]), _mean([r.distinct_floor for r in late])
    if not _explains(floor, distinct, loss, _mean([r.chance for r in late])):
        return None
    share = _mean([r.repeated_captions for r in late])
    return Cause(
        "repeated captions",
        f"{share:.0%} of a batch's captions describe another image of it word for word, so that no encoder gets "
        f"below {floor:.4g}",
        "more specific captions, data.captions_per_image=null, or a smaller data.batch_size",
    )


def _clamp(late: Sequence[Reading], loss: float) -> Cause | None:
    if not all(r.at_clamp for r in late):
        return None
    limit, distinct = _mean([r.scale_floor for r in late]), _mean([r.distinct_floor for r in late])
    if not _explains(limit, distinct, loss, _mean([r.chance for r in late])):
        return None
    return Cause(
        "temperature at its clamp",
        f"the factor on the similarities is held at {late[-1].scale:.4g}, where no loss below {limit:.4g} is possible",
        "a larger task.max_scale (100 in CLIP), or null",
    )


def _uninformed(late: Sequence[Reading]) -> Cause | None:
    """Own captions are no nearer than those of others."""
    positive, negative = _mean([r.positive for r in late]), _mean([r.negative for r in late])
    if positive - negative > 0.1:
        return None
    alike = _mean([r.alike for r in late])
    collapsed = (
        f", and different images are alike (cosine {alike:.2f}: collapsed)" if alike > COLLAPSED else ""
    )
    return Cause(
        "chance level",
        f"the embeddings tell nothing: cosine {positive:.3f} with own captions, {negative:.3f} with those of others"
        f"{collapsed}",
        "check that images and captions belong together, then a smaller optimizer.lr and a longer schedule.warmup",
    )
