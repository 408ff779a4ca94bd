/*
 * A process that uses as many bytes as it is told, and starts a child each time
 * it is told to: by the bare system calls, or by a library with NSPR's names.
 * It answers with the nanoseconds that this took.
 *
 *     parent BYTES < "bare" and paths of libraries, a line each
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static void failed(const char *what)
{
    perror(what);
    exit(1);
}

static char *args[] = {(char *)"/bin/true", NULL};

static void bare(void)
{
    pid_t pid;
    int status;
    if (posix_spawn(&pid, args[0], NULL, NULL, args, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0)
        failed("bare");
}

static void by_library(const char *path)
{
    void *(*create)(const char *, char *const *, char *const *, const void *);
    int (*wait)(void *, int32_t *);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *process;
    int32_t code = 0;
    if (library == NULL)
        failed(path);
    *(void **)&create = dlsym(library, "PR_CreateProcess");
    *(void **)&wait = dlsym(library, "PR_WaitProcess");
    process = create(args[0], args, NULL, NULL);
    if (process == NULL || wait(process, &code) != 0 || code != 0)
        failed(path);
}

int main(int argc, char **argv)
{
    char line[4096];
    size_t size = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    char *ballast = malloc(size + 1);
    if (ballast == NULL)
        return 1;
    memset(ballast, 1, size + 1);
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct timespec start, end;
        line[strcspn(line, "\n")] = 0;
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (strcmp(line, "bare") == 0)
            bare();
        else
            by_library(line);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("%.0f\n", 1e9 * (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec));
        fflush(stdout);
    }
    return ballast[size] != 1;
}
