"""Without ENCRYPTION_KEYS a key is made once, private like the one that signs sessions."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from cryptography.fernet import Fernet

from tests.architecture.sources import ROOT
from tradingagent import settings


def keys_of_a_new_process(value: str) -> str:
    """What settings make of the variable ENCRYPTION_KEYS."""
    script = "from tradingagent import settings; print('|'.join(settings.ENCRYPTION_KEYS))"
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "ENCRYPTION_KEYS": value},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_a_key_is_made_once_and_is_private(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "LOCAL_DIR", tmp_path / ".local")

    key = settings._local_encryption_key()

    assert settings._local_encryption_key() == key
    assert Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x"
    path = tmp_path / ".local" / "encryption_keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_starting_at_once_share_one_key(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "LOCAL_DIR", tmp_path / ".local")

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: settings._local_encryption_key(), range(32)))

    assert len(keys) == 1
    assert [path.name for path in (tmp_path / ".local").iterdir()] == ["encryption_keys"]


def test_the_variable_holds_several_keys():
    assert keys_of_a_new_process(" new, old,,") == "new|old"
    assert keys_of_a_new_process("$one") == "$one"
    assert keys_of_a_new_process(",") == ""
