/* The checker must catch every broken law: each test breaks one, with two
 * fake people whose disks are written by hand. */
#include "tests/sim/check.h"
#include "tests/sim/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

struct pair {
	struct check check;
	struct disk disk[2];
	struct contact_id contact[2]; /* [a]: a's name for the other */
};

struct watcher {
	struct pair *pair;
	uint32_t who;
};

static void
applied(void *ctx, const struct change *c, enum disk_result result)
{
	struct watcher *w = (struct watcher *)ctx;

	check_applied(&w->pair->check, w->who, c, result);
}

static void
do_change(struct pair *p, uint32_t who, const struct change *c)
{
	struct watcher w = { p, who };
	struct disk_watch watch = { applied, &w };

	disk_store(&p->disk[who], c);
	disk_commit(&p->disk[who], &watch);
}

static void
store_contact(struct pair *p, uint32_t who, enum contact_state state)
{
	struct change c = { .kind = CHANGE_CONTACT,
		.contact = p->contact[who],
		.contact_state = state,
		.id_pk = p->check.pk[1 - who],
		.record = span_str("record") };

	do_change(p, who, &c);
}

static void
setup(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	for (uint32_t i = 0; i < 2; i++) {
		struct id_pk pk;

		memset(pk.b, (int)(i + 1), sizeof(pk.b));
		check_person(&p->check, i, &pk, &p->disk[i]);
		memset(p->contact[i].b, (int)(i + 10), 16);
		p->check.wanted[i][1 - i] = true;
	}
	store_contact(p, 0, CONTACT_WAITING);
	store_contact(p, 1, CONTACT_WAITING);
	store_contact(p, 0, CONTACT_READY);
	store_contact(p, 1, CONTACT_READY);
	assert_false(p->check.failed);
}

static void
teardown(struct pair *p)
{
	disk_clear(&p->disk[0]);
	disk_clear(&p->disk[1]);
	check_clear(&p->check);
}

static struct node_message
message(const struct pair *p, uint32_t at, uint8_t id, uint64_t seq)
{
	struct node_message m = { .contact = p->contact[at],
		.kind = MESSAGE_TEXT,
		.state = at == 0 ? MESSAGE_QUEUED : MESSAGE_RECEIVED,
		.seq = seq,
		.text = span_str("the text of a message") };

	m.id.b[0] = id;
	return m;
}

static void
wrote(struct pair *p, const struct node_message *m)
{
	const struct node_words words = { .kind = m->kind,
		.ref = m->has_ref ? &m->ref : NULL,
		.ttl_s = m->ttl_s,
		.text = m->text };

	check_written(&p->check, 0, 1, &p->contact[0], &m->id, &words);
}

/* Person 0 writes, durable at once. */
static void
write_one(struct pair *p, uint8_t id, uint64_t seq)
{
	struct change c = { .kind = CHANGE_MESSAGE,
		.message = message(p, 0, id, seq) };

	wrote(p, &c.message);
	do_change(p, 0, &c);
}

static void
receive_one(struct pair *p, uint8_t id, uint64_t seq)
{
	struct change c = { .kind = CHANGE_MESSAGE,
		.message = message(p, 1, id, seq) };

	do_change(p, 1, &c);
}

static void
set_state(struct pair *p, uint8_t id, enum message_state to)
{
	struct change c = { .kind = CHANGE_MESSAGE_STATE,
		.contact = p->contact[0] };

	c.message.id.b[0] = id;
	c.message.state = to;
	do_change(p, 0, &c);
}

static void
expect(struct pair *p, const char *why)
{
	assert_true(p->check.failed);
	if (!strstr(p->check.why, why))
		fail_msg("%s, not %s", p->check.why, why);
	teardown(p);
}

static void
a_delivered_message_breaks_no_law(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	assert_int_equal(check_missing(&p.check), 1);
	set_state(&p, 1, MESSAGE_SENT);
	receive_one(&p, 1, 1);
	receive_one(&p, 1, 1); /* a repetition is not inserted */
	set_state(&p, 1, MESSAGE_DELIVERED);
	write_one(&p, 2, 2);
	receive_one(&p, 2, 2);
	set_state(&p, 2, MESSAGE_DELIVERED);
	check_history(&p.check);
	if (p.check.failed)
		fail_msg("%s", p.check.why);
	assert_int_equal(check_missing(&p.check), 0);
	assert_int_equal(p.check.n_repeated, 1);
	assert_int_equal(p.disk[1].n_messages, 2);
	teardown(&p);
}

/* Person 0 takes it back, and says so. */
static void
take_back(struct pair *p, uint8_t id)
{
	struct change c = { .kind = CHANGE_MESSAGE_STATE,
		.contact = p->contact[0] };

	c.message.id.b[0] = id;
	c.message.state = MESSAGE_FAILED;
	c.message.reason = REASON_CANCELLED;
	p->check.messages[id - 1].unwanted = true;
	do_change(p, 0, &c);
}

static void
number_anew(struct pair *p, uint8_t id, uint64_t seq)
{
	struct change c = { .kind = CHANGE_MESSAGE_NUMBER,
		.contact = p->contact[0] };

	c.message.id.b[0] = id;
	c.message.seq = seq;
	do_change(p, 0, &c);
}

static void
send_again(struct pair *p, uint8_t id, uint64_t seq, const char *text)
{
	struct change c = { .kind = CHANGE_MESSAGE,
		.message = message(p, 0, id, seq),
		.again = true };

	c.message.text = span_str(text);
	do_change(p, 0, &c);
}

static void
what_is_taken_back_and_sent_again_breaks_no_law(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	write_one(&p, 2, 2);
	take_back(&p, 1);
	assert_int_equal(check_missing(&p.check), 1);
	number_anew(&p, 2, 1);
	receive_one(&p, 2, 1);
	set_state(&p, 2, MESSAGE_DELIVERED);
	assert_int_equal(check_missing(&p.check), 0);
	check_history(&p.check);
	send_again(&p, 1, 2, "the text of a message");
	assert_int_equal(check_missing(&p.check), 1);
	receive_one(&p, 1, 2);
	set_state(&p, 1, MESSAGE_DELIVERED);
	check_history(&p.check);
	if (p.check.failed)
		fail_msg("%s", p.check.why);
	assert_int_equal(check_missing(&p.check), 0);
	teardown(&p);
}

static void
hearing_what_was_taken_back_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	take_back(&p, 1);
	receive_one(&p, 1, 1);
	expect(&p, "hears what p0 took back");

	setup(&p);
	write_one(&p, 1, 1);
	receive_one(&p, 1, 1);
	take_back(&p, 1);
	expect(&p, "takes back what p1 has");
}

static void
taking_back_what_is_wanted_is_caught(void **state)
{
	static struct pair p; /* large */
	struct change c = { .kind = CHANGE_MESSAGE_STATE };

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	c.contact = p.contact[0];
	c.message.id.b[0] = 1;
	c.message.state = MESSAGE_FAILED;
	c.message.reason = REASON_CANCELLED;
	do_change(&p, 0, &c);
	expect(&p, "what it wants to say");
}

static void
numbers_that_are_wrong_are_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	set_state(&p, 1, MESSAGE_SENT);
	number_anew(&p, 1, 1);
	expect(&p, "numbered anew");

	setup(&p);
	write_one(&p, 1, 1);
	number_anew(&p, 1, 2);
	expect(&p, "leaves a gap");

	setup(&p);
	write_one(&p, 1, 1);
	take_back(&p, 1);
	send_again(&p, 1, 1, "another text");
	expect(&p, "something else when sent again");

	setup(&p);
	write_one(&p, 1, 1);
	send_again(&p, 1, 2, "the text of a message");
	expect(&p, "stored twice");
}

static void
acked_but_not_stored_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	set_state(&p, 1, MESSAGE_DELIVERED);
	expect(&p, "acked but lost");
}

static void
a_text_that_nobody_wrote_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	receive_one(&p, 1, 1);
	expect(&p, "was not written so");
}

static void
another_text_is_caught(void **state)
{
	static struct pair p; /* large */
	struct change c;

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	c = (struct change){ .kind = CHANGE_MESSAGE,
		.message = message(&p, 1, 1, 1) };
	c.message.text = span_str("the text of a massage");
	do_change(&p, 1, &c);
	expect(&p, "was not written so");
}

static void
what_is_not_durable_at_the_sender_is_caught(void **state)
{
	static struct pair p; /* large */
	struct node_message m;

	(void)state;
	setup(&p);
	m = message(&p, 0, 1, 1);
	wrote(&p, &m);
	receive_one(&p, 1, 1);
	expect(&p, "was not written so");
}

/* The same words about another text, or for another time, are other words. */
static void
words_about_something_else_are_caught(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 3; which++) {
		static struct pair p; /* large */
		struct change c = { .kind = CHANGE_MESSAGE };

		setup(&p);
		write_one(&p, 1, 1);
		c.message = message(&p, 1, 1, 1);
		if (which == 0)
			c.message.ttl_s = 5;
		if (which == 1)
			c.message.has_ref = true;
		if (which == 2)
			c.message.kind = MESSAGE_TIMER;
		do_change(&p, 1, &c);
		expect(&p, "was not written so");
	}
}

/* The disk loses all rows of messages but the first ones. */
static void
forget(struct disk *d, size_t keep)
{
	while (d->n_messages > keep) {
		uint8_t *text;

		d->n_messages--;
		memcpy(
		    &text, &d->messages[d->n_messages].m.text.p, sizeof(text));
		free(text);
	}
}

static void
a_wrong_order_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	write_one(&p, 2, 2);
	receive_one(&p, 2, 2);
	expect(&p, "gap");

	setup(&p);
	write_one(&p, 1, 1);
	write_one(&p, 2, 2);
	receive_one(&p, 1, 1);
	receive_one(&p, 2, 2);
	p.check.lanes[0].seq = 3;
	p.check.messages[1].received = false;
	forget(&p.disk[1], 1);
	receive_one(&p, 2, 2);
	expect(&p, "after 3");
}

static void
two_rows_of_one_message_are_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	receive_one(&p, 1, 1);
	forget(&p.disk[1], 0); /* a second row */
	receive_one(&p, 1, 1);
	forget(&p.disk[1], 0);
	expect(&p, "twice");
}

static void
a_contact_that_nobody_wanted_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	p.check.wanted[1][0] = false;
	store_contact(&p, 1, CONTACT_READY);
	expect(&p, "nobody asked for");
}

static void
going_back_is_caught(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	receive_one(&p, 1, 1);
	set_state(&p, 1, MESSAGE_DELIVERED);
	set_state(&p, 1, MESSAGE_SENT);
	expect(&p, "goes back");

	setup(&p);
	store_contact(&p, 1, CONTACT_WAITING);
	expect(&p, "waits again");
}

static void
an_acked_row_that_vanishes_is_caught_at_the_end(void **state)
{
	static struct pair p; /* large */

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	receive_one(&p, 1, 1);
	set_state(&p, 1, MESSAGE_DELIVERED);
	p.disk[1].messages[0].m.id.b[5] ^= 1;
	check_history(&p.check);
	expect(&p, "lost an acked message");
}

static void
a_crash_loses_the_transaction_and_nothing_else(void **state)
{
	static struct pair p; /* large */
	struct change c;

	(void)state;
	setup(&p);
	write_one(&p, 1, 1);
	c = (struct change){ .kind = CHANGE_MESSAGE,
		.message = message(&p, 0, 2, 2) };
	disk_store(&p.disk[0], &c);
	disk_rollback(&p.disk[0]);
	assert_int_equal(p.disk[0].n_messages, 1);
	assert_null(disk_message(&p.disk[0], &p.contact[0], &c.message.id));
	assert_non_null(disk_contact_of(&p.disk[0], &p.check.pk[1]));
	teardown(&p);
}

/* A long life has many. */
static void
the_last_of_many_secrets_is_caught(void **state)
{
	static struct wire wire;
	uint8_t b[1052], text[WIRE_PATTERN_MAX];

	(void)state;
	randombytes_buf(b, sizeof(b));
	b[0] = 'x';
	for (size_t i = 0; i < WIRE_PATTERNS_MAX; i++) {
		randombytes_buf(text, sizeof(text));
		wire_forbid(&wire, span_of(text, sizeof(text)));
	}
	assert_null(wire_check(&wire, span_of(b, sizeof(b))));
	memcpy(b + 7, text, sizeof(text));
	assert_non_null(wire_check(&wire, span_of(b, sizeof(b))));
}

static void
a_secret_in_a_datagram_is_caught(void **state)
{
	static struct wire wire;
	uint8_t b[1052], with[1052];
	uint8_t id[32], text[WIRE_PATTERN_MIN];

	(void)state;
	randombytes_buf(b, sizeof(b));
	b[0] = 'x';
	randombytes_buf(id, sizeof(id));
	randombytes_buf(text, sizeof(text));
	wire_forbid(&wire, span_of(id, sizeof(id)));
	wire_forbid(&wire, span_of(text, sizeof(text)));
	assert_null(wire_check(&wire, span_of(b, sizeof(b))));
	for (size_t at = 1; at <= sizeof(b) - sizeof(text); at++) {
		memcpy(with, b, sizeof(b));
		memcpy(with + at, text, sizeof(text));
		assert_non_null(wire_check(&wire, span_of(with, sizeof(b))));
		if (at > sizeof(b) - sizeof(id))
			continue;
		memcpy(with, b, sizeof(b));
		memcpy(with + at, id, sizeof(id));
		assert_non_null(wire_check(&wire, span_of(with, sizeof(b))));
	}
}

static void
sizes_and_krpc_are_judged(void **state)
{
	static struct wire wire;
	static const char ping[] =
	    "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
	static const char mark[] = "d1:rd2:id20:abcdefghij0123456789e1:t2:aa"
	                           "1:v4:BC011:y1:re";
	uint8_t b[1500] = { 1 };

	(void)state;
	for (size_t n = 0; n < 1200; n++) {
		bool ok = n == 56 || n == 104 || n == 168 || n == 92 ||
		          n == 156 || n == 284 || n == 540 || n == 1052;

		assert_true(ok == !wire_check(&wire, span_of(b, n)));
	}
	assert_null(wire_check(&wire, span_of(b, 1232)));
	assert_non_null(wire_check(&wire, span_of(b, 1480)));
	assert_null(wire_check(&wire, span_str(ping)));
	assert_non_null(wire_check(&wire, span_str(mark)));
	b[0] = 'd';
	assert_non_null(wire_check(&wire, span_of(b, 168)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_delivered_message_breaks_no_law),
		cmocka_unit_test(
		    what_is_taken_back_and_sent_again_breaks_no_law),
		cmocka_unit_test(hearing_what_was_taken_back_is_caught),
		cmocka_unit_test(taking_back_what_is_wanted_is_caught),
		cmocka_unit_test(numbers_that_are_wrong_are_caught),
		cmocka_unit_test(acked_but_not_stored_is_caught),
		cmocka_unit_test(a_text_that_nobody_wrote_is_caught),
		cmocka_unit_test(another_text_is_caught),
		cmocka_unit_test(what_is_not_durable_at_the_sender_is_caught),
		cmocka_unit_test(words_about_something_else_are_caught),
		cmocka_unit_test(a_wrong_order_is_caught),
		cmocka_unit_test(two_rows_of_one_message_are_caught),
		cmocka_unit_test(a_contact_that_nobody_wanted_is_caught),
		cmocka_unit_test(going_back_is_caught),
		cmocka_unit_test(
		    an_acked_row_that_vanishes_is_caught_at_the_end),
		cmocka_unit_test(
		    a_crash_loses_the_transaction_and_nothing_else),
		cmocka_unit_test(a_secret_in_a_datagram_is_caught),
		cmocka_unit_test(the_last_of_many_secrets_is_caught),
		cmocka_unit_test(sizes_and_krpc_are_judged),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
