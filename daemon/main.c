/* btchatd: reads its configuration, starts, turns until told to stop. */
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/portmap.h"
#include "daemon/rpc.h"
#include "daemon/start.h"
#include "daemon/upnp.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct daemon the_daemon;

/* A second signal must not cut short the stop that the first one began, when
 * the loop's handlers are gone. */
static void
block_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int
serve(struct daemon *d)
{
	char why[RPC_WHY_SIZE];
	int code = start_all(d);

	if (code)
		return code;
	if (rpc_start(d, why)) {
		log_event(LOG_ERR, "socket-refused", "%s", why);
		return DAEMON_EX_FAILED;
	}
	sd_close_rest(&d->fds);
	code = start_confined(d);
	if (code)
		return code;
	daemon_drain(d);
	sd_ready();
	loop_run(d);
	block_signals();
	sd_stopping();
	daemon_wake(d);
	if (d->node)
		node_stop(d->node, d->now);
	portmap_release(d);
	daemon_drain(d); /* what came in last is answered or lost, not half */
	return d->exit_code;
}

int
main(int argc, char **argv)
{
	struct daemon *d = &the_daemon;
	enum err err;
	int code;

	start_harden();
	if (argc == 2 && strcmp(argv[1], UPNP_HELPER_ARG) == 0)
		return upnp_helper_main();
	err = config_load(&d->config, argc, argv);
	if (err == ERR_EXISTS) /* --help, --version */
		return DAEMON_EX_OK;
	if (err == ERR_STATE) {
		(void)fputs("btchatd: see btchatd --help\n", stderr);
		return DAEMON_EX_USAGE;
	}
	if (err) {
		log_init(LOG_NOTICE, false);
		log_event(LOG_ERR, "config-refused", "%s", d->config.error);
		return err == ERR_IO ? DAEMON_EX_FAILED : CONFIG_EXIT;
	}
	log_init(d->config.log_level, d->config.log_addresses);
	if (d->config.check_only)
		return DAEMON_EX_OK;
	upnp_begin(d);
	code = serve(d);
	rpc_stop(d);
	start_undo(d);
	log_event(LOG_NOTICE, "stopped", "code=%d", code);
	return code;
}
