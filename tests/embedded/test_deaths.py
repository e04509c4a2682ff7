"""Whatever part of the process dies, all of it ends, with a sentence that names the part and an exit code."""

import sqlite3
import time

import pytest

from tests.embedded.demos import Demo

pytestmark = [pytest.mark.sqlite, pytest.mark.slow, pytest.mark.django_db]

DEATHS = {
    "server_dies": "the web server died (RuntimeError",
    "server_hangs": "the web server has not moved for 2 s",
    "worker_dies": "the worker of cycles ended by itself",
    "thread_of_a_worker_dies": "a thread of the worker of background died",
    "scheduler_dies": "the scheduler died (SystemExit",
}
OTHERS = ("every_task_runs_in_its_queue", "model_thinks_for_ever")


def scenario(prepare, name: str) -> Demo:
    return Demo(prepare(name), program=("-m", "tests.embedded.scenarios", name))


@pytest.fixture(scope="module")
def demos(prepared_folder):
    """All of them at once: most of their time is waiting."""
    running = {name: scenario(prepared_folder, name) for name in (*DEATHS, *OTHERS)}
    yield running
    for demo in running.values():
        demo.process.kill()
        demo.process.wait()


@pytest.mark.parametrize(("name", "sentence"), DEATHS.items())
def test_a_part_that_dies_ends_the_command(demos, name, sentence):
    demo = demos[name]

    assert demo.ended(90) == 1, demo.said
    assert f"{sentence}" in demo.said
    assert demo.said.rstrip().endswith(": everything was ended. Start it again.")
    assert "Trading Agent runs at" in demo.said


def test_tasks_run_in_the_threads_of_their_queue(demos):
    demo = demos["every_task_runs_in_its_queue"]
    found = demo.wait_for(r"QUEUES (\w+) (.*)", 90)

    assert found.groups() == ("True", "[]")
    assert demo.end()[0] == 0


def test_a_model_that_thinks_for_ever_does_not_keep_the_process(demos):
    demo = demos["model_thinks_for_ever"]
    demo.wait_for("THINKS", 90)
    code, seconds = demo.end()

    assert (code, demo.said.splitlines()[-1]) == (0, "Stopped.")
    assert seconds < 10
    with sqlite3.connect(demo.folder / "db.sqlite3") as rows:
        query = "SELECT status, reason FROM bots_tradingcycle WHERE slot LIKE 'run:%'"
        assert rows.execute(query).fetchall() == [
            ("ABANDONED", "the end was asked for while the model was thinking")
        ]
    rows.close()


def test_a_second_ctrl_c_leaves_at_once(prepared_folder):
    with scenario(prepared_folder, "model_thinks_for_ever") as demo:
        demo.wait_for("THINKS", 90)
        demo.process.send_signal(2)
        time.sleep(0.6)
        code, seconds = demo.end()

    assert code == 130
    assert seconds < 2
