/* What every test program begins with. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
/* NSPR's own, where it is in the search path; before ours, as programs have it. */
#include <heirloom_nspr.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Ends the program where something isn't so, and says what and why. */
#define CHECK(so) ((so) ? (void)0 : check_failed(__FILE__, __LINE__, #so))

static inline void check_failed(const char *file, int line, const char *what)
{
    char text[1024] = "";
    PR_GetErrorText(text);
    fprintf(stderr, "%s:%d: not so: %s (last error %d, %d: %s)\n", file, line, what, (int)PR_GetError(),
            (int)PR_GetOSError(), text);
    /* Whoever leads a process group takes its children along: they may wait for ever. */
    if (getpgrp() == getpid()) {
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
    }
    exit(1);
}

/* A file map that is there, and its bytes. */
static inline PRFileMap *opened(PRSize size, PRFileMapProtect prot)
{
    PRFileMap *fm = PR_OpenAnonFileMap(NULL, size, prot);
    CHECK(fm != NULL);
    return fm;
}

static inline char *mapped(PRFileMap *fm, PRUint32 len)
{
    char *addr = PR_MemMap(fm, 0, len);
    CHECK(addr != NULL);
    return addr;
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
