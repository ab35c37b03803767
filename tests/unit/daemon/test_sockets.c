/* Extra sockets in a whole daemon: what the node asks for is there, heard, and
 * gone with the node. */
#include "daemon/loop.h"
#include "daemon/sockets.h"
#include "proto/node_int.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static uint64_t
n_in(const struct daemon *d)
{
	struct node_stats s;

	node_get_stats(d->node, &s);
	return s.udp_in;
}

static void
send_by(struct daemon *d, unsigned socket, const struct endpoint *to)
{
	const struct way way = { *to, 0, socket };

	effect_send_way(d->node, &way, span_of("x", 1));
}

static void
what_comes_to_an_extra_socket_is_heard(void **state)
{
	struct daemon_world *w = *state;
	struct daemon *d = &w->d;
	unsigned a = socket_open(d->node, FAMILY_V4);
	unsigned b = socket_open(d->node, FAMILY_V4);
	struct endpoint us;
	uint64_t before;

	daemon_drain(d);
	assert_true(udp_extra_fd(d->udp, a) >= 0);
	assert_true(udp_extra_fd(d->udp, b) >= 0);
	assert_true(udp_bound(d->udp, FAMILY_V4, &us));
	before = n_in(d);
	send_by(d, a, &us);
	daemon_drain(d);
	while (n_in(d) == before) /* it came to the usual one */
		loop_turn(d);
	us.port = 0;
	assert_true(udp_extra_bound(d->udp, b, &us));
	before = n_in(d);
	send_by(d, a, &us);
	daemon_drain(d);
	while (n_in(d) == before)
		loop_turn(d);
	socket_close(d->node, a);
	socket_close(d->node, b);
	daemon_drain(d);
	assert_int_equal(udp_extra_fd(d->udp, a), -1);
	assert_int_equal(udp_extra_fd(d->udp, b), -1);
}

static void
a_lost_turn_closes_them_all(void **state)
{
	struct daemon_world *w = *state;
	struct daemon *d = &w->d;
	unsigned k = socket_open(d->node, FAMILY_V4);
	struct udp_stats s;

	daemon_drain(d);
	assert_true(udp_extra_fd(d->udp, k) >= 0);
	d->turn_failed = true;
	daemon_drain(d);
	assert_null(d->node);
	udp_get_stats(d->udp, &s);
	assert_int_equal(s.extra, 0);
	while (!d->node)
		loop_turn(d);
	assert_int_equal(socket_open(d->node, FAMILY_V4), 1);
	daemon_drain(d);
	assert_true(udp_extra_fd(d->udp, 1) >= 0);
}

static void
one_that_does_not_open_is_lost(void **state)
{
	struct daemon_world *w = *state;
	struct daemon *d = &w->d;
	struct rlimit old;
	struct rlimit none;
	unsigned v6 = socket_open(d->node, FAMILY_V6); /* no such socket here */

	daemon_drain(d);
	assert_false(socket_is_open(d->node, v6));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 3;
	for (unsigned i = 0; i < NODE_SOCKETS_MAX; i++)
		assert_int_not_equal(socket_open(d->node, FAMILY_V4), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_true(daemon_apply(d));
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(d->node->n_sockets, 0);
	daemon_drain(d);
	assert_int_equal(socket_open(d->node, FAMILY_V4), 1);
	daemon_drain(d);
	assert_true(socket_is_open(d->node, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, daemon_world_begin, daemon_world_end)
		T(what_comes_to_an_extra_socket_is_heard),
		T(a_lost_turn_closes_them_all),
		T(one_that_does_not_open_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
