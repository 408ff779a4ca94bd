/* What the tests ask of Windows. `unix.h` has the same. */
#ifndef WINDOWS_H
#define WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <process.h>

/* Some programs and paths, for what may become of them. */
#define A_PROGRAM own_program()
#define A_DIRECTORY "C:\\windows"
#define A_FILE own_program()
#define TEMPORARY "C:\\windows\\temp\\"

/* The number of a handle that isn't open. */
#define CLOSED 65532

/* How many of something cheap. */
#define MANY 5000

/* What the system says of memory that somebody writes: it isn't asked. */
#define BUSY 0

/* Whether it can take the right to write from other processes. */
#define HAS_SEALS 0

/* Whether PR_CreateProcess, too, hands down what was exported. */
#define EVERY_CHILD_INHERITS 0

/* Ends the children that may wait for ever: none does. */
static inline void end_children(void)
{
}

/* The path of this program. */
static inline void own_path(char *path, size_t size)
{
    DWORD len = GetModuleFileNameA(NULL, path, (DWORD)size);
    CHECK(len > 0 && len < size);
}

static inline const char *own_program(void)
{
    static char path[MAX_PATH];
    own_path(path, sizeof path);
    return path;
}

/* The number of a handle that every child inherits, and that is no region. */
static inline int something_open(void)
{
    HANDLE event = CreateEventA(NULL, FALSE, FALSE, NULL);
    CHECK(event != NULL && SetHandleInformation(event, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT));
    return (int)(intptr_t)event;
}

static inline int mapping_alignment(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwAllocationGranularity;
}

/* What a child exited with that was started without heirloom, and inherits what can be inherited. */
static inline int run_by_own_means(char *path, char *first, char *second)
{
    char quoted[256];
    /* It puts nothing between quotes. */
    snprintf(quoted, sizeof quoted, "\"%s\"", second);
    return (int)_spawnl(_P_WAIT, path, path, first, quoted, NULL);
}

/* Whether what is open under that number is every child's, too. */
static inline int is_inheritable(int number)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)(intptr_t)number, &flags) && flags & HANDLE_FLAG_INHERIT;
}

/* How many of this process's handles are regions: sections whose last page says so. */
static inline int open_regions(void)
{
    int count = 0, number;
    for (number = 4; number < 4096; number += 4) {
        MEMORY_BASIC_INFORMATION pages;
        char *view = MapViewOfFile((HANDLE)(intptr_t)number, FILE_MAP_READ, 0, 0, 0);
        if (view == NULL)
            continue;
        CHECK(VirtualQuery(view, &pages, sizeof pages) != 0);
        count += memcmp(view + pages.RegionSize - 4096, "heirloom", 8) == 0;
        CHECK(UnmapViewOfFile(view));
    }
    return count;
}

/* Waits for the end of every thread that waits for a detached process: there is none. */
static inline void await_only_thread(void)
{
}

/* Whether a write to that address is refused. */
static inline int write_faults(char *addr)
{
    /* Writes what is there, and tells of the fault. */
    return IsBadWritePtr(addr, 1) != 0;
}

#endif
