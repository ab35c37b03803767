/*
 * completion: a short script for each shell, which asks us again for the
 * words that fit, so that all shells know what the table of commands knows.
 *
 *     btchatctl completion words -- WORD...
 *
 * prints what may stand in the place of the last WORD, one a line, with a few
 * words about it behind a tab; ":file" asks for the names of files. Names of
 * contacts and the like are asked of the daemon, if one answers at once.
 */
#include "ctl/cmd.h"
#include "ctl/command.h"
#include "ctl/escape.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_MS = 1000, TOKEN_SIZE = 64 };

/* clang-format off */
static const char bash_script[] =
"# bash completion of btchatctl; made by: btchatctl completion bash\n"
"_btchatctl()\n"
"{\n"
"	local cur=${COMP_WORDS[COMP_CWORD]} word about\n"
"	COMPREPLY=()\n"
"	[ \"$cur\" != = ] || cur=\n"
"	while IFS=$'\\t' read -r word about; do\n"
"		if [ \"$word\" = :file ]; then\n"
"			compopt -o filenames\n"
"			mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
"			return\n"
"		fi\n"
"		case $word in \"$cur\"*)\n"
"			COMPREPLY+=(\"$(printf %q \"$word\")\") ;;\n"
"		esac\n"
"	done < <(\"$1\" completion words -- \\\n"
"		\"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null)\n"
"}\n"
"complete -F _btchatctl btchatctl\n";

static const char zsh_script[] =
"#compdef btchatctl\n"
"# zsh completion of btchatctl; made by: btchatctl completion zsh\n"
"_btchatctl()\n"
"{\n"
"	local -a lines list\n"
"	local line word\n"
"	lines=(\"${(@f)$(\"${words[1]}\" completion words -- \\\n"
"		\"${(@Q)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
"	if [[ ${lines[1]} == :file ]]; then\n"
"		_files\n"
"		return\n"
"	fi\n"
"	for line in $lines; do\n"
"		word=${line%%$'\\t'*}\n"
"		list+=(\"${word//:/\\\\:}:${line#*$'\\t'}\")\n"
"	done\n"
"	_describe btchatctl list\n"
"}\n"
"if [ \"${funcstack[1]}\" = _btchatctl ]; then\n"
"	_btchatctl \"$@\"\n"
"else\n"
"	compdef _btchatctl btchatctl\n"
"fi\n";

static const char fish_script[] =
"# fish completion of btchatctl; made by: btchatctl completion fish\n"
"function __btchatctl_words\n"
"	set -l cur (commandline -ct)\n"
"	set -l words (commandline -opc) \"$cur\"\n"
"	set -l lines ($words[1] completion words -- \\\n"
"		$words[2..-1] 2>/dev/null)\n"
"	if test \"$lines[1]\" = :file\n"
"		__fish_complete_path \"$cur\"\n"
"	else\n"
"		printf '%s\\n' $lines\n"
"	end\n"
"end\n"
"complete -c btchatctl -f -a '(__btchatctl_words)'\n";
/* clang-format on */

/* ---- what was typed ---- */

struct typed {
	struct ctl *ctl;
	const char *last;              /* to be completed */
	const char *noun, *verb;       /* NULL: not there yet */
	const struct command *cmd;     /* NULL: none of that name */
	const struct arg_spec *option; /* whose value last is; NULL: none */
	size_t n_words;                /* after the command's name */
	bool only_words;               /* behind -- */
};

static void
take_word(struct typed *t, const char *word)
{
	if (t->noun == NULL) {
		t->noun = word;
	} else if (t->cmd == NULL && t->verb == NULL) {
		t->verb = word;
	} else {
		t->n_words++;
	}
	if (t->cmd == NULL)
		t->cmd = command_named(t->noun, t->verb);
}

/* The socket that was named is the one to ask. */
static void
take_value(struct typed *t, const char *value)
{
	struct args *a = &t->ctl->args;

	if (strcmp(t->option->name, "socket") == 0 &&
	    a->n_options < ARGS_OPTIONS_MAX)
		a->options[a->n_options++] =
		    (struct arg_option){ t->option, value };
	t->option = NULL;
}

/* One word before the last. bash parts words at "=". */
static void
take(struct typed *t, const char *word, const char *next)
{
	const struct arg_spec *spec = t->only_words ? NULL : args_spec(word);

	if (strcmp(word, "=") == 0)
		return;
	if (t->option != NULL) {
		take_value(t, word);
		return;
	}
	if (strcmp(word, "--") == 0)
		t->only_words = true;
	else if (spec != NULL && strchr(word, '=') == NULL &&
	         (spec->kind == ARG_VALUE || strcmp(next, "=") == 0))
		t->option = spec;
	else if (spec == NULL)
		take_word(t, word);
}

/* ---- what fits ---- */

static void
offer(const char *word, const char *about)
{
	(void)printf("%s\t%s\n", word, about);
}

static void
offer_options(const struct typed *t)
{
	const struct arg_spec *s;
	char word[TOKEN_SIZE];

	for (size_t i = 0; (s = args_spec_at(i)) != NULL; i++) {
		if (!s->global &&
		    (t->cmd == NULL || !args_lists(t->cmd->options, s->name)))
			continue;
		(void)snprintf(word, sizeof(word), "--%s", s->name);
		offer(word, s->kind == ARG_VALUE ? "with a value" : "");
	}
}

static void
offer_nouns(void)
{
	const char *last = "";

	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = &command_table[i];

		if (strcmp(c->noun, last) != 0)
			offer(c->noun, c->verb == NULL ? c->summary : "");
		last = c->noun;
	}
}

static void
offer_verbs(const char *noun)
{
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = &command_table[i];

		if (c->verb != NULL && strcmp(c->noun, noun) == 0)
			offer(c->verb, c->summary);
	}
}

/* "a|b|c" as three words. */
static void
offer_choices(const char *list)
{
	char *copy = value_strdup(list), *rest = copy, *word;

	while ((word = strsep(&rest, "|")) != NULL)
		offer(word, "");
	free(copy);
}

/* What the daemon lists, by a member of each item; nothing if it is silent,
 * and nothing that could steer a terminal. */
static void
offer_asked(
    struct ctl *ctl, const char *method, const char *list, const char *member)
{
	struct ctl_outcome out = { 0 };
	cJSON *params = NULL;
	const cJSON *item;

	if (!ctl_connect_quietly(ctl))
		return;
	if (strcmp(method, "contact.list") == 0) {
		params = cJSON_CreateObject();
		value_add_u64(params, "limit", API_LIMIT_MAX);
	}
	if (ctl_try(ctl, ASK_MS, method, params, &out) != CTL_DONE)
		return;
	cJSON_ArrayForEach(item, value_get(out.result, list))
	{
		const char *word = cJSON_IsString(item)
		                       ? item->valuestring
		                       : value_str(item, member);
		char *safe = escape_terminal(word, true);

		if (word[0] != '\0' && strcmp(safe, word) == 0)
			offer(word, "");
		free(safe);
	}
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
}

/* A word of a usage: who, a file, one of a|b|c. */
static void
offer_kind(struct ctl *ctl, const char *kind)
{
	if (strcmp(kind, "WHO") == 0 || strcmp(kind, "TO") == 0)
		offer_asked(ctl, "contact.list", "items", "name");
	else if (strcmp(kind, "KEY") == 0)
		offer_asked(ctl, "config.list", "items", "key");
	else if (strcmp(kind, "METHOD") == 0)
		offer_asked(ctl, "session.info", "methods", "");
	else if (strcmp(kind, "LEVEL") == 0)
		offer_choices("err|warning|notice|info|debug");
	else if (strcmp(kind, "COMMAND") == 0)
		offer_nouns();
	else if (strcmp(kind, "FILE") == 0 || strcmp(kind, "F") == 0 ||
	         strcmp(kind, "DIR") == 0)
		(void)puts(":file");
	else if (kind[0] >= 'a' && kind[0] <= 'z')
		offer_choices(kind);
}

/* The n-th word of a usage that is no option; "" if there are fewer. */
static void
usage_word(const char *usage, size_t n, char ret[TOKEN_SIZE])
{
	bool option = false;

	ret[0] = '\0';
	while (*usage != '\0') {
		size_t size = strcspn(usage, " ");
		const char *word = usage + strspn(usage, "[");
		size_t k = strcspn(word, " ].|");

		if (word[0] >= 'a' && word[0] <= 'z')
			k = strcspn(word, " ]");
		if (usage[0] == '|' && size == 1)
			return;
		if (word[0] == '-' || option)
			option = memchr(usage, ']', size) == NULL;
		else if (n-- == 0)
			(void)snprintf(ret, TOKEN_SIZE, "%.*s", (int)k, word);
		if (ret[0] != '\0')
			return;
		usage += size;
		usage += strspn(usage, " ");
	}
}

/* What follows "--name" in a usage, as "=yes|no" or " FILE". */
static void
option_kind(const struct typed *t, char ret[TOKEN_SIZE])
{
	char name[TOKEN_SIZE];
	const char *at;

	ret[0] = '\0';
	(void)snprintf(name, sizeof(name), "--%s", t->option->name);
	at = t->cmd != NULL ? strstr(t->cmd->usage, name) : NULL;
	if (at == NULL)
		return;
	at += strlen(name);
	at += strspn(at, "[= ");
	(void)snprintf(ret, TOKEN_SIZE, "%.*s", (int)strcspn(at, " ]"), at);
}

static void
offer_value(const struct typed *t)
{
	const char *name = t->option->name;
	char kind[TOKEN_SIZE];

	option_kind(t, kind);
	if (strcmp(name, "color") == 0)
		offer_choices("auto|always|never");
	else if (strcmp(name, "socket") == 0)
		(void)puts(":file");
	else
		offer_kind(t->ctl, kind);
}

/* "--wait=del": the whole word is to be completed. */
static void
offer_inline_value(const struct typed *t)
{
	struct typed of = *t;
	char kind[TOKEN_SIZE], word[2 * TOKEN_SIZE];
	char *rest = kind, *choice;

	of.option = args_spec(t->last);
	if (of.option == NULL)
		return;
	option_kind(&of, kind);
	if (strcmp(of.option->name, "color") == 0)
		(void)snprintf(kind, sizeof(kind), "auto|always|never");
	if (kind[0] < 'a' || kind[0] > 'z')
		return;
	while ((choice = strsep(&rest, "|")) != NULL) {
		(void)snprintf(
		    word, sizeof(word), "--%s=%s", of.option->name, choice);
		offer(word, "");
	}
}

static void
offer_what_fits(const struct typed *t)
{
	char kind[TOKEN_SIZE];

	if (t->option != NULL) {
		offer_value(t);
	} else if (t->last[0] == '-' && !t->only_words) {
		if (strchr(t->last, '=') != NULL)
			offer_inline_value(t);
		else
			offer_options(t);
	} else if (t->noun == NULL) {
		offer_nouns();
	} else if (t->cmd == NULL) {
		offer_verbs(t->noun);
	} else {
		usage_word(t->cmd->usage, t->n_words, kind);
		offer_kind(t->ctl, kind);
	}
}

static int
offer_words(struct ctl *ctl)
{
	size_t n = args_count(&ctl->args);
	struct typed t = { .ctl = ctl };

	t.last = n > 1 ? args_word(&ctl->args, n - 1) : "";
	for (size_t i = 1; i + 1 < n; i++)
		take(
		    &t, args_word(&ctl->args, i), args_word(&ctl->args, i + 1));
	if (strcmp(t.last, "=") == 0)
		t.last = "";
	offer_what_fits(&t);
	return CTL_DONE;
}

int
cmd_completion(struct ctl *ctl)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = { { "bash", bash_script }, { "zsh", zsh_script },
		{ "fish", fish_script } };
	const char *what = args_word(&ctl->args, 0);

	if (strcmp(what, "words") == 0)
		return offer_words(ctl);
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		if (strcmp(scripts[i].shell, what) != 0 ||
		    args_count(&ctl->args) > 1)
			continue;
		(void)fputs(scripts[i].script, stdout);
		return CTL_DONE;
	}
	return report_usage("completion is for bash, zsh or fish");
}
