/* Both protocols, with every kind of file map: this program is parent, child and grandchild. */
#include "check.h"

static char self[4096];

/* What a child exited with, started by PR_CreateProcess. */
static int run(const PRProcessAttr *attr, char *mode, char *string)
{
    char *args[4];
    PRProcess *process;
    PRInt32 code;
    args[0] = self;
    args[1] = mode;
    args[2] = string;
    args[3] = NULL;
    process = PR_CreateProcess(self, args, NULL, attr);
    CHECK(process != NULL && PR_WaitProcess(process, &code) == PR_SUCCESS);
    return code;
}

/* The same, started by the program's own means. */
static int run_otherwise(char *mode, char *string)
{
    return run_by_own_means(self, mode, string);
}

/* A file map with a text in it. */
static PRFileMap *written(const char *text)
{
    PRFileMap *fm = opened(4096, PR_PROT_READWRITE);
    char *addr = mapped(fm, 4096);
    strcpy(addr, text);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    return fm;
}

static void closed(PRFileMap *fm)
{
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}

/* The child of protocol one. */
static int inherits(void)
{
    PRFileMap *shared, *again, *frozen, *read_only, *copied;
    char *addr, *other;

    /* Before it asks for anything, its own child gets nothing. */
    CHECK(open_regions() == 4);
    CHECK(run(NULL, "count", "") == 0);

    shared = PR_GetInheritedFileMap("shared");
    CHECK(shared != NULL);
    again = PR_GetInheritedFileMap("shared");
    CHECK(again != NULL && again != shared);
    CHECK(run_otherwise("count", "") == 0);
    addr = mapped(shared, 4096);
    CHECK(strcmp(addr, "from the parent") == 0);
    closed(shared);
    other = mapped(again, 4096);
    strcpy(other, "from the child");
    CHECK(strcmp(addr, "from the child") == 0);
    closed(again);
    CHECK(open_regions() == 3);
    CHECK(PR_GetInheritedFileMap("shared") == NULL && PR_GetError() == PR_INVALID_STATE_ERROR);

    frozen = PR_GetInheritedFileMap("frozen, of course: %=");
    CHECK(frozen != NULL);
    addr = mapped(frozen, 4096);
    CHECK(strcmp(addr, "for ever") == 0 && write_faults(addr));
    read_only = PR_GetInheritedFileMap("read_only");
    CHECK(read_only != NULL);
    addr = mapped(read_only, 4096);
    CHECK(strcmp(addr, "old") == 0 && write_faults(addr));
    copied = PR_GetInheritedFileMap("copied");
    CHECK(copied != NULL);
    addr = mapped(copied, 4096);
    other = mapped(copied, 4096);
    strcpy(addr, "my own");
    CHECK(other[0] == 0);
    CHECK(PR_GetInheritedFileMap("never given") == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    closed(frozen);
    closed(read_only);
    closed(copied);
    CHECK(open_regions() == 0);
    return 42;
}

static void by_inheritance(void)
{
    PRFileMap *shared = written("from the parent"), *frozen = written("for ever");
    PRFileMap *read_only = opened(4096, PR_PROT_READWRITE), *copied = opened(4096, PR_PROT_WRITECOPY);
    char *writer = mapped(read_only, 4096), *addr;
    PRProcessAttr *attr = PR_NewProcessAttr();

    CHECK(attr != NULL);
    strcpy(writer, "old");
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, shared, "shared") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, frozen, "frozen, of course: %=") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, read_only, "read_only") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, copied, "copied") == PR_SUCCESS);
    /* What counts is what they are at the start. */
    CHECK(heirloom_make_read_only(read_only) == PR_SUCCESS && heirloom_freeze(frozen) == PR_SUCCESS);
    /* Closed before the start, it is there all the same; what nobody named is not. */
    closed(frozen);
    CHECK(run(attr, "inherit", "") == 42);
    CHECK(run(NULL, "count", "") == 0 && run_otherwise("count", "") == 0);
    addr = mapped(shared, 4096);
    CHECK(strcmp(addr, "from the child") == 0);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(writer, 4096) == PR_SUCCESS);
    /* Reset, they name nothing any more. */
    PR_ResetProcessAttr(attr);
    CHECK(run(attr, "count", "") == 0);
    PR_DestroyProcessAttr(attr);
    closed(shared);
    closed(read_only);
    closed(copied);
    CHECK(open_regions() == 0);
}

/* The child of protocol two. */
static int imports(char *string, int expected)
{
    PRFileMap *fm, *again;
    char *addr;

    CHECK(open_regions() == 1);
    fm = PR_ImportFileMapFromString(string);
    CHECK(fm != NULL);
    again = PR_ImportFileMapFromString(string);
    CHECK(again != NULL && again != fm);
    /* They share one descriptor, which this process's children don't get. */
    CHECK(open_regions() == 1 && run_otherwise("count", "") == 0);
    closed(fm);
    CHECK(open_regions() == 1);
    addr = mapped(again, 4096);
    CHECK(strcmp(addr, expected == 'c' ? "" : "from the parent") == 0);
    CHECK(write_faults(addr) == (expected == 'r'));
    if (expected != 'r')
        strcpy(addr + 100, "from the child");
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    closed(again);
    CHECK(open_regions() == 0);
    CHECK(PR_ImportFileMapFromString(string) == NULL && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);
    return 42;
}

static void by_string(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], again[PR_FILEMAP_STRING_BUFSIZE], frozen[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm = written("from the parent"), *imported;
    char *addr;

    /* Until it is exported, no child gets it; nor by a call that fails. */
    CHECK(PR_ExportFileMapAsString(fm, 20, string) == PR_FAILURE);
    CHECK(run_otherwise("count", "") == 0);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_otherwise("count", "") == 1);
    CHECK(PR_ExportFileMapAsString(fm, sizeof again, again) == PR_SUCCESS && strcmp(string, again) == 0);
    CHECK(run_otherwise("import", string) == 42);
    CHECK(run(NULL, EVERY_CHILD_INHERITS ? "import" : "count", string) == (EVERY_CHILD_INHERITS ? 42 : 0));
    addr = mapped(fm, 4096);
    CHECK(strcmp(addr + 100, "from the child") == 0);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);

    /* In this very process it is another handle of the same. */
    imported = PR_ImportFileMapFromString(string);
    CHECK(imported != NULL && imported != fm);
    closed(fm);
    CHECK(run_otherwise("import", string) == 42);

    if (HAS_SEALS) {
        /* Frozen, it is another string; the old one names what is no more. */
        CHECK(heirloom_freeze(imported) == PR_SUCCESS);
        CHECK(PR_ExportFileMapAsString(imported, sizeof frozen, frozen) == PR_SUCCESS && strcmp(string, frozen) != 0);
    } else {
        /* Whoever has it by now can't be kept from writing. */
        CHECK(heirloom_freeze(imported) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
        CHECK(heirloom_make_read_only(imported) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
    }
    closed(imported);
    CHECK(open_regions() == 0);
    CHECK(PR_ImportFileMapFromString(string) == NULL && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);

    fm = written("from the parent");
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_otherwise("import-read-only", string) == 42);
    closed(fm);
    fm = opened(4096, PR_PROT_WRITECOPY);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_otherwise("import-copy", string) == 42);
    closed(fm);
    CHECK(open_regions() == 0);
}

/* Nobody's descriptor but an inherited one is taken over, however a string names it. */
static void an_import_leaves_other_peoples_descriptors_alone(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], other[PR_FILEMAP_STRING_BUFSIZE + 2];
    PRFileMap *fm = written("from the parent"), *again;
    int number;
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);

    /* The same region by another string, which is as true. */
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    number = atoi(string);
    strcpy(other, string);
    *(strchr(other, ':') + 1) = '2';
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    closed(again);
    CHECK(is_inheritable(number) && run_otherwise("import-read-only", string) == 42);
    closed(fm);
    CHECK(open_regions() == 0);
}

#if !defined(_WIN32)
static void an_import_leaves_standard_input_and_what_is_close_on_exec_alone(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], other[PR_FILEMAP_STRING_BUFSIZE + 2];
    PRFileMap *fm = written("from the parent"), *again;
    int number, in = dup(0);
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    number = atoi(string);

    /* Standard input, which happens to be the region. */
    CHECK(in > 2 && dup2(number, 0) == 0);
    snprintf(other, sizeof other, "0%s", strchr(string, ':'));
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    closed(again);
    CHECK(fcntl(0, F_GETFD) == 0);
    CHECK(dup2(in, 0) == 0 && close(in) == 0);

    /* One that its owner made close-on-exec. */
    CHECK(fcntl(number, F_DUPFD_CLOEXEC, 100) == 100);
    snprintf(other, sizeof other, "100%s", strchr(string, ':'));
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    closed(again);
    CHECK(close(100) == 0);
    closed(fm);
    CHECK(open_regions() == 0);
}
#endif

int main(int argc, char **argv)
{
    own_path(self, sizeof self);
    if (argc < 2) {
        by_inheritance();
        by_string();
        an_import_leaves_other_peoples_descriptors_alone();
#if !defined(_WIN32)
        an_import_leaves_standard_input_and_what_is_close_on_exec_alone();
#endif
        return 0;
    }
    if (strcmp(argv[1], "count") == 0)
        return open_regions();
    if (strcmp(argv[1], "inherit") == 0)
        return inherits();
    if (strcmp(argv[1], "import") == 0)
        return imports(argv[2], 'w');
    if (strcmp(argv[1], "import-read-only") == 0)
        return imports(argv[2], 'r');
    if (strcmp(argv[1], "import-copy") == 0)
        return imports(argv[2], 'c');
    return 2;
}
