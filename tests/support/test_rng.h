/* The older name of tests/support/rng.h. */
#ifndef TESTS_SUPPORT_TEST_RNG_H
#define TESTS_SUPPORT_TEST_RNG_H

#include "tests/support/rng.h"

#endif /* TESTS_SUPPORT_TEST_RNG_H */
