#!/bin/sh
# Who may include whom: includes only go down, and proto/ sees no system.
# Usage: tests/lint/layers.sh [FILE...]
[ $# -gt 0 ] || set -- $(find proto daemon ctl -name '*.[ch]')
[ $# -gt 0 ] || exit 0
awk '
BEGIN {
	may["proto/base"]   = "proto/base/"
	may["proto/crypto"] = "proto/(base|crypto)/"
	may["proto/dht"]    = "proto/(base|crypto|dht)/"
	may["proto/link"]   = "proto/(base|crypto|link)/"
	may["proto/chat"]   = "proto/(base|crypto|chat)/"
	may["proto/nat"]    = "proto/(base|nat)/"
	may["proto"]        = "proto/"
	may["daemon"]       = "(daemon/|proto/(base|nat)/|proto/(node|api)[.]h$" \
	    "|proto/crypto/(types|identity|invitation)[.]h$)"
	may["ctl"]          = "(ctl/|proto/base/|proto/api[.]h$)"
	pure = "^(assert|inttypes|limits|sodium|stdbool|stddef|stdint" \
	    "|stdlib|string)[.]h$"
}
FNR == 1 {
	dir = FILENAME
	sub(/\/[^\/]*$/, "", dir)
	if (!(dir in may)) {
		print FILENAME ": layers.sh knows no layer " dir
		bad = 1
	}
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, part, "\"")
	if (part[2] !~ "^" may[dir]) {
		print FILENAME ":" FNR ": " dir "/ may not include " part[2]
		bad = 1
	}
}
/^[ \t]*#[ \t]*include[ \t]*</ && dir ~ /^proto/ {
	split($0, part, /[<>]/)
	if (part[2] !~ pure) {
		print FILENAME ":" FNR ": proto/ may not include <" part[2] ">"
		bad = 1
	}
}
END { exit bad }' "$@"
