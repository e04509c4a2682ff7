"""The settings of the site, with a page of the tests beside its own."""

from pathlib import Path

from tradingagent.settings import *  # noqa: F403
from tradingagent.settings import TEMPLATES

TEMPLATES[0]["DIRS"] = [*TEMPLATES[0]["DIRS"], Path(__file__).parent / "templates"]
ROOT_URLCONF = "tests.live.pages"
