"""The database has committed and its answer is lost: whoever wrote goes on, or ends, on what it does not know."""

from contextlib import suppress
from uuid import uuid4

import pytest
from django.db import OperationalError

from tests.chaos import runs
from tests.chaos.points import Points
from tests.chaos.processes import ChildFailed, in_child
from tests.chaos.scene import Scene, open_scene
from tests.concurrency.stage import all_is_well

pytestmark = pytest.mark.django_db(transaction=True)
COMMITTED = ("after the commit of ", "after the statement of ")


class LostAt(Points):
    """The connection breaks at `end`, once the database has done what it was asked."""

    def reach(self, name: str, *, inside: bool = False) -> None:
        end, self.end = self.end, None
        is_end = (name, self.seen[name]) == end
        Points.reach(self, name, inside=inside)
        self.end = end
        if is_end:
            raise OperationalError("the connection was lost")


@pytest.mark.parametrize("act", ["open", "stopped"])
def test_the_next_slot_heals_whichever_answer_was_lost(act: str) -> None:
    def scene() -> Scene:
        made = open_scene(str(uuid4()))
        if act != "open":
            in_child(runs._doing(made, "open", Points()))
            runs._next_day(made)
        return made

    scenes: list[Scene] = []
    passed = in_child(runs._doing(scene(), act, Points()))
    places = [point for point in passed if point[0].startswith(COMMITTED)]
    for place in places:
        scenes.append(scene())
        with suppress(ChildFailed):
            in_child(runs._doing(scenes[-1], act, LostAt(end=place)))
    runs._wait_for_leases([one.bot_id for one in scenes])
    assert len(scenes) >= 6
    for one in scenes:
        runs._next_slot(one)
    all_is_well(*scenes)
