/* Common to all test programs. `system` has the parts that differ by system. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
/* Includes NSPR's own headers if they are in the search path. */
#include <heirloom_nspr.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with a message if a condition is false. */
#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

static inline void check_failed(const char *file, int line, const char *what);

#if defined(_WIN32)
#include "system/windows.h"
#else
#include "system/unix.h"
#endif

static inline void check_failed(const char *file, int line, const char *what)
{
    char text[1024] = "";
    PR_GetErrorText(text);
    fflush(stdout);
    fprintf(stderr, "%s:%d: check failed: %s (last error %d, %d: %s)\n", file, line, what, (int)PR_GetError(),
            (int)PR_GetOSError(), text);
    end_children();
    exit(1);
}

/* Create and map a file map. */
static inline PRFileMap *create(PRSize size, PRFileMapProtect prot)
{
    PRFileMap *fm = PR_OpenAnonFileMap(NULL, size, prot);
    CHECK(fm != NULL);
    return fm;
}

static inline char *map(PRFileMap *fm, PRUint32 len)
{
    char *addr = PR_MemMap(fm, 0, len);
    CHECK(addr != NULL);
    return addr;
}

#endif
