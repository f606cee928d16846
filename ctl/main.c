/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - expctl: parse, run one verb, say whether the output got out */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

int main(int argc, char **argv)
{
	struct ctl c;
	int status = ctl_parse(&c, argc, argv, getenv("EXPCTL_SOCKET"));

	if (status < 0)
		status = c.verb->run(&c);
	exp_control_close(c.control);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "expctl: writing the result: %s\n", strerror(errno));
		return CTL_FAILED;
	}
	return status;
}
