/* Order and equality of IDs. */
#include "proto/crypto/types.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(struct id_pk) == 32, "keys have no padding");
_Static_assert(sizeof(struct id_sk) == 64, "keys have no padding");

int
id_cmp(const struct id_pk *a, const struct id_pk *b)
{
	assert(a && b);
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool
id_eq(const struct id_pk *a, const struct id_pk *b)
{
	return id_cmp(a, b) == 0;
}

bool
node_key_eq(const struct node_key *a, const struct node_key *b)
{
	assert(a && b);
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
node_key_is_set(const struct node_key *n)
{
	static const struct node_key none;

	return n && !node_key_eq(n, &none);
}
