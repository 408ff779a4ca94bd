//! NSPR's error codes.

/// The codes that this library uses, see
/// [prerr.h](https://firefox-source-docs.mozilla.org/nspr/reference/nspr_error_handling.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[allow(dead_code)] // Some systems use only a part of them.
pub(crate) enum Code {
    OutOfMemory = -6000,
    BadDescriptor = -5999,
    Unknown = -5994,
    InvalidArgument = -5987,
    InsufficientResources = -5974,
    ProcDescTableFull = -5971,
    SysDescTableFull = -5970,
    NoAccessRights = -5966,
    OperationNotSupported = -5965,
    BufferOverflow = -5962,
    FileTooBig = -5957,
    NoDeviceSpace = -5956,
    Loop = -5952,
    NameTooLong = -5951,
    FileNotFound = -5950,
    NotDirectory = -5949,
    FileExists = -5943,
    FileIsBusy = -5936,
    InvalidState = -5931,
}
