#!/bin/sh
# Form of C sources: 80 columns, tabs, lengths, guards, clang-format.
export LC_ALL=C
bad=0
set -- $(find proto daemon ctl tests -name '*.[ch]' | sort)
[ $# -gt 0 ] || exit 0
awk '
function fail(why) { print FILENAME ":" FNR ": " why; bad = 1 }
function width(s,   i, n, c) {
	gsub(/[\200-\277]/, "", s) # the further bytes of a UTF-8 character
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		n = c == "\t" ? n + 8 - n % 8 : n + 1
	}
	return n
}
function done_with(file) {
	if (lines > 900) {
		print file ": " lines " lines; the limit is 900"
		bad = 1
	}
	if (file ~ /\.h$/ && guard != wanted) {
		print file ": the guard is " guard ", not " wanted
		bad = 1
	}
}
FNR == 1 {
	if (NR > 1)
		done_with(last)
	last = FILENAME
	guard = ""
	wanted = toupper(FILENAME)
	gsub(/[^A-Z0-9]/, "_", wanted)
	start = 0
}
{ lines = FNR }
guard == "" && /^#ifndef / { guard = $2 }
/[ \t\r]$/ { fail("blank at the end of the line") }
length($0) > 60 && width($0) > 80 { fail("longer than 80 columns") }
/^\{/ { start = FNR }
/^\}/ && start {
	if (FNR - start - 1 > 70)
		fail("function of " FNR - start - 1 " lines; the limit is 70")
	start = 0
}
END {
	done_with(last)
	exit bad
}' "$@" || bad=1
clang-format --dry-run -Werror "$@" 2>&1 | grep -E 'error:' && bad=1
exit $bad
