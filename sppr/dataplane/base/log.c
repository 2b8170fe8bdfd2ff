/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static const char *program = "spp";
static __thread char last[512];
static bool to_stderr = true;

void
log_set_program(const char *name)
{
	program = name;
}

void
log_to_stderr(bool on)
{
	to_stderr = on;
}

void
log_clear_last(void)
{
	last[0] = '\0';
}

const char *
log_last(void)
{
	return last;
}

void
log_line(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line) - 1, "%s: ", program);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - 1 - (size_t)n, fmt, ap);
	va_end(ap);
	snprintf(last, sizeof(last), "%.*s", (int)sizeof(last) - 1, line + n);
	n += m > 0 ? m : 0;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (to_stderr && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* there is no other place to report it */
}
