// SPDX-License-Identifier: GPL-2.0
/*
 * Figures of the PKS series: asks the module pks_bench for those of the kernel
 * and takes those of user space itself. One line for each:
 *
 *	bench: NAME,N,TICKS,IPIS
 *
 * N is the number of keys or threads that the name is about, or 0, TICKS the
 * smallest of many, and IPIS those that were sent meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include "pks_bench.h"

static int bench_fd;
static bool has_keys;

static void fatal(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long ask(int what, unsigned long arg)
{
	return ioctl(bench_fd, what, arg);
}

/* Calls and TLB shootdowns on all CPUs. */
static long ipis(void)
{
	FILE *f = fopen("/proc/interrupts", "r");
	char line[512];
	long sum = 0;

	if (!f)
		fatal("/proc/interrupts");
	while (fgets(line, sizeof(line), f)) {
		char *end = strchr(line, ':');

		if (!end || (!strstr(line, "CAL:") && !strstr(line, "TLB:")))
			continue;
		for (char *p = end + 1, *next; ; p = next) {
			long n = strtol(p, &next, 10);

			if (next == p)
				break;
			sum += n;
		}
	}
	fclose(f);

	return sum;
}

#ifdef COUNT_WRITES
/* For a kernel that counts PKRS writes. */
static unsigned long long now(void)
{
	return ask(BENCH_WRITES, 0);
}
#else
static inline __attribute__((always_inline)) unsigned long long now(void)
{
	unsigned int aux;

	return __rdtscp(&aux);
}
#endif

static void print(const char *name, int n, long ticks, long ipis)
{
	printf("bench: %s,%d,%ld,%ld\n", name, n, ticks, ipis);
	fflush(stdout);
}

/* Ask the module. */
static void measure(const char *name, int n, int what, unsigned long arg)
{
	long before = ipis();
	long ticks = ask(what, arg);

	if (ticks < 0) {
		if (errno != EOPNOTSUPP && errno != ENODEV)
			fatal(name);
		return;
	}
	print(name, n, ticks, (ipis() - before) / BENCH_REPEAT);
}

/* Measure what user space does; a macro, so that nothing is called in between. */
#define MEASURE(name, times, prepare, what) do {			\
	long best_ = ~0ul >> 1;						\
	int i_;								\
									\
	for (i_ = 0; i_ < (times); i_++) {				\
		unsigned long long begin_;				\
		long ticks_;						\
									\
		prepare;						\
		begin_ = now();						\
		what;							\
		ticks_ = now() - begin_;				\
		if (ticks_ < best_)					\
			best_ = ticks_;					\
	}								\
	print(name, 0, best_, 0);					\
} while (0)

/* A page of which the kernel has to find out again that it is there. */
static char *absent(char *page)
{
	if (madvise(page, 4096, MADV_DONTNEED))
		fatal("madvise");
	return page;
}

static void fault_in_kernel(const char *name, char *page, bool open)
{
	long best = -1;

	for (int i = 0; i < BENCH_REPEAT; i++) {
		long ticks = ask(BENCH_FAULT, (unsigned long)absent(page) | open);

		if (ticks < 0)
			fatal("fault");
		if (best < 0 || ticks < best)
			best = ticks;
	}
	print(name, 0, best, 0);
}

static void ping_pong(void)
{
	int there[2], back[2];
	char byte = 0;
	pid_t pid;

	if (pipe(there) || pipe(back))
		fatal("pipe");
	pid = fork();
	if (pid < 0)
		fatal("fork");
	if (!pid) {
		close(there[1]);
		while (read(there[0], &byte, 1) == 1)
			if (write(back[1], &byte, 1) != 1)
				_exit(1);
		_exit(0);
	}
	MEASURE("pipe-switch", BENCH_REPEAT, , {
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			fatal("pipe");
	});
	close(there[1]);
	waitpid(pid, NULL, 0);
	close(there[0]);
	close(back[0]);
	close(back[1]);
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		fatal("child");
}

static void user_space(char *self, char *page)
{
	volatile char *p = page;

	MEASURE("syscall", BENCH_REPEAT, , syscall(SYS_getppid));
	MEASURE("fault-user", BENCH_REPEAT, absent(page), (void)*p);
	ping_pong();
	MEASURE("fork-exit", BENCH_REPEAT, , {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		reap(pid);
	});
	MEASURE("fork-exec", BENCH_REPEAT, , {
		pid_t pid = fork();

		if (!pid) {
			execl(self, self, "exit", NULL);
			_exit(1);
		}
		reap(pid);
	});
}

static void interruptions(const char *suffix, bool open)
{
	static const struct { const char *name; int what; } kinds[] = {
		{ "int3", BENCH_INT3 }, { "irq-work", BENCH_IRQ_WORK },
		{ "timer", BENCH_TIMER }, { "ipi", BENCH_IPI }, { "nmi", BENCH_NMI },
	};

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%s", kinds[i].name, suffix);
		measure(name, 0, kinds[i].what, open);
	}
}

static void all(char *self)
{
	static const int keys[] = { 0, 1, 3, 7, 14 }, crowds[] = { 2, 10, 100, 1000 };
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		fatal("mmap");

	measure("empty", 0, BENCH_EMPTY, 0);
	if (has_keys) {
		for (unsigned int i = 0; i < sizeof(keys) / sizeof(*keys); i++)
			measure("window", keys[i] + 1, BENCH_WINDOW, keys[i]);
		measure("window-runtime", 0, BENCH_WINDOW_RUNTIME, 0);
		measure("same", 0, BENCH_SAME, 0);
		measure("same-runtime", 0, BENCH_SAME_RUNTIME, 0);
	}
	measure("set-memory-vmalloc", 0, BENCH_SET_MEMORY_VMALLOC, 0);
	measure("set-memory-direct", 0, BENCH_SET_MEMORY_DIRECT, 0);
	measure("cr0-wp", 0, BENCH_CR0_WP, 0);
	measure("text-poke", 0, BENCH_TEXT_POKE, 0);

	interruptions("", false);
	fault_in_kernel("fault-kernel", page, false);
	measure("switch", 0, BENCH_SWITCH, 0);
	user_space(self, page);

	if (!has_keys)
		return;
	interruptions("-open", true);
	fault_in_kernel("fault-kernel-open", page, true);
	measure("switch-one-open", 0, BENCH_SWITCH, 1);
	measure("switch-both-open", 0, BENCH_SWITCH, 2);
	for (unsigned int i = 0; i < sizeof(crowds) / sizeof(*crowds); i++) {
		measure("switch-crowd", crowds[i], BENCH_SWITCH_CROWD, crowds[i]);
		measure("free-crowd", crowds[i], BENCH_FREE_CROWD, crowds[i]);
	}
}

int main(int argc, char **argv)
{
	cpu_set_t cpu;

	if (argc > 1 && !strcmp(argv[1], "exit"))
		return 0;

	bench_fd = open("/dev/pks_bench", O_RDWR | O_CLOEXEC);
	if (bench_fd < 0)
		fatal("/dev/pks_bench (is the module loaded, and is this root?)");
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		fatal("sched_setaffinity");

	has_keys = ask(BENCH_WINDOW, 0) >= 0;
	if (argc > 1 && !strcmp(argv[1], "--need-keys") && !has_keys) {
		fprintf(stderr, "bench: PKS is off here, or the CPU does not have it\n");
		return 4;
	}
	all(argv[0]);

	return 0;
}
