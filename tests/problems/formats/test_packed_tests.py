import base64
import json
import os
import pickle
import zlib

import pytest

from acereason.problems.formats import packed_tests
from acereason.problems.formats.packed_tests import is_packed, unpacked

TESTS = json.dumps([{"input": "1 2\n", "output": "é 3\n", "testtype": "stdin"}], ensure_ascii=False)


def packed(content):
    return base64.b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("repeats", [1, 5000], ids=["short", "long"])
def test_a_pickled_text_of_any_protocol(protocol, repeats):
    text = TESTS * repeats
    assert is_packed(packed(pickle.dumps(text, protocol)))
    assert unpacked(packed(pickle.dumps(text, protocol))) == text
    assert unpacked(packed(pickle.dumps({"input_output": text}, protocol))) == text


def test_json_without_a_pickle_around_it():
    assert unpacked(packed(TESTS.encode())) == TESTS


class Runs:
    """Would make a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_does_something_is_refused_and_does_nothing(tmp_path, protocol):
    for content in (Runs(tmp_path / "made"), [TESTS, Runs(tmp_path / "made")], {TESTS: Runs(tmp_path / "made")}):
        with pytest.raises(ValueError, match="only text is allowed"):
            unpacked(packed(pickle.dumps(content, protocol)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [5, [TESTS], None, b"bytes", {"a": 1}, {}, (), 1.5])
def test_a_pickle_of_anything_but_text_is_refused(content):
    with pytest.raises(ValueError, match="pickle"):
        unpacked(packed(pickle.dumps(content)))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", b"\x80\x04X\xff\xff\xff\x7fa.", b"\x80\x04X\x01\0\0\0\xff.", b"\xff" * 20]
)
def test_a_broken_pickle_is_refused(content):
    with pytest.raises(ValueError):
        unpacked(packed(content))


def test_what_would_be_too_long_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(packed_tests, "LONGEST_UNPACKED", 1000)
    assert len(unpacked(packed(b"[" + b" " * 999))) == 1000
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        unpacked(packed(b"[" + b" " * 100_000_000))


def test_what_is_not_base64_of_zlib_is_refused():
    whole = packed(TESTS.encode())
    with pytest.raises(ValueError, match="not zlib"):
        unpacked("A" * 40)
    with pytest.raises(ValueError, match="cut off"):
        unpacked(whole[: len(whole) // 8 * 4])
    with pytest.raises(ValueError):
        unpacked(whole + "é")


@pytest.mark.parametrize("text", ["", "[]", '[{"input": "1"}]', "assert f(1)", "def check(c): c(1)", "A" * 15])
def test_json_and_source_are_not_taken_for_packed(text):
    assert not is_packed(text)
