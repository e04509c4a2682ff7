"""Keys of model providers: no trader is pretended, and each gets one as soon as it can be asked."""

import pytest

from llm.hosts import Provider
from llm.models import ModelProfile
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


def test_without_keys_there_is_no_model(user, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "  ")

    assert model_profiles(user) == []


def test_a_key_whose_model_can_be_asked_makes_one_shared_profile_once(user, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", SECRET)
    [profile] = model_profiles(user)
    [again] = model_profiles(user)

    assert again == profile
    assert (profile.owner, profile.key_env) == (None, "DEEPSEEK_API_KEY")
    assert (profile.provider, profile.base_url) == (Provider.DEEPSEEK, "")
    stored = ModelProfile.objects.values_list().get()
    assert SECRET not in str(stored)


def test_a_profile_that_was_changed_since_stays_as_it_is(user, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    model_profiles(user)
    ModelProfile.objects.update(name="Mine", model="another")

    assert [(one.name, one.model) for one in model_profiles(user)] == [("Mine", "another")]
