/*
 * The process that speaks UPnP for the daemon: it waits for jobs and has each
 * done by a child of its own, which is confined, watched and ended.
 */
#include "daemon/upnp.h"

#include "daemon/sandbox_calls.h"
#include "daemon/sanitizer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	CPU_S = 2, /* of a worker */
	MEMORY_BYTES = 256 * 1024 * 1024,
	DESCRIPTORS = 16,
};

/* ---- the worker's cage ---- */

/*
 * Sockets of IPv4 and memory without code; no file, no other process, no other
 * kind of socket. With the kernel's own words for the options of a socket.
 */
/* clang-format off */
static const struct sandbox_rule worker_may[] = {
	{ SYS_socket, { { 0, ALL, AF_INET },
	                { 1, TYPE_BITS, SOCK_STREAM } }, 2, SANDBOX_ALLOW },
	{ SYS_socket, { { 0, ALL, AF_INET },
	                { 1, TYPE_BITS, SOCK_DGRAM } }, 2, SANDBOX_ALLOW },
	{ SYS_setsockopt, { { 1, ALL, SOL_SOCKET },
	                    { 2, ALL, SO_REUSEADDR } }, 2, SANDBOX_ALLOW },
	{ SYS_setsockopt, { { 1, ALL, SOL_SOCKET },
	                    { 2, ALL, SO_RCVTIMEO } }, 2, SANDBOX_ALLOW },
	{ SYS_setsockopt, { { 1, ALL, SOL_SOCKET },
	                    { 2, ALL, SO_SNDTIMEO } }, 2, SANDBOX_ALLOW },
	{ SYS_setsockopt, { { 1, ALL, IPPROTO_IP },
	                    { 2, ALL, IP_MULTICAST_IF } }, 2, SANDBOX_ALLOW },
	{ SYS_setsockopt, { { 1, ALL, IPPROTO_IP },
	                    { 2, ALL, IP_MULTICAST_TTL } }, 2, SANDBOX_ALLOW },
	{ .nr = SYS_bind }, { .nr = SYS_connect },
	{ .nr = SYS_getsockname }, { .nr = SYS_getsockopt },
	{ .nr = SYS_sendto }, { .nr = SYS_sendmsg },
	{ .nr = SYS_recvfrom }, { .nr = SYS_recvmsg },
	{ .nr = SYS_read }, { .nr = SYS_write }, { .nr = SYS_close },
	{ .nr = SYS_poll }, { .nr = SYS_ppoll },
	{ .nr = SYS_select }, { .nr = SYS_pselect6 },
	{ SYS_mmap, { { 2, PROT_EXEC, 0 } }, 1, SANDBOX_ALLOW },
	{ SYS_mprotect, { { 2, PROT_EXEC, 0 } }, 1, SANDBOX_ALLOW },
	{ .nr = SYS_munmap }, { .nr = SYS_mremap },
	{ .nr = SYS_madvise }, { .nr = SYS_brk },
	{ .nr = SYS_clock_gettime }, { .nr = SYS_gettimeofday },
	{ .nr = SYS_time }, { .nr = SYS_getrandom }, { .nr = SYS_futex },
	{ .nr = SYS_rt_sigprocmask }, { .nr = SYS_rt_sigreturn },
	{ .nr = SYS_restart_syscall },
	{ .nr = SYS_exit }, { .nr = SYS_exit_group },
#ifdef UNDER_SANITIZER
	{ .nr = SYS_sigaltstack }, /* before every function without return */
#endif
};
/* clang-format on */

#define LIMIT(what, to) (setrlimit(what, &(const struct rlimit){ to, to }) == 0)

enum err
upnp_confine(void)
{
	bool ok = LIMIT(RLIMIT_CPU, CPU_S) && LIMIT(RLIMIT_CORE, 0) &&
	          LIMIT(RLIMIT_FSIZE, 0) && LIMIT(RLIMIT_MEMLOCK, 0) &&
	          LIMIT(RLIMIT_NOFILE, DESCRIPTORS);

#ifndef UNDER_SANITIZER
	ok = ok && LIMIT(RLIMIT_AS, MEMORY_BYTES);
#endif
	if (!ok)
		return ERR_IO;
	return sandbox_filter(
	    worker_may, sizeof(worker_may) / sizeof(worker_may[0]));
}

void
upnp_worker(int fd, const struct upnp_job *j)
{
	struct upnp_done d = { .serial = j->serial };
	uint8_t buf[UPNP_DONE_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	d.done.external = endpoint_v4((const uint8_t[4]){ 0 }, 0);
	if (upnp_confine() || !upnp_igd(j, &d.done))
		_exit(1);
	upnp_done_encode(&d, &w);
	_exit(w.bad || write(fd, buf, w.n) != (ssize_t)w.n);
}

/* ---- one job ---- */

static uint64_t
now_ms(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* What the worker says before its time is over, or it ends. Nobody waits for a
 * mapping once the daemon is gone. */
static ssize_t
read_answer(int fd, const struct upnp_job *j, uint8_t *ret, size_t n)
{
	bool maps = j->job.lifetime_s > 0;
	uint64_t end = now_ms() + (maps ? UPNP_MAP_MS : UPNP_UNMAP_MS);

	for (;;) {
		uint64_t now = now_ms();
		struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			{ .fd = maps ? STDIN_FILENO : -1 } };
		int r = now < end ? poll(p, 2, (int)(end - now)) : 0;

		if (r > 0 && p[0].revents)
			return read(fd, ret, n);
		if (r >= 0 || errno != EINTR)
			return -1;
	}
}

/* Ends it, whatever it does. */
static void
reap(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* False: nothing came of it. */
static bool
have_done(const struct upnp_job *j, struct upnp_done *ret)
{
	uint8_t buf[UPNP_DONE_SIZE + 1];
	struct upnp_done d;
	int ends[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return false;
	pid = fork();
	if (pid == 0) {
		(void)close(STDIN_FILENO);
		(void)close(ends[0]);
		upnp_worker(ends[1], j);
	}
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return false;
	}
	n = read_answer(ends[0], j, buf, sizeof(buf));
	(void)close(ends[0]);
	reap(pid);
	if (n <= 0 || upnp_done_decode(span_of(buf, (size_t)n), &d) ||
	    d.serial != j->serial || d.done.lifetime_s > j->job.lifetime_s)
		return false;
	*ret = d;
	return true;
}

/* ---- the helper ---- */

static bool
is_ours(int fd)
{
	int type = 0;
	int domain = 0;
	socklen_t n = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       type == SOCK_SEQPACKET && domain == AF_UNIX;
}

static bool
serve(int fd, const struct upnp_job *j)
{
	struct upnp_done d;
	uint8_t buf[UPNP_DONE_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	if (!have_done(j, &d)) {
		d = (struct upnp_done){ .serial = j->serial };
		d.done.external = endpoint_v4((const uint8_t[4]){ 0 }, 0);
	}
	upnp_done_encode(&d, &w);
	return send(fd, buf, w.n, MSG_NOSIGNAL) == (ssize_t)w.n;
}

/* Until the daemon hangs up. Signals of a terminal or a service manager are
 * for the daemon: what it wants taken back at its end is still done. */
int
upnp_helper_main(void)
{
	const int fd = STDIN_FILENO;

	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!is_ours(fd))
		return DAEMON_EX_USAGE;
	for (;;) {
		uint8_t buf[UPNP_JOB_SIZE + 1];
		struct upnp_job j;
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return DAEMON_EX_OK;
		if (upnp_job_decode(span_of(buf, (size_t)n), &j))
			return DAEMON_EX_FAILED;
		(void)serve(fd, &j); /* gone: the next job may undo this one */
	}
}
