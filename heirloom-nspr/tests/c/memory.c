/* Making, mapping, sealing and closing file maps, without any child. */
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
    PRFileMap *fm = opened(10000, PR_PROT_READWRITE);
    char *one = mapped(fm, 10000), *two = mapped(fm, 12288);
    int i;
    for (i = 0; i < 12288; i++)
        CHECK(two[i] == 0);
    strcpy(one + 9000, "shared");
    CHECK(strcmp(two + 9000, "shared") == 0);
    CHECK(PR_MemUnmap(one, 10000) == PR_SUCCESS);
    /* What is mapped stays, and what is closed has no descriptor. */
    CHECK(open_regions() == 1 && PR_CloseFileMap(fm) == PR_SUCCESS && open_regions() == 0);
    CHECK(strcmp(two + 9000, "shared") == 0);
    CHECK(PR_MemUnmap(two, 12288) == PR_SUCCESS);
    CHECK(write_faults(two));
}

static void read_only_is_frozen_from_birth(void)
{
    PRFileMap *fm = opened(4096, PR_PROT_READONLY), *control = opened(4096, PR_PROT_READWRITE);
    char *addr = mapped(fm, 4096), *writable = mapped(control, 4096);
    CHECK(addr[0] == 0 && write_faults(addr) && !write_faults(writable));
    CHECK(heirloom_make_read_only(fm) == PR_SUCCESS && heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(writable, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS && PR_CloseFileMap(control) == PR_SUCCESS);
}

static void write_copy_is_each_mappings_own(void)
{
    PRFileMap *fm = opened(4096, PR_PROT_WRITECOPY);
    char *one = mapped(fm, 4096), *two = mapped(fm, 4096);
    strcpy(one, "one");
    strcpy(two, "two");
    CHECK(strcmp(one, "one") == 0 && strcmp(two, "two") == 0);
    CHECK(PR_MemUnmap(one, 4096) == PR_SUCCESS && PR_MemUnmap(two, 4096) == PR_SUCCESS);
    one = mapped(fm, 4096);
    CHECK(one[0] == 0);
    CHECK(PR_MemUnmap(one, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void a_region_past_4_gib_is_mapped_in_parts(void)
{
    PRFileMap *fm = opened(6 * GIB, PR_PROT_READWRITE);
    char *part[6];
    int i;
    for (i = 0; i < 6; i++) {
        part[i] = PR_MemMap(fm, i * (PRInt64)GIB, (PRUint32)GIB);
        CHECK(part[i] != NULL);
        part[i][0] = (char)(i + 1);
    }
    /* Each is another part, and none another's alias. */
    for (i = 0; i < 6; i++) {
        CHECK(part[i][0] == i + 1);
        CHECK(PR_MemUnmap(part[i], (PRUint32)GIB) == PR_SUCCESS);
    }
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void a_region_past_half_an_address_space_of_32_bits_is_refused(void)
{
    CHECK(PR_OpenAnonFileMap(NULL, 2 * GIB, PR_PROT_READWRITE) == NULL);
    CHECK(PR_GetError() == PR_FILE_TOO_BIG_ERROR);
    CHECK(PR_CloseFileMap(opened(2 * GIB - 4096, PR_PROT_READWRITE)) == PR_SUCCESS);
}

static void a_published_one_has_its_writers_from_before_and_no_others(void)
{
    PRFileMap *fm = opened(4096, PR_PROT_READWRITE);
    char *writer = mapped(fm, 4096), *reader;
    CHECK(heirloom_make_read_only(fm) == PR_SUCCESS && heirloom_make_read_only(fm) == PR_SUCCESS);
    reader = mapped(fm, 4096);
    strcpy(writer, "news");
    CHECK(strcmp(reader, "news") == 0 && write_faults(reader) && !write_faults(writer));
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
    CHECK(PR_MemUnmap(writer, 4096) == PR_SUCCESS && heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_MemUnmap(reader, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void a_frozen_one_has_no_writers(void)
{
    PRFileMap *fm = opened(4096, PR_PROT_READWRITE);
    char *addr = mapped(fm, 4096);
    strcpy(addr, "text");
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR && PR_GetOSError() == BUSY);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    addr = mapped(fm, 4096);
    CHECK(strcmp(addr, "text") == 0 && write_faults(addr));
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static void a_handle_is_never_used_again(void)
{
    enum { COUNT = MANY };
    PRFileMap **closed = malloc(COUNT * sizeof *closed), *fm;
    int i;
    for (i = 0; i < COUNT; i++) {
        closed[i] = opened(1, PR_PROT_READWRITE);
        CHECK(PR_CloseFileMap(closed[i]) == PR_SUCCESS);
    }
    fm = opened(1, PR_PROT_READWRITE);
    for (i = 0; i < COUNT; i++) {
        CHECK(closed[i] != fm && (i == 0 || closed[i] != closed[i - 1]));
        CHECK(PR_CloseFileMap(closed[i]) == PR_FAILURE && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);
    }
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
    free(closed);
}

#if defined(__linux__)
static void a_mapping_of_a_file_is_as_good_where_there_is_no_memory_and_says_what_it_cannot_be(void)
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
    /* The control: the directory is of no interest where there is memory. */
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
    addr = mapped(fm, 4096);
    again = mapped(fm, 4096);
    strcpy(addr, "in a file");
    CHECK(strcmp(again, "in a file") == 0);
    CHECK(heirloom_freeze(fm) == PR_FAILURE && PR_GetError() == PR_OPERATION_NOT_SUPPORTED_ERROR);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(again, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}
#endif

int main(void)
{
    CHECK(PR_GetMemMapAlignment() == mapping_alignment());
    read_write_is_shared_and_zero();
    read_only_is_frozen_from_birth();
    write_copy_is_each_mappings_own();
    if (sizeof(PRSize) > 4)
        a_region_past_4_gib_is_mapped_in_parts();
    else
        a_region_past_half_an_address_space_of_32_bits_is_refused();
    a_published_one_has_its_writers_from_before_and_no_others();
    a_frozen_one_has_no_writers();
    a_handle_is_never_used_again();
#if defined(__linux__)
    a_mapping_of_a_file_is_as_good_where_there_is_no_memory_and_says_what_it_cannot_be();
#endif
    CHECK(open_regions() == 0);
    return 0;
}
