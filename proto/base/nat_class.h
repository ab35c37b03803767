/* What a router does to our addresses, as cells and candidates tell it. */
#ifndef PROTO_BASE_NAT_CLASS_H
#define PROTO_BASE_NAT_CLASS_H

/* These numbers go over the wire; a reader takes others for UNKNOWN.
 * [SPEC §4.2] */
enum nat_class {
	NAT_UNKNOWN = 0,
	NAT_OPEN = 1,       /* nothing is translated, or all may come in */
	NAT_EASY = 2,       /* one outer port, whoever it is for */
	NAT_HARD = 3,       /* another one for each, no more is known */
	NAT_SEQUENTIAL = 4, /* these follow each other */
	NAT_BLOCK = 5,      /* are drawn from a small range */
	NAT_RANDOM = 6,     /* from all */
};
#define NAT_CLASSES 7

#endif /* PROTO_BASE_NAT_CLASS_H */
