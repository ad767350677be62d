/* SPDX-License-Identifier: GPL-2.0 */
/* What the guest's programs share: to write to a file of sysfs or procfs. */
#ifndef PUT_H
#define PUT_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Writes @value in one go, as these files want it: 0, or the error's number. */
static inline int put(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY), err = 0;

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		err = errno;
	if (fd >= 0)
		close(fd);
	return err;
}

#endif
