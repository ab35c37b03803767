/* Words for error values. */
#include "proto/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
every_error_has_its_own_word(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++) {
		assert_non_null(err_name((enum err)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
			    err_name((enum err)i), err_name((enum err)j));
	}
	assert_string_equal(err_name(ERR_OK), "ok");
	assert_int_equal(ERR_IO, ERR_COUNT - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_error_has_its_own_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
