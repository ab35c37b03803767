/*
 * Runs files of known answers. The format is recognised by what a file holds,
 * never by its name; one line is printed for each case that fails.
 */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include "tests/support/json.h"

#include <stdbool.h>

struct vectors {
	unsigned passed, failed, skipped;
	unsigned files;   /* of a known format */
	const char *file; /* at hand */
};

/* One case; the name is printed if it is not ok. */
void vectors_case(struct vectors *v, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A case that nobody here can run: another curve, another cipher. */
void vectors_skip(struct vectors *v, const char *name, const char *why);

/* Every .json file under path, or the file itself; sorted. */
void vectors_run(struct vectors *v, const char *path);
/* "N passed, N failed", and what was skipped. */
void vectors_report(const struct vectors *v);

/* The formats. Each says whether the file is its own, and runs it. */
bool vectors_noise(struct vectors *v, const cJSON *json);
bool vectors_bech32m(struct vectors *v, const cJSON *json);
bool vectors_bep(struct vectors *v, const cJSON *json);
bool vectors_address(struct vectors *v, const cJSON *json);
bool vectors_invitation(struct vectors *v, const cJSON *json);
bool vectors_pair(struct vectors *v, const cJSON *json);
bool vectors_safety(struct vectors *v, const cJSON *json);
bool vectors_cell(struct vectors *v, const cJSON *json);
bool vectors_handshake(struct vectors *v, const cJSON *json);
bool vectors_classify(struct vectors *v, const cJSON *json);
bool vectors_overlay(struct vectors *v, const cJSON *json);

#endif /* TESTS_SUPPORT_VECTORS_H */
