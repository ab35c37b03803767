/* A new node gets what is durable, as the daemon does at start. */
#include "tests/sim/disk.h"

static enum err
load_outbox(const struct disk *d, struct node *n, struct now now)
{
	enum err err = ERR_OK;

	for (size_t i = 0; i < d->n_messages && err == ERR_OK; i++) {
		const struct node_message *m = &d->messages[i].m;
		const struct disk_contact *k = disk_contact(d, &m->contact);

		if (m->state != MESSAGE_QUEUED && m->state != MESSAGE_SENT)
			continue;
		if (k && !k->gone)
			err = node_load_outbox(n, m, now);
	}
	return err;
}

enum err
disk_load(const struct disk *d, struct node *n, const struct id_seed *seed,
    struct now now)
{
	enum err err =
	    node_set_identity(n, seed, span_of(d->self.b, d->self.n), now);

	for (size_t i = 0; i < d->n_contacts && err == ERR_OK; i++) {
		const struct disk_contact *k = &d->contacts[i];

		if (!k->gone)
			err = node_load_contact(
			    n, &k->id, span_of(k->record.b, k->record.n), now);
	}
	for (size_t i = 0; i < d->n_invites && err == ERR_OK; i++) {
		const struct disk_invite *v = &d->invites[i];

		if (!v->gone)
			err = node_load_invite(
			    n, &v->id, span_of(v->record.b, v->record.n), now);
	}
	if (err == ERR_OK)
		err = load_outbox(d, n, now);
	node_load_dht(n, d->dht, d->n_dht, now);
	return err;
}
