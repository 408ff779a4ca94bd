/*
 * heirloom.h: anonymous shared memory that child processes inherit, and nobody
 * else can reach. For C and C++; heirloom.hpp has C++ types that own.
 *
 * A region is memory without a name and with a fixed size. A process creates
 * one, maps it, and passes it to a child in one of two ways:
 *
 *   by inheritance:    heirloom_command_inherit in the parent,
 *                      heirloom_region_inherited in the child;
 *   by export string:  heirloom_region_export in the parent, which starts the
 *                      child in any way, heirloom_region_import in the child.
 *
 * The first also works for a child that the parent starts in its own way: it
 * sets the variable HEIRLOOM_REGIONS to NAME=STRING, separated by commas. A name
 * of letters, digits, "-", ".", "_" and "~" stands there as it is.
 *
 * Failures. A function that returns a pointer returns NULL, one that returns an
 * int -1. heirloom_last_error, heirloom_last_errno and heirloom_last_message
 * then tell why. NULL for an object is such a failure; freeing NULL does
 * nothing.
 *
 * Threads. A pointer to const can be used by several threads at once. Of any
 * other object, each call needs it for itself.
 *
 * Time. Limits are in nanoseconds. HEIRLOOM_FOREVER (or any negative number) is
 * no limit, 0 does not wait.
 *
 * Waits, channels and locks are for Linux and Android: elsewhere they fail with
 * HEIRLOOM_UNSUPPORTED (but FreeBSD, OpenBSD and macOS have waits, and Windows
 * has channels).
 *
 * The functions are in the same library as those of heirloom_nspr.h. Objects of
 * the one are not objects of the other.
 */
#ifndef HEIRLOOM_H
#define HEIRLOOM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. It grows with each addition; what is here stays. */
#define HEIRLOOM_ABI_VERSION 1

/* Returns the version of the library that the program runs with. */
uint32_t heirloom_abi_version(void);

#define HEIRLOOM_FOREVER INT64_C(-1)

/* ---- Errors ---- */

typedef enum heirloom_error_kind {
    HEIRLOOM_NO_ERROR = 0,
    HEIRLOOM_INVALID_INPUT = 1,         /* an argument is invalid */
    HEIRLOOM_TOO_LARGE = 2,             /* a size exceeds the address space or a limit */
    HEIRLOOM_OUT_OF_BOUNDS = 3,         /* a range exceeds the region, the mapping or the buffer */
    HEIRLOOM_MISALIGNED = 4,            /* an offset is not a multiple of the required alignment */
    HEIRLOOM_NAME_IN_USE = 5,           /* the command has a region of this name */
    HEIRLOOM_TOO_MANY = 6,              /* the names exceed the size of an environment variable */
    HEIRLOOM_NOT_INHERITED = 7,         /* the parent passed nothing of this name */
    HEIRLOOM_ALREADY_TAKEN = 8,         /* an earlier call took it */
    HEIRLOOM_WRONG_KIND = 9,            /* the object is of another kind than the call needs */
    HEIRLOOM_MALFORMED = 10,            /* an export string or HEIRLOOM_REGIONS is malformed */
    HEIRLOOM_MISMATCH = 11,             /* the descriptor is not what the string describes */
    HEIRLOOM_STILL_WRITABLE = 12,       /* a process can still write */
    HEIRLOOM_SEALED = 13,               /* the region is read-only or frozen by now */
    HEIRLOOM_UNSUPPORTED = 14,          /* this system, sandbox or backing can't do it */
    HEIRLOOM_OUT_OF_MEMORY = 15,        /* memory, huge pages, disk space or address space ran out */
    HEIRLOOM_OUT_OF_DESCRIPTORS = 16,   /* no more descriptors */
    HEIRLOOM_PROGRAM_NOT_FOUND = 17,    /* the program does not exist */
    HEIRLOOM_PROGRAM_NOT_RUNNABLE = 18, /* the program exists but can't be executed */
    HEIRLOOM_PEER_GONE = 19,            /* the other end of a channel is closed, or its process has ended */
    HEIRLOOM_PEER_BROKEN = 20,          /* the other end of a channel broke its protocol */
    HEIRLOOM_FORKED = 21,               /* the object belongs to the process that forked this one */
    HEIRLOOM_SYSTEM = 22                /* another error of the system: see heirloom_last_errno */
} heirloom_error_kind;

/* Returns the class of this thread's last error: a heirloom_error_kind. Success does not change it. */
int heirloom_last_error(void);

/* Returns the system's code (an errno) of this thread's last error, or 0. */
int heirloom_last_errno(void);

/* Returns what was tried, why it failed and what to do, in English and UTF-8. Valid until this thread's next error. */
const char *heirloom_last_message(void);

/* ---- Regions ---- */

/* A handle of a region. */
typedef struct heirloom_region heirloom_region;

typedef enum heirloom_kind {
    HEIRLOOM_WRITABLE = 0,  /* every holder can write */
    HEIRLOOM_READ_ONLY = 1, /* only mappings from before the conversion can write */
    HEIRLOOM_FROZEN = 2,    /* nobody can write, for ever */
    HEIRLOOM_UNSEALED = 3   /* as writable, but a file in a directory: it has no fixed size */
} heirloom_kind;

/* Allocates all memory at once, where its lack is an error. Otherwise memory is allocated as it is touched. */
#define HEIRLOOM_POPULATE 1u
/* Uses huge pages of the system's pool. */
#define HEIRLOOM_HUGE_PAGES 2u

/*
 * Creates a writable region of `size` zero bytes. `name` is shown by debuggers
 * and the system; it may be NULL. `flags` is 0 or a sum of the flags above.
 */
heirloom_region *heirloom_region_create(uint64_t size, const char *name, unsigned int flags);

/* Creates a frozen region with a copy of `len` bytes. */
heirloom_region *heirloom_region_frozen_from_bytes(const void *bytes, size_t len, const char *name);

#if !defined(_WIN32)
/* Creates a frozen region with what can be read from a descriptor, up to its end: a file, a pipe. */
heirloom_region *heirloom_region_frozen_from_fd(int fd, const char *name);
#endif

/* Creates a frozen region with a copy of another region. */
heirloom_region *heirloom_region_frozen_copy(const heirloom_region *region, const char *name);

/* Returns another handle of the same region. */
heirloom_region *heirloom_region_clone(const heirloom_region *region);

/* Drops a handle. Mappings stay. The memory is freed with its last handle, mapping or child that holds it. */
void heirloom_region_free(heirloom_region *region);

/* Returns the kind: a heirloom_kind. */
int heirloom_region_kind(const heirloom_region *region);

/* Returns the size in bytes, which never changes. */
uint64_t heirloom_region_size(const heirloom_region *region);

/* A mapping that can be read and written. */
typedef struct heirloom_mapping heirloom_mapping;

/*
 * Makes a region read-only: from now on no process can create a new writable
 * mapping. Returns the mapping through which this process keeps writing; unmap
 * it to give that up. Call it before a child has the region.
 */
heirloom_mapping *heirloom_region_make_read_only(heirloom_region *region);

/*
 * Freezes a region: nobody can write it again. HEIRLOOM_STILL_WRITABLE while any
 * process maps it for writing. A frozen one stays as it is.
 */
int heirloom_region_freeze(heirloom_region *region);

#if !defined(_WIN32)
/* Returns the region's descriptor, which stays the region's: to pass it through a socket, for example. */
int heirloom_region_fd(const heirloom_region *region);

/* Makes a region of a descriptor from elsewhere, and takes that over. After a failure it is still the caller's. */
heirloom_region *heirloom_region_from_fd(int fd);
#endif

/* ---- Passing regions ---- */

/* Takes the region, of any kind, that the parent passed under `name`. Each name can be taken once. */
heirloom_region *heirloom_region_inherited(const char *name);

/* Returns the names of the inherited regions that can be taken, and NULL after the last. Free the list. */
char **heirloom_inherited_names(void);
void heirloom_names_free(char **names);

/* Imports the region that an export string names, over a descriptor of its own. */
heirloom_region *heirloom_region_import(const char *string);

/* A region, or an end of a channel, that is exported. */
typedef struct heirloom_export heirloom_export;

/*
 * Exports a region. If `inheritable` is not 0, every child of this process that
 * starts while the export lives inherits the descriptor. Otherwise the caller
 * passes it: a child that it forks clears close-on-exec before it executes.
 */
heirloom_export *heirloom_region_export(const heirloom_region *region, int inheritable);

/* Returns the export string, which lives as long as the export. */
const char *heirloom_export_string(const heirloom_export *exported);

/* Ends an export. */
void heirloom_export_free(heirloom_export *exported);

/* ---- Mappings ---- */

/* A mapping that can be read. A pointer to a mapping can be cast to it. */
typedef struct heirloom_view heirloom_view;

/* A mapping's view of itself, for the calls that read. */
#define HEIRLOOM_VIEW(mapping) ((const heirloom_view *)(const void *)(mapping))

/*
 * Maps `len` bytes from `offset` on for reading and writing; of length 0, up to
 * the end. The offset is a multiple of the page size. The region must be
 * writable.
 */
heirloom_mapping *heirloom_map(const heirloom_region *region, uint64_t offset, uint64_t len);

/* The same of a whole region, with locks: see heirloom_lock. */
heirloom_mapping *heirloom_map_with_locks(const heirloom_region *region);

/* Maps for reading. Bytes of a region that is not frozen can change at any time. */
heirloom_view *heirloom_map_view(const heirloom_region *region, uint64_t offset, uint64_t len);

/* Maps copy-on-write: nobody else sees what is written. For heirloom_mapping_data only. */
heirloom_mapping *heirloom_map_copy(const heirloom_region *region, uint64_t offset, uint64_t len);

/* Unmaps a mapping or a view (by HEIRLOOM_VIEW). */
void heirloom_unmap(const heirloom_view *view);

/*
 * Returns the first byte. While other processes write, only volatile or atomic
 * accesses and the calls below are sound. C11's and C++'s lock-free atomics work
 * between processes, but not their waits (std::atomic::wait): call
 * heirloom_wait_u32.
 */
void *heirloom_mapping_data(const heirloom_mapping *mapping);
const void *heirloom_view_data(const heirloom_view *view);

/* Returns the size in bytes. */
size_t heirloom_view_size(const heirloom_view *view);

/* Excludes the mapping from core dumps. */
int heirloom_view_no_dump(const heirloom_view *view);

#if defined(__linux__)
/*
 * Puts a mapping's bytes into huge pages of 2 MiB, as far as the kernel has them
 * (Linux 6.1) and until `nanoseconds` have passed, and stores in `*huge` how many
 * bytes are in some. No pool is needed. The mapping moves: earlier pointers into
 * it are invalid. No other thread may use it. Not for private copies, and not
 * with locks. Best before the region is filled.
 */
int heirloom_use_huge_pages(const heirloom_view *view, int64_t nanoseconds, size_t *huge);

/* Fills `len` bytes at `offset` with zeros for every holder, and gives whole pages among them back to the system. */
int heirloom_discard(const heirloom_mapping *mapping, size_t offset, size_t len);
#endif

/* Copies `len` bytes at `offset` out. Checked, and sound whatever others write meanwhile. */
int heirloom_read(const heirloom_view *view, size_t offset, void *into, size_t len);

/* Copies `len` bytes in at `offset`. Checked, and sound as above. */
int heirloom_write(const heirloom_mapping *mapping, size_t offset, const void *from, size_t len);

/* ---- Atomic numbers: the offset is a multiple of the number's size ---- */

/* Loads, with acquire ordering. */
int heirloom_load_u32(const heirloom_view *view, size_t offset, uint32_t *value);
int heirloom_load_u64(const heirloom_view *view, size_t offset, uint64_t *value);

/* Stores, with release ordering. */
int heirloom_store_u32(const heirloom_mapping *mapping, size_t offset, uint32_t value);
int heirloom_store_u64(const heirloom_mapping *mapping, size_t offset, uint64_t value);

/* Stores, and tells the number before (unless that is NULL). These and the next are sequentially consistent. */
int heirloom_exchange_u32(const heirloom_mapping *mapping, size_t offset, uint32_t value, uint32_t *before);
int heirloom_exchange_u64(const heirloom_mapping *mapping, size_t offset, uint64_t value, uint64_t *before);

/* Stores `desired` if the number is `*current`. Returns 1 if it did, 0 if not; `*current` is then the number before. */
int heirloom_compare_exchange_u32(const heirloom_mapping *mapping, size_t offset, uint32_t *current, uint32_t desired);
int heirloom_compare_exchange_u64(const heirloom_mapping *mapping, size_t offset, uint64_t *current, uint64_t desired);

/* Adds with wrapping, and tells the number before (unless that is NULL). */
int heirloom_fetch_add_u32(const heirloom_mapping *mapping, size_t offset, uint32_t value, uint32_t *before);
int heirloom_fetch_add_u64(const heirloom_mapping *mapping, size_t offset, uint64_t value, uint64_t *before);

/* ---- Waiting ---- */

/*
 * Waits while the number at `offset` is `current`. Returns 1 when it is another,
 * which is stored in `*now` (unless that is NULL), and 0 when the time has
 * passed. It sees a change after a second at the latest, whatever other holders
 * do. It sees no death.
 */
int heirloom_wait_u32(const heirloom_view *view, size_t offset, uint32_t current, int64_t nanoseconds, uint32_t *now);

/* Wakes one thread, or all threads, of all processes that wait for that number. */
int heirloom_wake_one(const heirloom_mapping *mapping, size_t offset);
int heirloom_wake_all(const heirloom_mapping *mapping, size_t offset);

/* ---- Locks ---- */

typedef enum heirloom_locked {
    HEIRLOOM_TAKEN = 0,     /* another has it, and the time has passed */
    HEIRLOOM_LOCKED = 1,    /* this thread has it */
    HEIRLOOM_OWNER_DIED = 2 /* this thread has it, and the last owner died: check the bytes */
} heirloom_locked;

/*
 * Takes the lock at `offset` of a mapping from heirloom_map_with_locks: a 32-bit
 * number that is 0 at first and that nothing else uses. Returns a
 * heirloom_locked, or -1. A thread that has the lock already waits for ever.
 *
 * A process that dies gives up its locks. So does one that executes another
 * program, or unmaps the mapping. A process that was forked without executing a
 * program must map the region with locks again; while it has the old mapping,
 * the death of its parent is not told.
 */
int heirloom_lock(const heirloom_mapping *mapping, size_t offset, int64_t nanoseconds);

/* Releases a lock that was taken through the same mapping. */
int heirloom_unlock(const heirloom_mapping *mapping, size_t offset);

/* ---- Channels ---- */

/* The end of a channel that sends, and the one that receives. Each is for one process. */
typedef struct heirloom_sender heirloom_sender;
typedef struct heirloom_receiver heirloom_receiver;

/* Creates a channel. `capacity` is the size of its ring in bytes: at most 4 GiB, rounded up to a power
 * of two from 4096 on. */
int heirloom_channel(uint64_t capacity, heirloom_sender **sender, heirloom_receiver **receiver);

/* Takes the end that the parent passed under `name`. */
heirloom_sender *heirloom_sender_inherited(const char *name);
heirloom_receiver *heirloom_receiver_inherited(const char *name);

/*
 * Gives an end up to a child that the parent starts in its own way, and that
 * imports the string. The end is the export's from then on, also after a
 * failure. Every child that starts while the export lives inherits it: free the
 * export as soon as the child has started, since the child's death is not told
 * before.
 */
heirloom_export *heirloom_sender_export(heirloom_sender *sender);
heirloom_export *heirloom_receiver_export(heirloom_receiver *receiver);

/* Imports the end that an export string names. */
heirloom_sender *heirloom_sender_import(const char *string);
heirloom_receiver *heirloom_receiver_import(const char *string);

/* Returns the length of the longest message in bytes: half the ring less 8. */
size_t heirloom_longest_message(const heirloom_sender *sender);

/* Sends a message. Returns 1, or 0 when the time has passed and the ring has no space. HEIRLOOM_PEER_GONE after a death. */
int heirloom_send(heirloom_sender *sender, const void *message, size_t len, int64_t nanoseconds);

/*
 * Receives a message into a buffer of `size` bytes, and stores its length in
 * `*len`. Returns 1, or 0 when the time has passed. If the buffer is too small,
 * it fails with HEIRLOOM_OUT_OF_BOUNDS, stores the length, and the next call
 * receives the message again. After everything that a dead sender sent whole:
 * HEIRLOOM_PEER_GONE.
 */
int heirloom_receive(heirloom_receiver *receiver, void *buffer, size_t size, int64_t nanoseconds, size_t *len);

/*
 * Without a copy: heirloom_reserve waits for space for a message of `len` bytes
 * and stores where it is in the ring. Write all of it there, since it is not
 * zero, and send it by heirloom_commit with the same address and length.
 * Nothing is sent before, and any other call for the sender takes the space back.
 * heirloom_reserve returns 1, or 0 when the time has passed.
 */
int heirloom_reserve(heirloom_sender *sender, size_t len, int64_t nanoseconds, void **message);
int heirloom_commit(heirloom_sender *sender, const void *message, size_t len);

/*
 * Without a copy: heirloom_peek stores where the next message is in the ring, and
 * its length. It returns 1, or 0 when the time has passed. The message stays there
 * until heirloom_consume drops it, which returns 0 if there is none. A sender that
 * breaks the rules can change it meanwhile: of one that you don't trust, copy
 * it by heirloom_receive.
 */
int heirloom_peek(heirloom_receiver *receiver, int64_t nanoseconds, const void **message, size_t *len);
int heirloom_consume(heirloom_receiver *receiver);

/*
 * Asks for the descriptor to become readable when `len` bytes fit, or a message
 * arrives, or the peer dies. Returns 1, or 0 if the next call does not wait
 * anyway.
 */
int heirloom_sender_arm(heirloom_sender *sender, size_t len);
int heirloom_receiver_arm(heirloom_receiver *receiver);

#if defined(__linux__)
/* Returns the descriptor to poll for reading, in an event loop. Don't read from it. */
int heirloom_sender_fd(const heirloom_sender *sender);
int heirloom_receiver_fd(const heirloom_receiver *receiver);
#endif

/* Closes an end: the other is told. */
void heirloom_sender_free(heirloom_sender *sender);
void heirloom_receiver_free(heirloom_receiver *receiver);

/* ---- Starting children ---- */

/* A program to start. */
typedef struct heirloom_command heirloom_command;

/* A process that was started. */
typedef struct heirloom_child heirloom_child;

/* Creates a command. A program without a slash is looked up in the PATH. */
heirloom_command *heirloom_command_new(const char *program);
void heirloom_command_free(heirloom_command *command);

/* Adds an argument. The program's name is the first already. */
int heirloom_command_arg(heirloom_command *command, const char *argument);

/* Sets a variable of the child's environment; `value` NULL removes it. */
int heirloom_command_env(heirloom_command *command, const char *name, const char *value);

/* Passes a region to the child under `name`: 1 to 240 bytes of UTF-8. The handle may be freed. */
int heirloom_command_inherit(heirloom_command *command, const char *name, const heirloom_region *region);

/* Moves an end of a channel to the child. The end is the command's from then on, also after a failure. */
int heirloom_command_inherit_sender(heirloom_command *command, const char *name, heirloom_sender *sender);
int heirloom_command_inherit_receiver(heirloom_command *command, const char *name, heirloom_receiver *receiver);

#if defined(__linux__)
/*
 * Keeps the child apart: it can't trace another process of the user but its own
 * children, nor read its memory or take its descriptors, nor signal one (the
 * last from Linux 6.12 on). It loses the rights of setuid programs, and can't
 * mount. HEIRLOOM_UNSUPPORTED without Landlock (Linux 5.13 or later).
 */
int heirloom_command_confine(heirloom_command *command);

/*
 * Seals the child off: the same, and it has no file and no socket but what it
 * inherits, and for reading and executing what is beneath the paths in
 * `readable`, a list that ends with NULL: its program, libraries and data.
 * HEIRLOOM_UNSUPPORTED also on other processors than x86-64, aarch64 and
 * riscv64.
 */
int heirloom_command_confine_to(heirloom_command *command, const char *const *readable);
#endif

/* Starts the program. The cost does not depend on this process's memory. Wait for the child: it is a zombie otherwise. */
heirloom_child *heirloom_command_spawn(heirloom_command *command);

/* Returns the id of the process. */
uint32_t heirloom_child_id(const heirloom_child *child);

/* Waits until the child ends. `*code` (unless NULL) is its exit code, or 256 plus the number of the signal that ended it. */
int heirloom_child_wait(heirloom_child *child, int *code);

/* The same without waiting: returns 1 if it has ended, 0 if not. */
int heirloom_child_try_wait(heirloom_child *child, int *code);

/* Kills the child at once. It must still be waited for. */
int heirloom_child_kill(heirloom_child *child);

#if defined(__linux__)
/* Opens a pidfd, which becomes readable when the child ends. It is the caller's to close. */
int heirloom_child_pidfd(const heirloom_child *child);
#endif

/* Forgets a child, which goes on. */
void heirloom_child_free(heirloom_child *child);

#ifdef __cplusplus
}
#endif

#endif /* HEIRLOOM_H */
