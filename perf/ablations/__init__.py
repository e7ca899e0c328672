"""The paper's ablations at laptop scale: `python -m benchmarks.ablations`, results in docs/ablations.md."""
