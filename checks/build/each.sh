# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# One working tree that walks from the base to the last patch, where only what
# changed is built again: for the checks build and links. To be read after objects.sh.

TREE=$BUILD/src/each
OUT=$TREE/.out-each

# The configuration of kind $2 in folder $1, each symbol of it asserted.
#   y  with page reporting      n  without
#   hv  y, and hv_balloon.c     hvm  the same as modules
configure() {
	local out=$1 kind=$2 dropped
	mkdir -p "$out"
	{
		fragment each
		case $kind in
		n) printf '# %s is not set\n' CONFIG_VIRTIO_BALLOON CONFIG_PAGE_REPORTING ;;
		hv) printf '%s=y\n' CONFIG_HYPERV CONFIG_HYPERV_BALLOON CONFIG_PAGE_REPORTING ;;
		hvm)	printf '%s=y\n' CONFIG_MODULES CONFIG_PAGE_REPORTING
			# What was one module in 6.12 is two, of which one is the balloon's.
			case $BASE in
			6.12) echo CONFIG_HYPERV=m ;;
			*) printf '%s\n' CONFIG_HYPERV=y CONFIG_HYPERV_VMBUS=m ;;
			esac
			echo CONFIG_HYPERV_BALLOON=m ;;
		y)	echo CONFIG_VIRTIO_BALLOON=y
			! in_tree || echo CONFIG_PAGE_REPORTING=y ;;
		esac
	} | sed -e '/^#/{/ is not set$/!d;}' -e '/^$/d' >"$out/fragment"
	make_each "$out" -s tinyconfig
	"$TREE/scripts/kconfig/merge_config.sh" -m -O "$out" "$out/.config" "$out/fragment" >/dev/null
	make_each "$out" -s olddefconfig
	dropped=$(lost "$out" <"$out/fragment")
	[ -z "$dropped" ] || die "$(what) ($kind): did not survive olddefconfig:" "$dropped"
}

# make on that tree: make_each OUT ARGUMENT...
make_each() {
	local out=$1
	shift
	kmake -C "$TREE" O="$out" "$@"
}

# Does this commit have page reporting at all?
in_tree() { [ -e "$TREE/mm/page_reporting.c" ]; }

what() { kgit -C "$TREE" log -1 --format=%s; }

# Does anything that is built in $1 depend on a file that this commit changes?
concerns() {
	local file
	while IFS= read -r file; do
		case $file in Documentation/* | tools/*) continue ;; */Kconfig* | */Makefile) return 0 ;; esac
		! grep -rqF --include='.*.cmd' -- "$file" "$1" || return 0
	done < <(kgit -C "$TREE" diff --no-renames --name-only HEAD~ HEAD)
	return 1
}

# A whole kernel of kind $1, without a warning.
link() {
	local log=$BUILD/check/${CHECK:-build}-$1.log
	make_each "$OUT-$1" -j"$JOBS" vmlinux >"$log" 2>&1 || {
		tail -n 30 "$log"
		die "$(what): does not build ($1)"
	}
	if grep -n 'warning:' "$log"; then die "$(what): warnings in a plain build ($1)"; fi
}

# rebuild FUNCTION KIND: FUNCTION at this commit, if it changes anything that is built.
# Configures before if what was built is not of the commit before, or if this one
# changes what there is to configure.
rebuild() {
	local function=$1 kind=$2
	if [ "$(cat "$OUT-$kind/.built" 2>/dev/null)" != "$(kgit -C "$TREE" rev-parse HEAD~)" ]; then
		configure "$OUT-$kind" "$kind"
		"$function" "$kind"
	elif ! concerns "$OUT-$kind"; then
		say "$(what) ($kind): nothing that is built there was changed"
	else
		! kgit -C "$TREE" diff --name-only HEAD~ HEAD | grep -q Kconfig ||
			configure "$OUT-$kind" "$kind"
		"$function" "$kind"
	fi
	kgit -C "$TREE" rev-parse HEAD >"$OUT-$kind/.built"
}

# Both kinds at a time: most of what takes long uses one processor.
both() {
	local kind pids=() pid failed=0
	for kind in y n; do
		"$@" "$kind" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
	[ "$failed" -eq 0 ] || exit 1
}

# Each patch takes long: make check has the last one of each posting, and make check-all
# each. On a base that is not the default, only what is there before the series and after it.
if [ "$BASE" != "$NEWEST" ]; then
	EACH=last
elif [ -n "${ALL-}" ]; then
	EACH=each
else
	EACH=posting
fi

to_walk() {
	local posting
	kgit -C "$LINUX" rev-parse without
	case $EACH in
	each) kgit -C "$LINUX" rev-list --reverse "without..$TIP" ;;
	posting) for posting in $(postings); do kgit -C "$LINUX" rev-parse "$posting"; done ;;
	last) kgit -C "$LINUX" rev-parse "$TIP" ;;
	esac
}

# What was walked, in words.
walked() {
	case $EACH in
	each) echo "each of $((n - 1)) patches" ;;
	posting) echo "the last patch of each of $((n - 1)) postings" ;;
	last) echo "the last patch" ;;
	esac
}

# walk KEPT FUNCTION: FUNCTION at the base and at each patch, with the folder where
# it keeps what it found. A commit that has passed on this machine, on top of the
# same one, is not built again: FUNCTION is called with what it kept, and "before".
walk() {
	local kept=$1 function=$2 commits commit one
	n=0 before=0
	mkdir -p "$kept"
	mapfile -t commits < <(to_walk)
	for commit in "${commits[@]}"; do
		one=$kept/$(key "$commit")
		if [ -d "$one" ]; then
			"$function" "$one" before
			before=$((before + 1))
		else
			progress "$n/$((${#commits[@]} - 1)) $(kgit -C "$LINUX" log -1 --format=%s "$commit")"
			worktree "$TREE" "$commit"
			rm -rf "$one.new"
			mkdir "$one.new"
			"$function" "$one.new"
			mv -T "$one.new" "$one"
		fi
		n=$((n + 1))
	done
}

# What the result of a commit depends on.
key() {
	{
		echo "$EACH"
		kgit -C "$LINUX" rev-parse "$1^{tree}" "$1~^{tree}"
		cat "$0" "$TOP/checks/build/each.sh" "$TOP/bin/objects.sh" "$TOP/config/each.config"
		touched
		gcc --version
		sparse --version
	} | sha256sum | cut -c1-32
}

need_room "$BUILD" 4000 "the builds"
