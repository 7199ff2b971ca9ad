"""One writer at a time, and no lock outlives its owner."""

import signal
import subprocess
import sys
import time

import pytest

from demucs_lab.common.lock import alone_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows locks no folders")

HOLD = """
import sys, time
from demucs_lab.common.lock import alone_in
with alone_in(sys.argv[1], "it is held"):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_until_the_owner_ends_however_it_ends(tmp_path):
    folder = tmp_path / "a" / "b"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"ready\n"
        with (
            pytest.raises(BlockingIOError, match="in use: it is held by another program"),
            alone_in(folder, "it is held"),
        ):
            pass
        owner.send_signal(signal.SIGKILL)
    with alone_in(folder, "it is held"):
        assert folder.is_dir()


def test_it_holds_within_one_process_too_and_is_let_go_after_an_error(tmp_path):
    with alone_in(tmp_path, "x"), pytest.raises(BlockingIOError), alone_in(tmp_path, "x"):
        pass
    with pytest.raises(KeyError), alone_in(tmp_path, "x"):
        raise KeyError
    with alone_in(tmp_path, "x"):
        pass


def test_a_child_does_not_hold_what_its_parent_held(tmp_path):
    program = f"""
import os, sys, time
from demucs_lab.common.lock import alone_in
with alone_in({str(tmp_path)!r}, "x"):
    if os.fork() == 0:
        sys.stdout.close()
        os.close(1)
        time.sleep(3)
        os._exit(0)
    os._exit(0)  # no farewell, as after a kill
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    time.sleep(0.5)  # the child needs a moment to let go
    with alone_in(tmp_path, "x"):
        pass


def test_a_folder_that_stays_empty_is_removed_again_and_another_is_not(tmp_path):
    with alone_in(tmp_path / "a" / "b", "x"):
        pass
    assert list(tmp_path.iterdir()) == []
    with alone_in(tmp_path / "a" / "b", "x"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()
