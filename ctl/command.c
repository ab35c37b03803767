/* The table of commands, and finding one in it. */
#include "ctl/command.h"

#include "ctl/cmd.h"
#include "ctl/report.h"

#include <stdio.h>
#include <string.h>

#define ANY COMMAND_WORDS_ANY

/* clang-format off */
const struct command command_table[] = {
	{ "status", NULL, "",
	  "what the daemon is doing, on one screen",
	  "", 0, 0, TIER_CHAT, cmd_status },
	{ "version", NULL, "",
	  "versions of this program and of the daemon",
	  "", 0, 0, TIER_NONE, cmd_version },
	{ "wait-online", NULL, "",
	  "wait until the daemon is online",
	  "", 0, 0, TIER_CHAT, cmd_wait_online },
	{ "id", "show", "",
	  "your address, to give to others",
	  "", 0, 0, TIER_CHAT, cmd_id_show },
	{ "id", "qr", "",
	  "your address as a code for cameras",
	  "", 0, 0, TIER_CHAT, cmd_id_qr },
	{ "id", "create",
	  "[--name NAME] [--passphrase-fd N | --passphrase-file F | "
	  "--no-passphrase]",
	  "make the identity, once",
	  "name passphrase-fd passphrase-file no-passphrase",
	  0, 0, TIER_CHAT, cmd_id_create },
	{ "id", "set", "[--name NAME] [--profile NAME]",
	  "how you call this identity; how contacts are told to",
	  "name profile", 0, 0, TIER_CHAT, cmd_id_set },
	{ "id", "unlock", "[--passphrase-fd N | --passphrase-file F]",
	  "open an identity that a passphrase seals",
	  "passphrase-fd passphrase-file", 0, 0, TIER_CHAT, cmd_id_unlock },
	{ "id", "lock", "",
	  "forget the keys until they are unlocked",
	  "", 0, 0, TIER_CHAT, cmd_id_lock },
	{ "id", "passphrase",
	  "[--passphrase-fd N | --passphrase-file F | --remove] "
	  "[--old-passphrase-fd N | --old-passphrase-file F]",
	  "set, change or remove the passphrase",
	  "passphrase-fd passphrase-file old-passphrase-fd "
	  "old-passphrase-file remove",
	  0, 0, TIER_ADMIN, cmd_id_passphrase },
	{ "id", "export", "FILE [--passphrase-fd N | --passphrase-file F]",
	  "write the identity alone to a sealed file",
	  "passphrase-fd passphrase-file", 1, 1, TIER_ADMIN, cmd_id_export },
	{ "id", "import", "FILE [--passphrase-fd N | --passphrase-file F]",
	  "take the identity from such a file, or from a backup",
	  "passphrase-fd passphrase-file", 1, 1, TIER_ADMIN, cmd_id_import },
	{ "id", "rm", "[--confirm ADDRESS --yes]",
	  "erase the identity and all that is kept of it",
	  "confirm", 0, 0, TIER_ADMIN, cmd_id_rm },
	{ "contact", "ls", "[TEXT]",
	  "contacts, or those whose name has TEXT in it",
	  "", 0, 1, TIER_CHAT, cmd_contact_ls },
	{ "contact", "show", "WHO",
	  "all about one contact",
	  "", 1, 1, TIER_CHAT, cmd_contact_show },
	{ "contact", "add", "ADDRESS [--name NAME]",
	  "add somebody by address; they add yours",
	  "name client-id", 1, 1, TIER_CHAT, cmd_contact_add },
	{ "contact", "rename", "WHO NAME",
	  "call a contact something else",
	  "", 2, 2, TIER_CHAT, cmd_contact_rename },
	{ "contact", "set", "WHO [--fallback=auto|allow|deny] "
	  "[--relay=yes|no] [--presence=yes|no]",
	  "decide about a contact",
	  "fallback relay presence", 1, 1, TIER_CHAT, cmd_contact_set },
	{ "contact", "verify", "WHO [NUMBER.. | --undo]",
	  "say that their safety number is yours",
	  "undo", 1, ANY, TIER_CHAT, cmd_contact_verify },
	{ "contact", "block", "WHO",
	  "let them hear nothing more of you",
	  "", 1, 1, TIER_CHAT, cmd_contact_block },
	{ "contact", "unblock", "WHO",
	  "let them in again",
	  "", 1, 1, TIER_CHAT, cmd_contact_unblock },
	{ "contact", "rm", "WHO [--yes]",
	  "remove a contact and the history with it",
	  "", 1, 1, TIER_CHAT, cmd_contact_rm },
	{ "conv", "ls", "[--unread]",
	  "conversations, newest message first",
	  "unread", 0, 0, TIER_CHAT, cmd_conv_ls },
	{ "conv", "clear", "WHO [--unsent=send|drop] [--client-id ID] [--yes]",
	  "forget all messages of a conversation, at this side",
	  "unsent client-id", 1, 1, TIER_CHAT, cmd_conv_clear },
	{ "conv", "set", "WHO [--muted=yes|no] [--pinned=yes|no] "
	  "[--receipts=on|off|default] [--timer=1d|off]",
	  "how a conversation is kept, and for how long",
	  "muted pinned receipts timer", 1, 1, TIER_CHAT, cmd_conv_set },
	{ "conv", "export", "WHO [--output FILE] [--text]",
	  "all messages, oldest first: JSON lines, or text",
	  "output text", 1, 1, TIER_CHAT, cmd_conv_export },
	{ "invite", "new", "[--label TEXT] [--ttl 7d] [--qr]",
	  "an invitation for one person",
	  "label ttl qr", 0, 0, TIER_CHAT, cmd_invite_new },
	{ "invite", "ls", "",
	  "invitations and what became of them",
	  "", 0, 0, TIER_CHAT, cmd_invite_ls },
	{ "invite", "accept", "INVITATION|- [--name NAME]",
	  "become a contact of who invited you",
	  "name client-id", 1, 1, TIER_CHAT, cmd_invite_accept },
	{ "invite", "revoke", "ID",
	  "make an invitation worthless",
	  "", 1, 1, TIER_CHAT, cmd_invite_revoke },
	{ "send", NULL,
	  "TO [TEXT|-] [--reply ID] [--ttl 1h] "
	  "[--wait[=sent|delivered|read]] [--client-id ID]",
	  "send a message; - or no TEXT reads stdin",
	  "reply ttl wait client-id", 1, ANY, TIER_CHAT, cmd_send },
	{ "log", NULL, "TO [-n N] [--before ID] [--since 2d|DATE]",
	  "the last messages with somebody, oldest first",
	  "lines before since", 1, 1, TIER_CHAT, cmd_log },
	{ "search", NULL, "WORD.. [--in WHO] [-n N]",
	  "texts in which words begin so, the newest first",
	  "in lines", 1, ANY, TIER_CHAT, cmd_search },
	{ "msg", "show", "ID",
	  "all about one message",
	  "", 1, 1, TIER_CHAT, cmd_msg_show },
	{ "msg", "status", "ID",
	  "how far a message came",
	  "", 1, 1, TIER_CHAT, cmd_msg_status },
	{ "msg", "edit", "ID [TEXT|-] [--client-id ID]",
	  "say something else instead, at both sides",
	  "client-id", 1, ANY, TIER_CHAT, cmd_msg_edit },
	{ "msg", "rm", "ID [--here] [--yes] [--client-id ID]",
	  "take a message back, at both sides or here alone",
	  "here client-id", 1, 1, TIER_CHAT, cmd_msg_rm },
	{ "msg", "cancel", "ID",
	  "do not send a message that has not left yet",
	  "", 1, 1, TIER_CHAT, cmd_msg_cancel },
	{ "msg", "retry", "ID",
	  "send a message once more that has failed",
	  "", 1, 1, TIER_CHAT, cmd_msg_retry },
	{ "msg", "react", "ID [REACTION] [--client-id ID]",
	  "react to a message; without REACTION no more",
	  "client-id", 1, 2, TIER_CHAT, cmd_msg_react },
	{ "msg", "read", "WHO [ID]",
	  "mark messages as read, up to one or all",
	  "", 1, 2, TIER_CHAT, cmd_msg_read },
	{ "tail", NULL,
	  "[--since CURSOR|oldest] [--consumer NAME] [--type T,..] "
	  "[--in TO] [-n N] [--exec DIR]",
	  "follow events; goes on after a restart of the daemon",
	  "since consumer type in lines exec", 0, 0, TIER_CHAT, cmd_tail },
	{ "chat", NULL, "WHO [-n N]",
	  "talk to somebody: lines are sent, what comes is shown",
	  "lines", 1, 1, TIER_CHAT, cmd_chat },
	{ "why", NULL, "WHO [--addresses]",
	  "what was tried to reach somebody, and what came of it",
	  "addresses", 1, 1, TIER_CHAT, cmd_why },
	{ "net", "status", "",
	  "addresses, traffic",
	  "", 0, 0, TIER_CHAT, cmd_net_status },
	{ "net", "dht", "",
	  "the distributed hash tables",
	  "", 0, 0, TIER_CHAT, cmd_net_dht },
	{ "net", "nat", "",
	  "what the router does, and what that is known from",
	  "", 0, 0, TIER_CHAT, cmd_net_nat },
	{ "net", "peers", "",
	  "contacts and the paths to them",
	  "", 0, 0, TIER_CHAT, cmd_net_peers },
	{ "net", "probe", "WHO",
	  "measure the round trip to a contact",
	  "", 1, 1, TIER_CHAT, cmd_net_probe },
	{ "net", "bootstrap", "[KEY@]HOST:PORT",
	  "enter the DHT through a node",
	  "", 1, 1, TIER_ADMIN, cmd_net_bootstrap },
	{ "net", "rebind", "",
	  "look round as after a change of networks",
	  "", 0, 0, TIER_ADMIN, cmd_net_rebind },
	{ "config", "ls", "",
	  "every setting, its value and where that comes from",
	  "", 0, 0, TIER_CHAT, cmd_config_ls },
	{ "config", "get", "KEY",
	  "the value of one setting",
	  "", 1, 1, TIER_CHAT, cmd_config_get },
	{ "config", "set", "KEY VALUE.. | KEY --unset",
	  "change a setting for good",
	  "unset", 1, ANY, TIER_ADMIN, cmd_config_set },
	{ "config", "reload", "",
	  "read the configuration again",
	  "", 0, 0, TIER_ADMIN, cmd_config_reload },
	{ "backup", "create",
	  "FILE [--passphrase-fd N | --passphrase-file F]",
	  "contacts and history, in a sealed file",
	  "passphrase-fd passphrase-file",
	  1, 1, TIER_ADMIN, cmd_backup_create },
	{ "backup", "verify",
	  "FILE [--passphrase-fd N | --passphrase-file F]",
	  "read a backup to its end",
	  "passphrase-fd passphrase-file",
	  1, 1, TIER_ADMIN, cmd_backup_verify },
	{ "backup", "restore",
	  "FILE [--passphrase-fd N | --passphrase-file F]",
	  "begin again from a backup, where there is no identity",
	  "passphrase-fd passphrase-file",
	  1, 1, TIER_ADMIN, cmd_backup_restore },
	{ "consumer", "ls", "",
	  "who reads events by a name, and how far they came",
	  "", 0, 0, TIER_CHAT, cmd_consumer_ls },
	{ "consumer", "rm", "NAME",
	  "forget one who reads events by a name",
	  "", 1, 1, TIER_CHAT, cmd_consumer_rm },
	{ "daemon", "loglevel", "[LEVEL]",
	  "err, warning, notice, info or debug",
	  "", 0, 1, TIER_ADMIN, cmd_daemon_loglevel },
	{ "daemon", "logs", "[-n N] [--level LEVEL]",
	  "the last lines of the log",
	  "lines level", 0, 0, TIER_ADMIN, cmd_daemon_logs },
	{ "daemon", "metrics", "",
	  "figures for monitoring, as OpenMetrics text",
	  "", 0, 0, TIER_CHAT, cmd_daemon_metrics },
	{ "daemon", "selftest", "",
	  "is there what the daemon stands on",
	  "", 0, 0, TIER_ADMIN, cmd_daemon_selftest },
	{ "daemon", "shutdown", "",
	  "stop the daemon",
	  "", 0, 0, TIER_ADMIN, cmd_daemon_shutdown },
	{ "rpc", NULL, "METHOD [KEY=VALUE..|JSON|-] | --list | "
	  "--schema [METHOD]",
	  "call a method of the API",
	  "list schema", 0, ANY, TIER_ADMIN, cmd_rpc },
	{ "stdio", NULL, "",
	  "the control socket on stdin and stdout, for ssh",
	  "", 0, 0, TIER_CHAT, cmd_stdio },
	{ "completion", NULL, "bash|zsh|fish",
	  "a script that completes commands in a shell",
	  "", 1, ANY, TIER_NONE, cmd_completion },
	{ "help", NULL, "[COMMAND]",
	  "this, or more about one command",
	  "", 0, 2, TIER_NONE, cmd_help },
};
/* clang-format on */

enum { N_COMMANDS = sizeof(command_table) / sizeof(command_table[0]) };

size_t
command_count(void)
{
	return N_COMMANDS;
}

enum { WORD_MAX = 31 };

static size_t
smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Distances of the first i bytes of one word to the first j of another. */
struct distances {
	size_t d[WORD_MAX + 1][WORD_MAX + 1];
};

static size_t
cell(
    const struct distances *t, const char *a, const char *b, size_t i, size_t j)
{
	size_t other, least;

	if (i == 0 || j == 0)
		return i + j;
	other = a[i - 1] != b[j - 1];
	least = smaller(t->d[i - 1][j - 1] + other,
	    smaller(t->d[i - 1][j], t->d[i][j - 1]) + 1);
	if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
		least = smaller(least, t->d[i - 2][j - 2] + 1);
	return least;
}

/* Damerau's distance, restricted to swaps of neighbours. */
size_t
command_distance(const char *a, const char *b)
{
	struct distances t;
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return SIZE_MAX;
	for (size_t i = 0; i <= na; i++) {
		for (size_t j = 0; j <= nb; j++)
			t.d[i][j] = cell(&t, a, b, i, j);
	}
	return t.d[na][nb];
}

/* The nearest word of those that may stand here; NULL: none is near. */
static const char *
suggest(const char *noun, const char *word)
{
	const char *best = NULL;
	size_t least = strlen(word) > 4 ? 3 : 2; /* below this it is near */

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &command_table[i];
		const char *other = noun == NULL ? c->noun : c->verb;

		if (noun != NULL && strcmp(noun, c->noun) != 0)
			continue;
		if (other == NULL || command_distance(word, other) >= least)
			continue;
		least = command_distance(word, other);
		best = other;
	}
	return best;
}

static void
list_verbs(const char *noun)
{
	char text[256] = "";
	size_t n = 0;

	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &command_table[i];

		if (strcmp(c->noun, noun) != 0 || n >= sizeof(text))
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
		    n > 0 ? ", " : "", c->verb);
	}
	report("%s needs one of: %s", noun, text);
}

static void
say_unknown(const char *noun, const char *word)
{
	const char *near = suggest(noun, word);

	if (noun == NULL)
		report("no command \"%s\"", word);
	else
		report("no command \"%s %s\"", noun, word);
	if (near != NULL)
		report("did you mean \"%s%s%s\"?", noun != NULL ? noun : "",
		    noun != NULL ? " " : "", near);
	else if (noun != NULL)
		list_verbs(noun);
	else
		report("\"btchatctl help\" lists all commands");
}

const struct command *
command_named(const char *noun, const char *verb)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &command_table[i];

		if (strcmp(c->noun, noun) == 0 &&
		    (c->verb == NULL ||
		        (verb != NULL && strcmp(c->verb, verb) == 0)))
			return c;
	}
	return NULL;
}

static bool
is_noun(const char *word)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(command_table[i].noun, word) == 0)
			return true;
	return false;
}

const struct command *
command_find(const struct args *a, size_t *ret_words)
{
	const char *noun = args_word(a, 0), *verb = args_word(a, 1);
	const struct command *c;

	if (noun == NULL) {
		report("no command; \"btchatctl help\" lists them");
		return NULL;
	}
	c = command_named(noun, verb);
	if (c != NULL)
		*ret_words = c->verb == NULL ? 1 : 2;
	else if (!is_noun(noun))
		say_unknown(NULL, noun);
	else if (verb == NULL)
		list_verbs(noun);
	else
		say_unknown(noun, verb);
	return c;
}

void
command_print_usage(const struct command *c, FILE *f)
{
	(void)fprintf(f, "usage: btchatctl %s%s%s%s%s\n", c->noun,
	    c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
	    c->usage[0] != '\0' ? " " : "", c->usage);
}

void
command_print_all(FILE *f)
{
	(void)fputs(
	    "usage: btchatctl [-S SOCKET] [--json[=F,..]|--plain|--human]\n"
	    "         [--color=auto|always|never] [--no-input] [-qy]\n"
	    "         [--raw] [--timeout S] COMMAND\n\n",
	    f);
	for (size_t i = 0; i < N_COMMANDS; i++) {
		const struct command *c = &command_table[i];
		char name[32];

		(void)snprintf(name, sizeof(name), "%s%s%s", c->noun,
		    c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "");
		(void)fprintf(f, "  %-16s %s\n", name, c->summary);
	}
	(void)fputs("\n\"btchatctl help COMMAND\" says more; "
	            "the manual is btchatctl(1).\n",
	    f);
}
