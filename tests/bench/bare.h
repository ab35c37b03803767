/* The yardstick of tests/bench/link.c: the same AEAD over datagrams of the
 * same size, and nothing else of a protocol. */
#ifndef TESTS_BENCH_BARE_H
#define TESTS_BENCH_BARE_H

#include "tests/bench/shared.h"

/* A loop of sendmmsg, and one of recvmmsg; until shared->stop. */
void bare_send(struct shared *shared, int fd, const struct endpoint *to);
void bare_receive(struct shared *shared, int fd);
/* One datagram there and back at a time. */
void bare_ping(struct shared *shared, int fd, const struct endpoint *to);
void bare_echo(struct shared *shared, int fd);

#endif /* TESTS_BENCH_BARE_H */
