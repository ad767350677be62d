/* SPDX-License-Identifier: GPL-2.0 */
/* To load a module of the kernel. */
#ifndef MODULE_H
#define MODULE_H

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 0, or the error's number: EAGAIN from a module that has done its work at once. */
static inline int load(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY), err = 0;

	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0))
		err = errno;
	if (fd >= 0)
		close(fd);
	return err;
}

#endif
