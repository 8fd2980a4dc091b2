# Thin on purpose: what each target does is in tools/tasks.py, which also runs without make (python tools/tasks.py test).
ifeq ($(OS),Windows_NT)
PYTHON ?= python
else
PYTHON ?= python3
endif

.DEFAULT_GOAL := help
.PHONY: help install notebooks lab html bench gpu-check test test-oldest browser-test dist clean

help install notebooks lab html bench gpu-check test test-oldest browser-test dist clean:
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "No '$(PYTHON)' here. Install Python 3.10 or newer, or name one: make $@ PYTHON=python3.12"; exit 1; }
	@$(PYTHON) tools/tasks.py $@
