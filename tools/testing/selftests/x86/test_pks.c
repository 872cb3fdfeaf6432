// SPDX-License-Identifier: GPL-2.0
/*
 * Protection Keys Supervisor, as far as it takes a process: fork, exec, a task
 * killed by its stray write, CPU hotplug and suspend. The kernel side is
 * lib/pks/pks_run.c (CONFIG_PKS_TEST), the other tests are KUnit's "pks" suite.
 *
 * Without options it changes nothing but the state of a CPU that can be taken
 * offline, and puts that back. With -s it suspends the machine to RAM for so many
 * seconds; with -d it runs the tests that oops, warn and use up keys for good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../kselftest.h"

#define DEBUGFS		"/sys/kernel/debug"
#define RUN_PKS		DEBUGFS "/x86/run_pks"
#define PKS_KEYS	DEBUGFS "/x86/pks_keys"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define WAKEALARM	"/sys/class/rtc/rtc0/wakealarm"

#define ROUNDS		20
#define KMSG_LIMIT_MS	20000

/* With a name, which ksft_test_result_skip() leaves out. */
static void skip(const char *name, const char *why)
{
	ksft_test_result_code(KSFT_SKIP, name, "%s", why);
}

/* One action of run_pks: 0 or a negative errno. */
static int run(int fd, const char *action)
{
	return write(fd, action, strlen(action)) < 0 ? -errno : 0;
}

static int open_run(void)
{
	int fd = open(RUN_PKS, O_RDWR);

	if (fd < 0)
		ksft_exit_fail_msg("%s: %s\n", RUN_PKS, strerror(errno));
	return fd;
}

/* An open file with a key and a page. */
static int open_page(void)
{
	int fd = open_run(), err = run(fd, "alloc");

	if (err)
		ksft_exit_fail_msg("run_pks alloc: %s\n", strerror(-err));
	return fd;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool file_has(const char *path, const char *what)
{
	char line[4096];
	FILE *f = fopen(path, "r");
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, what);
	if (f)
		fclose(f);
	return found;
}

static int count_lines(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n;
}

/* Only when on may the flag show: a word of its own in the flags line. */
static bool cpuinfo_pks(void)
{
	char line[8192], *word;
	FILE *f = fopen("/proc/cpuinfo", "r");
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "flags", 5))
			continue;
		for (word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
			found |= !strcmp(word, "pks");
	}
	if (f)
		fclose(f);
	return found;
}

static void test_on(void)
{
	int fd = open_run();

	ksft_test_result(!run(fd, "cpus"), "PKS is on, on every CPU\n");
	close(fd);
}

static void test_malformed(void)
{
	static const char * const bad[] = {
		"\n", " ", "nonsense", "alloc ", " alloc", "alloc\n\n", "ALLOC",
		"alloc\nalloc", "a", "0", "-1", "99999999999999999999",
		"a text that is far too long for any action of the file",
	};
	/* The compiler must not see that nothing is there. */
	const char *nowhere = (char *)strtoul("16", NULL, 0);
	int fd = open_run();
	bool ok = true;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (run(fd, bad[i]) != -EINVAL) {
			ksft_print_msg("accepted: \"%s\"\n", bad[i]);
			ok = false;
		}
	}
	ok &= write(fd, "cpus\0x", 6) == -1 && errno == EINVAL;
	ok &= write(fd, nowhere, 4) == -1 && errno == EFAULT;
	/* The legal twin, with and without newline. */
	ok &= !run(fd, "cpus") && !run(fd, "cpus\n");
	/* Known, but there is no page yet; then there is one already. */
	ok &= run(fd, "write") == -ENXIO;
	ok &= !run(fd, "alloc") && run(fd, "alloc") == -EEXIST;
	close(fd);
	ksft_test_result(ok, "malformed writes are refused\n");
}

static void test_write(void)
{
	int fd = open_page();

	ksft_test_result(!run(fd, "is-closed") && run(fd, "is-open") == -EACCES &&
			 !run(fd, "write") && !run(fd, "is-closed"),
			 "a permitted write, and closed before and after\n");
	close(fd);
}

static void test_close(void)
{
	int fd[16], n, before = count_lines(PKS_KEYS), full, err = 0;

	for (n = 0; n < 16; n++) {
		fd[n] = open_run();
		err = run(fd[n], "alloc");
		if (err)
			break;
	}
	full = count_lines(PKS_KEYS);
	for (int i = 0; i <= n && i < 16; i++)
		close(fd[i]);

	ksft_test_result(err == -ENOSPC && n > 0 && full == 16 &&
			 count_lines(PKS_KEYS) == before,
			 "keys run out, and closing the file gives them back\n");
}

/*
 * A child starts closed though its parent has a window open. An exception in
 * user mode ends the window, so the child must not take a page fault before it
 * looks: vfork. Try often enough to see the parent open afterwards.
 */
static void test_fork(void)
{
	int fd = open_page(), i, status, open = 0, closed = 0;
	pid_t pid;

	if (run(fd, "leave-open") == -EBUSY) {
		skip("fork starts closed", "CONFIG_DEBUG_ENTRY forbids to try");
		close(fd);
		return;
	}
	for (i = 0; i < ROUNDS; i++) {
		run(fd, "leave-open");
		pid = vfork();
		if (!pid)
			_exit(run(fd, "is-closed") ? 1 : 0);
		open += !run(fd, "is-open");
		waitpid(pid, &status, 0);
		closed += WIFEXITED(status) && !WEXITSTATUS(status);
	}
	/* Closes the window. */
	run(fd, "write");
	close(fd);
	ksft_print_msg("%d of %d parents open, %d children closed\n", open, ROUNDS, closed);
	ksft_test_result(open && closed == ROUNDS, "fork starts closed\n");
}

/*
 * A program starts closed. Its first instruction takes a page fault, which
 * would close any window, so the kernel looks at the end of execve().
 */
static void test_exec(void)
{
	int fd = open_page(), i, status, open = 0, closed = 0;
	int watch = run(fd, "watch-exec");
	pid_t pid;

	if (watch == -EBUSY) {
		skip("exec starts closed", "CONFIG_DEBUG_ENTRY forbids to try");
		close(fd);
		return;
	}
	for (i = 0; !watch && i < ROUNDS; i++) {
		pid = vfork();
		if (!pid) {
			run(fd, "leave-open");
			execl("/proc/self/exe", "test_pks", "--nothing", NULL);
			_exit(1);
		}
		waitpid(pid, &status, 0);
		open += !run(fd, "exec-was-open");
		closed += !run(fd, "exec-is-closed");
	}
	close(fd);
	ksft_print_msg("%d of %d callers open, %d programs closed\n", open, ROUNDS, closed);
	ksft_test_result(open && closed == ROUNDS, "exec starts closed\n");
}

/*
 * A thread that is in user mode with a window open, a bug, does not lend it to
 * the interrupt that strikes there, nor the other way round.
 */
static void test_user_irq(void)
{
	const char *name = "an interrupt from user mode starts closed and lends nothing";
	int fd = open_page(), err = run(fd, "watch-tick"), i, hits = 0;
	long spin;

	if (err == -EBUSY) {
		skip(name, "CONFIG_DEBUG_ENTRY and CONFIG_PREEMPT_RT forbid to try");
		close(fd);
		return;
	}
	for (i = 0; !err && i < 1000000 && hits < 5; i++) {
		/* Most of the time, the tick strikes here. */
		for (spin = 0; spin < 10000; spin++)
			asm volatile("");
		err = run(fd, "tick-was-closed");
		if (err == -EAGAIN) {
			err = 0;
			continue;
		}
		hits += !err;
		/* If not, once more. */
		if (!err || err == -ESRCH)
			err = run(fd, "watch-tick");
	}
	/* Closes the window. */
	run(fd, "write");
	close(fd);
	ksft_print_msg("%d ticks came from user mode\n", hits);
	if (err)
		ksft_print_msg("%s\n", err == -EIO ? "the interrupt had a key open" :
						     "the thread got the interrupt's right");
	ksft_test_result(!err && hits == 5, "%s\n", name);
}

static void test_hotplug(void)
{
	bool ok;
	int fd;

	if (access(CPU1_ONLINE, W_OK) || !file_has(CPU1_ONLINE, "1")) {
		skip("CPU offline and online", "CPU 1 is offline, or cannot be taken there");
		return;
	}
	fd = open_page();
	ok = write_file(CPU1_ONLINE, "0") && !run(fd, "cpus");
	ok &= write_file(CPU1_ONLINE, "1");
	ksft_test_result(ok && !run(fd, "cpus") && !run(fd, "write") && !run(fd, "is-closed"),
			 "CPU offline and online\n");
	close(fd);
}

static void test_suspend(long seconds)
{
	const char *name = "suspend to RAM and resume, in a window";
	struct timespec real0, mono0, real1, mono1;
	int fd = open_page(), err;
	char alarm[24];
	double slept;
	bool ok;

	/* Not so "s2idle", which loses no register. */
	if (!file_has("/sys/power/mem_sleep", "deep") || access(WAKEALARM, W_OK)) {
		skip(name, "not supported, or no clock to end it");
		close(fd);
		return;
	}
	snprintf(alarm, sizeof(alarm), "+%ld", seconds);
	clock_gettime(CLOCK_BOOTTIME, &real0);
	clock_gettime(CLOCK_MONOTONIC, &mono0);
	ok = write_file(WAKEALARM, "0") && write_file(WAKEALARM, alarm);
	err = ok ? run(fd, "suspend") : 0;
	clock_gettime(CLOCK_BOOTTIME, &real1);
	clock_gettime(CLOCK_MONOTONIC, &mono1);
	/* Boot time counts the sleep, monotonic time does not. */
	slept = (real1.tv_sec - real0.tv_sec) - (mono1.tv_sec - mono0.tv_sec);
	ksft_print_msg("suspended for about %.0f s\n", slept);
	write_file(WAKEALARM, "0");
	if (err)
		ksft_print_msg("%s\n", err == -EACCES ? "the thread resumed with other rights" :
				       err == -ESTALE ? "pkrs_cache outlasted the RESET" :
							strerror(-err));

	ksft_test_result(ok && !err && slept >= 1 && !run(fd, "cpus") &&
			 !run(fd, "write") && !run(fd, "is-closed"), "%s\n", name);
	close(fd);
}

/*
 * Kernel messages
 */

/* From here on. Warnings that come only once come once more. */
static int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDWR | O_NONBLOCK);

	if (fd < 0)
		ksft_exit_fail_msg("/dev/kmsg: %s\n", strerror(errno));
	lseek(fd, 0, SEEK_END);
	write_file(DEBUGFS "/clear_warn_once", "1");
	return fd;
}

/*
 * All that came until now; closes the file. The text lasts until the next call.
 *
 * A message that somebody is just writing looks like the end of the log. So a mark is
 * written, and all is read until it shows.
 */
static const char *kmsg_close(int fd)
{
	static char text[1 << 18];
	static int marks;
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	char mark[64], *record = text, *found;
	ssize_t len;

	snprintf(mark, sizeof(mark), "test_pks: mark %d of process %d", ++marks, getpid());
	if (write(fd, mark, strlen(mark)) < 0)
		ksft_exit_fail_msg("/dev/kmsg: %s\n", strerror(errno));
	do {
		if (poll(&pollfd, 1, KMSG_LIMIT_MS) <= 0)
			ksft_exit_fail_msg("\"%s\" does not show in the kernel log\n", mark);
		/* A message that was overwritten gives EPIPE, and the next one comes. */
		len = read(fd, record, text + sizeof(text) - 1 - record);
		if (len < 0 && errno != EPIPE && errno != EAGAIN)
			ksft_exit_fail_msg("/dev/kmsg: %s\n", strerror(errno));
		len = len < 0 ? 0 : len;
		record[len] = '\0';
		found = strstr(record, mark);
		record += len;
	} while (!found);
	close(fd);
	return text;
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

/* A child does it and dies; the parent, and the key, live on. */
static void test_stray(const char *action, const char *access, const char *state)
{
	int fd = open_page(), status, log = kmsg_open();
	const char *report;
	char owner[64];
	int lines;
	bool ok;
	pid_t pid;

	pid = fork();
	if (!pid) {
		run(fd, action);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	snprintf(owner, sizeof(owner), "(run_pks), which is %s here", state);
	ok = WIFSIGNALED(status);
	if (!ok)
		ksft_print_msg("the task survived\n");
	report = kmsg_close(log);
	if (!count(report, access) || !count(report, "protection keys violation") ||
	    !count(report, owner)) {
		ksft_print_msg("the report does not say \"%s\" and \"%s\"\n", access, owner);
		ok = false;
	}
	/* In each line of it, if there are more. */
	lines = count(report, "PKRS: ");
	if (!lines || count(report, "PKRS: fffffffc") != (strcmp(state, "closed") ? 0 : lines)) {
		ksft_print_msg("the report does not have PKRS, or the wrong one\n");
		ok = false;
	}
	ok &= !run(fd, "is-closed") && !run(fd, "write") && !run(fd, "cpus");
	close(fd);
	ksft_test_result(ok, "%s kills only its task, with a report\n", action);
}

static void test_misuse(void)
{
	int fd = open_page(), log = kmsg_open(), err = run(fd, "misuse");
	const char *report = kmsg_close(log);
	int setters = count(report, "x86/pks: rights to key 0 cannot be set");
	int frees = count(report, "is not allocated");

	if (err)
		ksft_print_msg("misuse changed something: %s\n", strerror(-err));
	ksft_print_msg("%d and %d warnings\n", setters, frees);
	ksft_test_result(!err && setters == 1 && frees == 1 && !run(fd, "write"),
			 "bad keys warn once each and change nothing\n");
	close(fd);
}

static void test_unpin(void)
{
	int fd = open_run(), log = kmsg_open(), err = run(fd, "unpin");

	ksft_test_result(!err && count(kmsg_close(log), "pinned CR4 bits changed") == 1 &&
			 !run(fd, "cpus"), "CR4.PKS is pinned\n");
	close(fd);
}

static void test_warn(void)
{
	int fd = open_page(), log = kmsg_open(), err = run(fd, "warn");

	ksft_test_result(!err && count(kmsg_close(log), "expected, in an open window"),
			 "a WARN() in a window reports with all keys closed\n");
	close(fd);
}

static void test_user_rights(void)
{
	const char *name = "rights taken to user mode warn";
	int fd = open_page(), log = kmsg_open(), err = run(fd, "leave-open-warn");
	const char *report = kmsg_close(log);

	/* Closes the window. */
	run(fd, "write");
	close(fd);
	if (err == -EBUSY)
		skip(name, "only with CONFIG_DEBUG_ENTRY");
	else
		ksft_test_result(!err && count(report, "asm/pks.h:") == 1, "%s\n", name);
}

static void test_epochs(void)
{
	int fd = open_run(), log = kmsg_open(), err = run(fd, "epochs");

	if (err)
		ksft_print_msg("epochs: %s\n", strerror(-err));
	ksft_test_result(!err && count(kmsg_close(log), "out of epochs") == 1 &&
			 run(fd, "alloc") == -ENOSPC,
			 "out of epochs, keys are not reused\n");
	close(fd);
}

int main(int argc, char **argv)
{
	bool destroy = false, usage = false;
	long suspend = 0;
	int opt, fd;
	char *end;

	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return KSFT_PASS;

	while ((opt = getopt(argc, argv, "s:d")) != -1) {
		if (opt == 's') {
			suspend = strtol(optarg, &end, 10);
			usage |= *end || suspend < 2 || suspend > 3600;
		}
		destroy |= opt == 'd';
		usage |= opt == '?';
	}
	if (usage || optind < argc) {
		fprintf(stderr, "usage: %s [-s SECONDS] [-d]\n"
			"  -s  suspend this machine to RAM, too: 2 to 3600 seconds, more than it\n"
			"      takes to get there, or the alarm that ends it comes too early\n"
			"  -d  oops and warn on purpose, and use up keys until reboot\n",
			argv[0]);
		return KSFT_FAIL;
	}

	ksft_print_header();
	if (!cpuinfo_pks())
		ksft_exit_skip("PKS is off, or the CPU does not have it\n");
	fd = open(RUN_PKS, O_RDWR);
	if (fd < 0 && errno == EACCES)
		ksft_exit_skip("needs root\n");
	if (fd < 0)
		ksft_exit_skip("%s: %s; needs debugfs and CONFIG_PKS_TEST, or modprobe pks_run\n",
			       RUN_PKS, strerror(errno));
	close(fd);

	ksft_set_plan(8 + !!suspend + 8 * destroy);
	test_on();
	test_malformed();
	test_write();
	test_close();
	test_fork();
	test_exec();
	test_user_irq();
	test_hotplug();
	if (suspend)
		test_suspend(suspend);
	if (destroy) {
		test_stray("stray-write", "write access in kernel mode", "closed");
		test_stray("stray-read", "read access in kernel mode", "closed");
		test_stray("readonly-write", "write access in kernel mode", "read-only");
		test_unpin();
		test_misuse();
		test_warn();
		test_user_rights();
		test_epochs();
	}
	ksft_finished();
}
