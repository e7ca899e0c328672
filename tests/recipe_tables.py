"""What the tests of the paper's recipes share: the recipes, and tables of the documentation."""

from pathlib import Path

from acereason.config.compose import compose
from acereason.config.schema import Config

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ["acereason_7b", "acereason_14b"]


def composed(recipe: str, *argv: str) -> Config:
    """A recipe to be planned, whatever this machine lacks."""
    return compose([f"recipe={recipe}", "run.name=here", "validate_only=true", *argv], project=ROOT)


def table(page: str, title: str) -> list[list[str]]:
    """The first table under a title of a page, without its head."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
