/*
 * A whole story from one seed: who meets whom and how, what they write, what
 * goes wrong meanwhile; and afterwards, when nothing goes wrong any more,
 * everything must arrive.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "tests/sim/sim.h"

enum {
	SCENARIO_FAULTS_MAX = 64,
	SCENARIO_CHANCES_MAX = 16, /* accepting somebody's invitation */
	SCENARIO_PATIENCE_MS = 30 * 60 * 1000, /* after the last fault */
	SCENARIO_GOAL_MS = 60 * 1000,          /* what we would like */
};

/* Those of which there must be fourteen, and sleep. */
enum fault_kind {
	FAULT_LOSS = 0, /* up to half */
	FAULT_BURST,    /* of loss */
	FAULT_DUPLICATE,
	FAULT_REORDER,
	FAULT_DELAY, /* up to 10 s */
	FAULT_CORRUPT,
	FAULT_PARTITION, /* also one way only */
	FAULT_SWIZZLE,   /* lines die one by one, and come back */
	FAULT_MOVE,      /* address or router's port changes */
	FAULT_NARROW,    /* large datagrams vanish */
	FAULT_CRASH,     /* at some effect boundary */
	FAULT_CLOCK,     /* wall clock jumps or drifts */
	FAULT_DISK,      /* a commit fails, or there is no room */
	FAULT_MEMORY,    /* an allocation fails, or all do */
	FAULT_SLEEP,     /* suspended for a while */
};
#define FAULT_KINDS 15

enum villain {
	VILLAIN_REPLAYER = 0,
	VILLAIN_THIEF, /* of somebody's keys */
	VILLAIN_FLOODER,
	VILLAIN_LIAR, /* a hostile contact */
};
#define VILLAINS 4

struct fault {
	enum fault_kind kind;
	uint64_t from_ms, to_ms;
	uint32_t who, whom;
	uint32_t level;   /* 0..999: how bad, and of which sort */
	uint64_t mask;    /* random */
	int64_t wrong_ms; /* CLOCK: to be taken back at the end */
	uint32_t life;    /* of who, when it began */
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
	struct dice second; /* of what is taken back */
	uint64_t quiet_ms;  /* when the last fault is over */
	struct fault faults[SCENARIO_FAULTS_MAX];
	uint32_t n_faults;
	uint32_t kinds;                /* bits of those that are planned */
	uint32_t n_at_once;            /* most that were active at one time */
	uint64_t strikes[FAULT_KINDS]; /* of those at nodes */
	enum relation relation[SIM_PEOPLE_MAX][SIM_PEOPLE_MAX];
	uint32_t n_invites;
	uint32_t owner[SIM_INVITES_MAX];
	uint32_t made[SIM_INVITES_MAX]; /* its number in the world */
	bool is_made[SIM_INVITES_MAX], is_revoked[SIM_INVITES_MAX];
	struct chance chances[SCENARIO_CHANCES_MAX];
	uint32_t n_chances;
	uint32_t n_open; /* things that people still want to do */
	uint64_t flood_until_ms;
};

struct scenario_result {
	bool passed;
	char why[CHECK_WHY_MAX + 64];
	uint8_t digest[16];
	uint64_t virtual_ms, settle_ms; /* whole; after the last fault */
	uint64_t n_messages, n_datagrams, n_crashes, n_failed_commits;
	uint64_t n_cancelled, n_again;
	uint32_t n_people, n_at_once; /* kinds of faults */
	uint32_t kinds;               /* bits, of those planned */
	uint64_t strikes[FAULT_KINDS], acts[VILLAINS];
};

void scenario_run(uint64_t seed, bool trace, struct scenario_result *ret);

/* Plans; scenario_run calls them. */
void scenario_plan_people(struct scenario *sc);
void scenario_plan_faults(struct scenario *sc);
/* Puts somebody behind a router of any kind, or none. */
void scenario_choose_router(struct scenario *sc, uint32_t who);
void
scenario_count_strikes(const struct scenario *sc, uint64_t ret[FAULT_KINDS]);
void scenario_plan_villains(struct scenario *sc);
void scenario_count_acts(const struct scenario *sc, uint64_t ret[VILLAINS]);
const char *villain_name(enum villain v);
const char *fault_name(enum fault_kind kind);
/* Whether everybody who should is a contact and has everything. */
bool scenario_is_settled(const struct scenario *sc);

#endif /* TESTS_SIM_SCENARIO_H */
