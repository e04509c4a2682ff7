"""`manage.py create_model_profile`: a model and how to ask it."""

import os
from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from llm.hosts import HOSTS, Provider
from llm.management.doors import profile_named, provider_named, said, user_of, value_of
from llm.models import ModelProfile, ProviderKey
from llm.services import create_model_profile, create_provider_key
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret
from tradingagent.accounts.services import COMMAND


class Command(BaseCommand):
    """A door: it reads arguments, calls the service, and prints."""

    help = (
        "Store a model and how to ask it, for everybody or for one user. A shared profile takes its key from a"
        " variable of the environment each time it is asked; for a user the variable's key is stored, encrypted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(provider.lower() for provider in HOSTS)
        parser.add_argument("name", metavar="NAME", help="what people call it")
        parser.add_argument(
            "--provider", required=True, type=provider_named, metavar="P", help=f"one of {names}"
        )
        parser.add_argument("--model", default="", metavar="M", help="the provider's name of it")
        parser.add_argument("--base-url", default="", metavar="URL", help="another address")
        parser.add_argument(
            "--key-env", default="", metavar="VAR", help="variable that holds the key"
        )
        parser.add_argument("--owner", metavar="EMAIL", help="whose it is (default: everybody's)")
        parser.add_argument(
            "--param", type=value_of, action="append", default=[], metavar="K=V",
            help="max_output_tokens, effort, temperature, structure; again for each",
        )  # fmt: skip
        parser.add_argument(
            "--deadline", type=int, default=60, metavar="SECONDS", help="of a decision (60)"
        )
        parser.add_argument("--token-budget", type=int, metavar="N", help="of the prompt at most")
        parser.add_argument("--requests-per-minute", type=int, metavar="N", help="of the key")
        parser.add_argument("--tokens-per-minute", type=int, metavar="N", help="of the key")
        parser.add_argument("--fallback", metavar="NAME", help="asked when this one can't be")

    def handle(self, *_: Any, **options: Any) -> None:
        owner = user_of(options["owner"])
        name = options["name"]
        values = {
            "model": options["model"],
            "base_url": options["base_url"],
            "params": dict(options["param"]),
            "deadline_seconds": options["deadline"],
            "token_budget": options["token_budget"],
            "requests_per_minute": options["requests_per_minute"],
            "tokens_per_minute": options["tokens_per_minute"],
        }
        if options["fallback"]:
            values["fallback"] = profile_named(options["fallback"], owner)
        try:
            with transaction.atomic():
                values |= _key(owner, name, options["provider"], options["key_env"])
                row = create_model_profile(
                    owner=owner, name=name, provider=options["provider"], by=COMMAND, **values
                )
        except ValidationError as error:
            raise CommandError(said(error)) from None
        self.stdout.write(f"{row.name}: {row.model} of {HOSTS[row.provider].label}{_at(row)}")
        self.stdout.write(str(row.pk))


def _at(row: ModelProfile) -> str:
    return f" at {row.base_url}" if row.base_url else ""


def _key(owner: User | None, name: str, provider: Provider, variable: str) -> dict[str, Any]:
    """Where the profile's key comes from. A user's is stored: only shared profiles may name a variable."""
    if owner is None or not variable:
        return {"key_env": variable}
    text = os.environ.get(variable, "").strip()
    if not text:
        raise CommandError(f"{variable} is not set")
    taken = ProviderKey.objects.filter(owner=owner, name=name).exists()
    if taken:
        raise CommandError(f"{owner.email} has a key called {name!r} already")
    key = create_provider_key(
        owner=owner, provider=provider, name=name, key=Secret(text), by=COMMAND
    )
    return {"provider_key": key}
