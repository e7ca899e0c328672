import json

import pyarrow as pa
import pytest
from problem_files import jsonl, load, numbered, refusal, run_offline
from pyarrow import parquet

from acereason.problems.problem import Problem


def test_bom_blank_lines_crlf_and_a_missing_last_newline_do_no_harm(tmp_path):
    path = tmp_path / "odd.jsonl"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + b'{"question": "a\\r\\n", "answer": "1"}\r\n\r\n   \n'
        + '{"question": "\uff42\u2028∑\x85", "answer": "\uff12"}'.encode()
    )
    assert load(path) == [
        Problem("odd:1", "math", "a\r\n", answer="1"),
        Problem("odd:4", "math", "\uff42\u2028∑\x85", answer="\uff12"),
    ]


def test_lone_surrogates_become_replacement_characters_and_pairs_stay(tmp_path):
    path = jsonl(tmp_path, '{"question": "\\ud835 \\ud83d\\ude00 \\uDFFF", "answer": "\\\\ud800"}')
    [problem] = load(path)
    assert problem.question == "\ufffd \U0001f600 \ufffd"
    assert problem.answer == "\\ud800"  # an escaped backslash, no surrogate
    problem.question.encode()  # does not raise


def test_a_json_file_holds_a_list_or_a_row_a_line(tmp_path):
    rows = [{"question": "a", "answer": 1}, {"question": "b", "answer": 2}]
    listed = tmp_path / "data.json"
    listed.write_text(json.dumps(rows, indent=2))
    from_list = load(listed)
    assert [problem.answer for problem in from_list] == ["1", "2"]
    assert load(jsonl(tmp_path, *rows, name="data.json")) == from_list
    listed.write_text('[{"question": "a",\n "answer": }]')
    assert refusal(listed).startswith(f"{listed}: broken JSON: Expecting value at line 2 column 12")


def test_parquet_rows_load_like_json_rows(tmp_path):
    rows = [
        {
            "prompt": [{"role": "user", "content": f"q{n}"}],
            "reward_model": {"ground_truth": str(n)},
            "extra_info": {"index": n},
            "hard": float(n),
        }
        for n in range(3000)
    ]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pylist(rows), path)
    problems = load(path, id="extra_info.index", level="hard")
    assert problems == [Problem(str(n), "math", f"q{n}", answer=str(n), level=n) for n in range(3000)]
    assert [problem.id for problem in load(path, limit=2)] == ["rows:1", "rows:2"]


def test_files_load_without_the_heavy_imports(tmp_path):
    path = jsonl(tmp_path, {"question": "q", "answer": 1})
    code = (
        "import sys; from acereason.config.schema import ProblemsConfig; "
        "from acereason.problems.loaders import load_problems; "
        f"assert len(load_problems(ProblemsConfig(path={str(path)!r}, held_out=0))[0]) == 1; "
        "print([name for name in ('torch', 'transformers', 'datasets', 'pyarrow') if name in sys.modules])"
    )
    assert run_offline(tmp_path, code) == "[]"


def test_hub_data_sets_load_from_a_folder_and_fail_in_one_line(tmp_path):
    data = tmp_path / "tiny set" / "data"
    data.mkdir(parents=True)
    for split, count in (("train", 3), ("test", 1)):
        rows = [{"question": f"{split} {n}", "answer": f"so\n#### {n}"} for n in range(count)]
        parquet.write_table(pa.Table.from_pylist(rows), data / f"{split}-00000-of-00001.parquet")
    code = f"""
from acereason.config.schema import ProblemsConfig
from acereason.errors import UserError
from acereason.problems.loaders import load_problems
for path, split in [({f"hub:{data.parent}"!r}, "train"), ({f"hub:{data.parent}"!r}, "test"),
                    ({f"hub:{data.parent}"!r}, "dev"), ("hub:nobody/no-such-set:main", "train"), ("hub:", "train")]:
    try:
        problems, _ = load_problems(ProblemsConfig(path=path, split=split, held_out=0))
        print([(problem.id, problem.question, problem.answer) for problem in problems])
    except UserError as error:
        print(error)
"""
    train, test, no_split, no_set, no_name = run_offline(tmp_path, code).splitlines()
    assert eval(train) == [(f"tiny set:{n + 1}", f"train {n}", str(n)) for n in range(3)]
    assert eval(test) == [("tiny set:1", "test 0", "0")]
    assert "problems.split=dev: cannot be loaded: ValueError" in no_split
    assert no_set.startswith("problems.path=hub:nobody/no-such-set:main problems.split=train: cannot be loaded:")
    assert no_set.endswith("check the names and the network, or give a local file")
    assert no_name.startswith("problems.path=hub:: names no data set")


def test_text_that_is_not_utf8_is_named_with_file_and_line(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes(b'{"question": "a", "answer": 1}\n{"question": "caf\xe9", "answer": 2}\n')
    assert refusal(path) == f"{path}:2: byte 18 is not UTF-8; convert the file to UTF-8"


def test_missing_files_folders_and_unknown_kinds_are_refused(tmp_path):
    gone = tmp_path / "gone.jsonl"
    assert refusal(gone).startswith(f"problems.path={gone}: there is no such file; give `laptop`,")
    assert "is a folder" in refusal(tmp_path)
    table = tmp_path / "table.csv"
    table.write_text("question,answer\n1,2\n")
    assert f"problems.path={table}: unknown kind of file '.csv'" in refusal(table)


def test_unreadable_parquet_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_bytes(b"this is not Parquet at all")
    assert refusal(path).startswith(f"problems.path={path} is not readable as Parquet:")
    parquet.write_table(pa.Table.from_pylist(numbered(100)), path)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(path).startswith(f"problems.path={path} is not readable as Parquet:")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "b", "answer": 2', "broken JSON: Expecting ',' delimiter at column 30"),
        ("{'question': 'b'}", "broken JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[1, 2]", "a row must be a JSON object with named fields, not a list"),
        ("7", "a row must be a JSON object with named fields, not a int"),
        ("null", "a row must be a JSON object with named fields, not a NoneType"),
        ("[" * 100_000, "unreadable JSON"),
        ('{"question": "b", "answer": ' + "9" * 5000 + "}", "unreadable JSON"),
        ("{}", "no question under the usual names (question, problem, prompt, input, query); the row has no fields"),
        ('{"q": "b", "answer": 2}', "the row has 'q', 'answer'; set problems.question=NAME"),
        ('{"question": "b", "gold_value": 2}', "the row has 'question', 'gold_value'; set problems.answer=NAME"),
        ('{"question": " \\n", "answer": 2}', "the question is empty"),
        ('{"question": null, "answer": 2}', "the question is empty"),
        ('{"question": 5, "answer": 2}', "the question must be text or messages, not int"),
        ('{"question": ["b"], "answer": 2}', "the question must be text or messages, not list"),
        ('{"question": [{"role": "user", "content": ""}], "answer": 2}', "the question is empty"),
        ('{"question": "b", "answer": ""}', "the answer is empty"),
        ('{"question": "b", "answer": null}', "the answer is empty"),
        ('{"question": "b", "answer": "work ####"}', "the answer is empty"),
        ('{"question": "b", "answer": "\\\\boxed{ }"}', "the answer is empty"),
        ('{"question": "b", "answer": NaN}', "the answer must be text or a finite number, not nan"),
        ('{"question": "b", "answer": {"x": 1}}', "the answer must be text or a finite number, not {'x': 1}"),
    ],
)
def test_a_bad_line_is_named_with_file_and_line(tmp_path, line, said):
    path = jsonl(tmp_path, {"question": "a", "answer": 1}, "", line)
    message = refusal(path, skip_empty=False)
    assert message.startswith(f"{path}:3: ")
    assert said in message
