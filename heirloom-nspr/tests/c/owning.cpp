// heirloom.hpp: what its examples don't use, within one process.
#include <heirloom.hpp>

#include <cstdio>
#include <cstring>
#include <stdexcept>

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            throw std::logic_error(#condition); \
    } while (0)

static void messages_in_place()
{
    std::pair<heirloom::sender, heirloom::receiver> ends = heirloom::channel(4096);
    void *place = ends.first.reserve(5);
    std::memcpy(place, "text", 5);
    CHECK(ends.second.peek(std::chrono::nanoseconds(0)).first == nullptr);
    ends.first.commit(place, 5);
    std::pair<const void *, std::size_t> message = ends.second.peek();
    CHECK(message.second == 5 && std::strcmp(static_cast<const char *>(message.first), "text") == 0);
    CHECK(ends.second.consume() && !ends.second.consume());
}

static void memory_given_back()
{
    heirloom::region region = heirloom::region::create(8192);
    heirloom::mapping mapping = region.map();
    mapping.store_u32(4096, 7);
    mapping.discard(4096, 4096);
    CHECK(mapping.load_u32(4096) == 0);
    try {
        CHECK(mapping.use_huge_pages() == 0);
    } catch (const heirloom::error &error) {
        if (error.kind() != HEIRLOOM_UNSUPPORTED)
            throw;
    }
}

int main()
try {
    messages_in_place();
    memory_given_back();
    CHECK(heirloom::inherited_names().empty());
    std::printf("done\n");
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "failed: %s\n", error.what());
    return 1;
}
