use std::fmt::{self, Display};
use std::io;

use arrow_schema::ArrowError;

/// A `Result` that defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a table can't be frozen or opened.
///
/// ```
/// use heirloom::FrozenRegion;
/// use heirloom_arrow::{Error, Table};
///
/// let text = FrozenRegion::from_bytes("no table, and more than ten bytes")?;
/// let error = Table::open(&text).unwrap_err();
/// assert!(matches!(error, Error::Malformed(_)), "{error}");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The region can't be created, filled, frozen or mapped.
    Region(heirloom::Error),
    /// The source of the batches failed, or Arrow's format can't express a batch.
    Source(ArrowError),
    /// The region isn't a table of Arrow's IPC file format, or a damaged one. The message says what is wrong.
    Malformed(String),
    /// The region is a table that can't be read in place. The message says why, and what to do.
    Unsupported(String),
    /// The table has no batch of this index.
    NoBatch(usize),
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(error) => error.fmt(f),
            Self::Source(error) => write!(f, "cannot write a table: {error}"),
            Self::Malformed(why) => write!(f, "the region is no Arrow table, or a damaged one: {why}"),
            Self::Unsupported(why) => write!(f, "cannot read the table in place: {why}"),
            Self::NoBatch(index) => write!(f, "the table has no batch of index {index}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Region(error) => error.source(),
            Self::Source(error) => Some(error),
            Self::Malformed(_) | Self::Unsupported(_) | Self::NoBatch(_) => None,
        }
    }
}

impl From<heirloom::Error> for Error {
    fn from(error: heirloom::Error) -> Self {
        Self::Region(error)
    }
}

/// For code that returns Arrow's errors, such as a [`RecordBatchReader`](arrow_array::RecordBatchReader).
impl From<Error> for ArrowError {
    fn from(error: Error) -> Self {
        match error {
            Error::Source(error) => error,
            error => Self::from_external_error(Box::new(error)),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Region(error) => error.into(),
            Error::Source(ArrowError::IoError(_, error)) => error,
            Error::Source(_) | Error::NoBatch(_) => Self::new(io::ErrorKind::InvalidInput, error),
            Error::Malformed(_) => Self::new(io::ErrorKind::InvalidData, error),
            Error::Unsupported(_) => Self::new(io::ErrorKind::Unsupported, error),
        }
    }
}
