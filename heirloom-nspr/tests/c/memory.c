/* Creates, maps, seals and closes file maps. */
#include "check.h"

#if defined(__linux__)
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#define GIB ((PRSize)1 << 30)

static void read_write_is_shared_and_zero(void)
{
    PRFileMap *fm = create(10000, PR_PROT_READWRITE);
    char *one = map(fm, 10000), *two = map(fm, 12288);
    int i;
    for (i = 0; i < 12288; i++)
        CHECK(two[i] == 0);
    strcpy(one + 9000, "shared");
    CHECK(strcmp(two + 9000, "shared") == 0);
    CHECK(PR_MemUnmap(one, 10000) == PR_SUCCESS);
    /* The mapping outlives the closed descriptor. */
    CHECK(open_regions() == 1 && PR_CloseFileMap(fm) == PR_SUCCESS && open_regions() == 0);
    CHECK(strcmp(two + 9000, "shared") == 0);
    CHECK(PR_MemUnmap(two, 12288) == PR_SUCCESS);
    CHECK(write_faults(two));
}

static void read_only_is_frozen_at_creation(void)
{
    PRFileMap *fm = create(4096, PR_PROT_READONLY), *control = create(4096, PR_PROT_READWRITE);
    char *addr = map(fm, 4096), *writable = map(control, 4096);
    CHECK(addr[0] == 0 && write_faults(addr) && !write_faults(writable));
    CHECK(heirloom_make_read_only(fm) == PR_SUCCESS && heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(writable, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS && PR_CloseFileMap(control) == PR_SUCCESS);
}

static void write_copy_mappings_are_private(void)
{
    PRFileMap *fm = create(4096, PR_PROT_WRITECOPY);
    char *one = map(fm, 4096), *two = map(fm, 4096);
    strcpy(one, "one");
    strcpy(two, "two");
    CHECK(strcmp(one, "one") == 0 && strcmp(two, "two") == 0);
    CHECK(PR_MemUnmap(one, 4096) == PR_SUCCESS && PR_MemUnmap(two, 4096) == PR_SUCCESS);
    one = map(fm, 4096);
    CHECK(one[0] == 0);
    CHECK(PR_MemUnmap(one, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void large_region_is_mapped_in_parts(void)
{
    PRFileMap *fm = create(6 * GIB, PR_PROT_READWRITE);
    char *part[6];
    int i;
    for (i = 0; i < 6; i++) {
        part[i] = PR_MemMap(fm, i * (PRInt64)GIB, (PRUint32)GIB);
        CHECK(part[i] != NULL);
        part[i][0] = (char)(i + 1);
    }
    /* No part is an alias of another. */
    for (i = 0; i < 6; i++) {
        CHECK(part[i][0] == i + 1);
        CHECK(PR_MemUnmap(part[i], (PRUint32)GIB) == PR_SUCCESS);
    }
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void large_region_fails_on_32_bits(void)
{
    CHECK(PR_OpenAnonFileMap(NULL, 2 * GIB, PR_PROT_READWRITE) == NULL);
    CHECK(PR_GetError() == PR_FILE_TOO_BIG_ERROR);
    CHECK(PR_CloseFileMap(create(2 * GIB - 4096, PR_PROT_READWRITE)) == PR_SUCCESS);
}

static void read_only_keeps_earlier_writers(void)
{
    PRFileMap *fm = create(4096, PR_PROT_READWRITE);
    char *writer = map(fm, 4096), *reader;
    CHECK(heirloom_make_read_only(fm) == PR_SUCCESS && heirloom_make_read_only(fm) == PR_SUCCESS);
    reader = map(fm, 4096);
    strcpy(writer, "news");
    CHECK(strcmp(reader, "news") == 0 && write_faults(reader) && !write_faults(writer));
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
    CHECK(PR_MemUnmap(writer, 4096) == PR_SUCCESS && heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_MemUnmap(reader, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void frozen_has_no_writers(void)
{
    PRFileMap *fm = create(4096, PR_PROT_READWRITE);
    char *addr = map(fm, 4096);
    strcpy(addr, "text");
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR && PR_GetOSError() == BUSY);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    addr = map(fm, 4096);
    CHECK(strcmp(addr, "text") == 0 && write_faults(addr));
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void closed_file_map_is_recognized(int count)
{
    PRFileMap **closed = malloc((size_t)count * sizeof *closed), *fm;
    int i;
    for (i = 0; i < count; i++) {
        closed[i] = create(1, PR_PROT_READWRITE);
        CHECK(PR_CloseFileMap(closed[i]) == PR_SUCCESS);
    }
    fm = create(1, PR_PROT_READWRITE);
    for (i = 0; i < count; i++) {
        CHECK(closed[i] != fm && (i == 0 || closed[i] != closed[i - 1]));
        CHECK(PR_CloseFileMap(closed[i]) == PR_FAILURE && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);
    }
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
    free(closed);
}

/* The handles of attributes come from the same code, and need no system call. Only every `step`th error is checked. */
static void destroyed_attributes_are_recognized(int count, int step)
{
    PRProcessAttr **destroyed = malloc((size_t)count * sizeof *destroyed), *attr;
    int i;
    for (i = 0; i < count; i++) {
        destroyed[i] = PR_NewProcessAttr();
        CHECK(destroyed[i] != NULL);
        PR_DestroyProcessAttr(destroyed[i]);
    }
    attr = PR_NewProcessAttr();
    for (i = 0; i < count; i++) {
        CHECK(destroyed[i] != attr && (i == 0 || destroyed[i] != destroyed[i - 1]));
        if (i % step != 0)
            continue;
        PR_SetError(0, 0);
        PR_DestroyProcessAttr(destroyed[i]);
        CHECK(PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);
    }
    PR_DestroyProcessAttr(attr);
    free(destroyed);
}

#if defined(__linux__)
static void without_memfd_an_unnamed_file_is_used(void)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof refuse / sizeof *refuse, refuse};
    PRFileMap *fm;
    char *addr, *again;
    /* Control: with memfd_create the directory is not used. */
    fm = PR_OpenAnonFileMap("/nowhere", 4096, PR_PROT_READWRITE);
    CHECK(fm != NULL && PR_CloseFileMap(fm) == PR_SUCCESS);

    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    CHECK(PR_OpenAnonFileMap(NULL, 4096, PR_PROT_READWRITE) == NULL);
    CHECK(PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR && PR_GetOSError() == EPERM);
    CHECK(PR_OpenAnonFileMap("/nowhere", 4096, PR_PROT_READWRITE) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    CHECK(PR_OpenAnonFileMap("/dev/shm", 4096, PR_PROT_READONLY) == NULL);
    CHECK(PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR);
    fm = PR_OpenAnonFileMap("/dev/shm", 4096, PR_PROT_READWRITE);
    CHECK(fm != NULL);
    addr = map(fm, 4096);
    again = map(fm, 4096);
    strcpy(addr, "in a file");
    CHECK(strcmp(again, "in a file") == 0);
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(again, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}
#endif

int main(int argc, char **argv)
{
    int under_valgrind = argc > 1 && strcmp(argv[1], "under-valgrind") == 0;
    CHECK(PR_GetMemMapAlignment() == mapping_alignment());
    read_write_is_shared_and_zero();
    read_only_is_frozen_at_creation();
    write_copy_mappings_are_private();
    if (sizeof(PRSize) > 4)
        large_region_is_mapped_in_parts();
    else
        large_region_fails_on_32_bits();
    read_only_keeps_earlier_writers();
    frozen_has_no_writers();
    /* A file map takes 0.5 ms under valgrind. There only attributes pass the first range of handles, which has 65,536. */
    closed_file_map_is_recognized(under_valgrind ? 2000 : MANY);
    destroyed_attributes_are_recognized(under_valgrind ? 70000 : 2000, under_valgrind ? 100 : 1);
#if defined(__linux__)
    without_memfd_an_unnamed_file_is_used();
#endif
    CHECK(open_regions() == 0);
    return 0;
}
