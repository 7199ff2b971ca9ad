# make lab      the course in your browser (sets everything up the first time)
# make test     the whole test suite
# make course   rebuild the notebooks from solutions/*.py
# make parity   the models against the authors' own code, in an environment of its own
# make bench    measure speed, memory and difficulty
# make check    ruff (lint and format) and mypy
# make clean    remove the environment and the tools' caches; rendered songs stay
#
# Settings, given as `make lab PORT=9000`:
#   PORT      where JupyterLab listens (it takes the next free port when this one is busy)
#   LAB_ARGS  more options for JupyterLab, for example --no-browser
#   ARGS      more options for pytest, the benchmarks or the build of the notebooks
#   PYTHON    the Python (3.11 or later) that creates .venv
#   PIP_ARGS  more options for pip
#   JOBS      how many tests run side by side

PORT ?= 8888
LAB_ARGS ?=
ARGS ?=
PIP_ARGS ?=
JOBS ?= auto --maxprocesses=4
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
FIRST_LESSON = course/00_start_here.ipynb

ifeq ($(OS),Windows_NT)
BIN = $(VENV)/Scripts
else
BIN = $(VENV)/bin
endif
ENV_PYTHON = $(BIN)/python
PEERS = .venv-peers
PEERS_PYTHON = $(subst $(VENV),$(PEERS),$(BIN))/python

# JupyterLab asks in a corner whether it may fetch news; here it need not ask.
LAB_SETTINGS = $(VENV)/share/jupyter/lab/settings
NO_NEWS = mkdir -p $(LAB_SETTINGS) && echo \
	'{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' \
	> $(LAB_SETTINGS)/overrides.json

.PHONY: lab test course parity bench check clean ffmpeg starter
.DEFAULT_GOAL := lab

lab: $(VENV)/.lab ffmpeg starter
	@echo
	@echo "JupyterLab prints its address below (http://127.0.0.1:.../lab/...?token=...)."
	@echo "No browser here? Open that address in one; from another computer, first run there:"
	@echo "    ssh -L $(PORT):127.0.0.1:$(PORT) this-computer"
	@echo "(with the port of that address, should it be another one)."
	@echo "Ctrl-C twice stops it."
	@echo
	@root=; [ "$$(id -u 2>/dev/null)" != 0 ] || root=--allow-root; \
	exec $(ENV_PYTHON) -m jupyter lab --ip=127.0.0.1 --port=$(PORT) $$root \
		--ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/$(FIRST_LESSON) \
		--LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
		$(LAB_ARGS)

test: $(VENV)/.dev ffmpeg starter
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
	$(ENV_PYTHON) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

course: $(VENV)/.dev starter
	$(ENV_PYTHON) solutions/build.py $(ARGS)

parity: $(PEERS)/.peers
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} \
	$(PEERS_PYTHON) -m pytest tests/parity $(ARGS)

bench: $(VENV)/.dev ffmpeg
	$(ENV_PYTHON) bench/run.py $(ARGS)

check: $(VENV)/.dev
	$(ENV_PYTHON) -m ruff check .
	$(ENV_PYTHON) -m ruff format --check .
	$(ENV_PYTHON) -m mypy

clean:
	rm -rf $(VENV) $(PEERS) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Rendered songs stay in data/cache: remove that folder too if you want the space."

# --- set-up: each step is done once, and again when its inputs change ---

$(ENV_PYTHON):
	@[ -n "$(PYTHON)" ] || { echo "demucs-lab needs Python 3.11 or later and found none: install it" \
		"from https://www.python.org/downloads/ (or apt, brew, conda), then run make again;" \
		"to name one, run: make PYTHON=/path/to/python3.12"; exit 1; } >&2
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "demucs-lab needs Python 3.11 or later, but PYTHON=$(PYTHON) is" \
		"$$($(PYTHON) --version 2>&1): name another with make PYTHON=/path/to/python3.12"; exit 1; } >&2
	@echo "Creating $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not create a virtual" \
		"environment (see above): on Debian and Ubuntu run: sudo apt install python3-venv"; exit 1; } >&2

$(VENV)/.lab: pyproject.toml constraints.txt | $(ENV_PYTHON)
	@echo "Installing the course (PyTorch is large: the first time takes some minutes) ..."
	@$(ENV_PYTHON) -m pip install -q --disable-pip-version-check $(PIP_ARGS) -e ".[lab]" -c constraints.txt
	@$(NO_NEWS)
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(ENV_PYTHON)
	@echo "Installing the course and the tools that test it (some minutes the first time) ..."
	@$(ENV_PYTHON) -m pip install -q --disable-pip-version-check $(PIP_ARGS) -e ".[dev]" -c constraints.txt
	@$(NO_NEWS)
	@touch $@ $(VENV)/.lab

# The authors' code, which the kit is compared with and never depends on. Version 2.0.3 asks for
# packages of its time, of which the two files that are compared need none.
$(PEERS)/.peers: pyproject.toml | $(ENV_PYTHON)
	@echo "Installing the peers' code into $(PEERS) (some minutes the first time) ..."
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS_PYTHON) -m pip install -q --disable-pip-version-check $(PIP_ARGS) -e . pytest \
		torch==2.11.0 torchaudio==2.11.0 demucs==4.1.0 asteroid==0.7.0 requests accelerate
	@$(PEERS_PYTHON) -m pip install -q --disable-pip-version-check $(PIP_ARGS) --no-deps \
		--upgrade --target $(PEERS)/demucs2 demucs==2.0.3
	@touch $@

ffmpeg:
	@has() { command -v ffmpeg >/dev/null 2>&1 && command -v ffprobe >/dev/null 2>&1; }; \
	if ! has && [ "$$(id -u 2>/dev/null)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
		echo "Installing ffmpeg with apt ..."; \
		{ apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq ffmpeg; } >/dev/null; \
	fi; \
	has || echo "ffmpeg and ffprobe are missing: MUSDB18 and museval need them, everything else" \
		"works; install them with: sudo apt install ffmpeg (Debian, Ubuntu)," \
		"brew install ffmpeg (macOS) or conda install -c conda-forge ffmpeg"

starter:
	@$(ENV_PYTHON) -m demucs_lab fetch starter
