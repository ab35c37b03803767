/* Hostile input 61: the kernel has no room, takes a part, is interrupted,
 * refuses runs, refuses sockets. Nothing is lost by that, nothing sent twice,
 * nothing spins. This program's calls stand before the library's. */
#include "daemon/addr.h"
#include "daemon/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 150, SIZE = 1232 };

static struct {
	int fail[8]; /* errno of the next calls, 0: works */
	unsigned n_fail, at, calls;
	unsigned part;   /* messages a call takes at most, 0: all */
	int refuse_runs; /* errno of every run, 0: they work */
	int interrupt;   /* reads to interrupt */
	int no_socket;   /* errno of every socket(), 0: it works */
} fault;

static int
failed(int errnum)
{
	errno = errnum;
	return -1;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int
sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	unsigned ok = 0;

	fault.calls++;
	if (fault.at < fault.n_fail && fault.fail[fault.at++] != 0)
		return failed(fault.fail[fault.at - 1]);
	if (fault.part > 0 && n > fault.part)
		n = fault.part;
	while (fault.refuse_runs && ok < n && m[ok].msg_hdr.msg_iovlen == 1)
		ok++;
	if (fault.refuse_runs && ok == 0)
		return failed(fault.refuse_runs);
	return (int)syscall(
	    SYS_sendmmsg, fd, m, fault.refuse_runs ? ok : n, flags);
}

int
recvmmsg(
    int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *timeout)
{
	if (fault.interrupt-- > 0)
		return failed(EINTR);
	return (int)syscall(SYS_recvmmsg, fd, m, n, flags, timeout);
}

int
socket(int domain, int type, int protocol)
{
	if (fault.no_socket)
		return failed(fault.no_socket);
	return (int)syscall(SYS_socket, domain, type, protocol);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

struct pair {
	struct udp *a, *b;
	struct endpoint b_at;
	unsigned got;
};

static struct udp *
bound(struct endpoint *at)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char why[UDP_WHY_SIZE];
	struct udp *u = NULL;

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	assert_int_equal(
	    addr_from_sockaddr((struct sockaddr *)&sin, n, at), ERR_OK);
	assert_int_equal(udp_new(&u), ERR_OK);
	assert_int_equal(udp_adopt(u, fd, why), ERR_OK);
	return u;
}

/* Datagram i: its number, and a size that makes runs of several lengths. */
static size_t
size_of(unsigned i)
{
	return i % 40 == 39 ? SIZE / 2 : SIZE;
}

static void
in_order(void *ctx, const struct endpoint *from, struct span data)
{
	struct pair *p = ctx;

	(void)from;
	assert_int_equal(data.n, size_of(p->got));
	for (size_t i = 0; i < data.n; i += 97)
		assert_int_equal(data.p[i], p->got);
	p->got++;
}

static void
setup(struct pair *p)
{
	struct endpoint at;
	uint8_t buf[SIZE];

	memset(&fault, 0, sizeof(fault));
	*p = (struct pair){ .a = bound(&at) };
	p->b = bound(&p->b_at);
	for (unsigned i = 0; i < N; i++) {
		memset(buf, (int)i, sizeof(buf));
		udp_queue(p->a, &p->b_at, span_of(buf, size_of(i)));
	}
}

static void
read_all(struct pair *p)
{
	while (p->got < N)
		assert_true(udp_receive(p->b, FAMILY_V4, in_order, p) > 0);
	assert_int_equal(udp_receive(p->b, FAMILY_V4, in_order, p), 0);
	udp_free(p->a);
	udp_free(p->b);
}

static void
runs_arrive_as_they_were_queued(void **state)
{
	struct udp_stats s;
	enum family busy;
	struct pair p;

	(void)state;
	setup(&p);
	assert_true(udp_flush(p.a, &busy));
	udp_get_stats(p.a, &s);
	assert_int_equal(s.out, N);
	print_message("%u calls, %u runs\n", fault.calls, (unsigned)s.runs_out);
	read_all(&p);
}

static void
hostile_61_a_full_kernel_is_asked_again_later(void **state)
{
	static const int full[] = { EAGAIN, ENOBUFS, ENOMEM };
	enum family busy = FAMILY_V6;
	struct pair p;

	(void)state;
	setup(&p);
	for (unsigned i = 0; i < 3; i++) {
		fault.fail[0] = full[i];
		fault.n_fail = 1;
		fault.at = fault.calls = 0;
		assert_false(udp_flush(p.a, &busy));
		assert_int_equal(busy, FAMILY_V4);
		assert_int_equal(fault.calls, 1); /* it does not spin */
		assert_true(udp_is_queued(p.a));
	}
	assert_true(udp_flush(p.a, &busy));
	read_all(&p);
}

static void
hostile_61_a_part_is_not_sent_again(void **state)
{
	enum family busy;
	struct pair p;

	(void)state;
	setup(&p);
	fault.part = 1;
	fault.fail[1] = EINTR;
	fault.fail[2] = EAGAIN;
	fault.n_fail = 3;
	assert_false(udp_flush(p.a, &busy));
	assert_true(udp_flush(p.a, &busy));
	read_all(&p);
}

static void
hostile_61_an_interrupted_read_goes_on(void **state)
{
	enum family busy;
	struct pair p;

	(void)state;
	setup(&p);
	assert_true(udp_flush(p.a, &busy));
	fault.interrupt = 1;
	assert_int_equal(udp_receive(p.b, FAMILY_V4, in_order, &p), 0);
	read_all(&p);
}

/* An interface without checksums, a size beyond its MTU. */
static void
refused_runs_go_one_by_one(void **state)
{
	static const int why[] = { EIO, EINVAL, EMSGSIZE };
	enum family busy;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct udp_stats s;
		struct pair p;

		setup(&p);
		fault.refuse_runs = why[i];
		assert_true(udp_flush(p.a, &busy));
		udp_get_stats(p.a, &s);
		assert_int_equal(s.out, N);
		assert_int_equal(s.runs_out, 0);
		assert_int_equal(s.send_failed, 0);
		read_all(&p);
	}
}

/* Hops differ from datagram to datagram: still one call, and what goes equally
 * far is a run. */
static void
hops_do_not_break_the_batch(void **state)
{
	static const uint8_t hops[] = { 0, 3, 3, 0, 5, 5, 5, 0 };
	struct endpoint b_at;
	struct udp_stats s;
	enum family busy;
	struct pair p = { 0 };
	uint8_t buf[SIZE];

	(void)state;
	memset(&fault, 0, sizeof(fault));
	p.a = bound(&b_at);
	p.b = bound(&p.b_at);
	for (unsigned i = 0; i < 8; i++) {
		struct udp_way way = { .to = p.b_at, .hops = hops[i] };

		memset(buf, (int)i, sizeof(buf));
		udp_queue_way(p.a, &way, span_of(buf, sizeof(buf)));
	}
	assert_true(udp_flush(p.a, &busy));
	udp_get_stats(p.a, &s);
	assert_int_equal(s.out, 8);
	assert_int_equal(fault.calls, 1);
	while (p.got < 8)
		assert_true(udp_receive(p.b, FAMILY_V4, in_order, &p) > 0);
	udp_free(p.a);
	udp_free(p.b);
}

/* A sandbox without a network, and one whose kernel filter says so. */
static void
hostile_61_a_sandbox_allows_no_extra_sockets(void **state)
{
	static const struct {
		int errnum;
		enum err err;
	} all[] = {
		{ EPERM, ERR_UNSUPPORTED },
		{ EACCES, ERR_UNSUPPORTED },
		{ EAFNOSUPPORT, ERR_UNSUPPORTED },
		{ EMFILE, ERR_LIMIT },
		{ ENFILE, ERR_LIMIT },
		{ ENOBUFS, ERR_LIMIT },
		{ ENOMEM, ERR_LIMIT },
		{ EINVAL, ERR_IO },
	};
	char why[UDP_WHY_SIZE];
	struct endpoint at;
	struct udp *u;

	(void)state;
	memset(&fault, 0, sizeof(fault));
	u = bound(&at);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		fault.no_socket = all[i].errnum;
		assert_int_equal(
		    udp_extra_open(u, 3, FAMILY_V4, why), all[i].err);
		assert_string_equal(why, strerror(all[i].errnum));
		assert_false(udp_extra_works(u, why));
	}
	fault.no_socket = 0;
	assert_true(udp_extra_works(u, why));
	assert_int_equal(udp_extra_open(u, 3, FAMILY_V4, why), ERR_OK);
	udp_free(u);
}

/* One socket's buffer is full: the others' datagrams wait, in order. */
static void
hostile_61_a_full_extra_socket_is_asked_again_later(void **state)
{
	char why[UDP_WHY_SIZE];
	enum family busy;
	struct pair p;

	(void)state;
	setup(&p);
	assert_int_equal(udp_extra_open(p.a, 1, FAMILY_V4, why), ERR_OK);
	for (unsigned i = 0; i < 3; i++) {
		struct udp_way way = { .to = p.b_at, .socket = i % 2 };

		udp_queue_way(p.a, &way, span_of("", 0));
	}
	fault.fail[3] = EAGAIN; /* 150 leave in three calls */
	fault.n_fail = 4;
	assert_false(udp_flush(p.a, &busy));
	assert_true(udp_flush(p.a, &busy));
	assert_int_equal(fault.calls, 6);
	udp_free(p.a);
	udp_free(p.b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_arrive_as_they_were_queued),
		cmocka_unit_test(hostile_61_a_full_kernel_is_asked_again_later),
		cmocka_unit_test(hostile_61_a_part_is_not_sent_again),
		cmocka_unit_test(hostile_61_an_interrupted_read_goes_on),
		cmocka_unit_test(refused_runs_go_one_by_one),
		cmocka_unit_test(hops_do_not_break_the_batch),
		cmocka_unit_test(hostile_61_a_sandbox_allows_no_extra_sockets),
		cmocka_unit_test(
		    hostile_61_a_full_extra_socket_is_asked_again_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
