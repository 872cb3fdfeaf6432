// SPDX-License-Identifier: GPL-2.0
/* To be loaded and unloaded, which changes the kernel's text and its page tables. */
#include <linux/module.h>

MODULE_DESCRIPTION("Nothing");
MODULE_LICENSE("GPL");
