"""A profile is called otherwise, deleted, and stands by name and version in the record of each cycle."""

import pytest
from django.test import Client

from bots import models, stored_record
from bots.queries import cycle_record
from risk.models import RiskProfile
from risk.services import change_profile, rename_profile
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.web.test_limits_page import LIMITS, at, error_of, mine, text_of, told
from tradingagent.accounts.models import AuditEntry, User


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def test_a_profile_is_called_otherwise(client, ann):
    row = mine(ann)
    assert 'value="Mine"' in client.get(at("risk_profile", row)).content.decode()
    for _ in range(2):
        answer = client.post(at("rename_limits", row), {"name": " Calm ", "request_id": "one"})

    row.refresh_from_db()
    assert (row.name, row.version, answer["Location"]) == ("Calm", 1, at("risk_profile", row))
    assert set(told(answer)) == {"Mine is called Calm now. Its limits are as they were."}
    assert AuditEntry.objects.get(action="rename_profile").actor == ann
    again = client.post(at("rename_limits", row), {"name": "Calm"})
    assert "It is called Calm already." in told(again)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("", "required"), ("Taken", "of this name already"), ("RAW", "A preset is called so")],
)
def test_a_name_that_can_not_be_taken_is_said_beside_it(client, ann, name, sentence):
    row, _ = mine(ann), mine(ann, "Taken")

    answer = client.post(at("rename_limits", row), {"name": name})

    row.refresh_from_db()
    assert answer.status_code == 422 and sentence in error_of(answer, "name")
    assert row.name == "Mine" and "Versions" in text_of(answer)


def test_what_no_bot_follows_is_deleted_after_a_question(client, ann):
    row = mine(ann)
    change_profile(row, {"max_leverage": "2"}, by=ann)
    page, question = client.get(at("risk_profile", row)), client.get(at("delete_limits", row))
    assert at("delete_limits", row) in page.content.decode()
    assert "Its 2 versions go with it." in text_of(question)
    assert RiskProfile.objects.filter(owner=ann).exists()

    answer = client.post(at("delete_limits", row))

    assert answer["Location"] == LIMITS and told(answer) == ["Mine is deleted."]
    assert not RiskProfile.objects.filter(owner=ann).exists()
    assert client.get(at("risk_profile", row)).status_code == 404
    assert AuditEntry.objects.get(action="delete_profile").actor == ann


def test_what_a_bot_follows_is_not_deleted_and_says_so(client, ann):
    row = mine(ann)
    paper_bot(ann, name="Wren", risk_profile=row)
    page = client.get(at("risk_profile", row))
    assert at("delete_limits", row) not in page.content.decode()
    assert "It can be deleted when no bot follows it." in text_of(page)

    answer = client.post(at("delete_limits", row))

    assert told(answer) == ["Mine is still followed by Wren, so it stays."]
    assert row.versions.count() == 1


@pytest.mark.django_db(transaction=True)
def test_each_cycle_records_the_version_that_judged_it(monkeypatch, client, ann):
    """A change while the trader thinks judges the next decision, not the one under way."""
    stored_record.forget()  # tests before this one emptied the database
    row = mine(ann)
    desk = paper_desk(monkeypatch, owner=ann, risk_profile=row)
    desk.cycle("2026-01-01T00:00:00Z")
    desk.trader.thinking = lambda: change_profile(row, {"max_leverage": "2"}, by=ann)
    desk.cycle("2026-01-01T00:03:00Z", buys(leverage=8))
    desk.trader.thinking = None
    rename_profile(row, "Calm", by=ann)
    desk.cycle("2026-01-01T00:06:00Z")

    cycles = models.TradingCycle.objects.filter(bot=desk.bot).order_by("slot")
    assert [one.profile for one in cycles] == ["Mine v1", "Mine v1", "Calm v2"]
    judged = [cycle_record(one)["limits"] for one in cycles]
    assert [(one["version"], one["max_leverage"]) for one in judged] == [
        (1, "10"),
        (1, "10"),
        (2, "2"),
    ]
    assert models.Order.objects.get(bot=desk.bot, purpose="ENTRY").leverage == 8
