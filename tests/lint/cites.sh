#!/bin/sh
# Every [SPEC §n] in code, tests and pages names a section of
# btchat-protocol(7). With -l: lists the sections that nothing cites.
export LC_ALL=C
spec=man/btchat-protocol.7
have=$(mktemp)
cited=$(mktemp)
trap 'rm -f "$have" "$cited"' EXIT
# Sections are numbered in their headings: .Sh 6 SESSION, .Ss 6.2 Message 1.
sed -n 's/^\.S[hs] "\{0,1\}\([0-9][0-9.]*[0-9]\|[0-9]\)[. ].*/\1/p' "$spec" |
    sort -u >"$have"
if [ ! -s "$have" ]; then
	echo "$spec: no numbered sections" >&2
	exit 1
fi
grep -rnoE '\[SPEC [^]]*\]' proto daemon ctl tests man --include='*.[ch]' \
    --include='*.py' --include='*.sh' --include='*.[1578]' |
    grep -v '^tests/lint/' | sed 's/\\(sc/\xc2\xa7/g' | awk -F: '
	{
		n = split($0, part, /\302\247/)
		if (n < 2)
			print $1 ":" $2 ": no section in " $3
		for (i = 2; i <= n; i++) {
			match(part[i], /^[0-9]+(\.[0-9]+)*/)
			print $1 ":" $2 " " substr(part[i], 1, RLENGTH)
		}
	}' >"$cited"
if [ "${1-}" = -l ]; then
	awk 'NR == FNR { seen[$2] = 1; next } !($1 in seen)' "$cited" "$have"
	exit 0
fi
awk 'NR == FNR { have[$1] = 1; next }
	NF > 2 { print; bad = 1; next }
	!($2 in have) { print $1 ": [SPEC] has no section " $2; bad = 1 }
	END { exit bad }' "$have" "$cited"
