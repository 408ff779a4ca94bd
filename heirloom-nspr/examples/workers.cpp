// C++: one process writes a table once and freezes it. Its workers can read it
// but not change it.
//
//     ./workers
#include <heirloom_nspr.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace {

const PRUint32 SIZE = 1 << 20;

[[noreturn]] void fail(const char *what)
{
    std::vector<char> text(static_cast<std::size_t>(PR_GetErrorTextLength()) + 1);
    PR_GetErrorText(text.data());
    std::fprintf(stderr, "%s: error %d: %s\n", what, static_cast<int>(PR_GetError()), text.data());
    std::exit(1);
}

struct Close {
    void operator()(PRFileMap *fm) const { PR_CloseFileMap(fm); }
};
struct Unmap {
    void operator()(unsigned char *addr) const { PR_MemUnmap(addr, SIZE); }
};
struct Destroy {
    void operator()(PRProcessAttr *attr) const { PR_DestroyProcessAttr(attr); }
};

using FileMap = std::unique_ptr<PRFileMap, Close>;
using Mapping = std::unique_ptr<unsigned char, Unmap>;
using Attributes = std::unique_ptr<PRProcessAttr, Destroy>;

Mapping map(const FileMap &fm)
{
    Mapping addr(static_cast<unsigned char *>(PR_MemMap(fm.get(), 0, SIZE)));
    if (!addr)
        fail("PR_MemMap");
    return addr;
}

int work(int worker)
{
    FileMap fm(PR_GetInheritedFileMap("table"));
    if (!fm)
        fail("PR_GetInheritedFileMap");
    Mapping table = map(fm);
    unsigned long sum = 0;
    for (PRUint32 i = static_cast<PRUint32>(worker); i < SIZE; i += 3)
        sum += table.get()[i];
    return sum == 0 ? 1 : 0;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 2)
        return work(std::atoi(argv[1]));

    FileMap fm(PR_OpenAnonFileMap(nullptr, SIZE, PR_PROT_READWRITE));
    if (!fm)
        fail("PR_OpenAnonFileMap");
    {
        Mapping table = map(fm);
        std::memset(table.get(), 1, SIZE);
    }
    // No writable mapping is left.
    if (heirloom_freeze(fm.get()) != PR_SUCCESS)
        fail("heirloom_freeze");

    Attributes attr(PR_NewProcessAttr());
    if (!attr || PR_ProcessAttrSetInheritableFileMap(attr.get(), fm.get(), "table") != PR_SUCCESS)
        fail("PR_ProcessAttrSetInheritableFileMap");
    std::vector<PRProcess *> workers;
    for (int worker = 0; worker < 3; worker++) {
        std::string number = std::to_string(worker);
        char *args[] = {argv[0], &number[0], nullptr};
        PRProcess *process = PR_CreateProcess(argv[0], args, nullptr, attr.get());
        if (!process)
            fail("PR_CreateProcess");
        workers.push_back(process);
    }
    int good = 0;
    for (PRProcess *process : workers) {
        PRInt32 code = 1;
        if (PR_WaitProcess(process, &code) != PR_SUCCESS)
            fail("PR_WaitProcess");
        good += code == 0;
    }
    std::printf("%d workers of 3 read the table\n", good);
    return good == 3 ? 0 : 1;
}
