"""Dark or light: a choice of the browser, kept in a cookie that the page's script may write too."""

from typing import Final

from django.http import HttpRequest, HttpResponse

COOKIE: Final = "theme"
CHOICES: Final = {"": "Auto", "dark": "Dark", "light": "Light"}
"""What the cookie may hold → its name. Empty: as the reader's system."""
_KEPT_SECONDS: Final = 400 * 24 * 3600


def theme_of(request: HttpRequest) -> str:
    """The theme chosen in this browser; "" where none is, or what the cookie holds is none of ours."""
    chosen = request.COOKIES.get(COOKIE, "")
    return chosen if chosen in CHOICES else ""


def keep_theme(response: HttpResponse, chosen: str) -> None:
    """Let the browser remember a theme. Raises ValueError for one that there is not."""
    if chosen not in CHOICES:
        raise ValueError(f"there is no theme {chosen!r}")
    if chosen:
        response.set_cookie(COOKIE, chosen, max_age=_KEPT_SECONDS, samesite="Lax")
    else:
        response.delete_cookie(COOKIE, samesite="Lax")
