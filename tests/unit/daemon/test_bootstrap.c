/* The first nodes: numbers at once, names by the thread, and again for a node
 * that is made anew. */
#include "daemon/addr.h"
#include "daemon/bootstrap.h"
#include "daemon/loop.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The only name there is; every other question ends here, too. The answer is
 * made by getaddrinfo(3), which asks nobody for what is a number already. */
static const char known_name[] = "node.invalid";

static int
resolve_here(const char *host, const char *port, const struct addrinfo *hints,
    struct addrinfo **ret)
{
	if (strcmp(host, known_name) != 0)
		return EAI_NONAME;
	return getaddrinfo("127.0.0.1", port, hints, ret);
}

static int
begin(void **state)
{
	struct resolver here = { resolve_here };
	int failed = daemon_world_begin(state);
	struct daemon_world *w = *state;

	if (failed || bootstrap_new(&w->d))
		return 1;
	bootstrap_set_resolver(&w->d, here);
	return 0;
}

/* A stranger's socket that only listens. */
static int
listener(struct endpoint *ret)
{
	struct sockaddr_storage ss;
	socklen_t n;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(addr_parse("127.0.0.1:0", ret), ERR_OK);
	n = addr_to_sockaddr(ret, &ss);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, n), 0);
	n = sizeof(ss);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &n), 0);
	assert_int_equal(
	    addr_from_sockaddr((struct sockaddr *)&ss, n, ret), ERR_OK);
	return fd;
}

/* Turns until a datagram comes there; its first byte. The loop has timers of
 * its own, so it ends. */
static char
turn_until_asked(struct daemon *d, int fd)
{
	char first = 0;

	while (recv(fd, &first, 1, 0) < 0)
		loop_turn(d);
	return first;
}

static void
a_numeric_node_is_asked(void **state)
{
	struct daemon_world *w = *state;
	char text[ADDR_TEXT_SIZE];
	struct endpoint at;
	int fd = listener(&at);

	addr_format(&at, text);
	assert_int_equal(command_bootstrap(&w->d, text), API_OK);
	assert_int_equal(turn_until_asked(&w->d, fd), 'd'); /* KRPC */
	(void)close(fd);
}

static void
a_name_is_resolved_and_asked(void **state)
{
	struct daemon_world *w = *state;
	char text[64];
	struct endpoint at;
	int fd = listener(&at);

	(void)snprintf(text, sizeof(text), "%s:%u", known_name, at.port);
	assert_int_equal(command_bootstrap(&w->d, text), API_OK);
	assert_int_equal(turn_until_asked(&w->d, fd), 'd');
	(void)close(fd);
}

static void
a_node_made_anew_is_told_again(void **state)
{
	struct daemon_world *w = *state;
	char text[64];
	struct endpoint at;
	int fd = listener(&at);

	(void)snprintf(text, sizeof(text), "%s:%u", known_name, at.port);
	assert_int_equal(command_bootstrap(&w->d, text), API_OK);
	assert_int_equal(turn_until_asked(&w->d, fd), 'd');
	w->d.turn_failed = true;
	daemon_drain(&w->d);
	assert_null(w->d.node);
	/* More of the old node. */
	while (recv(fd, text, sizeof(text), 0) >= 0)
		;
	while (!w->d.node) /* the loop recovers by itself */
		loop_turn(&w->d);
	assert_int_equal(turn_until_asked(&w->d, fd), 'd');
	(void)close(fd);
}

static void
names_are_few(void **state)
{
	struct daemon_world *w = *state;
	char text[64];
	unsigned n = 0;
	enum api_error code = API_OK;

	for (; !code && n < 1000; n++) {
		(void)snprintf(text, sizeof(text), "host%u.invalid:1", n);
		code = command_bootstrap(&w->d, text);
	}
	assert_int_equal(code, API_QUOTA);
	assert_true(n > CONFIG_BOOTSTRAP_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, daemon_world_end)
		T(a_numeric_node_is_asked),
		T(a_name_is_resolved_and_asked),
		T(a_node_made_anew_is_told_again),
		T(names_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
