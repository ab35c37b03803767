/* Scopes and prefixes, at the first and last address of each range. */
#include "proto/base/endpoint.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint
at(const char *text)
{
	struct endpoint e = { .port = 6881 };
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) == 1)
		return endpoint_v4(v4, 6881);
	assert_int_equal(inet_pton(AF_INET6, text, e.addr), 1);
	return e;
}

static void
scopes_end_where_the_registries_say(void **state)
{
	static const struct {
		const char *text;
		enum endpoint_scope scope;
	} rows[] = {
		{ "0.0.0.0", SCOPE_UNUSABLE },
		{ "0.255.255.255", SCOPE_UNUSABLE },
		{ "1.0.0.0", SCOPE_GLOBAL },
		{ "9.255.255.255", SCOPE_GLOBAL },
		{ "10.0.0.0", SCOPE_PRIVATE },
		{ "10.255.255.255", SCOPE_PRIVATE },
		{ "11.0.0.0", SCOPE_GLOBAL },
		{ "100.63.255.255", SCOPE_GLOBAL },
		{ "100.64.0.0", SCOPE_PRIVATE },
		{ "100.127.255.255", SCOPE_PRIVATE },
		{ "100.128.0.0", SCOPE_GLOBAL },
		{ "126.255.255.255", SCOPE_GLOBAL },
		{ "127.0.0.0", SCOPE_LOOPBACK },
		{ "127.255.255.255", SCOPE_LOOPBACK },
		{ "128.0.0.0", SCOPE_GLOBAL },
		{ "169.253.255.255", SCOPE_GLOBAL },
		{ "169.254.0.0", SCOPE_LINK },
		{ "169.254.255.255", SCOPE_LINK },
		{ "169.255.0.0", SCOPE_GLOBAL },
		{ "172.15.255.255", SCOPE_GLOBAL },
		{ "172.16.0.0", SCOPE_PRIVATE },
		{ "172.31.255.255", SCOPE_PRIVATE },
		{ "172.32.0.0", SCOPE_GLOBAL },
		{ "192.0.2.1", SCOPE_GLOBAL }, /* documentation */
		{ "192.167.255.255", SCOPE_GLOBAL },
		{ "192.168.0.0", SCOPE_PRIVATE },
		{ "192.168.255.255", SCOPE_PRIVATE },
		{ "192.169.0.0", SCOPE_GLOBAL },
		{ "223.255.255.255", SCOPE_GLOBAL },
		{ "224.0.0.0", SCOPE_UNUSABLE },
		{ "255.255.255.255", SCOPE_UNUSABLE },
		{ "::", SCOPE_UNUSABLE },
		{ "::1", SCOPE_LOOPBACK },
		{ "::2", SCOPE_UNUSABLE },
		{ "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", SCOPE_GLOBAL },
		{ "100::", SCOPE_UNUSABLE }, /* discard-only */
		{ "100::ffff:ffff:ffff:ffff", SCOPE_UNUSABLE },
		{ "100:0:0:1::", SCOPE_GLOBAL },
		{ "2001:db8::1", SCOPE_GLOBAL }, /* documentation */
		{ "fbff::1", SCOPE_GLOBAL },
		{ "fc00::", SCOPE_PRIVATE },
		{ "fdff::1", SCOPE_PRIVATE },
		{ "fe7f::1", SCOPE_GLOBAL },
		{ "fe80::1", SCOPE_LINK },
		{ "febf::1", SCOPE_LINK },
		{ "fec0::1", SCOPE_GLOBAL },
		{ "ff00::", SCOPE_UNUSABLE },
		{ "ff02::1", SCOPE_UNUSABLE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint e = at(rows[i].text);

		if (endpoint_scope(&e) != rows[i].scope)
			fail_msg("%s", rows[i].text);
	}
}

static void
families_are_told_by_the_mapped_prefix(void **state)
{
	struct endpoint v4 = at("192.0.2.1");
	struct endpoint v6 = at("2001:db8::1");
	struct endpoint near = at("::fffe:192.0.2.1");

	(void)state;
	assert_int_equal(endpoint_family(&v4), FAMILY_V4);
	assert_int_equal(endpoint_family(&v6), FAMILY_V6);
	assert_int_equal(endpoint_family(&near), FAMILY_V6);
	assert_true(span_eq(endpoint_addr(&v4), span_of("\xc0\0\2\1", 4)));
	assert_int_equal(endpoint_addr(&v6).n, 16);
}

static void
equality_is_of_address_and_port(void **state)
{
	struct endpoint a = at("192.0.2.1");
	struct endpoint b = at("192.0.2.1");

	(void)state;
	assert_true(endpoint_eq(&a, &b));
	b.port++;
	assert_false(endpoint_eq(&a, &b));
	assert_true(endpoint_same_addr(&a, &b));
	b = at("192.0.2.2");
	assert_false(endpoint_same_addr(&a, &b));
}

static void
prefixes_count_bits_of_the_own_family(void **state)
{
	struct endpoint a = at("192.0.2.0");
	struct endpoint b = at("192.0.2.128");
	struct endpoint c = at("2001:db8:0:1::");
	struct endpoint d = at("2001:db8:0:3::");

	(void)state;
	assert_true(endpoint_same_prefix(&a, &b, 0));
	assert_true(endpoint_same_prefix(&a, &b, 24));
	assert_false(endpoint_same_prefix(&a, &b, 25));
	assert_true(endpoint_same_prefix(&a, &a, 32));
	assert_true(endpoint_same_prefix(&c, &d, 62));
	assert_false(endpoint_same_prefix(&c, &d, 63));
	assert_true(endpoint_same_prefix(&c, &c, 128));
	assert_false(endpoint_same_prefix(&a, &c, 0)); /* two families */
}

static void
a_route_is_its_number_and_no_address(void **state)
{
	static const uint64_t ids[] = { 0, 1, 0x0123456789abcdef, UINT64_MAX };
	struct endpoint near = at("100:0:0:1::");
	struct endpoint inside = at("100::1:2:3:4"), v4 = at("1.0.0.0");
	uint64_t id = 7;

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct endpoint e = endpoint_route(ids[i]);

		assert_true(endpoint_is_route(&e, &id));
		assert_int_equal(id, ids[i]);
		assert_int_equal(endpoint_scope(&e), SCOPE_UNUSABLE);
		assert_int_equal(endpoint_family(&e), FAMILY_V6);
		for (size_t k = 0; k < i; k++) {
			struct endpoint other = endpoint_route(ids[k]);

			assert_false(endpoint_eq(&e, &other));
		}
	}
	/* Whatever the port: a datagram with such a source is never believed.
	 */
	assert_true(endpoint_is_route(&inside, NULL));
	assert_false(endpoint_is_route(&near, &id));
	assert_false(endpoint_is_route(&v4, &id));
	assert_int_equal(id, UINT64_MAX); /* untouched */
}

/* By others, by one who has room, by ourselves. */
static void
ways_have_an_order(void **state)
{
	struct endpoint poor = endpoint_route(5), v4 = at("1.2.3.4");
	struct endpoint roomy = endpoint_route(5 | ROUTE_ROOMY);
	struct endpoint socket = endpoint_route(5 | ROUTE_DIRECT);

	(void)state;
	assert_int_equal(endpoint_rank(&poor), RANK_POOR);
	assert_int_equal(endpoint_rank(&roomy), RANK_ROOMY);
	assert_int_equal(endpoint_rank(&socket), RANK_DIRECT);
	assert_int_equal(endpoint_rank(&v4), RANK_DIRECT);
	assert_true(RANK_POOR < RANK_ROOMY && RANK_ROOMY < RANK_DIRECT);
	assert_true(endpoint_is_relayed(&roomy) && endpoint_is_relayed(&poor));
	assert_false(endpoint_is_relayed(&socket));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways_have_an_order),
		cmocka_unit_test(scopes_end_where_the_registries_say),
		cmocka_unit_test(families_are_told_by_the_mapped_prefix),
		cmocka_unit_test(equality_is_of_address_and_port),
		cmocka_unit_test(prefixes_count_bits_of_the_own_family),
		cmocka_unit_test(a_route_is_its_number_and_no_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
