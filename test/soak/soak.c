// SPDX-License-Identifier: GPL-2.0
/*
 * Processes for the soak: each lets the kernel fault on a page of its own in a window,
 * and has children that do the same, again and again.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void fatal(const char *what)
{
	perror(what);
	exit(1);
}

static void faults(int fd, char *page, int times)
{
	for (int i = 0; i < times; i++) {
		if (madvise(page, 4096, MADV_DONTNEED))
			fatal("soak: madvise");
		if (ioctl(fd, 0x5000 + i, page))
			fatal("soak: ioctl");
	}
}

/* The module can go when all that have its device open are gone, children as well. */
static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

int main(void)
{
	int fd = open("/dev/pks_soak", O_RDWR);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || page == MAP_FAILED)
		fatal("soak: /dev/pks_soak");
	signal(SIGTERM, on_term);
	while (!stop) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			faults(fd, page, 20);
			_exit(0);
		}
		faults(fd, page, 20);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			fatal("soak: fork");
		if (status) {
			fprintf(stderr, "soak: a child ended with status %x\n", status);
			return 1;
		}
	}
	return 0;
}
