"""`results` reads what must not depend on the faults; `launch` is in the conftest.py of all tests."""

import json

import pytest
import torch
from safetensors.torch import load_file

from mmdl.runs.logged import quantity


def read_results(run):
    """Weights, figures of each validation, and summary of a run folder: all that must not depend on a fault."""
    weights = {
        f"{kind}/{name}": value
        for kind in ("final", "best")
        for name, value in load_file(run / "checkpoints" / f"{kind}.safetensors").items()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    figures = [
        {k: v for k, v in row.items() if k != "time"}
        for row in rows
        if any(k.startswith("val/") for k in row)
    ]
    summary = json.loads((run / "summary.json").read_text())
    return weights, figures, {name: v for name, v in summary.items() if not quantity(name).measured}


@pytest.fixture(scope="session")
def results():
    return read_results


def read_log(run):
    """All rows of `metrics.jsonl`, without what is measured, such as times."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {name: value for name, value in row.items() if name != "time" and not quantity(name).measured}
        for row in rows
    ]


def read_order(note):
    """(epoch, batch) -> rows of the global batch; a batch that was done again had the same rows."""
    shares = {}
    for line in note.read_text().splitlines():
        epoch, batch, rank, rows = json.loads(line)
        assert shares.setdefault((epoch, batch, rank), rows) == rows
    found = {}
    for (epoch, batch, _), rows in sorted(shares.items()):
        found.setdefault((epoch, batch), []).extend(rows)
    return found


SAVING = ("callbacks.checkpoints.every_steps=2",)


class Exactness:
    """Runs that are killed and continued, beside the one that is not."""

    def __init__(self, launch, folder):
        self.launch = launch
        self.folder = folder
        self.made = {}

    def run(self, folder, words, ranks=1, **place):
        """One start of `mmdl WORDS run.id=r`; gives what `launch` does."""
        return self.launch(
            folder, words, "interrupt_at", ranks=ranks, grace=5, note=str(folder / "note"), **place
        )

    def read(self, folder):
        """All that must not depend on interruptions."""
        run = folder / "runs" / "r"
        return *read_results(run), read_log(run), read_order(folder / "note")

    def whole(self, words, ranks=1):
        """What a run without interruption leaves; each is made once."""
        if (words, ranks) not in self.made:
            folder = self.folder / str(len(self.made))
            done = self.run(folder, words, ranks)
            assert done.codes == [0] * ranks, done.stderr
            self.made[words, ranks] = self.read(folder)
        return self.made[words, ranks]

    def copies(self, words, places, saving):
        """What a run leaves, and by place a folder with what a kill there would have left; each is made once."""
        key = (words, saving, *places)
        if key not in self.made:
            folder = self.folder / str(len(self.made))
            targets = {name: self.folder / f"{folder.name}-{number}" for number, name in enumerate(places)}
            listed = [(places[name], str(target)) for name, target in targets.items()]
            done = self.run(folder, (*words, *saving), copies=listed)
            assert done.code == 0, done.stderr
            self.made[key] = self.read(folder), targets
        return self.made[key]

    def equal(self, expected, folder):
        """The run in a folder left what is expected."""
        found = self.read(folder)
        assert found[0].keys() == expected[0].keys()
        assert [name for name, value in expected[0].items() if not torch.equal(value, found[0][name])] == []
        assert found[1:4] == expected[1:4]
        assert found[4] == expected[4]

    def check(self, words, place, places=None, saving=SAVING, then=()):
        """Continue what a kill would have left at a place, and compare it with the run that was not killed.

        Args:
            words: Of the command line, with `run.id=r`.
            place: Name of one of the places, or arguments of `patches/interrupt_at.py`.
            places: All that are copied of the same run, by name.
            saving: Words on when to save.
            then: Words of the continuation.
        """
        expected, targets = self.copies(words, places or {"": place}, saving)
        folder = targets[place if places else ""]
        done = self.run(folder, ("train", "resume=r", *then))
        assert done.code == 0, done.stderr
        assert not done.left
        self.equal(expected, folder)
        return done

    def check_killed(self, folder, words, *places, saving=SAVING, then=(), ranks=1):
        """Kill a run at places one after another, continue it, and compare it with one that is not killed.

        Args:
            folder: Where.
            words: Of the command line, with `run.id=r`.
            places: Arguments of `patches/interrupt_at.py` for each start.
            saving: Words on when to save, which the run without interruption does not have.
            then: Words of the continuation.
            ranks: Of all starts.
        """
        expected = self.whole(words, ranks)
        start = (*words, *saving)
        for place in places:
            done = self.run(folder, start, ranks, **place)
            assert all(code < 0 for code in done.codes), done.stderr
            start = ("train", "resume=r", *then)
        done = self.run(folder, start, ranks)
        assert done.codes == [0] * ranks, done.stderr
        assert not done.left
        self.equal(expected, folder)
        return done


@pytest.fixture(scope="session")
def exactness(launch, tmp_path_factory):
    return Exactness(launch, tmp_path_factory.mktemp("whole"))


CODES = {"SIGUSR1": 138, "SIGUSR2": 140, "SIGTERM": 143, "SIGINT": 130}


class Stopping:
    """Runs that signals stop, and their continuation, beside one that is not stopped."""

    codes = CODES

    def __init__(self, launch, folder):
        self.launch = launch
        self.folder = folder
        self.made = {}

    def start(self, folder, words, ranks=1, **stop):
        """One start, with its batches noted; `stop` are arguments of `patches/signal_at.py`."""
        return self.launch(folder, words, "signal_at", ranks=ranks, **stop)

    def read(self, folder):
        """What must not depend on a stop: weights, figures, summary, rows of the log, and the batches in order."""
        batches = [path.read_text().splitlines() for path in sorted(folder.glob("batches.*"))]
        assert batches
        return *self.read_run(folder / "runs" / "r"), batches

    def read_run(self, run):
        """The first four of these."""
        return *read_results(run), read_log(run)

    def whole(self, words, ranks=1):
        """Of a run that is not stopped."""
        if (words, ranks) not in self.made:
            folder = self.folder / str(len(self.made))
            done = self.start(folder, words, ranks)
            assert done.codes == [0] * ranks, done.stderr
            self.made[words, ranks] = self.read(folder)
        return self.made[words, ranks]

    def stopped(self, folder, words, ranks=1, number="SIGTERM", **stop):
        """A start that the signal stops, on all ranks, without a word of Python and without anything left behind."""
        done = self.start(folder, words, ranks, number=number, **stop)
        assert not done.late, done.stderr
        assert done.codes == [CODES[number]] * ranks, done.stderr
        assert not done.left
        assert "Traceback" not in done.stderr
        run = folder / "runs" / "r"
        if run.exists():
            status = json.loads((run / "status.json").read_text())["status"]
            assert status == ("stopped" if number == "SIGINT" else "preempted")
            assert f"stopped by {number}; to continue: python -m mmdl train resume=r" in done.stderr
        else:
            assert f"stopped by {number} before anything was done; run the command again" in done.stderr
        return done

    def check(self, folder, words, *stops, ranks=1, further=()):
        """Stop a run once or several times in a row; continued, it leaves what one that is not stopped leaves.

        Args:
            folder: Where.
            words: Of the command line.
            stops: Arguments of `stopped` for each start.
            ranks: Of all starts.
            further: Words of the starts that are stopped, which must not change anything.
        """
        expected = self.whole(words, ranks)
        command = (*words, *further)
        for stop in stops:
            self.stopped(folder, command, ranks, **stop)
            if (folder / "runs" / "r").exists():
                command = ("train", "resume=r")
        done = self.start(folder, command, ranks)
        assert done.codes == [0] * ranks, done.stderr
        assert not done.left
        found = self.read(folder)
        assert found[0].keys() == expected[0].keys()
        assert [name for name, value in expected[0].items() if not torch.equal(value, found[0][name])] == []
        assert found[1:3] == expected[1:3]
        assert found[3] == expected[3], "each row of the log once, and the same"
        assert found[4] == expected[4], "each training batch once, and in the same order"
        assert [path.name for path in (folder / "runs").iterdir()] == ["r"]
        status = json.loads((folder / "runs" / "r" / "status.json").read_text())
        assert status["status"] == "finished"
        assert "error" not in status
        return done


@pytest.fixture(scope="session")
def stopping(launch, tmp_path_factory):
    return Stopping(launch, tmp_path_factory.mktemp("not-stopped"))
