# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.

CARGO ?= cargo
# One profile and one feature set for everything, so that nothing is compiled twice. FEATURES=sam2-cli/vulkan adds a device; CI has sam2-cli/vulkan-wgsl, which Mesa's driver runs.
FEATURES ?=
comma := ,
BUILD := --release --workspace --locked $(if $(FEATURES),--features $(FEATURES))
TARGET := $(or $(CARGO_TARGET_DIR),target)
SAM2 := $(TARGET)/release/sam2
CLIPS := assets/clips
DEMO := demo-output

.PHONY: help setup build cuda demo test vulkan faults lint deny doc bench bench-kernels fuzz tiers python fixtures parity formats workflow-test report-test cuda-sim clean-demo

help:
	@echo "make demo      build, segment a bundled recording, show how well it went"
	@echo "make test      set up and run all tests"
	@echo "make vulkan    parity, precision and memory on Mesa's Vulkan driver, which needs no GPU: a quarter of an hour"
	@echo "make build     the sam2 program: $(SAM2)"
	@echo "make cuda      the same with NVIDIA GPUs: no CUDA toolkit and no LLVM needed to build it"
	@echo "make faults    end a job at every point that changes the disk, and resume it: some minutes"
	@echo "make lint      MSRV, formatting and clippy"
	@echo "make deny      licences, sources and known flaws of the dependencies"
	@echo "make doc       the library documentation"
	@echo "make bench     speed and memory beside the official package: hours in full, see benches/RESULTS.md"
	@echo "make bench-kernels  criterion benchmarks of each kernel, of the model and of frames"
	@echo "make fuzz      the fuzz targets, FUZZ_SECONDS each (default 20)"
	@echo "make cuda-sim  a CUDA driver made of software, and its tests: no GPU needed, some minutes"
	@echo "make tiers     the CPU kernels for ARM (NEON) in an emulator: two minutes"
	@echo "make workflow-test   the Snakemake workflow, with the real Snakemake"
	@echo "make report-test  the tests of reports, in a browser (installs Chromium, a quarter of a minute)"
	@echo "make parity    compare with the official Python package in full; writes tests/parity/RESULTS.md"
	@echo "make formats   write every output format and read each with its own ecosystem's reader"
	@echo "make fixtures  make the fixtures of the quick parity tests anew"

setup:
	@scripts/setup.sh

build: setup
	$(CARGO) build $(BUILD) --bin sam2

# For NVIDIA GPUs, without burn's LLVM, which the build would download. FEATURES=sam2-cli/vulkan adds a device here too.
cuda: setup
	CARGO="$(CARGO)" scripts/cuda-toolkit.sh build $(filter-out --features $(FEATURES),$(BUILD)) --features $(if $(FEATURES),$(FEATURES)$(comma))sam2-cli/cuda --bin sam2
	@echo
	@echo "The program: $(SAM2)"
	@echo "It needs NVIDIA's driver, NVRTC and CUDA's headers where it runs: \`$(SAM2) doctor\` says what is missing, and docs/gpu.md how to install it."

demo: build
	@mkdir -p $(DEMO)
	$(SAM2) segment $(CLIPS)/mouse-arena.mp4 \
	    --keypoints $(CLIPS)/mouse-arenaDLC_synthetic_micro.csv --bodyparts snout,body,tailbase \
	    --batch-size 400 -o $(DEMO)/masks.btf --contact-sheet $(DEMO)/overview.png --overwrite
	@echo
	@echo "Masks:    $(DEMO)/masks.btf     (BigTIFF, one page a frame; opens in Fiji, tifffile, OpenCV)"
	@echo "Overview: $(DEMO)/overview.png  (the masks drawn over frames of the recording)"
	@printf 'Against the bundled truth: '
	@$(SAM2) score $(DEMO)/masks.btf $(CLIPS)/mouse-arena-truth-1.tif

test: setup
	$(CARGO) test $(BUILD)

# VULKAN="--skip sixty_frames" for less.
VULKAN ?=
vulkan:
	@scripts/setup.sh mesa-vulkan-drivers libvulkan1
	CARGO="$(CARGO)" scripts/vulkan.sh $(VULKAN)

# Ends a job at every point at which what is on the disk changes, and resumes it. CI has the first and last pass of each point.
faults: setup
	SAM2_FAULTS=all $(CARGO) test --release --workspace --locked --features $(if $(FEATURES),$(FEATURES)$(comma))sam2-cli/faults \
	    --test end_to_end faults:: -- --nocapture

lint: setup
	@scripts/msrv.sh
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(BUILD) --all-targets -- -D warnings

deny:
	scripts/deny.sh

doc: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(BUILD) --no-deps

# Ours beside the official package, alternating; BENCH="--rounds 1 --cases micro:1:40" for less. On a machine that does nothing else.
BENCH ?=
bench: build python
	$(VENV)/bin/python benches/compare/run.py $(SAM2) $(BENCH)

# KERNELS="--bench model -- --test" for one of them, once.
KERNELS ?=
bench-kernels: setup
	$(CARGO) bench --workspace --locked $(if $(FEATURES),--features $(FEATURES)) $(KERNELS)

FUZZ_SECONDS ?= 20
fuzz: setup
	scripts/fuzz.sh $(FUZZ_SECONDS)

# NEON in an emulator, on any machine.
tiers:
	scripts/tiers.sh

# NVRTC comes from PyPI, pinned, into an ignored folder. `scripts/cuda-sim.sh run COMMAND...` then runs a CUDA build without a GPU.
cuda-sim:
	CARGO="$(CARGO)" scripts/cuda-sim.sh

# `make test` does the same, with a browser if there is one; here it must be there.
report-test: setup
	@command -v chromium >/dev/null || scripts/setup.sh chromium
	$(CARGO) test $(BUILD) --test whole_pages
	SAM2_TEST_BROWSER=$$(command -v chromium) $(CARGO) test $(BUILD) --test end_to_end report::
	@echo "Pages to look at: $(TARGET)/tmp/*.html"

# PyTorch, the official package and the readers of output formats, pinned, in an ignored folder; skipped when they are there.
VENV ?= .venv
python:
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	@$(VENV)/bin/python -c "import sam2, torch, transformers, pandas, pyarrow, pycocotools, tifffile, roifile, labelme, ome_zarr, sleap_io, pynwb" 2>/dev/null || { \
	    $(VENV)/bin/pip install -q -r tests/parity/requirements.txt -r tests/formats/requirements.txt && \
	    SAM2_BUILD_CUDA=0 $(VENV)/bin/pip install -q --no-build-isolation --no-deps sam2==1.1.0; }

fixtures: python
	$(VENV)/bin/python tests/parity/make_fixtures.py

# PARITY=quick: of the official variants large-2.1 only, as the others take most of the time (`make test` has tiny); writes no table.
PARITY ?= full
SCENARIOS := $(if $(filter quick,$(PARITY)),$(filter-out tiny-% small-% base-plus-% large-2.0,$(basename $(notdir $(wildcard tests/parity/scenarios/*.json)))))
parity: setup python
	$(VENV)/bin/python tests/parity/run_official.py --out tests/parity/.out --keep-checkpoints $(if $(SCENARIOS),--only $(SCENARIOS))
	$(VENV)/bin/python tests/parity/hf/check_names.py --models micro_2_1 --save tests/parity/.out/hugging-face
	$(CARGO) build $(BUILD) --bin parity
	$(TARGET)/release/parity tests/parity/.out $(if $(SCENARIOS),weights $(SCENARIOS))

formats: build python
	$(VENV)/bin/python tests/formats/check_formats.py --sam2 $(SAM2)

# Snakemake, pinned, in an ignored folder of its own; skipped when it is there.
WORKFLOW_VENV ?= .venv-workflow
workflow-test: build
	@test -x $(WORKFLOW_VENV)/bin/python || python3 -m venv $(WORKFLOW_VENV)
	@test -x $(WORKFLOW_VENV)/bin/snakemake || $(WORKFLOW_VENV)/bin/pip install -q -r tests/workflow/requirements.txt
	tests/workflow/run.sh $(SAM2) $(WORKFLOW_VENV)/bin/snakemake

clean-demo:
	rm -rf $(DEMO)
