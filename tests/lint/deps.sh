#!/bin/sh
# What install-deps.sh installs to build is what the Debian package is built
# with: elsewhere it would be there without a word about what it lacks.
control=packaging/debian/control
[ -f $control ] || exit 0
needs=$(sed -nE 's/^(build|upnp|chat) +[^ ]+ +//p' packaging/install-deps.sh)
status=0
for package in $needs; do
	case $package in
	make | gcc | libc6-dev) continue ;; # essential to build anything
	pkg-config) package=pkgconf ;;
	esac
	sed '/^Package:/,$d' $control | grep -q "[ :|]$package\($\|[, ]\)" || {
		echo "$control: Build-Depends lacks $package"
		status=1
	}
done
exit $status
