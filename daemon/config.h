/*
 * Configuration: `key = value` lines of a file, then settings that were made
 * while running, then the command line. One table says key, type, default and
 * setter; it also serves config.list and config.get. [btchatd.conf(5)]
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include "proto/base/bytes.h"
#include "proto/base/endpoint.h"
#include "proto/base/err.h"
#include "proto/node.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	CONFIG_LINE_MAX = 4096,       /* bytes of a line of the file */
	CONFIG_FILE_MAX = 256 * 1024, /* bytes of the file */
	CONFIG_VALUE_MAX = 1024,
	CONFIG_ITEM_MAX = 8704, /* a whole list, one value a line */
	CONFIG_LISTEN_MAX = 4,
	CONFIG_BOOTSTRAP_MAX = 32,
	CONFIG_ERROR_SIZE = 1536,
	CONFIG_HOST_SIZE = 264, /* "[key@]host:port" and NUL */
	CONFIG_EXIT = 78,       /* EX_CONFIG */
};

_Static_assert(
    (int)CONFIG_ITEM_MAX >= (int)CONFIG_BOOTSTRAP_MAX * (int)CONFIG_HOST_SIZE,
    "holds the longest list");

enum config_source {
	CONFIG_DEFAULT = 0,
	CONFIG_FILE,
	CONFIG_COMMAND_LINE,
	CONFIG_SERVICE, /* systemd's directories */
	CONFIG_SETTING, /* see settings.h */
};
#define CONFIG_SOURCES 5

/* In the state directory: lines as those of the file. */
#define CONFIG_SETTINGS_FILE "settings.conf"

/* In the order of the table in config.c: sorted by name. */
enum config_key {
	CONFIG_KEY_BOOTSTRAP = 0,
	CONFIG_KEY_BOOTSTRAP_DEFAULTS,
	CONFIG_KEY_CELLS_MIN,
	CONFIG_KEY_DHT,
	CONFIG_KEY_DISK_RESERVE,
	CONFIG_KEY_EVENT_DAYS,
	CONFIG_KEY_EVENT_ROWS,
	CONFIG_KEY_LAN_DISCOVERY,
	CONFIG_KEY_LISTEN,
	CONFIG_KEY_LOG_ADDRESSES,
	CONFIG_KEY_LOG_LEVEL,
	CONFIG_KEY_OVERLAY_ANNOUNCE,
	CONFIG_KEY_PORT_MAPPING,
	CONFIG_KEY_RATCHET_FALLBACK,
	CONFIG_KEY_REACHABLE,
	CONFIG_KEY_READ_RECEIPTS,
	CONFIG_KEY_RELAY_CONTACTS,
	CONFIG_KEY_SANDBOX,
	CONFIG_KEY_SOCKET,
	CONFIG_KEY_STATE,
	CONFIG_KEY_UPNP,
};
#define CONFIG_KEYS 21

/* What becomes of us where the kernel does not have all of a sandbox. */
enum confine_policy {
	CONFINE_OFF = 0, /* none in any case */
	CONFINE_COMPAT,  /* what there is of it */
	CONFINE_STRICT,  /* all of it, or no start */
};

struct config {
	char file[CONFIG_VALUE_MAX];   /* that was read; "": none */
	char state[CONFIG_VALUE_MAX];  /* state directory */
	char socket[CONFIG_VALUE_MAX]; /* path of the control socket */
	struct endpoint listen[CONFIG_LISTEN_MAX];
	size_t n_listen; /* 0: the default, any address, kept port */
	char bootstrap[CONFIG_BOOTSTRAP_MAX][CONFIG_HOST_SIZE];
	size_t n_bootstrap;
	bool bootstrap_defaults;
	enum node_policy dht;
	bool overlay_announce;
	uint64_t cells_min;        /* in the DHT, with dummies */
	uint64_t disk_reserve_mib; /* what comes is not taken below it */
	bool log_addresses;
	bool lan_discovery;    /* beacons to the local network */
	bool port_mapping;     /* ask the gateway for one */
	bool ratchet_fallback; /* allowed; of who is verified never */
	bool relay_contacts;   /* we pass sessions for them */
	bool reachable;        /* everybody gets in; else it is found out */
	bool read_receipts;    /* contacts hear what was read */
	bool upnp;             /* by UPnP, too */
	enum confine_policy sandbox;
	int log_level;
	uint64_t event_rows, event_days; /* kept at least */
	enum config_source source[CONFIG_KEYS];
	unsigned line[CONFIG_KEYS];    /* of the file, where it was set */
	bool check_only;               /* --check-config */
	char error[CONFIG_ERROR_SIZE]; /* file:line: what is wrong */
	int argc;                      /* for config_again */
	char **argv;                   /* borrowed for life */
};

/*
 * Reads the command line and the file it names (or the default one, if there
 * is one). ERR_MALFORMED: c->error is set, exit CONFIG_EXIT; ERR_STATE: usage
 * error, exit 2; ERR_EXISTS: --help or --version was served, exit 0; ERR_IO:
 * the settings cannot be read, c->error is set, exit 1.
 */
MUST_USE enum err config_load(struct config *c, int argc, char **argv);
/* All of it once more, as a start would find it now; with these settings for
 * those of the state directory, unless NULL. On error ret->error says why. */
MUST_USE enum err config_again(
    const struct config *c, const struct span *settings, struct config *ret);
/* Reads all again, takes over what may change while running; ret_next is what a
 * start would take. On error nothing changes and c->error says why. */
MUST_USE enum err config_reload(struct config *c, struct config *ret_next);

/* For config.list and config.get. */
struct config_item {
	const char *name;
	const char *type; /* "bool", "integer", "string", "list", "enum" */
	const char *source;
	char value[CONFIG_ITEM_MAX]; /* lists: one value a line */
	const char *fallback;        /* the default */
	bool restart_needed;         /* to change it */
};
void config_item(
    const struct config *c, enum config_key key, struct config_item *ret);
/* Have both the same value of it, wherever it came from? */
bool config_agree(
    const struct config *a, const struct config *b, enum config_key key);
/* CONFIG_KEYS if there is none of that name. */
unsigned config_find(const char *name);
/* Without blanks around it, as in a line of the file. */
struct span config_trim(struct span s);
/* Is it left to the file and the command line? Who could set these while we run
 * could open the sandbox for the next start, or lock people out. */
bool config_is_fixed(enum config_key key);
/* The key that was meant, as far as one can tell; NULL: none is near. */
const char *config_nearest(const char *name);
/* Where the file is, or would be; "": nowhere. */
void config_directory(const struct config *c, char ret[CONFIG_VALUE_MAX]);
/* Takes a value as from the file; c->error says what is wrong with it.
 * A list grows, unless it came from a weaker source. */
MUST_USE enum err config_set(struct config *c, const char *name,
    const char *value, enum config_source source);
/* All that needs no restart, as it is in fresh. */
void config_take_over(struct config *c, const struct config *fresh);
/* The same of one key; false: it does need one. */
bool config_take_key(
    struct config *c, const struct config *fresh, enum config_key key);
/* Defaults, and what the environment says. ERR_MALFORMED: c->error. */
MUST_USE enum err config_defaults(struct config *c);

#endif /* DAEMON_CONFIG_H */
