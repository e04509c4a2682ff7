"""Each kind of alert, of what a desk really did: told when its rule is on, in a sentence and with a link, and not
told when it is off. A kind without such a pair fails."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.urls import resolve, reverse

from bots import models
from bots.alerts.domain import KINDS, AlertKind, Direction
from bots.alerts.models import Alert, AlertRule, Delivery
from bots.alerts.scanning import scan
from bots.alerts.summaries import summarize
from llm.domain import Decision, DecisionOutcome
from market.domain.enums import FillReason, OrderPurpose, OrderStatus
from market.domain.orders import FundingPayment, OrderReport
from market.errors import VenueUnavailable
from market.models import LatestPrice
from market.services import record_instruments
from market.venues.paper_broker import PaperBroker
from tests.alerts.scenes import Scene
from tests.bots.desks import START, buys
from tests.bots.paper_desks import PaperDesk, paper_desk
from tests.bots.test_book import fill
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


@dataclass
class Stage:
    """A desk and what a test may turn of its venue."""

    desk: PaperDesk
    patch: pytest.MonkeyPatch

    def enters(self) -> None:
        """A long of 15 at 100, its stop at 95, its target at 110."""
        self.desk.cycle("entry", buys())

    def price(self, price: str) -> None:
        """The market moves, a mark follows, and what it saw is kept."""
        self.desk.tick(price)
        self.desk.mark()
        record_instruments(self.desk.bot.venue, list(self.desk.feed.traded), START)
        LatestPrice.objects.update_or_create(
            venue=self.desk.bot.venue, symbol=SYMBOL,
            defaults={"mark_price": D(price), "last_price": D(price), "at": self.desk.clock.now()},
        )  # fmt: skip

    def answers(self, outcome: DecisionOutcome, reason: str) -> None:
        self.desk.cycle("no answer", Decision(trader="literal", outcome=outcome, reason=reason))

    def venue_tells(self, *reports: Any) -> None:
        """At the next look the venue tells this, too."""
        sync = PaperBroker.sync
        self.patch.setattr(PaperBroker, "sync", lambda *all_: [*sync(*all_), *reports])
        self.desk.tick()
        self.desk.cycle("told")


def stop_hit(at: Stage) -> None:
    at.enters()
    at.price("94")


def target_hit(at: Stage) -> None:
    at.enters()
    at.price("111")


def denied(at: Stage) -> None:
    at.desk.cycle("denied", buys(stop_loss=105))  # a stop on the wrong side


def breaker(at: Stage) -> None:
    at.desk.cycle("entry", buys(take_profit=130))
    at.price("75")  # past the stop, and 2% of the day's opening


def naked(at: Stage) -> None:
    """The venue has lost the stop, and takes no other."""
    at.enters()
    submit = PaperBroker.submit

    def refuses(self, order, attached=()):
        if order.purpose is not OrderPurpose.STOP:
            return submit(self, order, attached)
        return [
            OrderReport(
                at=order.created_at, symbol=SYMBOL, client_order_id=order.client_order_id,
                status=OrderStatus.REJECTED, reason="NOT_TODAY",
            )
        ]  # fmt: skip

    stop = models.Order.objects.get(purpose=OrderPurpose.STOP)
    at.patch.setattr(PaperBroker, "submit", refuses)
    gone = OrderReport(
        at=at.desk.clock.now(), symbol=SYMBOL, client_order_id=stop.client_order_id,
        status=OrderStatus.CANCELED,
    )  # fmt: skip
    at.venue_tells(gone)


def unknown(at: Stage) -> None:
    def lost(*_, **__):
        raise VenueUnavailable("no answer")

    for name in ("submit", "lookup"):
        at.patch.setattr(PaperBroker, name, lost)
    at.enters()


def foreign(at: Stage) -> None:
    at.enters()
    at.venue_tells(fill(9, "BUY", "1", "100", reason=FillReason.FOREIGN))


def funding(at: Stage) -> None:
    at.enters()
    at.venue_tells(
        FundingPayment(
            at=at.desk.clock.now(), symbol=SYMBOL, amount=D(-3), rate=D("0.002"), mark_price=D(100)
        )
    )


def holds_at(price: str) -> Callable[[Stage], None]:
    def act(at: Stage) -> None:
        at.enters()
        at.price(price)

    return act


def silent(at: Stage) -> None:
    at.enters()
    at.desk.tick(by=10 * timedelta(seconds=at.desk.bot.interval_seconds))


def summary(at: Stage) -> None:
    AlertRule.objects.update(created_at=START)
    stop_hit(at)
    at.desk.tick(by=DAY)
    summarize(at.desk.clock.now())


@dataclass(frozen=True, kw_only=True)
class Case:
    """What happens, the level of its rule, what is said of it, and the page that it leads to."""

    act: Callable[[Stage], None]
    says: str
    wish: dict[str, Any] = field(default_factory=dict)
    leads_to: str = "bot"
    bot: dict[str, Any] = field(default_factory=dict)


SAID = re.escape(SYMBOL)
CASES = {
    AlertKind.FILL: Case(act=Stage.enters, says=rf"Filled: BUY 15 {SAID} at 100\."),
    AlertKind.STOP_HIT: Case(act=stop_hit, says=rf"The stop closed the long of {SAID}: net -\d.*\."),
    AlertKind.TARGET_HIT: Case(act=target_hit, says=rf"The target closed the long of {SAID}: net \d.*\."),
    AlertKind.MANAGED_EXIT: Case(
        act=holds_at("105"), bot={"break_even_at_r": 1},
        says=rf"Managed exit on {SAID}: break-even: the stop moves from 95 to 100\.3, mark 105\.",
    ),
    AlertKind.LIQUIDATION: Case(act=holds_at("50"), says=rf"Liquidation on {SAID}: .* SELL 15 at 80\."),
    AlertKind.DENIAL: Case(act=denied, says=rf"Denied on {SAID}: stop .*\.", leads_to="decision"),
    AlertKind.BREAKER: Case(
        act=breaker, bot={"profile": "conservative"}, says=r"The breaker daily loss tripped\.",
    ),
    AlertKind.NAKED_POSITION: Case(
        act=naked, says=rf"Protection failed on {SAID}: the STOP at 95 can't rest \(NOT_TODAY\): .*\."
    ),
    AlertKind.UNKNOWN_ORDER: Case(act=unknown, says=rf"Order unknown on {SAID}: .*"),
    AlertKind.FOREIGN_POSITION: Case(
        act=foreign, says=rf"Foreign fill on {SAID}: a fill that no order of ours made: BUY 1 at 100\."
    ),
    AlertKind.MODEL_FAILURE: Case(
        act=lambda at: at.answers(DecisionOutcome.TIMED_OUT, "no answer within 60 s"),
        says=r"The model did not answer in time: no answer within 60 s\.", leads_to="decision",
    ),
    AlertKind.BUDGET: Case(
        act=lambda at: at.answers(DecisionOutcome.OVER_BUDGET, "5 of 5 calls today"),
        says=r"The model was not asked: a budget is used up: 5 of 5 calls today\.", leads_to="decision",
    ),
    AlertKind.DRAWDOWN: Case(
        act=holds_at("96"), wish={"threshold": D("0.5")},
        says=r"Equity is 0\.6\d+% below its peak; the level is 0\.5%\.",
    ),
    AlertKind.PNL: Case(
        act=holds_at("96"), wish={"threshold": D(-50), "direction": Direction.BELOW},
        says=r"Profit and loss is -6\d(\.\d+)? USDT; the level is below -50\.",
    ),
    AlertKind.PRICE: Case(
        act=holds_at("104"), wish={"threshold": D(103), "symbol": SYMBOL},
        says=rf"{SAID} is at 104; the level is above 103\.",
    ),
    AlertKind.FUNDING: Case(
        act=funding, wish={"threshold": D(3)}, says=r"Funding paid today is 3 USDT; the level is 3\."
    ),
    AlertKind.LIQUIDATION_DISTANCE: Case(
        act=holds_at("96"), wish={"threshold": D(18)},
        says=rf"{SAID} is 1\d\.\d+% from its liquidation price; the level is 18%\.",
    ),
    AlertKind.BOT_SILENT: Case(
        act=silent, wish={"threshold": D(3)}, says=r"No decision for \d+ cycles; the level is 3\."
    ),
    AlertKind.DAILY_SUMMARY: Case(
        act=summary, says=r"Monday, 03 January 2022\.\n.*: 1 trade closed, net -\d.*; equity now .* USDT\.",
        leads_to="dashboard",
    ),
}  # fmt: skip


def test_every_kind_has_its_pair():
    assert set(CASES) == set(AlertKind)


def played(kind: AlertKind, monkeypatch, *, is_enabled: bool) -> Scene:
    case = CASES[kind]
    desk = paper_desk(monkeypatch, name="Momentum", **case.bot)
    at = Scene(desk.bot.owner, desk.bot)
    channel = at.channel("ntfy", "ntfys://topic")
    at.rule(kind, channels=(channel,), is_enabled=is_enabled, **case.wish)
    scan(desk.clock.now())
    case.act(Stage(desk, monkeypatch))
    for _ in range(2):
        scan(desk.clock.now())
    return at


@pytest.mark.parametrize("kind", CASES)
def test_it_is_told_once_with_a_link_when_its_rule_is_on(kind, monkeypatch, settings):
    settings.SITE_URL = "https://desk.example.org"
    at = played(kind, monkeypatch, is_enabled=True)
    alert = Alert.objects.get()
    assert re.fullmatch(CASES[kind].says, alert.text), alert.text
    assert (alert.kind, alert.severity) == (kind, KINDS[kind].severity)
    [message] = Delivery.objects.all()
    link = message.text.split("\n")[-1]
    assert link == f"https://desk.example.org{alert.path}"
    place = resolve(alert.path)
    assert place.url_name == CASES[kind].leads_to
    if place.url_name == "decision":
        assert models.TradingCycle.objects.filter(pk=place.kwargs["cycle_id"], bot=at.bot).exists()
    elif place.url_name == "bot":
        assert alert.path == reverse("bot", args=[at.bot.pk])


@pytest.mark.parametrize("kind", CASES)
def test_it_is_not_told_when_its_rule_is_off(kind, monkeypatch):
    played(kind, monkeypatch, is_enabled=False)
    assert not Alert.objects.exists() and not Delivery.objects.exists()
