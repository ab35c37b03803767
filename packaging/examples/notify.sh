#!/bin/sh
# A notifier of socat and jq: runs a program for each message that comes in.
#   notify.sh [SOCKET]
# NOTIFY is that program, with who and what as arguments; else notify-send. It
# begins with what comes next: what happened while it was not running is history,
# and a notifier is no place for that. (bridge.py shows how to miss nothing.)
set -eu
socket=${1:-$XDG_RUNTIME_DIR/btchatd/control.sock}

# What is said may begin with "-" and is no option of notify-send.
tell()
{
	if [ -n "${NOTIFY-}" ]; then
		"$NOTIFY" "$1" "$2"
	else
		notify-send -- "$1" "$2"
	fi
}

# The name of a contact; its id if there is none.
name_of()
{
	jq -nc --arg id "$1" '{jsonrpc: "2.0", id: 1, method: "contact.get",
	    params: {contact: $id}}' |
	    socat -t 5 - "UNIX-CONNECT:$socket" |
	    jq -r --arg id "$1" '.result.name // "" |
	        if . == "" then $id else . end'
}

# Input that never ends keeps the connection: socat closes it at its end.
subscribe()
{
	echo '{"jsonrpc":"2.0","id":1,"method":"events.subscribe",
	    "params":{"types":["message.new"],"ephemeral":false}}' | tr -d '\n'
	echo
	exec tail -f /dev/null
}

subscribe | socat -t 5 - "UNIX-CONNECT:$socket" |
    jq --unbuffered -r 'if .result then "listening" elif
        .params.type == "message.new" and .params.data.direction == "in"
        and .params.data.text then
        .params.data.conv + " " + (.params.data.text | @json) else empty end' |
    while read -r who what; do
	if [ "$who" = listening ]; then
		echo listening
		continue
	fi
	tell "$(name_of "$who")" "$(printf '%s\n' "$what" | jq -r .)" ||
		echo "notify.sh: $who could not be told of" >&2
    done
