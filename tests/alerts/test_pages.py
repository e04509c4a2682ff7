"""The page of alerts: what it shows, whose it is, and what can be asked on it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.alerts.models import Alert, AlertChannel, AlertRule
from bots.alerts.scanning import scan
from bots.alerts.urls import urlpatterns
from tests.alerts.scenes import NOON, scene, webhook
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
POSTED = [one for one in urlpatterns if one.name not in ("alerts", "alerts_unread")]


@pytest.fixture
def at(client):
    at = scene()
    client.force_login(at.owner)
    return at


def shown(answer) -> str:
    return answer.content.decode()


def rule_of(**fields):
    return {"kind": "FILL", "direction": "ABOVE", "cooldown_seconds": "900"} | fields


def test_an_empty_page(client, at):
    page = client.get(reverse("alerts"))
    assert page.status_code == 200
    assert "Nothing to tell" in shown(page)
    assert shown(client.get(reverse("alerts_unread"))).strip() == ""


def test_the_inbox_and_its_count(client, at):
    at.rule()
    at.rule()
    at.fills(3)
    scan(NOON)
    page = shown(client.get(reverse("alerts")))
    assert page.count("Momentum: an order was filled") >= 2
    assert "2 not acknowledged" in page
    assert f'href="/bots/{at.bot.pk}/"' in page
    unread = shown(client.get(reverse("alerts_unread"))).strip()
    assert unread.startswith('<span class="count"') and unread.endswith(">2</span>")
    client.post(reverse("acknowledge_alerts"), {"alert": Alert.objects.first().pk})
    assert ">1</span>" in shown(client.get(reverse("alerts_unread")))
    client.post(reverse("acknowledge_alerts"))
    assert shown(client.get(reverse("alerts_unread"))).strip() == ""


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
