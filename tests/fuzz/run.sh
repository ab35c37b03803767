#!/bin/sh
# Runs every libFuzzer target for a while. Usage: run.sh BUILD SECONDS [NAME...]
# New inputs gather in BUILD/corpus/<name>; a crash is kept in BUILD/crash/.
# Ends with "N passed, N failed".
set -u
build=$1
seconds=$2
shift 2
passed=0
failed=0
mkdir -p "$build/crash"
for exe in "$build"/tests/fuzz/fuzz_*; do
	case $exe in *.o | *.d) continue ;; esac
	name=${exe##*/fuzz_}
	case " ${*:-$name} " in *" $name "*) ;; *) continue ;; esac
	mkdir -p "$build/corpus/$name"
	if "$exe" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=512 \
	    -print_final_stats=1 -artifact_prefix="$build/crash/$name-" \
	    "$build/corpus/$name" "tests/fuzz/corpus/$name" \
	    >"$build/$name.log" 2>&1; then
		passed=$((passed + 1))
		echo "ok   $name $(grep number_of_executed_units "$build/$name.log")"
	else
		failed=$((failed + 1))
		echo "FAIL $name"
		tail -n 40 "$build/$name.log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
