/*
 * Whether what this daemon stands on is there, in words for people: each item
 * says what it saw, or what is to be done. Nothing here takes long, changes
 * anything or leaves the machine. [btchat-rpc(7): daemon.selftest]
 */
#ifndef DAEMON_SELFTEST_H
#define DAEMON_SELFTEST_H

#include "daemon/daemon.h"

enum { SELFTEST_DETAIL_SIZE = 320 };

enum selftest_what {
	SELFTEST_CLOCK = 0,
	SELFTEST_CORES,
	SELFTEST_DHT,
	SELFTEST_DISK,
	SELFTEST_MEMORY,
	SELFTEST_SANDBOX,
	SELFTEST_STORE,
	SELFTEST_UDP,
};
#define SELFTESTS 8

struct selftest_item {
	const char *name;
	bool ok;
	char detail[SELFTEST_DETAIL_SIZE];
};
void
selftest(struct daemon *d, enum selftest_what what, struct selftest_item *ret);

#endif /* DAEMON_SELFTEST_H */
