"""The figures of the page on one GPU are those of the plan."""

import re
from pathlib import Path

from acereason.config.compose import compose
from acereason.planning.host_memory import host_memory
from acereason.planning.memory import Shape, engine_memory, training_memory

PAGE = Path("docs/how-to/train_on_one_gpu.md")
QWEN_7B = "model.path=deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"
COLUMNS = ([], [QWEN_7B, "model.lora.rank=32"], [QWEN_7B, "model.cpu_offload=true"])


def gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB" if size else ""


def test_the_table_is_the_plan() -> None:
    columns = []
    for words in COLUMNS:
        config = compose(["recipe=one_gpu_1_5b", *words])
        config.trainer.devices = config.trainer.num_nodes = 1
        shape = Shape.of_model(config.model.path)
        assert shape is not None
        training, host = training_memory(config, shape, 8192), host_memory(config, shape)
        generating = training.kept + config.engine.gpu_memory_utilization * config.trainer.device_memory_gib * 2**30
        assert engine_memory(config, shape).weights < generating
        columns.append([gib(size) for size in (training.total, generating, host.policy, host.pinned)])
    rows = re.findall(r"^\| (?:GPU|host|of that).*$", PAGE.read_text("utf-8"), re.M)
    assert [[cell.strip() for cell in row.split("|")[2:-1]] for row in rows] == [
        list(row) for row in zip(*columns, strict=True)
    ]
