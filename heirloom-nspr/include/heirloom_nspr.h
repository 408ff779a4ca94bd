/*
 * heirloom_nspr.h: anonymous shared memory that child processes inherit, with
 * the function names of the Netscape Portable Runtime (NSPR).
 *
 * A file map is memory without a name and with a fixed size. A process creates
 * one, maps it, and passes it to a child in one of two ways:
 *
 *   by inheritance:    PR_ProcessAttrSetInheritableFileMap and PR_CreateProcess
 *                      in the parent, PR_GetInheritedFileMap in the child;
 *   by export string:  PR_ExportFileMapAsString in the parent, which starts the
 *                      child in any way, PR_ImportFileMapFromString in the
 *                      child.
 *
 * After a failure, PR_GetError, PR_GetOSError and PR_GetErrorText return the
 * cause. Invalid arguments are errors, except for invalid pointers. The library
 * aborts the process only if it cannot allocate a few bytes for itself.
 * docs/nspr.md lists the errors and all differences from NSPR.
 *
 * All functions are thread-safe. PR_KillProcess may also be called from a signal
 * handler.
 *
 * Children, signals, zombies and errnos below refer to Unix. On Windows,
 * PR_CreateProcess does not pass on exported memory, and a file map must become
 * read-only or frozen before a child gets it; docs/nspr.md has the rest.
 *
 * If NSPR's own headers are available, this header includes them and declares
 * only the additions. It does so if one of them was included before, if the
 * compiler finds them in its search path, or if HEIRLOOM_WITH_NSPR is defined
 * (which is needed to include <nspr/...> after this header). Define
 * HEIRLOOM_WITHOUT_NSPR to ignore them.
 */
#ifndef HEIRLOOM_NSPR_H
#define HEIRLOOM_NSPR_H

#if !defined(HEIRLOOM_WITH_NSPR) && !defined(HEIRLOOM_WITHOUT_NSPR)
#if defined(prtypes_h___)
#define HEIRLOOM_WITH_NSPR
#elif defined(__has_include)
#if __has_include(<prshma.h>)
#define HEIRLOOM_WITH_NSPR
#endif
#endif
#endif

#if defined(HEIRLOOM_WITH_NSPR)

/* Some systems have them only as <nspr/...>. */
#if defined(__has_include)
#if !__has_include(<prshma.h>) && __has_include(<nspr/prshma.h>)
#define HEIRLOOM_NSPR_IN_FOLDER
#endif
#endif

#if defined(HEIRLOOM_NSPR_IN_FOLDER)
#include <nspr/prerr.h>
#include <nspr/prerror.h>
#include <nspr/prio.h>
#include <nspr/prproces.h>
#include <nspr/prshma.h>
#else
#include <prerr.h>
#include <prerror.h>
#include <prio.h>
#include <prproces.h>
#include <prshma.h>
#endif

#else /* without NSPR's headers */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int PRInt32;
typedef unsigned int PRUint32;
#if defined(__LP64__)
typedef long PRInt64;
#else
typedef int64_t PRInt64;
#endif
typedef PRInt64 PROffset64;
typedef size_t PRSize;
typedef PRInt32 PRErrorCode;

typedef enum { PR_FAILURE = -1, PR_SUCCESS = 0 } PRStatus;

/* Anonymous shared memory. */
typedef struct PRFileMap PRFileMap;

/* A process that PR_CreateProcess started. It starts with its PID (a pid_t), on Windows with its HANDLE. */
typedef struct PRProcess PRProcess;

/* Attributes for starting a process. */
typedef struct PRProcessAttr PRProcessAttr;

/* An NSPR file, socket or pipe. */
typedef struct PRFileDesc PRFileDesc;

/*
 * How a file map is mapped. To share data that children can only read, create
 * PR_PROT_READWRITE memory, write it, and call heirloom_freeze.
 */
typedef enum PRFileMapProtect {
    PR_PROT_READONLY,  /* read-only; no process can write it, so new memory stays zero */
    PR_PROT_READWRITE, /* readable and writable; every holder sees the writes */
    PR_PROT_WRITECOPY  /* readable and writable; each mapping is a private copy, initially zero */
} PRFileMapProtect;

typedef enum PRSpecialFD {
    PR_StandardInput,
    PR_StandardOutput,
    PR_StandardError
} PRSpecialFD;

/* The size in bytes of the longest export string, including its NUL. */
#define PR_FILEMAP_STRING_BUFSIZE 128

/* The error codes of these functions. */
#define PR_OUT_OF_MEMORY_ERROR (-6000L)
#define PR_BAD_DESCRIPTOR_ERROR (-5999L)
#define PR_UNKNOWN_ERROR (-5994L)
#define PR_INVALID_ARGUMENT_ERROR (-5987L)
#define PR_INSUFFICIENT_RESOURCES_ERROR (-5974L)
#define PR_PROC_DESC_TABLE_FULL_ERROR (-5971L)
#define PR_SYS_DESC_TABLE_FULL_ERROR (-5970L)
#define PR_NO_ACCESS_RIGHTS_ERROR (-5966L)
#define PR_OPERATION_NOT_SUPPORTED_ERROR (-5965L)
#define PR_BUFFER_OVERFLOW_ERROR (-5962L)
#define PR_FILE_TOO_BIG_ERROR (-5957L)
#define PR_NO_DEVICE_SPACE_ERROR (-5956L)
#define PR_LOOP_ERROR (-5952L)
#define PR_NAME_TOO_LONG_ERROR (-5951L)
#define PR_FILE_NOT_FOUND_ERROR (-5950L)
#define PR_NOT_DIRECTORY_ERROR (-5949L)
#define PR_FILE_EXISTS_ERROR (-5943L)
#define PR_FILE_IS_BUSY_ERROR (-5936L)
#define PR_INVALID_STATE_ERROR (-5931L)

/*
 * Creates a file map of `size` zero bytes. Returns NULL on failure.
 *
 * It uses the kernel's anonymous memory, and `dirName` may be NULL. If the
 * system or a sandbox provides no such memory, it uses an unnamed file in the
 * directory `dirName`, which must be PR_PROT_READWRITE.
 */
PRFileMap *PR_OpenAnonFileMap(const char *dirName, PRSize size, PRFileMapProtect prot);

/*
 * Maps `len` bytes at `offset`. Returns NULL on failure.
 *
 * The offset must be a multiple of PR_GetMemMapAlignment(). The range may reach
 * to the end of the last page. Map more than 4 GiB in parts. Parent and child
 * agree on the size of a file map; no call returns it. Unmap by PR_MemUnmap;
 * PR_CloseFileMap does not.
 */
void *PR_MemMap(PRFileMap *fmap, PROffset64 offset, PRUint32 len);

/* Unmaps `len` bytes at `addr`, a mapping that PR_MemMap returned for the same `len`. */
PRStatus PR_MemUnmap(void *addr, PRUint32 len);

/* Closes a file map. Its mappings stay. */
PRStatus PR_CloseFileMap(PRFileMap *fmap);

/* Returns the alignment of mapping offsets, in bytes. */
PRInt32 PR_GetMemMapAlignment(void);

/*
 * Writes the export string of `fm` into `buf`, which has `bufsize` bytes.
 *
 * From then until the file map is closed, every child of this process inherits
 * the memory, however it is started. The parent chooses which child gets the
 * string.
 */
PRStatus PR_ExportFileMapAsString(PRFileMap *fm, PRSize bufsize, char *buf);

/*
 * Opens the file map that an export string names. Returns NULL if the inherited
 * descriptor is not exactly the exported memory.
 *
 * Children of this process do not inherit it. Each call with the same string
 * returns another handle of one file map; close each. The last one releases it.
 */
PRFileMap *PR_ImportFileMapFromString(const char *fmstring);

/*
 * Passes `fm` to every process that is started with `attr`, under the name
 * `shmname`: 1 to 240 bytes of UTF-8. The file map may be closed before the
 * start.
 */
PRStatus PR_ProcessAttrSetInheritableFileMap(PRProcessAttr *attr, PRFileMap *fm, const char *shmname);

/*
 * Opens the file map that the parent passed on under the name `shmname`. Returns
 * NULL if there is none. Each call with the same name returns another handle of
 * one file map.
 */
PRFileMap *PR_GetInheritedFileMap(const char *shmname);

/* Creates attributes without redirections or inherited objects. Returns NULL on failure. */
PRProcessAttr *PR_NewProcessAttr(void);

/* Resets attributes to their initial state. */
void PR_ResetProcessAttr(PRProcessAttr *attr);

/* Destroys attributes. Processes that were started with them are unaffected. */
void PR_DestroyProcessAttr(PRProcessAttr *attr);

/*
 * Makes `redirectFd` the child's standard input, output or error. NULL selects
 * this process's own stream. Only for programs that are linked with NSPR.
 *
 * Keep the file open until the child is started. This function returns nothing:
 * if it fails, PR_CreateProcess with these attributes fails with the same error.
 */
void PR_ProcessAttrSetStdioRedirect(PRProcessAttr *attr, PRSpecialFD stdioFd, PRFileDesc *redirectFd);

/* An older name of PR_ProcessAttrSetStdioRedirect. */
void PR_SetStdioRedirect(PRProcessAttr *attr, PRSpecialFD stdioFd, PRFileDesc *redirectFd);

/* Sets the child's working directory. A relative path of the program is resolved from there. */
PRStatus PR_ProcessAttrSetCurrentDirectory(PRProcessAttr *attr, const char *dir);

/*
 * Lets the child open the file `fd` by PR_GetInheritedFD(name). Only for
 * programs that are linked with NSPR. Call PR_SetFDInheritable on the file
 * first.
 */
PRStatus PR_ProcessAttrSetInheritableFD(PRProcessAttr *attr, PRFileDesc *fd, const char *name);

/*
 * Starts the program `path`. Returns NULL if it cannot be started.
 *
 * The path is not looked up in the PATH. `argv` and `envp` end with a NULL. A
 * NULL `envp` means this process's own environment. `attr` may be NULL. The cost
 * does not depend on this process's memory. Wait for the process or detach it;
 * otherwise it stays a zombie when it ends. If this process ignores SIGCHLD, it
 * stops ignoring it, because the system would keep no exit codes.
 */
PRProcess *PR_CreateProcess(const char *path, char *const *argv, char *const *envp, const PRProcessAttr *attr);

/* Starts a detached process, which needs no PR_WaitProcess. */
PRStatus PR_CreateProcessDetached(const char *path, char *const *argv, char *const *envp, const PRProcessAttr *attr);

/*
 * Waits until a process ends. Unless `exitCode` is NULL, it is set to the exit
 * code, or to 256 if a signal ended the process. Afterwards `process` is
 * invalid.
 */
PRStatus PR_WaitProcess(PRProcess *process, PRInt32 *exitCode);

/* Detaches a process, which then needs no PR_WaitProcess. Afterwards `process` is invalid. */
PRStatus PR_DetachProcess(PRProcess *process);

/*
 * Kills a process at once. It must still be waited for. A signal handler may
 * call this, also while another thread waits for the process, or after it did.
 */
PRStatus PR_KillProcess(PRProcess *process);

/* Returns the code of this thread's last error: one of the above. */
PRErrorCode PR_GetError(void);

/* Returns the system's number (an errno) for that error, or 0 if no system call failed. */
PRInt32 PR_GetOSError(void);

/* Sets both of these values, and clears the text. */
void PR_SetError(PRErrorCode errorCode, PRInt32 oserr);

/*
 * Returns the length of the error's text, without its NUL: at most 1023 bytes.
 * The text says which operation failed, why, and what to do.
 */
PRInt32 PR_GetErrorTextLength(void);

/* Copies that text and a NUL into `text`, and returns its length, or 0 if there is no text. */
PRInt32 PR_GetErrorText(char *text);

#ifdef __cplusplus
}
#endif

#endif /* without NSPR's headers */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Makes a file map read-only: no process, including this one, can create a new
 * writable mapping. Existing mappings stay writable. PR_MemMap then maps for
 * reading. If this is called before any child has the file map, only the
 * existing mappings of this process can write it.
 *
 * Any holder of a writable file map may call it. In another process that already
 * has the file map, PR_MemMap returns PR_NO_ACCESS_RIGHTS_ERROR until that
 * process makes this call too, which then always succeeds. Earlier export
 * strings become invalid: export again.
 */
PRStatus heirloom_make_read_only(PRFileMap *fm);

/*
 * Freezes a file map: no process can write it again. PR_FILE_IS_BUSY_ERROR while
 * any process maps it for writing: unmap it first. PR_MemMap then maps for
 * reading (a PR_PROT_WRITECOPY file map is frozen at creation and stays as it
 * is). Other holders make this call too, as with heirloom_make_read_only.
 */
PRStatus heirloom_freeze(PRFileMap *fm);

#if defined(__linux__)
/*
 * Keeps processes that are started with these attributes apart: none can trace
 * another process of the user but its own children, nor read its memory or take
 * its file descriptors, nor signal one (the last from Linux 6.12 on). They lose
 * the rights of setuid programs, and can't mount. Without Landlock (Linux 5.13
 * or later), starting them is PR_OPERATION_NOT_SUPPORTED_ERROR.
 */
PRStatus heirloom_confine(PRProcessAttr *attr);

/*
 * Seals them off: the same, and they have no file and no socket but what they
 * inherit, and for reading and executing what is beneath the paths in
 * `readable`, a list that ends with NULL: the program, its libraries and data.
 */
PRStatus heirloom_confine_to(PRProcessAttr *attr, const char *const *readable);
#endif

#ifdef __cplusplus
}
#endif

#endif /* HEIRLOOM_NSPR_H */
