#!/bin/sh
# Builds the Debian packages, and with lintian sees whether they are sound.
#   packaging/build-deb.sh [DIRECTORY]
# They and their source package come to DIRECTORY, or to build/deb-out. The same
# tree gives the same bytes, wherever it lies and whenever it is built.
# DEB_BUILD_OPTIONS=nocheck leaves the unit tests out; BUILD=dir starts from
# objects that a make of this tree left there, and makes no source package.
set -eu
cd "$(dirname "$0")/.."
out=${1-build/deb-out}
version=$(sed -n 's/^.define BTCHAT_VERSION "\(.*\)"/\1/p' proto/api.h)
stated=$(sed -n '1s/^btchat (\(.*\)-[^-]*).*/\1/p' packaging/debian/changelog)
[ "$version" = "$stated" ] || {
	echo "build-deb.sh: the changelog is of $stated, the code of $version" >&2
	exit 1
}
mkdir -p "$out"
out=$(cd "$out" && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

make -s dist DIST="$place/btchat_$version.orig.tar.gz"
tar -C "$place" -xf "$place/btchat_$version.orig.tar.gz"
tree=$place/btchat-$version
cp -a "$tree/packaging/debian" "$tree/debian"
set -- -us -uc
if [ -n "${BUILD-}" ]; then
	mkdir -p "$tree/build/deb"
	for part in ctl daemon proto; do
		cp -a "$BUILD/$part" "$tree/build/deb/"
	done
	cp -a "$BUILD"/upnp-* "$tree/build/deb/"
	set -- -us -uc -b -nc
fi
(cd "$tree" && dpkg-buildpackage "$@") >"$place/log" 2>&1 || {
	cat "$place/log"
	exit 1
}
if command -v lintian >/dev/null; then
	lintian --allow-root --fail-on error,warning "$place"/*.changes
fi
rm -rf "$tree"
mv "$place"/* "$out/"
ls "$out"/*.deb
