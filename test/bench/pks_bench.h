/* SPDX-License-Identifier: GPL-2.0 */
/* What the module measures, for it and for the program that asks. */
#ifndef PKS_BENCH_H
#define PKS_BENCH_H

/*
 * ioctl() numbers of /dev/pks_bench. The argument and the result are plain
 * numbers: the result is a count of TSC ticks, the smallest of many, or -errno.
 */
enum pks_bench {
	/* PKRS writes of all CPUs so far, if the kernel counts them. */
	BENCH_WRITES = 0x4fff,
	/* Ticks that measuring takes by itself: included in all others. */
	BENCH_EMPTY = 0x5000,
	/* Keys; the argument is how many more are allocated and open. */
	BENCH_WINDOW,
	BENCH_WINDOW_RUNTIME,
	BENCH_SAME,
	BENCH_SAME_RUNTIME,
	/* What people would use instead */
	BENCH_SET_MEMORY_VMALLOC,
	BENCH_SET_MEMORY_DIRECT,
	BENCH_CR0_WP,
	BENCH_TEXT_POKE,
	/* Interruptions of kernel code; the argument opens a window around them. */
	BENCH_INT3,
	BENCH_IRQ_WORK,
	BENCH_TIMER,
	BENCH_IPI,
	BENCH_NMI,
	/*
	 * The argument is the address of a page of user memory that is not present;
	 * its lowest bit opens a window.
	 */
	BENCH_FAULT,
	/* Two kthreads; the argument says how many of them have a window open. */
	BENCH_SWITCH,
	/* The same while this many others sleep in a window. */
	BENCH_SWITCH_CROWD,
	/* Freeing a key and handing out another, while this many threads sleep in a window. */
	BENCH_FREE_CROWD,
};

/* What is counted is the smallest of so many. */
#define BENCH_REPEAT	50

#endif
