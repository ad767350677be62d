/* SPDX-License-Identifier: GPL-2.0 */
#include <limits.h>

#define U64_MAX	UINT64_MAX
