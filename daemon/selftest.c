#include "daemon/selftest.h"

#include "daemon/turn.h"
#include "daemon/wipe.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum {
	/* Before this there was no btchatd: 2026-01-01. */
	CLOCK_FIRST_S = 1767225600,
	/* What the key of an identity takes, with the pages around it. */
	KEY_LOCK_BYTES = 64 * 1024,
	MIB = 1024 * 1024,
};

/* The item as it is; gives ok. */
static bool __attribute__((format(printf, 3, 4)))
say(struct selftest_item *ret, bool ok, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(ret->detail, sizeof(ret->detail), fmt, ap);
	va_end(ap);
	ret->ok = ok;
	return ok;
}

static void
look_at_clock(struct daemon *d, struct selftest_item *ret)
{
	struct node_stats n = { 0 };

	if (d->node)
		node_get_stats(d->node, &n);
	if (d->now.wall_ms / 1000 < CLOCK_FIRST_S)
		(void)say(ret, false,
		    "the clock is years behind: contacts are not found; set"
		    " it, e.g. by timedatectl set-ntp yes");
	else if (n.clock_doubted)
		(void)say(ret, false,
		    "the clock was set by more than a day while contacts were"
		    " online who know better: is it right?");
	else
		(void)say(ret, true, "it agrees with what is known");
}

static void
look_at_cores(struct daemon *d, struct selftest_item *ret)
{
	struct rlimit core = { 1, 1 };
	bool none = getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0;

	if (none && d->undumpable)
		(void)say(ret, true,
		    "there are none, and nobody of this user traces us");
	else
		(void)say(ret, false,
		    "a core dump would have keys and texts in it: set"
		    " LimitCORE=0 in the unit, and run no build for tests");
}

static void
look_at_dht(struct daemon *d, struct selftest_item *ret)
{
	struct node_stats n = { 0 };
	size_t good = 0;
	size_t all = 0;

	if (d->node)
		node_get_stats(d->node, &n);
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		good += n.dht[f].nodes_good + n.overlay[f].nodes_good;
		all += n.dht[f].nodes + n.overlay[f].nodes;
	}
	if (good > 0)
		(void)say(ret, true, "%zu nodes answer", good);
	else
		(void)say(ret, false,
		    "none of %zu nodes answers: is the network up, does a"
		    " firewall stop UDP? Or name one: btchatctl net bootstrap",
		    all);
}

static void
look_at_disk(struct daemon *d, struct selftest_item *ret)
{
	struct statvfs fs;
	uint64_t unit, free_mib;

	if (statvfs(d->config.state, &fs)) {
		(void)say(
		    ret, false, "the state directory: %s", strerror(errno));
		return;
	}
	unit = fs.f_frsize ? fs.f_frsize : fs.f_bsize;
	free_mib = fs.f_bavail * unit / MIB;
	if (turn_is_low(&fs, d->config.disk_reserve_mib, false))
		(void)say(ret, false,
		    "%" PRIu64 " MiB are free, less than disk-reserve (%" PRIu64
		    "): messages of contacts are not taken; make room",
		    free_mib, d->config.disk_reserve_mib);
	else
		(void)say(ret, true, "%" PRIu64 " MiB are free", free_mib);
}

static void
look_at_memory(struct daemon *d, struct selftest_item *ret)
{
	struct rlimit limit = { 0, 0 };

	if (d->all_locked) {
		(void)say(ret, true, "all of it is kept out of swap");
		return;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < KEY_LOCK_BYTES)
		(void)say(ret, false,
		    "the limit memlock (%" PRIu64 " bytes) is too low for the"
		    " keys of an identity: set LimitMEMLOCK in the unit",
		    (uint64_t)limit.rlim_cur);
	else
		(void)say(ret, true,
		    "keys at rest are kept out of swap; texts and keys of"
		    " sessions would be with LimitMEMLOCK=infinity");
}

static void
look_at_sandbox(struct daemon *d, struct selftest_item *ret)
{
	const struct confined *c = &d->confined;

	if (d->config.sandbox == CONFINE_OFF)
		(void)say(ret, false, "it is switched off: sandbox = off");
	else if (c->files && c->calls)
		(void)say(ret, true, "files and system calls%s",
		    c->memory ? ", and memory" : "");
	else
		(void)say(ret, false,
		    "missing:%s%s; the kernel is too old for it, or a"
		    " container forbids it",
		    c->files ? "" : " files (Landlock)",
		    c->calls ? "" : " system calls (seccomp)");
}

static void
look_at_store(struct daemon *d, struct selftest_item *ret)
{
	bool looked = false;

	if (!store_answers(d->store))
		(void)say(ret, false,
		    "the database cannot be read: look at the disk");
	else if (!store_is_kept(d->store) || !d->node)
		(void)say(ret, false,
		    "the database cannot be written: is the disk full, or"
		    " read-only?");
	else if (store_tampered(d->store) > 0)
		(void)say(ret, false,
		    "%" PRIu64 " rows do not open: somebody was at the file;"
		    " restore a backup",
		    store_tampered(d->store));
	else if (store_look(d->store, &looked))
		(void)say(ret, false,
		    "a page is not what was written: look at the disk,"
		    " restore a backup");
	else
		(void)say(ret, true, "%s",
		    looked ? "it was looked through"
		           : "it can be read and written; it is too large to be"
		             " looked through while we run");
}

static void
look_at_udp(struct daemon *d, struct selftest_item *ret)
{
	char why[UDP_WHY_SIZE] = "";
	unsigned n = 0;

	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		if (udp_fd(d->udp, (enum family)f) < 0)
			continue;
		n++;
		if (udp_self(d->udp, (enum family)f, why)) {
			(void)say(ret, false,
			    "%s: does a firewall, or the service manager,"
			    " forbid UDP?",
			    why);
			return;
		}
	}
	(void)say(ret, true, "what is sent to ourselves comes in (%s)",
	    n == FAMILY_COUNT                ? "IPv4 and IPv6"
	    : udp_fd(d->udp, FAMILY_V4) >= 0 ? "IPv4"
	                                     : "IPv6");
}

void
selftest(struct daemon *d, enum selftest_what what, struct selftest_item *ret)
{
	static const struct {
		const char *name;
		void (*look)(struct daemon *d, struct selftest_item *ret);
	} all[SELFTESTS] = {
		[SELFTEST_CLOCK] = { "clock", look_at_clock },
		[SELFTEST_CORES] = { "cores", look_at_cores },
		[SELFTEST_DHT] = { "dht", look_at_dht },
		[SELFTEST_DISK] = { "disk", look_at_disk },
		[SELFTEST_MEMORY] = { "memory", look_at_memory },
		[SELFTEST_SANDBOX] = { "sandbox", look_at_sandbox },
		[SELFTEST_STORE] = { "store", look_at_store },
		[SELFTEST_UDP] = { "udp", look_at_udp },
	};

	assert((unsigned)what < SELFTESTS);
	*ret = (struct selftest_item){ .name = all[what].name };
	all[what].look(d, ret);
	assert(ret->detail[0] != '\0');
}
