/* A program that closes descriptors under the library, such as a daemon that closes all, and opens files in their place. */
#include "check.h"

#define SIZE 4096

/* The first descriptor from `from` on that is a region. */
static int region_from(int from)
{
    for (int fd = from; fd < 256; fd++) {
        char path[64], link[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, link, sizeof link - 1) > 0 && strncmp(link, "/memfd:heirloom", 15) == 0)
            return fd;
    }
    return -1;
}

static int fails_clearly(void)
{
    char text[1024] = "";
    PR_GetErrorText(text);
    return PR_GetError() == PR_BAD_DESCRIPTOR_ERROR && strstr(text, "closed by another part of this program") != NULL;
}

static void all_calls_fail(PRFileMap *fm, const char *name)
{
    char *argv[] = {A_PROGRAM, NULL};
    char string[PR_FILEMAP_STRING_BUFSIZE];
    PRProcessAttr *attr = PR_NewProcessAttr();
    CHECK(PR_MemMap(fm, 0, SIZE) == NULL && fails_clearly());
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_FAILURE && fails_clearly());
    CHECK(heirloom_make_read_only(fm) == PR_FAILURE && fails_clearly());
    CHECK(heirloom_freeze(fm) == PR_FAILURE && fails_clearly());
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, fm, name) == PR_SUCCESS);
    CHECK(PR_CreateProcess(A_PROGRAM, argv, NULL, attr) == NULL && fails_clearly());
    PR_DestroyProcessAttr(attr);
}

int main(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm = create(SIZE, PR_PROT_READWRITE);
    int first = region_from(3), second;
    int file = open("/dev/null", O_RDWR);
    CHECK(first > 2 && file > first);

    /* Control: while it is open, everything works, and closing the file map closes it. */
    CHECK(PR_MemUnmap(map(fm, SIZE), SIZE) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
    CHECK(fcntl(first, F_GETFD) == -1 && errno == EBADF);

    /* Another file is left as it is. */
    fm = create(SIZE, PR_PROT_READWRITE);
    first = region_from(3);
    CHECK(dup2(file, first) == first);
    all_calls_fail(fm, "memory");
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS && fcntl(first, F_GETFD) == 0 && write(first, "x", 1) == 1);

    /* The same for the descriptor of another file map. */
    fm = create(SIZE, PR_PROT_READWRITE);
    second = region_from(3);
    {
        PRFileMap *other = create(SIZE, PR_PROT_READWRITE);
        int of_other = region_from(second + 1);
        CHECK(of_other > second && dup2(of_other, second) == second);
        all_calls_fail(fm, "memory");
        CHECK(PR_CloseFileMap(fm) == PR_SUCCESS && fcntl(second, F_GETFD) != -1);
        CHECK(PR_MemUnmap(map(other, SIZE), SIZE) == PR_SUCCESS && PR_CloseFileMap(other) == PR_SUCCESS);
    }

    /* And for no file. */
    fm = create(SIZE, PR_PROT_READWRITE);
    second = region_from(second + 1);
    CHECK(close(second) == 0);
    all_calls_fail(fm, "memory");
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);

    /* An export has a descriptor of its own. */
    fm = create(SIZE, PR_PROT_READWRITE);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(dup2(file, atoi(string)) == atoi(string));
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_FAILURE && fails_clearly());
    CHECK(PR_MemUnmap(map(fm, SIZE), SIZE) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS && fcntl(atoi(string), F_GETFD) == 0);
    return 0;
}
