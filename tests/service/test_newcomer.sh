#!/bin/sh
# runner: alone
# A newcomer with README.md in hand: what stands there behind "alice$" and "bob$"
# is typed by two accounts of one machine, as it stands, on terminals of their
# own. The machine has a local network and no Internet.
set -u
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
lab_begin

must make -s install DESTDIR="$place/tree" B="$B" NEEDS=
lab push "$place/tree"
# A login starts a manager for the user; the keyboard is all that is missing.
# shellcheck disable=SC2016
must lab exec sh -c '
	ip link set lo up && ip link add lan0 type veth peer name lan1 &&
	ip link set lan1 up &&
	ip addr add 192.168.77.1/24 dev lan0 && ip link set lan0 up &&
	ip route add default dev lan0 &&
	for who in alice bob; do
		useradd -m -s /bin/sh $who && chmod 755 /home/$who &&
		systemctl start "user@$(id -u $who).service" || exit 1
	done'

# type WHO LINE: on a terminal.
type_in()
{
	id=$(lab exec id -u "$1")
	LAB_USER=$1 lab exec env HOME="/home/$1" USER="$1" TERM=xterm PAGER=cat \
	    PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR="/run/user/$id" \
	    timeout 120 script -qec "$2" /dev/null </dev/null
}

typed=0
grep -E '^    (alice|bob)\$ ' README.md | sed 's/^    //' >"$place/lines"
while read -r line; do
	who=${line%%\$*}
	command=${line#*\$ }
	echo "$line"
	type_in "$who" "$command" <"$place/lines" >"$place/said" 2>&1
	status=$?
	tr -d '\r' <"$place/said"
	typed=$((typed + 1))
	if [ $status -ne 0 ]; then
		echo "not ok - $line (exit $status)"
		lab log -q -n 30
		exit 1
	fi
	echo "ok - $line"
done <"$place/lines"
[ $typed -ge 8 ] || echo "not ok - README.md has only $typed lines to type"
if grep -q 'are you there?' "$place/said" && grep -q 'I am' "$place/said"; then
	echo 'ok - both have said something, and it is all there'
else
	echo 'not ok - the conversation is not there'
fi
