/* HELLO keeps its bytes. */
#include "proto/link/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
fields_stand_where_the_page_says(void **state)
{
	struct link_hello in = { .time_ms = 0x0102030405060708,
		.capabilities = 9 };
	uint8_t instance[HELLO_INSTANCE_SIZE] = { 7 }, back[8];
	uint8_t b[FRAME_HELLO_SIZE + 4] = { 0 };
	struct link_hello out;

	(void)state;
	memset(in.id.b, 1, sizeof(in.id.b));
	memset(in.cert.b, 2, sizeof(in.cert.b));
	memset(in.reach.b, 3, sizeof(in.reach.b));
	memset(in.db_epoch, 4, sizeof(in.db_epoch));
	hello_encode(&in, instance, b);
	assert_int_equal(b[0], 1);
	assert_int_equal(b[32], 2);
	assert_int_equal(b[176], 3);
	assert_int_equal(b[208], 8); /* little-endian */
	assert_int_equal(b[216], 9);
	assert_int_equal(b[220], 7);
	assert_int_equal(b[228], 4);
	assert_int_equal(
	    hello_decode(span_of(b, sizeof(b)), &out, back), ERR_OK);
	assert_memory_equal(back, instance, sizeof(back));
	assert_true(id_eq(&in.id, &out.id));
	assert_int_equal(out.time_ms, in.time_ms);
	assert_int_equal(
	    hello_decode(span_of(b, FRAME_HELLO_MIN - 1), &out, back),
	    ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_stand_where_the_page_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
