#!/bin/sh
# Installs what is missing to build, test, show, lint, fuzz or bench btchat.
#   packaging/install-deps.sh [-n] [build|upnp|chat|test|demo|lint|fuzz|bench]...
# Without a group: build, chat and test. upnp: a build with it can ask gateways
# for a port by UPnP, too. chat: with these one can edit lines in btchatctl
# chat, and show codes for cameras. -n only prints what is missing. On Debian
# and its children apt-get fetches it (through sudo if not root); elsewhere
# the list is printed. Quiet, and exit 0, when nothing is missing.
set -eu
export LC_ALL=C

# group, what shows that it is there, Debian package
needs='
build cmd:make            make
build cmd:gcc             gcc
build inc:stdio.h         libc6-dev
build cmd:pkg-config      pkg-config
build pc:libsodium        libsodium-dev
build pc:libevent_core    libevent-dev
build pc:libcjson         libcjson-dev
build pc:libsystemd       libsystemd-dev
build pc:sqlite3          libsqlite3-dev
build pc:libutf8proc      libutf8proc-dev
upnp  pc:miniupnpc        libminiupnpc-dev
chat  pc:libedit          libedit-dev
chat  pc:libqrencode      libqrencode-dev
test  pc:libedit          libedit-dev
test  pc:libqrencode      libqrencode-dev
test  pc:miniupnpc        libminiupnpc-dev
test  cmd:/usr/sbin/miniupnpd miniupnpd
test  pc:cmocka           libcmocka-dev
test  cmd:/usr/bin/python3 python3
demo  cmd:/usr/bin/python3 python3
test  py:libtorrent       python3-libtorrent
test  cmd:aria2c          aria2
test  cmd:transmission-daemon transmission-daemon
test  cmd:ip              iproute2
test  cmd:nsenter         util-linux
test  cmd:tmux            tmux
test  cmd:bash            bash
test  cmd:zsh             zsh
test  cmd:fish            fish
test  cmd:zbarimg         zbar-tools
test  cmd:spin            spin
test  cmd:nft             nftables
test  cmd:dpkg-buildpackage dpkg-dev
test  cmd:dh_installsystemd debhelper
test  cmd:lintian         lintian
test  cmd:jq              jq
test  cmd:node            nodejs
test  cmd:socat           socat
lint  cmd:clang           clang
lint  cmd:clang-tidy      clang-tidy
lint  cmd:clang-format    clang-format
lint  rt:asan             libclang-rt-dev
lint  cmd:cppcheck        cppcheck
lint  cmd:mandoc          mandoc
lint  cmd:shellcheck      shellcheck
lint  cmd:nm              binutils
fuzz  cmd:clang           clang
fuzz  rt:fuzzer           libclang-rt-dev
fuzz  cmd:llvm-symbolizer llvm
bench pc:toxcore          libtoxcore-dev
bench cmd:ip              iproute2
bench cmd:unshare         util-linux
'

there()
{
	what=${1#*:}
	case $1 in
	cmd:*) command -v "$what" >/dev/null 2>&1 ;;
	pc:*) pkg-config --exists "$what" 2>/dev/null ;;
	inc:*) echo "#include <$what>" | cc -E - >/dev/null 2>&1 ;;
	py:*) [ -n "$(ls -d /usr/lib/python3*/*-packages/"$what"* \
	    2>/dev/null)" ] ;;
	rt:*) [ -n "$(ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt."$what"* \
	    /usr/lib*/clang/*/lib/*/libclang_rt."$what"* 2>/dev/null)" ] ;;
	esac
}

dry=no
[ "${1-}" != -n ] || { dry=yes; shift; }
[ $# -gt 0 ] || set -- build chat test
for group; do
	case $group in
	build | upnp | chat | test | demo | lint | fuzz | bench) ;;
	*) echo "install-deps.sh: no group $group" >&2; exit 2 ;;
	esac
done

missing=$(echo "$needs" | while read -r group probe package; do
	case " $* " in *" $group "*) there "$probe" || echo "$package" ;; esac
done | sort -u | tr '\n' ' ')
[ -n "$missing" ] || exit 0

if [ $dry = yes ]; then
	echo "missing: $missing"
	exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
	echo "Please install what these Debian packages hold: $missing" >&2
	exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if [ -n "$sudo" ] && ! command -v sudo >/dev/null 2>&1; then
	echo "Please install as root: apt-get install $missing" >&2
	exit 1
fi
echo "installing: $missing" >&2
# Of these only the program is wanted, not the service of the package.
for service in transmission-daemon miniupnpd; do
	case " $missing" in *" $service "*)
		[ ! -d /run/systemd/system ] ||
		    $sudo systemctl -q mask $service.service || true ;;
	esac
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Word splitting of $missing is meant.
# shellcheck disable=SC2086
get()
{
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	    --no-install-recommends $missing
}
if ! get >"$log" 2>&1; then # perhaps the package lists are old, or absent
	$sudo apt-get update -qq >>"$log" 2>&1 || true
	get >>"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
fi
