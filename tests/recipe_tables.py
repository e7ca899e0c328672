"""What the tests of the paper's recipes share: the recipes, and tables of the documentation."""

from pages import ROOT, section

from acereason.config.compose import compose
from acereason.config.schema import Config

__all__ = ["RECIPES", "ROOT", "composed", "table"]
RECIPES = ["acereason_7b", "acereason_14b"]


def composed(recipe: str, *argv: str) -> Config:
    """A recipe to be planned, whatever this machine lacks."""
    return compose([f"recipe={recipe}", "run.name=here", "validate_only=true", *argv], project=ROOT)


def table(page: str, title: str) -> list[list[str]]:
    """The first table under a title of a page, without its head."""
    lines = [line for line in section(page, title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]
