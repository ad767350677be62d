/* SPDX-License-Identifier: GPL-2.0 */
/* What mm/page_reporting_policy.c needs of the kernel's headers, in a program. */
#include <stdbool.h>
#include <stdint.h>

typedef uint64_t u64;
typedef int64_t s64;
