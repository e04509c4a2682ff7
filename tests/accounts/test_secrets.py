"""A Secret shows itself to nobody but `reveal`; its column keeps a token and can't be searched."""

import copy
import json
import pickle

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError
from django.core.serializers.base import DeserializationError
from django.db import connection, transaction
from django.db.models import F
from hypothesis import given
from hypothesis import strategies as st

from llm.hosts import Provider
from llm.models import ProviderKey
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import HIDDEN, KeysUnusable, Secret, seal

TEXT = "sk-a-key-that-nobody-may-see-7f3a"


@pytest.fixture
def key(db) -> ProviderKey:
    owner = User.objects.create_user("ann@example.org")
    return ProviderKey.objects.create(
        owner=owner, provider=Provider.OPENAI, name="mine", key=Secret(TEXT)
    )


def stored(row: ProviderKey) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM llm_providerkey WHERE id = %s", [row.pk])
        return cursor.fetchone()[0]


# --- The value -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
        lambda secret: json.dumps({"key": secret}, default=str),
        lambda secret: repr({"key": [secret]}),
        lambda secret: str(ValueError(secret)),
    ],
)
@pytest.mark.parametrize("make", [Secret, lambda text: Secret.sealed(seal(Secret(text)))])
def test_it_never_shows_itself(show, make):
    secret = make(TEXT)

    shown = show(secret)

    assert HIDDEN in shown or "\\u2022" in shown
    assert not any(TEXT[start : start + 4] in shown for start in range(len(TEXT) - 3))
    assert "gAAAA" not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_can_t_be_pickled(protocol):
    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(Secret(TEXT), protocol)
    with pytest.raises(TypeError, match="can't be pickled"):
        Secret(TEXT).__getstate__()


def test_json_does_not_know_it():
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_equality_is_of_secrets_only():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) == Secret.sealed(seal(Secret(TEXT)))
    assert Secret(TEXT) != Secret(TEXT + "x")
    assert Secret(TEXT) != TEXT
    assert Secret("ключ") != Secret("key")


def test_it_is_no_key_of_a_dict():
    with pytest.raises(TypeError, match="unhashable"):
        {Secret(TEXT): 1}


def test_copies_reveal_the_same():
    for made in (copy.copy(Secret(TEXT)), copy.deepcopy({"key": Secret(TEXT)})["key"]):
        assert made.reveal() == TEXT


@pytest.mark.parametrize("thing", [None, 7, b"bytes", Secret("x")])
def test_it_is_made_of_a_text(thing):
    with pytest.raises(TypeError, match="made of a text"):
        Secret(thing)


@given(text=st.text())
def test_any_text_survives_sealing(text):
    assert Secret.sealed(seal(Secret(text))).reveal() == text


# --- The keys --------------------------------------------------------------------------------------


def test_the_first_key_seals_and_all_open(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [old]
    token = seal(Secret(TEXT))

    settings.ENCRYPTION_KEYS = [new, old]

    assert Secret.sealed(token).reveal() == TEXT
    assert Fernet(new).decrypt(seal(Secret(TEXT))).decode() == TEXT


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ([], "ENCRYPTION_KEYS holds no key"),
        (["not a key"], "ENCRYPTION_KEYS holds something that is no key"),
        (["c2hvcnQ="], "ENCRYPTION_KEYS holds something that is no key"),
        (["кириллица"], "ENCRYPTION_KEYS holds something that is no key"),
        ([Fernet.generate_key().decode()], "no key of ENCRYPTION_KEYS opens what is stored"),
    ],
)
def test_a_missing_or_wrong_key_is_named_in_a_sentence(settings, keys, sentence):
    token = seal(Secret(TEXT))
    settings.ENCRYPTION_KEYS = keys

    with pytest.raises(KeysUnusable, match=sentence) as caught:
        Secret.sealed(token).reveal()

    assert token not in str(caught.value)
    assert not keys or keys[0] not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("token", ["", "gAAAAA", "x" * 120, "Ж" * 100])
def test_what_is_no_token_is_not_opened(token):
    with pytest.raises(KeysUnusable, match="opens what is stored"):
        Secret.sealed(token).reveal()


# --- The column ------------------------------------------------------------------------------------


def test_it_is_stored_as_a_token_and_read_as_a_secret(key):
    read = ProviderKey.objects.get()

    assert isinstance(read.key, Secret) and read.key.reveal() == TEXT
    assert TEXT not in stored(key) and stored(key).startswith("gAAAAA")
    assert ProviderKey.objects.values_list("key", flat=True).get().reveal() == TEXT


def test_rows_are_read_without_any_key_until_it_is_revealed(key, settings):
    settings.ENCRYPTION_KEYS = []

    row = ProviderKey.objects.get()

    assert f"{row.key}" == HIDDEN
    with pytest.raises(KeysUnusable):
        row.key.reveal()


@pytest.mark.parametrize(
    "store",
    [
        lambda row: row.save(),
        lambda row: row.full_clean(),
        lambda row: ProviderKey.objects.update(key=row.key),
        lambda row: ProviderKey.objects.bulk_create([row]),
        lambda row: ProviderKey.objects.bulk_update([row], ["key"]),
    ],
)
@pytest.mark.parametrize("bare", [TEXT, TEXT.encode(), 7])
def test_a_bare_text_is_refused_everywhere(key, bare, store):
    key.key = bare

    with pytest.raises(TypeError, match="takes a Secret"), transaction.atomic():
        store(key)
    assert ProviderKey.objects.get().key.reveal() == TEXT


@pytest.mark.parametrize(
    "condition",
    [
        {"key": Secret(TEXT)},
        {"key__exact": TEXT},
        {"key__in": [TEXT]},
        {"key__contains": "sk"},
        {"key__startswith": "gAAAA"},
        {"key__regex": "."},
        {"key__gt": ""},
        {"key__length": 3},
        {"key": F("name")},
    ],
    ids=lambda condition: next(iter(condition)),
)
def test_it_can_t_be_searched(key, condition):
    with pytest.raises(FieldError, match="key is encrypted"):
        ProviderKey.objects.filter(**condition).exists()


def test_whether_there_is_one_can_be_asked(key):
    assert ProviderKey.objects.filter(key__isnull=False).count() == 1


@pytest.mark.parametrize("kind", ["json", "jsonl", "xml", "python"])
def test_a_dump_holds_the_token_and_is_taken_back(key, kind):
    token = stored(key)

    dump = serializers.serialize(kind, ProviderKey.objects.all())

    assert TEXT not in str(dump) and token in str(dump)
    ProviderKey.objects.all().delete()
    for loaded in serializers.deserialize(kind, dump):
        loaded.save()
    assert ProviderKey.objects.get().key.reveal() == TEXT


def test_a_clear_text_in_a_fixture_is_refused(key):
    dump = serializers.serialize("json", ProviderKey.objects.all())

    with pytest.raises(DeserializationError, match="takes a Secret"):
        list(serializers.deserialize("json", dump.replace(stored(key), TEXT)))
