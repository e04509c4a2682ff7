"""The pages of prompts: versions, what differs between two, what a model would be sent, a new version."""

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots import models, services
from bots.forms_prompts import filled_with
from bots.pages.prompts_page import differences
from llm.hosts import Provider
from llm.models import ModelProfile, PromptTemplate, TemplateInUse
from llm.prompts import EMERGENCY, STANDARD
from llm.services import add_prompt_version, create_model_profile, delete_prompt_template
from market.errors import VenueUnavailable
from tests.bots.paper_desks import paper_bot
from tests.web.test_new_bot import sent
from tradingagent.accounts.models import AuditEntry, User

PROMPTS = reverse("prompts")
SIMPLE = {"system": "You trade.", "user": "{{clock}} {{instruments}}", "settings": {}}


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


def standard() -> PromptTemplate:
    return PromptTemplate.objects.get(owner=None, name="standard")


def version_of(owner: User, name: str = "mine", **content: Any) -> PromptTemplate:
    return add_prompt_version(owner=owner, name=name, by=owner, **(SIMPLE | content))


def model_of(owner: User, name: str = "sonnet") -> ModelProfile:
    return create_model_profile(
        owner=owner, name=name, provider=Provider.OPENAI_COMPATIBLE, by=owner, model="tiny",
        base_url="https://llm.example.org/v1",
    )  # fmt: skip


def use(row: PromptTemplate) -> None:
    PromptTemplate.objects.filter(pk=row.pk).update(used_at=timezone.now())


def url(name: str, row: PromptTemplate) -> str:
    return reverse(name, args=[row.pk])


def write(client: Client, place: str, row: PromptTemplate, **changes: Any) -> Any:
    return client.post(url(place, row), {**filled_with(row), **changes})


def told(answer: Any) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def text_of(answer: Any) -> str:
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split()))


def error_of(answer: Any, field: str) -> str:
    html = answer.content.decode()
    if not field:
        found = re.search(r'class="form-error[a-z ]*" role="alert">(.*?)</p>', html, re.DOTALL)
    else:
        found = re.search(rf'id="id_{field}-error">(.*?)</span></span>', html, re.DOTALL)
    return "" if found is None else unescape(re.sub(r"<[^>]*>", "", found[1])).strip()


# --- the list and a version ----------------------------------------------------------------------------------


def test_versions_stand_by_name_with_the_bots_that_are_sent_them(client, ann, bob):
    first, second = version_of(ann), version_of(ann, system="You trade calmly.")
    version_of(bob, "theirs")
    use(first)
    sonnet = model_of(ann)
    paper_bot(ann, name="Wren", trader="", model_profile=sonnet)
    paper_bot(ann, name="Tern", trader="", model_profile=sonnet, prompt_template=first)
    paper_bot(bob, name="Bobs", trader="", model_profile=model_of(bob))

    answer = client.get(PROMPTS)

    found = {
        group.name: [(line.row.version, line.is_mine, line.is_fixed, line.bots) for line in group.versions]
        for group in answer.context["names"]
    }  # fmt: skip
    assert found == {
        "mine": [(2, True, False, ()), (1, True, True, ("Tern",))],
        "emergency": [(1, False, True, ())],
        "standard": [(1, False, True, ("Wren",))],
    }
    html = answer.content.decode()
    assert "theirs" not in html and "Bobs" not in html
    assert "Used, fixed" in html and "May still change" in html
    assert url("new_prompt", second) in html and url("prompt", first) in html


def test_the_list_takes_as_many_queries_however_long_it_is(client, ann):
    sonnet, counts = model_of(ann), []
    for number in range(3):
        row = version_of(ann, f"name {number}")
        version_of(ann, "mine", system=f"{number}")
        paper_bot(ann, name=f"b{number}", trader="", model_profile=sonnet, prompt_template=row)
        with CaptureQueriesContext(connection) as seen:
            client.get(PROMPTS)
        counts.append(len(seen))

    assert counts[0] == counts[1] == counts[2] <= 7  # two of the page, the rest of the shell


def test_a_version_shows_texts_and_settings(client, ann):
    row = version_of(ann, settings={"series_length": 7, "context_series": []})

    text = text_of(client.get(url("prompt", row)))

    for wanted in ("You trade.", "{{clock}} {{instruments}}", "Values in a series 7", "none"):
        assert wanted in text
    assert "No bot of yours is sent it." in text


# --- a difference ------------------------------------------------------------------------------------------


def test_a_difference_is_told_by_signs_and_words(client, ann):
    lines = [f"line {number}" for number in range(12)]
    old = version_of(ann, system="\n".join(lines))
    new = version_of(
        ann, system="\n".join([*lines[:5], "<b>new</b>", *lines[6:]]), settings={"series_length": 3}
    )

    answer = client.get(url("compare_prompt", new))

    assert answer.context["other"] == old
    system, user, settings = answer.context["parts"]
    assert [(line.kind, line.text) for line in system.lines] == [
        ("gap", "2 lines alike"), ("same", "line 2"), ("same", "line 3"), ("same", "line 4"),
        ("removed", "line 5"), ("added", "<b>new</b>"), ("same", "line 6"), ("same", "line 7"),
        ("same", "line 8"), ("gap", "3 lines alike"),
    ]  # fmt: skip
    assert (user.lines, system.added, system.removed) == ((), 1, 1)
    assert ("added", "Values in a series: 3") in [(one.kind, one.text) for one in settings.lines]
    html = answer.content.decode()
    assert '<ins><span class="hide">added: </span>&lt;b&gt;new&lt;/b&gt;</ins>' in html
    assert '<del><span class="hide">removed: </span>line 5</del>' in html


def test_any_two_versions_can_be_compared(client, ann, bob):
    row, theirs = version_of(ann), version_of(bob)

    answer = client.get(url("compare_prompt", row), {"with": standard().pk})

    assert "From standard version 1 (built in) to mine version 1." in text_of(answer)
    for named in (theirs.pk, 0, "x", "1" * 30):
        assert client.get(url("compare_prompt", row), {"with": named}).status_code == 404


def test_one_that_says_the_same_is_told_so(ann):
    row = standard()

    assert [part.lines for part in differences(row, row)] == [(), (), ()]


# --- a preview ---------------------------------------------------------------------------------------------


def preview(client: Client, row: PromptTemplate, **asked: Any) -> Any:
    return client.get(url("prompt", row), {"preview": "1", **asked})


def test_a_preview_is_what_a_model_would_be_sent(client):
    answer = preview(client, standard(), symbols="ETH/USDT:USDT")

    shown = answer.context["shown"]
    assert "ETH/USDT:USDT" in shown.user and "BTC" not in shown.user
    assert shown.system == STANDARD.system
    text = text_of(answer)
    assert f"About {shown.estimated_tokens:,} tokens" in text and "Nothing was trimmed." in text


def test_a_preview_tells_what_was_trimmed(client):
    answer = preview(client, standard(), tokens="1500")

    assert answer.context["shown"].trimmed
    assert "To fit: series shortened to 5" in text_of(answer)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"symbols": "NO/USDT:USDT"}, "does not list NO/USDT:USDT"),
        ({"venue": "nowhere"}, "valid choice"),
        ({"venue": "binanceusdm"}, "Name at least one"),
        ({"tokens": "x"}, "whole number"),
    ],
)
def test_what_can_not_be_shown_is_a_sentence(client, asked, sentence):
    answer = preview(client, standard(), **asked)

    assert answer.status_code == 200 and "shown" not in answer.context
    assert sentence in error_of(answer, "")


def test_a_silent_venue_is_a_sentence(client, monkeypatch):
    def silent(*_: Any, **__: Any) -> None:
        raise VenueUnavailable("binanceusdm does not answer")

    monkeypatch.setattr(services, "preview_prompt", silent)

    answer = preview(client, standard(), venue="binanceusdm", symbols="BTC/USDT:USDT")

    assert error_of(answer, "") == "Binanceusdm does not answer."


def test_without_being_asked_no_market_is_read(client, monkeypatch):
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("the market was read")

    monkeypatch.setattr(services, "preview_prompt", asked)

    assert client.get(url("prompt", standard())).status_code == 200


# --- a new version -------------------------------------------------------------------------------------------


def test_a_copy_becomes_ones_own_and_a_new_version_the_next(client, ann):
    copied = write(client, "new_prompt", standard(), name="calmer")
    first = PromptTemplate.objects.get(owner=ann)
    again = write(
        client, "new_prompt", first, system="You wait.\r\nYou trade.", series_length="5",
        indicators="ema:10, ta:adx:14 ,", context_series="", bytes_per_token="3.0",
    )  # fmt: skip

    second = PromptTemplate.objects.get(owner=ann, version=2)
    assert copied["Location"] == url("prompt", first)
    assert told(again)[-1] == "calmer v2 is stored. No bot is sent it yet."
    assert (first.system, first.user) == (STANDARD.system, STANDARD.user)
    assert first.to_domain().settings == STANDARD.settings
    assert (second.name, second.system) == ("calmer", "You wait.\nYou trade.")
    settings = second.to_domain().settings
    assert (settings.series_length, settings.indicators) == (5, ("ema:10", "ta:adx:14"))
    assert settings.context_series == ()
    assert AuditEntry.objects.filter(action="save_prompt_template").count() == 2


def test_a_copy_under_the_same_name_reads_unlike_the_built_in_one(client, ann):
    write(client, "new_prompt", standard())

    assert PromptTemplate.objects.get(owner=ann).version == 2


def test_a_form_that_is_sent_twice_stores_one_version(client, ann):
    for _ in range(2):
        write(client, "new_prompt", standard(), request_id="one", name="calmer")

    assert PromptTemplate.objects.filter(owner=ann).count() == 1


REFUSED: list[tuple[dict[str, str], str, str]] = [
    ({"name": " "}, "name", "required"),
    ({"system": ""}, "system", "required"),
    ({"system": "Now {{clock}}"}, "system", "The system text of a template can't hold placeholders."),
    ({"user": "nothing"}, "user", "The user text of a template holds no placeholder."),
    ({"user": "{{weather}}"}, "user", "No section 'weather'"),
    ({"series_length": "0"}, "series_length", "greater than or equal to 1"),
    ({"series_length": "x"}, "series_length", "whole number"),
    ({"bytes_per_token": "0"}, "bytes_per_token", "Above zero."),
    ({"bytes_per_token": "NaN"}, "bytes_per_token", "number"),
    ({"volume_average_bars": "0"}, "volume_average_bars", "greater than or equal to 1"),
    ({"indicators": "EMA 20"}, "indicators", "'EMA 20' is not an indicator's name"),
    ({"context_indicators": "nosuch:3"}, "context_indicators", "'nosuch:3' is no indicator"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "field", "sentence"),
    [
        *(("new_prompt", *one) for one in REFUSED),
        *(("change_prompt", *one) for one in REFUSED[1:]),  # there a version keeps its name
    ],
)
def test_what_is_wrong_stands_beside_its_field(client, ann, name, changes, field, sentence):
    row = version_of(ann, user=STANDARD.user)

    answer = write(client, name, row, **{"series": "mid, rsi:9", **changes})

    assert answer.status_code == 422
    assert sentence in error_of(answer, field)
    assert 'value="mid, rsi:9"' in answer.content.decode()
    assert PromptTemplate.objects.get(owner=ann).settings == {}


def test_what_was_not_used_may_change_and_keeps_its_name(client, ann):
    row = version_of(ann)

    answer = write(client, "change_prompt", row, name="other", system="You wait.")

    row.refresh_from_db()
    assert told(answer) == ["mine v1 is changed."]
    assert (row.name, row.version, row.system) == ("mine", 1, "You wait.")
    assert row.content_hash == row.to_domain().hash


def test_a_used_version_can_not_be_changed_or_deleted_and_says_so(client, ann):
    row = version_of(ann)
    use(row)

    changed = write(client, "change_prompt", row, system="You wait.")
    asked = client.get(url("change_prompt", row))
    deleted = client.post(url("delete_prompt", row))
    page = text_of(client.get(url("prompt", row)))

    assert told(changed) == ["mine v1 was used, so it stays as it is: add a version instead."]
    assert asked["Location"] == url("prompt", row)
    assert told(deleted)[-1] == "mine v1 was used: decisions name it, so it stays."
    assert "A decision was made with it, so it can't be changed: add a version." in page
    row.refresh_from_db()
    assert row.system == "You trade."


def test_a_version_that_is_used_meanwhile_is_not_changed(client, ann, monkeypatch):
    row = version_of(ann)

    def used(*_: Any, **__: Any) -> None:
        raise TemplateInUse("mine v1 was used: add a version instead of changing it")

    monkeypatch.setattr("bots.views.prompts_page.save_prompt_template", used)

    answer = write(client, "change_prompt", row, system="You wait.")

    assert error_of(answer, "") == "Mine v1 was used: add a version instead of changing it."


def test_what_nobody_uses_is_deleted(client, ann):
    row, kept = version_of(ann), version_of(ann)
    paper_bot(ann, name="Wren", trader="", model_profile=model_of(ann), prompt_template=kept)

    assert "Delete mine v1?" in text_of(client.get(url("delete_prompt", row)))
    gone = client.post(url("delete_prompt", row))
    refused = client.post(url("delete_prompt", kept))

    assert told(gone)[-1] == "mine v1 is deleted."
    assert told(refused)[-1] == "mine v2 is still used by Wren, so it stays."
    assert list(PromptTemplate.objects.filter(owner=ann)) == [kept]
    assert AuditEntry.objects.filter(action="delete_prompt_template").count() == 1


def test_a_used_one_is_not_deleted_by_the_service_either(ann):
    row = version_of(ann)
    use(row)

    with pytest.raises(TemplateInUse):
        delete_prompt_template(row, by=ann)
    assert not AuditEntry.objects.filter(action="delete_prompt_template").exists()


# --- a bot with it -------------------------------------------------------------------------------------------


def test_a_bot_of_a_model_is_sent_the_chosen_version(client, ann):
    sonnet, row = model_of(ann), version_of(ann)
    chosen = {"mind": f"model:{sonnet.pk}", "prompt": str(row.pk)}

    client.post(reverse("new_bot"), sent(ann, name="Wren", **chosen))
    client.post(reverse("new_bot"), sent(ann, name="Tern", mind=f"model:{sonnet.pk}"))
    client.post(reverse("new_bot"), sent(ann, name="Rule", prompt=str(row.pk)))

    made = {bot.name: bot.prompt_template for bot in models.Bot.objects.all()}
    assert made == {"Wren": row, "Tern": None, "Rule": None}


def test_what_was_chosen_before_is_chosen_in_the_form(client, ann):
    sonnet, row = model_of(ann), version_of(ann)

    asked = client.get(reverse("new_bot"), {"model": sonnet.pk, "prompt": row.pk})
    nonsense = client.get(reverse("new_bot"), {"model": "x", "prompt": "999"})

    html = asked.content.decode()
    assert re.search(rf'value="model:{sonnet.pk}"[^>]* checked', html)
    assert f'<option value="{row.pk}" selected>mine, version 1</option>' in html
    assert re.search(r'value="rule:ema_trend"[^>]* checked', nonsense.content.decode())


def test_a_prompt_for_emergencies_or_of_somebody_else_can_not_be_chosen(client, ann, bob):
    sonnet, theirs = model_of(ann), version_of(bob)
    emergency = PromptTemplate.objects.get(owner=None, name=EMERGENCY.name)

    for row in (theirs, emergency):
        mind = f"model:{sonnet.pk}"
        answer = client.post(reverse("new_bot"), sent(ann, mind=mind, prompt=str(row.pk)))
        assert answer.status_code == 422
    assert not models.Bot.objects.exists()


# --- whose ---------------------------------------------------------------------------------------------------

NAMES = ("prompt", "compare_prompt", "new_prompt", "change_prompt", "delete_prompt")


@pytest.mark.parametrize("name", NAMES)
def test_a_version_of_somebody_else_is_not_there(client, bob, name):
    row = version_of(bob)

    assert client.get(url(name, row), {"preview": "1"}).status_code == 404
    assert client.post(url(name, row), filled_with(row)).status_code in (404, 405)
    assert PromptTemplate.objects.filter(owner__isnull=False).count() == 1


@pytest.mark.parametrize("name", ["change_prompt", "delete_prompt"])
def test_the_built_in_ones_are_changed_by_nobody(client, name):
    row = standard()

    assert [client.get(url(name, row)).status_code, write(client, name, row).status_code] == [404, 404]  # fmt: skip


def test_a_form_of_another_site_is_refused(ann):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)

    assert strict.post(url("new_prompt", standard()), {}).status_code == 403
