/*
 * A program for NSPR, that knows nothing of heirloom but the headers' order; and
 * the same as a library, for a program that loads NSPR for it alone.
 */
#include "check.h"

#include <nspr.h>
#include <prshma.h>

#include <dlfcn.h>

static char self[4096];

/* The library whose function a call reaches. */
static const char *home(void *function)
{
    Dl_info info;
    return dladdr(function, &info) ? info.dli_fname : "";
}

/* The errors of ours, as NSPR sees them. */
static void errors_are_nsprs(void)
{
    char text[1024];
    PRInt32 len;
    /* First of all, one that a signal handler may have. */
    CHECK(PR_KillProcess(NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_GetErrorTextLength() == 0 && PR_GetErrorText(text) == 0);
    CHECK(PR_OpenAnonFileMap(NULL, 0, PR_PROT_READWRITE) == NULL);
    CHECK(PR_GetError() == PR_INVALID_ARGUMENT_ERROR && PR_GetOSError() == 0);
    CHECK(strcmp(PR_ErrorToName(PR_GetError()), "PR_INVALID_ARGUMENT_ERROR") == 0);
    CHECK(strcmp(PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT), "Invalid function argument") == 0);
    len = PR_GetErrorText(text);
    CHECK(len == PR_GetErrorTextLength() && len == (PRInt32)strlen(text));
    CHECK(strstr(text, "a region holds at least one byte") != NULL);
    /* And those of its own, as ours. */
    CHECK(PR_Open("/nowhere", PR_RDONLY, 0) == NULL);
    CHECK(PR_GetError() == PR_FILE_NOT_FOUND_ERROR && PR_GetOSError() == ENOENT);
    CHECK(PR_LoadLibrary("/nowhere.so") == NULL && PR_GetErrorText(text) > 0);
    CHECK(strstr(text, "/nowhere.so") != NULL);
}

/* What is ours is never given to NSPR, whatever it is given for. */
static void what_is_no_file_map_is_recognised(void)
{
    char *args[] = {(char *)"true", NULL};
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process = PR_CreateProcess("/bin/true", args, NULL, NULL);
    CHECK(attr != NULL && process != NULL);
    CHECK(PR_CloseFileMap((PRFileMap *)attr) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_MemMap((PRFileMap *)process, 0, 4096) == NULL && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_MemUnmap((void *)((uintptr_t)process & ~(uintptr_t)4095), 4096) == PR_FAILURE);
    CHECK(PR_WaitProcess(process, NULL) == PR_SUCCESS);
    PR_DestroyProcessAttr(attr);
}

static void nsprs_own_file_maps_go_on_working(void)
{
    char name[] = "/tmp/heirloom-front-XXXXXX", bytes[8192];
    PRFileDesc *file;
    PRFileMap *fm;
    char *addr;
    CHECK(close(mkstemp(name)) == 0);
    file = PR_Open(name, PR_RDWR, 0600);
    memset(bytes, 'x', sizeof bytes);
    CHECK(file != NULL && PR_Write(file, bytes, sizeof bytes) == (PRInt32)sizeof bytes);
    fm = PR_CreateFileMap(file, sizeof bytes, PR_PROT_READWRITE);
    CHECK(fm != NULL);
    addr = PR_MemMap(fm, 4096, 4096);
    CHECK(addr != NULL && addr[0] == 'x');
    addr[0] = 'y';
    CHECK(PR_SyncMemMap(file, addr, 4096) == PR_SUCCESS && PR_MemUnmap(addr, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(fm) == PR_SUCCESS);
    CHECK(PR_Seek(file, 4096, PR_SEEK_SET) == 4096 && PR_Read(file, bytes, 1) == 1 && bytes[0] == 'y');
    CHECK(PR_Close(file) == PR_SUCCESS && PR_Delete(name) == PR_SUCCESS);
}

/* All that one PRProcessAttr can say, in the child. */
static int child(void)
{
    char directory[4096], byte;
    PRFileDesc *socket = PR_GetInheritedFD("socket");
    PRFileMap *one = PR_GetInheritedFileMap("one"), *two = PR_GetInheritedFileMap("two");
    char *first, *second;
    CHECK(socket != NULL && one != NULL && two != NULL);
    CHECK(getcwd(directory, sizeof directory) != NULL && strcmp(directory, "/usr") == 0);
    CHECK(PR_Recv(socket, &byte, 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1 && byte == 's');
    first = mapped(one, 4096);
    second = mapped(two, 4096);
    strcat(first, " and the child");
    CHECK(second[0] == '2');
    /* Redirected, it waits, as a program expects. */
    CHECK((fcntl(1, F_GETFL) & O_NONBLOCK) == 0);
    CHECK(write(1, "out", 3) == 3);
    /* It has the pipe as its standard output alone: closed, the pipe ends, while this process lives on. */
    CHECK(close(1) == 0);
    CHECK(PR_Recv(socket, &byte, 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1 && byte == 'e');
    CHECK(PR_MemUnmap(first, 4096) == PR_SUCCESS && PR_MemUnmap(second, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(one) == PR_SUCCESS && PR_CloseFileMap(two) == PR_SUCCESS);
    CHECK(PR_Close(socket) == PR_SUCCESS);
    return 11;
}

static void all_attributes_of_a_process_reach_it(void)
{
    char *args[] = {self, (char *)"child", NULL}, told[16] = "", *first, *second;
    PRFileDesc *pipe[2], *sockets[2];
    PRFileMap *one = opened(4096, PR_PROT_READWRITE), *two = opened(4096, PR_PROT_READWRITE);
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process;
    PRInt32 code, got = 0, more;
    CHECK(attr != NULL && PR_CreatePipe(&pipe[0], &pipe[1]) == PR_SUCCESS);
    CHECK(PR_NewTCPSocketPair(sockets) == PR_SUCCESS && PR_SetFDInheritable(sockets[1], PR_TRUE) == PR_SUCCESS);
    first = mapped(one, 4096);
    second = mapped(two, 4096);
    strcpy(first, "the parent");
    strcpy(second, "2");
    PR_ProcessAttrSetStdioRedirect(attr, PR_StandardOutput, pipe[1]);
    CHECK(PR_ProcessAttrSetCurrentDirectory(attr, "/usr") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFD(attr, sockets[1], "socket") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, one, "one") == PR_SUCCESS);
    CHECK(PR_ProcessAttrSetInheritableFileMap(attr, two, "two") == PR_SUCCESS);
    process = PR_CreateProcess(self, args, NULL, attr);
    CHECK(process != NULL);
    CHECK(PR_Send(sockets[0], "s", 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1);
    /* The attributes still live, and yet the pipe ends with the child. */
    CHECK(PR_Close(pipe[1]) == PR_SUCCESS);
    while ((more = PR_Read(pipe[0], told + got, sizeof told - 1 - got)) > 0)
        got += more;
    CHECK(more == 0 && strcmp(told, "out") == 0);
    CHECK(PR_Send(sockets[0], "e", 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1);
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS && code == 11);
    CHECK(strcmp(first, "the parent and the child") == 0);
    PR_DestroyProcessAttr(attr);
    CHECK(PR_MemUnmap(first, 4096) == PR_SUCCESS && PR_MemUnmap(second, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(one) == PR_SUCCESS && PR_CloseFileMap(two) == PR_SUCCESS);
    CHECK(PR_Close(pipe[0]) == PR_SUCCESS);
    CHECK(PR_Close(sockets[0]) == PR_SUCCESS && PR_Close(sockets[1]) == PR_SUCCESS);
}

static void a_start_that_fails_leaves_a_redirected_file_as_it_was(void)
{
    char *args[] = {(char *)"x", NULL};
    PRFileDesc *pipe[2];
    PRProcessAttr *attr = PR_NewProcessAttr();
    int fd;
    CHECK(attr != NULL && PR_CreatePipe(&pipe[0], &pipe[1]) == PR_SUCCESS);
    for (fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFL) != -1 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
            break;
    CHECK(fd < 64);
    PR_ProcessAttrSetStdioRedirect(attr, PR_StandardInput, pipe[0]);
    CHECK(PR_CreateProcess("/nowhere", args, NULL, attr) == NULL && PR_GetError() == PR_FILE_NOT_FOUND_ERROR);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    PR_DestroyProcessAttr(attr);
    CHECK(PR_Close(pipe[0]) == PR_SUCCESS && PR_Close(pipe[1]) == PR_SUCCESS);
}

/* A child of the original, without us: it reads the start of our string. */
static void a_child_without_heirloom_imports_our_string(void)
{
    char *args[] = {self, (char *)"original", NULL}, variable[256] = "MAP=", plugin[4096], *addr;
    char *env[] = {variable, plugin, NULL};
    PRFileMap *fm = opened(8192, PR_PROT_READWRITE);
    PRProcess *process;
    PRInt32 code;
    snprintf(plugin, sizeof plugin, "PLUGIN=%s", getenv("PLUGIN") != NULL ? getenv("PLUGIN") : "");
    addr = mapped(fm, 8192);
    strcpy(addr + 5000, "for the original");
    CHECK(PR_ExportFileMapAsString(fm, PR_FILEMAP_STRING_BUFSIZE, variable + 4) == PR_SUCCESS);
    process = PR_CreateProcess(self, args, env, NULL);
    CHECK(process != NULL && PR_WaitProcess(process, &code) == PR_SUCCESS && code == 12);
    CHECK(strcmp(addr, "from the original") == 0);
    CHECK(PR_MemUnmap(addr, 8192) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
}

static int original(void)
{
    PRFileMap *fm;
    char *addr;
    CHECK(strstr(home((void *)(intptr_t)PR_ImportFileMapFromString), "libnspr4") != NULL);
    fm = PR_ImportFileMapFromString(getenv("MAP"));
    CHECK(fm != NULL);
    addr = mapped(fm, 8192);
    CHECK(strcmp(addr + 5000, "for the original") == 0);
    strcpy(addr, "from the original");
    CHECK(PR_MemUnmap(addr, 8192) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
    return 12;
}

int front(int argc, char **argv);

int front(int argc, char **argv)
{
    static void *const ours[] = {
        (void *)PR_OpenAnonFileMap,
        (void *)PR_MemMap,
        (void *)PR_MemUnmap,
        (void *)PR_CloseFileMap,
        (void *)PR_GetMemMapAlignment,
        (void *)PR_ExportFileMapAsString,
        (void *)PR_ImportFileMapFromString,
        (void *)PR_ProcessAttrSetInheritableFileMap,
        (void *)PR_GetInheritedFileMap,
        (void *)PR_NewProcessAttr,
        (void *)PR_ResetProcessAttr,
        (void *)PR_DestroyProcessAttr,
        (void *)PR_ProcessAttrSetStdioRedirect,
        (void *)PR_SetStdioRedirect,
        (void *)PR_ProcessAttrSetCurrentDirectory,
        (void *)PR_ProcessAttrSetInheritableFD,
        (void *)PR_CreateProcess,
        (void *)PR_CreateProcessDetached,
        (void *)PR_WaitProcess,
        (void *)PR_DetachProcess,
        (void *)PR_KillProcess,
        (void *)PR_GetError,
        (void *)PR_GetOSError,
        (void *)PR_SetError,
        (void *)PR_GetErrorText,
        (void *)PR_GetErrorTextLength,
    };
    size_t i;
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    if (argc == 2 && strcmp(argv[1], "original") == 0)
        return original();
    for (i = 0; i < sizeof ours / sizeof *ours; i++)
        CHECK(strstr(home(ours[i]), "libheirloom_nspr") != NULL);
    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return child();
    errors_are_nsprs();
    what_is_no_file_map_is_recognised();
    nsprs_own_file_maps_go_on_working();
    all_attributes_of_a_process_reach_it();
    a_start_that_fails_leaves_a_redirected_file_as_it_was();
    /* Linked with heirloom, no child is without it. */
    if (getenv("LD_PRELOAD") != NULL)
        a_child_without_heirloom_imports_our_string();
    CHECK(open_regions() == 0);
    return 0;
}

#ifndef AS_LIBRARY
int main(int argc, char **argv)
{
    return front(argc, argv);
}
#endif
