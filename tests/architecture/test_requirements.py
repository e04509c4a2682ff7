"""What is installed is pinned, from the registry, and there for a stated reason."""

import re

import pytest

from tests.architecture.sources import ROOT

PIN = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; .+)?")


def requirements(text: str) -> list[str]:
    """Return the lines that ask for something."""
    return [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


def unpinned(text: str) -> list[str]:
    return [line for line in requirements(text) if not PIN.fullmatch(line)]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(name: str) -> dict[str, str]:
    """Return package name → whole line of a requirements .in file."""
    lines = [line for line in requirements((ROOT / name).read_text()) if not line.startswith("-")]
    return {normal(re.split(r"[^\w-]", line)[0]): line for line in lines}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_an_exact_pin(name):
    assert unpinned((ROOT / name).read_text()) == []


@pytest.mark.parametrize("name", ["requirements", "requirements-dev"])
def test_the_pins_answer_what_is_asked_for(name):
    pinned = {line.partition("==")[0] for line in requirements((ROOT / f"{name}.txt").read_text())}

    assert set(asked_for(f"{name}.in")) <= pinned, "run: make lock"


@pytest.mark.parametrize("name", ["requirements.in", "requirements-dev.in"])
def test_every_requirement_says_what_it_is_for(name):
    assert [line for line in asked_for(name).values() if "  # " not in line] == []


@pytest.mark.parametrize(
    "line",
    [
        "django>=5.2",
        "django",
        "django==5.*",
        "--index-url https://example.org/simple",
        "django @ https://example.org/django.whl",
        "./django.whl",
    ],
)
def test_a_loose_requirement_is_seen(line):
    assert unpinned(f"# header\nnumpy==2.4.6\n{line}\n") == [line]
