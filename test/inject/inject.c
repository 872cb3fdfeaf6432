// SPDX-License-Identifier: GPL-2.0
/*
 * What "make inject" runs in the guest, one part of it per boot:
 *
 * alloc	each allocation and each copy from or to user space fails in turn, in all
 *		that the series' files and the functions for keys do
 * fuzz SEED N	N inputs for these files
 * deaths	threads that die, and a handler that hangs, in an open window
 * jump		a kexec jump in an open window, to a kernel that closes key 0
 * crash MODE	a crash in an open window, with a second kernel for it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"

#define DEVICE		"/dev/pks_inject"
#define DEBUGFS		"/sys/kernel/debug"
#define RUN_PKS		DEBUGFS "/x86/run_pks"
#define PKS_KEYS	DEBUGFS "/x86/pks_keys"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
/* Seconds that a thread may take to fall asleep, on a slow emulator. */
#define PATIENCE	60

static const char *const files[] = { RUN_PKS, PKS_KEYS };

/* 0 or a negative errno. */
static int write_to(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), err = fd < 0 ? -errno : write_to(fd, text);

	if (fd >= 0)
		close(fd);
	return err;
}

static int read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = -1, err = 0;

	if (fd >= 0)
		n = read(fd, buf, size - 1);
	if (n < 0)
		err = -errno;
	else
		buf[n] = '\0';
	if (fd >= 0)
		close(fd);
	return err;
}

static void must(const char *path, const char *text)
{
	int err = write_file(path, text);

	if (err)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(-err));
}

/* In a process of its own: how it ended. */
static int in_child(int (*fn)(const char *arg), const char *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn(arg) ? 1 : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		ksft_exit_fail_msg("fork: %s\n", strerror(errno));
	return status;
}

static int device(const char *action)
{
	return write_file(DEVICE, action);
}

/* New threads start closed and can use the page, on each CPU. */
static bool all_well(void)
{
	long cpu, nr = sysconf(_SC_NPROCESSORS_ONLN);
	bool ok = true;
	cpu_set_t set;

	for (cpu = 0; cpu < nr; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		ok &= !sched_setaffinity(0, sizeof(set), &set) &&
		      !in_child(device, "is-closed") && !in_child(device, "use");
	}
	for (cpu = 0; cpu < nr; cpu++)
		CPU_SET(cpu, &set);
	return ok & !sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Memory that is not there
 */

static char text[8192];

static int open_run(void)
{
	int fd = open(RUN_PKS, O_RDWR);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int list_actions(void)
{
	return read_file(RUN_PKS, text, sizeof(text));
}

static int list_keys(void)
{
	return read_file(PKS_KEYS, text, sizeof(text));
}

static int get_key_by_file(void)
{
	return write_file(RUN_PKS, "alloc");
}

static int get_key_by_module(void)
{
	return device("alloc");
}

/* Open all the time, as to open it can fail, too. */
static int nth_fd;

static void fail_nth(int nth)
{
	char number[16];
	int size = sprintf(number, "%d", nth);

	/* What is left of the previous number may still be counted down, and hit this. */
	if (pwrite(nth_fd, number, size, 0) != size && pwrite(nth_fd, number, size, 0) != size)
		ksft_exit_fail_msg("%s: %s\n", FAIL_NTH, strerror(errno));
}

static bool still_to_come(void)
{
	char number[16] = "";

	/* The fault that is to come may strike in this read. */
	return pread(nth_fd, number, sizeof(number) - 1, 0) < 0 || atoi(number);
}

static void fail_each(const char *what, int (*fn)(void))
{
	int n = 0, refused = 0, err;
	bool ok = true;

	do {
		fail_nth(++n);
		err = fn();
		refused += err != 0;
		if (err && err != -ENOMEM && err != -EFAULT && err != -ENFILE) {
			ksft_print_msg("failure %d: %s\n", n, strerror(-err));
			ok = false;
		}
		/* What is left of the number was not needed. */
	} while (!still_to_come());
	fail_nth(0);
	ksft_print_msg("%d failures, of which %d were an error of the caller\n", n - 1, refused);
	/* Some the kernel can do without, such as what vmap() gets ahead for this CPU. */
	ksft_test_result(ok && refused && !err && !fn(), "%s\n", what);
}

static void alloc(void)
{
	static const char *const attrs[] = { "failslab", "fail_page_alloc", "fail_usercopy" };
	char path[80], before[sizeof(text)];

	ksft_set_plan(7);
	for (size_t i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), DEBUGFS "/%s/verbose", attrs[i]);
		must(path, "0");
		snprintf(path, sizeof(path), DEBUGFS "/%s/ignore-gfp-wait", attrs[i]);
		if (i < 2)
			must(path, "N");
	}
	must(DEBUGFS "/fail_page_alloc/min-order", "0");
	must(DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N");

	nth_fd = open(FAIL_NTH, O_RDWR);
	list_keys();
	strcpy(before, text);
	fail_each("run_pks opens", open_run);
	fail_each("run_pks lists its actions", list_actions);
	fail_each("pks_keys lists keys", list_keys);
	fail_each("run_pks gets a key and a page", get_key_by_file);
	fail_each("a module gets a key and a page", get_key_by_module);
	ksft_test_result(!list_keys() && !strcmp(before, text), "no key is lost\n");
	ksft_test_result(all_well(), "all goes on\n");
}

/*
 * Anything for the files
 */

static uint64_t dice_state;

static unsigned int dice(unsigned int sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (dice_state >> 11) % sides;
}

/* What oopses, warns or uses up the keys on purpose, or waits for threads: for test_pks_64 -d. */
static const char *const on_purpose[] = {
	"stray-write", "stray-read", "readonly-write", "unpin", "misuse", "warn", "epochs",
	"worker", "irq-thread", "ksoftirqd",
	/* The kernel of this test does not have it. */
	"kmemleak",
	/* There is one for all files, so two processes at once disturb each other. */
	"watch-tick",
	/* Nobody here wakes the machine: for test_pks_64 -s and -H. */
	"suspend", "hibernate"
};
static char names[40][32];
static int nr_names;

static void read_names(void)
{
	char *line, *rest = text;

	if (list_actions())
		ksft_exit_fail_msg("%s: %s\n", RUN_PKS, strerror(errno));
	while ((line = strsep(&rest, "\n")) && nr_names < 40)
		if (sscanf(line, "%31s", names[nr_names]) == 1)
			nr_names++;
}

static bool is_on_purpose(const char *input, size_t size)
{
	if (size && input[size - 1] == '\n')
		size--;
	for (size_t i = 0; i < ARRAY_SIZE(on_purpose); i++)
		if (size == strlen(on_purpose[i]) && !memcmp(input, on_purpose[i], size))
			return true;
	return false;
}

/* Mostly the name of an action with something done to it. */
static size_t make_input(char *input, size_t room)
{
	size_t size = 0, i;

	if (dice(8)) {
		strcpy(input, names[dice(nr_names)]);
		size = strlen(input);
		if (dice(2))
			input[size++] = '\n';
	}
	switch (dice(8)) {
	case 0:
		size = dice(size + 1);
		break;
	case 1:
		for (i = dice(40); i--; )
			input[size++] = dice(256);
		break;
	case 2:
		if (size)
			input[dice(size)] ^= 1 << dice(8);
		break;
	case 3:
		if (size)
			input[dice(size)] = '\0';
		break;
	case 4:
		i = dice(room - size);
		memset(input + size, dice(256), i);
		size += i;
		break;
	}
	return size;
}

static bool is_due(int err, const char *input, size_t size)
{
	static const int due[] = {
		0, EINVAL, EFAULT, EEXIST, ENXIO, EACCES, ENOSPC, EBUSY, EAGAIN, ESRCH, ESPIPE, EBADF
	};

	for (size_t i = 0; i < ARRAY_SIZE(due); i++)
		if (err == due[i])
			return true;
	/* A CPU on which a key is open: this thread has left it so, see "leave-open". */
	return err == EIO && size >= 4 && !memcmp(input, "cpus", 4);
}

static int fuzzer(const char *arg)
{
	/* The second page is not there. */
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char input[4096], output[8192];
	unsigned int fd[2], i, errors = 0;
	int n = atoi(arg), done = 0;

	munmap(page + 4096, 4096);
	for (i = 0; i < 2; i++)
		fd[i] = open(files[i], O_RDWR);
	while (n--) {
		char *from = input;
		size_t size;
		ssize_t ret;

		i = !dice(8);
		if (!dice(500)) {
			close(fd[i]);
			fd[i] = open(files[i], dice(8) ? O_RDWR : O_WRONLY);
		}
		size = make_input(input, sizeof(input));
		if (is_on_purpose(input, size) || is_on_purpose(input, size / 2))
			continue;
		/* Partly where it is not there. */
		if (!dice(8)) {
			from = page + 4096 - dice(size + 1);
			memcpy(from, input, page + 4096 - from);
		}
		errno = 0;
		switch (dice(8)) {
		case 0:
			ret = pwrite(fd[i], from, size, dice(2) ? (int)dice(64) : -1 - (int)dice(64));
			break;
		case 1:
			ret = writev(fd[i], (struct iovec []){ { from, size }, { from, size / 2 } }, 2);
			break;
		case 2:
			ret = read(fd[i], dice(4) ? output : page + 4096 - dice(64), dice(sizeof(output)));
			break;
		case 3:
			ret = lseek(fd[i], dice(2) ? (int)dice(100000) : -1 - (int)dice(100), dice(6));
			break;
		default:
			ret = write(fd[i], from, size);
			break;
		}
		done++;
		errors += ret < 0;
		if (ret < 0 && !is_due(errno, from, size)) {
			ksft_print_msg("\"%.*s\": %s\n", (int)size, from, strerror(errno));
			return 1;
		}
	}
	ksft_print_msg("%d inputs, %u refused\n", done, errors);
	fflush(stdout);
	return !done || errors == (unsigned int)done;
}

/* Two of them at once. */
static void fuzz(const char *seed, const char *n)
{
	pid_t pids[2];
	int status;
	bool ok = true;

	ksft_set_plan(3);
	read_names();
	ksft_print_msg("seed %s\n", seed);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		dice_state = strtoull(seed, NULL, 10) * 2 + i ?: 1;
		pids[i] = fork();
		if (!pids[i])
			_exit(fuzzer(n));
	}
	for (int i = 0; i < 2; i++)
		ok &= waitpid(pids[i], &status, 0) == pids[i] && !status;
	ksft_test_result(ok, "inputs are refused or valid\n");
	ksft_test_result(nr_names > 10 && !write_file(RUN_PKS, "cpus"), "PKS is on, on every CPU\n");
	ksft_test_result(all_well(), "all goes on\n");
}

/*
 * Deaths in a window
 */

static void dies(const char *action)
{
	int status = in_child(device, action);

	ksft_test_result(WIFSIGNALED(status) && all_well(), "%s in a window\n", action);
}

/* As /proc shows it, R, S, D or another. */
static char state_of(pid_t pid)
{
	char path[40], stat[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_file(path, stat, sizeof(stat)) || !strrchr(stat, ')'))
		ksft_exit_fail_msg("%s: not what it should be\n", path);
	return strrchr(stat, ')')[2];
}

static void killed(void)
{
	int status, fd = open(DEVICE, O_RDWR);
	pid_t pid = fork();
	time_t end;

	if (!pid)
		_exit(device("sleep") ? 1 : 0);
	/* Returns when it is in its window. */
	if (fd < 0 || pid < 0 || read(fd, &status, 1))
		ksft_exit_fail_msg("sleep: %s\n", strerror(errno));
	for (end = time(NULL) + PATIENCE; state_of(pid) != 'D'; sched_yield())
		if (time(NULL) > end)
			ksft_exit_fail_msg("sleep: still awake after %d s\n", PATIENCE);
	if (kill(pid, SIGKILL) || waitpid(pid, &status, 0) != pid)
		ksft_exit_fail_msg("kill: %s\n", strerror(errno));
	close(fd);
	ksft_test_result(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && !device("was-open") &&
			 all_well(), "kill -9 in a window\n");
}

static void deaths(void)
{
	ksft_set_plan(5);
	ksft_test_result(all_well(), "all is well\n");
	dies("oops");
	dies("bug");
	killed();
	must("/proc/sys/kernel/watchdog_thresh", "1");
	ksft_test_result(!in_child(device, "hang") && all_well(), "a handler that hangs in a window\n");
}

/*
 * A kernel that kexec jumps to. It closes all keys in IA32_PKRS, key 0 included, and goes
 * back. In place of the return address it leaves where the next jump is to go:
 *	mov $0x6e1, %ecx; mov $-1, %eax; xor %edx, %edx; wrmsr
 *	pop %rdi; push $PEER_ADDRESS; jmp *%rdi
 */
static const unsigned char peer[] = {
	0xb9, 0xe1, 0x06, 0x00, 0x00, 0xb8, 0xff, 0xff, 0xff, 0xff, 0x31, 0xd2, 0x0f, 0x30,
	0x5f, 0x68, 0x00, 0x00, 0x00, 0x08, 0xff, 0xe7,
};

#define PEER_ADDRESS	0x8000000

/*
 * With CR4.PKS set ahead of the MSR, the first access after it would fault, and so would
 * the page fault handler. An exception from user mode ends a window that was left open, so
 * jump often enough to have jumped in an open one.
 */
static void jump(void)
{
	struct kexec_segment segment = {
		.buf = peer, .bufsz = sizeof(peer), .mem = (void *)PEER_ADDRESS, .memsz = 4096,
	};
	int fd = open(RUN_PKS, O_RDWR), i, jumped = 0, open_before = 0, open_after = 0;
	bool on = true;

	ksft_set_plan(1);
	if (fd < 0 || write_to(fd, "alloc"))
		ksft_exit_fail_msg("%s: %s\n", RUN_PKS, strerror(errno));
	if (syscall(SYS_kexec_load, PEER_ADDRESS, 1, &segment, KEXEC_PRESERVE_CONTEXT | KEXEC_ARCH_X86_64))
		ksft_exit_fail_msg("kexec_load: %s\n", strerror(errno));
	for (i = 0; i < 5; i++) {
		write_to(fd, "leave-open");
		open_before += !write_to(fd, "is-open");
		jumped += !reboot(RB_KEXEC);
		open_after += !write_to(fd, "is-open");
		on &= !write_to(fd, "write") && !write_to(fd, "is-closed") && !write_to(fd, "cpus");
	}
	ksft_print_msg("%d jumps, %d and %d in an open window\n", jumped, open_before, open_after);
	ksft_test_result(jumped == 5 && open_after && on, "kexec jump to a kernel that closes key 0\n");
}

/* The second kernel, and what pks.mode is in it. */
static void crash(const char *mode)
{
	int kernel = open("/inject/bzImage", O_RDONLY), initrd = open("/inject/initramfs", O_RDONLY);
	char cmdline[1024];

	if (read_file("/proc/cmdline", cmdline, 900))
		ksft_exit_fail_msg("/proc/cmdline: %s\n", strerror(errno));
	cmdline[strcspn(cmdline, "\n")] = '\0';
	sprintf(cmdline + strlen(cmdline), " pks.mode=%.16s kunit.enable=0 panic_on_warn=1 nr_cpus=1", mode);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1, cmdline, KEXEC_FILE_ON_CRASH))
		ksft_exit_fail_msg("kexec_file_load: %s\n", strerror(errno));
	device("crash");
	ksft_exit_fail_msg("it did not crash\n");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "crash"))
		crash(argv[2]);
	ksft_print_header();
	if (argc == 2 && !strcmp(argv[1], "alloc"))
		alloc();
	else if (argc == 4 && !strcmp(argv[1], "fuzz"))
		fuzz(argv[2], argv[3]);
	else if (argc == 2 && !strcmp(argv[1], "deaths"))
		deaths();
	else if (argc == 2 && !strcmp(argv[1], "jump"))
		jump();
	else
		ksft_exit_fail_msg("use: inject alloc | fuzz SEED N | deaths | jump | crash MODE\n");
	ksft_finished();
}
