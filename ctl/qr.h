/* A text as a code that cameras read. */
#ifndef CTL_QR_H
#define CTL_QR_H

#include "ctl/ctl.h"

/* On stdout, in the form that was asked for. */
MUST_USE int qr_print(const struct ctl *ctl, const char *text);

#endif /* CTL_QR_H */
