"""What is served beside the pages: traceable third-party files, and no name that leads nowhere."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests.architecture.sources import ROOT, python_files

STATIC, TEMPLATES = ROOT / "static", ROOT / "templates"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
PACKAGE = json.loads((ROOT / "package.json").read_text())


@pytest.mark.parametrize("taken", MANIFEST, ids=lambda taken: taken["folder"])
def test_a_vendored_package_is_what_its_manifest_says(taken):
    folder = VENDOR / taken["folder"]
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}

    assert found == taken["sha256"]
    assert "LICENSE" in found
    assert taken["license"] in {"MIT", "0BSD", "Apache-2.0"}
    assert PACKAGE["devDependencies"][taken["name"]] == taken["version"]


def test_nothing_is_vendored_beside_the_manifest():
    listed = {taken["folder"] for taken in MANIFEST}

    assert {path.name for path in VENDOR.iterdir()} == {"manifest.json", *listed}


def test_the_tools_are_pinned():
    lock = json.loads((ROOT / "package-lock.json").read_text())

    assert all(re.fullmatch(r"\d+\.\d+\.\d+", v) for v in PACKAGE["devDependencies"].values())
    assert lock["packages"][""]["devDependencies"] == PACKAGE["devDependencies"]


def test_the_style_sheet_is_built_of_all_its_sources():
    """That it is built of them as they are now is seen by building it again, which needs node."""
    built = (STATIC / "css" / "app.css").read_text()

    assert "@import" not in built
    for selector in (".stat-value", ".alone-card", ".toasts", ".mind-tabs"):
        assert selector in built


def files_named(text: str) -> set[str]:
    return set(re.findall(r"\{% static ['\"]([^'\"]+)['\"] %\}", text))


def icons_named(text: str) -> set[str]:
    in_tags = re.findall(r"\{% icon ['\"]([a-z]+)['\"]", text)
    drawn = re.findall(r"drawn=['\"]([a-z]+)['\"]", text)
    return {*in_tags, *drawn}


def templates() -> list[Path]:
    return sorted(TEMPLATES.rglob("*.html"))


def test_every_file_that_a_template_names_is_there():
    named = {name for path in templates() for name in files_named(path.read_text())}

    assert "css/app.css" in named
    assert [name for name in sorted(named) if finders.find(name) is None] == []


def test_every_script_imports_files_that_are_there():
    scripts = sorted((STATIC / "js").rglob("*.js"))
    imports = [
        (script, target)
        for script in scripts
        for target in re.findall(
            r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""", script.read_text()
        )
    ]

    assert imports
    assert [str(t) for s, t in imports if not (s.parent / t).resolve().is_file()] == []


def test_every_icon_that_is_named_is_drawn():
    drawn = set(re.findall(r'<symbol id="([a-z]+)"', (STATIC / "img" / "icons.svg").read_text()))
    named = {name for path in templates() for name in icons_named(path.read_text())}
    in_code = {
        name
        for path in python_files("bots/templatetags/parts")
        for name in re.findall(r'\("[a-z]*", "([a-z]+)"', path.read_text())
    }

    assert {"halt", "plus"} <= named and {"play", "cut"} <= in_code
    assert sorted((named | in_code) - drawn) == []


@pytest.mark.parametrize("path", ["/robots.txt", "/favicon.ico", "/static/css/app.css"])
def test_it_is_served(client, db, path):
    response = client.get(path)

    assert response.status_code == 200
    response.close()


def test_scripts_are_served_as_modules_must_be(client, db):
    for taken in MANIFEST:
        for name in taken["sha256"]:
            if name.endswith(("js", "mjs")):
                response = client.get(f"/static/vendor/{taken['folder']}/{name}")
                assert response["Content-Type"].split(";")[0] == "text/javascript"
                response.close()
