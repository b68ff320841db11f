# Everything that a person or CI does with this module. `make` alone lists the targets. Recipes are
# short bash scripts. Variables to set: DESTDIR and MODULES_DIR for install and uninstall; MCT_CACHE
# for the folder that keeps tools, Debian trees and the old C library between runs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.NOTPARALLEL: # packages must be installed before what needs them
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# What users set is taken as it is: a `$` in it has no meaning for make.
$(foreach name,DESTDIR MODULES_DIR MCT_MODULE MCT_CACHE CARGO_TARGET_DIR,\
	$(if $(value $(name)),$(eval override export $(name) := $$(value $(name)))))

# Text in single quotes, for the shell: nothing in it has a meaning there.
quote = '$(subst ','\'',$(1))'
# A path, made absolute.
absolute = $(if $(filter /%,$(firstword $(1))),,$(CURDIR)/)$(1)

# An architecture in the words of Debian, for `portable` and `deb`; what builds for it on another one.
host_arch := $(if $(filter aarch64,$(shell uname -m)),arm64,amd64)
ARCH ?= $(host_arch)
triple_of_amd64 := x86_64-unknown-linux-gnu
triple_of_arm64 := aarch64-unknown-linux-gnu
for_triple := $(triple_of_$(ARCH))
other_arch := $(filter-out $(host_arch),amd64 arm64)
other_triple := $(triple_of_$(other_arch))
ifneq ($(ARCH),$(host_arch))
cross := $(subst -unknown-,-,$(for_triple))-
cross_linker := CARGO_TARGET_$(shell tr a-z- A-Z_ <<<'$(for_triple)')_LINKER=$(cross)gcc
endif

# Paths are quoted here, once for all recipes.
target := $(call quote,$(call absolute,$(or $(CARGO_TARGET_DIR),target)))
library := libkamailio_memcached.so
module := $(target)/release/memcached.so
portable := $(target)/portable/$(ARCH)/memcached.so
cache := $(call quote,$(or $(MCT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/kamailio-memcached))
headers := include tests/layout/kamailio_layout.h
triple = $(shell rustc -vV | sed -n 's/^host: //p')
version = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
package := kamailio-memcached-modules-rs
maintainer = $(shell sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)

# A linker; the host and the servers; what the stock module needs besides itself; a program that
# sends calls.
packages := gcc libc6-dev binutils kamailio kamailio-lua-modules kamailio-python3-modules \
	kamailio-sqlite-modules memcached nutcracker libsasl2-2 sip-tester sqlite3
# The clients with which we compare the placement of keys, and with which we exchange values
# (tests/peers/install fetches more, for Python), modules that an example uses, what makes
# certificates, and what reads our statistics.
test_packages := openssl kamailio-tls-modules prometheus libmemcached-dev python3-venv kamailio-extra-modules \
	php-cli php-memcached ruby ruby-dalli
lint_packages := shellcheck
bench_packages := valgrind strace
# pandoc makes the manual page, Python the other papers.
package_packages := python3 pandoc lintian rpm rpm2cpio cpio
sanitize_packages := valgrind
# For the other processor: a compiler and a linker, the headers of its C library, and what runs its programs.
cross_packages = gcc-$(subst _,-,$(patsubst %-unknown-linux-gnu,%,$(other_triple)))-linux-gnu \
	libc6-dev-$(other_arch)-cross qemu-user-static

# Tools that are written in Rust and not packaged in Debian. They are built once, into the cache
# folder.
cargo_deb := cargo-deb@3.8.0
cargo_fuzz := cargo-fuzz@0.13.2
cargo_deny := cargo-deny@0.20.2
define build_tool
	tool=$(cache)/tools/$(1)/bin/$(firstword $(subst @, ,$(1)))
	[[ -x $$tool ]] || cargo install --locked --quiet $(2) --root $(cache)/tools/$(1) $(1)
endef

# The module that the tests load and `make install` installs. The matrix loads the portable one.
tested := $(if $(MCT_MODULE),$(call quote,$(call absolute,$(MCT_MODULE))),$(module))
# How many tests run at the same time. Most tests wait most of the time: with 2 processors, 8 at a
# time finish in a third of the time that 2 at a time need, and more than 8 are not faster.
export RUST_TEST_THREADS ?= 8

# What the module has besides, by crates beyond those that the library itself needs.
features := --features compression,tls
export MCT_FEATURES := $(features)

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+( [a-z-]+)?:.*## / { printf "  %-15s %s\n", $$1, $$2 }' Makefile

.PHONY: dependencies test-dependencies lint-dependencies bench-dependencies sanitize-dependencies cross-dependencies \
	package-dependencies
dependencies: ## Install the Debian packages that are missing
	@$(call install_missing,$(packages))
test-dependencies: dependencies
	@$(call install_missing,$(test_packages))
	tests/peers/install libmc >/dev/null
	# The tests with these are skipped where the package index has no wheel.
	for client in pylibmc pymemcache; do tests/peers/install $$client >/dev/null || true; done
lint-dependencies:
	@$(call install_missing,$(lint_packages))
bench-dependencies: dependencies
	@$(call install_missing,$(bench_packages))
package-dependencies:
	@$(call install_missing,$(package_packages))
cross-dependencies:
	@$(call install_missing,$(cross_packages))
	if ! rustup target add $(other_triple); then
		echo "the standard library of Rust for $(other_triple) is missing" >&2
		exit 1
	fi
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
	@cargo build --release --locked $(features)
	$(call put,$(target)/release/$(library),$(module))

# A running server may have the old file mapped. It keeps that one, while the name leads to the new
# one.
define put
	cp $(1) $(2).new
	mv $(2).new $(2)
endef

.PHONY: portable
portable: ## Build it for every host with glibc 2.31 or later; for another processor with ARCH=arm64
	@[[ "$(for_triple)" ]] || { echo "ARCH is '$(ARCH)'; accepted: amd64 or arm64" >&2; exit 1; }
	$(if $(cross),$(MAKE) cross-dependencies)
	arguments=$$(tests/matrix/sysroot $(ARCH))
	mapfile -t arguments <<<"$$arguments"
	flags=$$(printf -- '-Clink-arg=%s\x1f' "$${arguments[@]}")
	flags+=--remap-path-prefix=$$PWD=.$$'\x1f'
	flags+=--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo
	# With a named target, these flags do not reach build scripts or the folder of plain builds.
	CARGO_ENCODED_RUSTFLAGS=$$flags CARGO_PROFILE_RELEASE_STRIP=symbols $(cross_linker) \
		cargo build --release --locked $(features) --target $(for_triple)
	mkdir -p $(target)/portable/$(ARCH)
	$(call put,$(target)/$(for_triple)/release/$(library),$(portable))
	OBJDUMP=$(cross)objdump tests/matrix/glibc-floor $(portable)

.PHONY: demo
demo: dependencies build ## Start memcached and Kamailio, send calls, show what happened
	@tests/demo $(module)

.PHONY: check
check: ## Compile everything, run nothing
	@cargo check --locked $(features) --all-targets
	cargo check --locked
	cargo check --locked --no-default-features

.PHONY: unittest
unittest: ## Tests that need no server
	@cargo test --locked $(features) --lib --test library

.PHONY: unittest-arm64
unittest-arm64: cross-dependencies ## Those that neither ask servers, encrypt, nor search all states, in an emulator of arm64
	@export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
	export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64-static -L /usr/aarch64-linux-gnu'
	# What is not optimised takes the emulator three times as long.
	CARGO_PROFILE_DEV_OPT_LEVEL=1 cargo test --locked $(features) --lib --test library --target $(triple_of_arm64) -- \
		--skip layout:: --skip structure:: --skip cache:: --skip pool:: --skip prober:: --skip secured:: \
		--skip model:: --skip races

# The library runs on a simulated system, so it is built anew, without Kamailio. Make hands SEEDS, SEED,
# FIRST and FAULT on.
simulation := --locked --no-default-features --features simulation,tls --test simulation
.PHONY: simulate
simulate: ## The cache in a simulated world: SEEDS=1000 of them, or SEED=7 with its trace
	@cargo test --profile simulation $(simulation)

.PHONY: systest
systest: build ## Tests with real Kamailio and memcached
	@MCT_MODULE=$(tested) cargo test --locked $(features) --test system

.PHONY: endurance
endurance: test-dependencies build ## Lose servers, and add one, under load: 100 000 keys
	@MCT_MODULE=$(tested) cargo test --locked $(features) --test system -- --ignored --nocapture --test-threads 1 100_000

.PHONY: test
test: test-dependencies build ## All tests, with what they need installed first
	@MCT_MODULE=$(tested) cargo test --locked $(features) --workspace
	$(MAKE) simulate

# Miri runs the tests that it can check and that open no socket: the callbacks and the shared
# memory. Memory that is kept until the end is not a leak.
.PHONY: sanitize
sanitize: sanitize-dependencies build ## Look for undefined behaviour and races: Miri, ThreadSanitizer, AddressSanitizer (also in Kamailio), valgrind
	@MIRIFLAGS=-Zmiri-ignore-leaks timeout 1800 cargo +nightly miri test --locked --lib -- \
		kamailio:: shared:: health::tests:: health::addresses:: health::latency:: stats::
	# Each seed is another order of the threads, and of what they see of each other's writes.
	MIRIFLAGS='-Zmiri-ignore-leaks -Zmiri-many-seeds=0..32' timeout 900 \
		cargo +nightly miri test --locked --lib -- health::tests::races
	# Threads in the place of processes, with a standard library that ThreadSanitizer knows. Backtraces take it seconds.
	RUSTFLAGS=-Zsanitizer=thread RUST_BACKTRACE=0 timeout 900 \
		cargo +nightly test -Zbuild-std --locked --lib --target $(triple) --target-dir $(target)/threads -- \
		health:: shared:: stats:: near races lease prober::resolver
	RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 timeout 900 \
		cargo +nightly test --locked $(features) --lib --target $(triple)
	MCT_MODULE=$(tested) timeout 900 cargo test --locked $(features) --test system -- --ignored memcheck
	$(sanitize_module)

# A module with AddressSanitizer in a real Kamailio, which has to load gcc's library for that first. Tests that
# limit memory or measure it are left out: the sanitizer needs much of its own.
sanitized := $(target)/sanitized
define sanitize_module
	RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_RELEASE_LTO=off cargo +nightly build --release --locked $(features) --lib \
		--target $(triple) --target-dir $(sanitized)
	$(call put,$(sanitized)/$(triple)/release/$(library),$(sanitized)/memcached.so)
	rm -rf $(sanitized)/reports
	mkdir $(sanitized)/reports
	ASAN_OPTIONS=detect_leaks=0:log_path=$(sanitized)/reports/of MCT_PRELOAD=$$(gcc -print-file-name=libasan.so) \
		MCT_MODULE=$(sanitized)/memcached.so timeout 900 cargo test --locked $(features) --test system -- \
		hostile:: script:: access:: --skip value_limit:: --skip memory_grows --skip the_memory_of
	if cat $(sanitized)/reports/* 2>/dev/null; then
		echo "AddressSanitizer has found something" >&2
		exit 1
	fi
endef

.PHONY: matrix
matrix: test-dependencies cross-dependencies ## System tests in the Kamailio of Debian 11, 12, 13 and sid, and on arm64
	@tests/matrix/run
	$(if $(filter amd64,$(host_arch)),$(MAKE) unittest-arm64)
	tests/matrix/install

.PHONY: lint
lint: lint-dependencies ## Format, clippy, build without Kamailio, documentation, crates, C headers, scripts
	@cargo fmt --all --check
	cargo clippy --locked $(features) --workspace --all-targets -- -D warnings
	cargo clippy --locked --lib -- -D warnings
	cargo clippy $(simulation) -- -D warnings
	cargo check --locked --no-default-features
	RUSTDOCFLAGS='-D warnings' \
		cargo doc --locked --quiet $(features) --workspace --no-deps --document-private-items
	$(check_crates)
	# The build has just written the headers. If they differ, somebody forgot to commit them.
	if [[ $$(git ls-files --modified --others --exclude-standard $(headers)) ]]; then
		git diff -- $(headers)
		echo "a header is out of date: commit what the build wrote: $(headers)" >&2
		exit 1
	fi
	grep -rlZE --exclude-dir=.git --exclude-dir=target '^#!/(usr/bin/env bash|bin/sh)$$' . | xargs -0 shellcheck -x -P SCRIPTDIR

# Licences and sources of crates, and what is known against them where that can be fetched.
define check_crates
	$(call build_tool,$(cargo_deny),--debug --config profile.dev.debug=0)
	deny=("$$tool" --locked $(features) --config .ci/deny.toml check)
	"$${deny[@]}" licenses bans sources
	if ! said=$$("$${deny[@]}" advisories 2>&1); then
		[[ $$said == *'failed to fetch advisory database'* ]] || { echo "$$said" >&2; exit 1; }
		echo "skipped: advisories on crates: their database cannot be fetched"
	fi
endef

.PHONY: board
board: test-dependencies build ## Draw the picture of the README: the board of doc/grafana.json in an outage
	@MCT_BOARD="$$PWD/tests/bench/board.svg" MCT_MODULE=$(tested) \
		cargo test --locked $(features) --test system -- every_query_has_data

.PHONY: soak
soak: test-dependencies build ## Calls while servers are in trouble, for MINUTES (1); SEED=7 chooses what happens
	@MCT_SOAK=$(target)/soak.svg MCT_MODULE=$(tested) \
		cargo test --locked $(features) --test soak -- --nocapture
	echo "drawn: "$(target)/soak.svg

# What the fuzzer finds goes to tests/fuzz/corpus. tests/fuzz/seeds has the least of it that reaches as much,
# of inputs that are short: `make test` replays that.
define for_each_fuzz_target
	$(call build_tool,$(cargo_fuzz))
	for name in $$("$$tool" fuzz list --fuzz-dir tests/fuzz); do
		corpus=tests/fuzz/corpus/$$name seeds=tests/fuzz/seeds/$$name
		mkdir -p "$$corpus" "$$seeds"
		$(1)
	done
endef
run_fuzz := RUSTC_BOOTSTRAP=1 "$$tool" fuzz run --fuzz-dir tests/fuzz "$$name"

.PHONY: fuzz fuzz-seeds
fuzz: ## Fuzz each target for FUZZ_SECONDS (60), or FUZZ_RUNS times
	@limit=-max_total_time="$${FUZZ_SECONDS:-60}"
	[[ -z "$${FUZZ_RUNS:-}" ]] || limit=-runs="$$FUZZ_RUNS"
	$(call for_each_fuzz_target,$(run_fuzz) "$$corpus" "$$seeds" -- \
		-dict=tests/fuzz/$$name.dict -max_len=6000 -print_final_stats=1 "$$limit")
fuzz-seeds: ## Keep the least of what fuzzing has found for make test
	@$(call for_each_fuzz_target,mkdir -p $(target)/seeds/$$name; \
		$(run_fuzz) $(target)/seeds/$$name "$$corpus" "$$seeds" -- -set_cover_merge=1 -max_len=200; \
		rm -r "$$seeds"; mv $(target)/seeds/$$name "$$seeds")

.PHONY: bench bench-faults bench-spin
bench: bench-dependencies build ## Speed: ours, the stock module, a plain loop
	@cargo bench --locked $(features) --bench exchange
	cargo bench --locked $(features) --bench kemi
bench-faults: bench-dependencies build ## What a dead or slow server costs
	@cargo bench --locked $(features) --bench faults
bench-spin: bench-dependencies build ## What asking again saves and costs: the parameter spin
	@cargo bench --locked $(features) --bench spin

# What is written for the packages, beside the module.
made := $(target)/$(for_triple)/release/made
define write_papers
	mkdir -p $(made)
	packaging/copyright $(for_triple) $(features) >$(made)/copyright
	packaging/one-page >$(made)/kamailio.md
	packaging/man $(version) | gzip -9n >$(made)/kamailio-memcached.7.gz
endef

.PHONY: readme-kamailio
readme-kamailio: ## The manual as one page, in the order of Kamailio's own READMEs
	@mkdir -p $(target)
	packaging/one-page >$(target)/kamailio.md
	echo "written: "$(target)/kamailio.md

.PHONY: deb
deb: package-dependencies portable ## Debian package that replaces kamailio-memcached-modules; also with ARCH=arm64
	@$(call build_tool,$(cargo_deb))
	$(write_papers)
	packaging/deb/changelog $(package) '$(maintainer)' | gzip -9n >$(made)/changelog.gz
	"$$tool" --locked --no-build --no-strip --target $(for_triple) --multiarch same \
		--output $(target)/debian/

.PHONY: deb-check
deb-check: test-dependencies ## Install the packages of both architectures in each of these Debians, remove them
	@for arch in amd64 arm64; do $(MAKE) deb ARCH="$$arch"; done
	lintian --fail-on error,warning $(target)/debian/$(package)_$(version)_*.deb
	tests/matrix/deb $(target)/debian

# Where hosts with rpm have the libraries of 64 bits.
rpm_arch := $(firstword $(subst -, ,$(for_triple)))
.PHONY: rpm
rpm: package-dependencies portable ## RPM package, also with ARCH=arm64
	@$(write_papers)
	mkdir -p $(target)/rpm
	rpmbuild --quiet -bb --target $(rpm_arch)-linux --define '_libdir /usr/lib64' --define '_topdir '$(target)/rpm \
		--define '_rpmdir '$(target)/rpm --define 'made_version $(version)' --define 'module '$(portable) \
		--define "source $$PWD" --define 'papers '$(made) packaging/rpm/kamailio-memcached-rs.spec
	echo "written:" $(target)/rpm/$(rpm_arch)/*-$(version)-*.rpm

.PHONY: rpm-check
rpm-check: ## Unpack the RPM packages of both architectures and look into them
	@for arch in amd64 arm64; do $(MAKE) rpm ARCH="$$arch"; done
	tests/matrix/rpm $(target)/rpm/x86_64/*-$(version)-*.rpm $(target)/portable/amd64/memcached.so
	tests/matrix/rpm $(target)/rpm/aarch64/*-$(version)-*.rpm $(target)/portable/arm64/memcached.so

.PHONY: install uninstall
install: ## Put the module into Kamailio's folder, keep aside what was there
	@packaging/module install $(tested)
uninstall: ## Remove the module, put back what was there
	@packaging/module uninstall

.PHONY: clean
clean: ## Remove what was built; the cache folder stays
	@cargo clean
