/* Long results for people go through a pager, as btchatctl(1) says. */
#ifndef CTL_PAGER_H
#define CTL_PAGER_H

#include "ctl/ctl.h"

/* From here on stdout is read by the pager, if there is to be one. Only once
 * nothing but printing is left to do. */
void pager_begin(const struct ctl *ctl);
/* Waits until the reader has left the pager; nothing without one. */
void pager_end(void);

#endif /* CTL_PAGER_H */
