"""Runs: built, trained, watched, saved and shown. This package is imported before torch and vLLM."""

import os

# Both libraries read their log level when they are imported.
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
