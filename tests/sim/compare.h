/*
 * The same results from every compiler: what a test printed stands beside its
 * program, and is compared with what other builds of the same sources printed.
 */
#ifndef TESTS_SIM_COMPARE_H
#define TESTS_SIM_COMPARE_H

#include <stdbool.h>

/* Keeps the text for others; false, and prints both, if another build of the
 * program at build/X/tests/sim/ with the same sources has another one. */
bool compare_keep(const char *program, const char *text);

#endif /* TESTS_SIM_COMPARE_H */
