#!/bin/sh
# runner: alone
# The installed units under a real systemd: socket activation, readiness, the
# sandbox, the three tiers, restart with state kept, a clean stop.
set -u
# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"
lab_begin

# holds WORD COMMAND...: its output holds the word.
holds()
{
	word=$1
	shift
	"$@" >"$place/held" 2>&1
	cat "$place/held"
	grep -q -e "$word" "$place/held"
}
as() { user=$1; shift; LAB_USER=$user lab exec "$@"; }
ctl() { lab exec btchatctl -S /run/btchatd/admin.sock "$@"; }
property() { lab exec systemctl show -P "$1" btchatd.service; }

cp "$B/btchatd" "$B/btchatctl" "$place/" # what is tested does not change
must make -s install DESTDIR="$place/tree" PREFIX=/usr B="$B"
# No dependence on the network: no bootstrap nodes but those given.
mkdir -p "$place/tree/etc/btchatd"
printf 'bootstrap-defaults = no\nlisten = 127.0.0.1:41641\n' \
    >"$place/tree/etc/btchatd/btchatd.conf"
lab push "$place/tree"
test_that 'groups and directories are made' lab exec sh -c '
	systemd-sysusers && systemd-tmpfiles --create btchatd.conf &&
	useradd -M -G btchat alice && useradd -M -G btchat-ro bob &&
	useradd -M carol'
test_that 'units are loaded and sockets listen' lab exec sh -c '
	systemctl daemon-reload && systemctl start btchatd.socket \
	    btchatd-readonly.socket btchatd-admin.socket'
test_that 'a first connection starts the daemon' ctl status
test_that 'it said that it is ready' holds '^active$' property ActiveState
test_that 'it is its main process that says so' not holds '^0$' \
    property MainPID
test_that 'it may open extra sockets' \
    holds '"extra_sockets_max": *208' ctl --json net status
test_that 'its own sandbox holds within that of the unit' holds \
    '"sandbox":{"policy":"compat","files":true,"calls":true,"memory":true}' \
    ctl --json status
test_that 'an identity is made' ctl id create --no-passphrase
test_that 'a member of btchat may write' as alice \
    btchatctl -S /run/btchatd/control.sock invite new
test_that 'a member of btchat-ro may read' as bob \
    btchatctl -S /run/btchatd/readonly.sock status
test_that 'a member of btchat-ro may not write' not as bob \
    btchatctl -S /run/btchatd/readonly.sock invite new
test_that 'a member of btchat-ro has no other socket' not as bob \
    btchatctl -S /run/btchatd/control.sock status
test_that 'a member of btchat may not shut down' not as alice \
    btchatctl -S /run/btchatd/control.sock daemon shutdown
test_that 'somebody else has no socket at all' not as carol \
    btchatctl -S /run/btchatd/readonly.sock status

pid=$(property MainPID)
status() { lab exec cat "/proc/$pid/status"; }
test_that 'it is not root' not holds '^Uid:.0' status
test_that 'it has no capabilities' holds '^CapBnd:.0000000000000000' status
test_that 'it can gain no privileges' holds '^NoNewPrivs:.1' status
test_that 'its system calls are filtered' holds '^Seccomp:.2' status
test_that 'its root directory is not the machine'\''s' not lab exec \
    test -e "/proc/$pid/root/bin/sh"
test_that 'its state belongs to it alone' holds '^700$' \
    lab exec stat -L -c %a /var/lib/btchatd

ctl id show >"$place/before"
test_that 'a setting is kept although /etc cannot be written' \
    holds '^upnp.no.restart$' ctl config set upnp no
test_that 'it restarts' lab exec systemctl restart btchatd.service
test_that 'and has the setting' holds '^upnp.no.setting' ctl config ls
test_that 'its configuration file is as it was' not lab exec \
    grep upnp /etc/btchatd/btchatd.conf
test_that 'its identity is still there' sh -c "
	$here/lab.bash exec btchatctl -S /run/btchatd/admin.sock id show |
	    cmp - $place/before"
test_that 'it reads its configuration again' \
    lab exec systemctl reload btchatd.service
# The inner shell expands it.
# shellcheck disable=SC2016
test_that 'kill -9 starts it again' lab exec sh -c '
	systemctl kill -s KILL btchatd.service
	n=0
	until [ "$(systemctl show -P NRestarts btchatd.service)" = 1 ] &&
	    systemctl is-active -q btchatd.service; do
		n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1
	done'
test_that 'its identity survives kill -9' sh -c "
	$here/lab.bash exec btchatctl -S /run/btchatd/admin.sock id show |
	    cmp - $place/before"
test_that 'it stops' lab exec systemctl stop btchatd.service
test_that 'it stops without a failure' holds '^success$' property Result

# The journal has fields, the watchdog bites.
test_that 'the journal knows events by name' holds '"MESSAGE_ID"' \
    lab exec journalctl -q -o json BTCHAT_EVENT=started
test_that 'and explains them' holds 'The life of the daemon' lab exec sh -c '
	journalctl --update-catalog && journalctl -q -x BTCHAT_EVENT=started'
test_that 'the status line says what it does' holds 'DHT' sh -c "
	$here/lab.bash exec sh -c 'systemctl start btchatd.service; n=0
	until systemctl show -P StatusText btchatd.service | grep DHT; do
		n=\$((n + 1)); [ \$n -lt 100 ] || exit 1; sleep 0.1
	done'"
# The inner shell expands it.
# shellcheck disable=SC2016
test_that 'who does not move is killed and started again' lab exec sh -c '
	d=/run/systemd/system/btchatd.service.d
	mkdir -p $d && printf "[Service]\nWatchdogSec=2s\n" >$d/watchdog.conf
	systemctl daemon-reload && systemctl restart btchatd.service
	pid=$(systemctl show -P MainPID btchatd.service)
	kill -STOP "$pid"
	n=0
	until [ "$(systemctl show -P MainPID btchatd.service)" != "$pid" ] &&
	    systemctl is-active -q btchatd.service; do
		n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.1
	done
	journalctl -q -u btchatd.service | grep "Watchdog timeout"'
# shellcheck disable=SC2016
test_that 'and who cannot read its database any more' lab exec sh -c '
	pid=$(systemctl show -P MainPID btchatd.service)
	truncate -s 0 /var/lib/private/btchatd/btchat.db*
	n=0
	while [ "$(systemctl show -P MainPID btchatd.service)" = "$pid" ]; do
		n=$((n + 1)); [ $n -lt 600 ] || exit 1; sleep 0.1
	done
	journalctl -q BTCHAT_EVENT=store-silent | grep silent
	systemctl stop btchatd.service
	rm /run/systemd/system/btchatd.service.d/watchdog.conf
	systemctl daemon-reload'

# A sealed identity and its passphrase as an encrypted credential.
test_that 'an identity is sealed by a passphrase' lab exec sh -c '
	rm -rf /var/lib/private/btchatd && echo "open it" >/tmp/pass &&
	systemctl reset-failed btchatd.service
	systemctl start btchatd.service && btchatctl -S \
	    /run/btchatd/admin.sock id create --passphrase-file /tmp/pass'
test_that 'without a credential it starts locked' lab exec \
	systemctl restart btchatd.service
test_that 'and says so' holds '^locked.yes$' ctl status
test_that 'an encrypted credential is put in its place' lab exec sh -c '
	mkdir -p /etc/credstore.encrypted && systemd-creds setup &&
	printf "open it" | systemd-creds encrypt --with-key=host \
	    --name=passphrase - /etc/credstore.encrypted/btchatd.passphrase'
test_that 'with it the daemon starts' lab exec \
	systemctl restart btchatd.service
test_that 'and is open' holds '^locked.no$' ctl status
test_that 'it stops again' lab exec systemctl stop btchatd.service

mkdir -p "$place/netless/etc/systemd/system/btchatd.service.d"
cp packaging/systemd/examples/netless.conf \
    "$place/netless/etc/systemd/system/btchatd.service.d/"
cp packaging/systemd/examples/btchatd-net.socket \
    "$place/netless/etc/systemd/system/"
lab push "$place/netless"
test_that 'the netless example starts' lab exec sh -c '
	sed -i /listen/d /etc/btchatd/btchatd.conf
	systemctl daemon-reload && systemctl start btchatd-net.socket &&
	systemctl start btchatd.service'
test_that 'and answers' ctl net status
test_that 'and knows that it has no more sockets to open' \
    holds '"extra_sockets_max": *0[,}]' ctl --json net status

# With a network: the helper for UPnP is this program again, which the sandbox
# must let it be.
lab exec rm -r /etc/systemd/system/btchatd.service.d
test_that 'with addresses of the world it starts' lab exec sh -c '
	systemctl stop btchatd.service && systemctl daemon-reload &&
	echo "listen = 0.0.0.0:41641" >>/etc/btchatd/btchatd.conf &&
	systemctl start btchatd.service'
helper()
{
	pid=$(property MainPID)
	lab exec sh -c "cat /proc/\$(tr -d ' ' \
	    </proc/$pid/task/$pid/children)/$1"
}
if ldd "$B/btchatd" | grep -q miniupnpc; then
	test_that 'and has a helper for UPnP' holds upnp-helper helper cmdline
	test_that 'which is under the same filter' holds '^Seccomp:.2' \
	    helper status
fi
test_that 'it stops with its helper' lab exec \
    systemctl stop btchatd.service
test_that 'and without a failure' holds '^success$' property Result

# The unit of one user.
# shellcheck disable=SC2016
test_that 'a user has a manager' lab exec sh -c '
	useradd -m dora && mkdir -p /home/dora/.config/btchat &&
	printf "bootstrap-defaults = no\nlisten = 127.0.0.1:41642\n" \
	    >/home/dora/.config/btchat/btchatd.conf &&
	chown -R dora /home/dora/.config &&
	chmod 700 /home/dora/.config/btchat &&
	systemctl start "user@$(id -u dora).service"'
dora=$(lab exec id -u dora)
user() { as dora env HOME=/home/dora XDG_RUNTIME_DIR="/run/user/$dora" "$@"; }
test_that 'a user'\''s socket listens' \
    user systemctl --user start btchatd.socket
test_that 'a first connection starts the user'\''s daemon' \
    user btchatctl status
test_that 'it read the user'\''s configuration' \
    holds '127.0.0.1:41642' user btchatctl config get listen
test_that 'its own sandbox holds there, too' holds \
    '"sandbox":{"policy":"compat","files":true,"calls":true,"memory":true}' \
    user btchatctl --json status
test_that 'the user has every right' \
    user btchatctl id create --no-passphrase
user btchatctl id show >"$place/before"
test_that 'the user'\''s daemon restarts' \
    user systemctl --user restart btchatd.service
user btchatctl id show >"$place/after"
test_that 'and has kept the identity' cmp "$place/before" "$place/after"
# shellcheck disable=SC2016
test_that 'programs for events run beside it' user sh -c '
	mkdir -p ~/.config/btchat/hooks && cd ~/.config/btchat/hooks
	printf "#!/bin/sh\ncat >~/came\n" >invite.created
	chmod +x invite.created
	systemctl --user start btchat-hooks.service && n=0
	until btchatctl rpc events.consumers | grep hooks; do
		n=$((n + 1)); [ $n -lt 100 ] || exit 1; sleep 0.1
	done
	btchatctl invite new
	until grep invite.created ~/came; do
		n=$((n + 1)); [ $n -lt 200 ] || exit 1; sleep 0.1
	done
	systemctl --user stop btchat-hooks.service'
test_that 'nobody else may speak to it' not as carol \
    btchatctl -S "/run/user/$dora/btchatd/control.sock" status
