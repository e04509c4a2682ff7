"""The settings of the site, with a page of the tests beside its own."""

from pathlib import Path

from tradingagent.settings import *  # noqa: F403
from tradingagent.settings import BASE_DIR, TEMPLATES

DIRS = [BASE_DIR / "templates", Path(__file__).parent / "templates"]
TEMPLATES = [{**TEMPLATES[0], "DIRS": DIRS}]
ROOT_URLCONF = "tests.live.pages"
