# Vedette. Everything sets itself up in .venv from pinned versions, once; `make help` lists what there is.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
#: more for pytest or bench.streaming: make test ARGS="-k player -x"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo test golden lint types imports check format bench bench-quality bench-streaming torture kafka clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## set up .venv from constraints/py311.txt

# The stamp comes last: an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints/py311.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "make: $(PYTHON) is needed (Debian and Ubuntu: apt install python3.11 python3.11-venv);" \
	       "or name yours: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "make: $(PYTHON) is not Python 3.11, which the pinned versions are for" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/py311.txt \
	  --editable '.[demo,alibi,simulate,fast,dev]'
	@touch $@

demo: $(STAMP)  ## the whole of Vedette on this machine: Kafka, attacks, findings, actions, messages
	$(BIN)/vedette demo

test: $(STAMP)  ## all tests, three files at a time; with Apache Kafka too where Java and Maven are (VEDETTE_KAFKA=embedded|both)
	$(BIN)/python -m pytest $(or $(ARGS),-n 3 --dist loadfile)

golden: $(STAMP)  ## write what comes of the scenarios anew, after a change that is meant to change it; then read git diff
	VEDETTE_GOLDEN=write $(BIN)/python -m pytest tests/scenarios

check: lint types imports  ## lint, types, and import directions between the rooms

lint: $(STAMP)  ## style and common mistakes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/mypy deploy/model_server.py
	$(BIN)/mypy --scripts-are-modules scripts/apache-kafka scripts/terminal-picture

imports: $(STAMP)
	$(BIN)/lint-imports --no-logo

format: $(STAMP)  ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## speed and quality benchmarks, without those of the stream
	@for file in $$(grep -l '^if __name__ == "__main__"' bench/*.py | grep -v /streaming.py | sort); do \
	  $(BIN)/python -m bench.$$(basename $$file .py) || exit 1; done

torture: $(STAMP)  ## the stream under violence at full counts, on both brokers: 300 kills, 10 broker restarts (an hour)
	VEDETTE_TORTURE=full VEDETTE_KAFKA=both $(BIN)/python -m pytest -s tests/stream/test_torture.py $(ARGS)

bench-quality: $(STAMP)  ## attacks found, honest clients accused, next to Blacklight and PRADA; fails where a goal is missed
	@short=0; $(BIN)/python -m bench.quality.cost $(ARGS) || short=1; \
	  $(BIN)/python -m bench.quality --jobs 2 $(ARGS) || short=1; \
	  $(BIN)/python -m bench.quality.embeddings --jobs 2 $(filter --quick,$(ARGS)) || short=1; exit $$short

bench-streaming: $(STAMP)  ## workers on real brokers: speed, latency, memory, recovery; fails where a goal is missed
	$(BIN)/python -m bench.streaming $(ARGS)

kafka:  ## a local Apache Kafka on localhost:9092, until Ctrl-C (needs Java and, once, Maven)
	scripts/apache-kafka --port 9092

clean:  ## remove what was built or installed here
	rm -rf $(VENV) .venv-numpy2 .venv-peers build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache vedette-demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
