# One command each; `make help` lists them. Everything they make lies in .venv/ and .onestop/.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && exit; done; echo python3)
export PYTHONPATH := $(CURDIR):$(CURDIR)/gen
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# A city is a dozen programs of the same modules, and a test run many cities: they are compiled once.
unexport PYTHONDONTWRITEBYTECODE

WORKERS ?= 4
CODE := core services gateway deploy cli tests protos
COMPOSE ?= docker compose
OUTSIDE := .onestop/compose
CHECKS := check-format check-lint check-types check-rooms check-receipts check-proto check-breaking proto-check check-threats

.DEFAULT_GOAL := help
.PHONY: help run demo audit up down backup restore test interop faults bench profile fuzz fuzz-eseal supply scan check $(CHECKS) proto proto-promise lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

run: .venv/.run ## start the city here (DATABASE_URL=… for a PostgreSQL of your own, TOWN_SIZE=… people)
	@exec .venv/bin/python -m deploy.local

demo: .venv/.run ## walk the whole path through the running city, as the outside callers would
	@exec .venv/bin/python -m cli demo

up: ## start the city in containers (COMPOSE="docker compose", TOWN_SIZE=… people)
	@$(COMPOSE) up --build --detach
	@mkdir -p $(OUTSIDE) && chmod 700 $(OUTSIDE)
	@$(COMPOSE) run --rm -T outside | (umask 077 && tar -x -f - -C $(OUTSIDE))
	@echo "The city is up, in containers. The whole path, as the outside callers would:"
	@echo "  make demo ONESTOP_HOME=$(OUTSIDE)"

down: ## stop the city in containers; its volumes, with all data and keys, stay
	@$(COMPOSE) down

backup: .venv/.run ## back the whole city up while it runs: TO=folder (KEYS_TO=folder)
	@exec .venv/bin/python -m cli backup make --to "$(TO)" $(if $(KEYS_TO),--keys-to "$(KEYS_TO)")

restore: .venv/.run ## make a city of a backup: FROM=folder (KEYS= WAL= UNTIL= UNTIL_MARK= RELEASED= REPLACE=yes)
	@exec .venv/bin/python -m cli restore "$(FROM)" $(if $(KEYS),--keys "$(KEYS)") $(if $(WAL),--wal "$(WAL)") \
		$(if $(UNTIL),--until "$(UNTIL)") $(if $(UNTIL_MARK),--until-mark "$(UNTIL_MARK)") \
		$(if $(RELEASED),--released "$(RELEASED)") $(if $(filter yes,$(REPLACE)),--replace)

test: .venv/.dev ## the whole suite, with a database of its own (WORKERS=4: much of it waits)
	@exec .venv/bin/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

interop: .venv/.dev ## check documents of other programs (OFD_SAMPLES=folder with .ofd, .esl and .dat files)
	@test -n "$(OFD_SAMPLES)" || { echo "interop: name a folder, as in OFD_SAMPLES=samples make interop"; exit 2; }
	@OFD_SAMPLES="$(abspath $(OFD_SAMPLES))" .venv/bin/python -m pytest tests/interop

faults: .venv/.dev ## break the running city in every way, and check the books after each (SEED=, MINUTES=10, ONLY=kills,network)
	@exec .venv/bin/python -m tests.faults

bench: .venv-bench/.bench ## measure, beside the peers and the limits (SCALE=3400000 people, ONLY=licence,ledger)
	@exec .venv-bench/bin/python -m tests.bench

profile: .venv-bench/.bench ## where the processor time goes: a flame graph of each process under load (ONLY=licence)
	@exec .venv-bench/bin/python -m tests.bench.profile

audit: .venv/.run ## reconcile the ledger with all services' own records; ends with 0 if nothing was found
	@exec .venv/bin/python -m cli audit

fuzz: .venv/.dev ## any request that the contract describes, and any other, at a city of its own (EXAMPLES=100)
	@EXAMPLES=$(or $(EXAMPLES),100) exec .venv/bin/python -m pytest -s tests/e2e/test_any_request.py

fuzz-eseal: .venv-fuzz/.fuzz ## any bytes at the readers of documents and seals, guided by what they reach (SECONDS=60 each, ONLY=)
	@exec .venv-fuzz/bin/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(ONLY)

supply: .venv-audit/.audit ## a bill of materials in .onestop/sbom.cdx.json; then the locked packages against known weaknesses
	@mkdir -p .onestop
	@.venv-audit/bin/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --of JSON \
		--output-reproducible -o .onestop/sbom.cdx.json 2>.venv-audit/sbom.log || { cat .venv-audit/sbom.log; exit 1; }
	@echo "the bill of materials (CycloneDX) is .onestop/sbom.cdx.json"
	@for list in requirements requirements-dev; do \
		echo "$$list.txt against known weaknesses:"; \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$list.txt || exit 1; \
	done

scan: .venv/.run .venv-audit/.audit ## how the running city speaks TLS, by sslyze
	@exec .venv/bin/python -m tests.scan .venv-audit/bin/sslyze

check: .venv/.dev ## format, lint, types, rooms, receipts, proto lint, breaking changes, drift and the threat model
	@$(MAKE) --no-print-directory -k -j4 $(if $(filter output-sync,$(.FEATURES)),-Otarget) $(CHECKS)

check-format: .venv/.dev
	@ruff format --check --quiet --output-format concise $(CODE) || { echo "format: run 'ruff format'"; exit 1; }

check-lint: .venv/.dev
	@ruff check --quiet --output-format concise $(CODE)

check-types: .venv/.dev
	@mypy --strict --no-error-summary $(CODE)

check-rooms: .venv/.dev
	@lint-imports > .venv/rooms.log 2>&1 || { cat .venv/rooms.log; exit 1; }

check-receipts: .venv/.dev
	@python -m tests.checks.receipts

check-proto: .venv/.dev
	@cd protos && buf lint ../gen/onestop.binpb --config buf.yaml

# Against what callers were promised last (docs/decisions/0020); `make proto-promise` adds what a release brings.
check-breaking: .venv/.dev
	@cd protos && buf breaking ../gen/onestop.binpb --against promised.binpb --config buf.yaml

proto-check: .venv/.dev ## gen/ is what protos/ say
	@rm -rf .venv/gen && python protos/build.py .venv/gen && \
		diff -r --brief -x __pycache__ -x .mypy_cache gen .venv/gen || { echo "gen/ is out of date: run 'make proto'"; exit 1; }

# The threat model names files and tests; none of them may be gone.
check-threats: .venv/.dev
	@python -m tests.threats

proto: .venv/.dev ## make gen/ from protos/
	python protos/build.py

proto-promise: check-proto check-breaking proto-check ## at a release: what the contracts have beside the promise is promised too
	cp gen/onestop.binpb protos/promised.binpb

lock: .venv/.dev ## lock requirements*.in anew, with hashes
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements.in -o requirements.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements-dev.in -o requirements-dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements-bench.in -o requirements-bench.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements-audit.in -o requirements-audit.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements-fuzz.in -o requirements-fuzz.txt

clean: ## remove the environment and the caches; the city's data in .onestop/ stays
	rm -rf .venv .venv-bench .venv-audit .venv-fuzz .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run: requirements.txt deploy/local/setup.sh
	@deploy/local/setup.sh "$(PYTHON)" $@ requirements.txt

.venv/.dev: requirements.txt requirements-dev.txt deploy/local/setup.sh
	@deploy/local/setup.sh "$(PYTHON)" $@ requirements.txt requirements-dev.txt
	@touch .venv/.run

# An environment of its own: the load generator brings a plug-in for the test runner, and patches what it imports.
.venv-bench/.bench: requirements.txt requirements-bench.txt deploy/local/setup.sh
	@deploy/local/setup.sh "$(PYTHON)" $@ requirements.txt requirements-bench.txt

# An environment of its own: these look from outside, and one of them is under the AGPL (docs/decisions/0012).
.venv-audit/.audit: requirements-audit.txt deploy/local/setup.sh
	@deploy/local/setup.sh "$(PYTHON)" $@ requirements-audit.txt

# An environment of its own: the fuzzer is native code that fits few versions of Python (docs/decisions/0021).
.venv-fuzz/.fuzz: requirements.txt requirements-fuzz.txt deploy/local/setup.sh
	@deploy/local/setup.sh "$(PYTHON)" $@ requirements.txt requirements-fuzz.txt
