#!/bin/sh
# One label, one use: a "btchat/1 ..." string stands once in proto/, daemon/
# and ctl/ together. Tests may repeat it: they recompute the formulas.
export LC_ALL=C
grep -rnoE '"btchat/1 [^"]*"' proto daemon ctl --include='*.[ch]' |
    sed 's/\\0"$/"/' | awk -F: '
	{
		if ($3 in first) {
			print $1 ":" $2 ": " $3 " is also at " first[$3]
			bad = 1
		} else {
			first[$3] = $1 ":" $2
		}
	}
	END { exit bad }'
