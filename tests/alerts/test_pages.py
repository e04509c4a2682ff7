"""The page of alerts: what it shows, whose it is, and what can be asked on it."""

import re
from datetime import time
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.alerts.domain import AlertKind
from bots.alerts.models import Alert, AlertChannel, AlertRule
from bots.alerts.scanning import scan
from bots.alerts.services import AlertRefused, RuleWish, save_rule
from bots.alerts.urls import urlpatterns
from bots.models import Bot
from tests.alerts.scenes import NOON, scene, webhook
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
POSTED = [one for one in urlpatterns if one.name not in ("alerts", "change_alert_rule")]


@pytest.fixture
def at(client):
    at = scene()
    client.force_login(at.owner)
    return at


def shown(answer) -> str:
    return answer.content.decode()


def rule_of(**fields):
    return {"kind": "FILL", "direction": "ABOVE", "cooldown_seconds": "900"} | fields


def unread_of(client) -> tuple[str, ...]:
    """What the count says at the side and above, on the page itself; another page has the same."""
    pages = [shown(client.get(reverse(name))) for name in ("alerts", "account_settings")]
    found = [
        re.findall(
            r'id="unread-(?:side|top)">(?:<span class="count" aria-hidden="true">(.*?)</span>)?',
            one,
        )
        for one in pages
    ]
    assert found[0] == found[1]
    return tuple(found[0])


def test_an_empty_page(client, at):
    page = client.get(reverse("alerts"))
    assert page.status_code == 200
    assert "Nothing to tell" in shown(page)
    assert unread_of(client) == ("", "")


def test_the_inbox_and_its_count(client, at):
    at.rule()
    at.rule()
    at.fills(3)
    scan(NOON)
    page = shown(client.get(reverse("alerts")))
    assert page.count("Momentum: an order was filled</a>") == 2
    assert "2 not acknowledged" in page and "× 3" in page
    assert f'href="/bots/{at.bot.pk}/"' in page
    assert unread_of(client) == ("2", "2")
    client.post(reverse("acknowledge_alerts"), {"alert": Alert.objects.first().pk})
    assert unread_of(client) == ("1", "1")
    client.post(reverse("acknowledge_alerts"))
    assert unread_of(client) == ("", "")


def test_a_count_of_many_stays_small(client, at):
    alerts = [
        Alert(
            owner=at.owner, kind="FILL", severity="INFO", first_at=NOON, last_at=NOON, until=NOON,
            is_open=False, title=f"alert {number}",
        )
        for number in range(120)
    ]  # fmt: skip
    Alert.objects.bulk_create(alerts)
    assert unread_of(client) == ("99+", "99+")
    assert " 120 not acknowledged" in shown(client.get(reverse("alerts")))


def test_all_is_what_the_reader_saw_and_he_stays_where_he_was(client, at):
    at.rule()
    at.fills()
    scan(NOON)
    page = shown(client.get(reverse("alerts")))
    up_to = re.search(r'name="up_to" value="(\d+)"', page).group(1)
    at.rule(AlertKind.FILL, bot=at.bot)
    at.fills()
    scan(NOON)
    assert Alert.objects.count() == 2
    client.post(reverse("acknowledge_alerts"), {"up_to": up_to})
    assert unread_of(client) == ("1", "1")
    answer = client.post(reverse("acknowledge_alerts"), {"alert": up_to, "after": "999"})
    assert answer.url == f"{reverse('alerts')}?after=999"
    earlier = shown(client.get(answer.url))
    assert 'name="after" value="999"' in earlier and 'name="up_to"' not in earlier
    assert "data-live" not in earlier  # the first page moves, an earlier one stands still
    assert 'data-live="alerts"' in page


def test_a_channel_from_the_form_to_the_test(client, at, on_this_machine):
    with webhook() as hook:
        typed = {"name": "hook", "kind": "APPRISE", "address": hook.url, "to_all_rules": "on"}
        at.rule()
        client.post(reverse("new_channel"), typed)
        channel = AlertChannel.objects.get()
        assert AlertRule.objects.get().channels.get() == channel
        page = client.post(reverse("test_channel", args=[channel.pk]), follow=True)
        assert "A message was sent to hook." in shown(page)
        assert len(hook.taken) == 1
        assert hook.url not in shown(page)
    client.post(reverse("switch_channel", args=[channel.pk]))
    assert not AlertChannel.objects.get().is_enabled
    client.post(reverse("delete_channel", args=[channel.pk]))
    assert not AlertChannel.objects.exists()


def test_a_refused_address_is_not_shown_again(client, at):
    typed = {"name": "hook", "kind": "APPRISE", "address": "json://127.0.0.1/canary8c02"}
    page = client.post(reverse("new_channel"), typed)
    assert page.status_code == 422
    assert "The host is on this machine or a private network." in shown(page)
    assert "canary8c02" not in shown(page)


def test_a_rule_is_made_and_deleted(client, at):
    assert client.post(reverse("new_alert_rule"), rule_of(bot=at.bot.pk)).status_code == 302
    rule = AlertRule.objects.get()
    assert (rule.kind, rule.bot) == ("FILL", at.bot)
    page = client.post(reverse("new_alert_rule"), rule_of(kind="DRAWDOWN"))
    assert (page.status_code, AlertRule.objects.count()) == (422, 1)
    assert "A rule on drawdown needs a level." in shown(page)
    client.post(reverse("delete_alert_rule", args=[rule.pk]))
    assert not AlertRule.objects.exists()
    client.post(reverse("usual_alert_rules"))
    assert AlertRule.objects.count() > 5


# --- a rule is changed -------------------------------------------------------------------------------


def change(rule) -> str:
    return reverse("change_alert_rule", args=[rule.pk])


def test_a_rule_is_changed(client, at):
    ntfy = at.channel("ntfy", "ntfys://topic")
    rule = at.rule(AlertKind.DRAWDOWN, threshold=D("7.5"), channels=(ntfy,), cooldown_seconds=42)
    page = shown(client.get(change(rule)))
    assert f'href="{change(rule)}"' in shown(client.get(reverse("alerts")))
    for is_now in (
        '<option value="DRAWDOWN" selected>', 'value="7.5"', '<option value="42" selected>42 seconds',
        f'value="{ntfy.pk}" id="rule-channels_0" checked', 'id="rule-is_enabled" checked',
    ):  # fmt: skip
        assert is_now in page
    typed = rule_of(
        kind="PRICE", bot=at.bot.pk, symbol=SYMBOL, threshold="65000.5", direction="BELOW",
        severity="CRITICAL", quiet_from="22:00", quiet_to="07:00", cooldown_seconds="60",
    )  # fmt: skip
    answer = client.post(change(rule), typed, follow=True)
    assert "The rule is changed." in shown(answer)
    now = AlertRule.objects.get()
    assert (now.pk, now.kind, now.bot, now.symbol) == (rule.pk, "PRICE", at.bot, SYMBOL)
    assert (now.threshold, now.direction, now.severity) == (D("65000.5"), "BELOW", "CRITICAL")
    assert (now.quiet_from, now.quiet_to, now.cooldown_seconds) == (time(22), time(7), 60)
    assert (now.is_enabled, list(now.channels.all())) == (False, [])  # what was unticked
    told = AuditEntry.objects.latest("pk")
    assert (told.action, told.actor) == ("save_rule", at.owner)
    assert (told.before["kind"], told.after["kind"]) == ("DRAWDOWN", "PRICE")
    assert (told.before["channels"], told.after["is_enabled"]) == (["ntfy"], False)


def test_a_change_that_changes_nothing_is_not_written_down(client, at):
    rule = at.rule()
    entries = AuditEntry.objects.count()
    client.post(change(rule), rule_of(is_enabled="on", severity="INFO"))
    assert AuditEntry.objects.count() == entries


@pytest.mark.parametrize(
    ("typed", "about", "sentence"),
    [
        ({"kind": "DRAWDOWN"}, "threshold", "A rule on drawdown needs a level."),
        ({"kind": "DRAWDOWN", "threshold": "101"}, "threshold", "A level in % below the peak is 100 at most."),
        (
            {"kind": "DRAWDOWN", "threshold": "0"},
            "threshold",
            "A level of zero or less is always passed: it tells nothing.",
        ),
        ({"kind": "DRAWDOWN", "threshold": "lots"}, "threshold", "Enter a number."),
        ({"kind": "PRICE", "threshold": "1"}, "symbol", "A rule on a price names the instrument"),
        ({"kind": "PRICE", "threshold": "1", "symbol": "DOGE"}, "symbol", "None of your bots trades DOGE."),
        ({"quiet_from": "22:00"}, "quiet_to", "Quiet hours have a beginning and another end."),
        ({"quiet_from": "25:00", "quiet_to": "7"}, "quiet_from", "Enter a valid time."),
        ({"cooldown_seconds": "7"}, "cooldown_seconds", "Select a valid choice."),
        ({"kind": "RUMOUR"}, "kind", "Select a valid choice."),
        ({"bot": "7e57d004-2b97-0e7a-b45f-5387367791cd"}, "bot", "Select a valid choice."),
    ],
)  # fmt: skip
def test_what_is_typed_wrong_is_said_beside_its_field(client, at, typed, about, sentence):
    rule = at.rule()
    for path, rules in ((change(rule), 1), (reverse("new_alert_rule"), 1)):
        page = client.post(path, rule_of(is_enabled="on") | typed)
        assert (page.status_code, AlertRule.objects.count()) == (422, rules)
        beside = re.search(rf'id="rule-{about}-error">.*?<span>(.*?)</span>', shown(page))
        assert beside and beside.group(1).startswith(sentence)
    assert AlertRule.objects.get().kind == "FILL"


@pytest.mark.sqlite
def test_a_level_that_the_database_can_not_keep_is_refused(client, at):
    page = client.post(
        reverse("new_alert_rule"), rule_of(kind="PNL", threshold="12345678901.23456789")
    )
    assert page.status_code == 422
    assert "has 19 digits and SQLite keeps 15" in shown(page)


def test_a_rule_that_is_gone_is_not_made_again(client, at):
    rule = at.rule()
    AlertRule.objects.filter(pk=rule.pk).delete()
    with pytest.raises(AlertRefused, match="somebody deleted it"):
        save_rule(RuleWish(owner=at.owner, kind=AlertKind.FILL), by=at.owner, rule=rule)
    assert client.get(change(rule)).status_code == 404


def test_the_bot_of_a_rule_is_kept_when_it_is_archived(client, at):
    rule = at.rule(bot=at.bot)
    Bot.objects.filter(pk=at.bot.pk).update(status="ARCHIVED")
    assert f'<option value="{at.bot.pk}" selected>' in shown(client.get(change(rule)))


def test_the_rule_of_somebody_else_is_not_there(client, at):
    rule = at.rule()
    client.force_login(User.objects.create_user("stranger@example.org"))
    assert client.get(change(rule)).status_code == 404
    assert client.post(change(rule), rule_of(kind="DENIAL")).status_code == 404
    assert AlertRule.objects.get().kind == "FILL"
    client.logout()
    assert client.get(change(rule)).status_code == client.post(change(rule)).status_code == 302


@pytest.mark.parametrize("pattern", POSTED, ids=lambda one: str(one.name))
def test_nothing_is_done_by_looking_or_by_a_stranger(client, at, pattern):
    channel = at.channel("c", "ntfys://topic")
    rule = at.rule(channels=(channel,))
    at.fills()
    scan(NOON)
    key = rule.pk if "rule" in pattern.name else channel.pk
    address = reverse(pattern.name, args=[key] if pattern.pattern.converters else [])
    assert client.get(address).status_code == 405
    client.logout()
    assert client.post(address).status_code == 302
    client.force_login(User.objects.create_user("stranger@example.org"))
    typed = rule_of(bot=at.bot.pk, channels=channel.pk, name="", alert=Alert.objects.get().pk)
    answer = client.post(address, typed)
    if pattern.pattern.converters:
        assert answer.status_code == 404
    assert (AlertChannel.objects.count(), Alert.objects.get().acknowledged_at) == (1, None)
    assert AlertChannel.objects.get().is_enabled
    assert AlertRule.objects.filter(owner=at.owner).count() == 1
    assert not AlertRule.objects.exclude(owner=at.owner).filter(bot=at.bot).exists()
    page = shown(client.get(reverse("alerts")))
    assert "Momentum" not in page


def test_a_page_that_is_none(client, at):
    assert client.get(reverse("alerts"), {"after": "x"}).status_code == 404
    assert client.post(reverse("acknowledge_alerts"), {"alert": "x"}).status_code == 404


def test_the_page_asks_as_often_for_many_rows(client, at):
    def asked() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(reverse("alerts"))
        return len(captured)

    at.rule(channels=(at.channel("c", "ntfys://topic"),), bot=at.bot)
    at.fills()
    scan(NOON)
    before = asked()
    for number in range(4):
        at.rule(channels=(at.channel(f"c{number}", "ntfys://topic"),), bot=at.bot)
    at.fills()
    scan(NOON)
    assert asked() == before
