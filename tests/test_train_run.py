"""Whole runs of `train.py`: real vLLM, real FSDP2, real verifiers, each in a process of its own."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from fresh_process import fresh_environment
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from acereason.training.curves import read_scalars

ROOT = Path(__file__).resolve().parent.parent
STEPS = 30
SMALL = ["problems.count=256", "problems.held_out=16", "evaluation.samples_per_problem=2", "log.progress_bar=false"]
TINY = [*SMALL, "curriculum.prompts_per_step=4", "curriculum.rollouts_per_prompt=4", "evaluation.every_n_steps=0"]


def run(*overrides: str, pythonpath: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "src"), *([str(pythonpath)] if pythonpath else [])])
    env = fresh_environment(PYTHONPATH=path)
    command = [sys.executable, "train.py", "recipe=laptop_math", *overrides]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)


def succeed(*overrides: str, pythonpath: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = run(*overrides, pythonpath=pythonpath)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def values(folder: Path, tag: str) -> list[float]:
    return [value for _, value in read_scalars(folder)[tag]]


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a short run of the laptop recipe, long enough to learn something, and what it printed."""
    root = tmp_path_factory.mktemp("runs")
    done = succeed(
        f"run.root={root}",
        "run.name=learned",
        f"trainer.max_steps={STEPS}",
        "problems.held_out=64",
        "evaluation.samples_per_problem=4",
        "evaluation.every_n_steps=0",
        "checkpoint.every_n_steps=10",
        "checkpoint.keep=3",
        "log.progress_bar=false",
    )
    return root / "learned", done.stdout


def test_a_short_run_improves_held_out_pass_at_1(learned: tuple[Path, str]) -> None:
    scalars = read_scalars(learned[0])
    (_, before), (last, after) = scalars["eval/pass@1"]
    error = max(value for _, value in scalars["eval/pass@1_standard_error"])
    assert last == STEPS
    assert after - before > max(0.1, 2 * error)


def test_the_engine_has_the_policys_log_probs_after_every_sync(learned: tuple[Path, str]) -> None:
    gaps = values(learned[0], "rollout/logprob_gap_max")
    assert len(gaps) == STEPS
    assert max(gaps) <= 1e-4


def test_the_run_folder_holds_all_it_should(learned: tuple[Path, str]) -> None:
    folder, printed = learned
    assert {"config.yaml", "versions.txt", "events", "rollouts", "checkpoints", "export", "figures"} <= {
        path.name for path in folder.iterdir()
    }
    assert "torch 2." in (folder / "versions.txt").read_text()
    assert Image.open(folder / "figures" / "curves.png").size[0] > 800
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        "step-000010",
        "step-000020",
        "step-000030",
    ]
    assert "Held-out pass@1" in printed
    expected = {
        *("reward/mean", "reward/solved_all", "reward/solved_none", "response/length_mean", "response/length_p95"),
        *("response/truncated", "policy/entropy", "policy/grad_norm", "policy/lr", "rollout/logprob_gap_mean"),
        *("rollout/logprob_gap_max", "time/generate", "time/verify_exposed", "time/train", "time/sync", "time/step"),
        *("throughput/tokens_per_second", "eval/pass@1"),
    }
    assert expected <= set(read_scalars(folder))


def test_every_rollout_is_in_parquet_with_its_verdict(learned: tuple[Path, str]) -> None:
    files = sorted((learned[0] / "rollouts").glob("*.parquet"))
    assert len(files) == STEPS
    rows = pq.read_table(files[0]).to_pylist()
    assert len(rows) == 16 * 16
    for row in rows:
        boxed = row["response"].rpartition("\\boxed{")[2].rstrip("}")
        right = not row["truncated"] and "</think>" in row["response"] and boxed == row["gold"]
        assert row["reward"] == float(right), row
        assert len(row["response_ids"]) == len(row["logprobs"]) <= 64
    assert values(learned[0], "reward/mean")[0] == pytest.approx(sum(row["reward"] for row in rows) / len(rows))


def test_the_export_is_the_trained_policy_in_hugging_face_format(learned: tuple[Path, str]) -> None:
    model = AutoModelForCausalLM.from_pretrained(learned[0] / "export", dtype=torch.float32)
    initial = AutoModelForCausalLM.from_pretrained(ROOT / "models" / "laptop", dtype=torch.float32)
    change = [(a - b).abs().max() for a, b in zip(model.parameters(), initial.parameters(), strict=True)]
    assert 1e-5 < max(change) < 0.1
    tokenizer = AutoTokenizer.from_pretrained(learned[0] / "export")
    assert tokenizer.decode(tokenizer.encode("7+5=2</think>\n")) == "7+5=2</think>\n"


GREEDY = """
import json, sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from acereason.config.schema import EngineConfig, DType
from acereason.problems.laptop import laptop_problems
from acereason.engines.prompt import make_prompt
from acereason.engines.engine import Request, Sampling
from acereason.engines.vllm_engine import VLLMEngine

folder = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(folder)
prompts = [make_prompt(p, tokenizer).ids for p in laptop_problems("math", "held_out", 16, (2, 9))]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
theirs = [
    model.generate(torch.tensor([ids]), do_sample=False, max_new_tokens=64)[0, len(ids) :].tolist() for ids in prompts
]
engine = VLLMEngine(folder, EngineConfig(dtype=DType.float32), 160, torch.device("cpu"))
requests = [Request(number, ids, 0) for number, ids in enumerate(prompts)]
ours = {g.request_id: list(g.token_ids) for g in engine.generate(requests, Sampling(64, temperature=0))}
print(json.dumps([[ours[number], theirs[number]] for number in range(len(prompts))]))
"""


def test_transformers_and_vllm_say_the_same_with_an_exported_checkpoint(
    learned: tuple[Path, str], tmp_path: Path
) -> None:
    env = fresh_environment(PYTHONPATH=str(ROOT / "src"))
    words = [f"run={learned[0]}", "ckpt=last", f"output={tmp_path / 'export'}"]
    subprocess.run([sys.executable, "-m", "acereason.cli", "export", *words], cwd=ROOT, env=env, check=True)
    command = [sys.executable, "-c", GREEDY, str(tmp_path / "export")]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.splitlines()[-1])
    assert len(answers) == 16
    assert all(ours == theirs for ours, theirs in answers)
    assert len({tuple(ours) for ours, _ in answers}) > 8


def test_a_resumed_run_ends_with_the_weights_of_the_uninterrupted_one(
    learned: tuple[Path, str], tmp_path: Path
) -> None:
    succeed(
        f"run.root={tmp_path}",
        "run.name=resumed",
        f"ckpt={learned[0] / 'checkpoints' / 'step-000020'}",
        f"trainer.max_steps={STEPS}",
        "problems.held_out=64",
        "evaluation.samples_per_problem=4",
        "evaluation.every_n_steps=0",
        "log.progress_bar=false",
    )
    resumed, whole = tmp_path / "resumed", learned[0]
    assert values(resumed, "reward/mean") == values(whole, "reward/mean")[20:]
    ours, theirs = (load_file(folder / "export" / "model.safetensors") for folder in (resumed, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_log_probs_agree_below_temperature_1_too(tmp_path: Path) -> None:
    succeed(*TINY, f"run.root={tmp_path}", "run.name=cold", "trainer.max_steps=6", "curriculum.temperature=0.6")
    gaps = values(tmp_path / "cold", "rollout/logprob_gap_max")
    assert len(gaps) == 6
    assert max(gaps) <= 1e-4


def test_without_the_sync_the_first_steps_end_the_run_on_all_ranks(tmp_path: Path) -> None:
    (tmp_path / "forget_sync.py").write_text(
        "from lightning.pytorch import Callback\n\n\n"
        "class ForgetSync(Callback):\n"
        "    def on_train_start(self, trainer, module):\n"
        "        trainer.datamodule.engines.engine.sync = lambda weights: None\n"
    )
    done = run(
        *TINY,
        f"run.root={tmp_path}",
        "run.name=stale",
        *("trainer.devices=2", "trainer.max_steps=6", "curriculum.learning_rate=1e-3"),
        *("engine.name=transformers", "problems.held_out=0"),
        "callbacks.forget.class_path=forget_sync.ForgetSync",
        pythonpath=tmp_path,
    )
    assert_one_line(done, "rollout.max_gap=0: engine and policy differ by", "in step 2, more than 0.0001 (float32)")
    assert len(values(tmp_path / "stale", "rollout/logprob_gap_max")) == 1


def test_several_updates_a_batch_with_kl_and_entropy(tmp_path: Path) -> None:
    succeed(
        *TINY,
        f"run.root={tmp_path}",
        "run.name=ablation",
        "trainer.max_steps=3",
        "grpo.updates_per_batch=2",
        "grpo.kl_coefficient=0.01",
        "grpo.entropy_coefficient=0.001",
        "optimizer.warmup_steps=4",
    )
    folder = tmp_path / "ablation"
    assert values(folder, "policy/kl")[-1] > 0
    assert values(folder, "policy/lr") == pytest.approx([0.25e-4, 0.75e-4, 1e-4])


MULTIPLE = "must be a multiple of trainer.devices × trainer.num_nodes"
BAD = [
    (["trainer.max_step=3"], ["trainer.max_step", "trainer.max_steps"]),
    (["trainer.max_steps=many"], ["trainer.max_steps", "many"]),
    (["problems.path=missing.jsonl"], ["missing.jsonl"]),
    (["problems.path={tmp}/broken.jsonl"], ["broken.jsonl:2"]),
    (["problems.path={tmp}/fields.jsonl", "problems.answer=gold"], ["gold", "fields.jsonl:1"]),
    (["problems.path={tmp}/empty.jsonl"], ["empty.jsonl"]),
    (["model.path={tmp}/model"], ["tokenizer", "{tmp}/model"]),
    (["curriculum.max_response_tokens=5000"], ["max_response_tokens", "5000", "4096"]),
    (["curriculum.max_response_tokens=4080"], ["4080", "4096"]),
    (["callbacks.x.class_path=callbacks.nothing.Nothing"], ["callbacks.nothing"]),
    (
        ["trainer.devices=2", "curriculum.prompts_per_step=5"],
        ["curriculum.prompts_per_step=5", "a multiple of trainer.devices × trainer.num_nodes = 2"],
    ),
    (
        ["trainer.devices=4", "curriculum.prompts_per_step=2"],
        ["curriculum.prompts_per_step=2", "a multiple of trainer.devices × trainer.num_nodes = 4"],
    ),
    (["trainer.devices=3", "curriculum.prompts_per_step=6", "trainer.shard_ranks=2"], ["trainer.shard_ranks=2"]),
    (["trainer.devices=2", "trainer.port={port}"], ["trainer.port={port}", "in use"]),
    (["trainer.port={port}"], ["{port}", "in use"]),
    (["trainer.num_nodes=2"], ["trainer.num_nodes=2", "torchrun"]),
    (["run.name=none", "ckpt=last"], ["ckpt=last", "no complete checkpoint"]),
]


@pytest.mark.parametrize(("overrides", "said"), BAD, ids=lambda value: value[0][:40])
def test_an_error_of_the_user_is_one_clear_line(tmp_path: Path, overrides: list[str], said: list[str]) -> None:
    (tmp_path / "broken.jsonl").write_text('{"question": "1+1", "answer": 2}\n{"question": \n')
    (tmp_path / "fields.jsonl").write_text('{"question": "1+1", "answer": 2}\n')
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text((ROOT / "models" / "laptop" / "config.json").read_text())
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(f"run.root={tmp_path}/runs", *(text.format(tmp=tmp_path, port=port) for text in overrides))
    assert_one_line(done, *(text.format(tmp=tmp_path, port=port) for text in said))


def assert_one_line(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert all(text in lines[0] for text in said), lines[0]


def test_a_checkpoint_that_is_incomplete_or_of_another_run_is_one_clear_line(
    learned: tuple[Path, str], tmp_path: Path
) -> None:
    checkpoint = learned[0] / "checkpoints" / "step-000020"
    cut = tmp_path / "step-000020"
    shutil.copytree(checkpoint, cut)
    os.truncate(cut / "meta.pt", 100)
    assert_one_line(run(f"run.root={tmp_path}", "run.name=a", f"ckpt={cut}"), str(cut), "meta.pt", "ckpt=last")
    shutil.copytree(checkpoint, tmp_path / "step-000020.partial")
    partial = f"ckpt={tmp_path}/step-000020.partial"
    assert_one_line(run(f"run.root={tmp_path}", "run.name=a", partial), partial, "not written to the end")
    same = [f"ckpt={checkpoint}", f"run.root={tmp_path}", "run.name=a", "problems.held_out=64"]
    same += ["evaluation.samples_per_problem=4", f"trainer.max_steps={STEPS}"]
    assert_one_line(run(*same, "seed=3"), "seed=3", "ckpt_changes=true")
    model = tmp_path / "wider"
    shutil.copytree(ROOT / "models" / "laptop", model)
    values = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(values | {"hidden_size": 256}))
    assert_one_line(run(*same, f"model.path={model}"), "hidden_size", "256", "128")
    assert_one_line(run(f"run.root={learned[0].parent}", "run.name=learned"), "holds checkpoints already", "ckpt=last")
