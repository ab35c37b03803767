#!/bin/sh
# hostile.sh: every hostile input that what is built must withstand has a test
# that carries its number: hostile_NN in its name, "hostile input NN" beside it, or
# "NN: " at the begin of a claim of an e2e test.
# The numbers are those of tests/HOSTILE.md.
set -u
cd "$(dirname "$0")/../.." || exit 2
want="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25
26 27 28 31 32 33 34 35 36 37 38 39 40 41 42 43 45 46 47 49 50 51 52 53 54 55 56
57 58 59 60 61 62 63 64 70 71 72 74 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94
95 96"
bad=0
for n in $want; do
	if ! grep -rqiE "hostile( inputs?)?[_ ]0*$n([^0-9]|\$)" tests/unit tests/sim \
	    tests/e2e tests/interop tests/fuzz tests/torture 2>/dev/null &&
	    ! grep -qE "\"([0-9]+: )*$n: " tests/e2e/*.py; then
		echo "hostile.sh: no test carries number $n"
		bad=1
	fi
done
exit $bad
