#!/bin/sh
# Checks the model of the ratchet slots with spin: the design must pass, and
# three designs with one mistake each must fail, or the model sees nothing.
# Usage: test_ratchet.sh [N]   (handshakes in a run; 6 takes 10 s, 8 takes
# minutes and 7.5 GB). What the code does in each state of the model is
# compared in tests/unit/crypto/test_ratchet_model.c. Prints "ok - ..." or
# "not ok - ..."; exits 77 if spin or a compiler is missing.
set -u
here=$(cd "$(dirname "$0")" && pwd)
n=${1:-6}
failed=0
for tool in spin gcc; do
	if ! command -v "$tool" >/dev/null; then
		echo "skipped: $tool is not installed"
		exit 77
	fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check WORD NAME DEFINES...: runs $work/model.pml; WORD is pass or fail.
check() {
	want=$1
	name=$2
	shift 2
	got=broken
	if (cd "$work" && spin "$@" -a model.pml >spin.log 2>&1 &&
	    gcc -O2 -w -DCOLLAPSE -DMEMLIM=12000 -o pan pan.c &&
	    ./pan -a -m2000000 -N agree >pan.log 2>&1); then
		case $(cat "$work/pan.log") in
		*"errors: 0"*) got=pass ;;
		*"errors: "*) got=fail ;;
		esac
	fi
	if grep -qE 'max search depth too small|out of memory' \
	    "$work/pan.log" 2>/dev/null; then
		got=incomplete
	fi
	if [ "$got" = "$want" ]; then
		echo "ok - $name: ${got}es as it must" | sed 's/failes/fails/'
	else
		failed=$((failed + 1))
		echo "not ok - $name: $got, and it must $want"
	fi
}

# mutate SED: the model with one mistake; it must differ from the model.
mutate() {
	sed "$1" "$here/ratchet_slots.pml" >"$work/model.pml"
	if cmp -s "$here/ratchet_slots.pml" "$work/model.pml"; then
		echo "not ok - nothing to mutate: $1"
		failed=$((failed + 1))
	fi
}

cp "$here/ratchet_slots.pml" "$work/model.pml"
check pass "only the lower ID advances, N=$n" -DOWNER=1 "-DN=$n"
check fail "both advance" -DOWNER=0 -DN=4
mutate 's/prev\[\([ri]\)\]=base\[n\]/prev[\1]=cur[\1]/g'
check fail "prev is the old cur, not the base" -DOWNER=1 "-DN=$n"
# What is named is also what a fresh handshake can agree on.
mutate 's/o2\[nx\]=prev\[p\]/o2[nx]=cur[p]/; s/ || KNOWS(b,prev\[a\]))/)/'
check fail "message 1 names one key" -DOWNER=1 "-DN=$n"

[ "$failed" -eq 0 ]
