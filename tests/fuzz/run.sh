#!/bin/sh
# Runs every libFuzzer target for a while, as many at once as there are cores.
#   run.sh BUILD SECONDS [NAME...]
# New inputs gather in BUILD/corpus/<name>; a crash is kept in BUILD/crash/.
# tests/fuzz/<name>.flags has further flags for libFuzzer. The inputs of a
# second of CPU time are told as well: other work does not lower those.
# Ends with "N passed, N failed".
set -u

stat() { sed -n "s/^stat::$1: *//p" "$build/$name.log"; }

# Inputs of a CPU second; $1 has what `times` said after the only child.
rate()
{
	tail -n 1 "$1" | sed 's/[ms]/ /g' |
	    awk -v n="$(stat number_of_executed_units)" '{
		cpu = 60 * ($1 + $3) + $2 + $4
		printf "%d", (cpu > 0 ? n / cpu : 0) }'
}

if [ "${1-}" = --one ]; then
	build=$2
	seconds=$3
	name=$4
	mkdir -p "$build/corpus/$name"
	set --
	if [ -f "tests/fuzz/$name.flags" ]; then
		# One flag a word.
		# shellcheck disable=SC2046
		set -- $(cat "tests/fuzz/$name.flags")
	fi
	if "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" \
	    -timeout=5 -rss_limit_mb=512 -print_final_stats=1 \
	    -artifact_prefix="$build/crash/$name-" "$@" \
	    "$build/corpus/$name" "tests/fuzz/corpus/$name" \
	    >"$build/$name.log" 2>&1; then
		times >"$build/$name.times"
		echo "ok   $name: $(stat number_of_executed_units) inputs," \
		    "$(stat average_exec_per_sec) in a second," \
		    "$(rate "$build/$name.times") in one of CPU time"
	else
		tail -n 40 "$build/$name.log"
		echo "FAIL $name: $build/$name.log"
	fi
	exit 0
fi

build=$1
seconds=$2
shift 2
mkdir -p "$build/crash"
if [ $# -eq 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		name=${source##*/fuzz_}
		set -- "$@" "${name%.c}"
	done
fi
printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 \
    sh "$0" --one "$build" "$seconds" | tee "$build/run.log"
passed=$(grep -c '^ok   ' "$build/run.log")
failed=$(grep -c '^FAIL ' "$build/run.log")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
