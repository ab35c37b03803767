#!/bin/sh
# Each lint lets a good tree pass and finds one planted fault of its kind.
set -u
lints=$(cd "$(dirname "$0")" && pwd)
for tool in clang-format mandoc; do
	command -v $tool >/dev/null || { echo "$tool is not here"; exit 77; }
done
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

good()
{
	rm -rf "$place/t"
	mkdir -p "$place/t"
	cd "$place/t" || exit 1
	mkdir -p proto/base proto/new daemon ctl tests/unit man \
	    packaging/debian
	echo 'build pc:x libx-dev' >packaging/install-deps.sh
	printf 'Build-Depends: a,\n libx-dev\n\nPackage: x\n' \
	    >packaging/debian/control
	cp "$lints/../../.clang-format" .
	printf '.Sh 6 SESSION\n.Ss 6.2 Message 1\n' >man/btchat-protocol.7
	printf '%b' '/* A sum. [SPEC §6.2] */\n#ifndef PROTO_BASE_A_H\n' \
	    '#define PROTO_BASE_A_H\n\nint a_sum(int x, int y);\n\n' \
	    '#endif /* PROTO_BASE_A_H */\n' >proto/base/a.h
	printf '%b' '#include "proto/base/a.h"\n\n' \
	    '/* strcpy( in a comment is no call. */\nint\n' \
	    'a_sum(int x, int y)\n{\n\tconst char *label = ' \
	    '"btchat/1 one";\n\n\treturn x + y + label[0];\n}\n' \
	    >proto/base/a.c
	cp proto/base/a.c daemon/b.c
	sed -i 's/btchat.1 one/btchat\/1 two/; s/a_sum/b_sum/' daemon/b.c
}

# finds LINT WHAT FILE TEXT: the line is appended to the good tree.
finds()
{
	lint=$1
	what=$2
	good
	if ! sh "$lints/$lint.sh" >"$place/log" 2>&1; then
		echo "not ok - $lint lets a good tree pass"
		cat "$place/log"
		return
	fi
	printf '%b\n' "$4" >>"$3"
	if sh "$lints/$lint.sh" >"$place/log" 2>&1; then
		echo "not ok - $lint finds $what"
	else
		echo "ok - $lint finds $what"
	fi
}

finds layers 'an include that goes up' proto/base/a.c \
    '#include "proto/node.h"'
finds layers 'a system header in proto' proto/base/a.c '#include <time.h>'
finds layers 'a room of the protocol in ctl' ctl/c.c '#include "proto/node.h"'
finds layers 'a room that it does not know' proto/new/x.c ''
finds deps 'a library that the package does without' \
    packaging/install-deps.sh 'chat pc:y liby-dev'
finds banned 'strcpy' daemon/b.c '\tstrcpy(a, b);'
finds banned 'a sleep in a unit test' tests/unit/test_a.c '\tsleep(1);'
finds banned 'memcmp on a secret' proto/base/a.c '\tx = memcmp(a, psk, 32);'
finds banned 'a cast of wire bytes' proto/base/a.c \
    '\tn = *(const uint32_t *)p;'
finds banned 'a typedef' daemon/b.c 'typedef int number;'
finds banned 'unfinished work' daemon/b.c '/* T''ODO: later */'
finds cites 'a section that does not exist' daemon/b.c '/* [SPEC §7.9] */'
finds labels 'a label used twice' daemon/b.c \
    'static const char l[] = "btchat/1 one";'
finds style 'a long line' daemon/b.c "/* $(printf '%080d' 0) */"
finds style 'spaces for tabs' daemon/b.c '        int x;'
finds style 'a wrong guard' daemon/b.h '#ifndef WRONG_H'
finds style 'a long function' daemon/b.c \
    "int\nf(void)\n{\n$(printf '\\t;\\n%.0s' $(seq 71))}"
finds style 'what clang-format would change' daemon/b.c 'int  x ;'
finds places 'a path of one machine' daemon/b.c '/* see /ro''ot/x */'

good
printf '.Dd x\n.Sh\n' >man/x.7
if sh "$lints/man.sh" >/dev/null 2>&1; then
	echo 'not ok - man finds a bad page'
else
	echo 'ok - man finds a bad page'
fi

# The real table, page and tests, with one thing taken away.
top=$lints/../..
lacks()
{
	rm -rf "$place/t"
	mkdir -p "$place/t/tests"
	cd "$place/t" || exit 1
	cp -r "$top/ctl" "$top/man" .
	cp -r "$top/tests/lint" "$top/tests/e2e" tests/
	if ! sh tests/lint/commands.sh >"$place/log" 2>&1; then
		echo 'not ok - commands lets a good tree pass'
		cat "$place/log"
		return
	fi
	sed -i "$3" "$2"
	if sh tests/lint/commands.sh >"$place/log" 2>&1; then
		echo "not ok - commands finds $1"
	else
		echo "ok - commands finds $1"
	fi
}
lacks 'a command without an entry' man/btchatctl.1 's/^.It Ic why.*/.It x/'
lacks 'an entry without an option' man/btchatctl.1 's/Fl -addresses/x/'
lacks 'a command without an example' man/btchatctl.1 \
    's/^\$ btchatctl net peers//'
lacks 'a command without a test' tests/e2e/test_cli_shell.py 's/"stdio"/x/'
lacks 'a word of chat without a test' tests/e2e/test_cli_chat.py 's,"/older",x,'
lacks 'a word of chat without an entry' man/btchatctl.1 's,Ic /who,x,'

cd "$place" || exit 1
printf 'int printf(const char *, ...);\nint f(void) { return printf("x"); }\n' \
    >p.c
if ${CC:-cc} -c p.c -o p.o && ar rc p.a p.o && sh "$lints/pure.sh" p.a \
    >/dev/null; then
	echo 'not ok - pure finds a call to printf'
else
	echo 'ok - pure finds a call to printf'
fi
