"""What the documentation says, held against the code: links, settings, files, curves, commands and examples."""

import ast
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest

from acereason.config.compose import compose
from acereason.config.fields import hint_of, settings, type_hints
from acereason.config.schema import Config, ProblemsConfig
from acereason.errors import UserError
from acereason.problems import prompts
from acereason.problems.formats.fields import ANSWER_FIELDS, QUESTION_FIELDS
from acereason.problems.laptop import Chain, chain_values, code_question, math_question, to_problem
from acereason.problems.loaders import load_problems

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "acereason"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
GROUPS = {key.partition(".")[0] for key in settings() if "." in key} | {"callbacks"}
TAG = re.compile(r"(?:reward|response|policy|rollout|curriculum|time|throughput|eval|entropy)/[a-z0-9_@]+")
LOGGING = [
    *(SOURCE / name for name in ("policy/module.py", "rollout/metrics.py", "evaluation/evaluate.py")),
    *(SOURCE / name for name in ("curricula/histograms.py", "curricula/entropy_watch.py")),
    *(SOURCE / "run/curriculum_writer.py", ROOT / "callbacks/stage_switch.py"),
]
OF_CALLBACKS = ("trainer.callback_metrics", "trainer.datamodule", "trainer.should_stop")
"""Lightning's trainer, as callbacks see it, and no settings."""
FENCE = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def by_name(page: Path) -> str:
    return page.name


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> list[str]:
    return [match[3] for match in FENCE.finditer(page.read_text(encoding="utf-8")) if match[2] == language]


def code_spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_pages_there_should_be_are_there() -> None:
    assert {"problems.md", "a_step.md", "paper.md", "laptop_policy.md"} <= {page.name for page in DOCS}


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(path), f"{page.name}: {link}"


def unknown_setting(span: str) -> str | None:
    """The setting that a code span names, when there is no such setting."""
    match = re.match(r"([a-z_]+(?:\.\w+)+)(?:=\S*)?$", span)
    if match is None or match[1].partition(".")[0] not in GROUPS:
        return None
    key = match[1]
    if (
        key in settings()
        or key in OF_CALLBACKS
        or (ROOT / key).is_file()
        or re.search(r"\.(py|md|jsonl?|yaml|safetensors|png)$", key)
    ):
        return None
    if key.startswith("callbacks."):
        module, _, name = key.rpartition(".")
        file = ROOT / (module.replace(".", "/") + ".py")
        return None if hint_of(key) or (file.exists() and f"class {name}(" in file.read_text()) else key
    return key


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=by_name)
def test_settings_exist(page: Path) -> None:
    assert [key for span in code_spans(page) if (key := unknown_setting(span))] == []


def test_a_setting_that_does_not_exist_is_found() -> None:
    assert unknown_setting("trainer.max_step") == "trainer.max_step"
    assert unknown_setting("grpo.normalization=batch") == "grpo.normalization"
    assert unknown_setting("grpo.normalisation=batch") is None


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=by_name)
def test_files_exist(page: Path) -> None:
    places = r"(?:src|callbacks|conf|models|scripts|tests|perf|requirements|docs)/\S+|[a-z_/]+\.py"
    for span in code_spans(page):
        if re.fullmatch(places, span) and not re.search(r"[A-Z…*]", span) and span != "models/mine":
            assert any((folder / span).exists() for folder in (ROOT, SOURCE)), f"{page.name}: {span}"


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=by_name)
def test_training_commands_compose(page: Path) -> None:
    for line in "\n".join(blocks(page, "") + blocks(page, "bash") + blocks(page, "sh")).splitlines():
        command = re.match(r"(?:\$ )?(?:\S*/)?python train\.py (.*)", line)
        words = shlex.split(command[1], comments=True) if command else []
        overrides = [word for word in words if "=" in word and not word.startswith(("ckpt=", "key="))]
        if "…" not in line and "=NAME" not in line:
            assert compose([*overrides, "run.name=docs"], ROOT).run.name == "docs"


def test_a_training_command_with_a_wrong_key_is_found() -> None:
    with pytest.raises(UserError, match=r"problems\.answers"):
        compose(["problems.answers=solution", "run.name=docs"], ROOT)


def keys_of_seconds(tree: ast.AST) -> set[str]:
    """Phases that are timed: constant keys of a dict called `seconds`, given at once or one by one."""
    found: set[Any] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            if "seconds" in {ast.unparse(target) for target in node.targets}:
                found |= {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).rpartition(".")[2] == "seconds":
            found |= {node.slice.value} if isinstance(node.slice, ast.Constant) else set()
    return found


def logged_tags() -> set[str]:
    """Tags in the source; those under time/ are made of the names of the phases."""
    tags, phases = set(), set()
    for file in [*LOGGING, SOURCE / "rollout/data.py", SOURCE / "rollout/shared.py"]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        phases |= keys_of_seconds(tree)
        if file in LOGGING:
            texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            tags |= {text for text in texts if isinstance(text, str) and TAG.fullmatch(text)}
    return tags | {f"time/{phase}" for phase in phases}


def test_the_source_is_read_rightly_for_tags() -> None:
    assert {"time/sync", "time/generate", "time/verify_exposed", "time/train", "time/step"} <= logged_tags()
    assert {"reward/mean", "policy/kl", "eval/pass@1", "rollout/logprob_gap_max"} <= logged_tags()


def test_the_table_of_curves_has_every_tag_and_no_other() -> None:
    table = re.findall(r"^\| `([^`]+)` \|", prose(ROOT / "docs" / "a_step.md"), re.MULTILINE)
    documented = [name for name in table if TAG.fullmatch(name)]
    assert len(documented) == len(set(documented))
    assert set(documented) == logged_tags()


@pytest.mark.parametrize("page", PAGES, ids=by_name)
def test_no_page_names_a_curve_that_is_not_logged(page: Path) -> None:
    named = {re.sub("^eval/(?:math|code)_", "eval/", span) for span in code_spans(page) if TAG.fullmatch(span)}
    assert named <= logged_tags()


def test_the_usual_field_names_are_those_of_the_code() -> None:
    text = prose(ROOT / "docs" / "problems.md")
    assert ", ".join(f"`{name}`" for name in ANSWER_FIELDS) in text
    assert ", ".join(f"`{name}`" for name in QUESTION_FIELDS) in text


def test_the_example_rows_load_and_give_the_answers_they_should(tmp_path: Path) -> None:
    answers = []
    for number, rows in enumerate(blocks(ROOT / "docs" / "problems.md", "json")):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(rows, encoding="utf-8")
        train, held_out = load_problems(ProblemsConfig(path=str(path), held_out=0))
        assert held_out == []
        answers += [problem.answer for problem in train]
    assert answers == ["42", r"\frac{7}{2}", "1500", "5", "42"]


def test_the_prompts_shown_are_the_ones_used() -> None:
    text = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
    assert f"QUESTION\n{prompts.MATH_INSTRUCTION}\n" in text
    assert f"QUESTION\n\n{prompts.CODE_INSTRUCTION}\n" in text


def chain_of(operations: str, start: int = 0) -> Chain:
    return Chain(start, tuple((step[1], int(step[2:])) for step in operations.split()))


def test_the_math_example_is_worked_out_rightly() -> None:
    texts = blocks(ROOT / "docs" / "problems.md", "")
    place = next(i for i, text in enumerate(texts) if text.startswith("Start at 7"))
    chain = chain_of("a+5 b*3 c-4", start=7)
    assert texts[place] == math_question(chain) + "\n"
    solve = runpy.run_path(str(ROOT / "scripts" / "laptop_solutions.py"))["careful_math_solution"]
    assert texts[place + 1] == solve(chain) + "\n"
    assert chain_values(chain) == [2, 6, 2]


def test_the_code_example_passes_its_tests() -> None:
    chain = chain_of("a*3 b+4 c%7")
    assert code_question(chain) in "".join(blocks(ROOT / "docs" / "problems.md", ""))
    scope: dict[str, Any] = {}
    exec(blocks(ROOT / "docs" / "problems.md", "python")[0], scope)
    tests = to_problem(chain, "code").tests
    assert [scope["f"](*test.input) for test in tests] == [test.output for test in tests]


def test_the_laptop_policy_is_made_with_the_numbers_that_its_page_gives() -> None:
    text = prose(ROOT / "docs" / "laptop_policy.md")
    made = runpy.run_path(str(ROOT / "scripts" / "laptop_solutions.py"))
    for styles in (made["MATH_STYLES"], made["CODE_STYLES"]):
        for style, share in styles.items():
            assert f"| `{style}` | {share:.0%} |" in text
    assert f"{made['CAREFUL_SLIP']} (`CAREFUL_SLIP`)" in text
    assert f"{made['SLOPPY_SLIP']} (`SLOPPY_SLIP`)" in text
    script = constants(ROOT / "scripts" / "make_laptop_policy.py")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", text, re.MULTILINE)
    assert len(rows) == 6
    assert {name: ast.literal_eval(value) for name, value in rows}.items() <= script.items()


def constants(file: Path) -> dict[str, Any]:
    """Literal constants that a module assigns at its top level, `A, B = 1, 2` included."""
    found: dict[str, Any] = {}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            names = ast.unparse(node.targets[0]).strip("()").split(", ")
            values = node.value.elts if len(names) > 1 and isinstance(node.value, ast.Tuple) else [node.value]
            for name, value in zip(names, values, strict=True):
                try:
                    found[name] = ast.literal_eval(value)
                except ValueError:  # computed
                    continue
    return found


def test_the_defaults_called_ours_are_the_defaults() -> None:
    rows = re.findall(r"^\| [^|`]+ \| ((?:`[\w.]+`(?:, )?)+) \| ([^|]+) \|$", prose(ROOT / "docs" / "paper.md"), re.M)
    assert len(rows) == 10
    for keys, values in rows:
        names = re.findall(r"`([\w.]+)`", keys)
        assert [str(settings()[name].default) for name in names] == values.strip().split(", ")


def test_every_group_of_settings_is_known_here() -> None:
    assert {"problems", "trainer", "grpo", "callbacks"} <= GROUPS <= set(type_hints(Config))
