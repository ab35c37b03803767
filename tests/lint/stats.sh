#!/bin/sh
# Lines and assertions of each room; the goal for proto/ is 30 in 1000.
for room in proto/base proto/crypto proto/dht proto/link proto/chat proto \
    daemon ctl tests; do
	files=$(find $room -name '*.[ch]' 2>/dev/null)
	[ -n "$files" ] || continue
	# Word splitting is meant.
	# shellcheck disable=SC2086
	cat $files | awk -v room="$room" '
		/(^|[^a-z_])(assert|_Static_assert) ?\(/ { n++ }
		END {
			printf "%-13s %6d lines %5d assertions %5.1f in 1000\n",
			    room, NR, n, NR ? 1000 * n / NR : 0
		}'
done
