/* What a test wants of a world; else it fails, and says of which seed. */
#ifndef TESTS_SIM_WANT_H
#define TESTS_SIM_WANT_H

#include "tests/sim/sim.h"

/* No law is broken, and it is so; `what` says how it is else. */
void want(const struct sim *s, bool is_so, const char *what);
void want_done(const struct sim *s, bool is_done);
/* Skips the test under a sanitizer: there is nothing that it would see here and
 * nowhere else, and it takes five times as long. */
void want_plain_build(void);

#endif /* TESTS_SIM_WANT_H */
