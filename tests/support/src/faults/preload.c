/* Lets system calls and allocations of the module fail, as a test orders. Preloaded into Kamailio; only
 * what the module itself calls is touched. The orders are in a file that all processes have mapped, see
 * `struct orders`, which faults.rs writes. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The numbers are the order of `Call` in faults.rs. */
enum call { SOCKET = 1, SETSOCKOPT, GETSOCKOPT, FCNTL, CONNECT, SEND, RECV, POLL, ALLOCATE };

struct orders {
	int32_t call;  /* which call fails, 0 = none */
	int32_t error; /* its errno */
	int32_t skip;  /* so many calls succeed before */
	int32_t times; /* so many calls fail; less than 0 = all */
	int32_t who;   /* in this process; less than 0 = in all but this one; 0 = in all */
	int32_t hits;  /* how many have failed */
	int32_t size;  /* the smallest allocation that fails */
	int32_t closed; /* not 0 = in that process each look at an idle connection finds it closed */
	int64_t clock; /* by so many nanoseconds the monotonic clock is ahead */
};

static struct orders *orders;
static uintptr_t module_start, module_end;

static int find_module(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	if (strstr(info->dlpi_name, "memcached.so") == NULL)
		return 0;
	uintptr_t end = 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t top = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type == PT_LOAD && top > end)
			end = top;
	}
	module_end = info->dlpi_addr + end;
	module_start = info->dlpi_addr;
	return 1;
}

__attribute__((constructor)) static void open_orders(void)
{
	const char *path = getenv("MCT_FAULTS");
	int file = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	if (file < 0)
		return;
	void *mapped = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	close(file);
	if (mapped != MAP_FAILED)
		orders = mapped;
}

static int is_module(void *caller)
{
	if (orders == NULL)
		return 0;
	/* Only an order makes it look: before the first one the module may not be there yet. */
	if (module_start == 0)
		dl_iterate_phdr(find_module, NULL);
	return (uintptr_t)caller >= module_start && (uintptr_t)caller < module_end;
}

static int concerns(int32_t who)
{
	return who == 0 || (who > 0 ? getpid() == who : getpid() != -who);
}

/* Whether this call is to fail; errno is then set. */
static int fails(enum call call, size_t size, void *caller)
{
	if (orders == NULL || orders->call != (int32_t)call || !concerns(orders->who)
		|| !is_module(caller) || (call == ALLOCATE && size < (size_t)orders->size))
		return 0;
	if (__atomic_fetch_sub(&orders->skip, 1, __ATOMIC_RELAXED) > 0)
		return 0;
	if (orders->times >= 0 && __atomic_fetch_sub(&orders->times, 1, __ATOMIC_RELAXED) <= 0)
		return 0;
	__atomic_fetch_add(&orders->hits, 1, __ATOMIC_RELAXED);
	errno = orders->error;
	return 1;
}

#define CALLER __builtin_return_address(0)
#define REAL(name) \
	static __typeof__(&(name)) real; \
	if (real == NULL) \
		real = (__typeof__(&(name)))dlsym(RTLD_NEXT, #name)

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	return fails(SOCKET, 0, CALLER) ? -1 : real(domain, type, protocol);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	REAL(setsockopt);
	return fails(SETSOCKOPT, 0, CALLER) ? -1 : real(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	REAL(getsockopt);
	return fails(GETSOCKOPT, 0, CALLER) ? -1 : real(fd, level, name, value, len);
}

int fcntl(int fd, int command, ...)
{
	REAL(fcntl);
	va_list list;
	va_start(list, command);
	void *argument = va_arg(list, void *);
	va_end(list);
	return fails(FCNTL, 0, CALLER) ? -1 : real(fd, command, argument);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
	REAL(connect);
	return fails(CONNECT, 0, CALLER) ? -1 : real(fd, address, len);
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(send);
	return fails(SEND, 0, CALLER) ? -1 : real(fd, bytes, len, flags);
}

ssize_t recv(int fd, void *bytes, size_t len, int flags)
{
	REAL(recv);
	if (orders != NULL && orders->closed != 0 && (flags & MSG_PEEK) && concerns(orders->closed)
		&& is_module(CALLER))
		return 0;
	return fails(RECV, 0, CALLER) ? -1 : real(fd, bytes, len, flags);
}

int poll(struct pollfd *entries, nfds_t count, int time)
{
	REAL(poll);
	return fails(POLL, 0, CALLER) ? -1 : real(entries, count, time);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	REAL(clock_gettime);
	int result = real(clock, now);
	if (orders == NULL || orders->clock == 0 || clock != CLOCK_MONOTONIC || !is_module(CALLER))
		return result;
	int64_t nanos = now->tv_sec * 1000000000LL + now->tv_nsec + orders->clock;
	now->tv_sec = nanos / 1000000000LL;
	now->tv_nsec = nanos % 1000000000LL;
	return result;
}

/* glibc's own names: dlsym() allocates, so it cannot be asked here. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t size)
{
	return fails(ALLOCATE, size, CALLER) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(ALLOCATE, count * size, CALLER) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return fails(ALLOCATE, size, CALLER) ? NULL : __libc_realloc(old, size);
}
