# SPDX-License-Identifier: Apache-2.0
# A thin front: Meson builds, tools/ hold the scripts.  `make help` lists what there is.
SHELL := /bin/bash
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 600

.PHONY: all run test test-kernels bench fuzz install format clean help
all:
	@tools/build

run: all
	@tools/run

test:
	@tools/test

# Before a release: the tests in a virtual machine on the kernels that `make test` does not run, HF_VM_KERNELS="5.10 6.12".
test-kernels: all
	@tools/test-kernels

bench: all
	@tests/bench/run

fuzz:
	@tools/fuzz $(FUZZ_SECONDS) $(TARGETS)

install: all
	@meson install -C build --no-rebuild $(if $(DESTDIR),--destdir $(DESTDIR))

format:
	@tools/format

clean:
	rm -rf build build-asan build-fuzz

help:
	@printf '%s\n' 'make            build build/holdfast' \
	  'make run        scan IMAGE=... with advisories from ADVISORIES=DIR; without IMAGE scan this machine, then run the daemon (WATCH=60 seconds, LISTEN=127.0.0.1:8470)' \
	  'make test       build and run every test' \
	  'make test-kernels  the tests in a virtual machine on HF_VM_KERNELS="5.10 6.12", before a release' \
	  'make bench      measure (images: tests/bench/make-images)' \
	  'make fuzz       every fuzz target for FUZZ_SECONDS=600 each, or TARGETS="fuzz-osv ..."' \
	  'make install    to PREFIX=/usr/local, DESTDIR=' \
	  'make format     clang-format the lines that differ from HEAD'
