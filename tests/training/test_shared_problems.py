"""Ranks of a node that need a model and a data set of the hub download them once between them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
from fake_hub import fake_hub
from fresh_process import fresh_environment
from pyarrow import parquet

ROOT = Path(__file__).resolve().parents[2]
TOKENIZERS = {"chat_template.jinja", "tokenizer.model", "merges.txt", "vocab.json"}
MODEL = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def write_hub(folder: Path) -> None:
    """A model with tokenizer files of several kinds, and weights of another kind; a data set of five problems."""
    model, data = folder / "models" / "owner" / "tiny", folder / "datasets" / "owner" / "set" / "data"
    shutil.copytree(ROOT / "models" / "laptop", model)
    for name in TOKENIZERS | {"pytorch_model.bin", "README.md"}:
        (model / name).write_text(name)  # equal files would be one download
    data.mkdir(parents=True)
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(5)]
    parquet.write_table(pa.Table.from_pylist(rows), data / "train-00000-of-00001.parquet")


def test_one_rank_downloads_and_the_other_does_not_even_ask(tmp_path: Path) -> None:
    write_hub(tmp_path)
    with fake_hub(tmp_path) as hub:
        environment = fresh_environment(
            PYTHONPATH=str(ROOT / "src"),
            OMP_NUM_THREADS="1",
            HF_ENDPOINT=hub.url,
            HF_HOME=str(tmp_path / "home"),
            HF_HUB_OFFLINE="0",
            HF_DATASETS_OFFLINE="0",
        )
        script = str(ROOT / "tests" / "training" / "two_ranks_of_a_hub.py")
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script]
        done = subprocess.run(torchrun, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        files, ids = json.loads(done.stdout.splitlines()[-1])[0]
        assert json.loads(done.stdout.splitlines()[-1])[1] == [files, ids]
        assert set(files) == MODEL | TOKENIZERS
        assert ids == [f"set:{n}" for n in range(1, 6)]
        assert hub.downloads() == dict.fromkeys([*files, "train-00000-of-00001.parquet"], 1)
        assert set(hub.requests.values()) == {1}
