"""What keeps people out of a page, as axe-core finds it: on every page, dark and light, wide and on a phone.

The pages show what was really traded, on the test's own database, where nothing moves meanwhile. What stands
folded is unfolded first, for nobody is kept out of what is not there.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, ViewportSize

from bots import models, services
from bots.lab import services as lab
from bots.lab.models import Arena
from llm.domain import DecisionOutcome
from llm.hosts import Provider
from llm.services import (
    add_model_profile,
    add_prompt_version,
    create_model_profile,
    set_budget,
)
from risk.models import RiskProfile
from risk.services import change_profile, copy_profile
from tests.bots.paper_desks import paper_bot
from tests.browser.visitors import PASSWORD
from tests.browsers import Server, apart, browsing
from tests.live.stage import cookie_of
from tests.web.scenes import BTC, ETH, STEP, Mind, closes, enters, fails, scene_of
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

pytestmark = [
    pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True),
]  # fmt: skip

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 375, "height": 812}
ALL: dict = {"resultTypes": ["violations"]}
COLOURS: dict = ALL | {"runOnly": ["color-contrast"]}
Looks = Sequence[tuple[Literal["dark", "light"], ViewportSize, dict]]
LOOKS: Looks = (("dark", WIDE, ALL), ("light", PHONE, ALL))
FOUR_LOOKS: Looks = (*LOOKS, ("dark", PHONE, COLOURS), ("light", WIDE, COLOURS))
"""What a theme changes are the colours alone; the other two looks are those of the pages with most parts."""
RUN = """async ([within, options]) => (await axe.run(within, options)).violations.flatMap(found =>
    found.nodes.map(node => `${found.id}: ${node.target.join(" ")}`))"""
LAY_OUT = """within => {
    for (const one of document.querySelectorAll("main > *")) {
        if (!one.closest(within) && !one.querySelector(within)) one.remove();
    }
    document.querySelectorAll("details").forEach(one => one.open = true);
    document.querySelectorAll("tbody tr:nth-child(n+7)").forEach(one => one.remove());
}"""
"""Leaves what is looked at, and of a long table the first rows, for the others are like them; opens what is folded."""
STEPS = 5
TABS = (
    "orders", "trades", "decisions", "fills", "ledger", "candles", "equity", "halts",
)  # fmt: skip


class Audit:
    """A browser, and what axe finds on the pages that are opened in it."""

    def __init__(self, context: BrowserContext) -> None:
        context.set_default_timeout(20_000)
        self.page: Page = context.new_page()
        self.found: dict[str, list[str]] = {}

    def of(self, path: str, **how: Any) -> None:
        self.page.goto(path)
        self.here(path, **how)

    def here(self, where: str, *, within: str = "html", looks: Looks = LOOKS) -> None:
        """Of the page as it stands, or of a part of it."""
        page = self.page
        page.evaluate(AXE_SCRIPT)
        page.evaluate(LAY_OUT, within)
        for theme, viewport, options in looks:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.set_viewport_size(viewport)
            found = page.evaluate(RUN, [within, options])
            if found:
                self.found[f"{where} {theme} {viewport['width']}"] = found
        page.set_viewport_size(WIDE)


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create_user("ann@example.org", PASSWORD)


@pytest.fixture
def cookie(ann) -> str:
    return cookie_of(ann)[1].decode().removeprefix("sessionid=")


def test_who_is_signed_out(server, ann) -> None:
    with browsing(server) as context:
        audit = Audit(context)
        for path in ("/account/signup/", "/account/password/reset/", "/nothing/"):
            audit.of(path)
        audit.of("/account/login/")
        audit.page.get_by_label("E-mail address").fill("ann@example.org")
        audit.page.get_by_label("Password").fill("not hers")
        audit.page.get_by_role("button", name="Sign in").click()
        audit.page.get_by_role("alert").wait_for()
        audit.here("refused")
        assert audit.found == {}


def test_who_has_nothing_yet(server, cookie) -> None:
    with browsing(server, cookie) as context:
        audit = Audit(context)
        for path in (
            "/", "/bots/", "/arena/", "/arena/new/", "/halt/", "/account/settings/",
            "/account/password/change/", "/limits/", "/models/", "/models/new/", "/prompts/", "/bots/new/",
        ):  # fmt: skip
            audit.of(path)
        audit.page.get_by_label("Paper capital").fill("a lot")
        audit.page.get_by_role("button", name="Make the bot").click()
        audit.page.locator("#err-capital .error").wait_for()
        audit.here("/bots/new/ refused")
        assert audit.found == {}


def test_who_has_models_and_prompts(server, ann, cookie) -> None:
    minds = Minds(ann)
    with browsing(server, cookie) as context:
        audit = Audit(context)
        for path in ("/models/", minds.difference):
            audit.of(path, looks=FOUR_LOOKS)
        for path in minds.other_pages:
            audit.of(path)
        audit.page.goto("/models/new/")
        audit.page.get_by_role("button", name="Add the model").click()
        audit.page.locator("#id_name-error").wait_for()
        audit.here("/models/new/ refused")
        audit.page.goto(minds.prompt)
        audit.page.get_by_role("button", name="Show it").click()
        audit.page.locator(".preview-facts").wait_for()
        audit.here("a preview", within="#preview")
        assert audit.found == {}


def test_who_has_limits(server, ann, cookie) -> None:
    row = copy_profile(RiskProfile.objects.get(owner=None, name="balanced"), ann, "Careful")
    paper_bot(ann, name="Wren", risk_profile=row)
    paper_bot(ann, name="Dunlin")
    change_profile(row, {"max_leverage": "4", "no_trade_windows": ["sat,sun"]}, by=ann)
    spare = copy_profile(row, ann, "Spare")
    with browsing(server, cookie) as context:
        audit = Audit(context)
        for path in ("/limits/", reverse("risk_profile", args=[row.pk])):
            audit.of(path, looks=FOUR_LOOKS)
        audit.of(reverse("copy_limits", args=[row.pk]))
        audit.of(reverse("change_limits", args=[row.pk]))
        audit.of(reverse("risk_profile", args=[spare.pk]))
        audit.of(reverse("delete_limits", args=[spare.pk]))
        audit.of(reverse("try_limits", args=[row.pk]))
        audit.page.get_by_label("Stop by").select_option("ATR")
        audit.page.get_by_role("button", name="Reckon").click()
        audit.page.locator(".sized-why").wait_for()
        audit.here("an entry reckoned", within="#sized", looks=FOUR_LOOKS)
        audit.page.goto(reverse("change_limits", args=[row.pk]))
        audit.page.get_by_label("Leverage, at most").fill("ten")
        audit.page.get_by_role("button", name="Save").first.click()
        audit.page.locator("#id_max_leverage-error").wait_for()
        audit.here("a change refused", looks=FOUR_LOOKS)
        assert audit.found == {}


def test_who_trades(server, ann, cookie) -> None:
    traded = Traded(ann)
    with browsing(server, cookie) as context:
        audit = Audit(context)
        for path in ("/", traded.bot, traded.arena, traded.decisions[0]):
            audit.of(path, looks=FOUR_LOOKS)
        for path in (*traded.decisions[1:], *traded.other_pages):
            audit.of(path)
        for path in (traded.waits, traded.paused):
            audit.of(path, within="header.head, #start, #bot-status, #bot-controls")
        for tab in TABS:
            audit.of(f"{traded.bot}?tab={tab}", within="#books")
        audit.page.goto("/")
        audit.page.get_by_role("link", name="Halt all").click()
        audit.page.locator("#halt #halt-form").wait_for()
        audit.here("halt in a sheet", within="#halt")
        apart(services.halt, by=ann, user=ann, reason="a look first")
        for path in ("/", "/resume/", traded.bot):
            audit.of(path, within="header.head, .question, #bot-notices, #bot-controls")
        assert audit.found == {}


class Minds:
    """Pages of a user with a model that is used, one that is not, and two versions of a prompt."""

    def __init__(self, user: User) -> None:
        asked: dict[str, Any] = {
            "provider": Provider.OPENAI,
            "key": Secret("none"),
            "by": user,
            "model": "gpt-5",
        }
        used = add_model_profile(owner=user, name="Sonnet", **asked)
        free = add_model_profile(owner=user, name="Spare", fallback=used, **asked)
        create_model_profile(
            owner=None, name="Shared", provider=Provider.DEEPSEEK, model="chat", by="command"
        )
        texts: dict[str, Any] = {"owner": user, "name": "mine", "by": user, "system": "You trade."}
        for text in ("{{clock}}", "# Now\n{{clock}}\n{{instruments}}"):
            template = add_prompt_version(user=text, settings={}, **texts)
        set_budget(
            owner=user, cost_center=f"user:{user.pk}", money_per_day=None, calls_per_day=5, by=user
        )
        self.prompt = reverse("prompt", args=[template.pk])
        self.difference = reverse("compare_prompt", args=[template.pk])
        self.other_pages = (
            "/prompts/", "/models/new/", reverse("change_model", args=[free.pk]),
            reverse("change_model", args=[used.pk]), reverse("delete_model", args=[free.pk]),
            reverse("replace_key", args=[used.provider_key_id]), self.prompt,
            reverse("new_prompt", args=[template.pk]), f"/bots/new/?model={free.pk}",
        )  # fmt: skip


class Traded:
    """Pages of a user whose bots have traded for more than an hour, one of them beside others in an arena."""

    def __init__(self, user: User) -> None:
        begins = datetime.now(UTC).replace(second=0, microsecond=0) - STEPS * STEP
        scene = scene_of(user, begins)
        bot = scene.bot("Tidewater", mind=tidewater())
        waits = scene.bot("Sanderling", trader="flat", start=False)
        paused = scene.bot("Turnstone", trader="flat")
        with scene.open():
            arena = self._arena(user)
        scene.run(STEPS, marks=1)
        with scene.open():
            services.pause_bot(paused.pk, by=user)
        self.bot, self.waits, self.paused = (
            reverse("bot", args=[one.pk]) for one in (bot, waits, paused)
        )
        self.arena = reverse("arena", args=[arena.pk])
        cycles = models.TradingCycle.objects.filter(bot=bot).order_by("started_at")
        self.decisions = [
            f"{reverse('decision', args=[bot.pk, cycle.pk])}?check" for cycle in cycles[:2]
        ]
        self.other_pages = (
            "/bots/", "/equity/", "/arena/", reverse("arena_numbers", args=[arena.pk]),
            f"{reverse('close_position', args=[bot.pk])}?symbol={BTC}", reverse("bot_exits", args=[bot.pk]),
        )  # fmt: skip

    def _arena(self, user: User) -> Arena:
        wish = lab.ArenaWish(
            owner=user, name="Season 1", venue="simulated", symbols=(BTC, ETH),
            risk_profile=RiskProfile.objects.get(owner=None, name="balanced"),
            interval_seconds=900, timeframe_seconds=900,
        )  # fmt: skip
        entrants = [lab.EntrantWish(trader=name) for name in ("buy_and_hold", "flat")]
        return lab.start_arena(lab.create_arena(wish, by=user, entrants=entrants).pk, by=user)


def tidewater() -> Mind:
    """A model that is clamped, denied, late, and that closes one of its positions."""
    return Mind(
        name="claude-sonnet-4-5",
        says={
            0: enters(BTC, stop="1.2", target="3.6", leverage=25, summary="BTC holds its average."),
            1: fails(DecisionOutcome.TIMED_OUT, "no answer within 60 s"),
            2: enters(ETH, stop="1.5", target="1.6", summary="ETH lags BTC and should catch up."),
            3: closes(BTC, "The move is over."),
            4: enters(BTC, stop="1.5", target="4.5", short=True, summary="BTC failed twice."),
        },
    )
