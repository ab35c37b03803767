#!/bin/sh
# Calls and words that have no place here, each with its reason.
export LC_ALL=C
code=$(mktemp)
trap 'rm -f "$code"' EXIT
find proto daemon ctl tests -name '*.[ch]' -exec \
    awk -f "$(dirname "$0")/strip.awk" {} + >"$code"
bad=0

# ban WHY PATTERN [PATHS]: in code without comments and strings.
ban()
{
	if grep -E "^(${3:-[^:]*}[^:]*):" "$code" |
	    grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_.>])?($2)"; then
		echo "  banned: $1" >&2
		bad=1
	fi
}
ban 'unbounded; use snprintf or struct writer' \
    '(strcpy|strcat|sprintf|vsprintf|gets|stpcpy) *\('
ban 'silent truncation' '(strncpy|strncat) *\('
ban 'no error, no range check' '(atoi|atol|atoll|atof) *\('
ban 'guessable' '(rand|srand|random|srandom|drand48) *\('
ban 'unbounded stack' '(alloca|strdupa|strndupa) *\('
ban 'hidden state' '(strtok|asctime|ctime|localtime|gmtime|tmpnam|mktemp) *\('
ban 'runs a shell' '(system|popen) *\('
ban 'secrets, tags and tokens: sodium_memcmp' \
    'memcmp *\(.*(secret|seed|psk|mac1|token|tag|_sk|[.>]sk|rk|pass)([^a-z]|$)' \
    '(proto|daemon)/'
ban 'only struct reader and writer touch wire bytes' \
    '\((const )?(struct [a-z_0-9]+|u?int(16|32|64)_t) \*+\)([^0]|$)' proto/
ban 'a test waits for an event, not for time' '(sleep|usleep|nanosleep) *\(' \
    'tests/(unit|sim|support)/'
ban 'structs and enums keep their keyword' 'typedef '

words='T[O]DO|FIX[M]E|X[X]X[^X]'
if grep -rnE "$words" Makefile README.md CONTRIBUTING.md proto daemon ctl man \
    packaging tests .ci --include='*' --exclude-dir=corpus \
    --exclude-dir=vectors 2>/dev/null | grep -v 'mktemp\|mkdtemp\|mkstemp\|/XXXXXX\|XXXXXX'; then
	echo '  banned: unfinished work belongs in an issue' >&2
	bad=1
fi
# Shell and Python tests poll with a deadline; a long sleep is no poll.
if grep -nE '(^|[^a-z_])(time\.)?sleep[ (]+[1-9]' \
    $(find tests -name '*.sh' -o -name '*.py' | grep -v '^tests/\(bench\|lint\|demo\)/'); then
	echo '  banned: a test waits for an event, not for time' >&2
	bad=1
fi
exit $bad
