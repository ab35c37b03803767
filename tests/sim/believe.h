/* Makes a DHT node believe in a network of another size. */
#ifndef TESTS_SIM_BELIEVE_H
#define TESTS_SIM_BELIEVE_H

#include "proto/dht/dht.h"

void believe(struct dht *d, uint64_t network_size);

#endif /* TESTS_SIM_BELIEVE_H */
