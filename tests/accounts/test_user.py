"""A user is an e-mail address, one person in any spelling."""

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from tradingagent.accounts.models import User

PASSWORD = "a long enough passphrase 7"

pytestmark = pytest.mark.django_db


def test_create_user():
    user = User.objects.create_user("Ann@Example.ORG", PASSWORD)

    assert (user.email, user.time_zone, str(user)) == ("Ann@example.org", "UTC", "Ann@example.org")
    assert (user.is_active, user.is_staff, user.is_superuser) == (True, False, False)
    assert user.joined_at.tzinfo is not None
    assert user.password.startswith("argon2")
    assert user.check_password(PASSWORD)


def test_without_a_password_nobody_can_log_in():
    user = User.objects.create_user("ann@example.org")

    assert not user.has_usable_password()
    assert authenticate(username="ann@example.org", password="") is None


@pytest.mark.parametrize("email", ["", "ann", "ann@", "a nn@example.org"])
def test_a_bad_address_is_refused(email):
    with pytest.raises(ValidationError, match="email"):
        User.objects.create_user(email, PASSWORD)


def test_one_person_in_any_spelling():
    User.objects.create_user("ann@example.org", PASSWORD)

    with pytest.raises(ValidationError, match="exists already"):
        User.objects.create_user("ANN@example.org", PASSWORD)


def test_the_database_itself_refuses_a_second_spelling():
    User.objects.create_user("ann@example.org", PASSWORD)

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.bulk_create([User(email="Ann@Example.Org")])
    assert User.objects.count() == 1


@pytest.mark.parametrize("typed", ["Ann@example.org", "ann@EXAMPLE.org", "ANN@EXAMPLE.ORG"])
def test_login_takes_any_spelling(typed):
    user = User.objects.create_user("Ann@example.org", PASSWORD)

    assert authenticate(username=typed, password=PASSWORD) == user


def test_an_inactive_user_cannot_log_in():
    User.objects.create_user("ann@example.org", PASSWORD, is_active=False)

    assert authenticate(username="ann@example.org", password=PASSWORD) is None


def test_time_zone_is_an_iana_name():
    user = User.objects.create_user("ann@example.org", PASSWORD, time_zone="Europe/Berlin")

    assert user.time_zone == "Europe/Berlin"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "+03:00", "../etc/passwd", "europe/berlin"])
def test_a_bad_time_zone_is_refused(name):
    with pytest.raises(ValidationError, match="time_zone"):
        User.objects.create_user("ann@example.org", PASSWORD, time_zone=name)


def test_superuser_command(monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)

    call_command("createsuperuser", interactive=False, email="root@example.org", verbosity=0)

    user = User.objects.get()
    assert (user.is_staff, user.is_superuser) == (True, True)
    assert user.check_password(PASSWORD)
    with pytest.raises(CommandError, match="already taken"):
        call_command("createsuperuser", interactive=False, email="ROOT@example.org")
