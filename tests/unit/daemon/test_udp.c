/* UDP: batches, bounds, inherited sockets. */
#include "daemon/addr.h"
#include "daemon/udp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_queued_arrives_after_the_flush_only),
		cmocka_unit_test(
		    an_empty_datagram_is_handed_over_and_a_huge_one_is_not),
		cmocka_unit_test(the_queue_is_bounded_and_can_be_dropped),
		cmocka_unit_test(
		    one_that_cannot_be_sent_does_not_stop_the_others),
		cmocka_unit_test(both_families_stand_side_by_side),
		cmocka_unit_test(
		    an_inherited_descriptor_must_be_a_bound_udp_socket),
		cmocka_unit_test(
		    an_address_that_is_not_here_is_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
