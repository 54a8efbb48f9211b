"""How a mistake of the user's ends the ranks of a job."""

import pytest

import mmdl.__main__ as program


@pytest.fixture
def slept(monkeypatch):
    found = []
    monkeypatch.setattr("time.sleep", found.append)
    monkeypatch.setattr("sys.argv", ["mmdl", "trian"])
    for name in ("RANK", "SLURM_PROCID", "MMDL_REFUSED"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.mark.parametrize("variable", ["RANK", "SLURM_PROCID"])
@pytest.mark.parametrize(("rank", "seconds"), [("0", []), ("3", [program.OTHER_RANKS_S])])
def test_the_first_rank_speaks(slept, monkeypatch, capsys, variable, rank, seconds):
    """The launcher ends the others before they say the same; a mistake that only they have is said in the end."""
    monkeypatch.setenv(variable, rank)
    assert program.main() == 2
    assert slept == seconds
    assert "unknown verb" in capsys.readouterr().err


def test_a_batch_script_finds_a_file(slept, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("MMDL_REFUSED", str(tmp_path / "refused"))
    assert program.main() == 2
    assert (tmp_path / "refused").exists()
    monkeypatch.setenv("MMDL_REFUSED", str(tmp_path / "no" / "folder"))
    assert program.main() == 2
