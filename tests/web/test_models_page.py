"""The pages of models: what they say, what they do, and that a key comes out nowhere."""

import re
from datetime import timedelta
from decimal import Decimal as D
from html import unescape
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots import runtime
from bots.forms_models import OUR_NETWORK
from llm.hosts import HOSTS, Provider
from llm.models import Budget, BudgetDay, LLMCall, ModelPrice, ModelProfile, ProviderKey
from llm.services import StillUsed, add_model_profile, create_model_profile, delete_provider_key
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.secrets import Secret

MODELS = reverse("models")
SAID = {"provider": "OPENAI", "model": "gpt-5-mini", "name": "Mine", "key": "", "deadline_seconds": "60"}  # fmt: skip


def canary(name: str = "models") -> str:
    """Put together at run time, so that a page that quotes this file does not hold it."""
    return f"sk-canary-{name}-77e0-a1"


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bob(db) -> User:
    return User.objects.create_user("bob@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def model_of(owner: User, name: str = "Mine", **options: Any) -> ModelProfile:
    values: dict[str, Any] = {
        "provider": Provider.OPENAI,
        "model": "gpt-5-mini",
        "key": Secret(canary()),
    }
    return add_model_profile(owner=owner, name=name, by=owner, **(values | options))


def shared(name: str = "Shared", **options: Any) -> ModelProfile:
    values: dict[str, Any] = {"provider": Provider.DEEPSEEK, "model": "deepseek-chat"} | options
    return create_model_profile(owner=None, name=name, by="command", **values)


def add(client: Client, **changes: str) -> Any:
    return client.post(reverse("new_model"), {**SAID, "key": canary(), **changes})


def told(answer: Any) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def error_of(answer: Any, field: str) -> str:
    found = re.search(
        rf'id="id_{field}-error">(.*?)</span></span>', answer.content.decode(), re.DOTALL
    )
    return "" if found is None else unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


def text_of(answer: Any) -> str:
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split()))


def called(profile: ModelProfile, center: str, **values: Any) -> None:
    values = {
        "at": timezone.now(), "trader": "x", "outcome": "DECIDED", "template_version": 1,
        "input_tokens": 100, "output_tokens": 20, "cost": D("0.01"), **values,
    }  # fmt: skip
    LLMCall.objects.create(profile=profile, cost_center=center, **values)


# --- adding ----------------------------------------------------------------------------------------------


def test_a_model_is_added_with_its_key(client, ann):
    answer = add(client, fallback="", effort="low", temperature="0.5", requests_per_minute="9")

    row = ModelProfile.objects.get(owner=ann)
    assert (answer.status_code, answer["Location"]) == (302, MODELS)
    assert (row.name, row.provider, row.model, row.key_env) == ("Mine", "OPENAI", "gpt-5-mini", "")
    assert row.params == {"effort": "low", "temperature": 0.5}
    assert (row.requests_per_minute, row.deadline_seconds) == (9, 60)
    assert row.provider_key is not None and row.provider_key.key.reveal() == canary()
    assert {one.action for one in AuditEntry.objects.all()} == {
        "create_provider_key", "save_model_profile",
    }  # fmt: skip


def test_a_form_that_is_sent_twice_adds_one_model(client):
    for _ in range(2):
        answer = add(client, request_id="one")

    assert answer["Location"] == MODELS and ModelProfile.objects.count() == 1


def test_a_stored_key_serves_another_model(client, ann):
    key = model_of(ann, "First").provider_key
    assert key is not None

    add(client, key="", stored_key=str(key.pk))

    assert ModelProfile.objects.get(name="Mine").provider_key == key
    assert ProviderKey.objects.count() == 1


REFUSED: list[tuple[dict[str, str], str, str]] = [
    ({"name": ""}, "name", "required"),
    ({"name": "Taken"}, "name", "of this name already"),
    ({"model": ""}, "model", "required"),
    ({"key": ""}, "key", "OpenAI wants a key."),
    ({"provider": "SCRIPTED"}, "provider", "valid choice"),
    ({"provider": "OPENAI_COMPATIBLE"}, "base_url", "Give the host's address."),
    ({"base_url": "nonsense"}, "base_url", "valid URL"),
    ({"base_url": "file:///etc/passwd"}, "base_url", "valid URL"),
    ({"base_url": "http://127.0.0.1:9/v1"}, "base_url", OUR_NETWORK),
    ({"base_url": "http://localhost:9/v1"}, "base_url", OUR_NETWORK),
    ({"base_url": "http://10.0.0.7/v1"}, "base_url", OUR_NETWORK),
    ({"provider": "OLLAMA", "key": ""}, "base_url", "Give its public address."),
    ({"deadline_seconds": "601"}, "deadline_seconds", "600"),
    ({"provider": "ANTHROPIC", "temperature": "1"}, "temperature", "takes no temperature"),
    ({"provider": "QWEN", "effort": "low"}, "effort", "takes no effort"),
    ({"temperature": "9"}, "temperature", "less than or equal to 2"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "sentence"), REFUSED)
def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(
    client, ann, changes, field, sentence
):
    model_of(ann, "Taken")
    before = ModelProfile.objects.count(), ProviderKey.objects.count()

    answer = add(client, **{"token_budget": "4321", **changes})

    assert answer.status_code == 422
    assert sentence in error_of(answer, field)
    html = answer.content.decode()
    assert 'value="4321"' in html and canary() not in html
    assert (ModelProfile.objects.count(), ProviderKey.objects.count()) == before


def test_a_key_of_another_host_or_another_user_can_not_be_chosen(client, ann, bob):
    mine = model_of(ann, "First").provider_key
    theirs = model_of(bob).provider_key
    assert mine is not None and theirs is not None

    wrong = add(client, provider="MISTRAL", key="", stored_key=str(mine.pk))
    foreign = add(client, key="", stored_key=str(theirs.pk))
    both = add(client, stored_key=str(mine.pk))

    assert error_of(wrong, "key") == "This key is for another provider."
    assert "valid choice" in error_of(foreign, "stored_key")
    assert error_of(both, "key") == "Type a key or choose a stored one, not both."


def test_no_variable_of_the_server_can_be_named(client):
    add(client, key_env="OPENAI_API_KEY")

    assert ModelProfile.objects.get().key_env == ""


def test_every_host_is_offered_and_no_script(client):
    html = client.get(reverse("new_model")).content.decode()

    assert set(re.findall(r'<option value="([A-Z_]+)"', html)) == {str(one) for one in HOSTS}


def test_names_come_from_the_prices_of_the_chosen_host(client):
    ModelPrice.objects.all().delete()
    for provider, pattern in (("OPENAI", "gpt-5*"), ("MISTRAL", "large-*"), ("OPENAI", "o[0-9]")):
        ModelPrice.objects.create(
            provider=provider, model_pattern=pattern, valid_from="2025-01-01", input_price=1,
            output_price=2, cached_price=1,
        )  # fmt: skip

    asked = client.get(reverse("new_model"), {"provider": "OPENAI"})

    assert asked.context["names"] == ["gpt-5"]
    assert '<option value="OPENAI" selected>' in asked.content.decode()


# --- the list --------------------------------------------------------------------------------------------


def test_what_a_model_was_asked_and_cost_today(client, ann, bob):
    ModelPrice.objects.all().delete()
    ModelPrice.objects.create(
        provider="OPENAI", model_pattern="gpt-5*", valid_from="2025-01-01", input_price=D("0.25"),
        output_price=2, cached_price=D("0.1"),
    )  # fmt: skip
    mine, ours = model_of(ann), shared()
    bot = paper_bot(ann, name="Wren", trader="", model_profile=mine)
    called(mine, f"user:{ann.pk}")
    called(mine, runtime.cost_center(bot.pk), cost=None, outcome="TIMED_OUT")
    called(mine, f"user:{ann.pk}", at=timezone.now() - timedelta(days=2))
    called(ours, f"user:{bob.pk}")
    BudgetDay.objects.create(
        cost_center=f"user:{ann.pk}", day=timezone.now().date(), money=1_500_000, calls=3
    )

    answer = client.get(MODELS)

    [line] = answer.context["own"]
    assert (line.use.calls, line.use.tokens, line.use.cost, line.use.unknown) == (
        2,
        240,
        D("0.01"),
        1,
    )
    assert line.last is not None and line.last[2] == "too late"
    assert (line.key, line.used_by) == ("stored", ("Wren",))
    [other] = answer.context["shared"]
    assert (other.use.calls, other.last, other.price, other.key) == (0, None, None, "variable")
    text = text_of(answer)
    for wanted in (
        "0.25 in", "2.00 out", "2 calls", "240 tokens", "0.010 USD", "and 1 unknown", "unknown",
        "1.50 USD", "the operator",
    ):  # fmt: skip
        assert wanted in text


def test_unknown_costs_are_never_zero(client, ann):
    called(model_of(ann), f"user:{ann.pk}", cost=None)

    cell = re.search(
        r'data-label="Cost today">(.*?)</td>', client.get(MODELS).content.decode(), re.DOTALL
    )

    assert cell is not None and cell[1] == "unknown"


def test_the_list_takes_as_many_queries_however_long_it_is(client, ann):
    counts = []
    for number in range(1, 4):
        one = model_of(ann, f"m{number}", model=f"gpt-{number}")
        two = model_of(ann, f"n{number}", fallback=one)
        shared(f"s{number}")
        bot = paper_bot(ann, name=f"b{number}", trader="", model_profile=two)
        called(two, runtime.cost_center(bot.pk))
        with CaptureQueriesContext(
            connection,
        ) as seen:
            client.get(MODELS)
        counts.append(len(seen))

    assert counts[0] == counts[1] == counts[2] <= 12  # eight of the page, the rest of the shell


def test_a_shared_model_can_be_asked_and_not_changed(client):
    row = shared()
    html = client.get(MODELS).content.decode()

    assert reverse("check_model", args=[row.pk]) in html
    for name in ("change_model", "delete_model"):
        assert f'href="{reverse(name, args=[row.pk])}"' not in html
        assert client.get(reverse(name, args=[row.pk])).status_code == 404
        assert client.post(reverse(name, args=[row.pk])).status_code == 404
    assert ModelProfile.objects.filter(pk=row.pk).exists()


def test_who_has_none_is_told_what_comes_next(client):
    assert "No model yet" in text_of(client.get(MODELS))


# --- changing and deleting ---------------------------------------------------------------------------------


def change(client: Client, row: ModelProfile, **changes: str) -> Any:
    said = {"name": row.name, "model": row.model, "deadline_seconds": "60", **changes}
    return client.post(reverse("change_model", args=[row.pk]), said)


def test_a_model_is_changed_and_its_key_kept(client, ann):
    row = model_of(ann, params={"structure": "words", "effort": "low"})
    other = model_of(ann, "Other")

    answer = change(
        client, row, name="Ours", deadline_seconds="30", fallback=str(other.pk), max_output_tokens="500"
    )  # fmt: skip

    row.refresh_from_db()
    assert told(answer) == ["Ours is changed."]
    assert (row.name, row.deadline_seconds, row.fallback) == ("Ours", 30, other)
    assert row.params == {"structure": "words", "max_output_tokens": 500}
    assert row.provider_key is not None and row.provider_key.key.reveal() == canary()


def test_a_new_key_replaces_the_old_one_for_all_that_use_it(client, ann):
    row = model_of(ann)
    key = row.provider_key
    model_of(ann, "Other", key=None, provider_key=key)

    change(client, row, key=canary("new"))

    assert ProviderKey.objects.get().key.reveal() == canary("new")


def test_what_is_wrong_with_a_change_changes_nothing(client, ann):
    row = model_of(ann)

    answer = change(client, row, effort="low", temperature="7", key=canary("new"))
    refused = change(client, row, base_url="http://192.168.0.1/v1", key=canary("new"))

    row.refresh_from_db()
    assert (answer.status_code, refused.status_code) == (422, 422)
    assert row.provider_key is not None and row.provider_key.key.reveal() == canary()
    assert canary("new") not in answer.content.decode()


def test_what_nothing_uses_is_deleted_with_its_key(client, ann):
    row = model_of(ann)
    called(row, f"user:{ann.pk}")
    url = reverse("delete_model", args=[row.pk])

    question = client.get(url)
    answer = client.post(url)

    assert "Its stored key “Mine” is deleted with it." in text_of(question)
    assert told(answer) == ["Mine is deleted."]
    assert not ModelProfile.objects.exists() and not ProviderKey.objects.exists()
    assert LLMCall.objects.get().profile is None
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"delete_model_profile", "delete_provider_key"} <= actions


def test_what_is_used_says_by_whom_and_stays(client, ann):
    row = model_of(ann)
    paper_bot(ann, name="Wren", trader="", model_profile=row)
    model_of(ann, "Other", fallback=row)

    page = client.get(reverse("change_model", args=[row.pk]))
    answer = client.post(reverse("delete_model", args=[row.pk]))

    assert "It stays while something uses it: Wren, Other." in text_of(page)
    assert told(answer) == ["Mine is still used by Other, Wren, so it stays."]
    assert ModelProfile.objects.filter(pk=row.pk).exists()
    assert not AuditEntry.objects.filter(action="delete_model_profile").exists()


def test_keys_are_replaced_and_deleted(client, ann):
    row = model_of(ann)
    key = row.provider_key
    assert key is not None

    client.post(reverse("replace_key", args=[key.pk]), {"key": canary("new")})
    empty = client.post(reverse("replace_key", args=[key.pk]), {"key": "  "})
    kept = client.post(reverse("delete_key", args=[key.pk]))
    with pytest.raises(StillUsed):
        delete_provider_key(key, by=ann)
    ModelProfile.objects.all().delete()
    gone = client.post(reverse("delete_key", args=[key.pk]))

    assert (empty.status_code, error_of(empty, "key")) == (422, "This field is required.")
    assert told(kept)[-1] == "Mine (OPENAI) is still used by Mine, so it stays."
    assert told(gone)[-1] == "The key Mine is deleted."
    assert not ProviderKey.objects.exists()


# --- the budget --------------------------------------------------------------------------------------------


def keep_budget(client: Client, money: str, calls: str) -> Any:
    said = {"money_per_day": money, "calls_per_day": calls}
    return client.post(reverse("models_budget"), said)


def test_a_budget_is_kept_shown_and_lifted(client, ann):
    keep_budget(client, "2.50", "100")
    row = Budget.objects.get()
    assert (row.cost_center, row.owner) == (f"user:{ann.pk}", ann)
    assert (row.money_per_day, row.calls_per_day) == (D("2.5"), 100)
    BudgetDay.objects.create(
        cost_center=row.cost_center, day=timezone.now().date(), money=2_000_000, calls=100
    )
    html = client.get(MODELS).content.decode()
    assert 'aria-valuenow="80"' in html and "nearly full" in html and "at the limit" in html

    keep_budget(client, "", "")

    row.refresh_from_db()
    assert (row.money_per_day, row.calls_per_day) == (None, None)
    assert "no limit" in client.get(MODELS).content.decode()


@pytest.mark.parametrize(
    ("money", "calls", "field"),
    [("much", "", "money_per_day"), ("-1", "", "money_per_day"), ("0.0000001", "", "money_per_day"),
     ("NaN", "", "money_per_day"), ("", "-1", "calls_per_day"), ("", "x", "calls_per_day")],
)  # fmt: skip
def test_a_budget_that_is_none_is_refused(client, money, calls, field):
    answer = keep_budget(client, money, calls)

    assert answer.status_code == 422 and error_of(answer, field)
    assert not Budget.objects.exists()


# --- whose, and from where ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["change_model", "delete_model", "check_model"])
def test_a_model_of_somebody_else_is_not_there(client, bob, name):
    row = model_of(bob)
    url = reverse(name, args=[row.pk])

    assert client.post(url, {"name": "x"}).status_code == 404
    assert client.get(url).status_code in (404, 405)
    row.refresh_from_db()
    assert row.name == "Mine"


@pytest.mark.parametrize("name", ["replace_key", "delete_key"])
def test_a_key_of_somebody_else_is_not_there(client, bob, name):
    key = model_of(bob).provider_key
    assert key is not None
    url = reverse(name, args=[key.pk])

    assert [client.get(url).status_code, client.post(url, {"key": "x"}).status_code] == [404, 404]
    assert ProviderKey.objects.get().key.reveal() == canary()


def test_every_form_works_without_script(client, ann):
    """The token that a script would send in a header stands in each form."""
    row = model_of(ann)
    shared()

    for path in (
        MODELS, reverse("new_model"), reverse("change_model", args=[row.pk]),
        reverse("delete_model", args=[row.pk]), reverse("replace_key", args=[row.provider_key_id]),
    ):  # fmt: skip
        html = client.get(path).content.decode()
        assert html.count('method="post"') == html.count('name="csrfmiddlewaretoken"') > 2


def test_a_form_of_another_site_is_refused(ann):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)

    for name in ("new_model", "models_budget"):
        assert strict.post(reverse(name), SAID).status_code == 403
