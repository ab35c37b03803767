/* Endpoints as text and as socket addresses. */
#include "daemon/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void
numbers_go_there_and_back(void **state)
{
	static const char *const good[] = { "0.0.0.0:0", "192.0.2.1:6881",
		"255.255.255.255:65535", "[::]:0", "[::1]:1",
		"[2001:db8::1]:6881",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" };
	(void)state;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char text[ADDR_TEXT_SIZE];
		struct sockaddr_storage ss;
		struct endpoint a;
		struct endpoint b;
		socklen_t n;

		assert_int_equal(addr_parse(good[i], &a), ERR_OK);
		addr_format(&a, text);
		assert_string_equal(text, good[i]);
		n = addr_to_sockaddr(&a, &ss);
		assert_int_equal(
		    addr_from_sockaddr((struct sockaddr *)&ss, n, &b), ERR_OK);
		assert_true(endpoint_eq(&a, &b));
	}
}

static void
what_is_not_a_numeric_address_is_refused(void **state)
{
	static const char *const bad[] = { "", ":", ":1", "1.2.3.4",
		"1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1",
		"1.2.3.4:1 ", "1.2.3.4:000001", "1.2.3:1", "host:1", "::1:1",
		"[::1]", "[::1]1", "[::1:1", "::1]:1", "[]:1", "[1.2.3.4]x:1",
		"[::1%lo]:1" };
	struct endpoint e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (addr_parse(bad[i], &e) != ERR_MALFORMED)
			fail_msg("\"%s\" was taken", bad[i]);
}

static void
a_host_and_its_port_are_split(void **state)
{
	char host[ADDR_HOST_MAX + 1];
	char longer[ADDR_HOST_MAX + 10];
	uint16_t port = 0;

	(void)state;
	assert_int_equal(
	    addr_split("router.example:6881", host, &port), ERR_OK);
	assert_string_equal(host, "router.example");
	assert_int_equal(port, 6881);
	assert_int_equal(addr_split("[::1]:9", host, &port), ERR_OK);
	assert_string_equal(host, "::1");
	assert_int_equal(addr_split("host:0", host, &port), ERR_MALFORMED);
	assert_int_equal(addr_split("host", host, &port), ERR_MALFORMED);
	assert_int_equal(addr_split("a b:1", host, &port), ERR_MALFORMED);
	assert_int_equal(addr_split("a\x1b:1", host, &port), ERR_MALFORMED);
	assert_int_equal(addr_split("\xc3\xbc:1", host, &port), ERR_MALFORMED);
	memset(longer, 'h', sizeof(longer));
	memcpy(longer + ADDR_HOST_MAX + 1, ":1", 3);
	assert_int_equal(addr_split(longer, host, &port), ERR_MALFORMED);
	memcpy(longer + ADDR_HOST_MAX, ":1", 3);
	assert_int_equal(addr_split(longer, host, &port), ERR_OK);
}

static void
other_families_and_short_addresses_are_refused(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_storage ss;
	struct endpoint e;
	struct endpoint v6 = { .addr = { 0x20, 1 }, .port = 5 };
	socklen_t n = addr_to_sockaddr(&v6, &ss);

	(void)state;
	assert_int_equal(
	    addr_from_sockaddr((struct sockaddr *)&un, sizeof(un), &e),
	    ERR_UNSUPPORTED);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, n - 1, &e),
	    ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_go_there_and_back),
		cmocka_unit_test(what_is_not_a_numeric_address_is_refused),
		cmocka_unit_test(a_host_and_its_port_are_split),
		cmocka_unit_test(
		    other_families_and_short_addresses_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
