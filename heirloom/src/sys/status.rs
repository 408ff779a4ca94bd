//! What the system reports about memory, and how memory is created and mapped.

/// When the kernel allocates the memory of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// Each page at its first access.
    OnTouch,
    /// All pages at creation.
    Now,
    /// All pages at creation, as huge pages of [`HUGE_PAGE`](super::HUGE_PAGE) bytes.
    HugePages,
}

/// The properties of an open descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status {
    pub(crate) identity: Identity,
    /// Bytes.
    pub(crate) size: u64,
    /// The alignment of mapping offsets and lengths, in bytes.
    pub(crate) granularity: u64,
    /// It is memory or a regular file without a name; not a directory, a device, a pipe or a file that has a name.
    pub(crate) unnamed: bool,
    pub(crate) access: Access,
    pub(crate) seals: Seals,
    /// It accepts further seals.
    pub(crate) sealable: bool,
    /// It is memory that the kernel shows to its holders only (Linux).
    pub(crate) secret: bool,
}

/// Identifies an object among all that exist: device and inode, or random numbers in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// What a descriptor allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    None,
    Read,
    ReadWrite,
}

/// What the kernel refuses to every process, irreversibly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seals {
    /// Growing and shrinking.
    pub(crate) size: bool,
    /// Writing, except through mappings that existed before.
    pub(crate) new_writers: bool,
    /// Writing.
    pub(crate) writing: bool,
}

/// How many of the threads that wait for a number are woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    One,
    All,
}

/// What an end of a channel hears of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // Not every system has channels.
pub(crate) enum Heard {
    Nothing,
    Rung,
    PeerGone,
}

/// What an end of a channel does with a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // Not every system has channels.
pub(crate) enum PipeEnd {
    Hears,
    Rings,
    /// Neither: for one, a descriptor of the pipe that allows something else.
    Other,
}

/// How a mapping may be used, and whether other holders see its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Reads, and writes that every holder sees.
    Shared,
    /// Reads.
    ReadOnly,
    /// Reads, and writes that only this mapping sees.
    CopyOnWrite,
}
