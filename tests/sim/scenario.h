/*
 * A whole story from one seed: who meets whom and how, what they write, what
 * goes wrong meanwhile; and afterwards, when nothing goes wrong any more,
 * everything must arrive.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "tests/sim/sim.h"

enum {
	SCENARIO_FAULTS_MAX = 32,
	SCENARIO_CHANCES_MAX = 16, /* accepting somebody's invitation */
	SCENARIO_PATIENCE_MS = 30 * 60 * 1000, /* after the last fault */
	SCENARIO_GOAL_MS = 60 * 1000,          /* what we would like */
};

enum fault_kind {
	FAULT_LOSS = 0,
	FAULT_BURST,
	FAULT_DUPLICATE,
	FAULT_REORDER,
	FAULT_SLOW,
	FAULT_CORRUPT,
	FAULT_NARROW,    /* large datagrams vanish */
	FAULT_PARTITION, /* some people from all others */
	FAULT_ONE_WAY,   /* one hears, but is not heard */
	FAULT_MOVE,      /* address or router's port changes */
	FAULT_CRASH,     /* at some effect boundary */
	FAULT_DISK,      /* a commit fails */
	FAULT_CLOCK,     /* wall clock jumps */
	FAULT_SLEEP,     /* suspended for a while */
};
#define FAULT_KINDS 14

struct fault {
	enum fault_kind kind;
	uint64_t from_ms, to_ms; /* a moment: the same */
	uint32_t who, level;
	bool active;
};

enum relation {
	RELATION_NONE = 0,
	RELATION_MUTUAL,
	RELATION_ONE_SIDED, /* [a][b]: only a adds b */
	RELATION_INVITE,    /* [a][b]: a invites, b accepts */
};

/* Somebody who accepts an invitation; the first wins. */
struct chance {
	uint32_t slot; /* of the invitation in this story */
	uint32_t who;
};

struct scenario {
	struct sim *s;
	struct dice dice;
	uint64_t quiet_ms; /* when the last fault is over */
	struct fault faults[SCENARIO_FAULTS_MAX];
	uint32_t n_faults, n_kinds;
	enum relation relation[SIM_PEOPLE_MAX][SIM_PEOPLE_MAX];
	uint32_t n_invites;
	uint32_t owner[SIM_INVITES_MAX];
	uint32_t made[SIM_INVITES_MAX]; /* its number in the world */
	bool is_made[SIM_INVITES_MAX], is_revoked[SIM_INVITES_MAX];
	struct chance chances[SCENARIO_CHANCES_MAX];
	uint32_t n_chances;
	uint32_t n_open; /* things that people still want to do */
	uint64_t attack_every_ms;
};

struct scenario_result {
	bool passed;
	char why[CHECK_WHY_MAX + 64];
	uint8_t digest[16];
	uint64_t virtual_ms, settle_ms; /* whole; after the last fault */
	uint64_t n_messages, n_datagrams, n_crashes, n_failed_commits;
	uint32_t n_people, n_kinds; /* of faults */
};

void scenario_run(uint64_t seed, bool trace, struct scenario_result *ret);

/* Plans; scenario_run calls them. */
void scenario_plan_people(struct scenario *sc);
void scenario_plan_faults(struct scenario *sc);
/* Whether everybody who should is a contact and has everything. */
bool scenario_is_settled(const struct scenario *sc);

#endif /* TESTS_SIM_SCENARIO_H */
