/*
 * Settings that are made while running: lines as those of the configuration
 * file, in the state directory. It is the one place that can be written
 * everywhere: a system has /etc read-only, the unit of a user shows the daemon
 * one file and that read-only, and the sandbox only reads the directory of the
 * file. So what people wrote stays as they wrote it. [btchatd.conf(5)]
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "daemon/daemon.h"

/*
 * Lines without those of that key, and with its values (one a line; NULL: none)
 * in their place or, if there was none, at the end. Comments, other keys and
 * their order stay. ERR_NOMEM; *ret is owned by the caller.
 */
MUST_USE enum err settings_edit(struct span old, const char *name,
    const char *values, char **ret, size_t *ret_n);

/*
 * Makes it durable, then takes it over if that needs no restart, and logs the
 * event. values NULL: takes the setting back.
 * INVALID_PARAMS: the key is none of these, or the value is wrong: why[] says
 * what. INVALID_STATE: the command line decides this key, or the rest of the
 * configuration is wrong by now: why[] as well. STORAGE_*.
 */
MUST_USE enum api_error settings_set(struct daemon *d, enum config_key key,
    const char *values, char why[CONFIG_ERROR_SIZE]);

/* What a start would find: of keys that need one it differs. */
const struct config *settings_next(const struct daemon *d);
void settings_free(struct daemon *d);
/* Takes the configuration of all places again; config.error says what is wrong
 * with it, and then nothing changes. */
MUST_USE enum err settings_reload(struct daemon *d);

#endif /* DAEMON_SETTINGS_H */
