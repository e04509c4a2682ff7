"""All settings, from environment variables (or a `.env` file beside manage.py; real variables win).

Without any variable the program runs on SQLite in `.local/`. `.env.example` lists the variables.
Only settings that some code reads stand here. The trap: a secret with a default value in the code
is a secret that everybody knows, so the key is made on the first start and kept in `.local/`.
"""

import base64
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
if (BASE_DIR / ".env").is_file():
    env.read_env(str(BASE_DIR / ".env"))

# Everything this installation keeps to itself: keys, and the database unless DATABASE_URL says otherwise.
LOCAL_DIR = Path(BASE_DIR, env.str("LOCAL_DIR", "") or ".local")


def _make_local_dir() -> Path:
    """Return the folder of everything this installation keeps to itself."""
    try:
        LOCAL_DIR.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{LOCAL_DIR} cannot be created ({error.strerror}): "
            "make it writable, or set SECRET_KEY, ENCRYPTION_KEYS and DATABASE_URL"
        ) from error
    return LOCAL_DIR


def _local_secret(name: str, make: Callable[[], str]) -> str:
    """Return a secret of this installation, made on first use, readable by its owner only.

    The complete file appears under its name in one step, so that of several processes starting at
    once all read the same key and none reads half of one.
    """
    path = _make_local_dir() / name
    if not path.exists():
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{name}-")  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(make())
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            os.unlink(draft)
    return path.read_text().strip()


def _local_secret_key() -> str:
    return _local_secret("secret_key", get_random_secret_key)


def _local_encryption_key() -> str:
    return _local_secret(
        "encryption_keys", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    )


DATABASE_POOL = env.int("DATABASE_POOL", 16)
"""PostgreSQL connections of one process, at most."""


def _database() -> dict[str, Any]:
    if env.str("DATABASE_URL", ""):
        database: dict[str, Any] = env.db_url("DATABASE_URL")
    else:
        database = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(_make_local_dir() / "db.sqlite3"),
        }
    # A transaction per request would stay open across calls to venues and models.
    database["ATOMIC_REQUESTS"] = False
    # Cycles sleep in the model's answer for most of their life: keep no connection meanwhile.
    database["CONN_MAX_AGE"] = 0
    if database["ENGINE"] == "django.db.backends.sqlite3":
        if database["NAME"] != ":memory:":  # the same file from whichever folder we are started
            database["NAME"] = str(Path(BASE_DIR, database["NAME"]))
        database["OPTIONS"] = {
            # Take the write lock at BEGIN: a transaction that upgrades from reading to writing
            # fails at once with "database is locked", whatever the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # FULL: what is written before an order is sent must survive a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
            **database.get("OPTIONS", {}),
        }
        # Django's default test database is in memory, where WAL and IMMEDIATE mean nothing.
        database["TEST"] = {"NAME": str(Path(database["NAME"]).with_name("test.sqlite3"))}
    elif database["ENGINE"] == "django.db.backends.postgresql":
        # Hundreds of cycles share these: each gives its connection back before it speaks outward.
        pool = {"min_size": 0, "max_size": DATABASE_POOL, "timeout": 30}
        # A process that froze inside a transaction must not keep its locks for ever.
        limits = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=20s"
        database["OPTIONS"] = {"pool": pool, "options": limits, **database.get("OPTIONS", {})}
    return database


# Not by env.str(): that takes a value that begins with "$" for the name of another variable.
SECRET_KEY = os.environ.get("SECRET_KEY") or _local_secret_key()
# What keys of users are stored under: the first encrypts, all decrypt.
ENCRYPTION_KEYS = [
    key.strip()
    for key in (os.environ.get("ENCRYPTION_KEYS") or _local_encryption_key()).split(",")
    if key.strip()
]
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

# Behind a web server that speaks TLS and says so in X-Forwarded-Proto. Only then may that header be
# believed, and cookies be kept to https.
HTTPS = env.bool("HTTPS", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 30 * 24 * 3600 if HTTPS else 0

# Recorded market data, for the tests and benches that want real history.
MARKET_DATA_DIR = Path(
    BASE_DIR, env.str("MARKET_DATA_DIR", "") or BASE_DIR.parent / "shared" / "data"
)

# Venue → base URL that replaces every address of it, for a local server or a proxy of your own.
VENUE_URLS = env.json("VENUE_URLS", {})

# Where `demo` serves the pages.
PORT = env.int("PORT", 8000)

# Where people reach the pages: links in alerts begin with it.
SITE_URL = env.str("SITE_URL", "") or f"http://localhost:{PORT}"
# Whether alerts of plain users may go to this machine and its private networks; those of staff always may.
ALERTS_MAY_REACH_PRIVATE = env.bool("ALERTS_MAY_REACH_PRIVATE", False)

# Real money: without this switch nothing that opens a position leaves for a venue.
ALLOW_LIVE_TRADING = env.bool("ALLOW_LIVE_TRADING", False)
# How long a dead holder keeps others out (docs/concurrency.md). The cycle's comes on top of its
# model's deadline. Short ones are for tests that kill.
DESK_LEASE_SECONDS = env.float("DESK_LEASE_SECONDS", 30)
CYCLE_LEASE_SECONDS = env.float("CYCLE_LEASE_SECONDS", 30)

# The fast beat between decisions: every so many seconds, spread over so many tasks.
MARK_SECONDS = env.int("MARK_SECONDS", 15)
MARK_SHARDS = env.int("MARK_SHARDS", 1)

# Days for which prompts, answers and verdicts of decisions are kept; 0: for ever.
RECORD_DAYS = env.int("RECORD_DAYS", 0)
# Days for which equity is kept minute by minute, then hour by hour; 0: for ever.
EQUITY_DAYS = env.int("EQUITY_DAYS", 0)
# Days for which alerts and their messages are kept once they are over, and events that the alerts have read;
# 0: for ever.
ALERT_DAYS = env.int("ALERT_DAYS", 90)
EVENT_DAYS = env.int("EVENT_DAYS", 90)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "django_celery_beat",
    "django_htmx",
    "template_partials",
    "tradingagent.accounts",
    "market",
    "llm",
    "risk",
    "bots",
    "bots.lab",
    "bots.alerts",
    "tradingagent.embedded",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "tradingagent.urls"
ASGI_APPLICATION = "tradingagent.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Style sheets, scripts and pictures are committed as they are served, and served from where they lie.
# STATIC_ROOT is for who puts a web server in front and runs `collectstatic`.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.str("STATIC_ROOT", "") or None
SERVESTATIC_USE_FINDERS = True

# robots.txt and favicon.ico, which are asked for at the root.
SERVESTATIC_ROOT = BASE_DIR / "static" / "root"

# What a page may load: nothing from another host, nothing written into the page itself.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",  # reads passwords of older installations
]

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# One login system: an e-mail address and a password.
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",  # the admin
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "tradingagent.accounts.adapter.AccountAdapter"
ACCOUNT_SIGNUP_FORM_CLASS = "tradingagent.accounts.forms.SignUpForm"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # nobody who asked for nothing gets a mail from us
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_SESSION_REMEMBER = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"

# Mail: links to new passwords. Without a server it is printed where the server runs.
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", "trading-agent@localhost")

# Counts tries to sign in. Of this process alone, unless CACHE_URL says where all processes count.
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}

# One clock everywhere; a user's own time zone is applied on the page only.
USE_TZ = True
TIME_ZONE = "UTC"

# --- Work in the background -----------------------------------------------------------------------

# Without Redis, tasks stay in the process that sends them: right for one process, and for no more.
# The number of the database in this URL is the broker's; nothing else may live in that database.
REDIS_URL = env.str("REDIS_URL", "")

# Wakes the processes that push to pages. What it loses costs a second, never a row.
CHANNEL_LAYERS: dict[str, dict[str, Any]] = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

CELERY_BROKER_URL = REDIS_URL or "memory://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS = {} if REDIS_URL else {"polling_interval": 0.1}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Queues that never wait for one another: decisions take minutes, protection must not.
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {"cycles": {}, "desk": {}, "background": {}}
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_DEFAULT_QUEUE = "background"
CELERY_TASK_ROUTES = {
    "bots.run_cycle": {"queue": "cycles"},
    "bots.mark_shard": {"queue": "desk"},
    "bots.perform_action": {"queue": "desk"},
    "bots.sweep": {"queue": "background"},
    "alerts.scan": {"queue": "background"},
    "alerts.deliver": {"queue": "background"},
}
# A task is taken once, when it begins: one that died is never begun again, the next tick heals.
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_RESULT_EXPIRES = None  # no nightly task that clears results away
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TIMEZONE = "UTC"
# Cycles wait for models and venues: threads. This pool knows no time limits; clients have deadlines.
CELERY_WORKER_POOL = "threads"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BEAT_SCHEDULER = "bots.beat:GridScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 2
