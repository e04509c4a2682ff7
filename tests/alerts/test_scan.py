"""Events and measures become alerts and messages: all of them, once, and few."""

import threading
from datetime import time, timedelta
from decimal import Decimal as D
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from bots import models
from bots.alerts import scanning, services
from bots.alerts.domain import AlertKind, Direction, Severity
from bots.alerts.models import Alert, AlertCursor, Delivery
from bots.alerts.scanning import scan
from bots.alerts.services import RuleWish, default_rules, save_rule
from bots.alerts.timing import advance
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from market.models import LatestPrice
from tests.alerts.scenes import HOUR, MINUTE, NOON, SECOND, scene
from tests.bots.bulk_rows import hold
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at():
    return scene()


def priced(price: str) -> None:
    LatestPrice.objects.update_or_create(
        venue="simulated", symbol=SYMBOL,
        defaults={"mark_price": D(price), "last_price": D(price), "at": NOON},
    )  # fmt: skip


def test_a_fill_becomes_an_alert_and_a_message(at, sent, settings):
    settings.SITE_URL = "https://x.org"
    channel = at.channel("hook", "json://example.org/x")
    at.rule(channels=(channel,))
    at.fills()

    done = scan(NOON)

    assert (done.events, done.deliveries, done.failed) == (1, 1, [])
    alert, delivery = Alert.objects.get(), Delivery.objects.get()
    assert (alert.title, alert.count, alert.is_open) == ("Momentum: an order was filled", 1, True)
    assert (delivery.alert, delivery.channel, delivery.part) == (alert, channel, 1)
    assert delivery.text == (f"Filled: BUY 1 TEST at 100.\nhttps://x.org/bots/{at.bot.pk}/")
    assert sent == ["alerts.deliver"]
    assert scan(NOON).events == 0
    assert Alert.objects.count() == Delivery.objects.count() == 1


def test_ten_thousand_events_in_a_storm_are_few_messages(at):
    channel = at.channel("hook", "json://example.org/x")
    at.rule(channels=(channel,), cooldown_seconds=60)
    now, total, minutes = NOON, 0, 5
    for number in range(minutes * 4):
        at.fills(500, now)
        total += 500
        scan(now)
        now = NOON + (number + 1) * 15 * SECOND
    for _ in range(9):
        scan(now)
        now += 15 * SECOND

    assert total == 10_000
    assert sum(Alert.objects.values_list("count", flat=True)) == total
    assert Delivery.objects.count() <= minutes + 1
    assert not Alert.objects.filter(is_open=True).exists()
    assert all(alert.told == alert.count for alert in Alert.objects.all())
    texts = [one.text.splitlines()[1] for one in Delivery.objects.order_by("part")]
    assert texts[0] == "And 499 more like it since 12:00 UTC."
    assert texts[1].startswith("And 1,999 more like it since 12:00")


def test_a_storm_before_the_first_look_is_one_message(at, monkeypatch):
    monkeypatch.setattr(scanning, "BATCH", 300)
    channel = at.channel("hook", "json://example.org/x")
    at.rule(channels=(channel,))
    at.fills(1000)

    assert scan(NOON).events == 1000
    assert Alert.objects.get().count == 1000
    assert Delivery.objects.count() == 1
    scan(NOON + HOUR)
    assert "And 699 more like it" in Delivery.objects.get(part=2).text


def test_bots_and_rules_are_counted_apart(at):
    other = paper_bot(owner=at.owner, name="Other")
    at.rule()
    at.rule(bot=other)
    at.fills(2)
    at.fills(3, bot=other)
    scan(NOON)

    found = sorted((alert.bot.name, alert.count) for alert in Alert.objects.all())
    assert found == [("Momentum", 2), ("Other", 3), ("Other", 3)]


def test_nobody_hears_of_the_bots_of_others(at):
    stranger = User.objects.create_user("stranger@example.org")
    paper_bot(owner=stranger)
    default_rules(stranger)
    at.rule(AlertKind.FILL)
    at.fills()
    scan(NOON)
    assert [alert.owner for alert in Alert.objects.all()] == [at.owner]


def test_what_fails_while_it_is_written_is_read_again(at, monkeypatch):
    at.rule()
    at.fills()
    with monkeypatch.context() as patched:
        patched.setattr(AlertCursor, "save", lambda *_, **__: 1 / 0)
        assert scan(NOON).failed == [at.bot.pk]
    assert not Alert.objects.exists()

    scan(NOON)
    assert Alert.objects.get().count == 1


def test_what_is_acknowledged_while_it_is_scanned_stays_so(at, monkeypatch):
    """The scan has read the alert already; nothing new has happened."""
    at.rule()
    at.fills()
    scan(NOON)
    acting: list[threading.Thread] = []

    def slowly(*given):
        if not acting:
            acting.append(threading.Thread(target=acknowledges))
            acting[0].start()
            acting[0].join(1)  # it may have to wait for the scan
        return advance(*given)

    def acknowledges() -> None:
        try:
            services.acknowledge(at.owner)
        finally:
            connection.close()

    monkeypatch.setattr("bots.alerts.scanning.advance", slowly)
    scan(NOON + HOUR)
    acting[0].join(30)
    alert = Alert.objects.get()
    assert alert.acknowledged_at is not None and alert.read_at is not None


def test_one_bot_that_fails_does_not_stop_the_others(at, monkeypatch):
    others = [paper_bot(owner=at.owner, name=f"other {number}") for number in range(3)]
    at.rule()
    write = scanning._write
    for bot in (at.bot, *others):
        at.fills(bot=bot)

    def fails(look, found):
        if look.bot.pk == others[1].pk:
            raise ValueError("no")
        return write(look, found)

    monkeypatch.setattr(scanning, "_write", fails)
    assert scan(NOON).failed == [others[1].pk]
    assert Alert.objects.count() == 3


def test_old_events_of_a_bot_that_was_never_looked_at_are_passed_over(at):
    at.rule()
    at.fills(5, NOON - 2 * HOUR)
    at.fills(2, NOON - MINUTE)
    scan(NOON)
    assert Alert.objects.get().count == 2
    assert AlertCursor.objects.get(bot=at.bot).sequence == models.Bot.objects.get().event_sequence


def test_what_happened_before_a_rule_was_made_is_not_told(at):
    at.fills()
    scan(NOON)
    at.rule()
    scan(NOON)
    assert not Alert.objects.exists()


def test_an_acknowledged_alert_that_goes_on_is_new_again(at):
    at.rule()
    at.fills()
    scan(NOON)
    Alert.objects.update(acknowledged_at=NOON, read_at=NOON)
    scan(NOON + SECOND)
    assert Alert.objects.get().acknowledged_at
    at.fills()
    scan(NOON + 2 * SECOND)
    assert Alert.objects.get().acknowledged_at is None


def test_a_rule_that_is_switched_off_ends_its_alert(at):
    rule = at.rule()
    at.fills()
    scan(NOON)
    rule.is_enabled = False
    rule.save()
    at.fills()
    scan(NOON + HOUR)
    alert = Alert.objects.get()
    assert (alert.is_open, alert.count) == (False, 1)


# --- quiet hours -------------------------------------------------------------------------------------


def test_the_quiet_hours_of_the_owner_are_kept_and_told_in_one_message(at):
    User.objects.filter(pk=at.owner.pk).update(time_zone="Europe/Berlin")
    at.owner.refresh_from_db()
    channel = at.channel("hook", "json://example.org/x")
    quiet = {"channels": (channel,), "quiet_from": time(22), "quiet_to": time(7)}
    at.rule(cooldown_seconds=60, **quiet)
    at.rule(severity=Severity.CRITICAL, **quiet)
    night = NOON.replace(hour=21, minute=0)  # 22:00 in Berlin
    for minutes in range(0, 9 * 60, 10):
        at.fills(1, night + minutes * MINUTE)
        scan(night + minutes * MINUTE)
    soft, critical = Alert.objects.order_by("rule")
    assert (soft.count, soft.parts) == (54, 0)
    assert critical.parts > 1

    scan(night + 9 * HOUR)  # 07:00 in Berlin
    assert Delivery.objects.filter(alert=soft).count() == 1
    assert "And 53 more like it" in Delivery.objects.get(alert=soft).text


# --- measures ----------------------------------------------------------------------------------------


def test_a_level_is_told_when_it_is_passed_and_not_while_it_is(at):
    at.rule(AlertKind.PRICE, symbol=SYMBOL, threshold=D(110), cooldown_seconds=10)
    for step, price in enumerate(["100", "110", "120", "109", "111"]):
        priced(price)
        scan(NOON + step * MINUTE)
    found = Alert.objects.order_by("pk")
    assert [alert.text for alert in found] == [
        f"{SYMBOL} is at 110; the level is above 110.",
        f"{SYMBOL} is at 111; the level is above 110.",
    ]


def test_a_level_that_is_changed_is_waited_for_anew(at):
    level = {"owner": at.owner, "kind": AlertKind.PRICE, "symbol": SYMBOL, "cooldown_seconds": 10}
    rule = at.rule(AlertKind.PRICE, symbol=SYMBOL, threshold=D(110), cooldown_seconds=10)
    priced("120")
    scan(NOON)
    scan(NOON + MINUTE)
    save_rule(RuleWish(**level, threshold=D(115)), by=at.owner, rule=rule)
    scan(NOON + 2 * MINUTE)
    scan(NOON + 3 * MINUTE)
    assert [alert.text for alert in Alert.objects.order_by("pk")] == [
        f"{SYMBOL} is at 120; the level is above 110.",
        f"{SYMBOL} is at 120; the level is above 115.",
    ]


def test_a_rule_that_is_about_something_else_begins_another_alert(at):
    rule = at.rule()
    at.fills()
    scan(NOON)
    save_rule(RuleWish(owner=at.owner, kind=AlertKind.DENIAL), by=at.owner, rule=rule)
    at.tell(EventKind.NOTICE, {"kind": "ORDER_REJECTED", "symbol": SYMBOL, "text": "no"})
    scan(NOON + SECOND)
    told = Alert.objects.order_by("pk").values_list("kind", "count", "is_open")
    assert list(told) == [("FILL", 1, False), ("DENIAL", 1, True)]


def test_drawdown_and_profit(at):
    at.rule(AlertKind.DRAWDOWN, threshold=D(5))
    at.rule(AlertKind.PNL, threshold=D(-400), direction=Direction.BELOW)
    hold(at.bot, [(SYMBOL, "1", "10000")])
    models.BotState.objects.update(peak_nav=10_000)
    priced("9601")
    scan(NOON)
    assert not Alert.objects.exists()
    priced("9500")
    scan(NOON)
    assert sorted(Alert.objects.values_list("text", flat=True)) == [
        "Equity is 5% below its peak; the level is 5%.",
        "Profit and loss is -500 USDT; the level is below -400.",
    ]


def test_funding_of_the_owners_day(at):
    at.rule(AlertKind.FUNDING, threshold=D(3))
    for number, (when, amount) in enumerate([(NOON - 24 * HOUR, -9), (NOON - HOUR, -3)]):
        models.LedgerEntry.objects.create(
            bot=at.bot, sequence=100 + number, at=when, kind="FUNDING", amount=amount, key=str(number)
        )  # fmt: skip
    scan(NOON)
    assert Alert.objects.get().text == "Funding paid today is 3 USDT; the level is 3."


def test_a_position_without_a_stop_is_told_at_the_second_look(at):
    at.rule(AlertKind.NAKED_POSITION)
    hold(at.bot, [(SYMBOL, "1", "100")])
    priced("100")
    scan(NOON)
    assert not Alert.objects.exists()
    scan(NOON + 15 * SECOND)
    scan(NOON + 30 * SECOND)
    alert = Alert.objects.get()
    assert (alert.count, alert.severity) == (1, Severity.CRITICAL)


def test_a_bot_that_is_silent(at):
    at.rule(AlertKind.BOT_SILENT, threshold=D(3))
    models.Bot.objects.update(started_at=NOON, interval_seconds=60)
    scan(NOON + 179 * SECOND)
    assert not Alert.objects.exists()
    at.tell(EventKind.BOT, {"act": "start_bot"}, at=NOON + 170 * SECOND)  # paused and started again
    scan(NOON + 180 * SECOND)
    scan(NOON + 340 * SECOND)
    assert not Alert.objects.exists()
    models.TradingCycle.objects.create(
        id=uuid4(), bot=at.bot, slot="1", status="DONE", owner="o", lease_until=NOON,
        started_at=NOON + 340 * SECOND, outcome="DECIDED",
    )  # fmt: skip
    scan(NOON + 515 * SECOND)
    assert not Alert.objects.exists()
    scan(NOON + 520 * SECOND)
    assert Alert.objects.get().text == "No decision for 3 cycles; the level is 3."
    models.Bot.objects.update(status=BotStatus.PAUSED)
    Alert.objects.all().delete()
    scan(NOON + HOUR)
    assert not Alert.objects.exists()


def test_denials_and_failures_are_read_from_the_cycle(at):
    at.rule(AlertKind.DENIAL)
    at.rule(AlertKind.MODEL_FAILURE)
    cycle = models.TradingCycle.objects.create(
        id=uuid4(), bot=at.bot, slot="1", status="DONE", owner="o", lease_until=NOON,
        started_at=NOON, outcome="DECIDED", decision="UNREADABLE", reason="no JSON",
        denials=[{"symbol": SYMBOL, "code": "MAX_LEVERAGE", "context": {}}],
    )  # fmt: skip
    at.tell(EventKind.CYCLE, {"id": str(cycle.pk), "slot": "1", "outcome": "DECIDED"})
    scan(NOON)
    denial, failure = Alert.objects.order_by("kind")
    assert denial.text == f"Denied on {SYMBOL}: max leverage."
    assert failure.text == "The model's answer could not be read: no JSON."
    assert failure.path == f"/bots/{at.bot.pk}/decisions/{cycle.pk}/"


# --- how often it asks -------------------------------------------------------------------------------


def asked(now) -> int:
    with CaptureQueriesContext(connection) as captured:
        scan(now)
    return len(captured)


def test_a_quiet_scan_asks_as_often_for_many_bots_and_rules(at):
    default_rules(at.owner)
    at.rule(AlertKind.PRICE, symbol=SYMBOL, threshold=D(500))
    at.rule(AlertKind.FUNDING, threshold=D(500))
    models.Bot.objects.update(started_at=NOON)
    priced("100")
    scan(NOON)
    scan(NOON)
    before = asked(NOON)
    for number in range(8):
        at.rule(AlertKind.PRICE, symbol=SYMBOL, threshold=D(600 + number))
        bot = paper_bot(owner=at.owner, name=f"bot {number}", started_at=NOON)
        hold(bot, [(SYMBOL, "1", "100")])
    scan(NOON)
    scan(NOON)
    now_asked = asked(NOON)
    assert before <= now_asked <= before + 4  # positions are read once somebody holds any
    for number in range(8, 24):
        bot = paper_bot(owner=at.owner, name=f"bot {number}", started_at=NOON)
        hold(bot, [(SYMBOL, "1", "100")])
    scan(NOON)
    scan(NOON)
    assert asked(NOON) == now_asked <= 25


def test_a_bot_with_news_asks_a_fixed_number_however_many(at):
    at.rule()
    at.rule(AlertKind.DENIAL)
    scan(NOON)
    at.fills(5)
    few = asked(NOON + SECOND)
    at.fills(500)
    assert asked(NOON + 2 * SECOND) <= few


# --- what the database refuses -----------------------------------------------------------------------


def test_one_open_alert_per_rule_and_bot(at):
    at.rule()
    at.fills()
    scan(NOON)
    alert = Alert.objects.get()
    alert.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save(force_insert=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.objects.update(told=2)


def test_a_delivery_is_made_once_per_part(at):
    at.rule(channels=(at.channel("hook", "json://example.org/x"),))
    at.fills()
    scan(NOON)
    one = Delivery.objects.get()
    one.pk, one.message_id = None, uuid4()
    with pytest.raises(IntegrityError), transaction.atomic():
        one.save(force_insert=True)
    for columns in ({"status": "CLAIMED"}, {"status": "SENT"}, {"claimed_until": NOON}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Delivery.objects.update(**columns)


def test_a_cooldown_of_a_week_is_the_longest(at):
    rule = at.rule()
    rule.cooldown_seconds = 8 * 24 * 3600
    with pytest.raises(IntegrityError), transaction.atomic():
        rule.save()
    assert timedelta(seconds=at.rule().cooldown_seconds) == 15 * MINUTE
