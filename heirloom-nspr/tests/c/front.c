/*
 * A program for NSPR that uses nothing of heirloom but its header. It is also
 * built as a library, for a program that loads NSPR with RTLD_LOCAL.
 */
#include "check.h"

#include <nspr.h>
#include <prshma.h>

#include <dlfcn.h>

static char self[4096];

/* Returns the path of the library that defines a function. */
static const char *library_of(void *function)
{
    Dl_info info;
    return dladdr(function, &info) ? info.dli_fname : "";
}

/* NSPR's functions return heirloom's errors, and the other way round. */
static void errors_are_shared_with_nspr(void)
{
    char text[1024];
    PRInt32 len;
    /* The first error is one that a signal handler may set. */
    CHECK(PR_KillProcess(NULL) == PR_FAILURE && PR_GetError() == PR_INVALID_ARGUMENT_ERROR);
    CHECK(PR_GetErrorTextLength() == 0 && PR_GetErrorText(text) == 0);
    CHECK(PR_OpenAnonFileMap(NULL, 0, PR_PROT_READWRITE) == NULL);
    CHECK(PR_GetError() == PR_INVALID_ARGUMENT_ERROR && PR_GetOSError() == 0);
    CHECK(strcmp(PR_ErrorToName(PR_GetError()), "PR_INVALID_ARGUMENT_ERROR") == 0);
    CHECK(strcmp(PR_ErrorToString(PR_GetError(), PR_LANGUAGE_I_DEFAULT), "Invalid function argument") == 0);
    len = PR_GetErrorText(text);
    CHECK(len == PR_GetErrorTextLength() && len == (PRInt32)strlen(text));
    CHECK(strstr(text, "region of 0 bytes") != NULL);
    /* The other way round. */
    CHECK(PR_Open("/nowhere", PR_RDONLY, 0) == NULL);
    CHECK(PR_GetError() == PR_FILE_NOT_FOUND_ERROR && PR_GetOSError() == ENOENT);
    CHECK(PR_LoadLibrary("/nowhere.so") == NULL && PR_GetErrorText(text) > 0);
    CHECK(strstr(text, "/nowhere.so") != NULL);
}

/* NSPR never gets a heirloom object. */
static void other_objects_are_not_file_maps(void)
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

static void file_maps_of_nspr_still_work(void)
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

/* The child that all attributes of a process apply to. */
static int child(void)
{
    char directory[4096], byte;
    PRFileDesc *socket = PR_GetInheritedFD("socket");
    PRFileMap *one = PR_GetInheritedFileMap("one"), *two = PR_GetInheritedFileMap("two");
    char *first, *second;
    CHECK(socket != NULL && one != NULL && two != NULL);
    CHECK(getcwd(directory, sizeof directory) != NULL && strcmp(directory, "/usr") == 0);
    CHECK(PR_Recv(socket, &byte, 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1 && byte == 's');
    first = map(one, 4096);
    second = map(two, 4096);
    strcat(first, " and the child");
    CHECK(second[0] == '2');
    /* The redirected stream is blocking. */
    CHECK((fcntl(1, F_GETFL) & O_NONBLOCK) == 0);
    CHECK(write(1, "out", 3) == 3);
    /* The pipe is only its standard output: closing that ends the pipe, while this process runs on. */
    CHECK(close(1) == 0);
    CHECK(PR_Recv(socket, &byte, 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1 && byte == 'e');
    CHECK(PR_MemUnmap(first, 4096) == PR_SUCCESS && PR_MemUnmap(second, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(one) == PR_SUCCESS && PR_CloseFileMap(two) == PR_SUCCESS);
    CHECK(PR_Close(socket) == PR_SUCCESS);
    return 11;
}

static void all_attributes_apply(void)
{
    char *args[] = {self, (char *)"child", NULL}, output[16] = "", *first, *second;
    PRFileDesc *pipe[2], *sockets[2];
    PRFileMap *one = create(4096, PR_PROT_READWRITE), *two = create(4096, PR_PROT_READWRITE);
    PRProcessAttr *attr = PR_NewProcessAttr();
    PRProcess *process;
    PRInt32 code, got = 0, more;
    CHECK(attr != NULL && PR_CreatePipe(&pipe[0], &pipe[1]) == PR_SUCCESS);
    CHECK(PR_NewTCPSocketPair(sockets) == PR_SUCCESS && PR_SetFDInheritable(sockets[1], PR_TRUE) == PR_SUCCESS);
    first = map(one, 4096);
    second = map(two, 4096);
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
    /* The pipe ends with the child, although the attributes still exist. */
    CHECK(PR_Close(pipe[1]) == PR_SUCCESS);
    while ((more = PR_Read(pipe[0], output + got, sizeof output - 1 - got)) > 0)
        got += more;
    CHECK(more == 0 && strcmp(output, "out") == 0);
    CHECK(PR_Send(sockets[0], "e", 1, 0, PR_INTERVAL_NO_TIMEOUT) == 1);
    CHECK(PR_WaitProcess(process, &code) == PR_SUCCESS && code == 11);
    CHECK(strcmp(first, "the parent and the child") == 0);
    PR_DestroyProcessAttr(attr);
    CHECK(PR_MemUnmap(first, 4096) == PR_SUCCESS && PR_MemUnmap(second, 4096) == PR_SUCCESS);
    CHECK(PR_CloseFileMap(one) == PR_SUCCESS && PR_CloseFileMap(two) == PR_SUCCESS);
    CHECK(PR_Close(pipe[0]) == PR_SUCCESS);
    CHECK(PR_Close(sockets[0]) == PR_SUCCESS && PR_Close(sockets[1]) == PR_SUCCESS);
}

static void failed_start_restores_redirected_file(void)
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

/* A child on the original NSPR reads the start of heirloom's string. */
static void child_on_original_nspr_imports_string(void)
{
    char *args[] = {self, (char *)"original", NULL}, variable[256] = "MAP=", plugin[4096], *addr;
    char *env[] = {variable, plugin, NULL};
    PRFileMap *fm = create(8192, PR_PROT_READWRITE);
    PRProcess *process;
    PRInt32 code;
    snprintf(plugin, sizeof plugin, "PLUGIN=%s", getenv("PLUGIN") != NULL ? getenv("PLUGIN") : "");
    addr = map(fm, 8192);
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
    CHECK(strstr(library_of((void *)(intptr_t)PR_ImportFileMapFromString), "libnspr4") != NULL);
    fm = PR_ImportFileMapFromString(getenv("MAP"));
    CHECK(fm != NULL);
    addr = map(fm, 8192);
    CHECK(strcmp(addr + 5000, "for the original") == 0);
    strcpy(addr, "from the original");
    CHECK(PR_MemUnmap(addr, 8192) == PR_SUCCESS && PR_CloseFileMap(fm) == PR_SUCCESS);
    return 12;
}

int front(int argc, char **argv);

int front(int argc, char **argv)
{
    static void *const replaced[] = {
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
    for (i = 0; i < sizeof replaced / sizeof *replaced; i++)
        CHECK(strstr(library_of(replaced[i]), "libheirloom_nspr") != NULL);
    if (argc == 2 && strcmp(argv[1], "child") == 0)
        return child();
    errors_are_shared_with_nspr();
    other_objects_are_not_file_maps();
    file_maps_of_nspr_still_work();
    all_attributes_apply();
    failed_start_restores_redirected_file();
    /* A linked program has no child without heirloom. */
    if (getenv("LD_PRELOAD") != NULL)
        child_on_original_nspr_imports_string();
    CHECK(open_regions() == 0);
    return 0;
}

#ifndef AS_LIBRARY
int main(int argc, char **argv)
{
    return front(argc, argv);
}
#endif
