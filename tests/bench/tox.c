/*
 * libtoxcore nodes for the comparison.
 *
 *   tox [SAVED]         one node, perhaps with what it saved in an earlier life
 *   tox crowd PORT DHT_KEY PUBLIC_KEY
 *                       a node for each line on stdin, until its end, each
 *                       with one friend, the same for all, at 127.0.0.1:PORT
 *
 * The one is driven by lines on stdin:
 *   boot HOST PORT DHT_KEY   bootstrap
 *   add PUBLIC_KEY           tox_friend_add_norequest
 *   eager 0|1                whether the loop does not sleep; else it sleeps
 *                            for tox_iteration_interval(), as the library's
 *                            documentation asks
 *   rtt N                    N messages one after the other, each until its
 *                            receipt
 *   echo 0|1                 whether every message is sent back
 *   ping N                   N messages one after the other, each until it
 *                            was sent back
 *   flood N                  N messages as fast as the queue takes them
 *   file BYTES               a file
 *   save PATH
 *   quit
 * It answers with lines: "node PORT DHT_KEY PUBLIC_KEY" at the start,
 * "online", "offline", "rtt US US ...", "ping US US ...", "flood N MS",
 * "file BYTES MS", "saved". A crowd prints "at PUBLIC_KEY" for each of its
 * members and "online N" whenever more of them have met the friend.
 */
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tox/tox.h>
#include <unistd.h>

enum {
	KEY = 32,
	LINE = 256,
	BODY = 100,
	RTT_MAX = 10000,
	CROWD_MAX = 1000,
	CHUNK_MAX = 1500,
};

struct node {
	Tox *tox;
	bool quit, eager, echo;
	char line[LINE];
	size_t n_line;
	uint64_t file_bytes; /* being sent, or 0 */
	/* the run that is under way */
	bool one_by_one, by_echo;
	unsigned want, sent, received;
	uint64_t start_us, sent_us;
	uint64_t rtt_us[RTT_MAX];
};

static uint64_t
now_us(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
print_key(const uint8_t key[KEY])
{
	for (int i = 0; i < KEY; i++)
		printf("%02x", key[i]);
}

static bool
parse_key(const char *hex, uint8_t ret[KEY])
{
	for (size_t i = 0; i < KEY; i++) {
		char byte[3] = { hex[2 * i], 0, 0 };
		char *end = NULL;

		if (byte[0] == 0)
			return false;
		byte[1] = hex[2 * i + 1];
		ret[i] = (uint8_t)strtoul(byte, &end, 16);
		if (end != byte + 2)
			return false;
	}
	return true;
}

static void
say(const char *word)
{
	puts(word);
	fflush(stdout);
}

/* Sends what the run allows now; stops where the library's queue is full. */
static void
pump(struct node *n)
{
	uint8_t body[BODY];
	uint32_t limit = n->one_by_one ? n->received + 1 : n->want;

	memset(body, 'x', sizeof(body));
	while (n->sent < n->want && n->sent < limit) {
		n->sent_us = now_us();
		(void)tox_friend_send_message(n->tox, 0,
		    TOX_MESSAGE_TYPE_NORMAL, body, sizeof(body), NULL);
		if (tox_friend_get_connection_status(n->tox, 0, NULL) ==
		    TOX_CONNECTION_NONE)
			return;
		n->sent++;
	}
}

static void
finish(struct node *n)
{
	if (n->one_by_one) {
		printf(n->by_echo ? "ping" : "rtt");
		for (unsigned i = 0; i < n->want; i++)
			printf(" %llu", (unsigned long long)n->rtt_us[i]);
		say("");
	} else {
		printf("flood %u %.3f", n->want,
		    (double)(now_us() - n->start_us) / 1000);
		say("");
	}
	n->want = 0;
}

static void
arrived(struct node *n)
{
	if (n->want == 0)
		return;
	if (n->one_by_one && n->received < RTT_MAX)
		n->rtt_us[n->received] = now_us() - n->sent_us;
	n->received++;
	if (n->received == n->want)
		finish(n);
}

static void
on_receipt(Tox *tox, uint32_t friend, uint32_t id, void *ctx)
{
	struct node *n = ctx;

	(void)tox;
	(void)friend;
	(void)id;
	if (!n->by_echo)
		arrived(n);
}

static void
on_message(Tox *tox, uint32_t friend, TOX_MESSAGE_TYPE type,
    const uint8_t *text, size_t text_n, void *ctx)
{
	struct node *n = ctx;

	if (n->echo)
		(void)tox_friend_send_message(
		    tox, friend, type, text, text_n, NULL);
	else if (n->by_echo)
		arrived(n);
}

static void
on_connection(Tox *tox, uint32_t friend, TOX_CONNECTION status, void *ctx)
{
	(void)tox;
	(void)friend;
	(void)ctx;
	say(status == TOX_CONNECTION_NONE ? "offline" : "online");
}

/* ---- a file ---- */

static void
start_file(struct node *n, const char *bytes)
{
	n->file_bytes = strtoull(bytes, NULL, 10);
	n->start_us = now_us();
	(void)tox_file_send(n->tox, 0, TOX_FILE_KIND_DATA, n->file_bytes, NULL,
	    (const uint8_t *)"f", 1, NULL);
}

/* The library's own parameters. */
/* NOLINTBEGIN(readability-function-size) */
static void
on_offer(Tox *tox, uint32_t friend, uint32_t file, uint32_t kind, uint64_t size,
    const uint8_t *name, size_t name_n, void *ctx)
{
	(void)kind;
	(void)size;
	(void)name;
	(void)name_n;
	(void)ctx;
	(void)tox_file_control(
	    tox, friend, file, TOX_FILE_CONTROL_RESUME, NULL);
}
/* NOLINTEND(readability-function-size) */

/* The library asks for the next piece; for none when all has arrived. */
static void
on_wanted(Tox *tox, uint32_t friend, uint32_t file, uint64_t at, size_t length,
    void *ctx)
{
	static const uint8_t chunk[CHUNK_MAX];
	struct node *n = ctx;

	if (length > 0) {
		(void)tox_file_send_chunk(
		    tox, friend, file, at, chunk, length, NULL);
		return;
	}
	printf("file %llu %.3f", (unsigned long long)n->file_bytes,
	    (double)(now_us() - n->start_us) / 1000);
	say("");
	n->file_bytes = 0;
}

static void
save(const struct node *n, const char *path)
{
	size_t size = tox_get_savedata_size(n->tox);
	uint8_t *data = malloc(size);
	FILE *f = fopen(path, "wb");

	if (data != NULL && f != NULL) {
		tox_get_savedata(n->tox, data);
		(void)fwrite(data, 1, size, f);
	}
	if (f != NULL)
		(void)fclose(f);
	free(data);
	say("saved");
}

/* ---- commands ---- */

static void
start_run(struct node *n, bool one_by_one, const char *count)
{
	unsigned long want = strtoul(count, NULL, 10);

	n->one_by_one = one_by_one;
	n->by_echo = false;
	n->want = (unsigned)(want < RTT_MAX || !one_by_one ? want : RTT_MAX);
	n->sent = n->received = 0;
	n->start_us = now_us();
}

static void
boot(Tox *tox, const char *host, const char *port, const char *dht_key)
{
	uint8_t key[KEY];

	if (parse_key(dht_key, key))
		(void)tox_bootstrap(
		    tox, host, (uint16_t)strtoul(port, NULL, 10), key, NULL);
}

static void
command(struct node *n, char *line)
{
	char *rest = NULL;
	const char *verb = strtok_r(line, " ", &rest);
	const char *a = strtok_r(NULL, " ", &rest);
	const char *b = strtok_r(NULL, " ", &rest);
	const char *c = strtok_r(NULL, " ", &rest);
	uint8_t key[KEY];

	if (verb == NULL || strcmp(verb, "quit") == 0) {
		n->quit = true;
	} else if (a == NULL) {
		return;
	} else if (strcmp(verb, "boot") == 0 && c != NULL) {
		boot(n->tox, a, b, c);
	} else if (strcmp(verb, "add") == 0 && parse_key(a, key)) {
		(void)tox_friend_add_norequest(n->tox, key, NULL);
	} else if (strcmp(verb, "eager") == 0) {
		n->eager = *a == '1';
	} else if (strcmp(verb, "rtt") == 0) {
		start_run(n, true, a);
	} else if (strcmp(verb, "ping") == 0) {
		start_run(n, true, a);
		n->by_echo = true;
	} else if (strcmp(verb, "echo") == 0) {
		n->echo = *a == '1';
	} else if (strcmp(verb, "flood") == 0) {
		start_run(n, false, a);
	} else if (strcmp(verb, "file") == 0) {
		start_file(n, a);
	} else if (strcmp(verb, "save") == 0) {
		save(n, a);
	}
}

static void
read_commands(struct node *n)
{
	ssize_t got =
	    read(STDIN_FILENO, n->line + n->n_line, LINE - 1 - n->n_line);
	char *end;

	if (got <= 0) {
		n->quit = true;
		return;
	}
	n->n_line += (size_t)got;
	n->line[n->n_line] = 0;
	while ((end = strchr(n->line, '\n')) != NULL) {
		*end++ = 0;
		command(n, n->line);
		n->n_line -= (size_t)(end - n->line);
		memmove(n->line, end, n->n_line + 1);
	}
}

/* saved: a path, or NULL. */
static Tox *
start(const char *saved)
{
	struct Tox_Options *options = tox_options_new(NULL);
	FILE *f = saved != NULL ? fopen(saved, "rb") : NULL;
	static uint8_t data[1 << 16];
	size_t n = 0;
	Tox *tox;

	if (f != NULL) {
		n = fread(data, 1, sizeof(data), f);
		(void)fclose(f);
	}
	if (options == NULL)
		return NULL;
	tox_options_set_local_discovery_enabled(options, false);
	tox_options_set_end_port(options, 65535); /* a crowd needs many */
	if (n > 0) {
		tox_options_set_savedata_type(
		    options, TOX_SAVEDATA_TYPE_TOX_SAVE);
		tox_options_set_savedata_data(options, data, n);
		tox_options_set_savedata_length(options, n);
	}
	tox = tox_new(options, NULL);
	tox_options_free(options);
	return tox;
}

static void
introduce(Tox *tox)
{
	uint8_t key[KEY];

	printf("node %u ", tox_self_get_udp_port(tox, NULL));
	tox_self_get_dht_id(tox, key);
	print_key(key);
	printf(" ");
	tox_self_get_public_key(tox, key);
	print_key(key);
	say("");
}

/* ---- a crowd ---- */

static void
on_member_connection(
    Tox *tox, uint32_t friend, TOX_CONNECTION status, void *ctx)
{
	unsigned *online = ctx;

	(void)tox;
	(void)friend;
	*online += status == TOX_CONNECTION_NONE ? -1U : 1;
	printf("online %u", *online);
	say("");
}

static Tox *
join(const char *port, const char *dht_key, const char *friend)
{
	Tox *tox = start(NULL);
	uint8_t key[KEY];

	if (tox == NULL || !parse_key(friend, key))
		exit(EXIT_FAILURE);
	tox_callback_friend_connection_status(tox, on_member_connection);
	boot(tox, "127.0.0.1", port, dht_key);
	(void)tox_friend_add_norequest(tox, key, NULL);
	tox_self_get_public_key(tox, key);
	printf("at ");
	print_key(key);
	say("");
	return tox;
}

static int
crowd(const char *port, const char *dht_key, const char *friend)
{
	static Tox *tox[CROWD_MAX];
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };
	unsigned n = 0, online = 0;
	char lines[LINE];

	for (;;) {
		int wait = n > 0 ? (int)tox_iteration_interval(tox[0]) : -1;
		ssize_t got = poll(&in, 1, wait) > 0
		                  ? read(STDIN_FILENO, lines, sizeof(lines))
		                  : -1;

		if (got == 0)
			return EXIT_SUCCESS;
		for (ssize_t i = 0; i < got && n < CROWD_MAX; i++)
			if (lines[i] == '\n')
				tox[n++] = join(port, dht_key, friend);
		for (unsigned i = 0; i < n; i++)
			tox_iterate(tox[i], &online);
	}
}

static void
run(struct node *n)
{
	while (!n->quit) {
		struct pollfd in = { STDIN_FILENO, POLLIN, 0 };

		if (poll(&in, 1,
		        n->eager ? 0 : (int)tox_iteration_interval(n->tox)) > 0)
			read_commands(n);
		pump(n);
		tox_iterate(n->tox, n);
	}
}

int
main(int argc, char **argv)
{
	static struct node n;

	if (argc == 5)
		return crowd(argv[2], argv[3], argv[4]);
	n.tox = start(argc > 1 ? argv[1] : NULL);
	if (n.tox == NULL)
		return EXIT_FAILURE;
	tox_callback_friend_connection_status(n.tox, on_connection);
	tox_callback_friend_read_receipt(n.tox, on_receipt);
	tox_callback_friend_message(n.tox, on_message);
	tox_callback_file_recv(n.tox, on_offer);
	tox_callback_file_chunk_request(n.tox, on_wanted);
	introduce(n.tox);
	run(&n);
	tox_kill(n.tox);
	return EXIT_SUCCESS;
}
