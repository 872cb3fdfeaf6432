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

export KERNEL VARIANT FRED
export PYTHONDONTWRITEBYTECODE := 1

help:
	@echo 'Protection Keys Supervisor for Linux 6.12'
	@echo
	@echo '  make run               build the kernel, boot it and show PKS at work'
	@echo '  make test              build, and run all tests'
	@echo '  make test BOOTS="a b"  only these boots of it, e.g. "2-cpus crash"'
	@echo '  make shell             build, and boot to a shell'
	@echo '  make image             only build: build/image/{bzImage,initramfs.cpio.gz,cmdline}'
	@echo '  make series            write it as mail to build/series/; it quotes the last "make test"'
	@echo '  make check             what a maintainer would run on it'
	@echo '  make check-full        that, and what takes longer; a report is in build/check/'
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
	@echo 'Missing Debian packages are installed. KERNEL=/path/to/linux-6.12.y builds from'
	@echo 'a tree of your own, which is only read. VARIANT=debug, kcsan or module adds'
	@echo 'configs/VARIANT.config to the kernel of run, test, shell and soak. FRED=on runs what'
	@echo 'they and inject boot on a CPU with FRED. All that is made goes to build/; one make at'
	@echo 'a time there, as most build or change the kernel in it.'

# The programs that run after the build, with their arguments. With "-n" they only check the
# arguments, so that a wrong one is refused ahead of the build.
DO :=
test: DO = scripts/test $(BOOTS)
soak: DO = scripts/soak $(or $(MINUTES),1) $(SEED)
inject: DO = scripts/inject $(BOOTS)
repeat: DO = scripts/repeat $(or $(RUNS),10) $(or $(BUSY),0) $(BOOTS)
bench: DO = scripts/bench $(CPUS)
check: DO = scripts/check $(CHECKS)
check-full: DO = scripts/check $(or $(CHECKS),full)

image:
	@scripts/setup
	@$(if $(DO),$(DO) -n)
	@$(if $(FRED),scripts/qemu-fred)
	@scripts/build

run: image
	@scripts/run

test soak repeat: image
	@$(DO)

shell: image
	@python3 vm/boot.py

negative-control: image
	@scripts/negative-control; usual=$$?; VARIANT=debug scripts/build && \
		VARIANT=debug scripts/negative-control && exit $$usual

# The unchanged sources are named in build/linux.source.
series: image
	@scripts/export "$$(cut -d' ' -f3- build/linux.source)"

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
	@scripts/verify

bench-native:
	@scripts/bench-native

check-series:
	@scripts/check-series

clean:
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name 'src*' ! -name qemu -exec rm -rf {} +

distclean:
	@rm -rf build
