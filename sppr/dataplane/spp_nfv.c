/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/secondary.h"

int
main(int argc, char **argv)
{
	return secondary_main(PROCESS_NFV, argc, argv);
}
