/* The bytes of PCP and NAT-PMP, as the figures of the two RFCs have them. */
#include "proto/nat/pcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct pcp_map a_map = {
	.internal = { { [10] = 0xff, [11] = 0xff, 192, 168, 1, 7 }, 41641 },
	.suggested = { { [10] = 0xff, [11] = 0xff }, 41641 },
	.lifetime_s = 3600,
	.nonce = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 },
};

/* [RFC 6887 §7.1] figure 2, [RFC 6887 §11.1] figure 9. */
static const uint8_t map_request[PCP_REQUEST_SIZE] = {
	2, 1, 0, 0,                                           /* version, MAP */
	0, 0, 0x0e, 0x10,                                     /* 3600 s */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,             /* ::ffff: */
	192, 168, 1, 7,                                       /* client */
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,                /* nonce */
	17, 0, 0, 0,                                          /* UDP */
	0xa2, 0xa9, 0xa2, 0xa9,                               /* 41641 twice */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, /* any */
};

/* [RFC 6887 §7.2] figure 3, [RFC 6887 §11.1] figure 10. */
static const uint8_t map_reply[60] = {
	2,
	0x81,
	0,
	0, /* MAP answer, success */
	0,
	0,
	0x07,
	0x08, /* 1800 s */
	0,
	1,
	0x51,
	0x80, /* epoch 86400 */
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0, /* reserved */
	1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12, /* nonce */
	17,
	0,
	0,
	0, /* UDP */
	0xa2,
	0xa9,
	0x03,
	0xe8, /* 41641, 1000 */
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0xff,
	0xff, /* ::ffff: */
	203,
	0,
	113,
	9,
};

static void
a_map_request_has_the_bytes_of_the_rfc(void **state)
{
	uint8_t buf[PCP_REQUEST_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	(void)state;
	pcp_map_encode(&a_map, &w);
	assert_false(w.bad);
	assert_int_equal(w.n, sizeof(map_request));
	assert_memory_equal(buf, map_request, sizeof(map_request));
}

static void
nat_pmp_requests_have_the_bytes_of_the_rfc(void **state)
{
	/* [RFC 6886 §3.2] [RFC 6886 §3.3] [RFC 6886 §3.4] */
	static const uint8_t map[] = { 0, 1, 0, 0, 0xa2, 0xa9, 0xa2, 0xa9, 0, 0,
		0x0e, 0x10 };
	static const uint8_t gone[] = { 0, 1, 0, 0, 0xa2, 0xa9, 0, 0, 0, 0, 0,
		0 };
	struct pcp_map m = a_map;
	uint8_t buf[16];
	struct writer w = wr_init(buf, sizeof(buf));

	(void)state;
	pcp_pmp_address_encode(&w);
	assert_int_equal(w.n, 2);
	assert_memory_equal(buf, "\0\0", 2);
	w = wr_init(buf, sizeof(buf));
	pcp_pmp_map_encode(&m, &w);
	assert_int_equal(w.n, sizeof(map));
	assert_memory_equal(buf, map, sizeof(map));
	m.lifetime_s = 0;
	w = wr_init(buf, sizeof(buf));
	pcp_pmp_map_encode(&m, &w);
	assert_memory_equal(buf, gone, sizeof(gone));
}

static void
a_map_answer_is_read(void **state)
{
	struct pcp_reply r;
	uint8_t longer[PCP_REPLY_MAX + 4] = { 0 };
	const uint8_t out[4] = { 203, 0, 113, 9 };
	struct endpoint want = endpoint_v4(out, 1000);

	(void)state;
	assert_int_equal(
	    pcp_reply_decode(span_of(map_reply, sizeof(map_reply)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_MAP);
	assert_int_equal(r.result, PCP_SUCCESS);
	assert_int_equal(r.lifetime_s, 1800);
	assert_int_equal(r.epoch_s, 86400);
	assert_int_equal(r.internal_port, 41641);
	assert_memory_equal(r.nonce, a_map.nonce, sizeof(r.nonce));
	assert_true(endpoint_eq(&r.external, &want));
	/* Options may follow, up to the greatest size. */
	memcpy(longer, map_reply, sizeof(map_reply));
	assert_int_equal(
	    pcp_reply_decode(span_of(longer, PCP_REPLY_MAX), &r), 0);
	assert_int_equal(pcp_reply_decode(span_of(longer, sizeof(longer)), &r),
	    ERR_MALFORMED);
	assert_int_equal(
	    pcp_reply_decode(span_of(longer, 62), &r), ERR_MALFORMED);
}

static void
short_answers_and_requests_are_no_answers(void **state)
{
	struct pcp_reply r = { .lifetime_s = 77 };
	uint8_t bad[60];

	(void)state;
	for (size_t n = 0; n < sizeof(map_reply); n++)
		assert_int_equal(
		    pcp_reply_decode(span_of(map_reply, n), &r), ERR_MALFORMED);
	assert_int_equal(
	    pcp_reply_decode(span_of(map_request, sizeof(map_request)), &r),
	    ERR_MALFORMED);
	memcpy(bad, map_reply, sizeof(bad));
	bad[36] = 6; /* TCP */
	assert_int_equal(
	    pcp_reply_decode(span_of(bad, sizeof(bad)), &r), ERR_MALFORMED);
	memcpy(bad, map_reply, sizeof(bad));
	bad[0] = 3;
	assert_int_equal(
	    pcp_reply_decode(span_of(bad, sizeof(bad)), &r), ERR_MALFORMED);
	assert_int_equal(r.lifetime_s, 77);
}

static void
a_refusal_is_read_in_each_of_its_forms(void **state)
{
	/* PCP of version 1 to one of 2; NAT-PMP alone [RFC 6886 §3.5]. */
	static const uint8_t v1[24] = { 1, 0x81, 0, 1, 0, 0, 0, 30 };
	static const uint8_t pmp[8] = { 0, 0x81, 0, 1, 0, 0, 0, 9 };
	uint8_t no[60];
	struct pcp_reply r;

	(void)state;
	assert_int_equal(pcp_reply_decode(span_of(v1, sizeof(v1)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_REFUSED);
	assert_int_equal(r.result, PCP_UNSUPP_VERSION);
	assert_int_equal(r.lifetime_s, 30);
	assert_int_equal(pcp_reply_decode(span_of(pmp, sizeof(pmp)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_PMP_REFUSED);
	assert_int_equal(r.epoch_s, 9);
	memcpy(no, map_reply, sizeof(no));
	no[3] = PCP_NOT_AUTHORIZED;
	assert_int_equal(pcp_reply_decode(span_of(no, sizeof(no)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_MAP);
	assert_int_equal(r.result, PCP_NOT_AUTHORIZED);
}

static void
nat_pmp_answers_are_read(void **state)
{
	static const uint8_t address[12] = { 0, 0x80, 0, 0, 0, 0, 1, 0, 203, 0,
		113, 9 };
	static const uint8_t map[16] = { 0, 0x81, 0, 0, 0, 0, 1, 0, 0xa2, 0xa9,
		0x03, 0xe8, 0, 0, 0x1c, 0x20 };
	struct pcp_reply r;

	(void)state;
	assert_int_equal(
	    pcp_reply_decode(span_of(address, sizeof(address)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_PMP_ADDRESS);
	assert_int_equal(r.epoch_s, 256);
	assert_int_equal(r.external.addr[12], 203);
	assert_int_equal(pcp_reply_decode(span_of(map, sizeof(map)), &r), 0);
	assert_int_equal(r.kind, PCP_REPLY_PMP_MAP);
	assert_int_equal(r.internal_port, 41641);
	assert_int_equal(r.external.port, 1000);
	assert_int_equal(r.lifetime_s, 7200);
	for (size_t n = 0; n < sizeof(map); n++)
		assert_int_equal(
		    pcp_reply_decode(span_of(map, n), &r), ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_request_has_the_bytes_of_the_rfc),
		cmocka_unit_test(nat_pmp_requests_have_the_bytes_of_the_rfc),
		cmocka_unit_test(a_map_answer_is_read),
		cmocka_unit_test(short_answers_and_requests_are_no_answers),
		cmocka_unit_test(a_refusal_is_read_in_each_of_its_forms),
		cmocka_unit_test(nat_pmp_answers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
