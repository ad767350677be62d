# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every program in bin/ and checks/ shares: places, words, and how a
# missing program or library is found and, on Debian, installed.

set -euo pipefail
shopt -s inherit_errexit
# A hook or an alias of git that runs this must not turn it on another tree.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/free-page-reporting
JOBS=${JOBS:-$(nproc)}
export TOP CACHE JOBS

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }
die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  %s\n' "$@" >&2
	exit 1
}

# The bases, newest first. The first one is the default.
bases() { (cd "$TOP/base" && ls -d [0-9]*.*[0-9]/) | tr -d / | sort -rV; }

# Everything of base $1 has a place of its own. The default base's tree and kernels are
# build/linux and build/kernel, another's are build/linux-BASE and build/kernel-BASE, and
# whatever else it leaves is in build/BASE instead of build.
use_base() {
	local all
	all=$(bases)
	grep -qxF -- "$1" <<<"$all" || die "there is no base $1" "BASE= takes one of: $(xargs <<<"$all")"
	NEWEST=${all%%$'\n'*}
	BASE=$1 BUILD=$TOP/build LINUX=$TOP/build/linux KERNELS=$TOP/build/kernel
	[ "$BASE" = "$NEWEST" ] || BUILD+=/$BASE LINUX+=-$BASE KERNELS+=-$BASE
	export BUILD LINUX KERNELS
}

# A fragment of config/ as it is for this base: a line "6.12:CONFIG_..." is for that one.
fragment() { sed -e "s/^$BASE://" -e '/^[0-9][0-9.]*:/d' "$TOP/config/$1.config"; }

# How bin/tree ends if the source of the base that was asked for cannot be had.
# shellcheck disable=SC2034  # of bin/tree and bin/check
NOT_HAD=3

# The base that bin/tree decided on for this KERNEL_SOURCE when nobody named one:
# build/base has a line for each KERNEL_SOURCE, which is the base, a tab and its name.
decided_base() {
	local base source
	while IFS=$'\t' read -r base source; do
		[ "$source" != "${KERNEL_SOURCE-}" ] || [ ! -d "$TOP/base/$base" ] || { echo "$base"; return; }
	done < <(cat "$TOP/build/base" 2>/dev/null)
	bases | sed 1q
}

# What the person said. What is decided here is not passed on: to bin/tree a base that
# was named is another thing.
GIVEN=${BASE-}
[ -n "$GIVEN" ] || export -n BASE
use_base "${GIVEN:-$(decided_base)}"

# One line each: how to see that it is there, and Debian's package for it.
#   cmd NAME      a program on PATH         hdr FILE   a C header
#   lib NAME      a static library          py MODULE  for /usr/bin/python3
#   cross TRIPLE  a C library to link statically for another architecture
#   sub NAME      a program of git's own        perl MODULE
probe() {
	case $1 in
	cmd) command -v "$2" >/dev/null 2>&1 || [ -x "/usr/sbin/$2" ] ;;
	hdr) printf '#include <%s>\n' "$2" | cc -E -xc - -o /dev/null 2>/dev/null ;;
	lib) [ -e "$(cc -print-file-name="$2" 2>/dev/null)" ] ;;
	py) /usr/bin/python3 -c "import $2" 2>/dev/null ;;
	cross) [ -e "$("$2-gcc" -print-file-name=libc.a 2>/dev/null)" ] ;;
	sub) [ -x "$(git --exec-path)/$2" ] || command -v "$2" >/dev/null 2>&1 ;;
	perl) perl -M"$2" -e 1 2>/dev/null ;;
	*) die "probe: no such kind: $1" ;;
	esac
}

on_debian() { [ -e /etc/debian_version ] && command -v apt-get >/dev/null; }

apt_install() {
	local sudo=()
	[ "$(id -u)" -eq 0 ] || sudo=(sudo)
	local log=$TOP/build/apt.log
	mkdir -p "$TOP/build"
	note "installing with apt: $* (log: ${log#"$TOP"/})"
	{
		"${sudo[@]}" apt-get update &&
			"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
				apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
	} >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		return 1
	}
}

# need <<list: makes sure that all of it is there, or says what is not.
need() {
	local kind what package missing=() packages=()
	while read -r kind what package; do
		[ -n "$kind" ] || continue
		probe "$kind" "$what" && continue
		missing+=("$what (Debian: $package)")
		packages+=("$package")
	done
	[ ${#missing[@]} -eq 0 ] && return
	if on_debian; then
		apt_install "${packages[@]}" ||
			die "apt could not install: ${packages[*]}" \
			    "see build/apt.log, or install them yourself and run this again"
		return
	fi
	die "these programs and libraries are missing; install them and run this again:" \
	    "${missing[@]}"
}

# What each kind of work needs, for bin/need.
list_tree() {
	cat <<-LIST
		cmd git git
		cmd xz xz-utils
		cmd tar tar
	LIST
}

list_kernel() {
	cat <<-LIST
		cmd gcc gcc
		lib libc.a libc6-dev
		cmd make make
		cmd flex flex
		cmd bison bison
		cmd bc bc
		cmd perl perl
		cmd ccache ccache
		hdr gelf.h libelf-dev
		hdr openssl/ssl.h libssl-dev
	LIST
}

list_qemu() {
	cat <<-LIST
		cmd qemu-system-x86_64 qemu-system-x86
	LIST
}

list_guest() {
	cat <<-LIST
		cmd cpio cpio
		cmd python3 python3
		py matplotlib python3-matplotlib
	LIST
}

list_check() {
	cat <<-LIST
		cmd shellcheck shellcheck
		cmd sparse sparse
		cmd codespell codespell
		cmd quilt quilt
		cmd spin spin
		py ply python3-ply
		py git python3-git
		cmd busybox busybox-static
		cmd rsync rsync
	LIST
}

# What single checks of `make check-all` need, which install it when they run.
list_arches() {
	cat <<-LIST
		cmd aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
		cmd riscv64-linux-gnu-gcc gcc-riscv64-linux-gnu
		cmd s390x-linux-gnu-gcc gcc-s390x-linux-gnu
		cmd powerpc64le-linux-gnu-gcc gcc-powerpc64le-linux-gnu
		cmd clang-16 clang-16
		cmd ld.lld-16 lld-16
		cmd llvm-nm-16 llvm-16
	LIST
}

list_arm64() {
	cat <<-LIST
		cmd aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
		cross aarch64-linux-gnu libc6-dev-arm64-cross
		cmd qemu-system-aarch64 qemu-system-arm
	LIST
}

list_cocci() {
	cat <<-LIST
		cmd spatch coccinelle
	LIST
}

list_htmldocs() {
	cat <<-LIST
		cmd sphinx-build python3-sphinx
		py yaml python3-yaml
		py alabaster python3-alabaster
	LIST
}

list_mail() {
	cat <<-LIST
		cmd perl perl
		sub git-send-email git-email
		perl Mail::Address libmailtools-perl
	LIST
}

list_bench() {
	cat <<-LIST
		cmd mmdebstrap mmdebstrap
		cmd mke2fs e2fsprogs
	LIST
}

# Room in MiB on the disk that holds $1, which may not exist yet.
room() {
	local dir=$1
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	df -Pm "$dir" | awk 'NR == 2 { print $4 }'
}

need_room() {
	local have
	have=$(room "$1")
	[ "$have" -ge "$2" ] ||
		die "not enough disk space for $3: $have MiB free at $1, $2 MiB needed"
}

# Git as this project uses it on kernel trees: nobody's configuration and no
# hook can change what comes out, and ids depend on content alone.
kgit() {
	GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null \
		git -c core.autocrlf=false -c core.fileMode=true -c core.hooksPath=/dev/null \
		-c gc.auto=0 -c maintenance.auto=false -c commit.gpgSign=false \
		-c advice.detachedHead=false "$@"
}

# The postings in order, as folder names; each is also a branch of build/linux.
postings() {
	(cd "$TOP/patches" 2>/dev/null && ls -d [1-9]*-*/ 2>/dev/null) | tr -d / | sort -V
}

# The posting for the untouched source of the default base, if there is one: it mends
# what that source came with, and is no part of the series.
fixes() {
	[ "$BASE" != "$NEWEST" ] || find "$TOP/patches" -maxdepth 1 -name '0-*' -printf '%f\n'
}

# What of the kernel tree $1 an export would write: branches and cover letters.
tree_state() {
	(
		cd "$1"
		kgit for-each-ref --format='%(refname) %(objectname)' 'refs/heads/[0-9]*-*'
		kgit config --get-regexp '^branch\..*\.description$' || true
		kgit rev-parse HEAD
	) | sha256sum | cut -d' ' -f1
}

# A cover letter's own words: its subject, an empty line, and the text as far
# as the list of patches that git puts after it.
cover_text() {
	awk '
	!body && /^Subject: / { sub(/^Subject: (\[[^]]*\] )?/, ""); subject = $0; next }
	!body && subject != "" && /^ / && !after { subject = subject $0; next }
	!body && /^$/ { body = 1; next }
	!body { if (subject != "") after = 1; next }
	/^[^ ].* \([0-9]+\):$/ { exit }
	/^$/ { empty++; next }
	{ if (started) while (empty-- > 0) text = text "\n"
	  empty = 0; started = 1; text = text $0 "\n" }
	END { printf "%s\n\n%s", subject, text }' "$1"
}

# The patch of a file's name POSTING/FILE.patch on this base: the base's own if it has
# one, which is empty where the base has no such patch, else that of patches/.
patch_file() {
	local own=$TOP/base/$BASE/patches/$1
	if [ -e "$own" ]; then echo "$own"; else echo "$TOP/patches/$1"; fi
}

# The mail of that patch. A patch has one message, whatever the base: it is that of
# patches/, and only what comes after it is the base's own.
patch_mail() {
	local file
	file=$(patch_file "$1")
	if [ "$file" = "$TOP/patches/$1" ] || [ ! -e "$TOP/patches/$1" ]; then
		cat "$file"
	else
		sed '/^---$/,$d' "$TOP/patches/$1"
		sed -n '/^---$/,$p' "$file"
	fi
}

# The names of the patches of posting $1 on this base, in order. One that only this base
# has is named like the one before it, with a letter after the number: 0002a-NAME.patch.
patches_of() {
	local name
	{ find "$TOP/patches/$1" "$TOP/base/$BASE/patches/$1" -name '[0-9]*.patch' ! -name '0000-*' \
		-printf '%f\n' 2>/dev/null || true; } | LC_ALL=C sort -u | while IFS= read -r name; do
		[ ! -s "$(patch_file "$1/$name")" ] || echo "$1/$name"
	done
}

# What build/linux is laid out from: the base with id $1, what is taken out of
# it, and patches/.
tree_stamp() {
	(
		cd "$TOP"
		echo "$1"
		cat "base/$BASE/taken-out.files" "base/$BASE/taken-out.patch"
		find patches "base/$BASE" -name '[0-9]*.patch' -print0 | sort -z | xargs -0r sha256sum
	) | sha256sum | cut -d' ' -f1
}

# make(1) on a kernel tree, through ccache, so that every clone on this machine
# builds in minutes. Nothing of the day, the user or the host gets into it.
kmake() {
	CCACHE_DIR=$CACHE/ccache CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=4G \
	KBUILD_BUILD_TIMESTAMP=2024-11-17 KBUILD_BUILD_USER=build KBUILD_BUILD_HOST=build \
		make CC="ccache gcc" HOSTCC="ccache gcc" --no-print-directory "$@"
}

# A second working tree of build/linux at $2, clean, in folder $1.
worktree() {
	local dir=$1 rev=$2
	if [ -e "$dir/.git" ] && kgit -C "$dir" rev-parse -q --verify HEAD >/dev/null 2>&1; then
		# Also when it is there already: something may have been left in it.
		kgit -C "$dir" checkout -q -f --detach "$(kgit -C "$LINUX" rev-parse "$rev^{commit}")"
		return
	fi
	need_room "$BUILD" 2500 "a second kernel tree"
	rm -rf "$dir"
	kgit -C "$LINUX" worktree prune
	mkdir -p "$(dirname "$dir")"
	kgit -C "$LINUX" worktree add -q -f --detach "$dir" "$rev"
}

# From a check to the person who waits for it; the log gets it too.
progress() {
	say "== $*"
	{ say "    ${CHECK:+$CHECK: }$*" >&3; } 2>/dev/null || true
}
