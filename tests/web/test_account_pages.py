"""Signing up, in and out, passwords, and the settings, as a browser does it."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.web.test_page_policy import refused
from tradingagent.accounts.models import AuditEntry, User

PASSWORD = "wren-otter-44"


@pytest.fixture(autouse=True)
def nobody_has_tried(settings):
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org", PASSWORD)


@pytest.fixture
def signed_in(ann, client) -> Client:
    client.force_login(ann)
    return client


def sign_up(client, email="ann@example.org", password=PASSWORD, again=None, **fields):
    again = password if again is None else again
    data = {"email": email, "password1": password, "password2": again, **fields}
    return client.post(reverse("account_signup"), data)


def sign_in(client, email="ann@example.org", password=PASSWORD, **fields):
    data = {"login": email, "password": password, **fields}
    return client.post(reverse("account_login"), data)


def is_signed_in(client) -> bool:
    return "_auth_user_id" in client.session


def words(response) -> str:
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"\s+", " ", text).replace("&#x27;", "'")


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


# --- Every page ------------------------------------------------------------------------------------

FOR_ALL = [
    "account_login",
    "account_signup",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
    "account_inactive",
]
FOR_USERS = ["account_settings", "account_change_password", "account_logout"]


@pytest.mark.parametrize("name", FOR_ALL)
def test_a_page_for_all(client, db, name):
    response = client.get(reverse(name))

    assert response.status_code == 200
    assert list(refused(response.content.decode())) == []
    assert "<h1>" in response.content.decode()


@pytest.mark.parametrize("name", FOR_USERS)
def test_a_page_for_users(signed_in, name):
    response = signed_in.get(reverse(name))

    assert response.status_code == 200
    assert list(refused(response.content.decode())) == []


@pytest.mark.parametrize("name", ["account_settings", "account_change_password"])
def test_a_page_for_users_sends_others_to_the_sign_in(client, db, name):
    response = client.get(reverse(name))

    assert response.status_code == 302
    assert response["Location"] == f"{reverse('account_login')}?next={reverse(name)}"


def test_a_page_to_set_a_first_password(client, db):
    user = User.objects.create_user("without@example.org")
    client.force_login(user)

    response = client.get(reverse("account_set_password"))

    assert response.status_code == 200 and b"Set a password" in response.content


@pytest.mark.parametrize("path", ["email/", "confirm-email/", "login/code/", "reauthenticate/"])
def test_pages_that_nobody_made_ours_are_not_there(signed_in, path):
    assert signed_in.get(f"/account/{path}").status_code == 404


# --- Signing up ------------------------------------------------------------------------------------


def test_who_signs_up_is_signed_in(client, db):
    response = sign_up(client, time_zone="Europe/Berlin")

    user = User.objects.get()
    assert response.status_code == 302 and response["Location"] == "/"
    assert is_signed_in(client)
    assert (user.email, user.time_zone) == ("ann@example.org", "Europe/Berlin")
    assert actions() == ["sign_up", "change_time_zone"]
    assert not user.is_staff and not user.is_superuser


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "x" * 500])
def test_a_browser_that_tells_no_zone_we_know_means_utc(client, db, zone):
    sign_up(client, time_zone=zone)

    assert User.objects.get().time_zone == "UTC"


def test_an_address_is_taken_in_whatever_case(client, ann):
    response = sign_up(client, "ANN@Example.org")

    assert response.status_code == 200 and User.objects.count() == 1
    assert "There is an account with this address already" in words(response)
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("password", "again", "expected"),
    [
        (PASSWORD, "something-else-9", "the same password"),
        ("short", None, "too short"),
        ("19283746550", None, "numeric"),
        ("password123", None, "too common"),
        ("ann@example.org", None, "too similar"),
        ("", None, "required"),
    ],
)
def test_a_password_that_will_not_do_is_told_why(client, db, password, again, expected):
    response = sign_up(client, password=password, again=again)

    assert response.status_code == 200 and not User.objects.exists()
    assert expected in words(response)
    assert 'aria-invalid="true"' in response.content.decode()


def test_an_error_stands_beside_its_field(client, db):
    html = sign_up(client, email="nonsense").content.decode()

    assert 'aria-describedby="id_email-error"' in html
    assert re.search(r'id="id_email-error".*valid email', html, re.DOTALL)


# --- Signing in and out ----------------------------------------------------------------------------


@pytest.mark.parametrize("email", ["ann@example.org", "Ann@EXAMPLE.org", " ann@example.org "])
def test_the_address_may_be_spelt_otherwise(client, ann, email):
    response = sign_in(client, email)

    assert response["Location"] == "/" and is_signed_in(client)


@pytest.mark.parametrize(
    ("email", "password"), [("ann@example.org", "wrong"), ("nobody@example.org", PASSWORD)]
)
def test_a_wrong_pair_does_not_tell_which_is_wrong(client, ann, email, password):
    response = sign_in(client, email, password)

    assert response.status_code == 200 and not is_signed_in(client)
    assert "This address and this password do not belong together." in words(response)


def test_who_is_switched_off_stays_out(client, ann):
    User.objects.update(is_active=False)

    response = sign_in(client)

    assert not is_signed_in(client)
    assert response["Location"] == reverse("account_inactive")


def test_one_is_led_where_one_wanted_to_go_but_to_no_other_site(client, ann):
    assert sign_in(client, next="/account/settings/")["Location"] == "/account/settings/"
    client.post(reverse("account_logout"))
    assert sign_in(client, next="https://evil.example.org/")["Location"] == "/"


def test_who_tries_too_often_has_to_wait(client, ann):
    for _ in range(5):
        sign_in(client, password="wrong")

    response = sign_in(client)

    assert not is_signed_in(client)
    assert "Too many tries" in words(response)


def test_a_page_that_is_asked_for_too_often_says_so(client, db):
    answers = [sign_up(client, email="nonsense").status_code for _ in range(21)]
    response = sign_up(client, email="nonsense")

    assert answers[0] == 200 and response.status_code == 429
    assert "Too many tries" in words(response)


def test_one_signs_out_by_asking_never_by_following_a_link(signed_in):
    assert signed_in.get(reverse("account_logout")).status_code == 200
    assert is_signed_in(signed_in)

    response = signed_in.post(reverse("account_logout"))

    assert response["Location"] == reverse("account_login")
    assert not is_signed_in(signed_in)


# --- Passwords -------------------------------------------------------------------------------------


def change_password(client, old=PASSWORD, new="heron-lamp-71"):
    data = {"oldpassword": old, "password1": new, "password2": new}
    return client.post(reverse("account_change_password"), data)


def test_a_password_is_changed_and_put_down(signed_in, ann):
    response = change_password(signed_in)

    ann.refresh_from_db()
    assert response.status_code == 302
    assert ann.check_password("heron-lamp-71")
    assert is_signed_in(signed_in)
    assert actions() == ["set_password"]


def test_a_password_is_not_changed_without_the_old_one(signed_in, ann):
    response = change_password(signed_in, old="guess")

    ann.refresh_from_db()
    assert "This is not the password of now." in words(response)
    assert ann.check_password(PASSWORD) and actions() == []


def test_a_forgotten_password_is_replaced_by_mail(client, ann):
    response = client.post(reverse("account_reset_password"), {"email": "Ann@example.org"})
    link = re.search(
        r"http://testserver(/account/password/reset/key/\S+)", str(mail.outbox[0].body)
    )

    assert response["Location"] == reverse("account_reset_password_done")
    assert mail.outbox[0].to == ["ann@example.org"]
    assert mail.outbox[0].subject == "A new password for Trading Agent"

    form = client.get(link[1], follow=True)
    assert "New password" in words(form) and list(refused(form.content.decode())) == []
    new = {"password1": "heron-lamp-71", "password2": "heron-lamp-71"}
    done = client.post(form.request["PATH_INFO"], new)
    assert done["Location"] == reverse("account_reset_password_from_key_done")
    assert not is_signed_in(client)
    assert sign_in(client, password="heron-lamp-71")["Location"] == "/"
    assert "set_password" in actions()

    client.post(reverse("account_logout"))
    again = client.get(link[1], follow=True)
    assert "This link is used up" in words(again)


def test_whether_an_address_has_an_account_is_not_told(client, ann):
    known = client.post(reverse("account_reset_password"), {"email": "ann@example.org"})
    mail.outbox.clear()
    unknown = client.post(reverse("account_reset_password"), {"email": "bob@example.org"})

    assert unknown["Location"] == known["Location"]
    assert mail.outbox == []


# --- Settings --------------------------------------------------------------------------------------


def test_the_time_zone_is_changed_and_put_down(signed_in, ann):
    response = signed_in.post(
        reverse("account_settings"), {"time_zone": "Asia/Kathmandu"}, follow=True
    )

    ann.refresh_from_db()
    entry = AuditEntry.objects.get()
    assert ann.time_zone == "Asia/Kathmandu"
    assert (entry.action, entry.before, entry.after) == (
        "change_time_zone",
        {"time_zone": "UTC"},
        {"time_zone": "Asia/Kathmandu"},
    )
    assert "Times are shown in Asia/Kathmandu from now on." in words(response)
    assert 'data-zone="Asia/Kathmandu"' in response.content.decode()


def test_the_same_time_zone_again_is_no_change(signed_in):
    signed_in.post(reverse("account_settings"), {"time_zone": "UTC"})

    assert actions() == []


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Mars/Olympus", "is not an IANA time zone"),
        ("", "Choose a time zone"),
        ("x" * 65, "at most"),
    ],
)
def test_a_time_zone_that_there_is_not(signed_in, ann, zone, expected):
    response = signed_in.post(reverse("account_settings"), {"time_zone": zone})

    ann.refresh_from_db()
    assert response.status_code == 422 and ann.time_zone == "UTC"
    assert expected in words(response)
    assert (
        'aria-describedby="zone-help zone-error" aria-invalid="true"' in response.content.decode()
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "GB"])
def test_the_zone_of_now_is_chosen_in_the_list(signed_in, ann, zone):
    User.objects.update(time_zone=zone)

    html = signed_in.get(reverse("account_settings")).content.decode()

    assert re.findall(r'<option value="([^"]+)" selected>', html) == [zone]


def choose_theme(client, theme, target="/account/settings/"):
    return client.post(reverse("account_theme"), {"theme": theme, "next": target})


def test_a_theme_is_kept_by_the_browser(signed_in):
    assert choose_theme(signed_in, "dark")["Location"] == "/account/settings/"
    html = signed_in.get(reverse("account_settings")).content.decode()
    assert '<html lang="en" data-theme="dark"' in html
    assert 'id="theme-dark" checked' in html

    choose_theme(signed_in, "")
    html = signed_in.get(reverse("account_settings")).content.decode()
    assert "data-theme=" not in html and 'id="theme-auto" checked' in html


def test_a_theme_that_there_is_not_is_not_kept(client, db):
    assert "theme" not in choose_theme(client, '"><script>').cookies

    client.cookies["theme"] = '"><script>'
    assert b"data-theme" not in client.get(reverse("account_login")).content


def test_choosing_a_theme_leads_to_no_other_site(client, db):
    assert choose_theme(client, "dark", "//evil.example.org/")["Location"] == "/"
    assert client.get(reverse("account_theme")).status_code == 405
