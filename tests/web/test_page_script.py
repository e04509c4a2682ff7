"""What the page's script does for a reader, and what works without it, in a real browser."""

import re

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browsers import Server, apart, browsing, watched
from tests.web.test_figures import MOMENTS, NOW
from tradingagent.accounts.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "wren-otter-44"
NEWS = """
  const { toast } = await import("/static/js/toasts.js");
  toast("One"); toast("Two", { sub: "and more" }); toast("SOL has no stop", { level: "error" });
"""
DRAWN = """async ([span, low, high]) => {
  const { Curves } = await import("/static/js/charts/curves.js");
  const texts = [];
  const draw = CanvasRenderingContext2D.prototype.fillText;
  CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
    if (text) texts.push(text);
    return draw.call(this, text, ...rest);
  };
  const host = document.createElement("div");
  host.style.width = "800px";
  host.style.height = "300px";
  document.body.append(host);
  const curves = new Curves(host, { format: (value, decimals = 2) => `= ${value.toFixed(decimals)}` });
  const begin = Date.UTC(2026, 2, 2, 11, 45) / 1000;
  curves.show({ at: [begin, begin + span], series: [{ name: "one", colour: 1, values: [low, high] }] });
  await new Promise((done) => setTimeout(done, 100));
  CanvasRenderingContext2D.prototype.fillText = draw;
  return [texts.filter((one) => !one.startsWith("=")), texts.filter((one) => one.startsWith("="))];
}"""
"""Draws a curve over `span` seconds between two values: the labels of its time axis, and of its values."""
TOLD = "document.querySelector('#toasts').innerText"


@pytest.fixture
def ann(transactional_db) -> User:
    return User.objects.create_user("ann@example.org", PASSWORD, time_zone="Asia/Tokyo")


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def context(ann, server):
    with browsing(server, timezone_id="Europe/Berlin") as context:
        context.set_default_timeout(8000)
        yield context


@pytest.fixture
def without_script(ann, server):
    with browsing(server, java_script_enabled=False) as context:
        context.set_default_timeout(8000)
        yield context


def sign_in(context: BrowserContext, target="/account/settings/"):
    page, complaints = watched(context)
    page.goto(f"/account/login/?next={target}")
    page.fill("[name=login]", "ann@example.org")
    page.fill("[name=password]", PASSWORD)
    page.click("main button")
    page.wait_for_url(f"**{target}")
    return page, complaints


def test_times_are_put_into_the_readers_zone_also_where_they_come_later(context):
    page, complaints = sign_in(context)

    expect(page.locator("[data-zone-name]")).to_have_text("Times in Asia/Tokyo.")
    page.evaluate(
        """document.querySelector("main").insertAdjacentHTML("beforeend",
           '<p id="later"><time datetime="2026-01-01T23:30:00Z" data-show="full">x</time></p>')"""
    )
    expect(page.locator("#later")).to_have_text("2 Jan 2026, 08:30")
    page.evaluate("document.querySelector('#later time').dateTime = '2026-01-01T00:00:00Z'")
    expect(page.locator("#later")).to_have_text("1 Jan 2026, 09:00")
    page.evaluate("document.querySelector('#later time').textContent = '00:00'")  # as a morph does
    expect(page.locator("#later")).to_have_text("1 Jan 2026, 09:00")
    assert complaints == []


def test_the_script_writes_times_as_the_server_does(context):
    page, _ = watched(context)
    page.goto("/account/login/")

    written = page.evaluate(
        """async ([moments, now]) => {
          const { instantText } = await import("/static/js/times.js");
          return moments.map(([at, show]) => instantText(new Date(at + "Z"), show, "UTC", new Date(now)));
        }""",
        [MOMENTS, NOW],
    )

    assert written == [expected for _, _, expected in MOMENTS]


def test_a_sign_up_takes_the_zone_of_the_browser(context):
    page, complaints = watched(context)
    page.goto("/account/signup/")
    page.fill("[name=email]", "bob@example.org")
    page.fill("[name=password1]", PASSWORD)
    page.fill("[name=password2]", PASSWORD)
    page.click("main button")
    page.wait_for_url(re.compile(r":\d+/$"))

    assert apart(User.objects.get, email="bob@example.org").time_zone == "Europe/Berlin"
    assert complaints == []


def test_a_theme_is_shown_at_once_and_kept(context):
    page, _ = sign_in(context)
    ground = "getComputedStyle(document.body).backgroundColor"

    page.click("label[for=set-theme-light]")
    light = page.evaluate(ground)
    page.click("label[for=set-theme-dark]")

    assert page.evaluate(ground) != light
    assert page.locator("#theme-dark").is_checked()  # the picker at the side follows
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.click("label[for=set-theme-auto]")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") is None


def test_news_passes_unless_it_is_critical_or_pointed_at(context):
    page, complaints = sign_in(context)
    page.clock.install()
    page.evaluate(f"(async () => {{{NEWS}}})()")
    expect(page.locator(".toast")).to_have_count(3)

    page.locator(".toast", has_text="Two").hover()
    page.clock.run_for(6500)
    expect(page.locator(".toast")).to_have_count(2)  # what is read stays, and what is critical
    page.mouse.move(0, 0)
    page.clock.run_for(6500)
    expect(page.locator(".toast")).to_have_text(["SOL has no stop"])
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator(".toast")).to_have_count(0)
    assert complaints == []


def test_three_at_most_and_the_critical_one_is_not_pushed_out(context):
    page, _ = sign_in(context)
    page.clock.install()

    page.evaluate(
        """(async () => { const { toast } = await import("/static/js/toasts.js");
           toast("Critical", { level: "error" });
           for (const text of ["1", "2", "3", "4"]) toast(text); })()"""
    )

    expect(page.locator(".toast")).to_have_text(["Critical", "3", "4"])


def test_what_came_with_the_page_is_told(context):
    page, _ = sign_in(context)
    page.select_option("#id_time_zone", "Europe/Paris")
    page.get_by_role("button", name="Save").click()

    expect(page.locator("#toasts")).to_contain_text("Times are shown in Europe/Paris")
    expect(page.locator("[data-zone-name]")).to_have_text("Times in Europe/Paris.")


def test_the_question_before_a_halt_is_asked_in_a_sheet_with_the_way_out_in_front(context):
    page, complaints = sign_in(context)

    page.get_by_role("link", name="Halt").click()

    sheet = page.locator("#halt")
    expect(sheet).to_be_visible()
    assert page.url.endswith("/account/settings/")
    assert page.evaluate("document.activeElement.type") == "button"
    assert page.evaluate("document.querySelector('#halt').contains(document.activeElement)")
    page.keyboard.press("Enter")  # the way out
    expect(sheet).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.sheet") == "halt"
    assert complaints == []


def test_where_the_sheet_cannot_be_filled_the_link_is_followed(context):
    page, _ = sign_in(context)
    page.route("**/halt/", lambda route: route.abort() if is_fetch(route) else route.continue_())

    page.get_by_role("link", name="Halt").click()

    page.wait_for_url("**/halt/")


def is_fetch(route) -> bool:
    return "hx-request" in route.request.headers


def test_all_of_it_works_without_script(without_script):
    page, _ = sign_in(without_script)
    expect(page.locator("[data-zone-name]")).to_have_text("Times in UTC.")  # and they are

    page.click("label[for=set-theme-light]")
    page.click("section[aria-labelledby=h-theme] button")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    page.select_option("#id_time_zone", "Europe/Paris")
    page.get_by_role("button", name="Save").click()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Times are shown in Europe/Paris")
    assert page.evaluate("getComputedStyle(document.querySelector('#toasts')).position") == "static"

    page.get_by_role("link", name="Halt").click()
    page.wait_for_url("**/halt/")
    page.goto("/account/settings/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/login/")


@pytest.mark.parametrize(
    ("span", "low", "high", "a_time", "a_value"),
    [(40, -0.012, 0.003, r"12:45:\d\d", r"= -?0\.\d{3,4}"), (3600, 9_990, 10_020, r"1[23]:\d\d", r"= \d+"),
     (9 * 86_400, 0, 3, r"\d+ Mar", r"= \d\.\d\d")],
)  # fmt: skip
def test_labels_of_an_axis_differ_from_each_other(context, span, low, high, a_time, a_value):
    page, _ = watched(context)
    page.goto("/account/login/")

    times, values = page.evaluate(DRAWN, [span, low, high])

    for labels, like in ((times, a_time), (values, a_value)):
        assert len(labels) >= 3
        assert len(set(labels)) == len(labels)
        assert all(re.fullmatch(like, label) for label in labels), labels
