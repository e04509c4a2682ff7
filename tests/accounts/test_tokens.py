"""API tokens: shown once, kept as a hash, good until revoked, expired or their user is switched off."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction

from tradingagent.accounts.models import ApiToken, AuditEntry, Scope, User
from tradingagent.accounts.services import find_token, issue_token, revoke_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = {Scope.TRADE, Scope.READ}


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def test_a_token_is_found_by_its_text(ann, clock):
    token, text = issue_token(ann, "script", BOTH, None)

    found = find_token(text.reveal())

    assert found == token and found.user == ann
    assert found.scopes == BOTH
    assert text.reveal().startswith(f"{token.prefix}_")
    assert len(text.reveal()) > len(token.prefix) + 40


def test_only_a_hash_is_kept(ann):
    token, text = issue_token(ann, "script", {Scope.READ}, None)

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_apitoken")
        row = str(cursor.fetchall())
    assert text.reveal() not in row
    assert text.reveal().removeprefix(token.prefix + "_") not in row


def test_texts_differ(ann):
    texts = {issue_token(ann, "script", BOTH, None)[1].reveal() for _ in range(20)}

    assert len(texts) == 20


@pytest.mark.parametrize("change", ["", "x", "ta_", "ta", "_", "no_such_token", "ta_ж_ж", "\0"])
def test_nonsense_finds_nothing(ann, change):
    issue_token(ann, "script", BOTH, None)

    assert find_token(change) is None


def test_every_letter_counts(ann):
    _, text = issue_token(ann, "script", BOTH, None)

    for n, letter in enumerate(text.reveal()):
        other = "A" if letter != "A" else "B"
        assert find_token(text.reveal()[:n] + other + text.reveal()[n + 1 :]) is None
    assert find_token(text.reveal() + "A") is None
    assert find_token(text.reveal()[:-1]) is None


def test_it_ends_when_it_expires(ann, clock):
    _, text = issue_token(ann, "script", BOTH, NOW + timedelta(hours=1))

    clock.move_to(NOW + timedelta(minutes=59, seconds=59))
    assert find_token(text.reveal()) is not None
    clock.move_to(NOW + timedelta(hours=1))
    assert find_token(text.reveal()) is None


def test_it_ends_when_it_is_revoked(ann):
    token, text = issue_token(ann, "script", BOTH, None)

    revoked_at = revoke_token(token, ann).revoked_at

    assert find_token(text.reveal()) is None
    assert revoke_token(token, "system").revoked_at == revoked_at
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions == ["issue_token", "revoke_token"]


def test_it_ends_with_its_user(ann):
    _, text = issue_token(ann, "script", BOTH, None)
    User.objects.update(is_active=False)

    assert find_token(text.reveal()) is None


def test_use_is_noted_once_a_minute(ann, clock, django_assert_num_queries):
    token, text = issue_token(ann, "script", BOTH, None)

    def used() -> datetime | None:
        find_token(text.reveal())
        token.refresh_from_db()
        return token.last_used_at

    assert used() == NOW
    clock.move_to(NOW + timedelta(seconds=59))
    assert used() == NOW
    with django_assert_num_queries(1):
        find_token(text.reveal())
    clock.move_to(NOW + timedelta(seconds=60))
    assert used() == NOW + timedelta(seconds=60)


def test_a_token_without_scope_or_future_is_refused(ann, clock):
    with pytest.raises(ValueError, match="needs a scope"):
        issue_token(ann, "script", [], None)
    with pytest.raises(ValueError, match="NOPE"):
        issue_token(ann, "script", ["NOPE"], None)  # type: ignore[list-item]
    with pytest.raises(ValueError, match="in the past"):
        issue_token(ann, "script", BOTH, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"granted": "ADMIN"},
        {"granted": ""},
        {"expires_at": NOW},
        {"revoked_at": NOW - timedelta(1)},
    ],
)
def test_the_database_refuses_what_makes_no_sense(ann, clock, change):
    issue_token(ann, "script", BOTH, None)

    with pytest.raises(IntegrityError), transaction.atomic():
        ApiToken.objects.update(**change)
