#!/bin/bash
# A real systemd as PID 1 of its own namespaces, over a throw-away copy of this
# machine's root directory, without touching the machine's own init.
#   lab.bash up | down          start (returns when it runs), end and clean up
#   lab.bash exec CMD [ARG...]  run CMD inside; LAB_USER=name: as that user
#   lab.bash push TREE          copy the contents of a folder onto /
#   lab.bash log [ARG...]       journalctl
# LAB_NAME tells labs apart that run side by side. Exit 77: cannot run here;
# the last line says why. Needs root, overlayfs, a cgroup2 mount, systemd.
# Writes go to a tmpfs; the network is a loopback of its own. Not a security
# boundary against root inside.
set -u -o pipefail
name=${LAB_NAME:-btchat}
dir=/run/btchat-lab/$name
self=$(readlink -f "$0")

skip() { echo "$*"; exit 77; }
die() { echo "lab: $*" >&2; exit 1; }
cgroups() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

init_pid()
{
	local parent
	parent=$(cat "$dir/pid" 2>/dev/null) || return 1
	pgrep -P "$parent" | head -n 1 | grep .
}

can_run()
{
	[ "$(id -u)" = 0 ] || skip 'not root'
	command -v unshare nsenter setpriv pivot_root pgrep >/dev/null ||
		skip 'util-linux or procps is not here'
	[ -x /lib/systemd/systemd ] || skip 'systemd is not installed'
	command -v dbus-daemon >/dev/null || skip 'dbus is not installed'
	grep -qw overlay /proc/filesystems || skip 'no overlayfs'
	[ -n "$(cgroups)" ] || skip 'no cgroup2 mount'
	unshare -m true 2>/dev/null || skip 'no right to make namespaces'
	mkdir -p "$(cgroups)/btchat-lab-$name" 2>/dev/null ||
		skip 'no right to make a cgroup'
}

# Everything below $1 that a booting system expects, before pivot_root.
mount_all()
{
	local root=$1 n
	mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount -o remount,bind,ro "$root/proc/sys"
	mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
	mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
	mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
	for n in null zero full random urandom tty; do
		: >"$root/dev/$n"
		mount --bind "/dev/$n" "$root/dev/$n"
	done
	mkdir "$root/dev/pts" "$root/dev/shm"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 \
	    devpts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	: >"$root/dev/console"
	mount --bind "$dir/console" "$root/dev/console"
	mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
	mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root/run"
	mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/tmp"
}

# Nothing of the machine's own starts in here, nothing looks for hardware.
quieten()
{
	local root=$1 unit generator
	for unit in systemd-udevd.service systemd-udev-trigger.service \
	    systemd-udevd-kernel.socket systemd-udevd-control.socket \
	    systemd-timesyncd.service systemd-networkd.service \
	    systemd-firstboot.service systemd-update-utmp.service \
	    systemd-modules-load.service kmod-static-nodes.service \
	    getty.target console-getty.service networking.service; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	find "$root"/etc/systemd/{system,user} -name '*.wants' -type d \
	    -exec rm -rf {} + 2>/dev/null
	mkdir -p "$root/etc/systemd/system-generators" \
	    "$root/etc/systemd/system.conf.d"
	for generator in "$root"/lib/systemd/system-generators/*; do
		ln -sf /dev/null \
		    "$root/etc/systemd/system-generators/${generator##*/}"
	done
	: >"$root/etc/fstab.lab"
	mv "$root/etc/fstab.lab" "$root/etc/fstab"
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	printf '[Manager]\nDefaultTimeoutStartSec=20s\n%s\n' \
	    'DefaultTimeoutStopSec=10s' >"$root/etc/systemd/system.conf.d/lab.conf"
}

# Runs as PID 1 of the new namespaces and becomes systemd.
become_init()
{
	local root=$dir/root var
	set -e
	mount --make-rprivate /
	mount -t tmpfs -o mode=755,size=1g lab "$dir/over"
	mkdir -p "$dir/over/up" "$dir/over/work"
	mount -t overlay -o \
	    "lowerdir=/,upperdir=$dir/over/up,workdir=$dir/over/work" \
	    lab "$root"
	mkdir -p "$root"/{proc,sys,dev,run,tmp,etc/systemd/system,.old}
	mount_all "$root"
	quieten "$root" || true
	cd "$root"
	pivot_root . .old
	umount -l /.old
	# Without it the directories of credentials come up empty.
	mount --make-rshared /
	for var in $(compgen -e); do unset "$var"; done
	export PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lab
	exec setpriv --bounding-set \
	    -sys_module,-sys_rawio,-sys_time,-mac_admin,-mac_override,-syslog \
	    /lib/systemd/systemd --unit=multi-user.target --show-status=0 \
	    --log-target=journal-or-kmsg </dev/null >/dev/null 2>&1
}

run_inside()
{
	local pid
	pid=$(init_pid) || die 'not up'
	# $$ and "$@" belong to the inner shell.
	# shellcheck disable=SC2016,SC2086
	nsenter -t "$pid" -m -u -i -p -C -n --root --wd -- /bin/sh -c '
		g=/sys/fs/cgroup/lab.scope
		mkdir -p $g && echo $$ >$g/cgroup.procs
		exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
		    SYSTEMD_PAGER= SYSTEMD_COLORS=0 "$@"' sh \
	    ${LAB_USER:+setpriv --reuid="$LAB_USER" --regid="$LAB_USER" \
	    --init-groups} "$@"
}

up()
{
	local group tries
	can_run
	! init_pid >/dev/null || die "$name is up already"
	mkdir -p "$dir/over" "$dir/root"
	: >"$dir/console"
	group=$(cgroups)/btchat-lab-$name
	(echo "$BASHPID" >"$group/cgroup.procs" &&
		exec setsid unshare -fmuipCn --kill-child "$self" --init) \
	    </dev/null >"$dir/log" 2>&1 &
	echo $! >"$dir/pid"
	disown
	for tries in $(seq 50); do
		! init_pid >/dev/null || break
		sleep 0.1
	done
	# unshare waits outside the namespace; systemd should not see it.
	cat "$dir/pid" >"$(cgroups)/cgroup.procs" 2>/dev/null
	for tries in $(seq 150); do
		init_pid >/dev/null || break
		case $(run_inside systemctl is-system-running 2>/dev/null) in
		running | degraded) return 0 ;;
		esac
		sleep 0.2
	done
	tail -n 5 "$dir/log"
	down
	skip "systemd does not come up here ($tries tries)"
}

down()
{
	local parent pid group tries
	group=$(cgroups)/btchat-lab-$name
	if parent=$(cat "$dir/pid" 2>/dev/null) && kill -0 "$parent"; then
		pid=$(init_pid) && kill -s RTMIN+4 "$pid" # poweroff.target
		for tries in $(seq 40); do
			kill -0 "$parent" 2>/dev/null || break
			sleep 0.2
		done
		kill -KILL "$parent" 2>/dev/null # --kill-child takes the rest
	fi 2>/dev/null
	for tries in $(seq 25); do
		[ -n "$(find "$group" -name cgroup.procs -exec cat {} + \
		    2>/dev/null)" ] || break
		[ "$tries" -lt 5 ] || echo 1 >"$group/cgroup.kill"
		sleep 0.2
	done 2>/dev/null
	find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
	rm -rf "$dir"
}

case ${1-} in
up) up ;;
down) down ;;
exec) shift && run_inside "$@" ;;
push) tar -C "$2" -cf - . | run_inside tar -C / --no-same-owner \
	--no-overwrite-dir -xf - ;;
log) shift && run_inside journalctl --no-pager "$@" ;;
--init) become_init ;;
*) sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2 ;;
esac
