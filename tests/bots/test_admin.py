"""The desk in the admin: every page answers, without a query per row; the acts go through the services."""

import pytest
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import enqueue as enqueuing
from bots import models
from bots.admin import BoundedPaginator
from bots.domain.bot import BotStatus
from market.domain.numbers import plain
from tests.architecture.test_models import our_models
from tests.bots.bulk_rows import a_row_of_each, fill
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import AuditEntry, User

pytestmark = pytest.mark.django_db(transaction=True)
OURS = [model for model in our_models() if model._meta.app_label == "bots"]
ROWS = [model for model in OURS if model is not models.TradingHalt]


def page(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


@pytest.fixture(autouse=True)
def sent(monkeypatch) -> list[str]:
    """The tasks that were put in a queue."""
    found: list[str] = []

    class App:
        @staticmethod
        def send_task(name: str, kwargs: dict) -> None:
            found.append(name)

    monkeypatch.setattr(enqueuing, "current_app", App)
    return found


@pytest.fixture
def bot() -> models.Bot:
    made = paper_bot(name="first", status=BotStatus.DRAFT)
    a_row_of_each(made)
    return made


@pytest.fixture
def site(client, bot):
    root = User.objects.create_superuser("root@example.org")
    client.force_login(root)
    client.root = root
    return client


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_lists_ask_as_often_for_many_rows(site, bot, model):
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert site.get(page(model, "changelist")).status_code == 200
        return len(caught)

    queries()
    few = queries()
    for _ in range(3):
        a_row_of_each(paper_bot())
    fill(bot, 20, first=5)

    assert queries() <= few
    found = site.get(page(model, "changelist"), {"q": "no such thing"})
    assert found.status_code == 200


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_rows_are_looked_at_and_never_edited(site, model):
    row = model._default_manager.first()

    shown = site.get(page(model, "change", row.pk))

    assert shown.status_code == 200
    assert b'name="_save"' not in shown.content
    assert site.post(page(model, "change", row.pk), {}).status_code == 403
    assert site.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    if model in ROWS:
        assert site.get(page(model, "add")).status_code == 403


def test_the_rows_of_one_bot(site, bot):
    other = paper_bot()
    a_row_of_each(other)

    shown = site.get(page(models.Order, "changelist"), {"bot__id__exact": str(bot.pk)})

    assert {row.bot_id for row in shown.context["cl"].result_list} == {bot.pk}
    links = site.get(page(models.Bot, "change", bot.pk)).content.decode()
    assert f"{page(models.Order, 'changelist')}?bot__id__exact={bot.pk}" in links
    assert page(models.BotState, "change", bot.pk) in links
    assert reverse("admin:market_simaccount_change", args=[bot.sim_account_id]) in links


def test_a_cycle_shows_its_record(site, bot):
    cycle = models.TradingCycle.objects.filter(bot=bot).first()

    shown = site.get(page(models.TradingCycle, "change", cycle.pk))

    assert b"&quot;outcome&quot;: &quot;DECIDED&quot;" in shown.content


def test_a_list_is_counted_no_further_than_it_is_shown(bot, monkeypatch):
    monkeypatch.setattr("bots.admin.MOST_COUNTED", 3)
    fill(bot, 9, first=5)

    with CaptureQueriesContext(connection) as caught:
        assert BoundedPaginator(models.Event.objects.order_by("-id"), 2).count == 3

    assert "LIMIT 3" in caught[0]["sql"]


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
def test_no_list_counts_a_whole_table(model):
    shown = admin.site.get_model_admin(model)

    assert not shown.show_full_result_count
    assert shown.paginator is BoundedPaginator or model is models.Bot


# --- acts ------------------------------------------------------------------------------------------


def act(site, name: str, *rows) -> str:
    answer = site.post(
        page(type(rows[0]), "changelist"),
        {"action": name, "_selected_action": [row.pk for row in rows]},
        follow=True,
    )
    return " ".join(str(message) for message in answer.context["messages"])


def test_start_and_pause(site, bot, sent):
    started = act(site, "start", bot)
    bot.refresh_from_db()
    assert (bot.status, started) == (BotStatus.ACTIVE, "first: started.")
    assert sent == ["bots.run_cycle"]
    entry = AuditEntry.objects.get(action="start_bot")
    assert (entry.actor, entry.target_id) == (site.root, str(bot.pk))

    assert act(site, "pause", bot) == "first: paused."
    bot.refresh_from_db()
    assert bot.status == BotStatus.PAUSED


def test_a_refusal_is_said_and_the_others_go_on(site, bot):
    second = paper_bot(name="second", status=BotStatus.ACTIVE)

    said = act(site, "pause", bot, second)

    assert said == "first: first is DRAFT: it can't become PAUSED. second: paused."


def test_flatten_asks_for_an_action(site, bot, sent):
    assert act(site, "flatten", bot) == "first: is being closed."

    asked = models.ManualAction.objects.exclude(request_id="r").get()
    assert (asked.bot, asked.kind, asked.requested_by) == (bot, "FLATTEN", "root@example.org")
    assert sent == ["bots.perform_action"]


def test_halt_and_resume_a_bot(site, monkeypatch):
    monkeypatch.setattr("bots.services.halting._resume_breakers", lambda *_: False)
    bot = paper_bot(name="third")

    assert act(site, "halt", bot) == "third: halted."
    bot.refresh_from_db()
    assert bot.is_halted
    assert act(site, "resume", bot) == "third: resumed."
    bot.refresh_from_db()
    assert not bot.is_halted
    assert act(site, "resume", bot) == "third: nothing is halted here."


def test_an_operator_who_may_only_look_has_no_acts(client, bot):
    looker = User.objects.create_user("looker@example.org", is_staff=True)
    codenames = ("view_bot", "view_tradinghalt")
    looker.user_permissions.set(
        admin.site.get_model_admin(models.Bot).opts.apps.get_model("auth", "Permission")
        .objects.filter(codename__in=codenames)
    )  # fmt: skip
    client.force_login(looker)

    shown = client.get(page(models.Bot, "changelist"))
    assert shown.status_code == 200 and b'name="action"' not in shown.content
    act(client, "start", bot)
    bot.refresh_from_db()
    assert bot.status == BotStatus.DRAFT
    assert client.get(page(models.TradingHalt, "add")).status_code == 403


# --- halts -----------------------------------------------------------------------------------------


def test_adding_a_halt_halts(site, bot):
    others = paper_bot(User.objects.create_user("bob@example.org"))

    answer = site.post(
        page(models.TradingHalt, "add"), {"scope": "ALL", "reason": "fire"}, follow=True
    )

    halt = models.TradingHalt.objects.get(scope="ALL")
    assert (halt.reason, halt.halted_by) == ("fire", "root@example.org")
    assert all(models.Bot.objects.values_list("is_halted", flat=True))
    assert AuditEntry.objects.get(action="halt").actor == site.root
    said = " ".join(str(message) for message in answer.context["messages"])
    assert "2 bots halted, 0 entries were under way." in said

    assert "resumed" in act(site, "resume", halt)
    others.refresh_from_db()
    assert not others.is_halted


@pytest.mark.parametrize(
    "wanted", [{"scope": "BOT"}, {"scope": "USER"}, {"scope": "ALL", "user": True}, {"scope": ""}]
)
def test_a_halt_that_does_not_say_whom_is_refused(site, wanted):
    before = models.TradingHalt.objects.count()
    given = {key: site.root.pk if value is True else value for key, value in wanted.items()}

    answer = site.post(page(models.TradingHalt, "add"), given)

    assert answer.status_code == 200
    assert b"A halt of scope BOT names a bot" in answer.content
    assert models.TradingHalt.objects.count() == before


def test_a_user_s_halt_covers_their_bots(site, bot):
    bob = User.objects.create_user("bob@example.org")
    theirs = paper_bot(bob)

    site.post(page(models.TradingHalt, "add"), {"scope": "USER", "user": bob.pk})

    theirs.refresh_from_db()
    bot.refresh_from_db()
    assert (theirs.is_halted, bot.is_halted) == (True, False)


def test_amounts_are_shown_without_the_zeros_of_their_columns(site, bot):
    shown = site.get(page(models.Order, "changelist")).content.decode()
    order = models.Order.objects.get()
    assert f"{plain(order.quantity)}</td>" in shown
    assert "000000000000" not in shown.split("<tbody>")[1].split("</tbody>")[0]
