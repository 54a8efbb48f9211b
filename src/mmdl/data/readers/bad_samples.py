"""What is wrong with a sample, and the policy for it: raise with a list, or skip with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from mmdl.errors import UserError, nearest

OnBadSample: TypeAlias = Literal["raise", "skip"]
"""`raise` reads to the end, then names the first bad samples; `skip` leaves them out and counts them."""

MOST_LISTED = 20
"""How many bad samples an error lists; the rest is counted by reason."""

_INT64 = range(-(2**63), 2**63)


class Problem(NamedTuple):
    """What is wrong with one sample.

    Attributes:
        reason: One of few short phrases; `VQAIndex.skipped` counts by it.
        detail: What exactly was found.
    """

    reason: str
    detail: str


class BadSamples:
    """Collects the bad samples of one file.

    Args:
        file: The file that is read.
        policy: `raise` or `skip`.

    Raises:
        UserError: The policy is neither.

    >>> bad = BadSamples(Path("a.jsonl"), "skip")
    >>> bad.add("line 3", Problem("empty question", "''"))
    >>> bad.finish(total=5, left=4)
    {'empty question': 1}
    """

    def __init__(self, file: Path, policy: OnBadSample) -> None:
        if policy not in ("raise", "skip"):
            raise UserError(f"unknown on_bad_sample {policy!r}", valid="raise, skip")
        self.file = file
        self.policy = policy
        self.counts: Counter[str] = Counter()
        self._listed: list[str] = []

    def add(self, where: str, problem: Problem) -> None:
        """Note a bad sample.

        Args:
            where: Its place in the file, such as `line 3`.
            problem: What is wrong with it.
        """
        self.counts[problem.reason] += 1
        if len(self._listed) < MOST_LISTED:
            detail = f": {problem.detail}" if problem.detail else ""
            self._listed.append(f"{where}: {problem.reason}{detail}")

    def finish(self, total: int, left: int) -> dict[str, int]:
        """Counts by reason, most frequent first.

        Args:
            total: Number of samples in the file, good and bad.
            left: Number of good ones.

        Raises:
            UserError: There are bad samples and the policy is `raise`, or no sample is good.
        """
        bad = self.counts.total()
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.counts.most_common())
        if bad and self.policy == "raise":
            some = "1 bad sample" if bad == 1 else f"{bad:,} bad samples"
            lines = [f"{self.file}: {some} (of {total:,})", *self._listed]
            if bad > len(self._listed):
                lines.append(f"and {bad - len(self._listed):,} more; in all {reasons}")
            raise UserError(
                "\n  ".join(lines), fix="mend these samples, or data.on_bad_sample=skip leaves them out"
            )
        if not left:
            raise UserError(f"{self.file}: none of {total:,} samples can be used: {reasons}")
        return dict(self.counts.most_common())


def type_name(value: Any) -> str:
    """The JSON name of a value's type, for messages.

    >>> type_name(True), type_name(1.5), type_name(None)
    ('a boolean', 'a number', 'null')
    """
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def missing_key(sample: Mapping[str, Any], key: str) -> Problem:
    """The problem of a sample without a key, with the nearest key that it has.

    >>> missing_key({"qestion": "?", "id": 1}, "question").detail
    "no 'question'; present: qestion, id"
    """
    return Problem("missing key", f"no {key!r}; present: {nearest(key, sample) or 'none'}")


def check_string(sample: Mapping[str, Any], key: str) -> Problem | None:
    """None if `sample[key]` is there and a string of valid Unicode."""
    if key not in sample:
        return missing_key(sample, key)
    value = sample[key]
    if not isinstance(value, str):
        return Problem("wrong type", f"{key!r} is {type_name(value)}, expected a string")
    return check_unicode(value, key)


def check_unicode(text: str, name: str) -> Problem | None:
    """None if a text can be stored as UTF-8; JSON's escapes can spell halves of characters."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return Problem("wrong type", f"{name!r} holds half of a surrogate pair, which is no character")
    return None


def check_id(sample: Mapping[str, Any], key: str) -> Problem | None:
    """None if `sample[key]` is there and a 64-bit integer or a string."""
    value = sample.get(key)
    if isinstance(value, str) or key not in sample:
        return check_string(sample, key)
    if not isinstance(value, int) or isinstance(value, bool):
        return Problem("wrong type", f"{key!r} is {type_name(value)}, expected an integer or a string")
    return None if value in _INT64 else Problem("wrong type", f"{key!r} is beyond 64 bits")


def check_question(sample: Mapping[str, Any], max_words: int) -> Problem | None:
    """None if `sample["question"]` is a text of 1 to `max_words` words."""
    problem = check_string(sample, "question")
    if problem is not None:
        return problem
    text = sample["question"]
    if not text.strip():
        return Problem("empty question", repr(text))
    # two characters a word at least: most questions need not be split
    if len(text) >= 2 * max_words and (words := len(text.split())) > max_words:
        return Problem("question too long", f"{words:,} words, at most {max_words:,}")
    return None


def check_caption(sample: Mapping[str, Any], key: str = "caption") -> Problem | None:
    """None if `sample[key]` is a text with something in it; how long it may be is the tokenizer's matter.

    >>> check_caption({"caption": " "}).reason, check_caption({"caption": 7}).reason
    ('empty caption', 'wrong type')
    """
    problem = check_string(sample, key)
    if problem is None and not sample[key].strip():
        return Problem("empty caption", repr(sample[key]))
    return problem
