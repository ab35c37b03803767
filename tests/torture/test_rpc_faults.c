/* What a front end asks for while a read or an allocation fails, once: it gets
 * what it gets otherwise, or hears that the store or the memory is to blame. It
 * never hears that something is not there, nor less than there is. Each try is
 * a process of its own, which commits nothing. */
#include "daemon/log.h"
#include "daemon/rpc.h"
#include "daemon/rpc_conn.h"
#include "daemon/store_db.h"
#include "proto/base/text.h"
#include "proto/node_int.h"
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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

enum { ANSWER_MAX = 128 * 1024, LINE = 512, STEP = 40 };

/* What a try tells its parent. */
struct answer {
	bool hit, lost; /* there was a fault; all its answers are errors */
	int changes;    /* of rows */
	size_t n;
	char text[ANSWER_MAX];
};

static struct daemon_world *world;
static struct test_rng dice;
static struct answer *shared; /* with the children */
static struct answer good;
static char contact[ID_TEXT_SIZE], message[ID_TEXT_SIZE], invite[ID_TEXT_SIZE];

/* ---- the world ---- */

static struct message_id
say(const struct contact_id *to, const char *text, const char *client_id)
{
	struct command_send in = { .to = *to,
		.words = { .kind = MESSAGE_TEXT, .text = span_str(text) },
		.client_id = span_str(client_id) };
	struct message_id id;
	bool duplicate;

	assert_int_equal(
	    command_message_send(&world->d, &in, &id, &duplicate), API_OK);
	daemon_drain(&world->d);
	return id;
}

/* Delivered, as if they had said so, and thought something of it. */
static void
answer_it(const struct contact_id *to, const struct message_id *id)
{
	struct store_message m = { .m = { .contact = *to } }, stored;

	m.m.kind = MESSAGE_REACTION;
	m.m.state = MESSAGE_RECEIVED;
	m.m.has_ref = true;
	m.m.ref = *id;
	m.m.text = span_str("+1");
	assert_int_equal(
	    store_message_change(world->d.store, &m, 1000), ERR_OK);
	assert_int_equal(store_message_move(world->d.store, to, id,
	                     MESSAGE_DELIVERED, 1000, &stored),
	    ERR_OK);
	daemon_drain(&world->d);
}

/* They have said something, and want to know that it was read. */
static void
hear(const struct contact_id *from)
{
	struct store_message m = { .m = { .contact = *from } };
	struct store_conv c = { .receipts = STORE_RECEIPTS_ON };

	m.m.id.b[0] = 7;
	m.m.kind = MESSAGE_TEXT;
	m.m.state = MESSAGE_RECEIVED;
	m.m.seq = 1;
	m.m.text = span_str("hello you");
	assert_int_equal(store_message_add(world->d.store, &m), ERR_OK);
	assert_int_equal(store_conv_set(world->d.store, from, &c), ERR_OK);
	daemon_drain(&world->d);
}

/* Two of one name, of whom one was written to; an invitation that is over. */
static void
fill(void)
{
	struct contact_id to = daemon_world_add(world, 1);
	struct message_id id;
	struct node_invite i;

	(void)daemon_world_add(world, 2);
	daemon_drain(&world->d);
	id = say(&to, "hello world", "first");
	answer_it(&to, &id);
	(void)say(&to, "another world", "second");
	hear(&to);
	assert_int_equal(
	    command_identity_name(&world->d, span_str("me")), API_OK);
	assert_int_equal(
	    command_identity_profile(&world->d, span_str("my name")), API_OK);
	assert_int_equal(
	    command_invite_create(&world->d, span_str("label"), 3600000, &i),
	    API_OK);
	assert_int_equal(command_invite_revoke(&world->d, &i.id), API_OK);
	daemon_drain(&world->d);
	id_encode(to.b, contact);
	id_encode(id.b, message);
	id_encode(i.id.b, invite);
}

static void
connect_client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)snprintf(
	    a.sun_path, sizeof(a.sun_path), "%.100s", world->d.config.socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	while (!world->d.rpc->conns)
		(void)event_base_loop(world->d.base, EVLOOP_ONCE);
	world->d.rpc->conns->in = malloc(ANSWER_MAX);
	assert_non_null(world->d.rpc->conns->in);
	world->d.rpc->conns->in_cap = ANSWER_MAX;
}

/* ---- one try ---- */

struct fault {
	bool memory;
	unsigned at; /* 0: none */
};

/* Puts what was asked; NULL: what there is to tell a subscriber. */
static void
serve(struct rpc_conn *c, const char *line)
{
	if (line)
		rpc_conn_serve(c);
	else
		(void)rpc_sub_pull(c->subs);
}

static void __attribute__((noreturn))
ask_apart(const char *line, struct fault f)
{
	struct rpc_conn *c = world->d.rpc->conns;
	sqlite3 *db = world->d.store->db;
	int before = sqlite3_total_changes(db);

	c->in_n = line ? strlen(line) : 0;
	if (line)
		memcpy(c->in, line, c->in_n);
	/* What it reads comes from the disk. */
	(void)sqlite3_db_release_memory(db);
	if (f.at && f.memory)
		memory_fail_at(f.at, false);
	else if (f.at)
		disk_fail_at(DISK_ONCE, f.at, EIO);
	serve(c, line);
	shared->hit = f.memory ? memory_hit() : disk_hit();
	memory_fail_at(0, false);
	if (!line) /* and goes on */
		serve(c, line);
	shared->changes = sqlite3_total_changes(db) - before;
	shared->lost =
	    world->d.turn_failed || world->d.store->failed || c->dead;
	shared->n = c->out.n < ANSWER_MAX ? c->out.n : ANSWER_MAX - 1;
	if (shared->n > 0)
		memcpy(shared->text, c->out.p, shared->n);
	shared->text[shared->n] = '\0';
	_exit(0);
}

static void
ask(const char *line, struct fault f)
{
	int status = 1;
	pid_t pid;

	shared->n = 0;
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		ask_apart(line, f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Is the store to blame, or the memory? */
static bool
blames_us(const char *answer)
{
	static const char *const names[] = { "INTERNAL", "STORAGE_FULL",
		"STORAGE_ERROR", "RESPONSE_TOO_LARGE" };
	char text[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		(void)snprintf(text, sizeof(text), "\"name\":\"%s\"", names[i]);
		if (strstr(answer, "\"error\":") && strstr(answer, text))
			return true;
	}
	return false;
}

static void
fail_everywhere(const char *line, bool memory)
{
	bool all = !memory || getenv("BTCHAT_LONG");
	struct fault f = { .memory = memory };

	ask(line, f);
	good = *shared;
	assert_false(good.lost || good.n == 0);
	for (;;) {
		f.at += all ? 1 : 1 + rng_below(&dice.rng, STEP);
		ask(line, f);
		if (!shared->hit)
			break;
		if (shared->lost || blames_us(shared->text) ||
		    (strcmp(shared->text, good.text) == 0 &&
		        shared->changes == good.changes))
			continue;
		fail_msg("memory=%d at=%u\n%s%d: %s%d: %s", memory, f.at,
		    line ? line : "", good.changes, good.text, shared->changes,
		    shared->text);
	}
	print_message("to place %u: %s", f.at, line ? line : "events\n");
}

static void
answers_are_right_or_blame_the_store(void **state)
{
	static const struct {
		const char *method, *params;
		const char *key; /* of an id behind them, or NULL */
		const char *id;
	} calls[] = {
		{ "contact.resolve", "\"text\":\"somebody\"", NULL, NULL },
		{ "contact.resolve", "", "text", contact },
		{ "contact.get", "", "contact", contact },
		{ "contact.list", "", NULL, NULL },
		{ "contact.set", "\"name\":\"x\",", "contact", contact },
		{ "conv.list", "", NULL, NULL },
		{ "conv.set", "\"muted\":true,", "conv", contact },
		{ "conv.read", "", "conv", contact },
		{ "events.consumers", "", NULL, NULL },
		{ "events.poll", "\"since\":\"oldest\"", NULL, NULL },
		{ "identity.list", "", NULL, NULL },
		{ "identity.show", "", NULL, NULL },
		{ "invite.list", "", NULL, NULL },
		{ "invite.revoke", "", "id", invite },
		{ "message.get", "", "id", message },
		{ "message.history", "", "conv", contact },
		{ "message.search", "\"query\":\"world\"", NULL, NULL },
		{ "message.send",
		    "\"text\":\"hello world\",\"client_id\":\"first\",", "conv",
		    contact },
		{ "message.status", "", "id", message },
		{ "sync.snapshot", "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		const char *quote = calls[i].key ? "\"" : "";
		char line[LINE];

		(void)snprintf(line, sizeof(line),
		    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\","
		    "\"params\":{%s%s%s%s%s%s%s%s}}\n",
		    calls[i].method, calls[i].params, quote,
		    calls[i].key ? calls[i].key : "", quote, *quote ? ":" : "",
		    quote, calls[i].key ? calls[i].id : "", quote);
		fail_everywhere(line, false);
		fail_everywhere(line, true);
	}
}

/* Without gap or overlap. */
static void
a_subscriber_hears_each_event_once(void **state)
{
	static const char subscribe[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"events.subscribe\","
	    "\"params\":{\"since\":\"oldest\",\"ephemeral\":false}}\n";
	struct rpc_conn *c = world->d.rpc->conns;

	(void)state;
	c->in_n = strlen(subscribe);
	memcpy(c->in, subscribe, c->in_n);
	rpc_conn_serve(c);
	assert_non_null(c->subs);
	daemon_drain(&world->d);
	rpc_conn_forget(c);
	fail_everywhere(NULL, false);
	fail_everywhere(NULL, true);
}

static int
setup(void **state)
{
	char why[RPC_WHY_SIZE];
	struct contact_id to;

	assert_int_equal(daemon_world_begin(state), 0);
	world = *state;
	fill();
	daemon_world_stop(world);
	disk_watch(world->dir.path);
	assert_true(daemon_world_start(world));
	assert_int_equal(rpc_start(&world->d, why), ERR_OK);
	connect_client();
	/* What was heard is not acknowledged as read yet. */
	assert_int_equal(id_decode(span_str(contact), to.b), ERR_OK);
	peer_by_id(world->d.node, &to)->c.recv_seq = 1;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	return 0;
}

static int
teardown(void **state)
{
	(void)munmap(shared, sizeof(*shared));
	rpc_stop(&world->d);
	return daemon_world_end(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    answers_are_right_or_blame_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_subscriber_hears_each_event_once, setup, teardown),
	};

	log_init(LOG_CRIT, false);
	memory_begin();
	test_rng_init(&dice, test_seed((uint64_t)getpid()));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
