/* Both protocols, with every kind of file map. This program is also its own child and grandchild. */
#include "check.h"

static char self[4096];

/* Starts a child by PR_CreateProcess, and returns its exit code. */
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

/* Starts a child by the system's own call, and returns its exit code. */
static int run_natively(char *mode, char *string)
{
    return run_without_heirloom(self, mode, string);
}

/* Creates a file map with a text. */
static PRFileMap *create_with_text(const char *text)
{
    PRFileMap *fm = create(4096, PR_PROT_READWRITE);
    char *addr = map(fm, 4096);
    strcpy(addr, text);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    return fm;
}

static void close_map(PRFileMap *fm)
{
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
}

/* The child that inherits by name. */
static int inherits(void)
{
    PRFileMap *shared, *again, *frozen, *read_only, *copied;
    char *addr, *other;

    /* Its own child inherits nothing, even before it asks for anything. */
    CHECK(open_regions() == 4);
    CHECK(run(NULL, "count", "") == 0);

    shared = PR_GetInheritedFileMap("shared");
    CHECK(shared != NULL);
    again = PR_GetInheritedFileMap("shared");
    CHECK(again != NULL && again != shared);
    CHECK(run_natively("count", "") == 0);
    addr = map(shared, 4096);
    CHECK(strcmp(addr, "from the parent") == 0);
    close_map(shared);
    other = map(again, 4096);
    strcpy(other, "from the child");
    CHECK(strcmp(addr, "from the child") == 0);
    close_map(again);
    CHECK(open_regions() == 3);
    CHECK(PR_GetInheritedFileMap("shared") == NULL && PR_GetError() == PR_INVALID_STATE_ERROR);

    frozen = PR_GetInheritedFileMap("frozen, of course: %=");
    CHECK(frozen != NULL);
    addr = map(frozen, 4096);
    CHECK(strcmp(addr, "for ever") == 0 && write_faults(addr));
    read_only = PR_GetInheritedFileMap("read_only");
    CHECK(read_only != NULL);
    addr = map(read_only, 4096);
    CHECK(strcmp(addr, "old") == 0 && write_faults(addr));
    copied = PR_GetInheritedFileMap("copied");
    CHECK(copied != NULL);
    addr = map(copied, 4096);
    other = map(copied, 4096);
    strcpy(addr, "my own");
    CHECK(other[0] == 0);
    CHECK(PR_GetInheritedFileMap("never given") == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    close_map(frozen);
    close_map(read_only);
    close_map(copied);
    CHECK(open_regions() == 0);
    return 42;
}

static void by_inheritance(void)
{
    PRFileMap *shared = create_with_text("from the parent"), *frozen = create_with_text("for ever");
    PRFileMap *read_only = create(4096, PR_PROT_READWRITE), *copied = create(4096, PR_PROT_WRITECOPY);
    char *writer = map(read_only, 4096), *addr;
    PRProcessAttr *attr = PR_NewProcessAttr();

    CHECK(attr != NULL);
    strcpy(writer, "old");
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, shared, "shared") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, frozen, "frozen, of course: %=") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, read_only, "read_only") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, copied, "copied") == PR_SUCCESS);
    /* The kind at the start counts. */
    CHECK(heirloom_make_read_only(read_only) == PR_SUCCESS && heirloom_freeze(frozen) == PR_SUCCESS);
    /* A file map closed before the start is inherited; one without a name is not. */
    close_map(frozen);
    CHECK(run(attr, "inherit", "") == 42);
    CHECK(run(NULL, "count", "") == 0 && run_natively("count", "") == 0);
    addr = map(shared, 4096);
    CHECK(strcmp(addr, "from the child") == 0);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS && PR_MemUnmap(writer, 4096) == PR_SUCCESS);
    /* After a reset nothing is inherited. */
    PR_ResetProcessAttr(attr);
    CHECK(run(attr, "count", "") == 0);
    PR_DestroyProcessAttr(attr);
    close_map(shared);
    close_map(read_only);
    close_map(copied);
    CHECK(open_regions() == 0);
}

/* The child that imports a string. */
static int imports(char *string, int expected)
{
    PRFileMap *fm, *again;
    char *addr;

    CHECK(open_regions() == 1);
    fm = PR_ImportFileMapFromString(string);
    CHECK(fm != NULL);
    again = PR_ImportFileMapFromString(string);
    CHECK(again != NULL && again != fm);
    /* They share one descriptor, which this process's children do not inherit. */
    CHECK(open_regions() == 1 && run_natively("count", "") == 0);
    close_map(fm);
    CHECK(open_regions() == 1);
    addr = map(again, 4096);
    CHECK(strcmp(addr, expected == 'c' ? "" : "from the parent") == 0);
    CHECK(write_faults(addr) == (expected == 'r'));
    if (expected != 'r')
        strcpy(addr + 100, "from the child");
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    close_map(again);
    CHECK(open_regions() == 0);
    CHECK(PR_ImportFileMapFromString(string) == NULL && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);
    return 42;
}

static void by_string(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], again[PR_FILEMAP_STRING_BUFSIZE], frozen[PR_FILEMAP_STRING_BUFSIZE];
    PRFileMap *fm = create_with_text("from the parent"), *imported;
    char *addr;

    /* Before an export, and after a failed one, no child inherits it. */
    CHECK(PR_ExportFileMapAsString(fm, 20, string) == PR_FAILURE);
    CHECK(run_natively("count", "") == 0);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_natively("count", "") == 1);
    CHECK(PR_ExportFileMapAsString(fm, sizeof again, again) == PR_SUCCESS && strcmp(string, again) == 0);
    CHECK(run_natively("import", string) == 42);
    CHECK(run(NULL, EVERY_CHILD_INHERITS ? "import" : "count", string) == (EVERY_CHILD_INHERITS ? 42 : 0));
    addr = map(fm, 4096);
    CHECK(strcmp(addr + 100, "from the child") == 0);
    CHECK(PR_MemUnmap(addr, 4096) == PR_SUCCESS);

    /* In the same process an import is another handle of the same file map. */
    imported = PR_ImportFileMapFromString(string);
    CHECK(imported != NULL && imported != fm);
    close_map(fm);
    CHECK(run_natively("import", string) == 42);

    if (HAS_SEALS) {
        /* Freezing it invalidates the old string. */
        CHECK(heirloom_freeze(imported) == PR_SUCCESS);
        CHECK(PR_ExportFileMapAsString(imported, sizeof frozen, frozen) == PR_SUCCESS && strcmp(string, frozen) != 0);
    } else {
        /* Other holders' write access cannot be revoked. */
        CHECK(heirloom_freeze(imported) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
        CHECK(heirloom_make_read_only(imported) == PR_FAILURE && PR_GetError() == PR_FILE_IS_BUSY_ERROR);
    }
    close_map(imported);
    CHECK(open_regions() == 0);
    CHECK(PR_ImportFileMapFromString(string) == NULL && PR_GetError() == PR_BAD_DESCRIPTOR_ERROR);

    fm = create_with_text("from the parent");
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_natively("import-read-only", string) == 42);
    close_map(fm);
    fm = create(4096, PR_PROT_WRITECOPY);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    CHECK(run_natively("import-copy", string) == 42);
    close_map(fm);
    CHECK(open_regions() == 0);
}

/* An import takes over only an inherited descriptor. */
static void import_keeps_an_exported_descriptor(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], other[PR_FILEMAP_STRING_BUFSIZE + 2];
    PRFileMap *fm = create_with_text("from the parent"), *again;
    int number;
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);

    /* Another valid string for the same region. */
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    number = atoi(string);
    strcpy(other, string);
    *(strchr(other, ':') + 1) = '2';
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    close_map(again);
    CHECK(is_inheritable(number) && run_natively("import-read-only", string) == 42);
    close_map(fm);
    CHECK(open_regions() == 0);
}

#if !defined(_WIN32)
static void import_keeps_standard_input_and_close_on_exec(void)
{
    char string[PR_FILEMAP_STRING_BUFSIZE], other[PR_FILEMAP_STRING_BUFSIZE + 2];
    PRFileMap *fm = create_with_text("from the parent"), *again;
    int number, in = dup(0);
    CHECK(heirloom_freeze(fm) == PR_SUCCESS);
    CHECK(PR_ExportFileMapAsString(fm, sizeof string, string) == PR_SUCCESS);
    number = atoi(string);

    /* Standard input is the region. */
    CHECK(in > 2 && dup2(number, 0) == 0);
    snprintf(other, sizeof other, "0%s", strchr(string, ':'));
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    close_map(again);
    CHECK(fcntl(0, F_GETFD) == 0);
    CHECK(dup2(in, 0) == 0 && close(in) == 0);

    /* A close-on-exec descriptor has an owner. */
    CHECK(fcntl(number, F_DUPFD_CLOEXEC, 100) == 100);
    snprintf(other, sizeof other, "100%s", strchr(string, ':'));
    again = PR_ImportFileMapFromString(other);
    CHECK(again != NULL);
    close_map(again);
    CHECK(close(100) == 0);
    close_map(fm);
    CHECK(open_regions() == 0);
}
#endif

int main(int argc, char **argv)
{
    own_path(self, sizeof self);
    if (argc < 2) {
        by_inheritance();
        by_string();
        import_keeps_an_exported_descriptor();
#if !defined(_WIN32)
        import_keeps_standard_input_and_close_on_exec();
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
