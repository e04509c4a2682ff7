"""What a door may ask of alerts: channels, rules, the inbox; whose they are; what is written down of it."""

from datetime import UTC, datetime, time
from decimal import Decimal as D

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import models as desk
from bots.alerts import queries, services, tasks
from bots.alerts.domain import KINDS, AlertKind, Direction, Severity
from bots.alerts.models import Alert, AlertChannel, AlertCursor, AlertRule, ChannelKind, Delivery
from bots.alerts.scanning import scan
from bots.alerts.services import AlertRefused, RuleWish
from bots.alerts.summaries import summarize
from market.models import LatestPrice
from tests.alerts.scenes import HOUR, MINUTE, NOON, mail_server, scene, webhook
from tests.architecture.test_models import our_models
from tests.bots.bulk_rows import trade_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.access import NotYours
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.secrets import Secret

pytestmark = pytest.mark.django_db(transaction=True)
OURS = [model for model in our_models() if model._meta.app_label == "alerts"]


@pytest.fixture
def at():
    return scene()


@pytest.fixture
def stranger() -> User:
    return User.objects.create_user("stranger@example.org")


def acts() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


# --- channels ----------------------------------------------------------------------------------------


def test_a_channel_is_made_changed_tried_and_deleted(at, on_this_machine):
    with webhook() as hook:
        channel = at.channel("hook", hook.url)
        assert services.test_channel(channel, by=at.owner) == "A message was sent to hook."
        hook.statuses = [403]
        said = services.test_channel(channel, by=at.owner)
        assert said == "Nothing could be sent to hook: the service answered 403."
        assert len(hook.taken) == 1
    changed = services.change_channel(
        channel, by=at.owner, name="mine", address=Secret("ntfys://topic"), is_enabled=False
    )
    assert (changed.name, changed.scheme, changed.is_enabled) == ("mine", "ntfys", False)
    assert AlertChannel.objects.get().address.reveal() == "ntfys://topic"
    services.delete_channel(changed, by=at.owner)
    assert not AlertChannel.objects.exists()
    assert acts() == [
        "create_channel", "test_channel", "test_channel", "change_channel", "delete_channel"
    ]  # fmt: skip


def test_a_channel_may_be_added_to_every_rule(at):
    at.rule()
    services.create_channel(
        owner=at.owner, name="n", kind=ChannelKind.APPRISE, address=Secret("ntfys://topic"),
        by=at.owner, to_all_rules=True,
    )  # fmt: skip
    assert [one.name for one in AlertRule.objects.get().channels.all()] == ["n"]


@pytest.mark.parametrize(
    ("name", "address", "why"),
    [
        ("", "ntfys://topic", "a channel needs a name"),
        ("taken", "ntfys://topic", "there is a channel 'taken' already"),
        ("n", "syslog://", "messages are not sent by 'syslog'"),
        ("n", "json://localhost/x", "the host is on this machine or a private network"),
        ("x" * 61, "ntfys://topic", "name: Ensure this value has at most 60 characters"),
    ],
)
def test_a_channel_is_refused(at, name, address, why):
    at.channel("taken", "ntfys://topic")
    with pytest.raises(AlertRefused, match=why[:40]):
        at.channel(name, address)
    assert AlertChannel.objects.count() == 1


def test_staff_may_reach_this_machine(at):
    User.objects.filter(pk=at.owner.pk).update(is_staff=True)
    at.owner.refresh_from_db()
    with webhook() as hook:
        assert services.test_channel(at.channel("hook", hook.url), by=at.owner).startswith("A mess")


def test_mail_goes_to_the_address_one_signs_in_with(at, settings):
    with pytest.raises(AlertRefused, match="sign in with"):
        at.channel("mail", "victim@example.org", ChannelKind.EMAIL)
    with pytest.raises(AlertRefused, match="no e-mail address"):
        at.channel("mail", "a@b\r\nBcc: victim@example.org", ChannelKind.EMAIL)
    channel = at.channel("mail", at.owner.email.upper(), ChannelKind.EMAIL)
    with mail_server(settings) as box:
        assert services.test_channel(channel, by=at.owner) == "A message was sent to mail."
    assert len(box.taken) == 1


# --- rules -------------------------------------------------------------------------------------------


def test_a_rule_is_made_changed_and_deleted(at):
    rule = at.rule(AlertKind.DRAWDOWN, threshold=D(5))
    assert (rule.severity, rule.direction) == (Severity.WARNING, Direction.ABOVE)
    wish = RuleWish(
        owner=at.owner, kind=AlertKind.PNL, threshold=D(-5), direction=Direction.BELOW,
        severity=Severity.CRITICAL, quiet_from=time(22), quiet_to=time(7), bot=at.bot,
    )  # fmt: skip
    services.save_rule(wish, by=at.owner, rule=rule)
    rule = AlertRule.objects.get()
    assert (rule.kind, rule.threshold, rule.direction) == ("PNL", D(-5), "BELOW")
    at.fills()
    services.delete_rule(rule, by=at.owner)
    assert acts() == ["save_rule", "save_rule", "delete_rule"]
    assert AuditEntry.objects.order_by("pk")[1].before["kind"] == "DRAWDOWN"


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ({"kind": AlertKind.DRAWDOWN}, "needs a level"),
        ({"kind": AlertKind.FILL, "threshold": D(1)}, "has no level"),
        ({"kind": AlertKind.PRICE, "threshold": D(1)}, "names the instrument"),
        ({"kind": AlertKind.FILL, "symbol": "X"}, "names the instrument"),
        ({"quiet_from": time(1)}, "quiet hours"),
        ({"quiet_from": time(1), "quiet_to": time(1)}, "quiet hours"),
        ({"cooldown_seconds": 9}, "between two messages"),
        ({"cooldown_seconds": 10**6}, "between two messages"),
    ],
)
def test_a_rule_is_refused(at, wish, why):
    with pytest.raises(AlertRefused, match=why):
        at.rule(**wish)


def test_a_rule_has_bots_and_channels_of_its_owner(at, stranger):
    with pytest.raises(AlertRefused, match="of yours"):
        at.rule(bot=paper_bot(owner=stranger))
    theirs = services.create_channel(
        owner=stranger, name="c", kind=ChannelKind.APPRISE, address=Secret("ntfys://t"), by=stranger
    )
    with pytest.raises(AlertRefused, match="of yours"):
        at.rule(channels=(at.channel("d", "ntfys://t"), theirs))


def test_the_usual_rules_are_made_once_for_everybody_who_has_a_bot(at, stranger):
    tasks.scan()
    made = AlertRule.objects.filter(owner=at.owner)
    assert {rule.kind for rule in made} >= {"STOP_HIT", "BREAKER", "NAKED_POSITION", "BOT_SILENT"}
    assert "FILL" not in {rule.kind for rule in made}
    assert not AlertRule.objects.filter(owner=stranger).exists()
    made.delete()
    tasks.scan()  # who deleted them does not want them
    assert not AlertRule.objects.exists()
    assert services.default_rules(at.owner) and not services.default_rules(at.owner)


def test_every_usual_rule_can_be_saved(at):
    for row in KINDS.values():
        level = (row.usual or D(1)) if row.unit else None
        symbol = SYMBOL if row.kind is AlertKind.PRICE else ""
        at.rule(row.kind, threshold=level, symbol=symbol)


# --- the inbox ---------------------------------------------------------------------------------------


def test_the_inbox_of_one_user(at, stranger):
    at.rule()
    at.rule(AlertKind.FILL, bot=at.bot)
    at.fills()
    scan(NOON)
    first, second = Alert.objects.order_by("-pk")
    assert queries.unread_count(at.owner) == 2
    page = queries.inbox(at.owner, limit=1)
    assert page.items == (first,)
    assert queries.inbox(at.owner, limit=1, after=page.next).items == (second,)
    assert services.acknowledge(stranger, [first.pk]) == 0
    assert services.acknowledge(at.owner, [first.pk]) == 1
    assert queries.inbox(at.owner, unread=True).items == (second,)
    assert services.acknowledge(at.owner) == 1
    assert services.acknowledge(at.owner) == 0
    assert queries.unread_count(at.owner) == queries.unread_count(stranger) == 0
    assert queries.inbox(stranger).items == ()
    assert acts()[-2:] == ["acknowledge_alerts"] * 2


def test_rows_of_others_are_not_there(at, stranger):
    channel = at.channel("c", "ntfys://topic")
    rule = at.rule(channels=(channel,))
    at.fills()
    scan(NOON)
    assert queries.channel_of(at.owner, channel.pk) == channel
    assert queries.rule_of(at.owner, rule.pk) == rule
    assert len(queries.delivery_log(at.owner).items) == 1
    for find, key in ((queries.channel_of, channel.pk), (queries.rule_of, rule.pk)):
        with pytest.raises(NotYours):
            find(stranger, key)
    for found in (queries.delivery_log(stranger).items, queries.rules_of(stranger)):
        assert not found
    assert queries.channels_of(stranger) == []


# --- the day in short --------------------------------------------------------------------------------


def test_the_day_in_short_once_after_the_owners_midnight(at):
    User.objects.filter(pk=at.owner.pk).update(time_zone="Europe/Berlin")
    at.owner.refresh_from_db()
    rule = at.rule(AlertKind.DAILY_SUMMARY, channels=(at.channel("c", "ntfys://topic"),))
    midnight = datetime(2026, 3, 1, 23, tzinfo=UTC)
    AlertRule.objects.filter(pk=rule.pk).update(created_at=NOON)
    yesterday, earlier = trade_row(at.bot, 1), trade_row(at.bot, 2)
    yesterday.closed_at, earlier.closed_at = NOON, NOON - 24 * HOUR
    desk.ClosedTrade.objects.bulk_create([yesterday, earlier])

    assert summarize(midnight - MINUTE) == 0
    assert summarize(midnight) == 1
    assert summarize(midnight + HOUR) == summarize(midnight + 23 * HOUR) == 0
    assert Alert.objects.get().text == (
        "Sunday, 01 March 2026.\nMomentum: 1 trade closed, net 0.8; equity now 10,000 USDT."
    )
    assert Delivery.objects.get().text.endswith("http://localhost:8000/")
    assert summarize(midnight + 24 * HOUR) == 1


def test_a_rule_of_today_says_nothing_of_yesterday(at):
    rule = at.rule(AlertKind.DAILY_SUMMARY)
    AlertRule.objects.filter(pk=rule.pk).update(created_at=NOON)
    assert summarize(NOON + HOUR) == 0
    assert summarize(NOON + 12 * HOUR) == 1


# --- tasks and the admin -----------------------------------------------------------------------------


def test_the_tasks_do_it_all(at, on_this_machine):
    with webhook() as hook:
        at.rule(channels=(at.channel("hook", hook.url),))
        at.fills(at=datetime.now(UTC))
        tasks.scan()
        tasks.deliver()
        tasks.deliver()
    assert len(hook.taken) == 1


def test_a_step_that_fails_does_not_stop_the_others(at, monkeypatch, caplog):
    monkeypatch.setattr(services, "welcome", lambda: 1 / 0)
    at.rule()
    at.fills(at=datetime.now(UTC))
    tasks.scan()
    assert Alert.objects.count() == 1
    assert "a scan for alerts failed" in caplog.text


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_the_admin_shows_rows_without_a_query_for_each(client, at, model):
    client.force_login(User.objects.create_superuser("root@example.org"))

    def one_more(name: str) -> None:
        bot = paper_bot(owner=User.objects.create_user(f"{name}@example.org"), name=name)
        other = scene(owner=bot.owner)
        other.rule(bot=bot, channels=(other.channel("c", "ntfys://topic"),))
        other.fills(bot=bot)
        scan(NOON)

    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            assert client.get(reverse(f"{name}_changelist")).status_code == 200
        return len(captured)

    desk.Bot.objects.filter(pk=at.bot.pk).update(name="x")
    one_more("a")
    before = asked()
    desk.Bot.objects.filter(name="Momentum").update(name="y")
    one_more("b")
    assert asked() == before
    row = model._default_manager.first()
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
    page = client.get(reverse(name, args=[row.pk]))
    assert page.status_code == 200
    assert not admin.site._registry[model].has_change_permission(page.wsgi_request)


def test_cursors_and_prices_have_owners(at):
    scan(NOON)
    assert str(AlertCursor.objects.get()) == f"cursor of {at.bot.pk}"
    assert not LatestPrice.objects.exists()
