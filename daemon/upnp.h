/*
 * Port mappings by UPnP-IGD. The library for it blocks, and reads HTTP and XML
 * that anybody in the local network may have written; so another process speaks
 * it: this program again, begun before there is a key, without our environment
 * and descriptors, which has each job done by a child under a filter of system
 * calls. What it says comes back in a few bytes, and is believed as little as
 * the gateway itself.
 */
#ifndef DAEMON_UPNP_H
#define DAEMON_UPNP_H

#include "daemon/daemon.h"
#include "proto/nat/mapping.h"

enum {
	UPNP_JOB_SIZE = 20,
	UPNP_DONE_SIZE = 16,
	UPNP_MAP_MS = 15000, /* a job that takes longer is ended */
	UPNP_UNMAP_MS = 5000,
};

/* As main's only argument: this is the helper. */
#define UPNP_HELPER_ARG "--upnp-helper"

struct upnp_job {
	uint32_t serial;
	struct endpoint gateway; /* IPv4, as all of it */
	struct mapping_job job;
};
struct upnp_done {
	uint32_t serial;
	struct mapping_done done;
};

/* The bytes between the two. ERR_MALFORMED. */
void upnp_job_encode(const struct upnp_job *j, struct writer *ret);
MUST_USE enum err upnp_job_decode(struct span in, struct upnp_job *ret);
void upnp_done_encode(const struct upnp_done *d, struct writer *ret);
MUST_USE enum err upnp_done_decode(struct span in, struct upnp_done *ret);

/* Begins the helper; nothing happens if the configuration says no, or this
 * program was built without the library. Before keys are read, and before
 * d->base. */
void upnp_begin(struct daemon *d);
/* It ends when it has done what it was asked for. */
void upnp_end(struct daemon *d);
/* Listens to it; tell is called when there is an answer, or when it is gone. */
void upnp_listen(struct daemon *d, void (*tell)(struct daemon *d));
bool upnp_is_there(const struct daemon *d);
bool upnp_is_busy(const struct daemon *d);
/* Asks for it; at the end of all also while it is busy. */
void upnp_ask(struct daemon *d, const struct endpoint *gateway,
    const struct mapping_job *job);
/* Pops what came of the last job; false: nothing yet. */
bool upnp_answer(struct daemon *d, struct mapping_done *ret);

/* upnp_helper.c: the other process. Its exit code. */
int upnp_helper_main(void);
/* Does one job under the filter and never returns; fd takes the answer. */
_Noreturn void upnp_worker(int fd, const struct upnp_job *j);
/* The filter alone, for its test. */
MUST_USE enum err upnp_confine(void);

/* upnp_igd.c: what the library is called for; false: nothing came of it. */
bool upnp_igd(const struct upnp_job *j, struct mapping_done *ret);
/* True if the library would ask this very address for it, and no other. */
bool upnp_igd_is_of(const char *url, const char *gateway);

#endif /* DAEMON_UPNP_H */
