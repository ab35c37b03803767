/* Memory that fails: that of our own code and of SQLite. For programs that are
 * linked with --wrap of malloc, calloc, realloc, strdup and sodium_malloc. */
#ifndef TESTS_TORTURE_MEMORY_H
#define TESTS_TORTURE_MEMORY_H

#include <stdbool.h>

void memory_begin(void); /* before SQLite and libsodium are used */
/* The n-th allocation from now on fails, and all after it if `for_ever`. 0:
 * none does. */
void memory_fail_at(unsigned n, bool for_ever);
void memory_pause(bool on);  /* none fails, none is counted */
unsigned memory_calls(void); /* since then */
bool memory_hit(void);       /* one has failed since then */

#endif /* TESTS_TORTURE_MEMORY_H */
