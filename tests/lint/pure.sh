#!/bin/sh
# proto/ calls nothing that reads a clock, a socket, a file or randomness:
# every undefined symbol of libproto.a must be on this list, which leaves out
# the functions of libsodium that draw. Usage: tests/lint/pure.sh LIBPROTO
ok='^(bcmp|mem(cpy|set|cmp|move|chr)|str(len|cmp|ncmp|nlen|chr|rchr)|[mc]alloc
|realloc|free|qsort|bsearch|abort|__assert_fail|__[a-z_]*chk[a-z_]*
|_GLOBAL_OFFSET_TABLE_|sodium_(memzero|memcmp|is_zero|compare|increment|add|sub
|bin2hex|hex2bin|base642bin|bin2base64)|crypto_[a-z0-9_]+
|__(asan|ubsan|lsan|sanitizer|sancov)_.*)$'
draws='^crypto_.*(_keygen|_keypair|_seal|_random|_init_push|_str|_keypair_.*)$'
nm "$1" | awk '
	NF == 2 && $1 ~ /^[Uw]$/ { used[$2] = 1 }
	NF == 3 { own[$3] = 1 }
	END { for (s in used) if (!(s in own)) print s }' |
awk -v ok="$(echo "$ok" | tr -d '\n')" -v draws="$draws" '
	$0 !~ ok || ($0 ~ draws && $0 !~ /_seed_keypair$/) {
		print "proto/ is not pure: it calls " $0
		bad = 1
	}
	END { exit bad }'
