# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.

CARGO ?= cargo
# One profile and one feature set for everything, so that nothing is compiled twice.
BUILD := --release --workspace --locked
TARGET := $(or $(CARGO_TARGET_DIR),target)
SAM2 := $(TARGET)/release/sam2
CLIPS := assets/clips
DEMO := demo-output

.PHONY: help setup build demo test lint doc bench fixtures clean-demo

help:
	@echo "make demo      build, segment a bundled recording, show how well it went"
	@echo "make test      set up and run all tests"
	@echo "make build     the sam2 program: $(SAM2)"
	@echo "make lint      formatting and clippy"
	@echo "make doc       the library documentation"
	@echo "make bench     criterion benchmarks of the model"
	@echo "make fixtures  make the parity fixtures anew with the official Python package"

setup:
	@scripts/setup.sh

build: setup
	$(CARGO) build $(BUILD) --bin sam2

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

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy $(BUILD) --all-targets -- -D warnings

doc: setup
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(BUILD) --no-deps

bench: setup
	$(CARGO) bench --workspace --locked

fixtures:
	@test -d .venv || python3 -m venv .venv
	.venv/bin/pip install -q -r tests/parity/requirements.txt
	SAM2_BUILD_CUDA=0 .venv/bin/pip install -q --no-build-isolation --no-deps sam2==1.1.0
	.venv/bin/python tests/parity/make_fixtures.py

clean-demo:
	rm -rf $(DEMO)
