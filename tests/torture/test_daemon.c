/* A whole daemon without its socket, while an allocation or a call to the disk
 * fails: it answers with an error, or ends in order; what it acknowledged is
 * there once when it starts again. Each life is a process of its own. */
#include "daemon/log.h"
#include "daemon/start.h"
#include "daemon/store.h"
#include "daemon/turn.h"
#include "tests/support/daemon_world.h"
#include "tests/support/rng.h"
#include "tests/torture/disk.h"
#include "tests/torture/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
	TEXTS = 6,
	TRIES = 4,
	PLACES = 30,
	/* About so many calls there are. */
	MEMORY_CALLS = 1000,
	MEMORY_CALLS_START = 4800,
	DISK_CALLS = 250,
	DISK_CALLS_START = 450,
};

struct fault {
	bool memory, for_ever, at_start;
	unsigned at;
};

static struct test_rng dice;
static enum api_error committed;

static void
after_commit(struct daemon *d, enum api_error code)
{
	(void)d;
	committed = code;
}

static void
arm(const struct fault *f)
{
	if (f->memory)
		memory_fail_at(f->at, f->for_ever);
	else
		disk_fail_at(
		    f->for_ever ? DISK_FOR_EVER : DISK_ONCE, f->at, ESTALE);
}

static bool
send_one(struct daemon *d, const struct contact_id *to, unsigned n)
{
	struct command_send in = { .to = *to };
	char text[16], client_id[16];
	struct message_id id;
	bool duplicate;
	enum api_error code;

	(void)snprintf(text, sizeof(text), "text %u", n);
	(void)snprintf(client_id, sizeof(client_id), "c%u", n);
	in.words =
	    (struct node_words){ .kind = MESSAGE_TEXT, .text = span_str(text) };
	in.client_id = span_str(client_id);
	code = command_message_send(d, &in, &id, &duplicate);
	daemon_drain(d);
	if (!d->node && !d->stopping)
		turn_recover(d);
	return !code && !committed;
}

/* Tells through fd what was acknowledged. */
static void __attribute__((noreturn)) live(struct daemon_world *w,
    const struct contact_id *to, const struct fault *f, int fd)
{
	disk_watch(w->dir.path);
	if (f->at_start)
		arm(f);
	if (!daemon_world_start(w))
		_exit(DAEMON_EX_FAILED);
	w->d.hooks.after_commit = after_commit;
	if (!f->at_start)
		arm(f);
	for (unsigned n = 1; n <= TEXTS; n++)
		for (unsigned i = 0; i < TRIES && !w->d.stopping; i++) {
			if (!send_one(&w->d, to, n))
				continue;
			if (write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
				_exit(99);
			break;
		}
	daemon_world_stop(w);
	_exit(w->d.exit_code);
}

/* The life that fails; how often each text was acknowledged, 0 or 1. */
static void
live_apart(struct daemon_world *w, const struct contact_id *to,
    const struct fault *f, bool acked[TEXTS + 1])
{
	unsigned n = 0;
	int status = 0;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[0]);
		live(w, to, f, fds[1]);
	}
	(void)close(fds[1]);
	while (read(fds[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
		acked[n] = true;
	(void)close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) ||
	    (WEXITSTATUS(status) != DAEMON_EX_OK &&
	        WEXITSTATUS(status) != DAEMON_EX_FAILED &&
	        WEXITSTATUS(status) != DAEMON_EX_TEMPFAIL))
		fail_msg("memory=%d for_ever=%d at_start=%d at=%u: status %x",
		    f->memory, f->for_ever, f->at_start, f->at,
		    (unsigned)status);
}

static bool
count_text(void *ctx, const struct store_message *m)
{
	unsigned *times = ctx;

	for (unsigned n = 1; n <= TEXTS; n++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "text %u", n);
		times[n] += span_eq(m->m.text, span_str(text));
	}
	return true;
}

static void
expect_acked(struct daemon_world *w, const struct contact_id *to,
    const bool acked[TEXTS + 1])
{
	struct store_history h = { .contact = *to, .limit = 100 };
	struct store_contact c;
	unsigned times[TEXTS + 1] = { 0 };

	assert_int_equal(store_contact_get(w->d.store, to, &c), ERR_OK);
	assert_int_equal(
	    store_history(w->d.store, &h, count_text, times), ERR_OK);
	for (unsigned n = 1; n <= TEXTS; n++)
		assert_true(times[n] == 1 || (times[n] == 0 && !acked[n]));
	assert_int_equal(store_tampered(w->d.store), 0);
}

static void
fail_at(const struct fault *f)
{
	bool acked[TEXTS + 1] = { false };
	struct daemon_world *w;
	struct contact_id to;
	void *state;

	(void)daemon_world_begin(&state);
	w = state;
	to = daemon_world_add(w, 1);
	daemon_drain(&w->d);
	daemon_world_stop(w);
	live_apart(w, &to, f, acked);
	assert_true(daemon_world_start(w));
	assert_int_equal(daemon_ready(&w->d), API_OK);
	expect_acked(w, &to, acked);
	(void)daemon_world_end(&state);
}

static void
somewhere(struct fault f, unsigned n)
{
	unsigned places = test_rounds(PLACES);

	for (unsigned i = 0; i < places; i++) {
		f.at = 1 + rng_below(&dice.rng, n);
		fail_at(&f);
	}
}

static void
in_both(struct fault f)
{
	somewhere(f, f.memory ? MEMORY_CALLS : DISK_CALLS);
	f.at_start = true;
	somewhere(f, f.memory ? MEMORY_CALLS_START : DISK_CALLS_START);
}

/* Hostile input 59. */
static void
a_daemon_survives_an_allocation_that_fails(void **state)
{
	(void)state;
	in_both((struct fault){ .memory = true });
}

/* Hostile input 59. */
static void
a_daemon_without_memory_ends_in_order(void **state)
{
	(void)state;
	in_both((struct fault){ .memory = true, .for_ever = true });
}

/* Hostile input 52. */
static void
a_daemon_survives_a_disk_that_fails(void **state)
{
	(void)state;
	in_both((struct fault){ .memory = false });
	in_both((struct fault){ .for_ever = true });
}

/* ---- what contacts know ---- */

static uint16_t
port_of(struct daemon_world *w)
{
	uint8_t b[2] = { 0 };
	size_t n = 0;

	assert_int_equal(
	    store_meta_get(w->d.store, "port", b, sizeof(b), &n), ERR_OK);
	assert_int_equal(n, sizeof(b));
	return (uint16_t)(b[0] << 8 | b[1]);
}

/* A start that fails there; false: there are not so many allocations. */
static bool
start_apart(struct daemon_world *w, unsigned at)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		memory_fail_at(at, false);
		if (daemon_world_start(w)) {
			daemon_world_stop(w);
			_exit(memory_hit() ? DAEMON_EX_OK : 99);
		}
		_exit(DAEMON_EX_FAILED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status) != 99;
}

/* Nobody finds us at another one. */
static void
a_port_that_cannot_be_read_is_kept(void **state)
{
	struct daemon_world *w;
	unsigned at = 1;
	uint16_t port;
	void *it;

	(void)state;
	(void)daemon_world_begin(&it);
	w = it;
	port = port_of(w);
	daemon_world_stop(w);
	while (start_apart(w, at))
		at += getenv("BTCHAT_LONG") ? 1 : 1 + rng_below(&dice.rng, 40);
	print_message("to place %u\n", at);
	assert_true(daemon_world_start(w));
	assert_int_equal(port_of(w), port);
	(void)daemon_world_end(&it);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_daemon_survives_an_allocation_that_fails),
		cmocka_unit_test(a_daemon_without_memory_ends_in_order),
		cmocka_unit_test(a_daemon_survives_a_disk_that_fails),
		cmocka_unit_test(a_port_that_cannot_be_read_is_kept),
	};

	log_init(LOG_CRIT, false);
	memory_begin();
	test_rng_init(&dice, test_seed((uint64_t)getpid()));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
