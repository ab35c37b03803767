/* Routing tables as the kernel writes them. */
#include "daemon/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char head4[] =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU"
    "\tWindow\tIRTT\n";

static bool
read_text(enum family f, const char *a, const char *b, struct gateway *ret)
{
	char text[4096];
	FILE *in;
	bool found;

	(void)snprintf(text, sizeof(text), "%s%s", a, b);
	in = fmemopen(text, strlen(text), "r");
	assert_non_null(in);
	found = gateway_read(f, in, ret);
	(void)fclose(in);
	return found;
}

/* The address in the order of this machine, as the kernel prints it. */
static const char *
hex4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	static char text[9];
	const uint8_t bytes[4] = { a, b, c, d };
	uint32_t v;

	memcpy(&v, bytes, sizeof(v));
	(void)snprintf(text, sizeof(text), "%08X", v);
	return text;
}

static void
the_default_route_with_the_lowest_metric_counts(void **state)
{
	char table[1024];
	const uint8_t want[4] = { 192, 168, 1, 254 };
	struct endpoint e = endpoint_v4(want, 0);
	struct gateway g = { .scope = 99 };
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(table, sizeof(table),
	    "lo\t00000000\t%s\t0003\t0\t0\t600\t00000000\t0\t0\t0   \n",
	    hex4(10, 0, 0, 1));
	n += (size_t)snprintf(table + n, sizeof(table) - n,
	    "lo\t00000000\t%s\t0003\t0\t0\t100\t00000000\t0\t0\t0   \n",
	    hex4(192, 168, 1, 254));
	n += (size_t)snprintf(table + n, sizeof(table) - n,
	    "lo\t%s\t00000000\t0001\t0\t0\t50\t00FFFFFF\t0\t0\t0\n",
	    hex4(192, 168, 1, 0));
	/* Down; on the link; half of the world. */
	n += (size_t)snprintf(table + n, sizeof(table) - n,
	    "lo\t00000000\t0100000A\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"
	    "lo\t00000000\t00000000\t0001\t0\t0\t1\t00000000\t0\t0\t0\n"
	    "lo\t00000000\t0100000A\t0003\t0\t0\t1\t00000080\t0\t0\t0\n");
	assert_true(n < sizeof(table));
	assert_true(read_text(FAMILY_V4, head4, table, &g));
	assert_true(endpoint_eq(&g.at, &e));
	assert_int_not_equal(g.scope, 99); /* that of lo, or 0 */
}

static void
a_default_route_of_ipv6_is_found(void **state)
{
	static const char zero[] = "00000000000000000000000000000000";
	char table[1024];
	const struct endpoint e = { { 0xfe, 0x80, [15] = 1 }, 0 };
	struct gateway g;

	(void)state;
	(void)snprintf(table, sizeof(table),
	    "%s 00 %s 00 fe800000000000000000000000000001 00000400 00000001"
	    " 00000000 00000003       lo\n"
	    "%s 00 %s 00 %s ffffffff 00000001 00000000 00200200       lo\n"
	    "20010db8000000000000000000000000 20 %s 00"
	    " fe800000000000000000000000000002 00000001 00000001 00000000"
	    " 00000003       lo\n",
	    zero, zero, zero, zero, zero, zero);
	assert_true(read_text(FAMILY_V6, "", table, &g));
	assert_true(endpoint_eq(&g.at, &e));
}

static void
what_is_no_table_has_no_gateway(void **state)
{
	static const char *const bad[] = { "", "\n\n", "lo\n",
		"lo\t00000000\t0100000A\t0003\n",
		"lo\t0000000g\t0100000A\t0003\t0\t0\t1\t00000000\n",
		"lo\t00000000\t0100000A\tXYZ\t0\t0\t1\t00000000\n",
		"lo\t00000000\t0100000A\t0003\t0\t0\t99999999999\t00000000\n",
		"lo\t00000000\t0100000A\t0003\t0\t0\t4294967296\t00000000\n",
		"lo\t000000000\t0100000A\t0003\t0\t0\t1\t00000000\n" };
	struct gateway g;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(read_text(FAMILY_V4, head4, bad[i], &g));
		assert_false(read_text(FAMILY_V6, "", bad[i], &g));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_default_route_with_the_lowest_metric_counts),
		cmocka_unit_test(a_default_route_of_ipv6_is_found),
		cmocka_unit_test(what_is_no_table_has_no_gateway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
