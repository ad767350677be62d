# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# How bin/tree gets the source of a base from Debian's archive: by apt with lists and
# settings of our own, so that those of the machine stay as they are and nobody has to
# be root. To be read after lib.sh and a base's pin; bin/tree's $work is used.

APT=$CACHE/apt
SOURCES=$CACHE/sources

# shellcheck disable=SC2154  # work
own_apt() { apt-get -c "$APT/apt.conf" -o Dir::Etc::sourcelist="$work/sources.list" "$@"; }

# apt reads this after the machine's settings, and so keeps the machine's proxy. An expired
# list is as good as another: the tarball's sha256 is pinned. Hooks are for the machine's.
apt_settings() {
	mkdir -p "$APT"/{state/lists/partial,cache/archives/partial}
	cat >"$APT/apt.conf" <<-EOF
	Dir::State "$APT/state";
	Dir::Cache "$APT/cache";
	Dir::Etc::sourceparts "/dev/null";
	APT::Sandbox::User "$(id -un)";
	APT::Get::List-Cleanup "false";
	APT::Update::Error-Mode "any";
	Acquire::Check-Valid-Until "false";
	Acquire::Languages "none";
	Acquire::Retries "0";
	Acquire::http::Timeout "20";
	Acquire::https::Timeout "20";
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	EOF
}

# Where the machine itself gets its packages from.
apt_sites() {
	# shellcheck disable=SC2016  # apt's own
	apt-get --no-release-info indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
		LC_ALL=C sort -u
}

# apt_has KEYRING SITE SUITE: reads that suite's lists, and sees whether it has the package.
apt_has() {
	printf 'deb [signed-by=%s] %s %s main\n' "$@" >"$work/sources.list"
	LC_ALL=C own_apt -qq update >>"$work/apt.log" 2>&1 || return 1
	# Of this suite alone: other lists lie beside its own.
	[ -n "$(apt-cache -c "$APT/apt.conf" -o Dir::Etc::sourcelist="$work/sources.list" \
		madison "$PACKAGE" 2>/dev/null)" ] || {
		echo "E: $3 has no $PACKAGE" >>"$work/apt.log"
		return 1
	}
}

# The pinned version, or else the newest that the suite has. A person sees apt's progress.
apt_download() {
	local wanted quiet=-qq out=$work/apt.log
	[ ! -t 2 ] || quiet='' out=/dev/stderr
	rm -f "$work"/*.deb
	# shellcheck disable=SC2153  # of the pin
	for wanted in "$PACKAGE=$VERSION" "$PACKAGE"; do
		note "fetching $wanted from Debian's archive"
		(cd "$work" && LC_ALL=C own_apt ${quiet:+"$quiet"} download "$wanted" >>"$out" 2>>"$work/apt.log") &&
			return
	done
	return 1
}

# Of the package only the tarball, named after the version.
take_tarball() {
	local deb version
	deb=$(find "$work" -maxdepth 1 -name '*.deb')
	version=$(dpkg-deb --field "$deb" Version)
	need_room "$CACHE" 400 "the kernel source's tarball"
	# Called where errexit is off
	dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" "./usr/src/$PACKAGE.tar.xz" || return 1
	rm "$deb"
	mkdir -p "$SOURCES"
	mv "$work/usr/src/$PACKAGE.tar.xz" "$SOURCES/${PACKAGE}_$version.tar.xz"
}

# Fetches the package's tarball to $SOURCES; else says why not in $reason.
fetch() {
	local keyring site suite sites
	on_debian || { reason="this is not Debian, whose package $PACKAGE has it"; return 1; }
	keyring=$(find /usr/share/keyrings -name 'debian-archive-keyring.[gp]*' 2>/dev/null | sort | sed 1q)
	[ -n "$keyring" ] || { reason="the package debian-archive-keyring is not installed"; return 1; }
	sites=$(apt_sites)
	[ -n "$sites" ] || { reason="apt's settings name no archive"; return 1; }
	apt_settings
	: >"$work/apt.log"
	exec 8>"$APT/lock"
	flock 8
	for suite in $SUITES; do
		while IFS= read -r site; do
			apt_has "$keyring" "$site" "$suite" </dev/null || continue
			apt_download </dev/null && take_tarball && exec 8>&- && return
		done <<<"$sites"
	done
	exec 8>&-
	# The first archive that was asked is the main one.
	reason=$(grep -m 1 '^[EW]: ' "$work/apt.log" || true)
	reason="apt found no $PACKAGE in $SUITES: ${reason#[EW]: }"
	return 1
}

# The tarball that was fetched, the pinned version before the newest.
fetched() {
	local pinned=$SOURCES/${PACKAGE}_$VERSION.tar.xz
	if [ -e "$pinned" ]; then echo "$pinned"; else
		mkdir -p "$SOURCES"
		find "$SOURCES" -name "${PACKAGE}_*.tar.xz" | sort -V | tail -n 1
	fi
}
