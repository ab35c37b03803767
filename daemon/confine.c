#include "daemon/confine.h"

#include "daemon/landlock.h"
#include "daemon/log.h"
#include "daemon/sandbox_calls.h"
#include "daemon/sanitizer.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* Younger than the headers that we build with. [linux/prctl.h] */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

#define ANY(call) \
	{ \
		.nr = SYS_##call \
	}
#define KILL(call) \
	{ \
		.nr = SYS_##call, .what = SANDBOX_KILL \
	}

enum { WX = PROT_WRITE | PROT_EXEC };

/*
 * What the daemon, SQLite, libevent and the resolver ask of the kernel; the
 * rest fails with EPERM. What no mistake of theirs would ask for, but whoever
 * made them do his will, ends the process. Frequent ones first.
 */
/* clang-format off */
static const struct sandbox_rule daemon_may[] = {
	ANY(epoll_wait), ANY(epoll_pwait), ANY(epoll_pwait2), ANY(epoll_ctl),
	ANY(recvmmsg), ANY(sendmmsg), ANY(recvmsg), ANY(sendmsg), ANY(sendto),
	ANY(recvfrom), ANY(clock_gettime), ANY(gettimeofday), ANY(futex),
	ANY(pread64), ANY(pwrite64), ANY(read), ANY(write), ANY(fdatasync),
	ANY(fcntl), ANY(close), ANY(readv), ANY(writev), ANY(lseek),
	ANY(getrandom), ANY(time),
	/* files, below what Landlock leaves */
	ANY(open), ANY(openat), ANY(stat), ANY(fstat), ANY(lstat),
	ANY(newfstatat), ANY(statx), ANY(access), ANY(faccessat),
	ANY(faccessat2), ANY(readlink), ANY(readlinkat), ANY(getdents64),
	ANY(getcwd), ANY(ftruncate), ANY(fallocate), ANY(fadvise64),
	ANY(fsync), ANY(mkdir), ANY(mkdirat), ANY(rmdir), ANY(unlink),
	ANY(unlinkat), ANY(rename), ANY(renameat), ANY(renameat2), ANY(link),
	ANY(linkat), ANY(chmod), ANY(fchmod), ANY(fchmodat), ANY(fchown),
	ANY(utimensat), ANY(flock), ANY(statfs), ANY(fstatfs), ANY(umask),
	/* a terminal we were started in takes no keys from us */
	{ SYS_ioctl, { { 1, ALL, TIOCSTI } }, 1, SANDBOX_KILL },
	{ SYS_ioctl, { { 1, ALL, TIOCLINUX } }, 1, SANDBOX_KILL },
	ANY(ioctl),
	/* sockets of the networks we speak in; routes for getaddrinfo(3) */
	{ SYS_socket, { { 0, ALL, AF_UNIX } }, 1, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_INET },
	                { 1, TYPE_BITS, SOCK_DGRAM } }, 2, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_INET6 },
	                { 1, TYPE_BITS, SOCK_DGRAM } }, 2, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_INET },
	                { 1, TYPE_BITS, SOCK_STREAM } }, 2, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_INET6 },
	                { 1, TYPE_BITS, SOCK_STREAM } }, 2, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_NETLINK }, { 2, ALL, 0 } }, 2,
	  SANDBOX_ALLOW },
	ANY(socketpair), ANY(bind), ANY(connect), ANY(accept4), ANY(accept),
	ANY(listen), ANY(shutdown), ANY(getsockname), ANY(getpeername),
	ANY(getsockopt), ANY(setsockopt),
	ANY(dup), ANY(dup2), ANY(dup3), ANY(pipe), ANY(pipe2), ANY(poll),
	ANY(ppoll), ANY(select), ANY(pselect6), ANY(epoll_create1),
	ANY(eventfd2), ANY(timerfd_create), ANY(timerfd_settime),
	ANY(timerfd_gettime), ANY(signalfd4),
	/* memory that is written or executed, never both */
	{ SYS_mmap, { { 2, WX, 0 } }, 1, SANDBOX_ALLOW },
	{ SYS_mmap, { { 2, WX, PROT_WRITE } }, 1, SANDBOX_ALLOW },
	{ SYS_mmap, { { 2, WX, PROT_EXEC } }, 1, SANDBOX_ALLOW },
	{ SYS_mprotect, { { 2, PROT_EXEC, 0 } }, 1, SANDBOX_ALLOW },
	ANY(munmap), ANY(mremap), ANY(madvise), ANY(brk), ANY(mlock),
	ANY(mlock2), ANY(munlock), ANY(msync),
	/* threads, not processes; glibc tries clone3 first, then clone */
	{ SYS_clone, { { 0, CLONE_THREAD, CLONE_THREAD } }, 1, SANDBOX_ALLOW },
	{ .nr = SYS_clone3, .what = SANDBOX_ENOSYS },
	ANY(set_robust_list), ANY(rseq), ANY(set_tid_address),
	ANY(arch_prctl), ANY(membarrier), ANY(sched_yield),
	ANY(sched_getaffinity), ANY(sched_getparam), ANY(sched_getscheduler),
	ANY(getcpu),
	{ SYS_prctl, { { 0, ALL, PR_SET_NAME } }, 1, SANDBOX_ALLOW },
	{ SYS_prctl, { { 0, ALL, PR_SET_VMA } }, 1, SANDBOX_ALLOW },
	ANY(rt_sigaction), ANY(rt_sigprocmask), ANY(rt_sigreturn),
	ANY(sigaltstack), ANY(tgkill), ANY(kill), ANY(wait4), ANY(waitid),
	ANY(getpid), ANY(gettid), ANY(getppid), ANY(getuid), ANY(geteuid),
	ANY(getgid), ANY(getegid), ANY(uname), ANY(sysinfo), ANY(getrusage),
	ANY(times), ANY(getrlimit), ANY(prlimit64), ANY(clock_getres),
	ANY(clock_nanosleep), ANY(nanosleep), ANY(restart_syscall),
	ANY(exit), ANY(exit_group),
	KILL(execve), KILL(execveat), KILL(ptrace), KILL(process_vm_readv),
	KILL(process_vm_writev), KILL(mount), KILL(umount2), KILL(pivot_root),
	KILL(chroot), KILL(move_mount), KILL(open_tree), KILL(fsopen),
	KILL(bpf), KILL(perf_event_open), KILL(keyctl), KILL(add_key),
	KILL(request_key), KILL(userfaultfd), KILL(io_uring_setup),
	KILL(io_uring_enter), KILL(io_uring_register), KILL(kexec_load),
	KILL(kexec_file_load), KILL(init_module), KILL(finit_module),
	KILL(delete_module), KILL(unshare), KILL(setns), KILL(personality),
	KILL(open_by_handle_at), KILL(reboot), KILL(swapon),
};
/* clang-format on */

static const char *const policies[] = {
	[CONFINE_OFF] = "off",
	[CONFINE_COMPAT] = "compat",
	[CONFINE_STRICT] = "strict",
};

const char *
confine_policy_name(enum confine_policy policy)
{
	return policies[policy];
}

/* "/a/b" of "/a/b/c". */
static void
directory_of(const char *path, char ret[CONFIG_VALUE_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	assert(n < CONFIG_VALUE_MAX);
	memcpy(ret, path, n);
	ret[n] = '\0';
	if (n == 0)
		memcpy(ret, slash ? "/" : ".", 2);
}

/* The file of the configuration and those of the resolver are replaced, not
 * rewritten, when they change: so it is directories that may be read. */
static enum err
confine_files(const struct daemon *d)
{
	char config[CONFIG_VALUE_MAX];
	char run[CONFIG_VALUE_MAX];
	const struct landlock_path list[] = {
		{ d->config.state, LANDLOCK_KEEP },
		{ config, LANDLOCK_READ },
		{ run, LANDLOCK_REMOVE }, /* our socket, at the end */
		{ "/etc", LANDLOCK_READ },
		{ "/run/systemd/resolve", LANDLOCK_READ },
		{ "/run/NetworkManager", LANDLOCK_READ },
		{ "/run/resolvconf", LANDLOCK_READ },
		{ "/run/connman", LANDLOCK_READ },
		{ "/usr/lib", LANDLOCK_READ }, /* modules of the resolver, */
		{ "/usr/share/zoneinfo", LANDLOCK_READ },
		{ "/lib", LANDLOCK_READ },
		{ "/lib64", LANDLOCK_READ },
		/* interfaces and routes; of others' processes only what is
		 * everybody's, for Landlock forbids to trace them */
		{ "/proc", LANDLOCK_READ },
		{ "/sys/devices/system/cpu", LANDLOCK_READ },
		{ "/dev/null", LANDLOCK_USE },
		{ "/dev/urandom", LANDLOCK_READ },
		{ "/dev/random", LANDLOCK_READ },
	};

	config_directory(&d->config, config);
	directory_of(d->config.socket, run);
	return landlock_confine(list, sizeof(list) / sizeof(list[0]));
}

static enum err
confine_memory(void)
{
	return prctl(PR_SET_MDWE, 1, 0, 0, 0) ? ERR_UNSUPPORTED : ERR_OK;
}

static enum err
confine_calls(void)
{
	return sandbox_filter(
	    daemon_may, sizeof(daemon_may) / sizeof(daemon_may[0]));
}

/* A kernel, a container or a service manager may have no room for a layer. */
static bool
took(const char *layer, enum err err)
{
	if (err)
		log_event(LOG_NOTICE, "sandbox-missing", "layer=%s err=%s",
		    layer, err_name(err));
	return !err;
}

enum err
confine_daemon(struct daemon *d)
{
	struct confined *c = &d->confined;

#ifdef UNDER_SANITIZER
	d->config.sandbox = CONFINE_OFF;
#endif
	if (d->config.sandbox == CONFINE_OFF)
		return ERR_OK;
	c->files = took("landlock", confine_files(d));
	c->memory = took("mdwe", confine_memory());
	c->calls = took("seccomp", confine_calls());
	if (d->config.sandbox == CONFINE_COMPAT)
		return ERR_OK;
	/* Kernels before 6.3 have no word for it; the filter says the same. */
	if (c->files && c->calls)
		return ERR_OK;
	log_event(LOG_ERR, "sandbox-refused",
	    "sandbox = strict, and not all of it is to be had here");
	return ERR_UNSUPPORTED;
}
