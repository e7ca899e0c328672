"""What the documentation says, held against the code: links, settings, files, curves, floors and examples."""

import ast
import re
import runpy
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from pages import CHANGELOG, CONTRIBUTING, DOCS, INDEX, PAGES, ROOT, blocks, code_spans, name_of, page, prose, section

from acereason.cli import COMMANDS
from acereason.config.fields import hint_of, settings, type_hints
from acereason.config.schema import Config, ProblemsConfig
from acereason.errors import UserError
from acereason.problems import prompts
from acereason.problems.formats.fields import ANSWER_FIELDS, QUESTION_FIELDS
from acereason.problems.laptop import Chain, chain_values, code_question, math_question, to_problem
from acereason.problems.loaders import load_problems
from acereason.tables import RESPONSES, SOLVE_RATES, TRAINING

SOURCE = ROOT / "src" / "acereason"
GROUPS = {key.partition(".")[0] for key in settings() if "." in key} | {"callbacks"}
TAG = re.compile(r"(?:reward|response|policy|rollout|curriculum|time|throughput|eval|entropy)/[a-z0-9_@]+")
OF_CALLBACKS = ("trainer.callback_metrics", "trainer.datamodule", "trainer.should_stop")
"""Lightning's trainer, as callbacks see it, and no settings."""
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(path: Path) -> list[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


def broken_links(path: Path, text: str) -> list[str]:
    """Relative links of a text, taken to stand in the file `path`, that lead nowhere."""
    broken = []
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        if not re.match(r"[a-z]+:", link) and not (found.exists() and (not anchor or anchor in anchors(found))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_and_anchors_lead_somewhere(path: Path) -> None:
    assert broken_links(path, prose(path)) == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](why/a_step.md) [b](why/a_stop.md) [c](why/a_step.md#seeds) [d](why/a_step.md#seats) [e](#nothing)"
    assert broken_links(INDEX, text) == ["why/a_stop.md", "why/a_step.md#seats", "#nothing"]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_two_headings_of_a_page_have_the_same_anchor(path: Path) -> None:
    assert len(set(anchors(path))) == len(anchors(path))


def test_every_page_is_in_the_index_and_in_one_of_its_groups() -> None:
    listed = {(INDEX.parent / link).resolve() for link in LINK.findall(prose(INDEX))} - {CONTRIBUTING}
    assert listed == set(DOCS) - {INDEX}
    assert {path.parent.name for path in listed} == {"tutorials", "how-to", "reference", "why"}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path: Path) -> None:
    # Markdown drops or adds cells without a word.
    for token in MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8")):
        if token.type == "table_open" and token.map:
            first, last = token.map
            rows = path.read_text(encoding="utf-8").splitlines()[first:last]
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1, rows[0]


def unknown_setting(span: str) -> str | None:
    """The setting that a code span names, when there is no such setting."""
    match = re.match(r"([a-z_]+(?:\.\w+)+)(?:=\S*)?$", span)
    if match is None or match[1].partition(".")[0] not in GROUPS:
        return None
    key = match[1]
    if (
        hint_of(key) is not None
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


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_settings_exist(path: Path) -> None:
    assert [key for span in code_spans(path) if (key := unknown_setting(span))] == []


def test_a_setting_that_does_not_exist_is_found() -> None:
    assert unknown_setting("trainer.max_step") == "trainer.max_step"
    assert unknown_setting("grpo.normalization=batch") == "grpo.normalization"
    assert unknown_setting("grpo.normalisation=batch") is None


def missing_file(span: str) -> bool:
    """Whether a code span names a file or folder of this repository that is not in it; capitals are placeholders."""
    places = r"(?:src|callbacks|conf|models|scripts|tests|perf|requirements|docs)/\S+|[a-z_/]+\.py"
    if not re.fullmatch(places, span) or re.search(r"[A-Z…*]", span) or span in NOT_YET:
        return False
    if span.startswith("perf/") and not (ROOT / "perf").is_dir():
        return False
    return not any((folder / span).exists() for folder in (ROOT, SOURCE, *(path for path in SOURCE.rglob("*/"))))


NOT_YET = ("models/mine", "src/acereason/curation/", "look.py")


@pytest.mark.parametrize("path", [*PAGES, CHANGELOG], ids=name_of)
def test_files_exist(path: Path) -> None:
    assert [span for span in code_spans(path) if missing_file(span)] == []


def test_a_file_that_does_not_exist_is_found() -> None:
    assert missing_file("src/acereason/rewards/pool.py") and missing_file("rewards.py")
    assert not missing_file("src/acereason/verifiers/pool/pool.py") and not missing_file("vllm_engine.py")


def floors_of_the_picture() -> list[list[str]]:
    picture = next(block for block in blocks(CONTRIBUTING, "") if "train.py" in block)
    rows = re.findall(r"^    │ (.+?) +│  ", picture, re.MULTILINE)
    return [row.split(" │ ") for row in rows]


def test_the_picture_of_the_floors_is_the_contract_that_lint_holds() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    [layers] = [contract["layers"] for contract in contracts["contracts"] if contract["type"] == "layers"]
    assert floors_of_the_picture() == [
        [room.removeprefix("acereason.") for room in re.split(r" [|:] ", floor)] for floor in layers
    ]
    assert all((SOURCE / room).exists() or (ROOT / room).exists() or (SOURCE / f"{room}.py").exists()
               for floor in floors_of_the_picture() for room in floor)  # fmt: skip


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


def trees() -> Iterator[ast.AST]:
    """The source and the callbacks, parsed."""
    for file in (*SOURCE.rglob("*.py"), *(ROOT / "callbacks").glob("*.py")):
        yield ast.parse(file.read_text(encoding="utf-8"))


def plain(tag: str) -> str:
    """A tag of one domain's evaluation as that of all."""
    return re.sub("^eval/(?:math|code)_", "eval/", tag)


def logged_tags() -> set[str]:
    """Tags in the source; those under time/ are also made of the names of the phases."""
    tags, phases = set(), set()
    for tree in trees():
        phases |= keys_of_seconds(tree)
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        tags |= {plain(text) for text in texts if isinstance(text, str) and TAG.fullmatch(text)}
    return tags | {f"time/{phase}" for phase in phases}


@pytest.fixture(scope="module")
def logged() -> set[str]:
    return logged_tags()


def test_the_source_is_read_rightly_for_tags(logged: set[str]) -> None:
    assert {"time/sync", "time/generate", "time/verify_exposed", "time/train", "time/step"} <= logged
    assert {"reward/mean", "policy/kl", "eval/pass@1", "rollout/logprob_gap_max"} <= logged


def test_the_table_of_curves_has_every_tag_and_no_other(logged: set[str]) -> None:
    table = re.findall(r"^\| `([^`]+)` \|", prose(page("curves.md")), re.MULTILINE)
    documented = [name for name in table if TAG.fullmatch(name)]
    assert len(documented) == len(set(documented))
    assert set(documented) == logged


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_no_page_names_a_curve_that_is_not_logged(path: Path, logged: set[str]) -> None:
    assert {plain(span) for span in code_spans(path) if TAG.fullmatch(span)} <= logged


@pytest.mark.parametrize(
    ("title", "columns"), [("Responses", RESPONSES), ("Rollouts", TRAINING), ("Solve rates", SOLVE_RATES)]
)
def test_the_columns_of_the_files_of_a_run_are_those_that_are_written(title: str, columns: dict[str, Any]) -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("run_files.md", title), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(columns)


def test_the_table_of_groups_of_settings_has_every_group_and_no_other() -> None:
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section("settings_and_commands.md", "Settings"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(name for name, hint in type_hints(Config).items() if hint not in (int, str, bool))


def test_the_table_of_commands_has_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| `acereason (\w+)", section("settings_and_commands.md", "Commands"), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_the_settings_of_verify_are_in_its_table_with_their_defaults() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", section("verify_a_file.md", "Settings"), re.MULTILINE)
    declared = {key: entry.default for key, entry in settings(COMMANDS["verify"].settings).items()}
    defaults = {key: "to be given" if value is MISSING else str(value) for key, value in declared.items()}
    assert dict(rows) == {key: value for key, value in defaults.items() if not key.startswith("sandbox.")}


def test_the_usual_field_names_are_those_of_the_code() -> None:
    text = prose(page("problems.md"))
    assert ", ".join(f"`{name}`" for name in ANSWER_FIELDS) in text
    assert ", ".join(f"`{name}`" for name in QUESTION_FIELDS) in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("problems.md", ["42", r"\frac{7}{2}", "1500", "5", "42"]), ("train_on_your_problems.md", ["42", r"\frac{7}{2}"])],
)
def test_the_example_rows_load_and_give_the_answers_they_should(name: str, expected: list[str], tmp_path: Path) -> None:
    answers = []
    for number, rows in enumerate(blocks(page(name), "json")):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(rows, encoding="utf-8")
        train, held_out = load_problems(ProblemsConfig(path=str(path), held_out=0))
        assert held_out == []
        answers += [problem.answer for problem in train]
    assert answers == expected


GOOD = '{"question": "?", "answer": "1"}'
REFUSED: list[tuple[str, dict[str, Any]]] = [
    (f'{GOOD}\n{{"answer":  ?}}', {}),
    ('{"q": "?", "answer": "1"}', {}),
    (f'{GOOD[:-1]}, "name": "x"}}\n{GOOD[:-1]}, "name": "x"}}', {"id": "name"}),
    ('{"question": "?", "answer": ""}', {"skip_empty": False}),
    ("", {}),
    (f"{GOOD}\n{GOOD}", {"held_out": 5}),
    ('{"question": "?", "tests": [{"input": [1], "output": "1"}]}', {"domain": "code"}),
    ('{"question": "?", "tests": {"inputs": ["1", "2"], "outputs": ["1"]}}', {"domain": "code"}),
]
"""Files of rows that are refused, each with its settings, in the order of the page."""


def test_the_messages_shown_are_those_of_broken_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    messages = []
    for rows, mapping in REFUSED:
        Path("rows.jsonl").write_text(rows, encoding="utf-8")
        with pytest.raises(UserError) as caught:
            load_problems(ProblemsConfig(path="rows.jsonl", **mapping))
        messages.append(f"error: {caught.value}")
    assert "\n".join(messages) in section("problems.md", "Messages")


def test_the_prompts_shown_are_the_ones_used() -> None:
    text = page("problems.md").read_text(encoding="utf-8")
    assert f"QUESTION\n{prompts.MATH_INSTRUCTION}\n" in text
    assert f"QUESTION\n\n{prompts.CODE_INSTRUCTION}\n" in text


def chain_of(operations: str, start: int = 0) -> Chain:
    return Chain(start, tuple((step[1], int(step[2:])) for step in operations.split()))


def test_the_math_example_is_worked_out_rightly() -> None:
    texts = blocks(page("laptop.md"), "")
    place = next(i for i, text in enumerate(texts) if text.startswith("Start at 7"))
    chain = chain_of("a+5 b*3 c-4", start=7)
    assert texts[place] == math_question(chain) + "\n"
    solve = runpy.run_path(str(ROOT / "scripts" / "laptop_solutions.py"))["careful_math_solution"]
    assert texts[place + 1] == solve(chain) + "\n"
    assert chain_values(chain) == [2, 6, 2]


def test_the_code_example_passes_its_tests() -> None:
    chain = chain_of("a*3 b+4 c%7")
    assert code_question(chain) in "".join(blocks(page("laptop.md"), ""))
    scope: dict[str, Any] = {}
    exec(blocks(page("laptop.md"), "python")[0], scope)
    tests = to_problem(chain, "code").tests
    assert [scope["f"](*test.input) for test in tests] == [test.output for test in tests]


def test_the_laptop_policy_is_made_with_the_numbers_that_its_page_gives() -> None:
    text = prose(page("laptop.md"))
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
    text = section("paper_numbers.md", "What the paper leaves open")
    rows = re.findall(r"^\| [^|`]+ \| ((?:`[\w.]+`(?:, )?)+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert len(rows) == 10
    for keys, values in rows:
        names = re.findall(r"`([\w.]+)`", keys)
        assert [str(settings()[name].default) for name in names] == values.strip().split(", ")


def test_every_group_of_settings_is_known_here() -> None:
    assert {"problems", "trainer", "grpo", "callbacks"} <= GROUPS <= set(type_hints(Config))
