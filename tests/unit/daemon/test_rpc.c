/* The RPC server in a daemon of this process: what leaves when, lost turns,
 * slow clients and ephemeral events. */
#include "daemon/rpc.h"
#include "daemon/rpc_conn.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

enum { SEEN_MAX = 4 * 1024 * 1024 };

static struct daemon_world *world;
static int client;
static char seen[SEEN_MAX + 1]; /* what the client has read so far */
static size_t n_seen;

static void
connect_client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	(void)snprintf(
	    a.sun_path, sizeof(a.sun_path), "%.100s", world->d.config.socket);
	client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(client >= 0);
	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	n_seen = 0;
	seen[0] = '\0';
}

static int
setup(void **state)
{
	char why[RPC_WHY_SIZE];

	assert_int_equal(daemon_world_begin(state), 0);
	world = *state;
	assert_int_equal(rpc_start(&world->d, why), ERR_OK);
	connect_client();
	return 0;
}

static int
teardown(void **state)
{
	(void)close(client);
	rpc_stop(&world->d);
	return daemon_world_end(state);
}

static void
say(const char *line)
{
	assert_int_equal(
	    send(client, line, strlen(line), 0), (ssize_t)strlen(line));
}

/* One pass of the loop, as loop_run does it. */
static void
turn(void)
{
	(void)event_base_loop(world->d.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	daemon_wake(&world->d);
	if (daemon_has_work(&world->d))
		daemon_drain(&world->d);
}

static void
listen_to_it(void)
{
	ssize_t n;

	while ((n = recv(client, seen + n_seen, SEEN_MAX - n_seen,
	            MSG_DONTWAIT)) > 0)
		n_seen += (size_t)n;
	seen[n_seen] = '\0';
}

/* Turns until the client has read that; false after many. */
static bool
hears(const char *what)
{
	for (int i = 0; i < 200; i++) {
		turn();
		listen_to_it();
		if (strstr(seen, what))
			return true;
	}
	return false;
}

static void
forget(void)
{
	n_seen = 0;
	seen[0] = '\0';
}

#define CALL(id, method, params) \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method \
	"\",\"params\":{" params "}}\n"

static void
answers_are_held_back_until_they_are_durable(void **state)
{
	struct rpc_conn *c;

	(void)state;
	say(CALL("1", "status", ""));
	assert_true(hears("\"id\":1,"));
	c = world->d.rpc->conns;
	/* What a handler wrote is in the buffer and may not leave. */
	say(CALL("2", "invite.create", ""));
	(void)recv(client, seen, 0, MSG_DONTWAIT);
	c->in = malloc(1024);
	assert_non_null(c->in);
	c->in_cap = 1024;
	c->in_n = (size_t)recv(c->fd, c->in, 1024, MSG_DONTWAIT);
	rpc_conn_serve(c);
	assert_true(c->out.n > 0);
	assert_int_equal(c->ready, 0);
	assert_int_equal(c->n_marks, 1);
	assert_true(rpc_conn_flush(c));
	listen_to_it();
	assert_null(strstr(seen, "\"id\":2,"));
	daemon_drain(&world->d);
	assert_true(hears("\"id\":2,\"result\""));
}

static void
a_lost_turn_makes_errors_of_its_answers(void **state)
{
	(void)state;
	say(CALL("0", "status", ""));
	assert_true(hears("\"id\":0,"));
	forget();
	say(CALL("\"sub\"", "events.subscribe", ""));
	say("["
	    "{\"jsonrpc\":\"2.0\",\"id\":\"\\u0061\",\"method\":"
	    "\"status\"},{\"x\":1}]\n");
	say(CALL("3", "invite.create", ""));
	world->d.turn_failed = true;
	assert_true(hears("\"id\":3,"));
	assert_non_null(
	    strstr(seen, "{\"jsonrpc\":\"2.0\",\"id\":\"sub\",\"error\""));
	assert_non_null(
	    strstr(seen, "[{\"jsonrpc\":\"2.0\",\"id\":\"\\u0061\",\"error\""));
	assert_non_null(
	    strstr(seen, "}},{\"jsonrpc\":\"2.0\",\"id\":null,\"error\""));
	assert_null(strstr(seen, "\"result\""));
	assert_null(world->d.rpc->conns->subs);
	assert_int_equal(world->d.rpc->conns->n_subs, 0);
	/* And it goes on, from what is stored. */
	forget();
	say(CALL("4", "invite.list", ""));
	assert_true(hears("\"id\":4,\"result\":{\"items\":[]}"));
}

static void
put_presence(unsigned n, bool online)
{
	struct contact_id id = { { (uint8_t)(n >> 8), (uint8_t)n, 1 } };
	char body[64];

	(void)snprintf(body, sizeof(body), "{\"n\":%u,\"online\":%s}", n,
	    online ? "true" : "false");
	daemon_ephemeral(&world->d, EVENT_PRESENCE, &id, span_str(body));
}

static void
ephemeral_states_are_told_once_and_newest(void **state)
{
	(void)state;
	say(CALL("1", "events.subscribe", "\"types\":[\"presence\"]"));
	assert_true(hears("sub.live"));
	forget();
	put_presence(1, true);
	put_presence(2, true);
	put_presence(1, false); /* within one turn: only this one counts */
	assert_true(hears("{\"n\":1,\"online\":false}"));
	assert_non_null(strstr(seen, "{\"n\":2,\"online\":true}"));
	assert_null(strstr(seen, "{\"n\":1,\"online\":true}"));
	assert_null(strstr(seen, "\"seq\""));
	assert_null(strstr(seen, "sub.lag"));
	forget();
	say(CALL("2", "status", ""));
	assert_true(hears("\"id\":2,"));
	assert_null(strstr(seen, "presence"));
}

/* Output that the kernel does not take any more. */
static void
stop_up(void)
{
	const char *line = CALL("7", "session.info", "");
	struct rpc_conn *c = world->d.rpc->conns;

	for (int i = 0; i < 2000 && c->out.n <= RPC_LAZY_MAX; i++) {
		say(line);
		turn();
	}
	assert_true(c->out.n > RPC_LAZY_MAX);
}

static void
a_slow_client_is_told_what_it_missed(void **state)
{
	char *lag;

	(void)state;
	say(CALL("1", "events.subscribe", ""));
	assert_true(hears("sub.live"));
	stop_up();
	for (unsigned i = 0; i < 100; i++) {
		put_presence(1, i % 2);
		turn();
	}
	forget();
	assert_true(hears("sub.lag"));
	lag = strstr(seen, "sub.lag");
	assert_non_null(strstr(lag, "\"dropped\":99}"));
	assert_non_null(strstr(seen, "{\"n\":1,\"online\":true}"));
	assert_null(strstr(seen, "{\"n\":1,\"online\":false}"));
}

static void
ephemeral_states_are_bounded(void **state)
{
	struct rpc *r = world->d.rpc;

	(void)state;
	for (unsigned i = 0; i < 3 * RPC_EPHEMERAL_MAX; i++)
		put_presence(i, true);
	turn();
	assert_int_equal(r->n_states, RPC_EPHEMERAL_MAX);
	assert_int_equal(r->version, 3 * RPC_EPHEMERAL_MAX);
	for (size_t i = 0; i < r->n_states; i++)
		assert_true(r->states[i].version > 2 * RPC_EPHEMERAL_MAX);
}

/* Hostile 42: a subscriber that does not read costs one buffer. */
static void
a_stuck_subscriber_holds_no_more_than_its_buffer(void **state)
{
	struct contact_id bob = daemon_world_add(world, 1);
	struct command_send in = { .to = bob,
		.words = { .kind = MESSAGE_TEXT } };
	static char text[2000];
	struct rpc_conn *c;
	int64_t from;

	(void)state;
	memset(text, 'x', sizeof(text));
	say(CALL("1", "events.subscribe", "\"since\":\"oldest\""));
	assert_true(hears("sub.live"));
	c = world->d.rpc->conns;
	for (int i = 0; i < 1500; i++) {
		struct message_id id;
		bool duplicate;

		in.words.text = span_of(text, sizeof(text));
		assert_int_equal(
		    command_message_send(&world->d, &in, &id, &duplicate),
		    API_OK);
		if (i % 50 == 0)
			turn();
		assert_true(c->out.n <= RPC_PENDING_MAX + sizeof(text) + 1000);
	}
	turn();
	assert_true(c->subs->cursor < world->d.event_head);
	assert_true(c->out.cap <= RPC_BUFFER_MAX);
	from = c->subs->cursor;
	for (int i = 0; i < 3000 && c->subs->cursor < world->d.event_head;
	     i++) {
		turn();
		forget();
		listen_to_it();
	}
	assert_true(from < c->subs->cursor);
	assert_int_equal(c->subs->cursor, world->d.event_head);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    answers_are_held_back_until_they_are_durable, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    a_lost_turn_makes_errors_of_its_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    ephemeral_states_are_told_once_and_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_slow_client_is_told_what_it_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    ephemeral_states_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_stuck_subscriber_holds_no_more_than_its_buffer, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
