"""Pages for when things go wrong, among them the database: no test here may touch it."""

import pytest
from django.conf import settings
from django.http import Http404
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from django.views import defaults

from tests.web.test_page_policy import refused


def broken(_request):
    raise RuntimeError("as if the database were away")


def missing(_request):
    raise Http404


def forbidden(_request):
    from django.core.exceptions import PermissionDenied

    raise PermissionDenied


urlpatterns = [
    path("broken/", broken),
    path("missing/", missing),
    path("forbidden/", forbidden),
]


@pytest.fixture
def browser() -> Client:
    """One that is signed in, as far as its cookie says: only the database could tell."""
    client = Client(raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32
    client.cookies["theme"] = "light"
    return client


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/broken/", 500, "Something broke here"),
        ("/missing/", 404, "There is nothing here"),
        ("/nowhere/", 404, "There is nothing here"),
        ("/forbidden/", 403, "Not for you"),
    ],
)
@override_settings(ROOT_URLCONF="tests.web.test_error_pages")
def test_it_says_what_happened_without_the_database(browser, address, status, words):
    response = browser.get(address)
    html = response.content.decode()

    assert response.status_code == status
    assert f"<h1>{words}</h1>" in html and 'href="/"' in html
    assert list(refused(html)) == []
    assert response["Content-Security-Policy"]


@override_settings(ROOT_URLCONF="tests.web.test_error_pages")
def test_it_keeps_the_theme_where_there_is_a_request(browser):
    assert b'data-theme="light"' in browser.get("/nowhere/").content


def test_the_page_of_a_crash_needs_no_request():
    response = defaults.server_error(RequestFactory().get("/"))

    assert response.status_code == 500
    assert b"Something broke here" in response.content


def test_an_address_that_is_not_ours():
    response = Client(raise_request_exception=False).get("/", headers={"host": "evil.example.org"})

    assert response.status_code == 400
    assert b"ALLOWED_HOSTS" in response.content


def test_a_form_without_its_token():
    response = Client(enforce_csrf_checks=True).post("/account/theme/", {"theme": "dark"})

    assert response.status_code == 403
    assert b"This form is too old" in response.content
