# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.

CARGO ?= cargo
# One profile and one feature set for all targets, so that nothing is compiled twice. FEATURES=sam2-cli/vulkan adds a device; CI uses sam2-cli/vulkan-wgsl, which runs on Mesa's driver.
FEATURES ?=
comma := ,
# For `sam2 --version`.
export SAM2_COMMIT ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
BUILD := --release --workspace --locked $(if $(FEATURES),--features $(FEATURES))
TARGET := $(or $(CARGO_TARGET_DIR),target)
SAM2 := $(TARGET)/release/sam2
# The tests that are run by name only (tests/Cargo.toml) are not among cargo's "all targets", and would be forgotten.
ALL_TARGETS := --all-targets --test gpu --test gpu_kernels --test gpu_counts --test gpu_check
CLIPS := assets/clips
DEMO := demo-output

.PHONY: help setup build cuda demo test quick circles light conversions vulkan faults lint package deny doc bench bench-kernels fuzz tiers miri python fixtures parity formats workflow-test browser-test review-proof cuda-sim clean-demo

help:
	@echo "make demo      build, segment a bundled recording, and score the result"
	@echo "make test      set up and run all tests"
	@echo "make quick     format, clippy and the unit tests: a minute when little has changed"
	@echo "make vulkan    test parity, precision and memory on Mesa's Vulkan driver, which needs no GPU: a quarter of an hour"
	@echo "make build     build the sam2 program: $(SAM2)"
	@echo "make cuda      build it for NVIDIA GPUs; this needs no CUDA toolkit and no LLVM"
	@echo "make faults    end a job at every point that changes the disk, and resume it: a few minutes"
	@echo "make lint      check the MSRV, formatting and clippy"
	@echo "make circles   files that use each other, by crate"
	@echo "make package   package every crate as for crates.io, and check that each is complete: seconds"
	@echo "make light     the engine without default features: no FFmpeg, no library in C (builds burn anew)"
	@echo "make conversions   test frames and masks as pictures of image and arrays of ndarray: features that are off by default"
	@echo "make deny      check licences, sources and known vulnerabilities of the dependencies"
	@echo "make doc       build the library documentation"
	@echo "make bench     compare speed and memory with the official package: hours in full, see benches/RESULTS.md"
	@echo "make bench-kernels  run criterion benchmarks of each kernel, of the model and of frames"
	@echo "make fuzz      run the fuzz targets, FUZZ_SECONDS each (default 20)"
	@echo "make cuda-sim  build the software CUDA device and run its tests; no GPU needed: a few minutes"
	@echo "make tiers     test the CPU kernels for ARM (NEON) in an emulator: two minutes"
	@echo "make miri      look for undefined behaviour in the CPU kernels: three minutes; needs a nightly Rust with Miri"
	@echo "make workflow-test   test the Snakemake workflow with the real Snakemake"
	@echo "make browser-test test reports and the review page in a browser (installs Chromium): a minute"
	@echo "make review-proof measure the review page with an hour of video, and correct a long clip: ten minutes"
	@echo "make parity    compare with the official Python package in full; writes tests/parity/RESULTS.md"
	@echo "make formats   write every output format, and read each with its usual reader"
	@echo "make fixtures  regenerate the fixtures of the quick parity tests"

setup:
	@scripts/setup.sh

build: setup
	$(CARGO) build $(BUILD) --bin sam2

# Builds for NVIDIA GPUs, without the LLVM that burn would download. FEATURES=sam2-cli/vulkan adds a device here too.
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

# What to run while working: everything but whole programs, whole recordings and the network's larger sizes.
quick: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(BUILD) $(ALL_TARGETS) -- -D warnings
	$(CARGO) test $(BUILD) --lib --bins

# Files that use each other; ARCHITECTURE.md says which circles are meant.
circles:
	python3 scripts/circles.py -v

# In a target folder of its own, since fewer features build burn anew.
light:
	CARGO_TARGET_DIR=$(TARGET)/light $(CARGO) test --release --locked -p sam2-engine --no-default-features --test light

# These features are off in every other build, and only these two crates have code for them.
conversions: setup
	$(CARGO) test --release --locked -p sam2-frame-provider -p sam2-mask-writer \
	    --features sam2-frame-provider/image,sam2-frame-provider/ndarray,sam2-mask-writer/image,sam2-mask-writer/ndarray --lib -- _image:: _ndarray::
	$(CARGO) test --release --locked -p sam2-frame-provider -p sam2-mask-writer \
	    --features sam2-frame-provider/image,sam2-frame-provider/ndarray,sam2-mask-writer/image,sam2-mask-writer/ndarray --doc

# VULKAN="--skip sixty_frames" runs fewer tests.
VULKAN ?=
vulkan:
	@scripts/setup.sh mesa-vulkan-drivers libvulkan1
	CARGO="$(CARGO)" scripts/vulkan.sh $(VULKAN)

# Ends a job at every point that changes the disk, and resumes it. CI tests the first and last pass of each point.
faults: setup
	SAM2_FAULTS=all $(CARGO) test --release --workspace --locked --features $(if $(FEATURES),$(FEATURES)$(comma))sam2-cli/faults \
	    --test end_to_end faults:: -- --nocapture

lint: setup
	@scripts/msrv.sh
	python3 scripts/circles.py --most 5
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(BUILD) $(ALL_TARGETS) -- -D warnings

# PACKAGE=check also has Cargo check the packages, unpacked, without the repository: some minutes, as it compiles burn anew.
PACKAGE ?=
package:
	CARGO="$(CARGO)" python3 scripts/package.py $(PACKAGE)

deny:
	scripts/deny.sh

doc: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(BUILD) --no-deps

# Alternates between our program and the official package. BENCH="--rounds 1 --cases micro:1:40" runs less. Use an idle machine.
BENCH ?=
bench: build python
	$(VENV)/bin/python benches/compare/run.py $(SAM2) $(BENCH)

# KERNELS="--bench model -- --test" runs one of them, once.
KERNELS ?=
bench-kernels: setup
	$(CARGO) bench --workspace --locked $(if $(FEATURES),--features $(FEATURES)) $(KERNELS)

FUZZ_SECONDS ?= 20
fuzz: setup
	scripts/fuzz.sh $(FUZZ_SECONDS)

# Tests NEON in an emulator, on any machine.
tiers:
	scripts/tiers.sh

# Interprets the kernels in plain Rust (Miri has no vector instructions of the processor), with two threads. Once: rustup toolchain install nightly --component miri,rust-src.
# rayon's queues need the first three flags: they follow tree borrows, turn numbers into pointers, and are never freed.
miri:
	CARGO_TARGET_DIR=$(TARGET)/miri MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks -Zmiri-disable-isolation -Zmiri-num-cpus=2" \
	    cargo +nightly miri test --locked -p sam2-cpu-kernels --test small_shapes

# NVRTC comes from PyPI, pinned, into an ignored folder. `scripts/cuda-sim.sh run COMMAND...` then runs a CUDA build without a GPU.
cuda-sim:
	CARGO="$(CARGO)" scripts/cuda-sim.sh

# `make test` runs the same tests and uses a browser only if one is installed; here the browser is required.
browser-test: setup
	@command -v chromium >/dev/null || scripts/setup.sh chromium
	$(CARGO) test $(BUILD) --test whole_pages
	SAM2_TEST_BROWSER=$$(command -v chromium) $(CARGO) test $(BUILD) --test end_to_end -- report:: review_page:: review_load::
	@echo "To look at: $(TARGET)/tmp/*.html and $(TARGET)/tmp/review-*.png"

# Measures the review page with an hour of video, and corrects a clip of 2,000 frames in which two animals are mistaken for each other.
review-proof: setup
	@command -v chromium >/dev/null || scripts/setup.sh chromium
	$(CARGO) build $(BUILD) --bin held_out
	$(TARGET)/release/held_out --write $(TARGET)/tmp/held-out long
	SAM2_TEST_BROWSER=$$(command -v chromium) SAM2_TEST_REVIEW=all SAM2_TEST_CLIP=$(abspath $(TARGET))/tmp/held-out/long-0.npy \
	    $(CARGO) test $(BUILD) --test end_to_end -- review_load:: review_fix:: --nocapture --test-threads 1

# Installs PyTorch, the official package and the readers of output formats, pinned, in a folder that git ignores, unless they are installed.
VENV ?= .venv
python:
	@test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	@$(VENV)/bin/python -c "import sam2, torch, transformers, pandas, pyarrow, pycocotools, tifffile, roifile, labelme, ome_zarr, sleap_io, pynwb" 2>/dev/null || { \
	    $(VENV)/bin/pip install -q -r tests/parity/requirements.txt -r tests/formats/requirements.txt && \
	    SAM2_BUILD_CUDA=0 $(VENV)/bin/pip install -q --no-build-isolation --no-deps sam2==1.1.0; }

fixtures: python
	$(VENV)/bin/python tests/parity/make_fixtures.py

# PARITY=quick: of the official variants only large-2.1, because the others take most of the time (`make test` has tiny). It writes no table.
PARITY ?= full
SCENARIOS := $(if $(filter quick,$(PARITY)),$(filter-out tiny-% small-% base-plus-% large-2.0,$(basename $(notdir $(wildcard tests/parity/scenarios/*.json)))))
parity: setup python
	$(VENV)/bin/python tests/parity/run_official.py --out tests/parity/.out --keep-checkpoints $(if $(SCENARIOS),--only $(SCENARIOS))
	$(VENV)/bin/python tests/parity/hf/check_names.py --models micro_2_1 --save tests/parity/.out/hugging-face
	$(CARGO) build $(BUILD) --bin parity
	$(TARGET)/release/parity tests/parity/.out $(if $(SCENARIOS),weights $(SCENARIOS))

formats: build python
	$(VENV)/bin/python tests/formats/check_formats.py --sam2 $(SAM2)

# Installs Snakemake, pinned, in its own folder that git ignores, unless it is installed.
WORKFLOW_VENV ?= .venv-workflow
workflow-test: build
	@test -x $(WORKFLOW_VENV)/bin/python || python3 -m venv $(WORKFLOW_VENV)
	@test -x $(WORKFLOW_VENV)/bin/snakemake || $(WORKFLOW_VENV)/bin/pip install -q -r tests/workflow/requirements.txt
	tests/workflow/run.sh $(SAM2) $(WORKFLOW_VENV)/bin/snakemake

clean-demo:
	rm -rf $(DEMO)
