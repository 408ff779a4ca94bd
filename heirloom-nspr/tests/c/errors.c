/*
 * Passes every bad input that docs/nspr.md lists, and prints the error. The test
 * compares the output with the table there.
 */
#include "check.h"

static const struct {
    PRErrorCode code;
    const char *name;
} codes[] = {
    {PR_OUT_OF_MEMORY_ERROR, "PR_OUT_OF_MEMORY_ERROR"},
    {PR_BAD_DESCRIPTOR_ERROR, "PR_BAD_DESCRIPTOR_ERROR"},
    {PR_UNKNOWN_ERROR, "PR_UNKNOWN_ERROR"},
    {PR_INVALID_ARGUMENT_ERROR, "PR_INVALID_ARGUMENT_ERROR"},
    {PR_NO_ACCESS_RIGHTS_ERROR, "PR_NO_ACCESS_RIGHTS_ERROR"},
    {PR_OPERATION_NOT_SUPPORTED_ERROR, "PR_OPERATION_NOT_SUPPORTED_ERROR"},
    {PR_BUFFER_OVERFLOW_ERROR, "PR_BUFFER_OVERFLOW_ERROR"},
    {PR_FILE_TOO_BIG_ERROR, "PR_FILE_TOO_BIG_ERROR"},
    {PR_FILE_NOT_FOUND_ERROR, "PR_FILE_NOT_FOUND_ERROR"},
    {PR_NOT_DIRECTORY_ERROR, "PR_NOT_DIRECTORY_ERROR"},
    {PR_FILE_EXISTS_ERROR, "PR_FILE_EXISTS_ERROR"},
    {PR_FILE_IS_BUSY_ERROR, "PR_FILE_IS_BUSY_ERROR"},
    {PR_INVALID_STATE_ERROR, "PR_INVALID_STATE_ERROR"},
};

/* Prints the error of a failed call, and checks that it has a text. */
static void report(int failed, const char *function, const char *input)
{
    const char *name = "another error";
    char text[1024] = "";
    size_t i;

    if (!failed) {
        printf("| `%s` | %s | none |\n", function, input);
        return;
    }
    for (i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == PR_GetError())
            name = codes[i].name;
    printf("| `%s` | %s | `%s` |\n", function, input, name);
    CHECK(PR_GetErrorTextLength() < (PRInt32)sizeof text);
    /* A signal handler may call it, so it sets no text. */
    if (strcmp(function, "PR_KillProcess") != 0) {
        CHECK(PR_GetErrorTextLength() > 10);
        CHECK(PR_GetErrorText(text) == (PRInt32)strlen(text));
    }
    PR_SetError(0, 0);
    CHECK(PR_GetError() == 0 && PR_GetOSError() == 0 && PR_GetErrorTextLength() == 0);
}

#define NO_MAP(call, input) report((call) == NULL, function, input)
#define FAILS(call, input) report((call) == PR_FAILURE, function, input)

/* For functions that return nothing. */
#define SETS(call, input) (PR_SetError(0, 0), (call), report(PR_GetError() != 0, function, input))

int main(int argc, char **argv)
{
    char small[16], big[PR_FILEMAP_STRING_BUFSIZE], mine[PR_FILEMAP_STRING_BUFSIZE];
    char longest[242], other[64];
    char no_utf8[] = "\xff";
    char *true_args[] = {(char *)"true", NULL};
    char no_program[64];
    const char *function;
    int outside = 0;
    PRFileMap *fm = create(10000, PR_PROT_READWRITE), *closed = create(4096, PR_PROT_READWRITE);
#if defined(HEIRLOOM_WITH_NSPR)
    PRFileDesc *file = PR_Open("/proc/self/exe", PR_RDONLY, 0);
    PRFileMap *theirs = PR_CreateFileMap(file, 0, PR_PROT_READONLY);
#else
    PRFileMap *theirs = (PRFileMap *)&outside;
#endif
    PRProcessAttr *attr = PR_NewProcessAttr(), *destroyed = PR_NewProcessAttr();
    PRProcess *process, *detached;
    PRInt32 code, page = PR_GetMemMapAlignment();
    char *addr;

    /* Started as the program that does nothing. */
    if (argc == 1 && strcmp(argv[0], "true") == 0)
        return 0;
    CHECK(theirs != NULL && attr != NULL && destroyed != NULL && page > 0);
    CHECK(PR_CloseFileMap(closed) == PR_SUCCESS);
    PR_DestroyProcessAttr(destroyed);
    snprintf(no_program, sizeof no_program, TEMPORARY "heirloom-errors-%d.exe", (int)getpid());

    function = "PR_OpenAnonFileMap";
    NO_MAP(PR_OpenAnonFileMap(NULL, 0, PR_PROT_READWRITE), "a size of 0");
    NO_MAP(PR_OpenAnonFileMap(NULL, (PRSize)-1, PR_PROT_READWRITE), "a size larger than any address space");
    NO_MAP(PR_OpenAnonFileMap(NULL, 4096, (PRFileMapProtect)77), "a `prot` of 77");

    function = "PR_MemMap";
    NO_MAP(PR_MemMap(NULL, 0, 4096), "NULL");
    NO_MAP(PR_MemMap(closed, 0, 4096), "a closed file map");
#if !defined(HEIRLOOM_WITH_NSPR)
    NO_MAP(PR_MemMap(theirs, 0, 4096), "an unrelated pointer, without NSPR");
#endif
    NO_MAP(PR_MemMap(fm, 0, 0), "a length of 0");
    NO_MAP(PR_MemMap(fm, 0, (PRUint32)(4 * page)), "a length past the last page");
    NO_MAP(PR_MemMap(fm, (PRInt64)(3 * page), (PRUint32)page), "an offset past the end");
    NO_MAP(PR_MemMap(fm, 100, 100), "a misaligned offset");
    NO_MAP(PR_MemMap(fm, -4096, 4096), "a negative offset");

    function = "PR_MemUnmap";
    addr = map(fm, 10000);
    FAILS(PR_MemUnmap(NULL, 4096), "NULL");
    FAILS(PR_MemUnmap(addr, 0), "a length of 0");
    FAILS(PR_MemUnmap(addr + 1, 4096), "a misaligned address");
    FAILS(PR_MemUnmap(fm, 4096), "a file map or attributes");
    FAILS(PR_MemUnmap(attr, 4096), "a file map or attributes");

    function = "PR_CloseFileMap";
    FAILS(PR_CloseFileMap(NULL), "NULL");
    FAILS(PR_CloseFileMap(closed), "a closed file map");
#if !defined(HEIRLOOM_WITH_NSPR)
    FAILS(PR_CloseFileMap(theirs), "an unrelated pointer, without NSPR");
#endif

    function = "PR_ExportFileMapAsString";
    FAILS(PR_ExportFileMapAsString(NULL, sizeof big, big), "NULL");
    FAILS(PR_ExportFileMapAsString(closed, sizeof big, big), "a closed file map");
    FAILS(PR_ExportFileMapAsString(theirs, sizeof big, big), "a file map from `PR_CreateFileMap`");
    FAILS(PR_ExportFileMapAsString(fm, sizeof big, NULL), "a NULL buffer");
    FAILS(PR_ExportFileMapAsString(fm, sizeof small, small), "a buffer that is too small");

    function = "PR_ImportFileMapFromString";
    CHECK(PR_ExportFileMapAsString(fm, sizeof mine, mine) == PR_SUCCESS);
    strcpy(big, mine);
    big[strlen(big) - 1] ^= 1;
    NO_MAP(PR_ImportFileMapFromString(NULL), "NULL");
    NO_MAP(PR_ImportFileMapFromString(""), "an empty string");
    NO_MAP(PR_ImportFileMapFromString("5:1"), "a string from the original NSPR");
    NO_MAP(PR_ImportFileMapFromString(no_utf8), "a string that is not UTF-8");
    snprintf(other, sizeof other, "%d:1:1:writable:4096:1:1", CLOSED);
    NO_MAP(PR_ImportFileMapFromString(other), "a closed descriptor");
    snprintf(other, sizeof other, "%d:1:1:writable:4096:1:1", open_descriptor());
    NO_MAP(PR_ImportFileMapFromString(other), "a descriptor of another file");
    NO_MAP(PR_ImportFileMapFromString(big), "a descriptor of another region");

    function = "PR_ProcessAttrSetInheritableFileMap";
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    FAILS(PR_ProcessAttrSetInheritableFileMap(NULL, fm, "name"), "NULL attributes");
    FAILS(PR_ProcessAttrSetInheritableFileMap(destroyed, fm, "name"), "destroyed attributes");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, NULL, "name"), "a NULL file map");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, closed, "name"), "a closed file map");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, fm, NULL), "a NULL name");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, fm, ""), "an empty name");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, fm, no_utf8), "a name that is not UTF-8");
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, fm, longest), "a name longer than 240 bytes");
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, fm, longest + 1) == PR_SUCCESS);
    FAILS(PR_ProcessAttrSetInheritableFileMap(attr, fm, longest + 1), "a duplicate name");

    function = "PR_GetInheritedFileMap";
    NO_MAP(PR_GetInheritedFileMap(NULL), "NULL");
    NO_MAP(PR_GetInheritedFileMap("never given"), "a name that was not inherited");

    function = "PR_ResetProcessAttr";
    SETS(PR_ResetProcessAttr(NULL), "NULL");
    SETS(PR_ResetProcessAttr(destroyed), "destroyed attributes");

    function = "PR_DestroyProcessAttr";
    SETS(PR_DestroyProcessAttr(NULL), "NULL");
    SETS(PR_DestroyProcessAttr(destroyed), "destroyed attributes");

    function = "PR_ProcessAttrSetStdioRedirect";
    SETS(PR_ProcessAttrSetStdioRedirect(NULL, PR_StandardInput, NULL), "NULL attributes");
    SETS(PR_ProcessAttrSetStdioRedirect(attr, (PRSpecialFD)3, NULL), "stream number 3");
    function = "PR_CreateProcess";
    NO_MAP(PR_CreateProcess(A_PROGRAM, true_args, NULL, attr), "attributes with an invalid stream");
    PR_ResetProcessAttr(attr);
#if !defined(HEIRLOOM_WITH_NSPR)
    function = "PR_ProcessAttrSetStdioRedirect";
    SETS(PR_ProcessAttrSetStdioRedirect(attr, PR_StandardInput, (PRFileDesc *)&outside), "a file, without NSPR");
    function = "PR_CreateProcess";
    NO_MAP(PR_CreateProcess(A_PROGRAM, true_args, NULL, attr), "attributes with a redirection, without NSPR");
    PR_ResetProcessAttr(attr);
    function = "PR_ProcessAttrSetInheritableFD";
    FAILS(PR_ProcessAttrSetInheritableFD(attr, (PRFileDesc *)&outside, "name"), "a file, without NSPR");
#else
    function = "PR_ProcessAttrSetInheritableFD";
    FAILS(PR_ProcessAttrSetInheritableFD(attr, NULL, "name"), "a NULL file");
    {
        PRFileDesc *pipes[2], *layer;
        CHECK(PR_CreatePipe(&pipes[0], &pipes[1]) == PR_SUCCESS);
        CHECK(PR_SetFDInheritable(pipes[0], PR_FALSE) == PR_SUCCESS);
        FAILS(PR_ProcessAttrSetInheritableFD(attr, pipes[0], "name"), "a file that is not inheritable");
        CHECK(PR_SetFDInheritable(pipes[0], PR_TRUE) == PR_SUCCESS);
        FAILS(PR_ProcessAttrSetInheritableFD(attr, pipes[0], NULL), "a NULL name");
        FAILS(PR_ProcessAttrSetInheritableFD(attr, pipes[0], "a:b"), "a name with a colon");
        layer = PR_CreateIOLayerStub(PR_GetUniqueIdentity("layer"), PR_GetDefaultIOMethods());
        CHECK(PR_PushIOLayer(pipes[0], PR_NSPR_IO_LAYER, layer) == PR_SUCCESS);
        FAILS(PR_ProcessAttrSetInheritableFD(attr, pipes[0], "name"), "a layered file");
        /* Control: without the layer it works. */
        PR_PopIOLayer(pipes[0], PR_GetLayersIdentity(pipes[0]));
        CHECK(PR_ProcessAttrSetInheritableFD(attr, pipes[0], "name") == PR_SUCCESS);
        CHECK(PR_Close(pipes[0]) == PR_SUCCESS && PR_Close(pipes[1]) == PR_SUCCESS);
        PR_ResetProcessAttr(attr);
    }
#endif

    function = "PR_ProcessAttrSetCurrentDirectory";
    FAILS(PR_ProcessAttrSetCurrentDirectory(attr, NULL), "NULL");

    function = "PR_CreateProcess";
    NO_MAP(PR_CreateProcess(NULL, true_args, NULL, NULL), "a NULL path");
    NO_MAP(PR_CreateProcess(A_PROGRAM, NULL, NULL, NULL), "a NULL argument list");
    NO_MAP(PR_CreateProcess(A_PROGRAM, true_args, NULL, destroyed), "destroyed attributes");
    NO_MAP(PR_CreateProcess("/nowhere", true_args, NULL, NULL), "a missing program");
    NO_MAP(PR_CreateProcess("true", true_args, NULL, NULL), "a program found only in PATH");
#if !defined(_WIN32)
    NO_MAP(PR_CreateProcess(A_FILE, true_args, NULL, NULL), "a file without execute permission");
#endif
    NO_MAP(PR_CreateProcess(A_DIRECTORY, true_args, NULL, NULL), "a directory as the program");
    CHECK(close(open(no_program, O_CREAT | O_WRONLY, 0700)) == 0);
    NO_MAP(PR_CreateProcess(no_program, true_args, NULL, NULL), "a file that is not a program");
    CHECK(unlink(no_program) == 0);
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, "/nowhere") == PR_SUCCESS);
    NO_MAP(PR_CreateProcess(A_PROGRAM, true_args, NULL, attr), "a missing working directory");
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, A_FILE) == PR_SUCCESS);
    NO_MAP(PR_CreateProcess(A_PROGRAM, true_args, NULL, attr), "a file as the working directory");
    PR_ResetProcessAttr(attr);

    function = "PR_CreateProcessDetached";
    FAILS(PR_CreateProcessDetached("/nowhere", true_args, NULL, NULL), "a missing program");

    process = PR_CreateProcess(A_PROGRAM, true_args, NULL, attr);
    CHECK(process != NULL && PR_WaitProcess(process, &code) == PR_SUCCESS && code == 0);
    detached = PR_CreateProcess(A_PROGRAM, true_args, NULL, NULL);
    CHECK(detached != NULL && PR_DetachProcess(detached) == PR_SUCCESS);
    function = "PR_WaitProcess";
    FAILS(PR_WaitProcess(NULL, &code), "NULL");
    FAILS(PR_WaitProcess((PRProcess *)&outside, &code), "an unrelated pointer");
    FAILS(PR_WaitProcess(process, &code), "a process already waited for");
    FAILS(PR_WaitProcess(detached, &code), "a detached process");
#if !defined(_WIN32)
    process = PR_CreateProcess(A_PROGRAM, true_args, NULL, NULL);
    CHECK(process != NULL && waitpid(*(pid_t *)process, NULL, 0) == *(pid_t *)process);
    FAILS(PR_WaitProcess(process, &code), "a process reaped by the program's own `waitpid`");
#endif

    function = "PR_DetachProcess";
    FAILS(PR_DetachProcess(NULL), "NULL");
    FAILS(PR_DetachProcess(process), "a process already waited for");

    function = "PR_KillProcess";
    FAILS(PR_KillProcess(NULL), "NULL");
    FAILS(PR_KillProcess(process), "a process already waited for");
    FAILS(PR_KillProcess(detached), "a detached process");

    function = "heirloom_make_read_only";
    FAILS(heirloom_make_read_only(NULL), "NULL");
    FAILS(heirloom_make_read_only(theirs), "a file map from `PR_CreateFileMap`");
    FAILS(heirloom_make_read_only(closed), "a closed file map");

    function = "heirloom_freeze";
    FAILS(heirloom_freeze(NULL), "NULL");
    FAILS(heirloom_freeze(fm), "a file map with a writable mapping");
    CHECK(PR_MemUnmap(addr, 10000) == PR_SUCCESS);

    PR_DestroyProcessAttr(attr);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
#if defined(HEIRLOOM_WITH_NSPR)
    CHECK(PR_CloseFileMap(theirs) == PR_SUCCESS && PR_Close(file) == PR_SUCCESS);
#endif
    CHECK(open_regions() == 0);
    await_only_thread();
    return 0;
}
