"""One process at a time works in a folder: shown with real processes."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from tradingagent.embedded.lock import NAME, AlreadyRunning, RunningLock

HOLD = (
    "import sys; from pathlib import Path; from tradingagent.embedded.lock import RunningLock\n"
    "lock = RunningLock(Path(sys.argv[1])); lock.tell('http://localhost:8123')\n"
    "print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the folder until it is killed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path):
    with another_process(tmp_path / "local") as holder, pytest.raises(AlreadyRunning) as refused:
        RunningLock(tmp_path / "local")

    assert f"(process {holder.pid}, http://localhost:8123)" in str(refused.value)


def test_a_killed_process_leaves_no_lock(tmp_path):
    with another_process(tmp_path / "local") as holder:
        holder.kill()
        holder.wait()

        RunningLock(tmp_path / "local").release()


def test_a_second_lock_of_this_process_is_refused_as_well(tmp_path):
    lock = RunningLock(tmp_path / "local")

    with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()}, just starting"):
        RunningLock(tmp_path / "local")
    lock.release()
    RunningLock(tmp_path / "local").release()


def test_who_has_not_written_its_name_yet_is_refused_without(tmp_path, monkeypatch):
    monkeypatch.setattr("tradingagent.embedded.lock.READ_AGAIN_SECONDS", 0)
    lock = RunningLock(tmp_path / "local")
    (tmp_path / "local" / NAME).write_text("")

    with pytest.raises(AlreadyRunning, match=re.escape("already: stop that process first")):
        RunningLock(tmp_path / "local")
    lock.release()


def test_the_folder_and_the_file_are_private(tmp_path):
    (tmp_path / "local").mkdir(mode=0o755)
    lock = RunningLock(tmp_path / "local")

    assert stat.S_IMODE((tmp_path / "local").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "local" / NAME).stat().st_mode) == 0o600
    lock.release()


def test_a_shorter_address_leaves_nothing_of_a_longer_one(tmp_path):
    lock = RunningLock(tmp_path / "local")
    lock.tell("http://a-long-name.example.org:8000")
    lock.tell("http://b:1")

    with pytest.raises(AlreadyRunning, match=r", http://b:1\)"):
        RunningLock(tmp_path / "local")
    lock.release()
