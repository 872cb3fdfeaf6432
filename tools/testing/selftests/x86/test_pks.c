// SPDX-License-Identifier: GPL-2.0
/*
 * Protection Keys Supervisor, as far as it takes a process: fork, exec, a task
 * killed by its stray write, CPU hotplug and suspend. The kernel side is
 * lib/pks/pks_run.c (CONFIG_PKS_TEST), the other tests are KUnit's "pks" suite.
 *
 * Without options it takes CPU 1 offline, if it can, and brings it back. It takes all
 * free keys for a moment, so that nobody else gets one meanwhile, and uses up about 60
 * of the 65535 epochs that there are until reboot: one as a key is handed out, one as
 * it is freed. Options add tests that do more, see help().
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <asm/msr.h>
#include <linux/elf.h>

#include "../kselftest.h"

#define DEBUGFS		"/sys/kernel/debug"
#define RUN_PKS		DEBUGFS "/x86/run_pks"
#define PKS_KEYS	DEBUGFS "/x86/pks_keys"
#define KMEMLEAK	DEBUGFS "/kmemleak"
#define CPU1_ONLINE	"/sys/devices/system/cpu/cpu1/online"
#define WAKEALARM	"/sys/class/rtc/rtc0/wakealarm"
#define CPU0_MSR	"/dev/cpu/0/msr"
#define KCORE		"/proc/kcore"

#define ROUNDS		20
#define LIMIT_S		20

/* In the error code of a page fault: a protection key was in the way. */
#define PF_PK		0x20

#define MSR_IA32_PKRS	0x6e1
#define ALL_CLOSED	0xfffffffc
/* What the action "write" leaves in the page. */
#define RUN_WORD	0x504b5321

/* What a test returns: whether all is as it should be, or why it cannot run. */
static int result(bool ok)
{
	return ok ? KSFT_PASS : KSFT_FAIL;
}

static const char *why_skipped;

static int skip(const char *why)
{
	why_skipped = why;
	return KSFT_SKIP;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
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

/* The page's address, and another one of the same page that has key 0. */
static void page_addresses(int fd, unsigned long *keyed, unsigned long *plain)
{
	char text[4096] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0 ||
	    sscanf(text, "page %lx, without the key %lx", keyed, plain) != 2)
		ksft_exit_fail_msg("%s does not tell the page\n", RUN_PKS);
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

	/* Without the newline it could go on, and is not shown before the next message. */
	snprintf(mark, sizeof(mark), "test_pks: mark %d of process %d\n", ++marks, getpid());
	if (write(fd, mark, strlen(mark)) < 0)
		ksft_exit_fail_msg("/dev/kmsg: %s\n", strerror(errno));
	do {
		if (poll(&pollfd, 1, LIMIT_S * 1000) <= 0)
			ksft_exit_fail_msg("not in the kernel log: %s", mark);
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

/*
 * The tests that every run has
 */

static int test_on(void)
{
	int fd = open_run();
	bool ok = !run(fd, "cpus");

	close(fd);
	return result(ok);
}

static int test_malformed(void)
{
	static const char * const bad[] = {
		"\n", " ", "nonsense", "alloc ", " alloc", "alloc\n\n", "ALLOC",
		"alloc\nalloc", "a", "0", "-1", "99999999999999999999",
		"a text that is far too long for any action of the file",
	};
	/* A constant address would make the compiler warn of it. */
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
	return result(ok);
}

static int test_write(void)
{
	int fd = open_page();
	bool ok = !run(fd, "is-closed") && run(fd, "is-open") == -EACCES &&
		  !run(fd, "write") && !run(fd, "is-closed");

	close(fd);
	return result(ok);
}

static int test_close(void)
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

	return result(err == -ENOSPC && n > 0 && full == 16 && count_lines(PKS_KEYS) == before);
}

/*
 * A child starts closed though its parent has a window open. An exception in
 * user mode ends the window, so the child must not take a page fault before it
 * looks: vfork. Try often enough to see the parent open afterwards.
 */
static int test_fork(void)
{
	int fd = open_page(), i, status, open = 0, closed = 0;
	pid_t pid;

	if (run(fd, "leave-open") == -EBUSY) {
		close(fd);
		return skip("CONFIG_DEBUG_ENTRY forbids to try");
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
	return result(open && closed == ROUNDS);
}

/*
 * A program starts closed. Its first instruction takes a page fault, which
 * would close any window, so the kernel looks at the end of execve().
 */
static int test_exec(void)
{
	int fd = open_page(), i, status, open = 0, closed = 0;
	int watch = run(fd, "watch-exec");
	pid_t pid;

	if (watch == -EBUSY) {
		close(fd);
		return skip("CONFIG_DEBUG_ENTRY forbids to try");
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
	return result(open && closed == ROUNDS);
}

/*
 * A thread that is in user mode with a window open, a bug, does not lend it to
 * the interrupt that strikes there, nor the other way round.
 */
static int test_user_irq(void)
{
	int fd = open_page(), err = run(fd, "watch-tick"), hits = 0;
	double end = now() + LIMIT_S;
	long spin;

	if (err == -EBUSY) {
		close(fd);
		return skip("CONFIG_DEBUG_ENTRY and CONFIG_PREEMPT_RT forbid to try");
	}
	while (!err && hits < 5 && now() < end) {
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
	return result(!err && hits == 5);
}

static int test_hotplug(void)
{
	bool ok;
	int fd;

	if (access(CPU1_ONLINE, W_OK) || !file_has(CPU1_ONLINE, "1"))
		return skip("CPU 1 is offline, or cannot be taken there");
	fd = open_page();
	ok = write_file(CPU1_ONLINE, "0") && !run(fd, "cpus");
	ok &= write_file(CPU1_ONLINE, "1");
	ok &= !run(fd, "cpus") && !run(fd, "write") && !run(fd, "is-closed");
	close(fd);
	return result(ok);
}

static sigjmp_buf after_fault;
static greg_t fault_error;

static void on_fault(int sig, siginfo_t *info, void *context)
{
	fault_error = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR];
	siglongjmp(after_fault, 1);
}

static void touch(unsigned long address, bool write)
{
	if (write)
		asm volatile("movb $0, (%0)" : : "r" (address) : "memory");
	else
		asm volatile("cmpb $0, (%0)" : : "r" (address) : "memory", "cc");
}

/* The error code of the page fault that the access gives, as a handler sees it. */
static greg_t error_in_handler(unsigned long address, bool write)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, old;

	fault_error = -1;
	sigaction(SIGSEGV, &act, &old);
	if (!sigsetjmp(after_fault, 1))
		touch(address, write);
	sigaction(SIGSEGV, &old, NULL);
	return fault_error;
}

/* The same as the kernel log has it, for a program without a handler. */
static greg_t error_in_log(unsigned long address, bool write)
{
	int log = kmsg_open(), status;
	unsigned long error = -1;
	const char *report;
	char start[64];
	pid_t pid;

	pid = fork();
	if (!pid) {
		/* Leave no core file behind. */
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
		touch(address, write);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	snprintf(start, sizeof(start), "segfault at %lx", address);
	report = strstr(kmsg_close(log), start);
	if (report)
		sscanf(report, "segfault at %*x ip %*x sp %*x error %lx", &error);
	return error;
}

/*
 * An access to a kernel page fails in the same way whether the page has a key or not, or
 * the error code would tell where the kernel keeps what it protects.
 */
static int learn(bool fake)
{
	greg_t (*const ways[])(unsigned long address, bool write) = {
		error_in_handler, error_in_log
	};
	unsigned long keyed, plain;
	int fd = open_page(), nr = ARRAY_SIZE(ways), i;
	bool ok = true;

	if (fake && run(fd, "fake-pk")) {
		close(fd);
		return skip("the function that the page fault handler calls cannot be probed");
	}
	page_addresses(fd, &keyed, &plain);
	if (!file_has("/proc/sys/debug/exception-trace", "1")) {
		ksft_print_msg("the log has no segfaults: debug.exception-trace is off\n");
		nr--;
	}
	for (i = 0; i < 2 * nr; i++) {
		greg_t with = ways[i / 2](keyed, i % 2), without = ways[i / 2](plain, i % 2);

		ksft_print_msg("%s, in the %s: error %lld with a key, %lld without\n",
			       i % 2 ? "write" : "read", i / 2 ? "log" : "handler", with, without);
		ok &= without >= 0 && with == without && !(with & PF_PK);
	}
	if (fake && run(fd, "faked-pk")) {
		ksft_print_msg("no fault came by the probe\n");
		ok = false;
	}
	ok &= !run(fd, "is-closed") && !run(fd, "write");
	close(fd);
	return result(ok);
}

static int test_learn(void)
{
	return learn(false);
}

static int test_learn_fake(void)
{
	return learn(true);
}

/*
 * The kernel believes to know what is in the MSR, so nobody else may write it. In case
 * that it is allowed, it is written what it has.
 */
static int test_msr(void)
{
	uint32_t value[2] = { 0 }, regs[8] = { ALL_CLOSED, MSR_IA32_PKRS };
	int fd = open(CPU0_MSR, O_RDWR);
	bool ok = true;

	if (fd < 0)
		return skip("no " CPU0_MSR ": needs CONFIG_X86_MSR, or modprobe msr");
	if (pread(fd, value, sizeof(value), MSR_IA32_PKRS) != sizeof(value) ||
	    value[0] != ALL_CLOSED || value[1]) {
		ksft_print_msg("read: %x %x\n", value[1], value[0]);
		ok = false;
	}
	if (pwrite(fd, value, sizeof(value), MSR_IA32_PKRS) != -1 || errno != EPERM) {
		ksft_print_msg("it can be written\n");
		ok = false;
	}
	if (ioctl(fd, X86_IOC_WRMSR_REGS, regs) != -1 || errno != EPERM) {
		ksft_print_msg("it can be written by ioctl\n");
		ok = false;
	}
	close(fd);
	return result(ok);
}

/* A word of the kernel's memory as /proc/kcore has it. */
static bool kcore_read(int fd, unsigned long address, uint32_t *word)
{
	struct elf64_hdr head;
	struct elf64_phdr part;
	int i;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return false;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &part, sizeof(part), head.e_phoff + i * sizeof(part)) != sizeof(part))
			return false;
		if (part.p_type == PT_LOAD && address - part.p_vaddr < part.p_memsz)
			return pread(fd, word, sizeof(*word),
				     part.p_offset + address - part.p_vaddr) == sizeof(*word);
	}
	return false;
}

/* It reads by other mappings than that of the address, and keeps no secret. */
static int test_kcore(void)
{
	int fd = open_page(), kcore = open(KCORE, O_RDONLY);
	unsigned long keyed, plain;
	uint32_t before, after;
	bool ok;

	if (kcore < 0) {
		close(fd);
		return skip("no " KCORE ", or it is locked down");
	}
	page_addresses(fd, &keyed, &plain);
	ok = kcore_read(kcore, keyed, &before) && !before;
	ok &= !run(fd, "write") && !run(fd, "is-closed");
	ok &= kcore_read(kcore, keyed, &after) && after == RUN_WORD;
	close(kcore);
	close(fd);
	return result(ok);
}

/* Without the right to read the page, the scan has to leave it out. */
static int test_kmemleak(void)
{
	int fd = open_page(), status;
	pid_t pid;
	bool ok;

	if (run(fd, "kmemleak") == -EOPNOTSUPP) {
		close(fd);
		return skip("only with CONFIG_DEBUG_KMEMLEAK");
	}
	pid = fork();
	if (!pid)
		_exit(!write_file(KMEMLEAK, "scan"));
	waitpid(pid, &status, 0);
	if (status)
		ksft_print_msg("the scan %s\n", WIFSIGNALED(status) ? "was killed" : "was refused");
	ok = !status && !run(fd, "is-closed") && !run(fd, "write");
	close(fd);
	return result(ok);
}

/*
 * To sleep, and back
 */

/* How "suspend" ended, and if all is well after it. */
static bool awake(int fd, int err)
{
	if (err)
		ksft_print_msg("%s\n", err == -EACCES ? "the thread resumed with other rights" :
				       err == -ESTALE ? "pkrs_cache outlasted the RESET" :
							strerror(-err));
	return !err && !run(fd, "cpus") && !run(fd, "write") && !run(fd, "is-closed");
}

static long suspend_seconds;

static int test_suspend(void)
{
	struct timespec real0, mono0, real1, mono1;
	int fd = open_page(), err;
	char alarm[24];
	double slept;
	bool ok;

	/* Not so "s2idle", which loses no register. */
	if (!file_has("/sys/power/mem_sleep", "deep") || access(WAKEALARM, W_OK)) {
		close(fd);
		return skip("not supported, or no clock to end it");
	}
	snprintf(alarm, sizeof(alarm), "+%ld", suspend_seconds);
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
	ok &= slept >= 1 && awake(fd, err);
	close(fd);
	return result(ok);
}

/* The next boot goes on here, if it has "resume=" with the swap space on its command line. */
static int test_hibernate(void)
{
	int fd = open_page();
	bool ok;

	if (!file_has("/sys/power/state", "disk") || count_lines("/proc/swaps") < 2) {
		close(fd);
		return skip("not supported, or no swap space");
	}
	ok = awake(fd, run(fd, "hibernate"));
	close(fd);
	return result(ok);
}

/*
 * The tests that oops and warn
 */

/* A child does it and dies; the parent, and the key, live on. */
static int stray(const char *action, const char *access, const char *state)
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
	return result(ok);
}

static int test_stray_write(void)
{
	return stray("stray-write", "write access in kernel mode", "closed");
}

static int test_stray_read(void)
{
	return stray("stray-read", "read access in kernel mode", "closed");
}

static int test_readonly_write(void)
{
	return stray("readonly-write", "write access in kernel mode", "read-only");
}

static int test_misuse(void)
{
	int fd = open_page(), log = kmsg_open(), err = run(fd, "misuse");
	const char *report = kmsg_close(log);
	int setters = count(report, "x86/pks: rights to key 0 cannot be set");
	int frees = count(report, "is not allocated");
	bool ok = !err && setters == 1 && frees == 1 && !run(fd, "write");

	if (err)
		ksft_print_msg("misuse changed something: %s\n", strerror(-err));
	ksft_print_msg("%d and %d warnings\n", setters, frees);
	close(fd);
	return result(ok);
}

static int test_unpin(void)
{
	int fd = open_run(), log = kmsg_open(), err = run(fd, "unpin");
	bool ok = !err && count(kmsg_close(log), "pinned CR4 bits changed") == 1 &&
		  !run(fd, "cpus");

	close(fd);
	return result(ok);
}

static int test_warn(void)
{
	int fd = open_page(), log = kmsg_open(), err = run(fd, "warn");

	close(fd);
	return result(!err && count(kmsg_close(log), "expected, in an open window"));
}

static int test_user_rights(void)
{
	int fd = open_page(), log = kmsg_open(), err = run(fd, "leave-open-warn");
	const char *report = kmsg_close(log);

	/* Closes the window. */
	run(fd, "write");
	close(fd);
	if (err == -EBUSY)
		return skip("only with CONFIG_DEBUG_ENTRY");
	return result(!err && count(report, "asm/pks.h:") == 1);
}

/*
 * What a function leaves open in a kernel thread is open to the next one that the thread
 * runs. With CONFIG_DEBUG_ENTRY the kernel warns of the first.
 */
static int in_thread(const char *action)
{
	int fd = open_page(), log, err, warnings;
	bool debug = run(fd, "leave-open") == -EBUSY;

	/* Closes the window. */
	run(fd, "write");
	log = kmsg_open();
	err = run(fd, action);
	warnings = count(kmsg_close(log), "left a key open");
	close(fd);
	ksft_print_msg("%d warnings\n", warnings);
	if (err)
		ksft_print_msg("%s\n", err == -EACCES ? "the next function found it closed" :
							strerror(-err));
	return result(!err && warnings == debug);
}

static int test_worker(void)
{
	return in_thread("worker");
}

static int test_irq_thread(void)
{
	return in_thread("irq-thread");
}

static int test_ksoftirqd(void)
{
	return in_thread("ksoftirqd");
}

static int test_early(void)
{
	int fd = open_run(), err = run(fd, "early");

	close(fd);
	if (err == -ESRCH)
		return skip("needs run_pks_early on the kernel command line, and no module");
	return result(!err);
}

static int test_epochs(void)
{
	int fd = open_run(), log = kmsg_open(), err = run(fd, "epochs");
	bool ok = !err && count(kmsg_close(log), "out of epochs") == 1 &&
		  run(fd, "alloc") == -ENOSPC;

	if (err)
		ksft_print_msg("epochs: %s\n", strerror(-err));
	close(fd);
	return result(ok);
}

/*
 * In this order, as the last one leaves no keys. A test with an option is not run
 * without that.
 */
static const struct test {
	const char *name;
	char option;
	int (*run)(void);
	const char *says;
} tests[] = {
	{ "on", 0, test_on, "PKS is on, on every CPU" },
	{ "malformed", 0, test_malformed, "malformed writes are refused" },
	{ "write", 0, test_write, "a permitted write, and closed before and after" },
	{ "close", 0, test_close, "keys run out, and closing the file gives them back" },
	{ "fork", 0, test_fork, "fork starts closed" },
	{ "exec", 0, test_exec, "exec starts closed" },
	{ "user-irq", 0, test_user_irq,
	  "an interrupt from user mode starts closed and lends nothing" },
	{ "hotplug", 0, test_hotplug, "CPU offline and online" },
	{ "learn", 0, test_learn, "user space does not learn of keys" },
	{ "learn-fake", 0, test_learn_fake,
	  "user space does not learn of keys from a CPU that checks them first" },
	{ "msr", 0, test_msr, "user space can read IA32_PKRS, not write it" },
	{ "kcore", 0, test_kcore, "/proc/kcore shows a closed page" },
	{ "kmemleak", 0, test_kmemleak, "kmemleak leaves out a closed page" },
	{ "suspend", 's', test_suspend, "suspend to RAM and resume, in a window" },
	{ "hibernate", 'H', test_hibernate, "hibernate and resume, in a window" },
	{ "stray-write", 'd', test_stray_write,
	  "stray-write kills only its task, with a report" },
	{ "stray-read", 'd', test_stray_read,
	  "stray-read kills only its task, with a report" },
	{ "readonly-write", 'd', test_readonly_write,
	  "readonly-write kills only its task, with a report" },
	{ "unpin", 'd', test_unpin, "CR4.PKS is pinned" },
	{ "misuse", 'd', test_misuse, "bad keys warn once each and change nothing" },
	{ "warn", 'd', test_warn, "a WARN() in a window reports with all keys closed" },
	{ "user-rights", 'd', test_user_rights, "rights taken to user mode warn" },
	{ "worker", 'd', test_worker, "what a work item leaves open is open to the next" },
	{ "irq-thread", 'd', test_irq_thread,
	  "what a handler leaves open in its thread is open to the next" },
	{ "ksoftirqd", 'd', test_ksoftirqd,
	  "what a softirq leaves open in ksoftirqd is open to the next" },
	{ "early", 'd', test_early, "who asks for a key too early is told so" },
	{ "epochs", 'd', test_epochs, "out of epochs, keys are not reused" },
};

static void list(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tests); i++)
		printf("%-15s %c%c %s\n", tests[i].name, tests[i].option ? '-' : ' ',
		       tests[i].option ?: ' ', tests[i].says);
}

static int help(const char *program)
{
	fprintf(stderr, "usage: %s [-l] [-t TEST] [-d] [-s SECONDS] [-H]\n"
		"  -l  list the tests, and the option that each one needs, if any\n"
		"  -t  run only this one of them\n"
		"  -d  oops and warn on purpose, and use up keys until reboot\n"
		"  -s  suspend this machine to RAM, too: 2 to 3600 seconds, more than it\n"
		"      takes to get there, or the alarm that ends it comes too early\n"
		"  -H  hibernate this machine: the next boot needs resume= to go on here\n",
		program);
	return KSFT_FAIL;
}

int main(int argc, char **argv)
{
	bool chosen[ARRAY_SIZE(tests)];
	char options[128] = { 0 };
	const char *only = NULL;
	unsigned int plan = 0;
	int opt, fd, code;
	size_t i;
	char *end;

	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		return KSFT_PASS;

	while ((opt = getopt(argc, argv, "lt:ds:H")) != -1) {
		if (opt == '?')
			return help(argv[0]);
		options[opt] = 1;
		if (opt == 't')
			only = optarg;
		if (opt == 's') {
			suspend_seconds = strtol(optarg, &end, 10);
			if (*end || suspend_seconds < 2 || suspend_seconds > 3600)
				return help(argv[0]);
		}
	}
	if (optind < argc)
		return help(argv[0]);
	if (options['l']) {
		list();
		return KSFT_PASS;
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		chosen[i] = (!only || !strcmp(only, tests[i].name)) &&
			    (!tests[i].option || options[(int)tests[i].option]);
		plan += chosen[i];
	}
	if (!plan) {
		fprintf(stderr, "%s: no test %s with these options, see -l\n", argv[0], only);
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

	ksft_set_plan(plan);
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!chosen[i])
			continue;
		code = tests[i].run();
		if (code == KSFT_SKIP)
			ksft_test_result_code(code, tests[i].says, "%s", why_skipped);
		else
			ksft_test_result(code == KSFT_PASS, "%s\n", tests[i].says);
	}
	ksft_finished();
}
