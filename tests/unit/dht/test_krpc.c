/* The codec: known messages, what is refused, what is forgiven. */
#include "proto/dht/krpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID "abcdefghij0123456789"

static const struct krpc_form plain_v4 = { FAMILY_V4, false };
static const struct krpc_form plain_v6 = { FAMILY_V6, false };
static struct bencode scratch;

static enum err
decode(const char *text, struct krpc *ret)
{
	return krpc_decode(span_str(text), &scratch, ret);
}

static const char *
fault(const char *text)
{
	struct krpc m;

	assert_int_equal(decode(text, &m), ERR_OK);
	assert_int_equal(m.kind, KRPC_QUERY);
	return m.fault ? m.fault : "";
}

static void
expect_encoded(const struct krpc *m, const char *text)
{
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	krpc_encode(m, &w);
	assert_false(w.bad);
	assert_int_equal(w.n, strlen(text));
	assert_memory_equal(buf, text, w.n);
}

/* What is decoded and encoded again is the same bytes. */
static void
expect_stable(const char *text)
{
	struct krpc m;

	assert_int_equal(decode(text, &m), ERR_OK);
	expect_encoded(&m, text);
}

static void
the_examples_of_bep_5_read_and_write(void **state)
{
	(void)state;
	expect_stable("d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
	expect_stable("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
	expect_stable("d1:ad2:id20:" ID "4:keepi1e3:seqi7e6:target20:" ID
	              "4:wantlee1:q3:get1:t2:aa1:y1:qe");
	expect_stable("d1:rd2:id20:" ID "4:keepi1e3:seqi7ee1:t2:aa1:y1:re");
	expect_stable("d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee");
	expect_stable("d1:ad2:id20:" ID "6:target20:mnopqrstuvwxyz123456e"
	              "1:q9:find_node1:t2:aa1:y1:qe");
	expect_stable("d1:ad2:id20:" ID "9:info_hash20:mnopqrstuvwxyz123456e"
	              "1:q9:get_peers1:t2:aa1:y1:qe");
	expect_stable("d1:rd2:id20:" ID "5:nodes9:def456...5:token8:aoeusnthe"
	              "1:t2:aa1:y1:re");
}

static void
every_field_of_an_item_survives(void **state)
{
	struct krpc m;

	(void)state;
	expect_stable(
	    "d1:ad3:casi5e2:id20:" ID "1:k32:01234567890123456789012345678901"
	    "4:salt6:foobar3:seqi7e3:sig64:"
	    "01234567890123456789012345678901"
	    "01234567890123456789012345678901"
	    "5:token4:toke1:v12:Hello World!e1:q3:put2:roi1e"
	    "1:t4:abcd1:y1:qe");
	expect_stable("d2:ip6:\1\2\3\4\5\6"
	              "1:rd2:id20:" ID "1:k32:01234567890123456789012345678901"
	              "5:nodes0:6:nodes60:3:seqi-1e3:sig64:"
	              "01234567890123456789012345678901"
	              "01234567890123456789012345678901"
	              "5:token1:t1:vli1eee1:t4:abcd1:y1:re");
	assert_int_equal(decode("d2:ip6:\1\2\3\4\1\2"
	                        "1:rd2:id20:" ID "e1:t1:a1:y1:re",
	                     &m),
	    ERR_OK);
	assert_true(m.has_ip);
	assert_int_equal(m.ip.port, 0x0102);
	assert_memory_equal(endpoint_addr(&m.ip).p, "\1\2\3\4", 4);
	assert_int_equal(
	    decode("d2:ip5:abcde1:rd2:id20:" ID "e1:t1:a1:y1:re", &m), ERR_OK);
	assert_false(m.has_ip);
}

static void
the_messages_about_peers_read_and_write(void **state)
{
	struct krpc m;

	(void)state;
	expect_stable("d1:ad2:id20:" ID "12:implied_porti1e9:info_hash20:" ID
	              "4:porti6881e4:seedi1e5:token4:toke"
	              "e1:q13:announce_peer1:t2:aa1:y1:qe");
	expect_stable("d1:ad2:id20:" ID "9:info_hash20:" ID
	              "6:noseedi1ee1:q9:get_peers1:t2:aa1:y1:qe");
	expect_stable("d1:rd2:id20:" ID "5:token1:t"
	              "6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re");
	expect_stable("d1:ad2:id20:" ID "6:target20:" ID
	              "e1:q17:sample_infohashes1:t2:aa1:y1:qe");
	expect_stable("d1:rd2:id20:" ID "8:intervali60e5:nodes0:3:numi2e"
	              "7:samples20:" ID "e1:t2:aa1:y1:re");
	assert_int_equal(decode("d1:ad2:id20:" ID "9:info_hash20:" ID
	                        "4:porti6881e6:scrapei1e5:token1:te"
	                        "1:q13:announce_peer1:t2:aa1:y1:qe",
	                     &m),
	    ERR_OK);
	assert_true(!m.fault && m.port == 6881);
	assert_true(!m.implied_port && !m.seed && !m.noseed);
	/* What is called values but is no list is not there. */
	assert_int_equal(
	    decode("d1:rd2:id20:" ID "6:values6:axje.ue1:t2:aa1:y1:re", &m),
	    ERR_OK);
	assert_null(m.values.p);
}

static void
lists_of_peers_keep_what_is_a_peer_of_the_family(void **state)
{
	static const char mixed[] = "l6:abcdefi7e5:short6:ABCDEF"
	                            "18:0123456789abcdef\1\0027:toolonge";
	struct span raw = span_of(mixed, sizeof(mixed) - 1);
	struct endpoint peer[KRPC_PEERS_MAX];
	uint8_t buf[64];
	struct writer w = wr_init(buf, sizeof(buf));

	(void)state;
	assert_int_equal(
	    krpc_peers_read(raw, FAMILY_V4, &scratch, peer, 100), 2);
	assert_memory_equal(endpoint_addr(&peer[1]).p, "ABCD", 4);
	assert_int_equal(peer[1].port, 'E' << 8 | 'F');
	assert_int_equal(krpc_peers_read(raw, FAMILY_V4, &scratch, peer, 1), 1);
	assert_int_equal(
	    krpc_peers_read(raw, FAMILY_V6, &scratch, peer, 100), 1);
	assert_int_equal(peer[0].port, 0x0102);
	raw.n--;
	assert_int_equal(
	    krpc_peers_read(raw, FAMILY_V4, &scratch, peer, 100), 0);
	assert_int_equal(
	    krpc_peers_read(span_of(NULL, 0), FAMILY_V4, &scratch, peer, 100),
	    0);
	peer[1] = endpoint_v4((const uint8_t *)"wxyz", 0x4142);
	krpc_peers_write(peer, 2, &w);
	assert_memory_equal(buf, "l18:0123456789abcdef\1\0026:wxyzABe", w.n);
	assert_int_equal(w.n, 31);
}

static void
wanted_families_are_read_and_strange_ones_ignored(void **state)
{
	struct krpc m;

	(void)state;
	expect_stable("d1:ad2:id20:" ID "6:target20:" ID "4:wantl2:n42:n6ee"
	              "1:q9:find_node1:t2:aa1:y1:qe");
	assert_int_equal(
	    decode("d1:ad2:id20:" ID "6:target20:" ID "4:wantl2:n7i1e2:n6ee"
	           "1:q9:find_node1:t2:aa1:y1:qe",
	        &m),
	    ERR_OK);
	assert_true(m.has_want && m.want[FAMILY_V6]);
	assert_false(m.want[FAMILY_V4]);
}

static void
what_is_no_krpc_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"de",
		"le",
		"i1e",
		"d1:t2:aa1:y1:qe",                           /* no q */
		"d1:q4:ping1:y1:qe",                         /* no t */
		"d1:ad2:id20:" ID "e1:q4:ping1:t2:aae",      /* no y */
		"d1:ad2:id20:" ID "e1:q4:ping1:ti5e1:y1:qe", /* t is a number */
		"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:xe", /* y = x */
		"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y2:qqe",
		"d1:ad2:id20:" ID "e1:qi1e1:t2:aa1:y1:qe",
		"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:q", /* cut */
		"d1:ad2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qex",
		"d1:rd2:id19:bcdefghij0123456789e1:t2:aa1:y1:re",
		"d1:r2:id1:t2:aa1:y1:re",
		"d1:rle1:t2:aa1:y1:re",
		"d1:e3:foo1:t2:aa1:y1:ee",
		"d1:elee1:t2:aa1:y1:ee",
		"d1:el1:a1:be1:t2:aa1:y1:ee",
		"d1:eli201ee1:t2:aa1:y1:ee",
		/* a t that is longer than what we would echo */
		"d1:ad2:id20:" ID "e1:q4:ping1:t33:"
		"012345678901234567890123456789012"
		"1:y1:qe",
	};
	struct krpc m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(decode(bad[i], &m), ERR_MALFORMED);
}

static void
a_query_with_a_wrong_argument_says_which(void **state)
{
	(void)state;
	assert_string_equal(fault("d1:q4:ping1:t2:aa1:y1:qe"), "missing a");
	assert_string_equal(
	    fault("d1:ade1:q4:ping1:t2:aa1:y1:qe"), "missing id");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "e1:q9:find_node1:t2:aa1:y1:qe"),
	    "missing target");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "6:target3:abce1:q3:get1:t2:aa1:y1:qe"),
	    "missing target");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "e1:q9:get_peers1:t2:aa1:y1:qe"),
	    "missing info_hash");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "1:vi1ee1:q3:put1:t2:aa1:y1:qe"),
	    "missing token");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "5:token1:te1:q3:put1:t2:aa1:y1:qe"),
	    "missing v");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "1:k3:abc5:token1:t1:vi1ee1:q3:put1:t2:aa1:"
	          "y1:qe"),
	    "invalid key");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "3:seq1:x5:token1:t1:vi1ee1:q3:put1:t2:aa1:"
	          "y1:qe"),
	    "invalid seq");
	assert_string_equal(fault("d1:ad2:id20:" ID
	                          "4:salti1e5:token1:t1:vi1ee1:q3:put1:t2:aa1:"
	                          "y1:qe"),
	    "invalid salt");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "e1:q3:foo1:t2:aa1:y1:qe"), "");
	assert_string_equal(fault("d1:ad2:id20:" ID "9:info_hash20:" ID
	                          "4:porti1ee1:q13:announce_peer1:t2:aa1:y1:"
	                          "qe"),
	    "missing token");
	assert_string_equal(fault("d1:ad2:id20:" ID "9:info_hash20:" ID
	                          "4:porti65536e5:token1:te"
	                          "1:q13:announce_peer1:t2:aa1:y1:qe"),
	    "invalid port");
	assert_string_equal(fault("d1:ad2:id20:" ID "12:implied_porti1e"
	                          "9:info_hash20:" ID "4:porti0e5:token1:te"
	                          "1:q13:announce_peer1:t2:aa1:y1:qe"),
	    "");
	assert_string_equal(
	    fault("d1:ad2:id20:" ID "e1:q17:sample_infohashes1:t2:aa1:y1:qe"),
	    "missing target");
}

static void
a_method_of_the_future_may_bring_a_target(void **state)
{
	struct krpc m;

	(void)state;
	assert_int_equal(
	    decode("d1:ad2:id20:" ID "6:target20:" ID "e1:q3:foo1:t1:a1:y1:qe",
	        &m),
	    ERR_OK);
	assert_int_equal(m.method, KRPC_OTHER);
	assert_true(m.has_target && !m.fault);
	assert_int_equal(decode("d1:ad2:id20:" ID "9:info_hash20:" ID
	                        "e1:q3:foo1:t1:a1:y1:qe",
	                     &m),
	    ERR_OK);
	assert_true(m.has_target);
}

static void
node_lists_keep_their_order_and_their_limits(void **state)
{
	static const uint8_t a[4] = { 9, 8, 7, 6 };
	struct krpc_node in[3] = { { { { 1 } }, endpoint_v4(a, 1), { { 0 } } },
		{ { { 2 } }, endpoint_v4(a, 2), { { 0 } } },
		{ { { 3 } }, endpoint_v4(a, 65535), { { 0 } } } };
	struct krpc_node out[3];
	uint8_t buf[3 * 26 + 1] = { 0 };
	struct writer w = wr_init(buf, sizeof(buf));

	(void)state;
	krpc_nodes_write(in, 3, plain_v4, &w);
	assert_int_equal(w.n, 78);
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 78), plain_v4, out, 3), 3);
	for (int i = 0; i < 3; i++) {
		assert_memory_equal(&in[i].id, &out[i].id, 20);
		assert_true(endpoint_eq(&in[i].at, &out[i].at));
	}
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 78), plain_v4, out, 2), 2);
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 79), plain_v4, out, 3), 0);
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 25), plain_v4, out, 3), 0);
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 78), plain_v6, out, 3), 0);
	assert_int_equal(
	    krpc_nodes_read(span_of(buf, 76), plain_v6, out, 3), 2);
	assert_int_equal(
	    krpc_nodes_read(span_of(NULL, 0), plain_v4, out, 3), 0);
}

static void
overlay_lists_carry_the_key_of_each_node(void **state)
{
	static const struct krpc_form keyed[] = { { FAMILY_V4, true },
		{ FAMILY_V6, true } };
	static const size_t sizes[] = { 58, 70 };
	struct krpc_node in[2] = { { .id = { { 1 } } }, { .id = { { 2 } } } };
	struct krpc_node out[2];
	uint8_t buf[2 * 70];

	(void)state;
	memset(in[0].n.b, 7, sizeof(in[0].n.b));
	memset(in[1].n.b, 8, sizeof(in[1].n.b));
	for (int f = 0; f < 2; f++) {
		static const uint8_t v4[4] = { 1, 2, 3, 4 };
		struct writer w = wr_init(buf, sizeof(buf));

		in[0].at = in[1].at = (struct endpoint){ .port = 9 };
		in[0].at.addr[0] = in[1].at.addr[0] = 0x2a;
		if (f == 0)
			in[0].at = in[1].at = endpoint_v4(v4, 9);
		assert_int_equal(krpc_node_size(keyed[f]), sizes[f]);
		krpc_nodes_write(in, 2, keyed[f], &w);
		assert_int_equal(w.n, 2 * sizes[f]);
		assert_int_equal(
		    krpc_nodes_read(wr_span_of(&w), keyed[f], out, 2), 2);
		assert_memory_equal(in, out, sizeof(in));
		assert_int_equal(
		    krpc_nodes_read(span_of(buf, w.n - 1), keyed[f], out, 2),
		    0);
	}
}

static void
the_key_and_the_minute_stand_first(void **state)
{
	struct krpc m = { .kind = KRPC_QUERY,
		.method = KRPC_PING,
		.has_n = true,
		.has_minute = true,
		.minute = 30000000,
		.has_id = true };
	struct krpc got;

	(void)state;
	memset(m.n.b, 'N', sizeof(m.n.b));
	memcpy(m.id.b, ID, sizeof(m.id.b));
	m.t = span_str("aa");
	expect_encoded(&m,
	    "d1:ad1:N32:NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN"
	    "1:Ti30000000e2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe");
	assert_int_equal(
	    decode("d1:ad1:N32:NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN"
	           "1:Ti30000000e2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe",
	        &got),
	    ERR_OK);
	assert_true(got.has_n && got.has_minute && !got.fault);
	assert_int_equal(got.minute, 30000000);
}

#define N32 "NNNNNNNNNNNNNNNNNNNNNNNNNNNNNNNN"

static void
what_introducers_say_reads_and_writes(void **state)
{
	struct krpc m;

	(void)state;
	expect_stable("d1:ad1:N32:" N32 "1:Ti30000000e1:c8:cookie_c1:h8:"
	              "handle_h2:id20:" ID "5:token8:tokentoke1:q8:register"
	              "1:t4:aaaa1:y1:qe");
	expect_stable("d1:ad1:N32:" N32 "1:Ti30000000e1:c8:cookie_c1:d5:datag"
	              "1:h8:handle_he1:q4:pass1:t4:aaaa1:y1:qe");
	expect_stable("d1:ad1:Ti30000000e1:d5:datag1:f8:circuit_e1:q4:pass1:t0:"
	              "1:y1:qe");
	expect_stable("d1:ad1:Ti30000000e1:c8:cookie_c1:d5:datag1:f8:circuit_"
	              "1:i6:abcdefe1:q4:hand1:t0:1:y1:qe");
	assert_int_equal(decode("d1:ad1:Ti30000000e1:c8:cookie_c1:d5:datag1:f8:"
	                        "circuit_1:i18:abcdefghijklmnopqre1:q4:hand1:"
	                        "t0:1:y1:qe",
	                     &m),
	    ERR_OK);
	assert_true(m.has_ip && m.has_cookie && m.has_circuit);
	assert_false(m.has_handle);
	assert_int_equal(m.method, KRPC_HAND);
	assert_int_equal(m.datagram.n, 5);
	assert_int_equal(m.ip.port, 'q' << 8 | 'r');
	expect_stable("d1:ad1:Ti30000000e1:c8:cookie_c5:token8:tokentoke1:q4:"
	              "hand1:t0:1:y1:qe");
	expect_stable("d2:ip6:abcdef1:rd1:ei90e2:id20:" ID "5:token8:tokentoke"
	              "1:t4:aaaa1:y1:re");
	/* Only where they belong. */
	assert_int_equal(decode("d1:ad1:c8:cookie_c1:f8:circuit_1:h8:handle_h"
	                        "2:id20:" ID "e1:q4:ping1:t2:aa1:y1:qe",
	                     &m),
	    ERR_OK);
	assert_false(m.has_cookie || m.has_circuit || m.has_handle);
}

/* Of what another would find in a message of a name that he does not know. */
static void
on_mainline_what_introducers_say_means_nothing(void **state)
{
	static const char *const args[] = { "", "2:id20:" ID,
		"1:c8:cookie_c1:d5:datag1:f8:circuit_1:h8:handle_h",
		"1:h3:xyz2:id20:" ID "9:info_hash20:" ID,
		"2:id20:" ID "1:k3:abc", "2:id20:" ID "6:target20:" ID };
	static const char *const names[] = { "8:register", "4:pass", "4:hand" };

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		for (size_t k = 0; k < 3; k++) {
			char text[2][256];
			struct krpc ours, other;

			(void)snprintf(text[0], sizeof(text[0]),
			    "d1:ad%se1:q%s1:t2:aa1:y1:qe", args[i], names[k]);
			(void)snprintf(text[1], sizeof(text[1]),
			    "d1:ad%se1:q4:nono1:t2:aa1:y1:qe", args[i]);
			assert_int_equal(decode(text[0], &ours), ERR_OK);
			krpc_plain(&ours);
			assert_int_equal(decode(text[1], &other), ERR_OK);
			assert_int_equal(ours.method, KRPC_OTHER);
			assert_string_equal(ours.fault ? ours.fault : "",
			    other.fault ? other.fault : "");
			assert_int_equal(ours.has_target, other.has_target);
			assert_memory_equal(
			    &ours.target, &other.target, sizeof(ours.target));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_bep_5_read_and_write),
		cmocka_unit_test(every_field_of_an_item_survives),
		cmocka_unit_test(the_messages_about_peers_read_and_write),
		cmocka_unit_test(
		    lists_of_peers_keep_what_is_a_peer_of_the_family),
		cmocka_unit_test(
		    wanted_families_are_read_and_strange_ones_ignored),
		cmocka_unit_test(what_is_no_krpc_is_refused),
		cmocka_unit_test(a_query_with_a_wrong_argument_says_which),
		cmocka_unit_test(a_method_of_the_future_may_bring_a_target),
		cmocka_unit_test(overlay_lists_carry_the_key_of_each_node),
		cmocka_unit_test(the_key_and_the_minute_stand_first),
		cmocka_unit_test(what_introducers_say_reads_and_writes),
		cmocka_unit_test(
		    on_mainline_what_introducers_say_means_nothing),
		cmocka_unit_test(node_lists_keep_their_order_and_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
