/* heirloom.h: every function but those of channels, between a parent and its children, on Linux. */
#define _GNU_SOURCE
#include "without_nspr.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void regions(void)
{
    heirloom_region *region = heirloom_region_create(8192, "table", HEIRLOOM_POPULATE);
    CHECK(region != NULL && heirloom_region_size(region) == 8192);
    CHECK(heirloom_region_kind(region) == HEIRLOOM_WRITABLE);
    heirloom_mapping *mapping = heirloom_map(region, 0, 0);
    CHECK(mapping != NULL && heirloom_view_size(HEIRLOOM_VIEW(mapping)) == 8192);
    CHECK(heirloom_view_no_dump(HEIRLOOM_VIEW(mapping)) == 0);
    strcpy(heirloom_mapping_data(mapping), "text");
    FAILS(heirloom_region_freeze(region) == -1, HEIRLOOM_STILL_WRITABLE);
    CHECK(strstr(heirloom_last_message(), "heirloom_region_frozen_copy") != NULL);

    /* A private copy. */
    heirloom_mapping *copy = heirloom_map_copy(region, 4096, 4096);
    CHECK(copy != NULL && heirloom_view_size(HEIRLOOM_VIEW(copy)) == 4096);
    strcpy(heirloom_mapping_data(copy), "private");
    CHECK(strcmp((char *)heirloom_mapping_data(mapping) + 4096, "") == 0);
    FAILS(heirloom_write(copy, 0, "x", 1) == -1, HEIRLOOM_WRONG_KIND);
    heirloom_unmap(HEIRLOOM_VIEW(copy));

    /* Frozen: from a copy, bytes, a descriptor, and in place. */
    heirloom_region *frozen = heirloom_region_frozen_copy(region, NULL);
    CHECK(frozen != NULL && heirloom_region_kind(frozen) == HEIRLOOM_FROZEN);
    FAILS(heirloom_map(frozen, 0, 0) == NULL, HEIRLOOM_WRONG_KIND);
    FAILS(heirloom_map_with_locks(frozen) == NULL, HEIRLOOM_WRONG_KIND);
    heirloom_view *view = heirloom_map_view(frozen, 0, 4096);
    CHECK(view != NULL && strcmp(heirloom_view_data(view), "text") == 0);
    char read[5] = "";
    uint32_t number = 7;
    CHECK(heirloom_read(view, 0, read, 5) == 0 && strcmp(read, "text") == 0);
    FAILS(heirloom_read(view, 4092, read, 5) == -1, HEIRLOOM_OUT_OF_BOUNDS);
    FAILS(heirloom_load_u32(view, 0, &number) == -1, HEIRLOOM_WRONG_KIND);
    FAILS(heirloom_wait_u32(view, 0, 0, 0, NULL) == -1, HEIRLOOM_WRONG_KIND);
    heirloom_unmap(view);
    heirloom_mapping *private = heirloom_map_copy(frozen, 0, 0);
    strcpy(heirloom_mapping_data(private), "mine");
    CHECK(heirloom_read(HEIRLOOM_VIEW(private), 0, read, 5) == 0 && strcmp(read, "mine") == 0);
    heirloom_unmap(HEIRLOOM_VIEW(private));
    heirloom_region_free(frozen);

    frozen = heirloom_region_frozen_from_bytes("bytes", 5, "name");
    CHECK(frozen != NULL && heirloom_region_size(frozen) == 5);
    heirloom_region_free(frozen);
    frozen = heirloom_region_frozen_from_bytes(NULL, 0, NULL);
    CHECK(frozen != NULL && heirloom_region_size(frozen) == 0);
    heirloom_region_free(frozen);
    FAILS(heirloom_region_frozen_from_bytes(NULL, 1, NULL) == NULL, HEIRLOOM_INVALID_INPUT);
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "piped", 5) == 5 && close(ends[1]) == 0);
    frozen = heirloom_region_frozen_from_fd(ends[0], NULL);
    CHECK(frozen != NULL && heirloom_region_size(frozen) == 5 && close(ends[0]) == 0);
    heirloom_region_free(frozen);
    FAILS(heirloom_region_frozen_from_fd(-1, NULL) == NULL, HEIRLOOM_INVALID_INPUT);

    heirloom_unmap(HEIRLOOM_VIEW(mapping));
    heirloom_mapping *writer = heirloom_region_make_read_only(region);
    CHECK(writer != NULL && heirloom_region_kind(region) == HEIRLOOM_READ_ONLY);
    FAILS(heirloom_region_make_read_only(region) == NULL, HEIRLOOM_WRONG_KIND);
    view = heirloom_map_view(region, 0, 0);
    CHECK(heirloom_store_u32(writer, 8, 9) == 0 && heirloom_load_u32(view, 8, &number) == 0 && number == 9);
    FAILS(heirloom_write((const heirloom_mapping *)(const void *)view, 0, "x", 1) == -1, HEIRLOOM_WRONG_KIND);
    heirloom_unmap(HEIRLOOM_VIEW(writer));
    heirloom_unmap(view);
    heirloom_region *again = heirloom_region_clone(region);
    CHECK(heirloom_region_freeze(again) == 0 && heirloom_region_kind(again) == HEIRLOOM_FROZEN);
    CHECK(heirloom_region_freeze(again) == 0);
    heirloom_region_free(again);
    heirloom_region_free(region);

    FAILS(heirloom_region_create(0, NULL, 0) == NULL, HEIRLOOM_INVALID_INPUT);
    FAILS(heirloom_region_create(4096, NULL, 4) == NULL, HEIRLOOM_INVALID_INPUT);
    FAILS(heirloom_region_create(UINT64_MAX, NULL, 0) == NULL, HEIRLOOM_TOO_LARGE);
    FAILS(heirloom_region_create(4096, "\xff", 0) == NULL, HEIRLOOM_INVALID_INPUT);
    FAILS(heirloom_map(NULL, 0, 0) == NULL, HEIRLOOM_INVALID_INPUT);
    FAILS(heirloom_region_kind(NULL) == -1, HEIRLOOM_INVALID_INPUT);
    heirloom_region_free(NULL);
    heirloom_unmap(NULL);
}

static void gives_memory_back(void)
{
    heirloom_region *region = heirloom_region_create(1 << 20, NULL, HEIRLOOM_POPULATE);
    heirloom_mapping *mapping = heirloom_map(region, 0, 0), *copy = heirloom_map_copy(region, 0, 0);
    memset(heirloom_mapping_data(mapping), 7, 1 << 20);
    struct stat before, after;
    CHECK(fstat(heirloom_region_fd(region), &before) == 0);
    FAILS(heirloom_discard(mapping, 1, 1 << 20) == -1, HEIRLOOM_OUT_OF_BOUNDS);
    FAILS(heirloom_discard(copy, 0, 4096) == -1, HEIRLOOM_WRONG_KIND);
    CHECK(heirloom_discard(mapping, 4096, (1 << 20) - 4097) == 0);
    CHECK(fstat(heirloom_region_fd(region), &after) == 0 && after.st_blocks < before.st_blocks / 100);
    unsigned char *bytes = heirloom_mapping_data(mapping);
    CHECK(bytes[4095] == 7 && bytes[4096] == 0 && bytes[(1 << 20) - 2] == 0 && bytes[(1 << 20) - 1] == 7);
    heirloom_unmap(HEIRLOOM_VIEW(copy));
    heirloom_unmap(HEIRLOOM_VIEW(mapping));
    heirloom_region_free(region);
}

static void uses_huge_pages(void)
{
    heirloom_region *region = heirloom_region_create(4 << 20, NULL, 0);
    heirloom_mapping *mapping = heirloom_map(region, 0, 0), *locks = heirloom_map_with_locks(region);
    strcpy(heirloom_mapping_data(mapping), "text");
    size_t huge = 1;
    FAILS(heirloom_use_huge_pages(HEIRLOOM_VIEW(locks), HEIRLOOM_FOREVER, &huge) == -1, HEIRLOOM_WRONG_KIND);
    CHECK(huge == 1);
    if (heirloom_use_huge_pages(HEIRLOOM_VIEW(mapping), HEIRLOOM_FOREVER, &huge) == 0) {
        CHECK(huge % (2 << 20) == 0 && huge <= (4 << 20));
        if (huge > 0)
            CHECK((uintptr_t)heirloom_mapping_data(mapping) % (2 << 20) == 0);
    } else {
        CHECK(heirloom_last_error() == HEIRLOOM_UNSUPPORTED);
        printf("SKIPPED: huge pages: %s\n", heirloom_last_message());
    }
    CHECK(strcmp(heirloom_mapping_data(mapping), "text") == 0 && strcmp(heirloom_mapping_data(locks), "text") == 0);
    heirloom_unmap(HEIRLOOM_VIEW(locks));
    heirloom_unmap(HEIRLOOM_VIEW(mapping));
    heirloom_region_free(region);
}

static void numbers(void)
{
    heirloom_region *region = heirloom_region_create(4096, NULL, 0);
    heirloom_mapping *mapping = heirloom_map(region, 0, 0);
    const heirloom_view *view = HEIRLOOM_VIEW(mapping);
    uint32_t small = 0;
    uint64_t large = 0;
    CHECK(heirloom_store_u32(mapping, 4, 7) == 0 && heirloom_load_u32(view, 4, &small) == 0 && small == 7);
    CHECK(heirloom_exchange_u32(mapping, 4, 8, &small) == 0 && small == 7);
    CHECK(heirloom_fetch_add_u32(mapping, 4, 2, NULL) == 0);
    small = 9;
    CHECK(heirloom_compare_exchange_u32(mapping, 4, &small, 1) == 0 && small == 10);
    CHECK(heirloom_compare_exchange_u32(mapping, 4, &small, 1) == 1 && small == 10);
    CHECK(heirloom_store_u64(mapping, 8, UINT64_MAX) == 0 && heirloom_fetch_add_u64(mapping, 8, 2, &large) == 0);
    CHECK(large == UINT64_MAX && heirloom_load_u64(view, 8, &large) == 0 && large == 1);
    CHECK(heirloom_exchange_u64(mapping, 8, 5, &large) == 0 && large == 1);
    large = 5;
    CHECK(heirloom_compare_exchange_u64(mapping, 8, &large, 6) == 1);
    FAILS(heirloom_load_u32(view, 4096, &small) == -1, HEIRLOOM_OUT_OF_BOUNDS);
    FAILS(heirloom_store_u64(mapping, 4, 1) == -1, HEIRLOOM_MISALIGNED);
    FAILS(heirloom_compare_exchange_u32(mapping, 4, NULL, 1) == -1, HEIRLOOM_INVALID_INPUT);
    CHECK(heirloom_wait_u32(view, 4, 1, SECOND / 1000, NULL) == 0);
    CHECK(heirloom_wait_u32(view, 4, 2, HEIRLOOM_FOREVER, &small) == 1 && small == 1);
    heirloom_unmap(view);
    heirloom_region_free(region);
}

/* Both ways to a child, and through a socket. */
static void passing(void)
{
    heirloom_region *region = heirloom_region_create(4096, NULL, 0);
    heirloom_mapping *mapping = heirloom_map(region, 0, 0);
    heirloom_command *command = child("add");
    CHECK(heirloom_command_inherit(command, "numbers", region) == 0);
    CHECK(heirloom_command_inherit(command, "others", region) == 0);
    FAILS(heirloom_command_inherit(command, "numbers", region) == -1, HEIRLOOM_NAME_IN_USE);
    CHECK(heirloom_command_env(command, "ADD", "5") == 0 && heirloom_command_env(command, "HOME", NULL) == 0);
    heirloom_child *started = start(command);
    CHECK(heirloom_child_id(started) > 0);
    /* It waits for the first number, and answers by the second. */
    CHECK(heirloom_store_u32(mapping, 0, 1) == 0 && heirloom_wake_one(mapping, 0) == 0);
    uint32_t answer = 0;
    CHECK(heirloom_wait_u32(HEIRLOOM_VIEW(mapping), 4, 0, 60 * SECOND, &answer) == 1 && answer == 6);
    end(started, 0);

    heirloom_export *exported = heirloom_region_export(region, 1);
    CHECK(exported != NULL);
    CHECK(setenv("EXPORTED", heirloom_export_string(exported), 1) == 0);
    started = start(child("import"));
    CHECK(heirloom_wait_u32(HEIRLOOM_VIEW(mapping), 8, 0, 60 * SECOND, NULL) == 1);
    end(started, 0);
    heirloom_export_free(exported);
    FAILS(heirloom_region_import("7:nonsense") == NULL, HEIRLOOM_MALFORMED);
    FAILS(heirloom_region_inherited("nothing") == NULL, HEIRLOOM_NOT_INHERITED);

    heirloom_region *received = heirloom_region_from_fd(dup(heirloom_region_fd(region)));
    CHECK(received != NULL && heirloom_region_size(received) == 4096);
    heirloom_region_free(received);
    int other = dup(0);
    FAILS(heirloom_region_from_fd(other) == NULL, HEIRLOOM_MISMATCH);
    CHECK(close(other) == 0);
    FAILS(heirloom_region_from_fd(-1) == NULL, HEIRLOOM_INVALID_INPUT);
    heirloom_unmap(HEIRLOOM_VIEW(mapping));
    heirloom_region_free(region);
}

static void children(void)
{
    heirloom_command *command = heirloom_command_new("/nonexistent/program");
    FAILS(heirloom_command_spawn(command) == NULL, HEIRLOOM_PROGRAM_NOT_FOUND);
    CHECK(heirloom_last_errno() == 2);
    heirloom_command_free(command);
    heirloom_child *started = start(child("sleep"));
    int code = -1;
    CHECK(heirloom_child_try_wait(started, &code) == 0 && code == -1);
    int pidfd = heirloom_child_pidfd(started);
    /* Some versions of valgrind don't know the call. */
    CHECK(pidfd >= 0 ? close(pidfd) == 0 : heirloom_last_errno() == ENOSYS);
    CHECK(heirloom_child_kill(started) == 0);
    CHECK(heirloom_child_wait(started, NULL) == 0 && heirloom_child_try_wait(started, &code) == 1);
    CHECK(code == 256 + SIGKILL);
    heirloom_child_free(started);
}

/* Whether the command's program reaches this process. */
static heirloom_command *reaching(void)
{
    heirloom_command *command = heirloom_command_new("sh");
    CHECK(heirloom_command_arg(command, "-c") == 0);
    CHECK(heirloom_command_arg(command, "[ -n \"$(readlink /proc/$PPID/exe 2>&-)\" ]") == 0);
    return command;
}

static void confined(void)
{
    /* The control. */
    end(start(reaching()), 0);
    heirloom_command *command = reaching();
    if (heirloom_command_confine(command) != 0) {
        /* A kernel without Landlock, or valgrind. */
        CHECK(heirloom_last_error() == HEIRLOOM_UNSUPPORTED);
        heirloom_command_free(command);
        return;
    }
    end(start(command), 1);

    const char *readable[6] = {NULL};
    const char *wanted[] = {"/bin", "/usr", "/lib", "/lib64", "/etc/ld.so.cache"};
    size_t count = 0;
    for (size_t i = 0; i < 5; i++)
        if (access(wanted[i], F_OK) == 0)
            readable[count++] = wanted[i];
    command = heirloom_command_new("cat");
    CHECK(heirloom_command_arg(command, "/etc/hostname") == 0);
    if (heirloom_command_confine_to(command, readable) == 0)
        end(start(command), 1);
    else
        FAILS(1, HEIRLOOM_UNSUPPORTED);
    command = heirloom_command_new("cat");
    const char *missing[] = {"/nonexistent", NULL};
    FAILS(heirloom_command_confine_to(command, NULL) == -1, HEIRLOOM_INVALID_INPUT);
    CHECK(heirloom_command_confine_to(command, missing) == -1);
    CHECK(heirloom_last_error() == HEIRLOOM_UNSUPPORTED || heirloom_last_errno() == ENOENT);
    heirloom_command_free(command);
}

static void locks(void)
{
    heirloom_region *region = heirloom_region_create(4096, NULL, 0);
    heirloom_mapping *mapping = heirloom_map_with_locks(region);
    CHECK(mapping != NULL);
    CHECK(heirloom_lock(mapping, 0, HEIRLOOM_FOREVER) == HEIRLOOM_LOCKED);
    CHECK(heirloom_lock(mapping, 0, 0) == HEIRLOOM_TAKEN && heirloom_lock(mapping, 0, 1000) == HEIRLOOM_TAKEN);
    CHECK(heirloom_unlock(mapping, 0) == 0);
    CHECK(heirloom_lock(mapping, 0, 0) == HEIRLOOM_LOCKED && heirloom_unlock(mapping, 0) == 0);
    FAILS(heirloom_lock(mapping, 2, 0) == -1, HEIRLOOM_MISALIGNED);
    FAILS(heirloom_unlock(mapping, 1) == -1, HEIRLOOM_MISALIGNED);
    heirloom_mapping *plain = heirloom_map(region, 0, 0);
    FAILS(heirloom_lock(plain, 0, 0) == -1, HEIRLOOM_WRONG_KIND);
    heirloom_unmap(HEIRLOOM_VIEW(plain));
    heirloom_command *command = child("hold");
    CHECK(heirloom_command_inherit(command, "locks", region) == 0);
    heirloom_child *started = start(command);
    CHECK(heirloom_wait_u32(HEIRLOOM_VIEW(mapping), 4, 0, 60 * SECOND, NULL) == 1);
    CHECK(heirloom_lock(mapping, 0, SECOND / 100) == HEIRLOOM_TAKEN);
    CHECK(heirloom_child_kill(started) == 0);
    CHECK(heirloom_lock(mapping, 0, 60 * SECOND) == HEIRLOOM_OWNER_DIED && heirloom_unlock(mapping, 0) == 0);
    end(started, 256 + SIGKILL);

    /* A fork has no lock of its parent. */
    pid_t forked = fork();
    if (forked == 0) {
        FAILS(heirloom_lock(mapping, 0, 0) == -1, HEIRLOOM_FORKED);
        heirloom_mapping *again = heirloom_map_with_locks(region);
        CHECK(heirloom_lock(again, 0, 0) == HEIRLOOM_LOCKED && heirloom_unlock(again, 0) == 0);
        _exit(0);
    }
    int status = -1;
    CHECK(waitpid(forked, &status, 0) == forked && status == 0);
    heirloom_unmap(HEIRLOOM_VIEW(mapping));
    heirloom_region_free(region);
}

static int child_main(const char *what)
{
    /* It ends with a parent whose check failed. */
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    if (strcmp(what, "add") == 0) {
        char **names = heirloom_inherited_names();
        CHECK(names != NULL && strcmp(names[0], "numbers") == 0 && strcmp(names[1], "others") == 0 && names[2] == NULL);
        heirloom_names_free(names);
        heirloom_region *region = heirloom_region_inherited("numbers");
        CHECK(region != NULL && getenv("HOME") == NULL);
        names = heirloom_inherited_names();
        CHECK(names != NULL && strcmp(names[0], "others") == 0 && names[1] == NULL);
        heirloom_names_free(names);
        FAILS(heirloom_region_inherited("numbers") == NULL, HEIRLOOM_ALREADY_TAKEN);
        heirloom_mapping *mapping = heirloom_map(region, 0, 0);
        uint32_t number = 0;
        CHECK(heirloom_wait_u32(HEIRLOOM_VIEW(mapping), 0, 0, HEIRLOOM_FOREVER, &number) == 1);
        CHECK(heirloom_store_u32(mapping, 4, number + (uint32_t)atoi(getenv("ADD"))) == 0);
        CHECK(heirloom_wake_all(mapping, 4) == 0);
    } else if (strcmp(what, "import") == 0) {
        heirloom_region *region = heirloom_region_import(getenv("EXPORTED"));
        CHECK(region != NULL);
        heirloom_mapping *mapping = heirloom_map(region, 0, 0);
        CHECK(heirloom_store_u32(mapping, 8, 1) == 0 && heirloom_wake_all(mapping, 8) == 0);
    } else if (strcmp(what, "hold") == 0) {
        heirloom_mapping *mapping = heirloom_map_with_locks(heirloom_region_inherited("locks"));
        CHECK(mapping != NULL && heirloom_lock(mapping, 0, HEIRLOOM_FOREVER) == HEIRLOOM_LOCKED);
        CHECK(heirloom_store_u32(mapping, 4, 1) == 0 && heirloom_wake_all(mapping, 4) == 0);
        pause();
    } else if (strcmp(what, "sleep") == 0) {
        pause();
    } else {
        CHECK(!"known");
    }
    return 0;
}

int main(int argc, char **argv)
{
    program = argv[0];
    if (argc > 1)
        return child_main(argv[1]);
    CHECK(heirloom_abi_version() >= HEIRLOOM_ABI_VERSION);
    CHECK(heirloom_last_error() == HEIRLOOM_NO_ERROR && strcmp(heirloom_last_message(), "") == 0);
    regions();
    gives_memory_back();
    uses_huge_pages();
    numbers();
    passing();
    children();
    confined();
    locks();
    printf("done\n");
    return 0;
}
