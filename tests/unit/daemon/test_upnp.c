/* The helper for UPnP: its bytes, whom it may ask, and what it may do. */
#include "daemon/sanitizer.h"
#include "daemon/upnp.h"
#include "tests/support/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- bytes ---- */

static struct upnp_job
a_job(void)
{
	const uint8_t router[4] = { 192, 168, 7, 1 };
	const uint8_t us[4] = { 192, 168, 7, 2 };
	struct upnp_job j = { .serial = 0x12345678 };

	j.gateway = endpoint_v4(router, 0);
	j.job.internal = endpoint_v4(us, 41641);
	j.job.external_port = 50000;
	j.job.lifetime_s = 3600;
	return j;
}

static void
jobs_come_out_as_they_went_in(void **state)
{
	struct upnp_job j = a_job();
	struct upnp_job k;
	uint8_t buf[UPNP_JOB_SIZE + 1] = { 0 };
	struct writer w = wr_init(buf, UPNP_JOB_SIZE);

	(void)state;
	upnp_job_encode(&j, &w);
	assert_int_equal(w.n, UPNP_JOB_SIZE);
	assert_int_equal(upnp_job_decode(wr_span_of(&w), &k), ERR_OK);
	assert_int_equal(k.serial, j.serial);
	assert_true(endpoint_eq(&k.gateway, &j.gateway));
	assert_true(endpoint_eq(&k.job.internal, &j.job.internal));
	assert_int_equal(k.job.external_port, j.job.external_port);
	assert_int_equal(k.job.lifetime_s, j.job.lifetime_s);
	for (size_t n = 0; n <= sizeof(buf); n++)
		assert_int_equal(upnp_job_decode(span_of(buf, n), &k),
		    n == UPNP_JOB_SIZE ? ERR_OK : ERR_MALFORMED);
	buf[4] = buf[5] = 0; /* port 0 */
	assert_int_equal(upnp_job_decode(wr_span_of(&w), &k), ERR_MALFORMED);
}

static void
answers_come_out_as_they_went_in(void **state)
{
	const uint8_t out[4] = { 203, 0, 113, 9 };
	struct upnp_done d = { .serial = 77 };
	struct upnp_done e;
	uint8_t buf[UPNP_DONE_SIZE + 1] = { 0 };
	struct writer w = wr_init(buf, UPNP_DONE_SIZE);

	(void)state;
	d.done.external = endpoint_v4(out, 50000);
	d.done.lifetime_s = 3600;
	upnp_done_encode(&d, &w);
	assert_int_equal(upnp_done_decode(wr_span_of(&w), &e), ERR_OK);
	assert_int_equal(e.serial, 77);
	assert_int_equal(e.done.lifetime_s, 3600);
	assert_true(endpoint_eq(&e.done.external, &d.done.external));
	for (size_t n = 0; n <= sizeof(buf); n++)
		assert_int_equal(upnp_done_decode(span_of(buf, n), &e),
		    n == UPNP_DONE_SIZE ? ERR_OK : ERR_MALFORMED);
	buf[10] = 1;
	assert_int_equal(upnp_done_decode(wr_span_of(&w), &e), ERR_MALFORMED);
}

/* ---- whom it may ask ---- */

static void
only_the_gateway_itself_is_asked(void **state)
{
	static const struct {
		const char *url;
		bool good;
	} all[] = {
		{ "http://10.0.0.1/", true },
		{ "http://10.0.0.1/a/b?c:d@e", true },
		{ "http://10.0.0.1:5000/d.xml", true },
		{ "http://10.0.0.1:/d.xml", true }, /* port 0: nobody */
		{ "http://10.0.0.1", false }, /* the library wants a path */
		{ "http://10.0.0.1:5000", false },
		{ "http://10.0.0.11/", false },
		{ "http://10.0.0.1.evil/", false },
		{ "http://10.0.0.1@evil/", false },
		{ "http://10.0.0.1:80@evil/", false },
		{ "http://10.0.0.1:80.evil/", false },
		{ "http://evil/10.0.0.1/", false },
		{ "http://evil@10.0.0.1/", false },
		{ "http:// 10.0.0.1/", false },
		{ "HTTP://10.0.0.1/", false },
		{ "https://10.0.0.1/", false },
		{ "http:/10.0.0.1/", false },
		{ "10.0.0.1/", false },
		{ "file:///etc/passwd", false },
		{ "", false },
		{ NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (upnp_igd_is_of(all[i].url, "10.0.0.1") != all[i].good)
			fail_msg("%s", all[i].url);
	assert_false(upnp_igd_is_of("http:///", ""));
}

/* ---- what it may do ---- */

/* What happens in a child; its exit code. */
static int
in_a_child(int (*what)(void))
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static bool
is_refused(long result)
{
	return result < 0 && errno == EPERM;
}

enum { NO_FILTER = 255 };

/* Bit i is set if the i-th was not refused. */
static int
files_and_processes(void)
{
	static char shell[] = "/bin/sh";
	char *argv[] = { shell, NULL };
	int rc = 0;

	rc |= !is_refused(open("/etc/passwd", O_RDONLY | O_CLOEXEC)) << 0;
	rc |= !is_refused(access("/", F_OK)) << 1;
	rc |= !is_refused(unlink("/tmp/nothing")) << 2;
	rc |= !is_refused(execve(shell, argv, argv + 1)) << 3;
	rc |= !is_refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)) << 4;
	rc |= !is_refused(kill(getppid(), 0)) << 5;
	rc |= !is_refused(syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0))
	      << 6;
	return rc;
}

static int
other_sockets(void)
{
	char byte = 0;
	int rc = 0;

	rc |= !is_refused(socket(AF_UNIX, SOCK_STREAM, 0)) << 0;
	rc |= !is_refused(socket(AF_INET6, SOCK_DGRAM, 0)) << 1;
	rc |= !is_refused(socket(AF_NETLINK, SOCK_RAW, 0)) << 2;
	rc |= !is_refused(socket(AF_PACKET, SOCK_DGRAM, 0)) << 3;
	rc |= !is_refused(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)) << 4;
	rc |= !is_refused(setsockopt(0, SOL_SOCKET, SO_ATTACH_FILTER, &byte, 1))
	      << 5;
	rc |= !is_refused(setsockopt(0, IPPROTO_TCP, 1, &byte, 1)) << 6;
	return rc;
}

static int
serving_and_terminals(void)
{
	char byte = 0;
	int rc = 0;

	rc |= !is_refused(listen(0, 1)) << 0;
	rc |= !is_refused(accept(0, NULL, NULL)) << 1;
	rc |= !is_refused(ioctl(0, TIOCSTI, &byte)) << 2;
	rc |= !is_refused(syscall(SYS_memfd_create, "x", 0)) << 3;
	rc |= !is_refused(syscall(SYS_io_uring_setup, 1, NULL)) << 4;
	return rc;
}

static int
code_and_kernel(void)
{
	char byte = 0;
	int rc = 0;

	rc |= !is_refused(syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC,
	          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
	      << 0;
	rc |= !is_refused(syscall(SYS_mprotect, &byte, 1, PROT_EXEC)) << 1;
	rc |= !is_refused(syscall(SYS_prctl, 0, 0, 0, 0, 0)) << 2;
	rc |= !is_refused(syscall(SYS_unshare, 0)) << 3;
	rc |= !is_refused(syscall(SYS_bpf, 0, NULL, 0)) << 4;
	rc |= !is_refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0)) << 5;
	rc |= !is_refused(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)) << 6;
	return rc;
}

/* The same under the filter. */
static int (*confined)(void);

static int
try_confined(void)
{
	return upnp_confine() ? NO_FILTER : confined();
}

/* What it needs; the number of the first that does not work, 0: all do. */
static int
try_the_allowed(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = 9 };
	struct timeval tv = { 1, 0 };
	uint8_t hops = 2;
	void *p;
	int udp;
	int tcp;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (udp < 0 || tcp < 0)
		return 1;
	if (setsockopt(udp, IPPROTO_IP, IP_MULTICAST_TTL, &hops, 1) ||
	    setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)))
		return 2;
	if (sendto(udp, "", 0, 0, (struct sockaddr *)&to, sizeof(to)) != 0)
		return 3;
	if (connect(tcp, (struct sockaddr *)&to, sizeof(to)) == 0 ||
	    errno != ECONNREFUSED)
		return 4;
	p = malloc(10 * 1000 * 1000);
	if (!p)
		return 5;
	memset(p, 1, 10 * 1000 * 1000);
	free(p);
	if (close(udp) || close(tcp))
		return 6;
	return write(-1, "", 0) < 0 && errno == EBADF ? 0 : 7;
}

static void
check_confined(int (*what)(void))
{
	int code;

	if (!kernel_filters_calls())
		skip();
	confined = what;
	code = in_a_child(try_confined);
	assert_int_equal(code, 0);
}

static void
the_worker_is_refused_all_but_sockets_of_ipv4(void **state)
{
	(void)state;
	check_confined(files_and_processes);
	check_confined(other_sockets);
	check_confined(serving_and_terminals);
	check_confined(code_and_kernel);
}

static void
the_worker_can_do_its_work(void **state)
{
	(void)state;
	check_confined(try_the_allowed);
}

#ifndef UNDER_SANITIZER
static int
eat(void)
{
	for (size_t n = 0; n < 1000; n++)
		if (mmap(NULL, 1000 * 1000, PROT_READ,
		        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return 0;
	return 1;
}

#endif

static void
the_worker_has_only_so_much(void **state)
{
	(void)state;
#ifdef UNDER_SANITIZER
	skip(); /* its shadow memory knows no bounds */
#else
	check_confined(eat);
#endif
}

/* ---- the helper ---- */

/* Runs it with this as its only descriptor; its process. */
static pid_t
start_helper(int fd)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) < 0 ||
		    close_range(STDERR_FILENO + 1, ~0U, 0))
			_exit(99);
		_exit(upnp_helper_main());
	}
	(void)close(fd);
	return pid;
}

static int
exit_code(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void
it_ends_with_the_daemon_and_with_nonsense(void **state)
{
	int pair[2];
	pid_t pid;

	(void)state;
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = start_helper(pair[1]);
	assert_int_equal(send(pair[0], "nonsense", 8, 0), 8);
	assert_int_equal(exit_code(pid), DAEMON_EX_FAILED);
	(void)close(pair[0]);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = start_helper(pair[1]);
	(void)close(pair[0]);
	assert_int_equal(exit_code(pid), DAEMON_EX_OK);
	/* Whoever calls it by hand has no such socket. */
	assert_int_equal(
	    exit_code(start_helper(open("/dev/null", O_RDWR | O_CLOEXEC))),
	    DAEMON_EX_USAGE);
}

/* Sends to nowhere: the search for a gateway fails at once, and that is told.
 */
static void
a_job_that_fails_is_answered(void **state)
{
	const uint8_t nowhere[4] = { 192, 0, 2, 77 };
	struct upnp_job j = a_job();
	struct upnp_done d;
	uint8_t buf[UPNP_JOB_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));
	ssize_t n;
	int pair[2];
	pid_t pid;

	(void)state;
	j.job.internal = endpoint_v4(nowhere, 41641);
	upnp_job_encode(&j, &w);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = start_helper(pair[1]);
	assert_int_equal(send(pair[0], buf, w.n, 0), w.n);
	n = recv(pair[0], buf, sizeof(buf), 0);
	assert_int_equal(n, UPNP_DONE_SIZE);
	assert_int_equal(upnp_done_decode(span_of(buf, (size_t)n), &d), ERR_OK);
	assert_int_equal(d.serial, j.serial);
	assert_int_equal(d.done.lifetime_s, 0);
	(void)close(pair[0]);
	assert_int_equal(exit_code(pid), DAEMON_EX_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_come_out_as_they_went_in),
		cmocka_unit_test(answers_come_out_as_they_went_in),
		cmocka_unit_test(only_the_gateway_itself_is_asked),
		cmocka_unit_test(the_worker_is_refused_all_but_sockets_of_ipv4),
		cmocka_unit_test(the_worker_can_do_its_work),
		cmocka_unit_test(the_worker_has_only_so_much),
		cmocka_unit_test(it_ends_with_the_daemon_and_with_nonsense),
		cmocka_unit_test(a_job_that_fails_is_answered),
	};

	/* What the worker may not do fails, as it does for users. */
	(void)unsetenv("BTCHAT_SANDBOX_TRAP");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
