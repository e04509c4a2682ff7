"""One real demo for a module of journeys, and browsers on it whose complaints fail the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitors import Visitor
from tests.browser.wire import Wire
from tests.browsers import CHROMIUM, FLAGS
from tests.embedded.conftest import migrated, prepared_folder
from tests.embedded.demos import Demo

__all__ = ["migrated", "prepared_folder"]

STARTS_WITHIN = 120
MARK_SECONDS = "5"
"""Figures move with each mark."""


@pytest.fixture(scope="module")
def demo(prepared_folder) -> Iterator[Demo]:
    with Demo(prepared_folder("browser"), MARK_SECONDS=MARK_SECONDS) as demo:
        demo.address(STARTS_WITHIN)
        yield demo


@pytest.fixture(scope="module")
def chromium(demo) -> Iterator[Browser]:
    with (
        sync_playwright() as driver,
        driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        yield browser


@pytest.fixture
def wire(demo) -> Iterator[Wire]:
    wire = Wire(demo.address())
    yield wire
    wire.close()


@pytest.fixture
def visit(demo, chromium) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors, with options of Playwright's contexts. `address`: not the demo's own."""
    came: list[Visitor] = []

    def visit(address: str = "", **options: Any) -> Visitor:
        came.append(Visitor(chromium, address or demo.address(), **options))
        return came[-1]

    yield visit
    for visitor in came:
        visitor.context.close()
    assert [visitor.complaints for visitor in came] == [[]] * len(came)
