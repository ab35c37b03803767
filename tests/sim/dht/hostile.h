/*
 * Those who do not play by the rules, each as strong as it can be: they know
 * where everybody is and which cells there are, and have all the addresses
 * that their ids need.
 */
#ifndef TESTS_SIM_DHT_HOSTILE_H
#define TESTS_SIM_DHT_HOSTILE_H

#include "tests/sim/dht/world.h"

struct hostile *hostile_new(struct world *w); /* NULL: nobody */
void hostile_free(struct hostile *x);
/* Cells are there: chooses one if it wants to. */
void hostile_aim(struct world *w);
/* The cell to read next: often the one under attack. */
uint32_t hostile_choose(struct world *w, uint32_t cell);
void hostile_step(struct world *w); /* every WORLD_STEP_MS */
void hostile_receive(
    struct world *w, struct mesh_host *h, const struct mesh_packet *p);
/* A datagram of an honest node, overheard. */
void hostile_tap(struct world *w, const struct mesh_host *h,
    const struct endpoint *to, struct span data);
/* A datagram that arrives at an honest node. */
void hostile_arrived(struct world *w, const struct mesh_packet *p);
void hostile_figures(struct world *w);

#endif /* TESTS_SIM_DHT_HOSTILE_H */
