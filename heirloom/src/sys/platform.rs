//! Where this system's implementation of each item is. Every system has the same items.

#[cfg(unix)]
pub(crate) use super::unix::{
    fd::{
        allocation_granularity, borrowed, duplicate, has_byte_at, is_close_on_exec, is_standard, look_at, null,
        number_of, pipe, set_close_on_exec, take_over,
    },
    process::{EnvKey, SpawnOptions, gather, on_fork},
};
#[cfg(unix)]
pub(crate) use std::{
    env::vars_os as variables,
    os::fd::{BorrowedFd as Borrowed, OwnedFd as Owned},
};

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use super::{
    fd_memory::{Memory, identity},
    linux::{
        HUGE_PAGE, LONGEST_VARIABLE, available_memory,
        confinement::Confinement,
        doorbell::pipe_status,
        is_privileged, parent_passes,
        process::{Process, kill, wait},
        remove_variable, size_limit,
    },
    sealed::{Filling, status},
    unix::view::View,
};

#[cfg(all(any(target_os = "linux", target_os = "android"), not(heirloom_loom)))]
pub(crate) use super::linux::{
    doorbell::Doorbell,
    futex::{wait_while, wake},
    lock_owner::LockOwner,
};

#[cfg(heirloom_loom)]
pub(crate) use super::modelled::{
    doorbell::Doorbell,
    futex::{wait_while, wake},
    lock_owner::LockOwner,
};

#[cfg(target_os = "freebsd")]
pub(crate) use super::{
    bsd::{
        HUGE_PAGE, LONGEST_VARIABLE, Process, available_memory, is_privileged, kill, parent_passes, remove_variable,
        size_limit, wait,
    },
    fd_memory::{Memory, identity},
    freebsd::{wait_while, wake},
    sealed::{Filling, status},
    unix::view::View,
};

#[cfg(any(target_os = "netbsd", target_os = "openbsd"))]
pub(crate) use super::{
    bsd::{
        HUGE_PAGE, LONGEST_VARIABLE, Process, available_memory, is_privileged, kill, parent_passes, remove_variable,
        size_limit, wait,
    },
    fd_memory::{Memory, identity},
    unix::view::View,
    unlinked_file::{Filling, status},
};

#[cfg(target_os = "macos")]
pub(crate) use super::{
    bsd::{
        HUGE_PAGE, LONGEST_VARIABLE, Process, available_memory, is_privileged, kill, parent_passes, remove_variable,
        size_limit, wait,
    },
    buffered::Filling,
    macos::{status, wait_while, wake},
    tracked::{Memory, View, identity},
};

#[cfg(target_os = "openbsd")]
pub(crate) use super::openbsd::{wait_while, wake};

#[cfg(any(windows, target_os = "netbsd"))]
pub(crate) use super::no_waiting::{wait_while, wake};

#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
pub(crate) use super::no_doorbell::{Doorbell, pipe_status};

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
pub(crate) use super::no_confinement::Confinement;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use super::no_locks::LockOwner;

#[cfg(windows)]
pub(crate) use super::{
    buffered::Filling,
    tracked::{Memory, View},
    windows::{
        doorbell::{Doorbell, identity, pipe_status},
        environment::{EnvKey, remove_variable, variables},
        handle::{
            Borrowed, Owned, borrowed, duplicate, has_byte_at, is_close_on_exec, is_standard, look_at, null, number_of,
            pipe, set_close_on_exec, take_over,
        },
        host::{LONGEST_VARIABLE, available_memory, is_privileged, parent_passes, size_limit},
        layout::{HUGE_PAGE, allocation_granularity},
        memory::status,
        process::{Process, SpawnOptions, gather, kill, on_fork, wait},
    },
};
