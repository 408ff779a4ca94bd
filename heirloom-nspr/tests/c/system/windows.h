/* The parts of the tests for Windows. `unix.h` has the same names. */
#ifndef WINDOWS_H
#define WINDOWS_H

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <process.h>

/* Programs and paths. */
#define A_PROGRAM own_program()
#define A_DIRECTORY "C:\\windows"
#define A_FILE own_program()
#define TEMPORARY "C:\\windows\\temp\\"

/* The number of a closed handle. */
#define CLOSED 65532

/* A large number of cheap objects. */
#define MANY 5000

/* The system's error for memory with a writable mapping: the library makes no system call. */
#define BUSY 0

/* Whether other processes' write access can be revoked. */
#define HAS_SEALS 0

/* Whether a child of PR_CreateProcess inherits exported memory. */
#define EVERY_CHILD_INHERITS 0

/* Kills children that may block forever: there are none. */
static inline void end_children(void)
{
}

/* Gets the path of this program. */
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

/* Returns the number of an inheritable handle that is not a region. */
static inline int open_descriptor(void)
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

/* Starts a child without heirloom that inherits all inheritable handles, and returns its exit code. */
static inline int run_without_heirloom(char *path, char *first, char *second)
{
    char quoted[256];
    /* _spawnl does not quote arguments. */
    snprintf(quoted, sizeof quoted, "\"%s\"", second);
    return (int)_spawnl(_P_WAIT, path, path, first, quoted, NULL);
}

/* Whether every child inherits a handle. */
static inline int is_inheritable(int number)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)(intptr_t)number, &flags) && flags & HANDLE_FLAG_INHERIT;
}

/* Counts this process's handles that are regions: sections whose last page says so. */
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

/* Waits until no thread waits for a detached process: there is none. */
static inline void await_only_thread(void)
{
}

/* Whether a write to an address faults. */
static inline int write_faults(char *addr)
{
    /* Writes the value that is there, and returns whether that faulted. */
    return IsBadWritePtr(addr, 1) != 0;
}

#endif
