/*
 * A file whose writes are seen, and lost as by a failing power supply: what
 * was not synced before is there, or is not, or in part. For programs that are
 * linked with --wrap=pwrite --wrap=fdatasync; SQLite's own calls are not seen.
 */
#ifndef TESTS_SUPPORT_FAULTS_H
#define TESTS_SUPPORT_FAULTS_H

#include "proto/base/env.h"

#include <stdbool.h>

/* Looks at this file from now on; NULL: at none. Counts calls from 1. */
void faults_watch(const char *path);
/* The n-th call of either kind fails with this errno, and all after it if
 * `for_ever`. 0: none fails. */
void faults_fail_at(unsigned n, int error, bool for_ever);
unsigned faults_calls(void); /* since faults_watch */
bool faults_hit(void);       /* one has failed */
/* Puts the file back to what was synced, with any of the sectors written since:
 * none (rng NULL), or each by chance. */
void faults_power_cut(const struct rng *rng);

#endif /* TESTS_SUPPORT_FAULTS_H */
