"""Take the pictures of docs/img: `python -m tests.screenshots`.

They show a demo whose traders have some hours behind them (`--hours`), so that there is something to see; nothing
on them is drawn, only waited for. The trap avoided: a picture taken while a figure flashes or a chart is empty.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from playwright.sync_api import Browser, Page, expect, sync_playwright

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingagent.settings")

from tests.browser.visitors import PHONE, Visitor, is_connected
from tests.browsers import CHROMIUM, FLAGS
from tests.embedded.demos import Demo, rows

PICTURES = Path(__file__).parents[1] / "docs" / "img"
LARGEST = 350_000
"""Bytes of a picture, at most."""
WIDE: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
SECONDS_OF_AN_HOUR = 120
"""What an hour of the past may take on a busy machine."""
ARENA = "SELECT id FROM lab_arena"
BUSIEST = """
    SELECT p.bot_id, p.symbol FROM bots_position p
    ORDER BY (SELECT count(*) FROM bots_fill f WHERE f.bot_id = p.bot_id AND f.symbol = p.symbol) DESC,
             p.opened_at DESC LIMIT 1"""
MOST_JUDGED = """
    SELECT bot_id, id FROM bots_tradingcycle
    ORDER BY json_array_length(clamps) + json_array_length(denials) DESC, started_at LIMIT 1"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One file: which page, how it is looked at, and how many charts there must be on it."""

    name: str
    path: str
    theme: str = "dark"
    charts: int = 0
    is_live: bool = True
    options: dict[str, Any] = field(default_factory=lambda: WIDE)


def pictures(folder: Path) -> tuple[Picture, ...]:
    """What is worth showing in a demo that has traded."""
    [(arena,)] = rows(folder, ARENA)
    [(busiest, symbol)] = rows(folder, BUSIEST)
    traded = f"/bots/{UUID(busiest)}/?symbol={quote(symbol)}&length=5m"
    [(bot, cycle)] = rows(folder, MOST_JUDGED)
    judged = f"/bots/{UUID(bot)}/decisions/{UUID(cycle)}/"
    return (
        Picture(name="dashboard", path="/", charts=1),
        Picture(name="bot", path=traded, charts=2),
        Picture(name="arena", path=f"/arena/{UUID(arena)}/", theme="light", charts=1),
        Picture(name="decision", path=judged, is_live=False),
        Picture(name="phone", path="/", options=PHONE | {"device_scale_factor": 2}),
    )


def take(browser: Browser, demo: Demo, picture: Picture) -> Path:
    """The file, written."""
    someone = Visitor(browser, demo.address(), color_scheme=picture.theme, **picture.options)
    login = [demo.wait_for(rf"{what} +(\S+)").group(1) for what in ("e-mail", "password")]
    page = someone.sign_in(*login)
    page.goto(picture.path)
    wait_until_calm(page, picture)
    path = PICTURES / f"{picture.name}.png"
    page.screenshot(path=path, animations="disabled")
    someone.context.close()
    assert someone.complaints == []
    assert path.stat().st_size < LARGEST, f"{path} is too large"
    return path


def wait_until_calm(page: Page, picture: Picture) -> None:
    """Charts are drawn, the line is there, and nothing tints."""
    if picture.is_live:
        is_connected(page)
    for chart in page.locator(".chart[data-src]").all():
        expect(chart.locator("canvas").first).to_be_visible(timeout=30_000)
    assert page.locator(".chart[data-src]").count() >= picture.charts
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    expect(page.locator(".flash-up, .flash-down, .arrive")).to_have_count(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--hours", type=float, default=8, help="how long they have traded")
    hours = arguments.parse_args().hours
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "local"
        print(f"Letting the demo's traders trade for {hours:g} hours …")
        with Demo(folder, str(hours), program=("-m", "tests.browser.past")) as past:
            assert past.ended(60 + hours * SECONDS_OF_AN_HOUR) == 0, past.said
        with (
            Demo(folder) as demo,
            sync_playwright() as driver,
            driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
        ):
            demo.address(120)
            for picture in pictures(folder):
                path = take(browser, demo, picture)
                print(f"{path} ({path.stat().st_size // 1024} KB)")


if __name__ == "__main__":
    main()
