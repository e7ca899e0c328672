"""Settings that take one of a few words; the name of a member is its value."""

from __future__ import annotations

from enum import StrEnum


class Normalisation(StrEnum):
    """What the sum of token losses is divided by."""

    batch = "batch"
    group = "group"
    sequence = "sequence"


class AdvantageKind(StrEnum):
    """How rewards of a group become advantages."""

    group_std = "group_std"
    group_mean = "group_mean"
    leave_one_out = "leave_one_out"


class Correction(StrEnum):
    """How the loss makes up for tokens that the engine sampled with other probabilities than the policy's."""

    none = "none"
    token_cap = "token_cap"
    token_mask = "token_mask"
    sequence_mask = "sequence_mask"
    sequence_cap = "sequence_cap"


class Thinking(StrEnum):
    """Whether a response has to end its thoughts with `</think>` before an answer counts."""

    auto = "auto"
    required = "required"
    optional = "optional"


class EngineName(StrEnum):
    """Which rollout engine generates."""

    vllm = "vllm"
    transformers = "transformers"


class Scheduling(StrEnum):
    """How the responses of a step are distributed over the engines."""

    queue = "queue"
    fixed = "fixed"


class Sleep(StrEnum):
    """What becomes of an engine's weights on the GPU while the policy trains."""

    drop = "drop"
    keep = "keep"


class DType(StrEnum):
    """A floating-point type."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class DomainName(StrEnum):
    """The kind of a problem, which decides its prompt template and its verifier."""

    math = "math"
    code = "code"


class Accelerator(StrEnum):
    """Where the policy trains."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
