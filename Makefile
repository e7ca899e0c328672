# The commands of this project. `make` alone lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ifeq ($(origin PYTHON), undefined)
PYTHON := $(if $(shell python3.11 -c 'print(1)' 2>/dev/null),python3.11,python3)
endif
VENV ?= .venv
ARGS ?=
BIN := $(VENV)/bin

# Colours only where someone looks at them.
BOLD := $(if $(MAKE_TERMOUT),\033[1m)
PLAIN := $(if $(MAKE_TERMOUT),\033[0m)

.PHONY: help
help: ## Show this list
	@printf 'Usage: make $(BOLD)TARGET$(PLAIN) [ARGS="…"] [PYTHON=python3.11] [VENV=.venv]\n\n'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  $(BOLD)%-9s$(PLAIN) %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: ## Create .venv and install the pinned packages, once
	@$(PYTHON) scripts/install.py $(VENV)

.PHONY: train
train: install ## Train the laptop policy; settings go in ARGS="trainer.max_steps=50 seed=1"
	@$(BIN)/python train.py $(ARGS)

.PHONY: ablations
ablations: install ## Repeat the paper's ablations in small; ARGS="updates --seeds 0,1" picks some
	@$(BIN)/python -m perf.ablations $(ARGS)

.PHONY: test
test: install ## Run the tests; ARGS="tests/test_grpo.py -k loss" picks some
	@$(BIN)/python -m pytest -q -n 2 --dist loadscope --no-loadscope-reorder $(ARGS)

.PHONY: lint
lint: install ## Check style, formatting, floors and types
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'Formatting differs in the files above: make format'; exit 1; }
	@PYTHONPATH=. $(BIN)/lint-imports --no-logo
	@$(BIN)/mypy

.PHONY: format
format: install ## Format the code and fix what ruff can fix
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

.PHONY: clean
clean: ## Remove caches and build products; runs/ and .venv stay
	@rm -rf build dist src/*.egg-info
	@find . \( -path './.venv*' -o -path './$(VENV)' -o -path ./runs \) -prune -o -type d \
	  \( -name __pycache__ -o -name .hypothesis -o -name .mypy_cache -o -name .pytest_cache -o -name .ruff_cache \) \
	  -prune -exec rm -rf {} +
