/* Two links over a wire that loses, copies and reorders. */
#include "proto/link/link.h"
#include "tests/support/link_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void
two_contacts_meet_and_talk(void **state)
{
	struct wire w;

	(void)state;
	wire_init(&w, test_seed(1), 2);
	wire_befriend(&w, 0, 1);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 100));
	wire_write(&w, 0, 1, 100000);
	wire_write(&w, 1, 0, 1000);
	assert_true(wire_until(&w, wire_all_read, 10000));
	assert_int_equal(w.node[1].read[0], 100000);
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_contacts_meet_and_talk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
