#!/bin/sh
# runner: alone
# The tarball and the packages: the same bytes from every directory, lintian
# without a word, and under a real systemd an identity that installing, a newer
# version, removing and purging leave alone. BTCHAT_LONG=1 compares whole
# packages that two directories built, else some objects.
set -u
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
for needed in dh_installsystemd dpkg-buildpackage lintian jq socat; do
	command -v $needed >/dev/null || {
		echo "$needed is not here"
		exit 77
	}
done

# ---- the tarball ----

export SOURCE_DATE_EPOCH=1795953600
here_dist=$place/here.tar.gz
test_that 'a tarball is made' make -s dist DIST="$here_dist"
tree=$(tar -tf "$here_dist" | sed -n '1s,/.*,,p')
# The second one has a longer name, other times, modes and language.
other=$place/elsewhere/and/a/longer/name
mkdir -p "$place/a" "$other"
tar -C "$place/a" -xf "$here_dist"
(umask 077 && tar -C "$other" --no-same-permissions -m -xf "$here_dist")
for dir in "$place/a/$tree" "$other/$tree"; do
	(cd "$dir" && TZ=Asia/Tokyo LC_ALL=C make -s dist DIST="$dir.tar.gz")
done
test_that 'it unpacks to what makes it again, byte for byte' \
    cmp "$here_dist" "$place/a/$tree.tar.gz"
test_that 'in another directory, too' cmp "$here_dist" "$other/$tree.tar.gz"

# ---- two directories, the same bytes ----

sampled()
{
	objects=$(cd "$place/a/$tree" && find daemon ctl proto -name '*.c' |
	    LC_ALL=C sort | shuf -n 4 --random-source="$1" |
	    sed 's,\(.*\)\.c,o/\1.o,')
	echo "$objects"
	for dir in "$place/a/$tree" "$other/$tree"; do
		# Word splitting is meant.
		# shellcheck disable=SC2086
		make -s -C "$dir" B=o NEEDS= $objects || return 1
	done
	for o in $objects; do
		cmp "$place/a/$tree/$o" "$other/$tree/$o" || return 1
	done
}

whole()
{
	for dir in "$place/a/$tree" "$other/$tree"; do
		DEB_BUILD_OPTIONS=nocheck "$dir/packaging/build-deb.sh" \
		    "$dir.deb" || return 1
	done
	for deb in "$place/a/$tree.deb/"*.deb; do
		cmp "$deb" "$other/$tree.deb/${deb##*/}" || return 1
	done
}

seed=${BTCHAT_SEED:-$$}
echo "# BTCHAT_SEED=$seed"
seq "$seed" "$((seed + 1000))" >"$place/seed"
if [ -n "${BTCHAT_LONG-}" ]; then
	test_that 'two directories build the same packages' whole
else
	test_that 'two directories compile to the same objects' \
	    sampled "$place/seed"
fi

# ---- the packages ----

test_that 'packages are built, and lintian has nothing to say' env BUILD="$B" \
    DEB_BUILD_OPTIONS='nocheck noautodbgsym' packaging/build-deb.sh "$place/deb"
deb=$(echo "$place/deb"/btchatd_*.deb)
ctl=$(echo "$place/deb"/btchatctl_*.deb)
[ -f "$deb" ] || exit 1
test_that 'all that make install lays down is in one of them' sh -c "
	make -s install B='$B' NEEDS= DESTDIR='$place/all' PREFIX=/usr \
	    DOC=/usr/share/doc/btchatd ZSH=zsh/vendor-completions \
	    >/dev/null
	(cd '$place/all' && find . ! -type d) | sed 's,^[.],,' |
	    grep -v LICENSE | LC_ALL=C sort >'$place/want'
	{ dpkg -c '$deb'; dpkg -c '$ctl'; } | sed -n 's,^-.* [.]\(/.*\),\1,p' |
	    sed 's,[.]gz\$,,; s,^/lib/,/usr/lib/,' | LC_ALL=C sort >'$place/got'
	[ -s '$place/want' ] && ! LC_ALL=C comm -23 '$place/want' '$place/got' | grep ."

lab_begin

# What a newer version of the package is to dpkg.
newer=$place/newer
dpkg-deb -R "$deb" "$newer"
sed -i 's/^Version: .*/&+newer/' "$newer/DEBIAN/control"
dpkg-deb --root-owner-group -b "$newer" "$place/deb/newer.deb" >"$place/out"

mkdir -p "$place/push/pkg" "$place/push/etc/btchatd"
printf 'bootstrap-defaults = no\nlisten = 127.0.0.1:41641\n' \
    >"$place/push/etc/btchatd/btchatd.conf"
cp "$place/deb/"*.deb packaging/debian/tests/* "$place/push/pkg/"
lab push "$place/push"
# Nothing keeps services from starting, and no index of manuals is made.
lab exec rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
admin='btchatctl -S /run/btchatd/admin.sock'
test_that 'they install' lab exec sh -c 'dpkg -i /pkg/btchat*.deb'
test_that 'service and sockets are enabled' lab exec systemctl is-enabled \
    btchatd.service btchatd.socket btchatd-admin.socket
for name in service rpc; do
	test_that "autopkgtest $name" lab exec "/pkg/$name"
done
id() { lab exec sh -c "$admin id show"; }
id >"$place/before"
test_that 'a newer version installs over it' lab exec dpkg -i /pkg/newer.deb
test_that 'and runs' lab exec systemctl is-active btchatd.service
id >"$place/after"
test_that 'with the same identity' cmp "$place/before" "$place/after"
test_that 'removed, it is gone and its state is not' lab exec sh -c '
	dpkg --remove btchatd && ! systemctl is-active -q btchatd.service &&
	! test -e /usr/sbin/btchatd &&
	test -s /var/lib/private/btchatd/identity.key'
test_that 'installed again, it has the identity' lab exec dpkg -i \
    /pkg/newer.deb
id >"$place/after"
test_that 'the same as ever' cmp "$place/before" "$place/after"
test_that 'autopkgtest upgrade: a purge keeps the identity' \
    lab exec /pkg/upgrade
test_that 'a purge that is asked to takes it away' lab exec sh -c '
	dpkg -i /pkg/newer.deb && BTCHATD_PURGE_STATE=yes dpkg --purge btchatd &&
	! test -e /var/lib/private/btchatd && ! test -e /var/lib/btchatd'
