# Shortcuts; the README's commands work without make.
.PHONY: setup test lint demo ci

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[dev]'

test:
	.venv/bin/pytest -q

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

demo:
	.venv/bin/orchestrator demo

ci:
	bash .ci/run
