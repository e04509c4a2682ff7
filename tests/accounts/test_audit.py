"""The audit trail: who did what, never changed, never with a secret."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core import serializers
from django.db import transaction
from django.db.models import ProtectedError

from llm.hosts import Provider
from llm.models import ProviderKey
from tradingagent.accounts.append_only import AppendOnly
from tradingagent.accounts.models import AuditEntry, Scope, User
from tradingagent.accounts.secrets import HIDDEN, Secret
from tradingagent.accounts.services import SYSTEM, audit, facts


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


def test_it_says_who_did_what_to_which_row(ann):
    audit(ann, "rename", ann, {"name": "a"}, {"name": "b"})

    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.actor_label, entry.action) == (ann, "ann@example.org", "rename")
    assert (entry.target_type, entry.target_id) == ("accounts.User", str(ann.pk))
    assert (entry.before, entry.after) == ({"name": "a"}, {"name": "b"})
    assert str(entry) == f"ann@example.org: rename accounts.User {ann.pk}"


def test_the_program_itself_and_a_thing_without_a_row(db):
    entry = audit(SYSTEM, "rotate_keys", "ENCRYPTION_KEYS")

    assert (entry.actor, entry.actor_label) == (None, "system")
    assert (entry.target_type, entry.target_id, entry.before) == ("ENCRYPTION_KEYS", "", None)


def test_values_become_plain_json(ann):
    after = {
        "money": Decimal("0.10"),
        "at": datetime(2026, 3, 1, tzinfo=UTC),
        "span": timedelta(minutes=5),
        "scopes": {Scope.TRADE, Scope.READ},
        "key": Secret("sk-canary"),
        "deep": [{"key": Secret("sk-canary")}],
    }
    audit(ann, "act", ann, after=after)

    assert AuditEntry.objects.get().after == {
        "money": "0.1",
        "at": "2026-03-01T00:00:00Z",
        "span": "P0DT00H05M00S",
        "scopes": ["READ", "TRADE"],
        "key": HIDDEN,
        "deep": [{"key": HIDDEN}],
    }


def test_a_whole_row_hides_its_secret(ann):
    key = ProviderKey.objects.create(
        owner=ann, provider=Provider.OPENAI, name="mine", key=Secret("sk-canary")
    )

    entry = audit(ann, "create", key, after=facts(key))
    entry.refresh_from_db()

    assert entry.after["key"] == HIDDEN
    assert (entry.after["owner_id"], entry.after["provider"]) == (ann.pk, "OPENAI")


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.save(),
        lambda entry: entry.save(update_fields=["action"]),
        lambda entry: entry.delete(),
        lambda entry: AuditEntry.objects.update(action="other"),
        lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
        lambda entry: AuditEntry.objects.bulk_update([entry], ["action"]),
        lambda entry: AuditEntry.objects.bulk_create(
            [entry], update_conflicts=True, update_fields=["action"], unique_fields=["id"]
        ),
        lambda entry: AuditEntry.objects.update_or_create(
            pk=entry.pk, defaults={"action": "other"}
        ),
        lambda entry: AuditEntry.objects.order_by("pk")[:1].get().delete(),
    ],
)
def test_it_is_never_changed_or_deleted(ann, change):
    entry = audit(ann, "act", ann)
    entry.action = "other"

    with pytest.raises(AppendOnly, match="audit entries are never"), transaction.atomic():
        change(entry)
    assert AuditEntry.objects.get().action == "act"


def test_an_entry_made_up_with_an_old_id_replaces_nothing(ann):
    entry = audit(ann, "act", ann)

    with pytest.raises(Exception, match=r"(?i)unique"):
        AuditEntry(pk=entry.pk, action="other", actor_label="x", target_type="x").save()


def test_a_user_with_a_past_is_not_deleted(ann):
    audit(ann, "act", ann)

    with pytest.raises(ProtectedError):
        ann.delete()


def test_a_restore_takes_entries_back(ann):
    audit(ann, "act", ann, after={"x": 1})
    dump = serializers.serialize("json", AuditEntry.objects.all())

    for loaded in serializers.deserialize("json", dump):
        loaded.save()

    assert AuditEntry.objects.get().after == {"x": 1}
