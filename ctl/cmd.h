/* The commands. Each takes its words and options from ctl->args, prints its
 * result and returns the exit status. */
#ifndef CTL_CMD_H
#define CTL_CMD_H

#include "ctl/ctl.h"

int cmd_backup_create(struct ctl *ctl);
int cmd_backup_restore(struct ctl *ctl);
int cmd_backup_verify(struct ctl *ctl);
int cmd_chat(struct ctl *ctl);
int cmd_completion(struct ctl *ctl);
int cmd_config_get(struct ctl *ctl);
int cmd_config_ls(struct ctl *ctl);
int cmd_config_reload(struct ctl *ctl);
int cmd_config_set(struct ctl *ctl);
int cmd_consumer_ls(struct ctl *ctl);
int cmd_consumer_rm(struct ctl *ctl);
int cmd_contact_add(struct ctl *ctl);
int cmd_contact_block(struct ctl *ctl);
int cmd_contact_ls(struct ctl *ctl);
int cmd_contact_rename(struct ctl *ctl);
int cmd_contact_set(struct ctl *ctl);
int cmd_contact_unblock(struct ctl *ctl);
int cmd_contact_verify(struct ctl *ctl);
int cmd_contact_rm(struct ctl *ctl);
int cmd_contact_show(struct ctl *ctl);
int cmd_conv_clear(struct ctl *ctl);
int cmd_conv_export(struct ctl *ctl);
int cmd_conv_ls(struct ctl *ctl);
int cmd_conv_set(struct ctl *ctl);
int cmd_daemon_loglevel(struct ctl *ctl);
int cmd_daemon_logs(struct ctl *ctl);
int cmd_daemon_metrics(struct ctl *ctl);
int cmd_daemon_selftest(struct ctl *ctl);
int cmd_daemon_shutdown(struct ctl *ctl);
int cmd_help(struct ctl *ctl);
int cmd_id_create(struct ctl *ctl);
int cmd_id_export(struct ctl *ctl);
int cmd_id_import(struct ctl *ctl);
int cmd_id_lock(struct ctl *ctl);
int cmd_id_passphrase(struct ctl *ctl);
int cmd_id_qr(struct ctl *ctl);
int cmd_id_rm(struct ctl *ctl);
int cmd_id_set(struct ctl *ctl);
int cmd_id_show(struct ctl *ctl);
int cmd_id_unlock(struct ctl *ctl);
int cmd_invite_accept(struct ctl *ctl);
int cmd_invite_ls(struct ctl *ctl);
int cmd_invite_new(struct ctl *ctl);
int cmd_invite_revoke(struct ctl *ctl);
int cmd_log(struct ctl *ctl);
int cmd_msg_cancel(struct ctl *ctl);
int cmd_msg_edit(struct ctl *ctl);
int cmd_msg_react(struct ctl *ctl);
int cmd_msg_read(struct ctl *ctl);
int cmd_msg_retry(struct ctl *ctl);
int cmd_msg_rm(struct ctl *ctl);
int cmd_msg_show(struct ctl *ctl);
int cmd_msg_status(struct ctl *ctl);
int cmd_net_bootstrap(struct ctl *ctl);
int cmd_net_dht(struct ctl *ctl);
int cmd_net_nat(struct ctl *ctl);
int cmd_net_peers(struct ctl *ctl);
int cmd_net_probe(struct ctl *ctl);
int cmd_net_rebind(struct ctl *ctl);
int cmd_net_status(struct ctl *ctl);
int cmd_rpc(struct ctl *ctl);
int cmd_search(struct ctl *ctl);
int cmd_send(struct ctl *ctl);
int cmd_status(struct ctl *ctl);
int cmd_stdio(struct ctl *ctl);
int cmd_tail(struct ctl *ctl);
int cmd_version(struct ctl *ctl);
int cmd_wait_online(struct ctl *ctl);
int cmd_why(struct ctl *ctl);

/* ---- what several commands share ---- */

/* Adds an option that is yes or no, if it is there; false: it is neither. */
bool cmd_add_yes_no(const struct ctl *ctl, const char *option, cJSON *params);
/* A call whose result, one object, is shown. params: owned by the call. */
int cmd_show(struct ctl *ctl, const char *method, cJSON *params);
/* A call that people are told in a word was done. */
int
cmd_do(struct ctl *ctl, const char *method, cJSON *params, const char *word);

/* A call that gives an id and a state: people are told what became of whom (of
 * the id, if that is NULL). params: owned by the call. */
int cmd_change(struct ctl *ctl, const char *method, cJSON *params,
    const char *whom, const char *said);

/* Asks whether to do something with the contact of the first word, whose name
 * stands between the two parts of the question, and calls act then. */
int cmd_agree(struct ctl *ctl, const char *before, const char *after,
    int (*act)(struct ctl *ctl, const cJSON *contact));

/* How a list is shown; all is borrowed. */
struct table;
struct cmd_list {
	const char *method;       /* gives items, in pages or at once */
	const char *const *heads; /* of the columns, for people */
	size_t n_human, n_plain;  /* columns */
	void (*add)(struct table *t, const cJSON *item); /* fills a row */
	bool paged; /* for people: long, and goes through the pager */
};
int cmd_list(struct ctl *ctl, const struct cmd_list *list, cJSON *params);

/* The words from the n-th on, joined by blanks, or
 * standard input for "-" or none; owned by the caller, checked. Returns an
 * exit status. */
int send_get_text(const struct ctl *ctl, size_t n, char **ret);
/* Whether n bytes can be sent as a message, reported if not. */
int send_check_text(const struct ctl *ctl, const char *text, size_t n);

#endif /* CTL_CMD_H */
