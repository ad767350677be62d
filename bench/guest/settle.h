/* SPDX-License-Identifier: GPL-2.0 */
/* Idle until the guest has reported all that is free. */
#ifndef SETTLE_H
#define SETTLE_H

#include <unistd.h>

#define SETTLE	60	/* seconds */

/*
 * What is measured takes a different time each time, by how pages lie and when ticks
 * come. In a guest that counts its time in instructions this would be the same each
 * time, and look like none: so each @time ends elsewhere between two ticks.
 */
static inline void settle(unsigned int time)
{
	sleep(SETTLE);
	usleep(time * 1237);
}

#endif
