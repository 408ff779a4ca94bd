// C++: workers move money between accounts under a lock. One of them dies in the
// middle; the next owner of the lock mends what it left.
//
//     ./accounts
#include <heirloom.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

const std::size_t LOCK = 0, FROM = 8, TO = 16;
const int TRANSFERS = 1000;

// Their sum stays 0.
void mend(const heirloom::mapping &accounts)
{
    accounts.store_u64(TO, 0 - accounts.load_u64(FROM));
}

int work(bool deadly)
{
    heirloom::mapping accounts = heirloom::region::inherited("accounts").map_with_locks();
    heirloom::sender results = heirloom::sender::inherited("results");
    for (int i = 0; i < TRANSFERS; i++) {
        heirloom::lock held(accounts, LOCK);
        if (held.owner_died())
            mend(accounts);
        accounts.fetch_add_u64(FROM, static_cast<std::uint64_t>(-1));
        if (deadly && i == TRANSFERS / 2)
            std::_Exit(1);
        accounts.fetch_add_u64(TO, 1);
    }
    const std::string result = "moved " + std::to_string(TRANSFERS);
    results.send(result.data(), result.size());
    return 0;
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc > 1)
        return work(std::string(argv[1]) == "deadly");

    heirloom::region region = heirloom::region::create(4096, "accounts");
    std::vector<heirloom::child> workers;
    std::vector<heirloom::receiver> results;
    for (const char *kind : {"careful", "deadly", "careful"}) {
        std::pair<heirloom::sender, heirloom::receiver> channel = heirloom::channel(4096);
        heirloom::command command(argv[0]);
        command.arg(kind).inherit("accounts", region).inherit("results", std::move(channel.first));
        workers.push_back(command.spawn());
        results.push_back(std::move(channel.second));
    }
    for (heirloom::receiver &end : results) {
        std::vector<unsigned char> message;
        try {
            end.receive(message);
            std::printf("a worker %s\n", std::string(message.begin(), message.end()).c_str());
        } catch (const heirloom::error &error) {
            if (error.kind() != HEIRLOOM_PEER_GONE)
                throw;
            std::printf("a worker died\n");
        }
    }
    for (heirloom::child &worker : workers)
        worker.wait();
    heirloom::mapping accounts = region.map_with_locks();
    heirloom::lock held(accounts, LOCK);
    if (held.owner_died())
        mend(accounts);
    std::printf("sum: %llu\n", static_cast<unsigned long long>(accounts.load_u64(FROM) + accounts.load_u64(TO)));
    return 0;
} catch (const heirloom::error &error) {
    std::fprintf(stderr, "%s: error %d\n", error.what(), error.kind());
    return 1;
}
