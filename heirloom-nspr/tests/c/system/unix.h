/* What the tests ask of Unix. `windows.h` has the same. */
#ifndef UNIX_H
#define UNIX_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Some programs and paths, for what may become of them. */
#define A_PROGRAM "/bin/true"
#define A_DIRECTORY "/etc"
#define A_FILE "/etc/passwd"
#define TEMPORARY "/tmp/"

/* The number of a descriptor that isn't open. */
#define CLOSED 999

/* How many of something cheap. */
#define MANY 100000

/* What the system says of memory that somebody writes. */
#define BUSY EBUSY

/* Whether it can take the right to write from other processes. */
#define HAS_SEALS 1

/* Whether PR_CreateProcess, too, hands down what was exported. */
#define EVERY_CHILD_INHERITS 1

/* Ends the children that may wait for ever: those of whoever leads a process group. */
static inline void end_children(void)
{
    if (getpgrp() == getpid()) {
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
    }
}

/* The path of this program. */
static inline void own_path(char *path, size_t size)
{
    CHECK(readlink("/proc/self/exe", path, size - 1) > 0);
}

/* The number of a descriptor that every child inherits, and that is no region. */
static inline int something_open(void)
{
    return 0;
}

static inline int mapping_alignment(void)
{
    return (int)sysconf(_SC_PAGESIZE);
}

/* What a child exited with that was started without heirloom. */
static inline int run_by_own_means(char *path, char *first, char *second)
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

/* Whether what is open under that number is every child's, too. */
static inline int is_inheritable(int number)
{
    return fcntl(number, F_GETFD) == 0;
}

/* How many of this process's descriptors are regions. */
static inline int open_regions(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        count += readlink(path, link, sizeof link - 1) > 0 && strncmp(link, "/memfd:heirloom", 15) == 0;
    }
    return count;
}

/* Waits for the end of every thread that waits for a detached process: valgrind takes what it has for lost. */
static inline void await_only_thread(void)
{
    int threads;
    do {
        DIR *tasks = opendir("/proc/self/task");
        CHECK(tasks != NULL);
        for (threads = 0; readdir(tasks) != NULL;)
            threads++;
        closedir(tasks);
    } while (threads > 3); /* with `.` and `..` */
}

/* Whether a write to that address is refused, tried in a child of its own. */
static inline int write_faults(char *addr)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        /* As it was, for those who share it. */
        *(volatile char *)addr = *(volatile char *)addr;
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

#endif
