"""A model is added and tested by a person with a browser, with script and without, at a host on this machine."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from llm.hosts import Provider
from llm.models import ModelPrice, ModelProfile
from tests.browsers import Server, apart, browsing, watched
from tests.live.stage import cookie_of
from tests.llm.hosts.server import a_host
from tests.web.test_models_asked import late
from tradingagent.accounts.models import User

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
KEY = "sk-typed-09f3"


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def host():
    with a_host() as host:
        host.answer_with(late(1))
        yield host


def cookie(email: str, **fields: Any) -> str:
    user = User.objects.create_user(email, **fields)
    return cookie_of(user)[1].decode().removeprefix("sessionid=")


def add(page: Page, address: str, name: str) -> None:
    page.goto("/models/")
    page.get_by_role("link", name="Add a model").first.click()
    page.get_by_label("Host").select_option("OPENAI_COMPATIBLE")
    page.get_by_label("Model", exact=True).fill("tiny")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Address").fill(address)
    page.get_by_label("Key").fill(KEY)
    page.get_by_role("button", name="Add the model").click()


def test_a_model_is_added_and_tested(server, host):
    with browsing(server, cookie("ann@example.org", is_staff=True)) as context:
        page, complaints = watched(context)
        add(page, f"{host.url}/v1", "House")
        expect(page.locator("#toasts")).to_contain_text("House is added.")
        page.evaluate("window.stayed = true")

        button = page.locator("[id^=test-]")
        button.focus()
        page.keyboard.press("Enter")
        expect(button).to_contain_text("Asking …")
        page.keyboard.press("Enter")  # while it is asked, nobody is asked again
        expect(page.locator("#toasts")).to_contain_text(
            re.compile(r"House answered in 1\.\d s, 120 tokens, its cost is unknown\.")
        )
        expect(page.locator(".model-rows")).to_contain_text("1 call")
        expect(page.locator(".model-rows")).to_contain_text("answered")
        expect(button).to_be_focused()
        page.locator("#toasts .close").last.click()
        assert page.evaluate("window.stayed") and complaints == []
        assert KEY not in page.content()
    assert [one.key for one in host.requests] == [KEY]


def test_names_follow_the_chosen_host(server):
    price: dict[str, Any] = {
        "valid_from": "2025-01-01",
        "input_price": 1,
        "output_price": 2,
        "cached_price": 1,
    }
    ModelPrice.objects.all().delete()
    for provider, pattern in ((Provider.ANTHROPIC, "sonnet*"), (Provider.MISTRAL, "large*")):
        ModelPrice.objects.create(provider=provider, model_pattern=pattern, **price)
    with browsing(server, cookie("ann@example.org")) as context:
        page, complaints = watched(context)
        page.goto("/models/new/")
        names = page.locator("#model-names option")
        expect(names).to_have_attribute("value", "sonnet")
        page.get_by_label("Model", exact=True).fill("typed")
        page.get_by_label("Host").select_option("MISTRAL")
        expect(names).to_have_attribute("value", "large")
        expect(page.get_by_label("Model", exact=True)).to_have_value("typed")
        assert complaints == []


def test_without_script_it_is_the_same(server, host):
    session = cookie("ann@example.org", is_staff=True)
    with browsing(server, session, java_script_enabled=False) as context:
        page, _ = watched(context)
        add(page, f"{host.url}/v1", "House")
        page.locator("[id^=test-]").click()
        expect(page.locator("#toasts")).to_contain_text("House answered in")
        page.get_by_role("link", name="House", exact=True).click()
        page.get_by_role("link", name="Delete House").click()
        page.get_by_role("button", name="Delete it").click()
        expect(page.locator("#toasts")).to_contain_text("House is deleted.")


def test_a_plain_user_is_refused_in_a_sentence_and_loses_only_the_key(server, host):
    with browsing(server, cookie("bob@example.org")) as context:
        page, _ = watched(context)
        add(page, f"{host.url}/v1", "House")
        expect(page.locator("#id_base_url-error")).to_contain_text("Only the operator's models")
        expect(page.get_by_label("Name")).to_have_value("House")
        expect(page.get_by_label("Key")).to_have_value("")
        page.get_by_label("Key").fill(KEY)
        page.get_by_label("Address").fill("https://llm.example.org/v1")
        page.get_by_role("button", name="Add the model").click()
        expect(page.locator("#toasts")).to_contain_text("House is added.")
        apart(
            lambda: ModelProfile.objects.update(base_url=f"{host.url}/v1")
        )  # a name that leads there
        page.locator("[id^=test-]").click()
        expect(page.locator("#toasts")).to_contain_text("of a private network")
    assert host.requests == []
