"""Messages arrive, late if need be, and once."""

import os
import re
import signal
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from socket import create_server

import pytest
from django.db import transaction

from bots.alerts import delivering
from bots.alerts.apprise_line import SEND_SECONDS
from bots.alerts.delivering import CLAIM, claim, deliver
from bots.alerts.models import (
    Alert,
    AlertChannel,
    AlertCursor,
    ChannelKind,
    Delivery,
    DeliveryStatus,
)
from bots.alerts.scanning import scan
from bots.alerts.services import delete_channel
from tests.alerts.scenes import HOUR, MINUTE, NOON, SECOND, mail_server, scene, webhook
from tests.chaos.processes import fork, in_child
from tests.concurrency.stage import Signal, at_once
from tradingagent.accounts.outward import OutwardCallInTransaction

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at(on_this_machine):
    return scene()


@pytest.fixture
def hook():
    with webhook() as hook:
        yield hook


def told(at, *channels, times: int = 1) -> None:
    """So many messages to each channel, due at noon."""
    for _ in range(times):
        at.rule(channels=channels)
    at.fills()
    scan(NOON)


def after(passed: timedelta):
    return deliver(lambda: NOON + passed)


def test_a_webhook_gets_it_once(at, hook, settings):
    settings.SITE_URL = "https://x.org"
    told(at, at.channel("hook", hook.url + "/path"))
    assert after(timedelta()).sent == 1
    assert after(MINUTE).sent == 0
    [message] = hook.taken
    assert message["title"] == "Momentum: an order was filled"
    assert message["message"].endswith(f"https://x.org/bots/{at.bot.pk}/")
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.sent_at) == ("SENT", 1, NOON)
    assert str(delivery.message_id) == message["id"]


def test_a_dead_webhook_delays_and_neither_loses_nor_doubles(at, hook):
    hook.statuses = [500] * 5
    told(at, at.channel("hook", hook.url))
    passed, tries = timedelta(), []
    while not hook.taken:
        if after(passed).delayed:
            tries.append(passed)
        passed += 15 * SECOND
    waits = [later - sooner for sooner, later in pairwise(tries)]
    assert waits == [MINUTE * 2**number for number in range(4)]
    assert len(hook.taken) == 1
    after(passed + HOUR)
    assert len(hook.taken) == 1
    assert Delivery.objects.get().error == ""


def test_nobody_listens(at):
    with closing(create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    told(at, at.channel("hook", f"json://127.0.0.1:{port}"))
    assert after(timedelta()).delayed == 1
    assert Delivery.objects.get().error == "no answer (ConnectionError)"


def test_it_is_given_up_after_a_day_with_the_reason(at, hook):
    hook.statuses = [404] * 100
    told(at, at.channel("hook", hook.url))
    for quarters in range(4 * 26):
        after(quarters * 15 * MINUTE)
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.error) == ("FAILED", "the service answered 404")
    assert 24 <= delivery.attempts <= 35
    asked = hook.asked
    after(100 * HOUR)
    assert hook.asked == asked


def test_a_channel_that_fails_does_not_hold_the_others_up(at, hook):
    with webhook() as dead:
        dead.statuses = [500] * 100
        told(at, at.channel("dead", dead.url), at.channel("hook", hook.url), times=5)
        done = after(timedelta())
        assert (done.sent, done.delayed, dead.asked) == (5, 1, 1)


def test_mail_has_the_same_id_at_every_try(at, settings):
    with mail_server(settings) as box:
        channel = at.channel("mail", at.owner.email, ChannelKind.EMAIL)
        box.is_dead = True
        told(at, channel)
        assert after(timedelta()).delayed == 1
        assert Delivery.objects.get().error == "the mail server answered 451"
        box.is_dead = False
        assert after(MINUTE).sent == 1
    [mail] = box.taken
    message_id = Delivery.objects.get().message_id
    assert f"Message-ID: <alert-{message_id}@localhost>" in mail
    assert f"To: {at.owner.email}" in mail
    assert "Subject: Momentum: an order was filled" in mail


def test_a_dead_mail_server_delays(at, settings):
    with mail_server(settings) as box:
        told(at, at.channel("mail", at.owner.email, ChannelKind.EMAIL))
    settings.EMAIL_PORT = 1
    assert after(timedelta()).delayed == 1
    assert Delivery.objects.get().error == "it could not be sent (ConnectionRefusedError)"
    with mail_server(settings) as box:
        assert after(MINUTE).sent == 1
        assert len(box.taken) == 1


def test_a_mail_server_that_hangs_up_once_it_has_the_mail_is_not_sent_it_again(at, settings):
    with mail_server(settings) as box:
        box.hangs_up = True
        told(at, at.channel("mail", at.owner.email, ChannelKind.EMAIL))
        assert after(timedelta()).sent == 1
        after(HOUR)
        assert len(box.taken) == 1


def test_a_storm_while_everything_is_dead_comes_late_whole_and_once(at, hook, settings):
    """10,000 events; a mail server and a webhook that are down for the first three quarters of an hour."""
    with mail_server(settings) as box:
        box.is_dead, hook.statuses = True, [503] * 10_000
        channels = (
            at.channel("hook", hook.url),
            at.channel("mail", at.owner.email, ChannelKind.EMAIL),
        )
        at.rule(channels=channels, cooldown_seconds=300)
        passed, told_of = timedelta(), 0
        while passed < 4 * HOUR:
            if told_of < 10_000:
                at.fills(250, NOON + passed)
                told_of += 250
            scan(NOON + passed)
            if passed >= 45 * MINUTE:
                box.is_dead, hook.statuses = False, []
            deliver(lambda at=NOON + passed: at)  # type: ignore[misc]
            passed += MINUTE
    assert told_of == 10_000
    assert set(Delivery.objects.values_list("status", flat=True)) == {"SENT"}
    assert Delivery.objects.filter(attempts__gt=3).exists()
    assert len(hook.taken) == len(box.taken) == Delivery.objects.count() / 2 <= 10
    assert len({one["id"] for one in hook.taken}) == len(hook.taken)
    assert sum(counted(one["message"]) for one in hook.taken) == 10_000
    assert sum(map(counted, box.taken)) == 10_000


def counted(message: str) -> int:
    """How many events a message tells of."""
    more = re.search(r"And ([\d,]+) more like it", message)
    return 1 + (int(more.group(1).replace(",", "")) if more else 0)


def test_what_is_switched_off_or_gone_is_dropped(at, hook):
    off, gone = at.channel("off", hook.url), at.channel("gone", hook.url)
    told(at, off, gone)
    AlertChannel.objects.filter(pk=off.pk).update(is_enabled=False)
    delete_channel(gone, by=at.owner)
    after(timedelta())
    assert sorted(Delivery.objects.values_list("channel_name", "status", "error")) == [
        ("gone", "DROPPED", "the channel is gone"),
        ("off", "DROPPED", "the channel is off"),
    ]
    assert hook.asked == 0


def test_nothing_is_sent_in_a_transaction(at, hook):
    told(at, at.channel("hook", hook.url))
    with pytest.raises(OutwardCallInTransaction), transaction.atomic():
        after(timedelta())
    assert hook.asked == 0


def test_a_late_holder_does_not_overwrite(at, hook):
    told(at, at.channel("hook", hook.url))
    late = claim(NOON)
    assert late is not None
    assert claim(NOON) is None
    assert claim(NOON + CLAIM) is not None
    assert delivering._end(late, DeliveryStatus.PENDING, error="late") == 0
    assert deliver(lambda: NOON + 2 * CLAIM).sent == 1
    assert delivering._end(late, DeliveryStatus.PENDING, error="late") == 0
    assert Delivery.objects.get().status == "SENT"


def test_a_claim_outlasts_a_send_and_is_soon_over():
    assert 2 * timedelta(seconds=SEND_SECONDS) < CLAIM <= 5 * MINUTE


# --- processes ---------------------------------------------------------------------------------------


def test_a_worker_that_dies_with_a_claim_loses_it_and_the_message_is_sent_once(at, hook):
    told(at, at.channel("hook", hook.url))

    def dies() -> None:
        delivering.spoken = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        after(timedelta())

    assert in_child(dies) is None
    assert Delivery.objects.get().status == "CLAIMED"
    assert after(MINUTE).sent == 0
    assert after(CLAIM).sent == 1
    after(2 * CLAIM)
    assert len(hook.taken) == 1
    assert Delivery.objects.get().attempts == 2


def test_a_worker_that_dies_before_it_can_say_that_it_sent_is_known_by_its_id(at, hook):
    told(at, at.channel("hook", hook.url))

    def dies() -> None:
        delivering._end = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment]
        after(timedelta())

    assert in_child(dies) is None
    assert len(hook.taken) == 1
    assert after(CLAIM).sent == 1
    first, second = hook.taken
    assert first["id"] == second["id"] == str(Delivery.objects.get().message_id)
    assert after(2 * CLAIM).sent == 0


def test_two_workers_at_once_send_each_message_once(at, hook):
    told(at, at.channel("hook", hook.url), times=12)
    done = at_once(*[lambda: after(timedelta()).sent] * 2)
    assert sum(done) == 12
    assert len({one["id"] for one in hook.taken}) == len(hook.taken) == 12


def test_two_scanners_at_once_tell_everything_once(at, hook):
    channel = at.channel("hook", hook.url)
    at.rule(channels=(channel,))
    read = 0
    for _ in range(5):
        at.fills(50)
        read += sum(at_once(*[lambda: scan(NOON).events] * 2))
    read += scan(NOON).events
    assert read == 250
    assert sum(Alert.objects.values_list("count", flat=True)) == 250
    assert Delivery.objects.count() == 1


def test_a_scanner_that_dies_in_its_transaction_leaves_everything_to_the_next(at, hook):
    at.rule(channels=(at.channel("hook", hook.url),))
    at.fills(3)
    wrote = Signal()

    def dies() -> None:
        def at_the_end(*_, **__):
            wrote.send()
            os.kill(os.getpid(), signal.SIGKILL)

        AlertCursor.save = at_the_end  # type: ignore[method-assign]
        scan(NOON)

    child = fork(dies)
    wrote.wait()
    child.wait()
    assert not Delivery.objects.exists()
    assert scan(NOON).events == 3
    assert Delivery.objects.count() == 1
