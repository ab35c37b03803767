#include "tests/support/daemon_world.h"

#include "daemon/log.h"
#include "daemon/start.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
die(const char *why)
{
	(void)fprintf(stderr, "daemon_world: %s\n", why);
	abort();
}

bool
daemon_world_start(struct daemon_world *w)
{
	static char name[] = "btchatd";
	static char log[] = "--set=log-level=err";
	enum err err;

	(void)snprintf(
	    w->state, sizeof(w->state), "--state=%s/state", w->dir.path);
	(void)snprintf(w->listen, sizeof(w->listen), "--listen=127.0.0.1:0");
	w->argv[0] = name;
	w->argv[1] = log;
	w->argv[2] = w->state;
	w->argv[3] = w->listen;
	memset(&w->d, 0, sizeof(w->d));
	w->d.state_dir_fd = -1;
	err = config_load(&w->d.config, 4, w->argv);
	if (err == ERR_IO)
		return false;
	if (err)
		die(w->d.config.error);
	log_init(w->d.config.log_level, false);
	return start_all(&w->d) == DAEMON_EX_OK;
}

void
daemon_world_stop(struct daemon_world *w)
{
	start_undo(&w->d);
}

int
daemon_world_begin(void **state)
{
	struct daemon_world *w = calloc(1, sizeof(*w));

	if (!w)
		die("no memory");
	w->dir = tempdir_new();
	(void)setenv("HOME", w->dir.path, 1);
	(void)setenv("XDG_RUNTIME_DIR", w->dir.path, 1);
	(void)unsetenv("XDG_CONFIG_HOME");
	(void)unsetenv("STATE_DIRECTORY");
	(void)unsetenv("CONFIGURATION_DIRECTORY");
	if (!daemon_world_start(w))
		die("it did not start");
	if (command_identity_create(&w->d, span_of(NULL, 0)))
		die("no identity");
	daemon_drain(&w->d);
	*state = w;
	return 0;
}

int
daemon_world_end(void **state)
{
	struct daemon_world *w = *state;

	daemon_world_stop(w);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

void
daemon_world_address(unsigned n, char ret[ADDRESS_SIZE])
{
	struct id_seed seed = { { 7, (uint8_t)(n >> 8), (uint8_t)n } };
	struct id_pk pk;
	struct id_sk sk;

	identity_from_seed(&seed, &pk, &sk);
	address_encode(&pk, ret);
}

struct contact_id
daemon_world_add(struct daemon_world *w, unsigned n)
{
	char address[ADDRESS_SIZE];
	struct command_contact in = { .name = span_str("somebody") };
	struct contact_id id;
	const char *why = "?";

	daemon_world_address(n, address);
	in.address = span_str(address);
	if (command_contact_add(&w->d, &in, &id, &why))
		die(why);
	return id;
}

struct names {
	char text[2048];
	size_t n;
};

static bool
add_name(void *ctx, const struct event_row *e)
{
	struct names *names = ctx;

	names->n += (size_t)snprintf(names->text + names->n,
	    sizeof(names->text) - names->n, "%s%s", names->n ? " " : "",
	    events_name(e->type));
	return names->n < sizeof(names->text) - 64;
}

const char *
daemon_world_events(struct daemon_world *w, int64_t since)
{
	static struct names names;
	int64_t last;

	daemon_drain(&w->d);
	memset(&names, 0, sizeof(names));
	if (events_read(w->d.store, since, 1000, add_name, &names, &last))
		die("events_read");
	return names.text;
}
