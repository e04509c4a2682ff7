"""The admin works with users that have no user name."""

import pytest
from django.urls import reverse

from tradingagent.accounts.models import User

PASSWORD = "a long enough passphrase 7"

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root@example.org", PASSWORD)


@pytest.fixture
def site(client, root):
    client.force_login(root)
    return client


def new_user(**fields):
    data = {
        "email": "ann@example.org",
        "time_zone": "Asia/Tokyo",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    return {**data, **fields}


def test_login_by_email_in_any_spelling(client, root):
    answer = client.post(
        reverse("admin:login"), {"username": "Root@Example.org", "password": PASSWORD}
    )

    assert answer.status_code == 302
    assert client.get(reverse("admin:index")).status_code == 200


def test_a_plain_user_does_not_get_in(client):
    User.objects.create_user("ann@example.org", PASSWORD)

    answer = client.post(
        reverse("admin:login"), {"username": "ann@example.org", "password": PASSWORD}
    )

    assert answer.status_code == 200
    assert client.get(reverse("admin:index")).status_code == 302


def test_list_and_search(site):
    User.objects.create_user("ann@example.org", PASSWORD)

    page = site.get(reverse("admin:accounts_user_changelist"), {"q": "ANN"})

    assert b"ann@example.org" in page.content
    assert b"1 result" in page.content


def test_add_a_user(site):
    answer = site.post(reverse("admin:accounts_user_add"), new_user())

    user = User.objects.get(email="ann@example.org")
    assert answer.status_code == 302
    assert (user.time_zone, user.check_password(PASSWORD)) == ("Asia/Tokyo", True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"email": "ROOT@example.org"}, b"exists already"),
        ({"time_zone": "Mars/Olympus"}, b"is not an IANA time zone"),
        ({"password2": "another"}, b"password fields didn"),
    ],
)
def test_bad_input_gets_a_sentence(site, fields, message):
    answer = site.post(reverse("admin:accounts_user_add"), new_user(**fields))

    assert answer.status_code == 200
    assert message in answer.content
    assert User.objects.count() == 1


def test_change_a_user(site):
    user = User.objects.create_user("ann@example.org", PASSWORD)
    page = reverse("admin:accounts_user_change", args=[user.pk])

    assert site.get(page).status_code == 200
    answer = site.post(page, {"email": "ann@example.net", "time_zone": "UTC"})  # active unchecked

    user.refresh_from_db()
    assert answer.status_code == 302
    assert (user.email, user.is_active) == ("ann@example.net", False)
    assert user.check_password(PASSWORD)


def test_change_a_password(site):
    user = User.objects.create_user("ann@example.org", PASSWORD)
    other = "quite another passphrase 8"

    answer = site.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"usable_password": "true", "password1": other, "password2": other},
    )

    user.refresh_from_db()
    assert answer.status_code == 302
    assert user.check_password(other)
