/* Patterns are written as in the framework's text, messages between bars. */
#include "tests/support/noise_pattern.h"

#include "tests/support/blake2s.h"

#include <sodium.h>
#include <string.h>

struct row {
	const char *name;
	const char *pre[2]; /* of the initiator, of the responder */
	const char *messages;
};

/* clang-format off */
static const struct row rows[NOISE_BASE_PATTERNS] = {
	{ "N",    { "",  "s" }, "e es" },
	{ "K",    { "s", "s" }, "e es ss" },
	{ "X",    { "",  "s" }, "e es s ss" },

	{ "NN",   { "",  ""  }, "e|e ee" },
	{ "NK",   { "",  "s" }, "e es|e ee" },
	{ "NX",   { "",  ""  }, "e|e ee s es" },
	{ "KN",   { "s", ""  }, "e|e ee se" },
	{ "KK",   { "s", "s" }, "e es ss|e ee se" },
	{ "KX",   { "s", ""  }, "e|e ee se s es" },
	{ "XN",   { "",  ""  }, "e|e ee|s se" },
	{ "XK",   { "",  "s" }, "e es|e ee|s se" },
	{ "XX",   { "",  ""  }, "e|e ee s es|s se" },
	{ "IN",   { "",  ""  }, "e s|e ee se" },
	{ "IK",   { "",  "s" }, "e es s ss|e ee se" },
	{ "IX",   { "",  ""  }, "e s|e ee se s es" },

	{ "NK1",  { "",  "s" }, "e|e ee es" },
	{ "NX1",  { "",  ""  }, "e|e ee s|es" },
	{ "X1N",  { "",  ""  }, "e|e ee|s|se" },
	{ "X1K",  { "",  "s" }, "e es|e ee|s|se" },
	{ "XK1",  { "",  "s" }, "e|e ee es|s se" },
	{ "X1K1", { "",  "s" }, "e|e ee es|s|se" },
	{ "X1X",  { "",  ""  }, "e|e ee s es|s|se" },
	{ "XX1",  { "",  ""  }, "e|e ee s|es s se" },
	{ "X1X1", { "",  ""  }, "e|e ee s|es s|se" },
	{ "K1N",  { "s", ""  }, "e|e ee|se" },
	{ "K1K",  { "s", "s" }, "e es|e ee|se" },
	{ "KK1",  { "s", "s" }, "e|e ee se es" },
	{ "K1K1", { "s", "s" }, "e|e ee es|se" },
	{ "K1X",  { "s", ""  }, "e|e ee s es|se" },
	{ "KX1",  { "s", ""  }, "e|e ee se s|es" },
	{ "K1X1", { "s", ""  }, "e|e ee s|se es" },
	{ "I1N",  { "",  ""  }, "e s|e ee|se" },
	{ "I1K",  { "",  "s" }, "e es s|e ee|se" },
	{ "IK1",  { "",  "s" }, "e s|e ee se es" },
	{ "I1K1", { "",  "s" }, "e s|e ee es|se" },
	{ "I1X",  { "",  ""  }, "e s|e ee s es|se" },
	{ "IX1",  { "",  ""  }, "e s|e ee se s|es" },
	{ "I1X1", { "",  ""  }, "e s|e ee s|se es" },
};

static const char *const words[] = {
	[NOISE_END] = "", [NOISE_E] = "e",   [NOISE_S] = "s",
	[NOISE_EE] = "ee", [NOISE_ES] = "es", [NOISE_SE] = "se",
	[NOISE_SS] = "ss",
};
/* clang-format on */

#define N_WORDS (sizeof(words) / sizeof(words[0]))

static enum noise_token
token_of(const char *text, size_t n)
{
	for (size_t i = 1; i < N_WORDS; i++) {
		if (strlen(words[i]) == n && memcmp(words[i], text, n) == 0)
			return (enum noise_token)i;
	}
	return NOISE_END;
}

/* Tokens up to a bar or the end; returns what comes after it. */
static const char *
parse_tokens(const char *text, uint8_t *ret)
{
	size_t at = 0;

	while (*text && *text != '|') {
		size_t n = strcspn(text, " |");

		ret[at++] = (uint8_t)token_of(text, n);
		text += n + (text[n] == ' ' ? 1 : 0);
	}
	return *text == '|' ? text + 1 : text;
}

static void
parse_row(const struct row *row, struct noise_pattern *ret)
{
	const char *text = row->messages;

	parse_tokens(row->pre[0], ret->pre[0]);
	parse_tokens(row->pre[1], ret->pre[1]);
	while (*text)
		text = parse_tokens(text, ret->messages[ret->n_messages++]);
}

static size_t
n_tokens(const uint8_t *tokens, size_t max)
{
	size_t n = 0;

	while (n < max && tokens[n] != NOISE_END)
		n++;
	return n;
}

/* A psk at the begin of the first message, or at the end of message `at`. */
static bool
add_psk(struct noise_pattern *p, unsigned at)
{
	uint8_t *m = p->messages[at == 0 ? 0 : at - 1];
	size_t n = n_tokens(m, NOISE_TOKENS_MAX);

	if (at > p->n_messages || n >= NOISE_TOKENS_MAX)
		return false;
	if (at == 0) {
		memmove(m + 1, m, n);
		m[0] = NOISE_PSK;
	} else {
		m[n] = NOISE_PSK;
	}
	return true;
}

static uint8_t
swapped(uint8_t token)
{
	if (token == NOISE_ES)
		return NOISE_SE;
	return token == NOISE_SE ? NOISE_ES : token;
}

/*
 * The first message, which must be of bare keys, becomes a pre-message, and
 * the one who would have answered begins: sides change, so `es` and `se` do.
 * [Noise rev34 §10.2]
 */
static bool
make_fallback(struct noise_pattern *p)
{
	struct noise_pattern old = *p;
	size_t n = n_tokens(old.messages[0], NOISE_TOKENS_MAX);

	if (old.n_messages < 2 || n > 2 || old.pre[0][0] != NOISE_END)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (old.messages[0][i] != NOISE_E &&
		    old.messages[0][i] != NOISE_S)
			return false;
	}
	memset(p->messages, 0, sizeof(p->messages));
	memset(p->pre, 0, sizeof(p->pre));
	memcpy(p->pre[0], old.pre[1], sizeof(p->pre[0]));
	memcpy(p->pre[1], old.messages[0], n);
	p->n_messages = (uint8_t)(old.n_messages - 1);
	for (size_t i = 0; i < p->n_messages; i++) {
		for (size_t j = 0; j < NOISE_TOKENS_MAX; j++)
			p->messages[i][j] = swapped(old.messages[i + 1][j]);
	}
	return true;
}

static bool
apply(struct noise_pattern *p, const char *modifier, size_t n)
{
	if (n == 8 && memcmp(modifier, "fallback", 8) == 0)
		return make_fallback(p);
	if (n == 4 && memcmp(modifier, "psk", 3) == 0 && modifier[3] >= '0' &&
	    modifier[3] <= '9')
		return add_psk(p, (unsigned)(modifier[3] - '0'));
	return false;
}

/* Capital letters and the digits behind them. */
static size_t
base_length(const char *name)
{
	return strspn(name, "NKXI1");
}

bool
noise_pattern_build(const char *name, struct noise_pattern *ret)
{
	size_t n = base_length(name);
	const char *at = name + n;
	struct noise_pattern p = { .name = name };

	for (size_t i = 0; i < NOISE_BASE_PATTERNS; i++) {
		if (strlen(rows[i].name) == n &&
		    memcmp(rows[i].name, name, n) == 0)
			parse_row(&rows[i], &p);
	}
	if (p.n_messages == 0)
		return false;
	while (*at) {
		n = strcspn(at, "+");
		if (!apply(&p, at, n))
			return false;
		at += n + (at[n] == '+' ? 1 : 0);
	}
	*ret = p;
	return true;
}

const char *
noise_pattern_name(unsigned i)
{
	return rows[i].name;
}

/* ---- hashes ---- */

static void
hash_sha512(const struct span *parts, size_t n, uint8_t *ret)
{
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	for (size_t i = 0; i < n; i++)
		crypto_hash_sha512_update(&st, parts[i].p, parts[i].n);
	crypto_hash_sha512_final(&st, ret);
}

static void
hash_blake2b(const struct span *parts, size_t n, uint8_t *ret)
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, 64);
	for (size_t i = 0; i < n; i++)
		crypto_generichash_update(&st, parts[i].p, parts[i].n);
	crypto_generichash_final(&st, ret, 64);
}

static const struct noise_hash hashes[] = {
	{ "SHA512", 64, 128, hash_sha512 },
	{ "BLAKE2b", 64, 128, hash_blake2b },
	{ "BLAKE2s", BLAKE2S_SIZE, BLAKE2S_BLOCK, blake2s },
};

const struct noise_hash *
noise_hash_find(const char *name)
{
	if (strcmp(name, noise_sha256.name) == 0)
		return &noise_sha256;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		if (strcmp(name, hashes[i].name) == 0)
			return &hashes[i];
	}
	return NULL;
}
