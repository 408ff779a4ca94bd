//! Errors: their classes, and what they say.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;

/// A `Result` that defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: what was tried, on what, the system's reason, and what to do about it.
///
/// ```
/// use heirloom::{ErrorKind, Region};
///
/// let error = Region::create(0).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// println!("{error}"); // cannot create a region of 0 bytes: ...
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    /// What was tried, on what, and why it failed.
    message: String,
    /// What to do about it, or empty.
    advice: Cow<'static, str>,
    system: Option<io::Error>,
}

/// The class of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is invalid: a size of 0, an empty range, a NUL byte in a name or a program's argument.
    InvalidInput,
    /// A size exceeds the address space, or this process's limit on file sizes.
    TooLarge,
    /// An offset or a length exceeds the region or mapping.
    OutOfBounds,
    /// An offset is not a multiple of the required alignment.
    Misaligned,
    /// The command already has a region of this name.
    NameInUse,
    /// The names and export strings exceed the size of an environment variable.
    TooMany,
    /// The parent passed no region of this name to this process.
    NotInherited,
    /// An earlier call took the inherited region.
    AlreadyTaken,
    /// The region is not of the kind that the call asks for.
    WrongKind,
    /// An export string, the variable `HEIRLOOM_REGIONS`, or the word for a kind is malformed.
    Malformed,
    /// The descriptor is not the region that the export string describes: it is closed, a different file, has another
    /// size, or lacks a seal.
    Mismatch,
    /// A process can still write, so the region can't be frozen, or on Windows and macOS made read-only.
    StillWritable,
    /// The region is sealed: a holder made it read-only or froze it, and the kernel refuses the call.
    Sealed,
    /// This system, sandbox or backing can't do it.
    Unsupported,
    /// Memory, huge pages, disk space or address space ran out, or the limit on locked memory is reached.
    OutOfMemory,
    /// This process or the system can open no more descriptors.
    OutOfDescriptors,
    /// The program doesn't exist.
    ProgramNotFound,
    /// The program exists but can't be executed.
    ProgramNotRunnable,
    /// The process at the other end of a channel closed it or has ended.
    PeerGone,
    /// The process at the other end of a channel broke its protocol.
    PeerBroken,
    /// A fork made this process, and the object belongs to the process that forked.
    Forked,
    /// Any other error of the system; [`Error::raw_os_error`] has its code.
    System,
}

/// Describes the class in a few words.
///
/// ```
/// assert_eq!(heirloom::ErrorKind::NotInherited.to_string(), "region not inherited");
/// ```
impl Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InvalidInput => "invalid input",
            Self::TooLarge => "size too large",
            Self::OutOfBounds => "out of bounds",
            Self::Misaligned => "misaligned offset",
            Self::NameInUse => "name in use",
            Self::TooMany => "too many regions",
            Self::NotInherited => "region not inherited",
            Self::AlreadyTaken => "region already taken",
            Self::WrongKind => "wrong kind of region",
            Self::Malformed => "malformed text",
            Self::Mismatch => "descriptor does not match",
            Self::StillWritable => "still writable",
            Self::Sealed => "sealed",
            Self::Unsupported => "unsupported",
            Self::OutOfMemory => "out of memory",
            Self::OutOfDescriptors => "out of descriptors",
            Self::ProgramNotFound => "program not found",
            Self::ProgramNotRunnable => "program not runnable",
            Self::PeerGone => "peer gone",
            Self::PeerBroken => "peer broke the protocol",
            Self::Forked => "copied by a fork",
            Self::System => "system error",
        })
    }
}

impl Error {
    /// Makes an error that this library detected itself.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::advised(kind, message, "")
    }

    pub(crate) fn advised(kind: ErrorKind, message: impl Into<String>, advice: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), advice: advice.into(), system: None }))
    }

    /// Makes an error that the system reported.
    pub(crate) fn with_source(kind: ErrorKind, message: String, advice: &'static str, source: io::Error) -> Self {
        Self(Arc::new(Inner { kind, message, advice: advice.into(), system: Some(source) }))
    }

    /// Returns the class of this error.
    ///
    /// ```
    /// use heirloom::{ErrorKind, Region};
    ///
    /// assert_eq!(Region::create(u64::MAX).unwrap_err().kind(), ErrorKind::TooLarge);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what was tried, on what, and why it failed, without [`advice`](Self::advice).
    ///
    /// It is for programs whose users don't write Rust, and that give advice of their own.
    ///
    /// ```
    /// use heirloom::Region;
    ///
    /// let region = Region::create(4096)?;
    /// let _view = region.map()?;
    /// let failed = region.freeze().unwrap_err();
    /// let error = failed.error();
    /// assert!(error.to_string().contains("FrozenRegion::copy_of"));
    /// assert!(!error.message().contains("FrozenRegion"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do about it, in Rust's terms. `Display` appends it to the message.
    ///
    /// ```
    /// let error = heirloom::Command::new("/nonexistent/program").status().unwrap_err();
    /// assert_eq!(error.advice(), Some("is the path right?"));
    /// ```
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        Some(&*self.0.advice).filter(|advice| !advice.is_empty())
    }

    /// Returns the system's code (`errno`), if the system reported the error.
    ///
    /// ```
    /// let error = heirloom::Command::new("/nonexistent/program").status().unwrap_err();
    /// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
    /// ```
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        self.0.system.as_ref().and_then(io::Error::raw_os_error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &*self.0.advice {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    /// Returns the system's error, where the system refused.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.system.as_ref().map(|system| system as _)
    }
}

/// Keeps the system's code, so `raw_os_error` stays the same and the message becomes the system's. An error without a code
/// becomes the inner error.
///
/// ```
/// let error = heirloom::Command::new("/nonexistent/program").status().unwrap_err();
/// assert_eq!(std::io::Error::from(error).raw_os_error(), Some(2)); // ENOENT
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        if let Some(code) = error.raw_os_error() {
            return Self::from_raw_os_error(code);
        }
        let kind = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::OutOfBounds | ErrorKind::Misaligned | ErrorKind::WrongKind => {
                io::ErrorKind::InvalidInput
            }
            ErrorKind::TooLarge => io::ErrorKind::FileTooLarge,
            ErrorKind::TooMany => io::ErrorKind::ArgumentListTooLong,
            ErrorKind::NameInUse => io::ErrorKind::AlreadyExists,
            ErrorKind::NotInherited | ErrorKind::AlreadyTaken | ErrorKind::ProgramNotFound => io::ErrorKind::NotFound,
            ErrorKind::Malformed | ErrorKind::Mismatch | ErrorKind::PeerBroken => io::ErrorKind::InvalidData,
            ErrorKind::PeerGone => io::ErrorKind::BrokenPipe,
            ErrorKind::StillWritable => io::ErrorKind::ResourceBusy,
            ErrorKind::Sealed | ErrorKind::ProgramNotRunnable | ErrorKind::Forked => io::ErrorKind::PermissionDenied,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::OutOfMemory => io::ErrorKind::OutOfMemory,
            ErrorKind::OutOfDescriptors | ErrorKind::System => {
                error.0.system.as_ref().map_or(io::ErrorKind::Other, io::Error::kind)
            }
        };
        Self::new(kind, error)
    }
}

/// The error of a conversion that takes its input by value and returns it on failure.
///
/// `?` converts it into an [`Error`] and drops the input.
///
/// ```
/// use heirloom::{ErrorKind, Region};
///
/// let region = Region::create(4096)?;
/// let view = region.map()?;
/// let failed = region.freeze().unwrap_err(); // a writable mapping is alive
/// assert_eq!(failed.error().kind(), ErrorKind::StillWritable);
///
/// drop(view);
/// let frozen = failed.into_inner().freeze()?; // the same region, tried again
/// # assert_eq!(frozen.size(), 4096);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct ConvertError<T> {
    error: Error,
    inner: T,
}

impl<T> ConvertError<T> {
    pub(crate) fn new(error: Error, inner: T) -> Self {
        Self { error, inner }
    }

    /// Returns why the conversion failed.
    ///
    /// ```
    /// use heirloom::{ErrorKind, ReadOnlyRegion, Region};
    ///
    /// let failed = ReadOnlyRegion::try_from(Region::create(4096)?).unwrap_err();
    /// assert_eq!(failed.error().kind(), ErrorKind::WrongKind);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Returns the input of the conversion, unchanged.
    ///
    /// ```
    /// use heirloom::{ReadOnlyRegion, Region};
    ///
    /// let region = ReadOnlyRegion::try_from(Region::create(4096)?).unwrap_err().into_inner();
    /// assert_eq!(region.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Returns the error and the input of the conversion.
    ///
    /// ```
    /// use heirloom::{ReadOnlyRegion, Region};
    ///
    /// let (error, region) = ReadOnlyRegion::try_from(Region::create(4096)?).unwrap_err().into_parts();
    /// eprintln!("{error}; {region:?} stays writable");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn into_parts(self) -> (Error, T) {
        (self.error, self.inner)
    }
}

impl<T> Display for ConvertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.error, f)
    }
}

impl<T> fmt::Debug for ConvertError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.error, f)
    }
}

impl<T> std::error::Error for ConvertError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<ConvertError<T>> for Error {
    fn from(failed: ConvertError<T>) -> Self {
        failed.error
    }
}

impl<T> From<ConvertError<T>> for io::Error {
    fn from(failed: ConvertError<T>) -> Self {
        failed.error.into()
    }
}
