//! What can go wrong, and how it is told.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;

/// What a call of this library answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: what was tried, on what, the system's own reason, and what to do about it.
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
    /// What to do about it; empty where there is nothing to say, or the message says it.
    advice: Cow<'static, str>,
    system: Option<io::Error>,
}

/// The class of an [`Error`], for a program that acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument that no system could serve: a size of 0, a name with NUL, a NUL in a program's argument.
    InvalidInput,
    /// A size beyond what any address space, or this process's limit on file sizes, holds.
    TooLarge,
    /// An offset or a length that passes the end.
    OutOfBounds,
    /// An offset that is not a multiple of what the call needs.
    Misaligned,
    /// A name that is already in use on this command.
    NameInUse,
    /// More names than one environment variable can carry.
    TooMany,
    /// No region of that name was handed down to this process.
    NotInherited,
    /// The inherited region was already taken by an earlier call.
    AlreadyTaken,
    /// The region is of another kind than the one asked for.
    WrongKind,
    /// An export string, or the variable that carries them, is not well-formed.
    Malformed,
    /// The descriptor is not the region that the string describes: it is closed, another file, of another size, or
    /// lacks a seal.
    Mismatch,
    /// Something can still write, so the region can't be frozen now; on Windows nor published, where other processes may hold
    /// it for writing.
    StillWritable,
    /// The region was published or frozen, by this process or another, and the kernel now refuses the call.
    Sealed,
    /// This system, this sandbox or this backing can't do it.
    Unsupported,
    /// Memory, huge pages, disk space or address space ran out.
    OutOfMemory,
    /// This process, or the system, can open no more descriptors.
    OutOfDescriptors,
    /// The program doesn't exist.
    ProgramNotFound,
    /// The program exists and can't be run.
    ProgramNotRunnable,
    /// Any other refusal of the system; [`Error::raw_os_error`] has its code.
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
            Self::Sealed => "sealed against this",
            Self::Unsupported => "unsupported",
            Self::OutOfMemory => "out of memory",
            Self::OutOfDescriptors => "out of descriptors",
            Self::ProgramNotFound => "program not found",
            Self::ProgramNotRunnable => "program not runnable",
            Self::System => "system error",
        })
    }
}

impl Error {
    /// An error that this library found by itself.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::advised(kind, message, "")
    }

    pub(crate) fn advised(kind: ErrorKind, message: impl Into<String>, advice: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner { kind, message: message.into(), advice: advice.into(), system: None }))
    }

    /// An error whose source is the system's own.
    pub(crate) fn with_source(kind: ErrorKind, message: String, advice: &'static str, source: io::Error) -> Self {
        Self(Arc::new(Inner { kind, message, advice: advice.into(), system: Some(source) }))
    }

    /// The class of this error.
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

    /// What was tried, on what, and why it failed, without the advice that the whole message ends with: for a program that
    /// gives advice of its own, because its users don't write Rust.
    ///
    /// ```
    /// use heirloom::Region;
    ///
    /// let region = Region::create(4096)?;
    /// let _view = region.map()?;
    /// let failed = region.freeze().unwrap_err();
    /// let error = failed.error();
    /// assert!(error.to_string().ends_with("or take FrozenRegion::copy_of"));
    /// assert!(!error.message().contains("FrozenRegion"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it, where there is something to say; the whole message ends with it.
    ///
    /// ```
    /// let error = heirloom::Command::new("/nonexistent/program").status().unwrap_err();
    /// assert_eq!(error.advice(), Some("is the path right?"));
    /// ```
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        Some(&*self.0.advice).filter(|advice| !advice.is_empty())
    }

    /// The system's own code (`errno`), where the system refused.
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

/// Keeps the system's code, where there is one, so that `raw_os_error` is the same; the message is then the system's own.
/// Otherwise the error is the new one's inner error.
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
            ErrorKind::Malformed | ErrorKind::Mismatch => io::ErrorKind::InvalidData,
            ErrorKind::StillWritable => io::ErrorKind::ResourceBusy,
            ErrorKind::Sealed | ErrorKind::ProgramNotRunnable => io::ErrorKind::PermissionDenied,
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
