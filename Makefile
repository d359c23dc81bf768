# `make demo` and `make test` need Python 3.10+, a C++17 compiler and make; the rest they install into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The versions of constraints.txt, for builds as well: pip has two names for that, an old and a new one.
PINNED := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt
PIP := $(PINNED) $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS := demo cli test lint docs app-test
comma := ,
space := $(subst ,, )
SOURCES := $(shell find csrc -type f) CMakeLists.txt setup.py pyproject.toml constraints.txt
CXX_FILES := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

# Warnings are errors; the CUDA kernels are compiled for one kind of device if there is a compiler for them, and for
# the host in any case.
DEVELOPMENT := -DDENSECRF_WERROR=ON -DDENSECRF_TWIN=ON -DCMAKE_CUDA_ARCHITECTURES=90
CONFIGURE = $(BIN)/cmake -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DDENSECRF_WERROR=ON \
    -DPython_EXECUTABLE=$(abspath $(BIN)/python) -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir)

.PHONY: demo test lint format ext docs sanitize soak audit constraints gpu bench peers parity proof clean

demo: $(VENV)/.demo
	$(BIN)/densecrf demo --out demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# The inner loop: rebuilds what changed and nothing else.
ext: $(VENV)/.test
	$(CONFIGURE) -B build $(DEVELOPMENT) > build-ext.log || (cat build-ext.log; false)
	$(BIN)/cmake --build build
	$(BIN)/cmake --install build --prefix . > build-ext.log

# The site, into site/: every page of docs/ and every docstring. Needs no network; a warning is an error.
docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The core and the CUDA kernels' host twin under AddressSanitizer and UndefinedBehaviorSanitizer, and under ThreadSanitizer:
# built with a copy of the Python files in build-NAME/package, where the tests then run. Most of these keep one core busy:
# `make -j2 --output-sync sanitize`. Ninja is not told of that: it cannot read the pipe, and says so as an error.
SANITIZED := core instruction-sets twin leaks threads
.PHONY: $(SANITIZED:%=sanitize-%)
sanitize: $(SANITIZED:%=sanitize-%)
SANITIZED_PYTEST := -m pytest -q -p no:cacheprovider --capture=sys -m "not slow"
tests_of = $(foreach name,$(1),$(CURDIR)/tests/test_$(name).py)

# What reaches all of the core's code.
INNER_LOOPS := label_tolerance_limits lattice mean_field terms two_labels
CORE := arrays at_once batches compatibility errors free_energy images model model_copies model_errors model_filters out \
    properties refine_volume volumes_and_features $(INNER_LOOPS)
sanitize-core: sanitized-address
	tests/sanitizers/run address $(SANITIZED_PYTEST) $(call tests_of,$(CORE))

# Those that would not be taken here; it says so where this machine has none of them.
sanitize-instruction-sets: sanitized-address
	for isa in baseline avx2; do \
	    DENSECRF_ISA=$$isa $(BIN)/python -c "import densecrf; densecrf.build_info()" || continue; \
	    DENSECRF_ISA=$$isa tests/sanitizers/run address $(SANITIZED_PYTEST) $(call tests_of,$(INNER_LOOPS)) || exit 1; \
	done

sanitize-twin: sanitized-address
	tests/sanitizers/run address $(SANITIZED_PYTEST) $(CURDIR)/tests/test_gpu_*.py

sanitize-leaks: sanitized-address
	tests/sanitizers/run address $(CURDIR)/tests/sanitizers/leaks.py

# What works on several threads, and the twin, whose callers may be several.
sanitize-threads: sanitized-thread
	tests/sanitizers/run thread $(SANITIZED_PYTEST) $(call tests_of,at_once batches)
	tests/sanitizers/run thread $(SANITIZED_PYTEST) $(call tests_of,determinism kept_lattices) \
	    -k "every_number_of_threads or partitions or eight_threads_with"

sanitized-%: $(VENV)/.test
	mkdir -p build-$*
	$(CONFIGURE) -B build-$* -DDENSECRF_CUDA=OFF -DDENSECRF_TWIN=ON -DDENSECRF_SANITIZE=$* > build-$*/log || (cat build-$*/log; false)
	MAKEFLAGS= $(BIN)/cmake --build build-$*
	$(BIN)/cmake --install build-$* --prefix build-$*/package > build-$*/log

# Known vulnerabilities of the versions in constraints.txt; says so where nobody can be asked.
audit:
	@test -x .venv-audit/bin/pip-audit || \
	    ($(PYTHON) -m venv .venv-audit && $(PINNED) .venv-audit/bin/python -m pip --quiet install pip-audit) || \
	    echo "audit: skipped, pip-audit could not be installed"
	@test ! -x .venv-audit/bin/pip-audit || $(PYTHON) .ci/audit .venv-audit/bin/pip-audit

# The newest versions that go together, for every Python and system that is supported.
constraints:
	test -x .venv-uv/bin/uv || ($(PYTHON) -m venv .venv-uv && .venv-uv/bin/python -m pip --quiet install uv)
	.venv-uv/bin/uv pip compile pyproject.toml constraints.in $(addprefix --extra ,$(EXTRAS)) --universal \
	    --python-version 3.10 --upgrade --no-annotate --custom-compile-command "make constraints" --quiet \
	    --output-file constraints.txt > /dev/null

# On a machine with a GPU: builds, tests, looks for bad accesses and races, measures. No network is needed; GPU_PYTHON is a
# Python with torch, pybind11, pytest and hypothesis, and CMake, Ninja and nvcc are on the PATH.
GPU_PYTHON ?= $(PYTHON)
GPU_TESTS = $(GPU_PYTHON) -m pytest -q -p no:cacheprovider tests/test_cuda_device.py tests/test_gpu_*.py
gpu:
	cmake -S . -B build-gpu -G Ninja -DPython_EXECUTABLE="$$(command -v $(GPU_PYTHON))" \
	    -Dpybind11_DIR="$$($(GPU_PYTHON) -m pybind11 --cmakedir)" \
	    -DDENSECRF_WERROR=ON -DDENSECRF_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=native
	cmake --build build-gpu
	cmake --install build-gpu --prefix .
	$(GPU_TESTS) -k cuda
	if command -v compute-sanitizer; then \
	    for tool in memcheck racecheck; do \
	        compute-sanitizer --tool $$tool --error-exitcode 9 $(GPU_TESTS) -k "cuda and preset" || exit 1; \
	    done; \
	else echo "compute-sanitizer is not on the PATH: bad accesses and races were not looked for"; fi
	$(GPU_PYTHON) benchmarks/gpu_speed.py

# make bench OPTIONS="--quick --json speed.json"
bench: $(VENV)/.test
	$(BIN)/python benchmarks/crf_speed.py $(OPTIONS)

# The drop-in and pydensecrf itself, side by side.
parity: $(VENV)/.test peers
	$(BIN)/python benchmarks/parity.py

# What is promised to those who leave it running, over hours: docs/reliability.md. Takes about an hour on two cores,
# valgrind, and Clang with libFuzzer; says at the end which promises are broken.
soak: $(VENV)/.test
	$(BIN)/python -c "import atheris" 2> /dev/null || $(PIP) install atheris
	broken=; for name in drift api fuzz leaks valgrind threads interrupts limits groups; do \
	    echo "$$name"; $(BIN)/python tests/soak/$$name.py || broken="$$broken $$name"; done; \
	$(BIN)/python tests/soak/table.py && test -z "$$broken" || { echo "broken:$$broken"; exit 1; }

# What the CRF buys on real data: docs/results.md. Trains four small networks on CamVid first, about an hour on two cores;
# a training that was stopped goes on where it was.
DATA := $(or $(DENSECRF_DATA),../shared/data)
RECIPES := plain largefov-step largefov aspp-l
proof: $(VENV)/.test peers $(RECIPES:%=runs/%/crf/preset.toml)
	$(BIN)/python -c "import matplotlib" 2> /dev/null || $(PIP) install "matplotlib>=3.7"
	$(BIN)/python benchmarks/real_data.py

.SECONDARY:
runs/%/weights.pt: benchmarks/camvid/%.toml
	$(BIN)/python -m deeplab train $< --out runs/$* --resume --set data.root=$(DATA)/camvid
	cp runs/$*/log.csv benchmarks/camvid/$*.csv

# On a slice of train; ranges around those that DeepLab v2 searched, towards smaller sigmas of position.
runs/%/crf/preset.toml: runs/%/weights.pt
	$(BIN)/python -m deeplab search benchmarks/camvid/$*.toml $< --data camvid --root $(DATA)/camvid --split train \
	    --limit 24 --w1 2,4,8 --sigma-alpha 15,30,60 --sigma-beta 4,7,10 --rounds 1 --tile 480 --out runs/$*/crf
	rm -r runs/$*/crf/scores

# pydensecrf to compare with, in an environment of its own because of what it needs to build.
peers: .venv-peers/.installed

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

# On the CPU: kernels for every kind of GPU would take longer to compile than all the rest.
$(VENV)/.demo: $(VENV)/.created $(SOURCES)
	@echo "Building densecrf (about a minute)"
	CMAKE_ARGS="-DDENSECRF_CUDA=OFF" $(PIP) install --editable ".[demo,cli]"
	touch $@

# torch first: whatever else asks for it later is satisfied, and takes no other build.
$(VENV)/.test: $(VENV)/.created $(SOURCES)
	@echo "Installing torch, the tools and densecrf (some minutes the first time)"
	$(PIP) install torch
	CMAKE_ARGS="$(DEVELOPMENT)" $(PIP) install --editable ".[$(subst $(space),$(comma),$(EXTRAS))]"
	touch $@

.venv-peers/.installed:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet "cython==0.29.36" "setuptools<81" wheel numpy
	.venv-peers/bin/pip install --quiet --no-build-isolation pydensecrf2
	touch $@

clean:
	rm -rf build build-address build-thread build-fuzz build-ext.log dist demo site *.egg-info densecrf/*.so
