# Everything that a person or CI does with this module. `make` alone lists the targets. Recipes are
# short bash scripts. Variables to set: DESTDIR and MODULES_DIR for install and uninstall; MCT_CACHE
# for the folder that keeps tools, Debian trees and the old C library between runs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL: # packages must be installed before what needs them
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

target := $(abspath $(or $(CARGO_TARGET_DIR),target))
library := libkamailio_memcached.so
module := $(target)/release/memcached.so
portable := $(target)/portable/memcached.so
cache := $(or $(MCT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kamailio-memcached)
headers := include tests/layout/kamailio_layout.h
triple = $(shell rustc -vV | sed -n 's/^host: //p')
version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

# A linker; the host and the servers; what the stock module needs besides itself; a program that
# sends calls.
packages := gcc libc6-dev binutils kamailio kamailio-lua-modules kamailio-sqlite-modules memcached \
	nutcracker libsasl2-2 sip-tester sqlite3
# The clients with which we compare the placement of keys. tests/peers/install fetches one more,
# libmc.
test_packages := libmemcached-dev python3-venv
lint_packages := shellcheck
bench_packages := valgrind strace
sanitize_packages := valgrind

# Tools that are written in Rust and not packaged in Debian. They are built once, into the cache
# folder.
cargo_deb := cargo-deb@3.8.0
cargo_fuzz := cargo-fuzz@0.13.2
tool = $(cache)/tools/$(1)/bin/$(firstword $(subst @, ,$(1)))

# The module that the tests load. The matrix loads the portable one.
MCT_MODULE ?= $(module)
# How many tests run at the same time. Most tests wait most of the time: with 2 processors, 8 at a
# time finish in a third of the time that 2 at a time need, and more than 8 are not faster.
export RUST_TEST_THREADS ?= 8

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+( [a-z-]+)?:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: dependencies test-dependencies lint-dependencies bench-dependencies sanitize-dependencies
dependencies: ## Install the Debian packages that are missing
	@$(call install_missing,$(packages))
test-dependencies: dependencies
	@$(call install_missing,$(test_packages))
	tests/peers/install >/dev/null
lint-dependencies:
	@$(call install_missing,$(lint_packages))
bench-dependencies: dependencies
	@$(call install_missing,$(bench_packages))
sanitize-dependencies: dependencies
	@$(call install_missing,$(sanitize_packages))
	if ! rustup component add --toolchain nightly miri rust-src; then
		echo "Miri is missing: it needs rustup, and the toolchain nightly with miri and rust-src" >&2
		exit 1
	fi

define install_missing
	if ! command -v dpkg-query >/dev/null; then
		echo "this is not Debian: install these packages, or equivalent ones, by hand: $(1)" >&2
		exit 0
	fi
	missing=()
	for package in $(1); do
		[[ $$(dpkg-query -W -f '$${Status}' "$$package" 2>/dev/null) == *' installed' ]] || missing+=("$$package")
	done
	if (($${#missing[@]})); then
		root=(); ((EUID == 0)) || root=(sudo)
		"$${root[@]}" apt-get update -q
		"$${root[@]}" env DEBIAN_FRONTEND=noninteractive \
			apt-get install -q -y --no-install-recommends "$${missing[@]}"
	fi
endef

.PHONY: build
build: ## Build the module for this host: target/release/memcached.so
	@cargo build --release --locked
	$(call put,$(target)/release/$(library),$(module))

# A running server may have the old file mapped. It keeps that one, while the name leads to the new
# one.
define put
	cp $(1) $(2).new
	mv $(2).new $(2)
endef

.PHONY: portable
portable: ## Build it for every host with glibc 2.31 or later: target/portable/memcached.so
	@link=$$(tests/matrix/sysroot)
	flags=$$(printf -- '-Clink-arg=%s\x1f' $$link)
	flags+=--remap-path-prefix=$(CURDIR)=.$$'\x1f'
	flags+=--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo
	# With a named target, these flags do not reach build scripts or the folder of plain builds.
	CARGO_ENCODED_RUSTFLAGS=$$flags CARGO_PROFILE_RELEASE_STRIP=debuginfo \
		cargo build --release --locked --target $(triple)
	mkdir -p $(dir $(portable))
	$(call put,$(target)/$(triple)/release/$(library),$(portable))
	tests/matrix/glibc-floor $(portable)

.PHONY: demo
demo: dependencies build ## Start memcached and Kamailio, send calls, show what happened
	@tests/demo $(module)

.PHONY: check
check: ## Compile everything, run nothing
	@cargo check --locked --all-targets
	cargo check --locked --no-default-features

.PHONY: unittest
unittest: ## Tests that need no server
	@cargo test --locked --lib --test library

.PHONY: systest
systest: build ## Tests with real Kamailio and memcached
	@MCT_MODULE=$(abspath $(MCT_MODULE)) cargo test --locked --test system

.PHONY: test
test: test-dependencies build ## All tests, with what they need installed first
	@MCT_MODULE=$(abspath $(MCT_MODULE)) cargo test --locked --workspace

# Miri runs the tests that it can check and that open no socket: the callbacks and the shared
# memory. Memory that is kept until the end is not a leak.
.PHONY: sanitize
sanitize: sanitize-dependencies build ## Look for undefined behaviour: Miri, AddressSanitizer, valgrind
	@MIRIFLAGS=-Zmiri-ignore-leaks timeout 900 cargo +nightly miri test --locked --lib -- \
		kamailio:: shared:: health::tests:: health::addresses:: health::latency:: stats::
	RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0 timeout 900 \
		cargo +nightly test --locked --lib --target $(triple)
	MCT_MODULE=$(abspath $(MCT_MODULE)) timeout 900 cargo test --locked --test system -- --ignored memcheck

.PHONY: matrix
matrix: test-dependencies ## System tests in the Kamailio of Debian 11, 12, 13 and sid
	@tests/matrix/run
	tests/matrix/install

.PHONY: lint
lint: lint-dependencies ## Format, clippy, build without Kamailio, documentation, C headers, scripts
	@cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo check --locked --no-default-features
	RUSTDOCFLAGS='-D warnings' \
		cargo doc --locked --quiet --workspace --no-deps --document-private-items
	# The build has just written the headers. If they differ, somebody forgot to commit them.
	if [[ $$(git ls-files --modified --others --exclude-standard $(headers)) ]]; then
		git diff -- $(headers)
		echo "a header is out of date: commit what the build wrote: $(headers)" >&2
		exit 1
	fi
	grep -rlZ --exclude-dir=.git --exclude-dir=target '^#!/usr/bin/env bash' . | xargs -0 shellcheck -x -P SCRIPTDIR

.PHONY: fuzz
fuzz: $(call tool,$(cargo_fuzz)) ## Fuzz each target for FUZZ_SECONDS (60)
	@for name in $$($< fuzz list --fuzz-dir tests/fuzz); do
		RUSTC_BOOTSTRAP=1 $< fuzz run --fuzz-dir tests/fuzz "$$name" -- \
			-dict=tests/fuzz/$$name.dict -max_len=6000 -max_total_time=$(or $(FUZZ_SECONDS),60)
	done

.PHONY: bench bench-faults
bench: bench-dependencies build ## Speed: ours, the stock module, a plain loop
	@cargo bench --locked --bench exchange
bench-faults: bench-dependencies build ## What a dead or slow server costs
	@cargo bench --locked --bench faults

.PHONY: deb
deb: portable $(call tool,$(cargo_deb)) ## Debian package that replaces kamailio-memcached-modules
	@$(call tool,$(cargo_deb)) --locked --no-build --no-strip --target $(triple) --multiarch same \
		--output $(target)/debian/

.PHONY: deb-check
deb-check: deb ## Install the package in each of these Debians, remove it again
	@tests/matrix/deb $(target)/debian/*_$(version)_*.deb

$(cache)/tools/%:
	@cargo install --locked --quiet --root $(cache)/tools/$(firstword $(subst /, ,$*)) $(firstword $(subst /, ,$*))

# The module's folder: MODULES_DIR, or the folder of the Kamailio that is installed here, or where
# packages and Kamailio's own `make install` put it. With DESTDIR, only folders below it count, and
# not the Kamailio that is installed here.
define find_folder
	folders=($(MODULES_DIR))
	if ! (($${#folders[@]})); then
		[[ "$(DESTDIR)" ]] || folders+=($$(kamailio -I 2>/dev/null | sed -n 's/.*paths to modules: //p' | tr ':' ' '))
		folders+=($$(cd $(DESTDIR)/ && echo usr/lib/*/kamailio/modules | sed 's,usr,/usr,g'))
		folders+=(/usr/lib64/kamailio/modules /usr/local/lib64/kamailio/modules /usr/local/lib/kamailio/modules)
	fi
	for folder in "$${folders[@]}" ''; do
		[[ -d $(DESTDIR)$$folder || "$(MODULES_DIR)" ]] && break
	done
	if [[ -z $$folder ]]; then
		echo "cannot find Kamailio's modules folder; tried: $${folders[*]}; set it with MODULES_DIR=" >&2
		exit 1
	fi
	here=$(DESTDIR)$$folder
	divert=(dpkg-divert --quiet --local --rename --divert $$folder/memcached.so.stock)
	[[ -z "$(DESTDIR)" ]] || divert+=(--root=$(DESTDIR))
	# If dpkg owns the folder, it must know about our file, because the stock package may be installed,
	# removed or upgraded meanwhile.
	diverted() { dpkg-query --admindir=$(DESTDIR)/var/lib/dpkg -S "$$folder" >/dev/null 2>&1; }
endef

# Our file has a name of its own, and memcached.so is a link to it. So it is never taken for the
# stock module.
.PHONY: install
install: ## Put the module into Kamailio's folder, keep the stock module aside
	@[[ -e $(MCT_MODULE) ]] || { echo "$(MCT_MODULE) does not exist: run make build first" >&2; exit 1; }
	$(find_folder)
	mkdir -p "$$here"
	if diverted; then
		"$${divert[@]}" --add $$folder/memcached.so
	elif [[ -e $$here/memcached.so && ! -L $$here/memcached.so ]]; then
		mv "$$here/memcached.so" "$$here/memcached.so.stock"
	fi
	install -m 644 $(MCT_MODULE) "$$here/$(library).new"
	mv "$$here/$(library).new" "$$here/$(library)"
	ln -sf $(library) "$$here/memcached.so"
	echo "installed: $$here/memcached.so"

.PHONY: uninstall
uninstall: ## Remove the module, put the stock module back
	@$(find_folder)
	if [[ ! -e $$here/$(library) ]]; then
		echo "this module is not installed in $$here" >&2
		exit 1
	fi
	[[ ! -L $$here/memcached.so ]] || rm "$$here/memcached.so"
	rm "$$here/$(library)"
	if diverted; then
		"$${divert[@]}" --remove $$folder/memcached.so
	elif [[ -e $$here/memcached.so.stock ]]; then
		mv -n "$$here/memcached.so.stock" "$$here/memcached.so"
	fi
	echo "uninstalled from $$here"

.PHONY: clean
clean: ## Remove what was built; the cache folder stays
	@cargo clean
