"""Where the server listens, and which mistakes it explains before it starts."""

import socket

import pytest

from mmdl.errors import UserError
from mmdl.review.serve import running
from mmdl.review.serve.running import bound, checked_root, over_ssh, run_server


def test_it_listens_on_this_machine_only():
    with bound(None) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_a_free_port_is_taken_where_the_usual_one_is_not_free(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(running, "PORT", taken)
        with bound(None) as listening:
            assert listening.getsockname()[1] not in (0, taken)
        with pytest.raises(UserError, match=f"port {taken} can't be used: Address already in use") as found:
            bound(taken)
        assert "leave --port out" in found.value.fix


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_explained(port):
    with pytest.raises(UserError, match=f"there is no port {port}"):
        bound(port)


def test_a_folder_that_is_missing_is_explained_and_nothing_is_made(tmp_path):
    with pytest.raises(UserError, match="there is no folder") as found:
        run_server(tmp_path / "runs", None, False)
    assert "python -m mmdl train" in found.value.fix
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_of_runs(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError, match="there is no folder"):
        checked_root(tmp_path / "runs")


def test_a_run_is_no_folder_of_runs(tmp_path, folders):
    run = folders.vqa(tmp_path, "a", images=False)
    with pytest.raises(UserError, match="is a run, not a folder of runs") as found:
        checked_root(run)
    assert found.value.fix == f"--root {tmp_path}"


def test_a_root_that_is_a_link_is_the_folder_that_it_leads_to(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "runs").symlink_to(tmp_path / "scratch")
    assert checked_root(tmp_path / "runs") == tmp_path / "scratch"


def test_over_ssh_the_command_names_this_machine(monkeypatch):
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    assert over_ssh(8470) == f"from elsewhere: ssh -L 8470:127.0.0.1:8470 {socket.gethostname()}"
