/* Items and KRPC messages made by hand for tests of the DHT. */
#ifndef TESTS_SUPPORT_DHT_ITEM_H
#define TESTS_SUPPORT_DHT_ITEM_H

#include "proto/dht/dht.h"
#include "proto/dht/krpc.h"

/* An item signed by a key that `key` names; v is put in as a string. */
void test_item(uint8_t key, struct span salt, struct span v, int64_t seq,
    struct dht_item *ret);
/* A put of it, with everything but t, id and token; borrows item. */
struct krpc test_put(const struct dht_item *item);
/* The bytes of a query or answer; buf holds KRPC_SIZE_MAX + 512. */
struct span test_encode(const struct krpc *m, uint8_t *buf);
enum { TEST_BUF = KRPC_SIZE_MAX + 512 };
struct endpoint test_addr(unsigned a, unsigned b, unsigned c, unsigned d);

#endif /* TESTS_SUPPORT_DHT_ITEM_H */
