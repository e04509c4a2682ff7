"""Keys of model providers: no trader is pretended, and each gets one as soon as it can be asked."""

import pytest

from llm.models import ModelProfile, Provider
from llm.services import ProviderNotAvailable, can_ask, chat_model
from tradingagent.embedded import keys
from tradingagent.embedded.first_run import demo_login
from tradingagent.embedded.keys import KEYS, model_profiles

SECRET = "sk-not-for-any-eye"


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for key in KEYS:
        monkeypatch.delenv(key.variable, raising=False)


@pytest.fixture
def user(db, tmp_path):
    return demo_login(tmp_path).user


def test_without_keys_nothing_is_said(user):
    assert model_profiles(user, pytest.fail) == []


@pytest.mark.parametrize(
    ("variables", "begins"),
    [
        (("OPENAI_API_KEY",), "OPENAI_API_KEY is set, but"),
        (
            ("DEEPSEEK_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"),
            "ANTHROPIC_API_KEY, OPENAI_API_KEY and DEEPSEEK_API_KEY are set, but",
        ),
    ],
)
def test_keys_whose_models_can_t_be_asked_are_said_and_make_no_trader(
    user, monkeypatch, variables, begins
):
    monkeypatch.setattr(keys, "can_ask", lambda provider: False)
    for name in variables:
        monkeypatch.setenv(name, SECRET)
    said: list[str] = []

    assert model_profiles(user, said.append) == []
    assert len(said) == 1
    assert said[0].startswith(begins)
    assert SECRET not in said[0]
    assert not ModelProfile.objects.exists()


def test_a_key_whose_model_can_be_asked_makes_one_shared_profile_once(user, monkeypatch):
    monkeypatch.setattr(keys, "can_ask", lambda provider: True)
    monkeypatch.setenv("DEEPSEEK_API_KEY", SECRET)
    [profile] = model_profiles(user, pytest.fail)
    [again] = model_profiles(user, pytest.fail)

    assert again == profile
    assert (profile.owner, profile.key_env) == (None, "DEEPSEEK_API_KEY")
    assert profile.provider == Provider.OPENAI_COMPATIBLE
    assert profile.base_url == "https://api.deepseek.com"
    stored = ModelProfile.objects.values_list().get()
    assert SECRET not in str(stored)


def test_a_profile_that_was_changed_since_stays_as_it_is(user, monkeypatch):
    monkeypatch.setattr(keys, "can_ask", lambda provider: True)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    model_profiles(user, pytest.fail)
    ModelProfile.objects.update(name="Mine", model="another")

    assert [(one.name, one.model) for one in model_profiles(user, pytest.fail)] == [
        ("Mine", "another")
    ]


@pytest.mark.parametrize("provider", Provider)
def test_what_can_be_asked_is_what_a_model_is_made_for(provider):
    with pytest.raises(ProviderNotAvailable) as error:  # no model: it lacks a file, or an adapter
        chat_model(ModelProfile(name="it", provider=provider))

    assert ("can't be asked yet" in str(error.value)) is not can_ask(provider)
