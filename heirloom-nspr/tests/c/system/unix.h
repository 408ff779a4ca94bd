/* The parts of the tests for Unix. `windows.h` has the same names. */
#ifndef UNIX_H
#define UNIX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Programs and paths. */
#define A_PROGRAM "/bin/true"
#define A_DIRECTORY "/etc"
#define A_FILE "/etc/passwd"
#define TEMPORARY "/tmp/"

/* The number of a closed descriptor. */
#define CLOSED 999

/* A large number of cheap objects. */
#define MANY 100000

/* The system's error for memory with a writable mapping. */
#define BUSY EBUSY

/* Whether other processes' write access can be revoked. */
#define HAS_SEALS 1

/* Whether a child of PR_CreateProcess inherits exported memory. */
#define EVERY_CHILD_INHERITS 1

/* Kills children that may block forever: those of a process group leader. */
static inline void end_children(void)
{
    if (getpgrp() == getpid()) {
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
    }
}

/* Gets the path of this program. */
static inline void own_path(char *path, size_t size)
{
    CHECK(readlink("/proc/self/exe", path, size - 1) > 0);
}

/* Returns the number of an inheritable descriptor that is not a region. */
static inline int open_descriptor(void)
{
    return 0;
}

static inline int mapping_alignment(void)
{
    return (int)sysconf(_SC_PAGESIZE);
}

/* Starts a child without heirloom, and returns its exit code. */
static inline int run_without_heirloom(char *path, char *first, char *second)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl(path, path, first, second, (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Whether every child inherits a descriptor. */
static inline int is_inheritable(int number)
{
    return fcntl(number, F_GETFD) == 0;
}

/* Counts this process's descriptors that are regions. */
static inline int open_regions(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        count += readlink(path, link, sizeof link - 1) > 0 && strncmp(link, "/memfd:heirloom/", 16) == 0;
    }
    return count;
}

/* Waits until no thread waits for a detached process: valgrind reports their memory as lost. */
static inline void await_only_thread(void)
{
    int threads;
    do {
        DIR *tasks = opendir("/proc/self/task");
        CHECK(tasks != NULL);
        for (threads = 0; readdir(tasks) != NULL;)
            threads++;
        closedir(tasks);
    } while (threads > 3); /* including `.` and `..` */
}

/* Whether a write to an address faults, tried in a child. */
static inline int write_faults(char *addr)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        /* Keep the value, because the memory is shared. */
        *(volatile char *)addr = *(volatile char *)addr;
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

#endif
