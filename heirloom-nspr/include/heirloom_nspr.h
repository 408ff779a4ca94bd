/*
 * heirloom_nspr.h: anonymous shared memory that child processes inherit, with
 * the names of the Netscape Portable Runtime (NSPR).
 *
 * A process makes a file map: memory that has no name, of a size that never
 * changes. It maps it, and hands it down to a child, in one of two ways:
 *
 *   by inheritance:  PR_ProcessAttrSetInheritableFileMap and PR_CreateProcess
 *                    in the parent, PR_GetInheritedFileMap in the child;
 *   by a string:     PR_ExportFileMapAsString in the parent, which starts the
 *                    child in its own way, PR_ImportFileMapFromString in the
 *                    child.
 *
 * Every function that fails says why by PR_GetError, PR_GetOSError and
 * PR_GetErrorText. No argument crashes one, but a pointer that points nowhere;
 * only where not even the few bytes are left that the library needs for itself
 * is the process aborted. docs/nspr.md lists the errors, and all that differs
 * from NSPR's own.
 *
 * All functions may be called from any thread; PR_KillProcess from a signal
 * handler too.
 *
 * What is said here of children, signals, zombies and errnos is Unix's. On
 * Windows PR_CreateProcess hands down nothing that was exported, and a file map
 * is published or frozen before it is handed down; docs/nspr.md has the rest.
 *
 * Where NSPR's own headers are there, this one leaves their names to them: if
 * one was included before, or if the compiler can tell that they are in its
 * search path, or if HEIRLOOM_WITH_NSPR is defined (which is needed to include
 * <nspr/...> after this one). HEIRLOOM_WITHOUT_NSPR says that they are not
 * wanted.
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

/* They may be there as <nspr/...> alone. */
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

/* A piece of anonymous shared memory. */
typedef struct PRFileMap PRFileMap;

/* A process that PR_CreateProcess started. It begins with its number (a pid_t); on Windows with its HANDLE. */
typedef struct PRProcess PRProcess;

/* What a process is to be started with. */
typedef struct PRProcessAttr PRProcessAttr;

/* A file, socket or pipe of NSPR's. */
typedef struct PRFileDesc PRFileDesc;

/*
 * How a file map is mapped. New memory that children are to read and nobody is
 * to change is PR_PROT_READWRITE too: written first, and then heirloom_freeze.
 */
typedef enum PRFileMapProtect {
    PR_PROT_READONLY,  /* for reading; nobody ever writes it, so new memory stays zero */
    PR_PROT_READWRITE, /* for reading and writing, which every holder sees */
    PR_PROT_WRITECOPY  /* for reading and writing, each mapping a copy of its own, which is zero at first */
} PRFileMapProtect;

typedef enum PRSpecialFD {
    PR_StandardInput,
    PR_StandardOutput,
    PR_StandardError
} PRSpecialFD;

/* How many bytes the longest export string has, with its NUL. */
#define PR_FILEMAP_STRING_BUFSIZE 128

/* The errors that these functions answer. */
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
 * Makes a file map of `size` bytes, all zero; NULL if that fails.
 *
 * It lives in the kernel's anonymous memory, and `dirName` may be NULL. Where
 * the system or its sandbox has no such memory, it is a file without a name in
 * the directory `dirName`, which can only be PR_PROT_READWRITE.
 */
PRFileMap *PR_OpenAnonFileMap(const char *dirName, PRSize size, PRFileMapProtect prot);

/*
 * Maps `len` bytes from byte `offset` on; NULL if that fails.
 *
 * The offset is a multiple of PR_GetMemMapAlignment(). Anything up to the end
 * of the last page may be mapped, more than 4 GiB in parts. How large a file map
 * is, parent and child agree on. PR_MemUnmap ends a mapping, not PR_CloseFileMap.
 */
void *PR_MemMap(PRFileMap *fmap, PROffset64 offset, PRUint32 len);

/* Unmaps `len` bytes at `addr`, which PR_MemMap returned for as many. */
PRStatus PR_MemUnmap(void *addr, PRUint32 len);

/* Closes a file map. What is mapped of it stays mapped. */
PRStatus PR_CloseFileMap(PRFileMap *fmap);

/* Of what the offsets of mappings are multiples, in bytes. */
PRInt32 PR_GetMemMapAlignment(void);

/*
 * Writes a string that names `fm` into `buf`, which has `bufsize` bytes.
 *
 * From now until it is closed, every child of this process inherits the memory,
 * however it is started. Which of them imports the string is the parent's affair.
 */
PRStatus PR_ExportFileMapAsString(PRFileMap *fm, PRSize bufsize, char *buf);

/*
 * Opens the file map that a string names; NULL if what this process inherited
 * is not exactly what was exported.
 *
 * This process's own children don't inherit it. The same string twice gives two
 * handles of one file map, each to be closed; once all are, it is gone.
 */
PRFileMap *PR_ImportFileMapFromString(const char *fmstring);

/*
 * Hands `fm` down to every process that is started with `attr`, under the name
 * `shmname`: any UTF-8 of 1 to 240 bytes. The file map may be closed before.
 */
PRStatus PR_ProcessAttrSetInheritableFileMap(PRProcessAttr *attr, PRFileMap *fm, const char *shmname);

/*
 * Opens the file map that the parent handed down under the name `shmname`; NULL
 * if there is none. The same name twice gives two handles of one file map.
 */
PRFileMap *PR_GetInheritedFileMap(const char *shmname);

/* New attributes: nothing redirected, nothing inherited; NULL if that fails. */
PRProcessAttr *PR_NewProcessAttr(void);

/* Makes attributes as new. */
void PR_ResetProcessAttr(PRProcessAttr *attr);

/* Destroys attributes. What was started with them stays as it is. */
void PR_DestroyProcessAttr(PRProcessAttr *attr);

/*
 * Makes `redirectFd` the child's standard input, output or error; NULL says
 * that it is this process's own. For programs that are linked with NSPR.
 *
 * Keep the file open until the child is started. What is wrong with it, the
 * start of the child says too.
 */
void PR_ProcessAttrSetStdioRedirect(PRProcessAttr *attr, PRSpecialFD stdioFd, PRFileDesc *redirectFd);

/* The same, by an older name. */
void PR_SetStdioRedirect(PRProcessAttr *attr, PRSpecialFD stdioFd, PRFileDesc *redirectFd);

/* Sets the child's working directory, from which a relative path of the program counts, too. */
PRStatus PR_ProcessAttrSetCurrentDirectory(PRProcessAttr *attr, const char *dir);

/*
 * Lets the child find the file `fd` by PR_GetInheritedFD(name). For programs
 * that are linked with NSPR, whose PR_SetFDInheritable must have let it.
 */
PRStatus PR_ProcessAttrSetInheritableFD(PRProcessAttr *attr, PRFileDesc *fd, const char *name);

/*
 * Starts the program `path`; NULL if it can't be started.
 *
 * The path is not looked up in the PATH. `argv` and `envp` end with a NULL; an
 * `envp` that is NULL says this process's own. `attr` may be NULL. The memory
 * that this process uses makes no difference to what it costs. It is to be
 * waited for or detached, or it stays a zombie when it ends. Where this process
 * ignores SIGCHLD, that ends: the system would keep no exit codes.
 */
PRProcess *PR_CreateProcess(const char *path, char *const *argv, char *const *envp, const PRProcessAttr *attr);

/* The same for a process that nobody waits for. */
PRStatus PR_CreateProcessDetached(const char *path, char *const *argv, char *const *envp, const PRProcessAttr *attr);

/*
 * Waits until a process ended; `exitCode`, unless it is NULL, becomes what it
 * exited with, or 256 if a signal ended it. Afterwards `process` is no more.
 */
PRStatus PR_WaitProcess(PRProcess *process, PRInt32 *exitCode);

/* Lets a process go, which nobody waits for. Afterwards `process` is no more. */
PRStatus PR_DetachProcess(PRProcess *process);

/*
 * Ends a process at once. It is still to be waited for. A signal handler may
 * call this, also while another thread waits for the process, or did.
 */
PRStatus PR_KillProcess(PRProcess *process);

/* Why the last function that failed in this thread did: one of the errors above. */
PRErrorCode PR_GetError(void);

/* What the system said to that (an errno); 0 if the system had no part in it. */
PRInt32 PR_GetOSError(void);

/* Sets what the two above answer, without a text. */
void PR_SetError(PRErrorCode errorCode, PRInt32 oserr);

/* How long the text is that says what was tried, why it failed and what to do, without its NUL: at most 1023 bytes. */
PRInt32 PR_GetErrorTextLength(void);

/* Copies that text and a NUL into `text`, and returns its length; 0 if there is none. */
PRInt32 PR_GetErrorText(char *text);

#ifdef __cplusplus
}
#endif

#endif /* without NSPR's headers */

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on nobody, this process included, can make a new writable mapping;
 * what is mapped already stays as it is. PR_MemMap maps for reading. Published
 * before any child has it, a file map has one writer: who mapped it before.
 *
 * Any holder of a file map that can be written may call it. In another process
 * that has it already, PR_MemMap answers PR_NO_ACCESS_RIGHTS_ERROR until this is
 * called there too, which always succeeds then. An export string from before
 * names what is no more: export again.
 */
PRStatus heirloom_make_read_only(PRFileMap *fm);

/*
 * From now on nobody can write it, ever. PR_FILE_IS_BUSY_ERROR while any process
 * still maps it for writing: unmap it first. PR_MemMap maps for reading (but
 * PR_PROT_WRITECOPY, which is frozen from birth, stays what it is). For other
 * holders it is as for heirloom_make_read_only.
 */
PRStatus heirloom_freeze(PRFileMap *fm);

#ifdef __cplusplus
}
#endif

#endif /* HEIRLOOM_NSPR_H */
