# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For checks that compile what the series touches in one configuration after the
# other, without the rest of the kernel. To be read after lib.sh.

# One tree for all of them, at the last patch; each configuration has a folder of
# its own in it, which stays: what `make prepare` made is most of the work.
OBJECTS=$BUILD/src/objects
TIP=$(postings | tail -n 1)

# The objects that a patch of the series touches, in the order of their names.
# mm/tests/page_reporting_kunit.c is part of mm/page_reporting.o.
# What User-mode Linux alone has is built by the check uml.
touched() {
	kgit -C "$LINUX" diff --no-renames --diff-filter=AM --name-only without "$TIP" -- '*.c' |
		grep -vE '/tests/|^(tools|samples|arch/um|arch/x86/um)/' | sed 's/c$/o/' | sort -u
}

# make on that tree: make_objects OUT ARGUMENT...
make_objects() {
	local out=$1
	shift
	kmake -C "$OBJECTS" O="$out" "$@"
}

# Configures folder $1 with the fragment on stdin, over allnoconfig. One run of
# Kconfig, which asks the compiler a hundred things: with little to compile it counts.
configure_objects() {
	local out=$1 goal=olddefconfig
	shift
	mkdir -p "$out"
	cat >"$out/fragment.new"
	# Without the series Kconfig has dropped what the series adds.
	if [ ! -e "$out/.config" ] || ! cmp -s "$out/fragment.new" "$out/fragment" ||
		[ -n "$(lost "$out" <"$out/fragment.new")" ]; then
		goal=allnoconfig
		mv "$out/fragment.new" "$out/fragment"
	fi
	KCONFIG_ALLCONFIG=$out/fragment make_objects "$out" -s "$@" "$goal" 2>&1 </dev/null
}

# The lines of the fragment on stdin that ./.config in folder $1 does not keep. A
# line "# CONFIG_X is not set" asks for X to be off.
lost() {
	local line
	while IFS= read -r line; do
		case $line in
		'# '*) ! grep -q "^$(cut -d' ' -f2 <<<"$line")=" "$1/.config" ;;
		*) grep -qxF "$line" "$1/.config" ;;
		esac || echo "$line"
	done
}

# The warnings in a log, without line numbers, sorted: to be compared. What kbuild
# makes for itself, once in a folder, is not the kernel.
warnings_in() {
	{ grep -hE 'warning:|error:' "$1" || true; } |
		sed -E -e '/^(\.\.\/)?scripts\//d' -e 's/:[0-9]+(:[0-9]+)?:/:/g' | sort
}

# new_warnings BASE LOG: what LOG says and BASE does not. A header of the base that
# warns does so once for each object that includes it, and the series adds objects.
new_warnings() {
	local ours
	ours=$(kgit -C "$LINUX" diff --name-only without "$TIP" | sed 's,.*,/&:,')
	comm -13 <(warnings_in "$1") <(warnings_in "$2") |
		{ grep -vxFf <(warnings_in "$1" | { grep -vF "$ours" || true; }) || true; }
}

# Compiles objects with W=1: compile OUT LOG [ARGUMENT...] -- OBJECT...
# They are removed before, as only what is compiled can warn; ccache(1) gives
# back the object and its warnings if nothing changed.
compile() {
	local out=$1 log=$2 arguments=()
	shift 2
	while [ "$1" != -- ]; do
		arguments+=("$1")
		shift
	done
	shift
	(cd "$out" && rm -f "$@")
	make_objects "$out" -j"$JOBS" W=1 "${arguments[@]}" "$@" >"$log" 2>&1
}

# What the module's object $2 in folder $1 takes from the core is exported: the
# names, or a failure. modpost would say so too, but only after a whole kernel was
# linked for its list of symbols. $3 goes before the name of nm(1).
exported() {
	local used missing nm=${3-}nm core=$1/mm/page_reporting.o
	used=$(comm -12 <("$nm" -u "$1/$2" | awk '{ print $2 }' | sort) \
		<("$nm" --defined-only "$core" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort))
	[ -n "$used" ] || die "$2 uses nothing of mm/page_reporting.o"
	missing=$(comm -23 <(echo "$used") <("$nm" "$core" | sed -n 's/.* __export_symbol_//p' | sort))
	[ -z "$missing" ] || die "mm/page_reporting.c does not export what $2 uses:" "$missing"
	xargs <<<"$used"
}
