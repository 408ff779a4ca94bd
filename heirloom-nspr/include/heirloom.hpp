// heirloom.hpp: types that own what heirloom.h gives, for C++11 and later. heirloom.h documents each call.
//
// A failure throws heirloom::error. Objects are moved, not copied, and free what they have.
#ifndef HEIRLOOM_HPP
#define HEIRLOOM_HPP

#include <heirloom.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace heirloom {

/// Why a call failed.
class error : public std::runtime_error {
public:
    error() : std::runtime_error(heirloom_last_message()), kind_(heirloom_last_error()), code_(heirloom_last_errno()) {}

    /// Returns a heirloom_error_kind.
    int kind() const noexcept { return kind_; }

    /// Returns the system's code, or 0.
    int code() const noexcept { return code_; }

private:
    int kind_;
    int code_;
};

/// No limit of time.
constexpr std::chrono::nanoseconds forever{HEIRLOOM_FOREVER};

namespace detail {

template <typename T, void (*Free)(T *)> struct deleter {
    void operator()(T *object) const noexcept { Free(object); }
};

inline void unmap(heirloom_view *view) { heirloom_unmap(view); }

/// Throws if a call returned NULL.
template <typename T> T *check(T *object)
{
    if (object == nullptr)
        throw error();
    return object;
}

/// Throws if a call returned -1.
inline int check(int answer)
{
    if (answer == -1)
        throw error();
    return answer;
}

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

} // namespace detail

/// Bytes that can be read.
class view {
public:
    explicit view(heirloom_view *mapped) : mapped_(detail::check(mapped)) {}

    const heirloom_view *get() const noexcept { return mapped_.get(); }
    const void *data() const noexcept { return heirloom_view_data(get()); }
    std::size_t size() const noexcept { return heirloom_view_size(get()); }
    void no_dump() const { detail::check(heirloom_view_no_dump(get())); }
#if defined(__linux__)
    /// Moves the bytes into huge pages until the time has passed, and returns how many are. Pointers into it become invalid.
    std::size_t use_huge_pages(std::chrono::nanoseconds timeout = forever)
    {
        std::size_t huge = 0;
        detail::check(heirloom_use_huge_pages(get(), timeout.count(), &huge));
        return huge;
    }
#endif
    void read(std::size_t offset, void *into, std::size_t len) const
    {
        detail::check(heirloom_read(get(), offset, into, len));
    }
    std::uint32_t load_u32(std::size_t offset) const
    {
        std::uint32_t value = 0;
        detail::check(heirloom_load_u32(get(), offset, &value));
        return value;
    }
    std::uint64_t load_u64(std::size_t offset) const
    {
        std::uint64_t value = 0;
        detail::check(heirloom_load_u64(get(), offset, &value));
        return value;
    }

    /// Waits while a number is `current`. Returns whether it changed within the time.
    bool wait(std::size_t offset, std::uint32_t current, std::chrono::nanoseconds timeout = forever) const
    {
        return detail::check(heirloom_wait_u32(get(), offset, current, timeout.count(), nullptr)) == 1;
    }

private:
    std::unique_ptr<heirloom_view, detail::deleter<heirloom_view, detail::unmap>> mapped_;
};

/// Bytes that can be read and written.
class mapping : public view {
public:
    explicit mapping(heirloom_mapping *mapped) : view(reinterpret_cast<heirloom_view *>(mapped)) {}

    const heirloom_mapping *get() const noexcept { return reinterpret_cast<const heirloom_mapping *>(view::get()); }
    void *data() const noexcept { return heirloom_mapping_data(get()); }
    void write(std::size_t offset, const void *from, std::size_t len) const
    {
        detail::check(heirloom_write(get(), offset, from, len));
    }
    void store_u32(std::size_t offset, std::uint32_t value) const { detail::check(heirloom_store_u32(get(), offset, value)); }
    void store_u64(std::size_t offset, std::uint64_t value) const { detail::check(heirloom_store_u64(get(), offset, value)); }

    /// Adds, and returns the number before.
    std::uint32_t fetch_add_u32(std::size_t offset, std::uint32_t value) const
    {
        std::uint32_t before = 0;
        detail::check(heirloom_fetch_add_u32(get(), offset, value, &before));
        return before;
    }
    std::uint64_t fetch_add_u64(std::size_t offset, std::uint64_t value) const
    {
        std::uint64_t before = 0;
        detail::check(heirloom_fetch_add_u64(get(), offset, value, &before));
        return before;
    }

    /// Stores `desired` if the number is `current`, which is the number before afterwards. Returns whether it did.
    bool compare_exchange_u32(std::size_t offset, std::uint32_t &current, std::uint32_t desired) const
    {
        return detail::check(heirloom_compare_exchange_u32(get(), offset, &current, desired)) == 1;
    }
    bool compare_exchange_u64(std::size_t offset, std::uint64_t &current, std::uint64_t desired) const
    {
        return detail::check(heirloom_compare_exchange_u64(get(), offset, &current, desired)) == 1;
    }
#if defined(__linux__)
    void discard(std::size_t offset, std::size_t len) const { detail::check(heirloom_discard(get(), offset, len)); }
#endif
    void wake_one(std::size_t offset) const { detail::check(heirloom_wake_one(get(), offset)); }
    void wake_all(std::size_t offset) const { detail::check(heirloom_wake_all(get(), offset)); }
};

/// A lock that this thread has, or failed to get in time. Its end releases it. It must not outlive the mapping.
class lock {
public:
    lock(const mapping &mapped, std::size_t offset, std::chrono::nanoseconds timeout = forever)
        : mapped_(mapped.get()), offset_(offset), state_(detail::check(heirloom_lock(mapped_, offset, timeout.count())))
    {
    }
    lock(const lock &) = delete;
    lock &operator=(const lock &) = delete;
    ~lock()
    {
        if (owns_lock())
            heirloom_unlock(mapped_, offset_);
    }

    /// Returns whether this thread has the lock.
    bool owns_lock() const noexcept { return state_ != HEIRLOOM_TAKEN; }

    /// Returns whether the last owner died, so that the bytes may be half written.
    bool owner_died() const noexcept { return state_ == HEIRLOOM_OWNER_DIED; }

private:
    const heirloom_mapping *mapped_;
    std::size_t offset_;
    int state_;
};

/// A handle of a region.
class region {
public:
    explicit region(heirloom_region *handle) : handle_(detail::check(handle)) {}

    static region create(std::uint64_t size, const std::string &name = "", unsigned int flags = 0)
    {
        return region(heirloom_region_create(size, detail::or_null(name), flags));
    }
    static region frozen_from_bytes(const void *bytes, std::size_t len, const std::string &name = "")
    {
        return region(heirloom_region_frozen_from_bytes(bytes, len, detail::or_null(name)));
    }
#if !defined(_WIN32)
    static region frozen_from_fd(int fd, const std::string &name = "")
    {
        return region(heirloom_region_frozen_from_fd(fd, detail::or_null(name)));
    }
    static region from_fd(int fd) { return region(heirloom_region_from_fd(fd)); }
    int fd() const { return detail::check(heirloom_region_fd(get())); }
#endif
    static region inherited(const std::string &name) { return region(heirloom_region_inherited(name.c_str())); }
    static region import(const std::string &string) { return region(heirloom_region_import(string.c_str())); }

    const heirloom_region *get() const noexcept { return handle_.get(); }
    std::uint64_t size() const noexcept { return heirloom_region_size(get()); }
    heirloom_kind kind() const { return static_cast<heirloom_kind>(detail::check(heirloom_region_kind(get()))); }
    region clone() const { return region(heirloom_region_clone(get())); }
    region frozen_copy(const std::string &name = "") const
    {
        return region(heirloom_region_frozen_copy(get(), detail::or_null(name)));
    }
    void freeze() { detail::check(heirloom_region_freeze(handle_.get())); }
    mapping make_read_only() { return mapping(heirloom_region_make_read_only(handle_.get())); }
    mapping map(std::uint64_t offset = 0, std::uint64_t len = 0) const { return mapping(heirloom_map(get(), offset, len)); }
    mapping map_with_locks() const { return mapping(heirloom_map_with_locks(get())); }
    mapping map_copy(std::uint64_t offset = 0, std::uint64_t len = 0) const
    {
        return mapping(heirloom_map_copy(get(), offset, len));
    }
    view map_view(std::uint64_t offset = 0, std::uint64_t len = 0) const
    {
        return view(heirloom_map_view(get(), offset, len));
    }

private:
    std::unique_ptr<heirloom_region, detail::deleter<heirloom_region, heirloom_region_free>> handle_;
};

/// Lists the names of the inherited regions that can be taken.
inline std::vector<std::string> inherited_names()
{
    std::unique_ptr<char *, detail::deleter<char *, heirloom_names_free>> names(detail::check(heirloom_inherited_names()));
    std::vector<std::string> copies;
    for (char **name = names.get(); *name != nullptr; name++)
        copies.emplace_back(*name);
    return copies;
}

/// The end of a channel that sends.
class sender {
public:
    explicit sender(heirloom_sender *end) : end_(detail::check(end)) {}
    static sender inherited(const std::string &name) { return sender(heirloom_sender_inherited(name.c_str())); }
    static sender import(const std::string &string) { return sender(heirloom_sender_import(string.c_str())); }

    /// Returns whether the message was sent within the time.
    bool send(const void *message, std::size_t len, std::chrono::nanoseconds timeout = forever)
    {
        return detail::check(heirloom_send(end_.get(), message, len, timeout.count())) == 1;
    }

    /// Returns where to write a message, or null when the time has passed.
    void *reserve(std::size_t len, std::chrono::nanoseconds timeout = forever)
    {
        void *message = nullptr;
        return detail::check(heirloom_reserve(end_.get(), len, timeout.count(), &message)) == 1 ? message : nullptr;
    }

    /// Sends the message that was written there.
    void commit(const void *message, std::size_t len) { detail::check(heirloom_commit(end_.get(), message, len)); }
    std::size_t longest_message() const noexcept { return heirloom_longest_message(end_.get()); }
    bool arm(std::size_t len) { return detail::check(heirloom_sender_arm(end_.get(), len)) == 1; }
#if defined(__linux__)
    int fd() const { return detail::check(heirloom_sender_fd(end_.get())); }
#endif
    heirloom_sender *release() noexcept { return end_.release(); }

private:
    std::unique_ptr<heirloom_sender, detail::deleter<heirloom_sender, heirloom_sender_free>> end_;
};

/// The end of a channel that receives.
class receiver {
public:
    explicit receiver(heirloom_receiver *end) : end_(detail::check(end)) {}
    static receiver inherited(const std::string &name) { return receiver(heirloom_receiver_inherited(name.c_str())); }
    static receiver import(const std::string &string) { return receiver(heirloom_receiver_import(string.c_str())); }

    /// Receives a message, and returns whether one arrived within the time.
    bool receive(std::vector<unsigned char> &message, std::chrono::nanoseconds timeout = forever)
    {
        message.resize(message.capacity());
        std::size_t len = 0;
        int answer = heirloom_receive(end_.get(), message.data(), message.size(), timeout.count(), &len);
        if (answer == -1 && heirloom_last_error() == HEIRLOOM_OUT_OF_BOUNDS) {
            message.resize(len);
            answer = heirloom_receive(end_.get(), message.data(), message.size(), timeout.count(), &len);
        }
        message.resize(answer == 1 ? len : 0);
        return detail::check(answer) == 1;
    }

    /// Returns where the next message is and its length, or null when the time has passed.
    std::pair<const void *, std::size_t> peek(std::chrono::nanoseconds timeout = forever)
    {
        std::pair<const void *, std::size_t> message(nullptr, 0);
        detail::check(heirloom_peek(end_.get(), timeout.count(), &message.first, &message.second));
        return message;
    }

    /// Drops the next message. Returns whether there was one.
    bool consume() { return detail::check(heirloom_consume(end_.get())) == 1; }
    bool arm() { return detail::check(heirloom_receiver_arm(end_.get())) == 1; }
#if defined(__linux__)
    int fd() const { return detail::check(heirloom_receiver_fd(end_.get())); }
#endif
    heirloom_receiver *release() noexcept { return end_.release(); }

private:
    std::unique_ptr<heirloom_receiver, detail::deleter<heirloom_receiver, heirloom_receiver_free>> end_;
};

/// A region, or an end of a channel, that is exported while this lives.
class exported {
public:
    explicit exported(const region &shared, bool inheritable = false)
        : handle_(detail::check(heirloom_region_export(shared.get(), inheritable ? 1 : 0)))
    {
    }
    explicit exported(sender end) : handle_(detail::check(heirloom_sender_export(end.release()))) {}
    explicit exported(receiver end) : handle_(detail::check(heirloom_receiver_export(end.release()))) {}
    std::string string() const { return heirloom_export_string(handle_.get()); }

private:
    std::unique_ptr<heirloom_export, detail::deleter<heirloom_export, heirloom_export_free>> handle_;
};

/// Creates a channel whose ring has `capacity` bytes.
inline std::pair<sender, receiver> channel(std::uint64_t capacity)
{
    heirloom_sender *sending = nullptr;
    heirloom_receiver *receiving = nullptr;
    detail::check(heirloom_channel(capacity, &sending, &receiving));
    return std::pair<sender, receiver>(sender(sending), receiver(receiving));
}

/// A process that was started. Its end doesn't end the process.
class child {
public:
    explicit child(heirloom_child *started) : started_(detail::check(started)) {}

    std::uint32_t id() const noexcept { return heirloom_child_id(started_.get()); }

    /// Returns the exit code, or 256 plus the number of the signal that ended it.
    int wait()
    {
        int code = 0;
        detail::check(heirloom_child_wait(started_.get(), &code));
        return code;
    }

    /// Returns whether it has ended, and stores the exit code.
    bool try_wait(int &code) { return detail::check(heirloom_child_try_wait(started_.get(), &code)) == 1; }
    void kill() { detail::check(heirloom_child_kill(started_.get())); }
#if defined(__linux__)
    int pidfd() const { return detail::check(heirloom_child_pidfd(started_.get())); }
#endif

private:
    std::unique_ptr<heirloom_child, detail::deleter<heirloom_child, heirloom_child_free>> started_;
};

/// A program to start.
class command {
public:
    explicit command(const std::string &program) : built_(detail::check(heirloom_command_new(program.c_str()))) {}

    command &arg(const std::string &argument)
    {
        detail::check(heirloom_command_arg(built_.get(), argument.c_str()));
        return *this;
    }
    command &env(const std::string &name, const std::string &value)
    {
        detail::check(heirloom_command_env(built_.get(), name.c_str(), value.c_str()));
        return *this;
    }
    command &inherit(const std::string &name, const region &shared)
    {
        detail::check(heirloom_command_inherit(built_.get(), name.c_str(), shared.get()));
        return *this;
    }
    command &inherit(const std::string &name, sender end)
    {
        detail::check(heirloom_command_inherit_sender(built_.get(), name.c_str(), end.release()));
        return *this;
    }
    command &inherit(const std::string &name, receiver end)
    {
        detail::check(heirloom_command_inherit_receiver(built_.get(), name.c_str(), end.release()));
        return *this;
    }
#if defined(__linux__)
    command &confine()
    {
        detail::check(heirloom_command_confine(built_.get()));
        return *this;
    }
    command &confine_to(const std::vector<std::string> &readable)
    {
        std::vector<const char *> paths;
        for (const std::string &path : readable)
            paths.push_back(path.c_str());
        paths.push_back(nullptr);
        detail::check(heirloom_command_confine_to(built_.get(), paths.data()));
        return *this;
    }
#endif
    child spawn() { return child(heirloom_command_spawn(built_.get())); }

private:
    std::unique_ptr<heirloom_command, detail::deleter<heirloom_command, heirloom_command_free>> built_;
};

} // namespace heirloom

#endif // HEIRLOOM_HPP
