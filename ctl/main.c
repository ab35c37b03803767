/* btchatctl: the command line of btchatd. [btchatctl(1)] */
#include "ctl/ctl.h"

int
main(int argc, char **argv)
{
	return ctl_run(argc, argv);
}
