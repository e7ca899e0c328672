"""Make the laptop policy: a Qwen2 model of under a million parameters, warm-started on worked solutions.

    python scripts/make_laptop_policy.py [FOLDER] [STEPS]

Everything is seeded, and only problems of the train split are used. The loss is on the response alone: if the prompt
counted, a model of this size would spend its capacity on predicting random digits and never learn the arithmetic.
Short, careful solutions come first for the same reason: among guesses and skipped steps, whose digits look random,
single steps are not learned in 3,500 training steps; on careful solutions alone they take a few hundred.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from laptop_solutions import careful_math_solution, code_solution, math_solution
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from acereason.problems.laptop import CODE_LEVELS, MATH_LEVELS, sample_chain, split_of, to_problem
from acereason.problems.prompts import CODE_HEADER_INTRO, CODE_PLACEMENT, MATH_INSTRUCTION, prompt_text

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
SPECIAL = [EOS, BOS, "<｜User｜>", "<｜Assistant｜>"]
# Fixed phrases are one token each, so that prompts stay short; everything else is spelled byte by byte.
PHRASES = [
    "<think>\n",
    "</think>\n",
    "\\boxed{",
    "```python\n",
    "    ",
    f"\n{MATH_INSTRUCTION}",
    f"\n\n{CODE_HEADER_INTRO}",
    f"\n```\n\n{CODE_PLACEMENT}",
    "Start at ",
    ", work modulo 10: ",
    "f takes x and applies in order: ",
    "def f(x):",
]
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}<｜User｜>{{ message['content'] }}"
    "{% else %}<｜Assistant｜>{{ message['content'] }}" + EOS + "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}"
)
CONTEXT = 4096
BATCH, LEARNING_RATE, WARMUP, CODE_SHARE, INIT_STD = 64, 2e-3, 50, 0.25, 0.06
CAREFUL_STEPS, CAREFUL_LEVELS = 700, (2, 4)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Make a byte-level tokenizer: the 256 bytes, the special tokens and the fixed phrases."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(SPECIAL + alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=EOS,
        additional_special_tokens=SPECIAL[2:],
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )
    fast.add_tokens(PHRASES)
    fast.chat_template = CHAT_TEMPLATE
    return fast


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen2ForCausalLM:
    """Make an untrained policy: 4 layers of width 128, tied embeddings, float32."""
    config = Qwen2Config(
        vocab_size=(len(tokenizer) + 15) // 16 * 16,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=INIT_STD,
        dtype="float32",
    )
    return Qwen2ForCausalLM(config)


def worked_example(rng: random.Random, tokenizer: Any, careful: bool) -> tuple[list[int], int]:
    """Draw the token ids of a prompt with a worked solution; return them and the prompt's length."""
    while True:
        domain: Any = "code" if rng.random() < CODE_SHARE else "math"
        levels = CODE_LEVELS if domain == "code" else CAREFUL_LEVELS if careful else MATH_LEVELS
        chain = sample_chain(rng, domain, rng.randint(*levels))
        problem = to_problem(chain, domain)
        if split_of(problem.question) == "train":
            break
    if domain == "code":
        solution = code_solution(rng, chain)
    else:
        solution = careful_math_solution(chain) if careful else math_solution(rng, chain)
    prompt = tokenizer.encode(prompt_text(problem, tokenizer), add_special_tokens=False)
    return prompt + tokenizer.encode(solution, add_special_tokens=False) + [tokenizer.eos_token_id], len(prompt)


def batches(rng: random.Random, tokenizer: Any, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield `steps` batches of examples of similar length: (input ids, labels with -100 on prompt and padding)."""
    for done in range(0, steps, 16):
        careful = done < CAREFUL_STEPS
        pool = sorted((worked_example(rng, tokenizer, careful) for _ in range(16 * BATCH)), key=lambda e: len(e[0]))
        groups = [pool[i : i + BATCH] for i in range(0, len(pool), BATCH)]
        rng.shuffle(groups)
        for group in groups[: steps - done]:
            longest = max(len(ids) for ids, _ in group)
            ids = torch.full((BATCH, longest), tokenizer.pad_token_id)
            labels = torch.full((BATCH, longest), -100)
            for row, (tokens, prompt_length) in enumerate(group):
                ids[row, : len(tokens)] = torch.tensor(tokens)
                labels[row, prompt_length : len(tokens)] = ids[row, prompt_length : len(tokens)]
            yield ids, labels


def warm_start(model: Qwen2ForCausalLM, tokenizer: Any, steps: int) -> None:
    """Train supervised, with the loss per response token and a learning rate that falls to zero over the last third."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    equals = tokenizer.convert_tokens_to_ids("=")
    started, right, digits = time.perf_counter(), 0, 0
    for step, (ids, labels) in enumerate(batches(random.Random(0), tokenizer, steps), 1):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, step / WARMUP, 3 * (steps + 1 - step) / steps)
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] != -100
        logits, targets = model.lm_head(hidden[wanted]), labels[:, 1:][wanted]
        loss = torch.nn.functional.cross_entropy(logits, targets)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        results = ids[:, :-1][wanted] == equals
        right += int((logits.argmax(-1) == targets)[results].sum())
        digits += int(results.sum())
        if step % 100 == 0:
            seconds = time.perf_counter() - started
            print(
                f"step {step}: loss {loss.item():.3f}, results right {right / digits:.3f}, {seconds:.0f} s", flush=True
            )
            right = digits = 0


def main() -> None:
    """Write the policy to the folder named on the command line."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "models/laptop")
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens")
    warm_start(model, tokenizer, steps)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=1.0,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    print(f"saved to {folder}")


if __name__ == "__main__":
    main()
