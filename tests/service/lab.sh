# shellcheck shell=sh
# For tests in a lab of their own (lab.bash), which source it after set -u: a
# folder, and what was built without sanitizers, or the test is skipped.
B=${B:-build/gcc-none}
here=$(dirname "$0")
LAB_NAME=$(basename "$0" .sh)-$$
export LAB_NAME
lab() { "$here/lab.bash" "$@"; }

case $B in
*-none) ;;
*) echo 'only for a plain build: sanitizers do not live in a lab'
	exit 77 ;;
esac
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Until the test ends; where there can be none, it ends here, as lab.bash does.
lab_begin()
{
	lab up >"$place/why" 2>&1
	up=$?
	if [ $up -ne 0 ]; then
		tail -n 1 "$place/why"
		exit $up
	fi
	trap 'lab down; rm -rf "$place"' EXIT
}

# must COMMAND...: what all the rest is built on.
must()
{
	"$@" >"$place/out" 2>&1 && return
	cat "$place/out"
	echo "not ok - $*"
	exit 1
}

test_that()
{
	name=$1
	shift
	if "$@" >"$place/out" 2>&1; then
		echo "ok - $name"
	else
		echo "not ok - $name"
		tail -n 40 "$place/out"
		lab log -q -n 20 -u btchatd.service 2>&1
	fi
}
not() { ! "$@"; }
