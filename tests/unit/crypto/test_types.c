/* Order of IDs. */
#include "proto/crypto/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
the_lower_id_is_the_lower_byte_string(void **state)
{
	const struct id_pk low = { { 0x01, 0xff } };
	const struct id_pk high = { { 0x80, 0x00 } };

	(void)state;
	assert_true(id_cmp(&low, &high) < 0);
	assert_true(id_cmp(&high, &low) > 0);
	assert_int_equal(id_cmp(&low, &low), 0);
}

static void
ids_are_equal_to_their_last_byte(void **state)
{
	struct id_pk a = { { 1 } };
	struct id_pk b = { { 1 } };

	(void)state;
	assert_true(id_eq(&a, &b));
	b.b[31] = 1;
	assert_false(id_eq(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lower_id_is_the_lower_byte_string),
		cmocka_unit_test(ids_are_equal_to_their_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
