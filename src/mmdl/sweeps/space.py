"""What a sweep varies: Hydra's sweep overrides as dimensions with values, or with bounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException

from mmdl.errors import UserError

OWN_KEYS = ("sweep", "run", "resume", "allow_changes", "dry_run", "logger", "monitor", "hydra")
"""Parts of the configuration that are not a trial's to vary."""


class Bounds(NamedTuple):
    """Ends of a numeric dimension, both included.

    Attributes:
        low: The least value.
        high: The greatest.
        step: Between neighbours; None for any number.
        log: Whether it is drawn from uniformly by its logarithm.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def is_integer(self) -> bool:
        """Whether values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Dimension(NamedTuple):
    """One key that a sweep varies.

    Attributes:
        key: As an override names it: `optimizer.lr`, `+experiment`, `model/fusion`.
        text: Its values as they were given, in Hydra's grammar: `1e-3,3e-3`.
        values: As overrides take them; empty where it has bounds only.
        bounds: Of an interval or a range; None for a choice.
    """

    key: str
    text: str
    values: tuple[str, ...]
    bounds: Bounds | None = None

    @property
    def name(self) -> str:
        """The key without a sign."""
        return self.key.lstrip("+")

    @property
    def first(self) -> str:
        """The override of its first value."""
        if self.values:
            return f"{self.key}={self.values[0]}"
        assert self.bounds is not None
        return f"{self.key}={self.bounds.low}"

    def described(self) -> Any:
        """What it is, for `sweep.json`: its values, or its text."""
        return list(self.values) if self.values else self.text


def parse(word: str, loader: Any = None) -> Override | None:
    """An override as Hydra reads it; None where it can't, which its composition will say.

    Args:
        word: Of the command line.
        loader: Hydra's config loader, for `glob(*)` over the options of a group.
    """
    try:
        return OverridesParser.create(config_loader=loader).parse_overrides([word])[0]
    except HydraException:
        return None


def is_swept(word: str) -> bool:
    """Whether an override has several values.

    >>> [is_swept(w) for w in ("a=1,2", "a=[1,2]", "a=interval(0,1)", "a='x,y'", "~a")]
    [True, False, True, False, False]
    """
    override = parse(word)
    return override is not None and override.is_sweep_override()


def dimension(word: str, loader: Any = None) -> Dimension:
    """The dimension of a sweep override.

    Args:
        word: One for which `is_swept` holds.
        loader: Hydra's config loader.

    Raises:
        UserError: if it has no values, one of them twice, or bounds that enclose nothing.

    >>> dimension("optimizer.lr=1e-3,3e-3").values
    ('0.001', '0.003')
    >>> dimension("optimizer.lr=tag(log, interval(1e-4, 1e-2))").bounds
    Bounds(low=0.0001, high=0.01, step=None, log=True)
    """
    override = parse(word, loader)
    assert override is not None
    key, text = override.get_key_element(), word.partition("=")[2]
    value = override.value()
    if isinstance(value, IntervalSweep):
        return Dimension(key, text, (), _interval(word, value))
    try:
        values = tuple(override.sweep_string_iterator())
    except HydraException as error:
        raise UserError(f"{word}: {str(error).splitlines()[0]}") from error
    if not values:
        raise UserError(f"{word} has no values", valid="at least one: key=a,b or key=range(START,STOP)")
    twice = sorted({one for one in values if values.count(one) > 1})
    if twice:
        raise UserError(
            f"{word}: {key}={twice[0]} is there more than once, and would be trained more than once",
            valid="each value once; several seeds are seed=0,1,2",
        )
    return Dimension(key, text, values, _range(value, values))


def _interval(word: str, value: IntervalSweep) -> Bounds:
    low, high = value.start, value.end
    assert low is not None
    assert high is not None
    if "int" in value.tags:
        low, high = int(low), int(high)
    log = "log" in value.tags
    if low >= high:
        raise UserError(f"{word} encloses nothing", valid="interval(LOW, HIGH) with LOW < HIGH")
    if log and low <= 0:
        raise UserError(f"{word}: no logarithm of {low}", valid="tag(log, interval(LOW, HIGH)) with LOW > 0")
    return Bounds(low, high, log=log)


def _range(value: object, values: Sequence[str]) -> Bounds | None:
    """The bounds of a range that has an order; a shuffled one, and a choice, are values only."""
    if (
        not isinstance(value, RangeSweep)
        or isinstance(value, ChoiceSweep)
        or value.shuffle
        or len(values) < 2
    ):
        return None
    numbers: list[float] = [float(one) if "." in one or "e" in one else int(one) for one in values]
    low, high = min(numbers), max(numbers)
    return Bounds(low, high, step=abs(numbers[1] - numbers[0]))


def space_of(words: Iterable[str], loader: Any = None) -> list[Dimension]:
    """The dimensions of a sweep.

    Args:
        words: Its sweep overrides.
        loader: Hydra's config loader.

    Raises:
        UserError: if there are none, or one is not a trial's to vary, or one is wrong in itself.
    """
    found = [dimension(word, loader) for word in words]
    if not found:
        raise UserError(
            "nothing is swept: every key has one value",
            valid="key=a,b  key=range(1,5)  'key=interval(1e-4,1e-2)' (with sweep=optuna)",
            fix="python -m mmdl sweep +experiment=mnist optimizer.lr=1e-3,3e-3 seed=0,1",
        )
    for one in found:
        if one.name.split(".")[0].split("/")[0] in OWN_KEYS:
            raise UserError(
                f"{one.key} can't be swept: the sweep itself decides on it, or needs one for all trials",
                valid="keys of the data, model, task, optimizer, schedule or trainer, and seed",
            )
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{twice[0]} is swept twice", valid=f"{twice[0]}=a,b,c with all its values")
    return found


def grid(space: Sequence[Dimension]) -> list[list[str]]:
    """Every combination of values, the last dimension changing fastest.

    Args:
        space: Dimensions with values.

    >>> grid([dimension("a=1,2"), dimension("b=x,y")])[1]
    ['a=1', 'b=y']
    """
    return [list(found) for found in itertools.product(*([f"{d.key}={v}" for v in d.values] for d in space))]
