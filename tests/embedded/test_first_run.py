"""The first run prepares what is missing, and the second one nothing."""

import stat

import pytest
from django.contrib.auth import authenticate

from tradingagent.accounts.models import User
from tradingagent.embedded import first_run
from tradingagent.embedded.first_run import EMAIL, KEPT_IN, demo_login

pytestmark = pytest.mark.django_db


def test_a_user_is_made_with_a_random_password_that_is_kept_private(tmp_path):
    login = demo_login(tmp_path)

    kept = tmp_path / KEPT_IN
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text().strip() == login.password
    assert login.password is not None
    assert len(login.password) == 19
    assert authenticate(username=EMAIL, password=login.password) == login.user
    assert not login.user.is_staff
    assert not login.user.is_superuser


def test_two_installations_have_two_passwords(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = demo_login(tmp_path / "a").password
    User.objects.all().delete()

    assert demo_login(tmp_path / "b").password != first


def test_the_second_run_prints_the_same_password_and_makes_nobody(tmp_path):
    first = demo_login(tmp_path)
    again = demo_login(tmp_path)

    assert (again.user, again.password) == (first.user, first.password)
    assert User.objects.count() == 1


def test_a_password_that_its_owner_chose_is_neither_known_nor_changed(tmp_path):
    user = demo_login(tmp_path).user
    user.set_password("a word of my own")
    user.save()

    assert demo_login(tmp_path).password is None
    assert authenticate(username=EMAIL, password="a word of my own") == user


def test_who_deletes_the_kept_password_gets_a_new_one(tmp_path):
    before = demo_login(tmp_path)
    (tmp_path / KEPT_IN).unlink()
    after = demo_login(tmp_path)

    assert after.user == before.user
    assert after.password not in (None, before.password)
    assert authenticate(username=EMAIL, password=after.password) == after.user
    assert demo_login(tmp_path).password == after.password


def test_a_kept_password_is_used_when_the_user_is_gone(tmp_path):
    before = demo_login(tmp_path)
    before.user.delete()

    assert demo_login(tmp_path).password == before.password


def test_a_database_that_is_up_to_date_is_left_alone(monkeypatch):
    monkeypatch.setattr(first_run, "call_command", pytest.fail)
    said: list[str] = []

    first_run.bring_database_up_to_date(said.append)
    assert said == []
