/* UDP: batches, bounds, inherited sockets, extra ones, hops. */
#include "daemon/addr.h"
#include "daemon/udp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char why[UDP_WHY_SIZE];

/* A socket on a free port of the address. */
static int
plain_socket(const char *host, struct endpoint *ret)
{
	struct sockaddr_storage ss;
	socklen_t n;
	int fd;

	assert_int_equal(addr_parse(host, ret), ERR_OK);
	n = addr_to_sockaddr(ret, &ss);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, n)) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	n = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	assert_int_equal(
	    addr_from_sockaddr((struct sockaddr *)&ss, n, ret), ERR_OK);
	return fd;
}

static struct udp *
new_on(const char *host, struct endpoint *at)
{
	struct udp *u = NULL;
	int fd = plain_socket(host, at);

	assert_true(fd >= 0);
	assert_int_equal(udp_new(&u), ERR_OK);
	if (udp_adopt(u, fd, why))
		fail_msg("%s", why);
	return u;
}

struct taken {
	size_t n, bytes;
	struct endpoint from;
	uint8_t first;
};

static void
take(void *ctx, const struct endpoint *from, struct span data)
{
	struct taken *t = ctx;

	t->n++;
	t->bytes += data.n;
	t->from = *from;
	t->first = data.n ? data.p[0] : 0;
}

static void
what_is_queued_arrives_after_the_flush_only(void **state)
{
	struct endpoint a_at;
	struct endpoint b_at;
	struct udp *a = new_on("127.0.0.1:0", &a_at);
	struct udp *b = new_on("127.0.0.1:0", &b_at);
	struct taken t = { 0 };
	enum family busy;

	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		udp_queue(a, &b_at, span_of(&i, 1));
	assert_true(udp_is_queued(a));
	assert_int_equal(udp_receive(b, FAMILY_V4, take, &t), 0);
	assert_true(udp_flush(a, &busy));
	assert_false(udp_is_queued(a));
	while (t.n < 100)
		assert_true(udp_receive(b, FAMILY_V4, take, &t) > 0);
	assert_int_equal(udp_receive(b, FAMILY_V4, take, &t), 0);
	assert_int_equal(t.bytes, 100);
	assert_int_equal(t.first, 99);
	assert_true(endpoint_eq(&t.from, &a_at));
	udp_free(a);
	udp_free(b);
}

/* Hostile input 1. */
static void
an_empty_datagram_is_handed_over_and_a_huge_one_is_not(void **state)
{
	struct endpoint at;
	struct endpoint from;
	struct udp *u = new_on("127.0.0.1:0", &at);
	int fd = plain_socket("127.0.0.1:0", &from);
	uint8_t *big = calloc(1, 65507);
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&at, &ss);
	struct taken t = { 0 };
	struct udp_stats stats;

	(void)state;
	assert_int_equal(sendto(fd, big, 0, 0, (struct sockaddr *)&ss, n), 0);
	assert_int_equal(
	    sendto(fd, big, 65507, 0, (struct sockaddr *)&ss, n), 65507);
	assert_int_equal(
	    sendto(fd, big, UDP_PAYLOAD_MAX + 1, 0, (struct sockaddr *)&ss, n),
	    UDP_PAYLOAD_MAX + 1);
	assert_int_equal(
	    sendto(fd, big, UDP_PAYLOAD_MAX, 0, (struct sockaddr *)&ss, n),
	    UDP_PAYLOAD_MAX);
	assert_int_equal(udp_receive(u, FAMILY_V4, take, &t), 4);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.bytes, UDP_PAYLOAD_MAX);
	udp_get_stats(u, &stats);
	assert_int_equal(stats.too_long, 2);
	free(big);
	(void)close(fd);
	udp_free(u);
}

static void
who_reads_too_slowly_is_behind(void **state)
{
	struct endpoint at;
	struct endpoint from;
	struct udp *u = new_on("127.0.0.1:0", &at);
	int fd = plain_socket("127.0.0.1:0", &from);
	static uint8_t b[UDP_PAYLOAD_MAX];
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&at, &ss);
	struct taken t = { 0 };

	(void)state;
	/* More than the largest buffer that the kernel may have given. */
	for (unsigned i = 0; i < 20000; i++)
		(void)sendto(fd, b, sizeof(b), 0, (struct sockaddr *)&ss, n);
	assert_true(udp_receive(u, FAMILY_V4, take, &t) > 0);
	assert_true(udp_is_behind(u, FAMILY_V4));
	while (udp_receive(u, FAMILY_V4, take, &t) > 0)
		continue;
	assert_false(udp_is_behind(u, FAMILY_V4));
	assert_int_equal(sendto(fd, b, 1, 0, (struct sockaddr *)&ss, n), 1);
	assert_int_equal(udp_receive(u, FAMILY_V4, take, &t), 1);
	assert_false(udp_is_behind(u, FAMILY_V4));
	(void)close(fd);
	udp_free(u);
}

static void
the_queue_is_bounded_and_can_be_dropped(void **state)
{
	struct endpoint at;
	struct endpoint v6;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct udp_stats stats;
	enum family busy;
	struct taken t = { 0 };

	(void)state;
	assert_int_equal(addr_parse("[::1]:9", &v6), ERR_OK);
	udp_queue(u, &v6, span_of("x", 1)); /* no socket of that family */
	for (unsigned i = 0; i < UDP_QUEUE_MAX + 5; i++)
		udp_queue(u, &at, span_of("x", 1));
	udp_get_stats(u, &stats);
	assert_int_equal(stats.queue_dropped, 6);
	udp_drop_queue(u);
	assert_true(udp_flush(u, &busy));
	assert_int_equal(udp_receive(u, FAMILY_V4, take, &t), 0);
	udp_free(u);
}

static void
one_that_cannot_be_sent_does_not_stop_the_others(void **state)
{
	struct endpoint at;
	struct endpoint nowhere;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct udp_stats stats;
	struct taken t = { 0 };
	enum family busy;

	(void)state;
	assert_int_equal(addr_parse("255.255.255.255:9", &nowhere), ERR_OK);
	udp_queue(u, &at, span_of("1", 1));
	udp_queue(u, &nowhere, span_of("2", 1)); /* EACCES: broadcast */
	udp_queue(u, &at, span_of("3", 1));
	assert_true(udp_flush(u, &busy));
	udp_get_stats(u, &stats);
	assert_int_equal(stats.send_failed, 1);
	assert_int_equal(udp_receive(u, FAMILY_V4, take, &t), 2);
	assert_int_equal(t.first, '3');
	udp_free(u);
}

static void
both_families_stand_side_by_side(void **state)
{
	struct endpoint v4;
	struct endpoint v6;
	struct endpoint local[4];
	struct udp *u = new_on("127.0.0.1:0", &v4);
	int fd = plain_socket("[::1]:0", &v6);

	(void)state;
	if (fd < 0) {
		udp_free(u);
		skip(); /* a machine without IPv6 */
	}
	assert_int_equal(udp_adopt(u, fd, why), ERR_OK);
	assert_true(udp_is_loopback(u));
	assert_int_equal(udp_local(u, local, 4), 2);
	assert_true(endpoint_eq(&local[FAMILY_V6], &v6));
	assert_int_equal(udp_local(u, local, 1), 1);
	udp_free(u);
}

/* Hostile input 48. */
static void
an_inherited_descriptor_must_be_a_bound_udp_socket(void **state)
{
	struct endpoint at;
	struct udp *u = new_on("127.0.0.1:0", &at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(udp_adopt(u, fd, why), ERR_UNSUPPORTED);
	(void)close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(udp_adopt(u, fd, why), ERR_UNSUPPORTED);
	(void)close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(udp_adopt(u, fd, why), ERR_UNSUPPORTED);
	(void)close(fd);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(udp_adopt(u, fd, why), ERR_UNSUPPORTED);
	(void)close(fd);
	fd = plain_socket("127.0.0.1:0", &at);
	assert_int_equal(udp_adopt(u, fd, why), ERR_EXISTS);
	(void)close(fd);
	udp_free(u);
}

static void
an_address_that_is_not_here_is_refused_by_name(void **state)
{
	struct udp *u = NULL;
	struct endpoint at;

	(void)state;
	assert_int_equal(udp_new(&u), ERR_OK);
	assert_int_equal(addr_parse("192.0.2.77:4000", &at), ERR_OK);
	assert_int_equal(udp_listen(u, &at, why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why, "192.0.2.77:4000"));
	assert_int_equal(udp_fd(u, FAMILY_V4), -1);
	udp_free(u);
}

/* ---- hops ---- */

static void
queue_hops(struct udp *u, const struct endpoint *to, uint8_t hops, char c)
{
	const struct udp_way way = { .to = *to, .hops = hops };

	udp_queue_way(u, &way, span_of(&c, 1));
}

/* The hops that the next datagram arrived with; its byte is that. */
static int
read_hops(int fd, char want)
{
	_Alignas(struct cmsghdr) char control[256];
	char got = 0;
	struct iovec iov = { &got, 1 };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
	int hops = -1;

	h.msg_control = control;
	h.msg_controllen = sizeof(control);
	assert_int_equal(recvmsg(fd, &h, 0), 1);
	assert_int_equal(got, want);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c))
		if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
		    (c->cmsg_level == IPPROTO_IPV6 &&
		        c->cmsg_type == IPV6_HOPLIMIT))
			memcpy(&hops, CMSG_DATA(c), sizeof(hops));
	return hops;
}

static void
check_hops(const char *host, int level, int option)
{
	static const uint8_t hops[] = { 0, 3, 3, 3, 0, 255, 1, 0, 0 };
	struct endpoint at;
	struct endpoint to;
	int fd = plain_socket(host, &to);
	int on = 1;
	enum family busy;
	struct udp *u;

	if (fd < 0)
		skip(); /* a machine without IPv6 */
	u = new_on(host, &at);
	assert_int_equal(setsockopt(fd, level, option, &on, sizeof(on)), 0);
	for (size_t i = 0; i < sizeof(hops); i++)
		queue_hops(u, &to, hops[i], (char)('a' + i));
	assert_true(udp_flush(u, &busy));
	for (size_t i = 0; i < sizeof(hops); i++)
		assert_int_equal(
		    read_hops(fd, (char)('a' + i)), hops[i] ? hops[i] : 64);
	(void)close(fd);
	udp_free(u);
}

static void
each_datagram_goes_as_many_hops_as_it_is_told(void **state)
{
	(void)state;
	check_hops("127.0.0.1:0", IPPROTO_IP, IP_RECVTTL);
}

static void
each_datagram_goes_as_many_hops_in_ipv6_too(void **state)
{
	(void)state;
	check_hops("[::1]:0", IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
}

/* ---- extra sockets ---- */

static void
queue_from(struct udp *u, unsigned socket, const struct endpoint *to, char c)
{
	const struct udp_way way = { .to = *to, .socket = socket };

	udp_queue_way(u, &way, span_of(&c, 1));
}

static void
flush(struct udp *u)
{
	enum family busy;

	assert_true(udp_flush(u, &busy));
}

static void
an_extra_socket_has_a_port_of_its_own_and_hears_there(void **state)
{
	struct endpoint a_at;
	struct endpoint b_at;
	struct udp *a = new_on("127.0.0.1:0", &a_at);
	struct udp *b = new_on("127.0.0.1:0", &b_at);
	struct taken t = { 0 };
	struct endpoint extra;

	(void)state;
	assert_true(udp_extra_works(a, why));
	assert_int_equal(udp_extra_open(a, 7, FAMILY_V4, why), ERR_OK);
	assert_int_equal(udp_extra_open(a, 7, FAMILY_V4, why), ERR_EXISTS);
	assert_true(udp_extra_fd(a, 7) >= 0);
	assert_int_equal(udp_extra_fd(a, 8), -1);
	queue_from(a, 7, &b_at, 'x');
	queue_from(a, 0, &b_at, 'y');
	queue_from(a, 7, &b_at, 'z');
	flush(a);
	assert_int_equal(udp_receive(b, FAMILY_V4, take, &t), 3);
	assert_int_equal(t.first, 'z');
	assert_true(endpoint_same_addr(&t.from, &a_at));
	assert_int_not_equal(t.from.port, a_at.port);
	extra = t.from;
	queue_from(b, 0, &extra, 'r');
	flush(b);
	assert_int_equal(udp_receive(a, FAMILY_V4, take, &t), 0);
	assert_int_equal(udp_extra_receive(a, 7, take, &t), 1);
	assert_int_equal(t.first, 'r');
	assert_true(endpoint_eq(&t.from, &b_at));
	udp_free(a);
	udp_free(b);
}

/* A number may come again at once. */
static void
what_waits_for_a_closed_socket_leaves_by_no_other(void **state)
{
	struct endpoint at;
	struct endpoint to;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct udp *b = new_on("127.0.0.1:0", &to);
	struct taken t = { 0 };
	struct udp_stats stats;

	(void)state;
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_OK);
	queue_from(u, 1, &to, 'o');
	queue_from(u, 0, &to, 'u');
	queue_from(u, 1, &to, 'o');
	udp_extra_close(u, 1);
	udp_extra_close(u, 1);
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_OK);
	queue_from(u, 1, &to, 'n');
	queue_from(u, 2, &to, '2'); /* not open */
	flush(u);
	assert_int_equal(udp_receive(b, FAMILY_V4, take, &t), 2);
	assert_int_equal(t.first, 'n');
	udp_get_stats(u, &stats);
	assert_int_equal(stats.queue_dropped, 3);
	assert_int_equal(stats.extra, 1);
	udp_free(u);
	udp_free(b);
}

static void
all_extra_sockets_open_at_once(void **state)
{
	struct endpoint at;
	struct endpoint v6;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct udp_stats stats;
	struct taken t = { 0 };

	(void)state;
	for (unsigned k = 1; k <= UDP_EXTRA_MAX; k++)
		assert_int_equal(udp_extra_open(u, k, FAMILY_V4, why), ERR_OK);
	for (unsigned k = 1; k <= UDP_EXTRA_MAX; k++)
		queue_from(u, k, &at, (char)k);
	assert_int_equal(addr_parse("[::1]:9", &v6), ERR_OK);
	queue_from(u, 1, &v6, '6'); /* not of its family */
	flush(u);
	while (t.n < UDP_EXTRA_MAX)
		assert_true(udp_receive(u, FAMILY_V4, take, &t) > 0);
	udp_get_stats(u, &stats);
	assert_int_equal(stats.extra, UDP_EXTRA_MAX);
	assert_int_equal(stats.queue_dropped, 1);
	udp_free(u);
}

/* Hostile input 61: no descriptors are left. */
static void
hostile_61_an_extra_socket_without_descriptors_is_refused(void **state)
{
	struct endpoint at;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct rlimit old;
	struct rlimit none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_LIMIT);
	assert_false(udp_extra_works(u, why));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(udp_extra_fd(u, 1), -1);
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_OK);
	udp_free(u);
	assert_int_equal(udp_new(&u), ERR_OK);
	assert_false(udp_extra_works(u, why)); /* no socket to be beside of */
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_UNSUPPORTED);
	udp_free(u);
}

/* Hostile input 20: whoever says that a port is closed, or that hops are used
 * up, ends nothing. */
static void
hostile_20_icmp_errors_end_nothing(void **state)
{
	struct endpoint at;
	struct endpoint closed;
	struct udp *u = new_on("127.0.0.1:0", &at);
	struct taken t = { 0 };
	struct udp_stats stats;

	(void)state;
	(void)close(plain_socket("127.0.0.1:0", &closed));
	assert_int_equal(udp_extra_open(u, 1, FAMILY_V4, why), ERR_OK);
	for (unsigned i = 0; i < 10; i++) {
		queue_from(u, i % 2, &closed, 'c');
		flush(u); /* the answer is there before the next one leaves */
		queue_from(u, i % 2, &at, 'a');
	}
	flush(u);
	while (t.n < 10)
		assert_true(udp_receive(u, FAMILY_V4, take, &t) > 0);
	assert_int_equal(udp_extra_receive(u, 1, take, &t), 0);
	udp_get_stats(u, &stats);
	assert_int_equal(stats.send_failed, 0);
	assert_int_equal(stats.out, 20);
	udp_free(u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_queued_arrives_after_the_flush_only),
		cmocka_unit_test(
		    an_empty_datagram_is_handed_over_and_a_huge_one_is_not),
		cmocka_unit_test(who_reads_too_slowly_is_behind),
		cmocka_unit_test(the_queue_is_bounded_and_can_be_dropped),
		cmocka_unit_test(
		    one_that_cannot_be_sent_does_not_stop_the_others),
		cmocka_unit_test(both_families_stand_side_by_side),
		cmocka_unit_test(
		    an_inherited_descriptor_must_be_a_bound_udp_socket),
		cmocka_unit_test(
		    an_address_that_is_not_here_is_refused_by_name),
		cmocka_unit_test(each_datagram_goes_as_many_hops_as_it_is_told),
		cmocka_unit_test(each_datagram_goes_as_many_hops_in_ipv6_too),
		cmocka_unit_test(
		    an_extra_socket_has_a_port_of_its_own_and_hears_there),
		cmocka_unit_test(
		    what_waits_for_a_closed_socket_leaves_by_no_other),
		cmocka_unit_test(all_extra_sockets_open_at_once),
		cmocka_unit_test(
		    hostile_61_an_extra_socket_without_descriptors_is_refused),
		cmocka_unit_test(hostile_20_icmp_errors_end_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
