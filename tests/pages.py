"""The documentation as the tests read it: its pages, their prose, code blocks and sections."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INDEX, CONTRIBUTING, CHANGELOG = ROOT / "docs" / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", CONTRIBUTING, ROOT / "perf" / "README.md", *DOCS]
FENCE = re.compile(r"^( *)(`{3,})(\w*)\n(.*?)^\1\2$", re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def page(name: str) -> Path:
    """The page with this file name, in whatever group of docs/ it is."""
    [path] = [path for path in DOCS if path.name == name and path != INDEX]
    return path


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of a page with this tag; "" for those without."""
    return [match[4] for match in FENCE.finditer(path.read_text(encoding="utf-8")) if match[3] == language]


def code_spans(path: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(path))


def section(name: str, title: str) -> str:
    """The text under a heading of a page, up to the next heading of the same or a higher level."""
    text = page(name).read_text(encoding="utf-8")
    found = re.search(rf"^(##+) {re.escape(title)}\n", text, re.MULTILINE)
    assert found, title
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest
