/* What every test program begins with; what it asks the system is in `system`. */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
/* NSPR's own, where it is in the search path; before ours, as programs have it. */
#include <heirloom_nspr.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program where something isn't so, and says what and why. */
#define CHECK(so) ((so) ? (void)0 : check_failed(__FILE__, __LINE__, #so))

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
    fprintf(stderr, "%s:%d: not so: %s (last error %d, %d: %s)\n", file, line, what, (int)PR_GetError(),
            (int)PR_GetOSError(), text);
    end_children();
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

#endif
