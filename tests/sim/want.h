/* What a test wants of a world; else it fails, and says of which seed. */
#ifndef TESTS_SIM_WANT_H
#define TESTS_SIM_WANT_H

#include "tests/sim/sim.h"

/* No law is broken, and it is so; `what` says how it is else. */
void want(const struct sim *s, bool is_so, const char *what);
void want_done(const struct sim *s, bool is_done);

#endif /* TESTS_SIM_WANT_H */
