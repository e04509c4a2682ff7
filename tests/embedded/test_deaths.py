"""Whatever part of the process dies, all of it ends, with a sentence that names the part and an exit code."""

import signal
import sqlite3
import time
from contextlib import closing

import pytest

from tests.embedded.demos import Demo

pytestmark = [pytest.mark.sqlite, pytest.mark.slow, pytest.mark.django_db]


def scenario(folder, name: str) -> Demo:
    return Demo(folder, program=("-m", "tests.embedded.scenarios", name))


def cycles(demo: Demo) -> list[tuple[str, str]]:
    """Status and reason of the cycles there were."""
    with closing(sqlite3.connect(demo.folder / "db.sqlite3", timeout=20)) as rows:
        query = "SELECT status, reason FROM bots_tradingcycle ORDER BY started_at"
        return rows.execute(query).fetchall()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("server_dies", "the web server died (RuntimeError"),
        ("thread_of_a_worker_dies", "a thread of the worker of background died"),
    ],
)
def test_a_part_that_dies_ends_the_command(prepared_folder, name, sentence):
    with scenario(prepared_folder(name), name) as demo:
        demo.address(120)
        began = time.monotonic()
        assert demo.ended(60) == 1
    assert time.monotonic() - began < 30
    assert demo.said.splitlines()[-1].startswith(sentence)
    assert demo.said.rstrip().endswith(": everything was ended. Start it again.")


def test_each_part_says_how_it_died(prepared_folder):
    with scenario(prepared_folder("parts"), "each_part_dies_alone") as parts:
        assert parts.ended(120) == 0, parts.said
    said = [line for line in parts.said.splitlines() if line.startswith(("DEATH", "HANGS"))]

    assert said == [
        "DEATH the worker of cycles ended by itself",
        "DEATH the scheduler died (SystemExit: )",
        "HANGS True None",
    ]


def test_tasks_run_in_their_queue_and_a_second_ctrl_c_waits_for_none(prepared_folder):
    with scenario(prepared_folder("queues"), "every_task_runs_in_its_queue") as demo:
        came, begun, wrong = demo.wait_for(r"QUEUES (\w+) (\d+) (.*)", 120).groups()
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.6)
        code, seconds = demo.end(signal.SIGINT)

    assert (came, begun, wrong) == ("True", "12", "[]")
    assert (code, seconds < 5) == (130, True)


def test_a_model_that_thinks_for_ever_keeps_neither_the_next_start_nor_the_end(prepared_folder):
    with scenario(prepared_folder("model"), "model_thinks_for_ever") as demo:
        demo.wait_for("THINKS", 120)
        demo.process.kill()
        demo.process.wait()
        assert cycles(demo) == [("RUNNING", "")]
    killed = ("ABANDONED", "whoever ran it is gone")
    with scenario(demo.folder, "model_thinks_for_ever") as demo:
        demo.address(120)
        assert cycles(demo)[0] == killed
        demo.wait_for("THINKS", 120)
        code, seconds = demo.end(signal.SIGINT)

    assert (code, demo.said.splitlines()[-1]) == (0, "Stopped.")
    assert seconds < 10
    given_up = ("ABANDONED", "the end was asked for while the model was thinking")
    assert cycles(demo) == [killed, given_up]
