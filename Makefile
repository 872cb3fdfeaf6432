# SPDX-License-Identifier: GPL-2.0
# The front door. "make help" lists the targets.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run test shell image negative-control check-series series check check-full
.PHONY: bench bench-native verify soak inject repeat clean distclean

ifneq ($(filter-out on off,$(FRED)),)
$(error FRED=$(FRED) is neither on nor off)
endif
# Some targets choose the kernel, or the CPU, themselves.
chosen := $(filter bench check check-full negative-control inject series verify,$(MAKECMDGOALS))
ifneq ($(and $(VARIANT),$(chosen)),)
$(error $(chosen) takes no VARIANT)
endif
ifneq ($(and $(FRED),$(filter-out negative-control inject,$(chosen))),)
$(error $(chosen) takes no FRED)
endif

# The kernel: that of the tree KERNEL, or LINUX, or the one that Debian 12 and 13 have themselves.
ifneq ($(KERNEL),)
LINUX := $(shell awk '/^(VERSION|PATCHLEVEL) = / { v = v s $$3; s = "." } END { print v }' '$(KERNEL)/Makefile' 2>/dev/null)
ifeq ($(LINUX),)
$(error KERNEL=$(KERNEL) is not a Linux source tree)
endif
endif
LINUX ?= $(shell cat patches/default)
versions := $(patsubst patches/%/series,%,$(wildcard patches/*/series))
ifeq ($(filter $(LINUX),$(versions)),)
$(error there are no patches for Linux $(LINUX), but for $(versions))
endif

export LINUX KERNEL VARIANT FRED
export PYTHONDONTWRITEBYTECODE := 1

help:
	@echo 'Protection Keys Supervisor for Linux $(LINUX)'
	@echo
	@echo '  make run               build the kernel, boot it and show PKS at work'
	@echo '  make test              build, and run all tests'
	@echo '  make test BOOTS="a b"  only these boots of it, e.g. "2-cpus crash"'
	@echo '  make shell             build, and boot to a shell'
	@echo '  make image             only build: image/{bzImage,initramfs.cpio.gz,cmdline} in build/$(LINUX)'
	@echo '  make series            write it as mail to build/$(LINUX)/series; it quotes the last "make test"'
	@echo '  make check             what a maintainer would run on it'
	@echo '  make check-full        that, and what takes longer; a report is in build/$(LINUX)/check'
	@echo '  make check CHECKS="a"  only these checks, e.g. "off bloat"'
	@echo '  make bench             count instructions, with and without the series'
	@echo '  make bench CPUS=1      only with so many CPUs'
	@echo '  make bench-native      the same on this machine, if it has PKS: as root'
	@echo '  make verify            explore all orders of what can happen to the core'
	@echo '  make soak MINUTES=60   let everything strike at random; SEED=n repeats the choices'
	@echo '  make repeat RUNS=50    so many runs of each boot of "make test"; BUSY=2 loops beside them'
	@echo '  make inject            faults and deaths in open windows; SEED=n repeats the fuzzer'
	@echo '  make check-series      check that patches/ is consistent'
	@echo '  make negative-control  leave out each hook of the series in turn: tests must fail'
	@echo '  make clean             remove what was built'
	@echo '  make distclean         remove all of build/, unpacked sources and QEMU too'
	@echo
	@echo 'LINUX=VERSION chooses the kernel, of $(versions). KERNEL=/path/to/linux builds from a'
	@echo 'tree of your own, of one of these versions, which is only read. Missing Debian packages'
	@echo 'are installed. VARIANT=debug, kcsan or module adds a configuration of test/guest/configs'
	@echo 'to the kernel of run, test, shell and soak. FRED=on runs what they and inject boot on a'
	@echo 'CPU with FRED. All that is made goes to build/VERSION; one make at a time there, as most'
	@echo 'build or change the kernel in it.'

# The programs that run after the build, with their arguments. With "-n" they only check the
# arguments, so that a wrong one is refused ahead of the build.
DO :=
test: DO = test/run $(BOOTS)
soak: DO = test/soak/run $(or $(MINUTES),1) $(SEED)
inject: DO = test/inject/run $(BOOTS)
repeat: DO = test/repeat $(or $(RUNS),10) $(or $(BUSY),0) $(BOOTS)
bench: DO = test/bench/run $(CPUS)
check: DO = test/check $(CHECKS)
check-full: DO = test/check $(or $(CHECKS),full)

image:
	@scripts/setup
	@$(if $(DO),$(DO) -n)
	@$(if $(FRED),test/qemu/build)
	@scripts/build

run: image
	@test/demo

test soak repeat: image
	@$(DO)

shell: image
	@test/shell

negative-control: image
	@test/negative/run; usual=$$?; VARIANT=debug scripts/build && \
		VARIANT=debug test/negative/run && exit $$usual

# The unchanged sources are named in linux.source.
series: image
	@scripts/export "$$(cut -d' ' -f3- build/$(LINUX)/linux.source)"

check check-full: series
	@scripts/setup check
	@$(DO)

bench: image
	@scripts/setup bench
	@$(DO)

inject: image
	@VARIANT=inject scripts/build
	@$(DO)

verify: image
	@test/model/run

bench-native:
	@test/bench/native

check-series:
	@scripts/check-series

clean:
	@[ ! -d build ] || find build -mindepth 2 -maxdepth 2 ! -path 'build/qemu/*' ! -name 'src*' \
		! -name '*.tar.xz' -exec rm -rf {} +

distclean:
	@rm -rf build
