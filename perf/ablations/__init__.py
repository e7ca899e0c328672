"""The paper's ablations at laptop scale: `python -m perf.ablations`, results in docs/why/ablations.md."""
