# SPDX-License-Identifier: GPL-2.0
# The doors of the project. `make help` lists them.
# What each does stands in the program of bin/ that it calls.

.DEFAULT_GOAL := help
.PHONY: help demo check check-all bench tree export kernel

# Passed on to the programs if they are given here or in the environment.
export BASE KERNEL_SOURCE MEM TAKE UML ACCEL ONLY AGAIN QUICK FLAVOUR JOBS
FLAVOUR ?= ours

help: ## list the doors
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  BASE=            the kernel: 7.3, or 6.12 (in build/linux-6.12, build/kernel-6.12, build/6.12);'
	@echo '                   by default 7.3, and 6.12 where the source of 7.3 cannot be had'
	@echo '  KERNEL_SOURCE=   a tarball or folder of one of these, instead of the Debian package'
	@echo '  MEM= TAKE=       demo: MiB of the guest, and MiB that its program takes and frees'
	@echo '  UML=1            demo: User-mode Linux, a kernel that is a program, and no QEMU'
	@echo '  FLAVOUR=         kernel, demo: ours, upstream (as the source came) or without'
	@echo '  ONLY=            check: run only the checks of these names; bench: only these rows,'
	@echo '                   or frontier (beside mainline, in real time), or replay (traces)'
	@echo '  QUICK=1          bench: smaller guests, once each'
	@echo '  RESUME=1         bench: go on with one that was ended'
	@echo '  AGAIN=1          check-all: also what has passed with the same inputs'
	@echo '  ACCEL=kvm        where KVM really works; by default QEMU emulates (TCG)'
	@echo '  POSTING= FROM=   mail: which one, and who posts and signs off: "Name <address>"'
	@echo '  VERSION= RFC=1   mail: [PATCH v2 n/m], [RFC PATCH n/m]; ONTO=: a clone of mm-new'
	@echo '  JOBS=            compile jobs (default: one for each processor)'

demo: ## build the guest kernel, boot it, show its memory come back to the host
	@bin/need tree kernel guest $(if $(UML),,qemu)
	@bin/tree
	@bin/kernel $(FLAVOUR) $(if $(UML),--um --config native)
	@bin/initramfs
	@bin/demo

check: ## run every check that guards a commit
	@bin/check

check-all: ## those, and the long ones
	@ALL=1 bin/check

bench: ## measure upstream's page reporting, none and ours side by side
	@bin/need tree kernel guest qemu bench
	@bin/tree
	@case "$(ONLY)" in \
	replay) bench/replay/run ;; \
	frontier) bench/frontier $(if $(QUICK),--quick) ;; \
	*) bench/run $(if $(QUICK),--quick) $(if $(RESUME),--resume) $(ONLY) ;; \
	esac

tree: ## lay out build/linux: the source, the existing implementation out, the series
	@bin/tree

export: ## write the commits of build/linux back to patches/ and tree/
	@bin/export

kernel: ## build the guest kernel of one FLAVOUR, in build/kernel/FLAVOUR
	@bin/tree
	@bin/kernel $(FLAVOUR)

.PHONY: mail
export POSTING FROM VERSION RFC ONTO
mail: ## write one POSTING as mails ready to send to build/mail, FROM="Name <address>"
	@bin/mail
