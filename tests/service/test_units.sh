#!/bin/sh
# The units as `make install` lays them out: systemd accepts them, and their
# sandbox is as tight as promised. Exposure by systemd-analyze: 0 is best.
set -u
command -v systemd-analyze >/dev/null || {
	echo 'systemd-analyze is not here'
	exit 77
}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export XDG_RUNTIME_DIR="$place" # --user wants one
mkdir -p "$place/system" "$place/user" "$place/netless/btchatd.service.d"
for unit in packaging/systemd/*.service packaging/systemd/*.socket; do
	case $unit in *.user.*) to=user ;; *) to=system ;; esac
	# Whatever runs the tests has no /usr/sbin/btchatd.
	sed 's,/usr/s*bin/btchat[a-z]*,/bin/true,g; /^Documentation=/d' "$unit" \
	    >"$place/$to/$(basename "$unit" | sed 's/[.]user[.]/./')"
done
cp packaging/systemd/examples/*.socket "$place/system/"
cp "$place/system/"* "$place/netless/"
cp packaging/systemd/examples/netless.conf \
    "$place/netless/btchatd.service.d/"

# verdict NAME LOG: fails if systemd said anything about our units.
verdict()
{
	if grep -i 'btchat' "$2"; then
		echo "not ok - $1"
	else
		echo "ok - $1"
	fi
}

# exposure NAME MAX UNIT [--user]: in tenths.
exposure()
{
	name=$1
	max=$2
	shift 2
	found=$(systemd-analyze security --offline=true "$@" 2>&1 |
	    sed -n 's/.*exposure level for [^:]*: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
	if [ -n "$found" ] && [ "$found" -le "$max" ]; then
		echo "ok - $name ($found tenths, at most $max)"
	else
		echo "not ok - $name: $found tenths, at most $max"
	fi
}

log=$place/log
for kind in system user; do
	flag=
	[ $kind = system ] || flag=--user
	# shellcheck disable=SC2086
	systemd-analyze verify $flag --man=no "$place/$kind"/btchat* \
	    >"$log" 2>&1
	verdict "systemd reads the $kind units without a complaint" "$log"
done
systemd-analyze verify --man=no "$place/netless/btchatd.service" >"$log" 2>&1
verdict 'systemd reads the netless drop-in without a complaint' "$log"
exposure 'the system unit is exposed at most 1.0' 10 \
    "$place/system/btchatd.service"
exposure 'the user unit is exposed at most 1.5' 15 --user \
    "$place/user/btchatd.service"
exposure 'the netless unit is exposed at most 0.2' 2 \
    "$place/netless/btchatd.service"
